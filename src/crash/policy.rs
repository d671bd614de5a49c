//! What follows a crash: what the description wants, and how much of it has been used up.

use core::fmt;

/// What a cell's description wants to follow its crash (`on-crash`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCrash {
    /// The cell stays off.
    #[default]
    Stop,
    /// It restarts, so often.
    Restart(Limit),
    /// Every cell is stopped, and the machine goes off.
    HaltMachine,
}

/// So many restarts while the cell runs for so long (`restart-limit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Restarts, from 1.
    pub restarts: u32,
    /// Seconds, from 1. The time that the cell waits for a restart does not count, so that each crash loop meets its limit.
    pub seconds: u32,
}

impl Default for Limit {
    fn default() -> Self {
        Self { restarts: 5, seconds: 60 }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} times in {} s of running", self.restarts, self.seconds)
    }
}

/// The part of a second that the second restart of a window waits; each later one waits twice as long as the one before.
const FIRST_WAIT: u64 = 10;
/// Seconds that no restart waits longer than.
const LONGEST_WAIT: u64 = 10;

/// The restarts of a cell that count against its limit. A window opens with a crash, and closes when the cell has run for as long as
/// the limit says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Restarts in this window.
    restarts: u32,
    /// Ticks that the cell ran in it, up to the last crash.
    ran: u64,
    /// From when on it runs again.
    since: u64,
}

impl Window {
    /// The cell crashed at the count `now`: from which count on it may run again, and how many restarts of this window that makes;
    /// `None` if it has had them all.
    pub fn restart(&mut self, limit: Limit, now: u64, frequency: u64) -> Option<(u64, u32)> {
        let length = u64::from(limit.seconds).saturating_mul(frequency);
        self.ran = self.ran.saturating_add(now.saturating_sub(self.since));
        if self.restarts == 0 || self.ran > length {
            *self = Self::default();
        }
        self.since = now;
        if self.restarts >= limit.restarts {
            return None;
        }
        let wait = match self.restarts {
            0 => 0,
            n => (frequency / FIRST_WAIT)
                .saturating_mul(1u64.checked_shl(n.saturating_sub(1)).unwrap_or(u64::MAX))
                .min(frequency.saturating_mul(LONGEST_WAIT)),
        };
        self.restarts = self.restarts.saturating_add(1);
        self.since = now.saturating_add(wait);
        Some((self.since, self.restarts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HZ: u64 = 1000;

    #[test]
    fn each_restart_of_a_window_waits_longer_and_the_last_never_comes() {
        let mut window = Window::default();
        let mut now = 7;
        let mut waits = Vec::new();
        while let Some((at, number)) = window.restart(Limit::default(), now, HZ) {
            waits.push(at - now);
            assert_eq!(number as usize, waits.len());
            now = at + 3;
        }
        assert_eq!(waits, [0, 100, 200, 400, 800]);
        assert_eq!(window.restart(Limit::default(), now + 59 * HZ, HZ), None);
        // It ran long enough since: the next crash is the first of a window.
        assert_eq!(window.restart(Limit::default(), now + 61 * HZ, HZ), Some((now + 61 * HZ, 1)));
    }

    #[test]
    fn waiting_is_not_running() {
        // The longest waits together are many windows long.
        let limit = Limit { restarts: 30, seconds: 1 };
        let (mut window, mut now, mut restarts) = (Window::default(), 0, 0);
        while let Some((at, _)) = window.restart(limit, now, HZ) {
            assert!(at - now <= LONGEST_WAIT * HZ);
            (now, restarts) = (at, restarts + 1);
        }
        assert_eq!(restarts, 30);
        assert!(now > 200 * HZ);
    }

    #[test]
    fn a_life_that_lasts_opens_a_new_window() {
        let limit = Limit { restarts: 1, seconds: 1 };
        let mut window = Window::default();
        for n in 0..100 {
            assert_eq!(window.restart(limit, n * 1001, HZ), Some((n * 1001, 1)));
        }
        assert_eq!(window.restart(limit, 99 * 1001 + 1000, HZ), None);
    }

    proptest! {
        /// Against the definition: the crashes since the window opened, and the time run since.
        #[test]
        fn a_window_has_no_more_restarts_than_its_limit(
            restarts in 1u32..9,
            seconds in 1u32..9,
            lives in prop::collection::vec(0u64..3000, 0..200),
        ) {
            let limit = Limit { restarts, seconds };
            let mut window = Window::default();
            let mut runs: Vec<u64> = Vec::new();
            let mut now = 0;
            for life in lives {
                now += life;
                if let Some(last) = runs.last_mut() {
                    *last += life;
                }
                if runs.iter().sum::<u64>() > u64::from(seconds) * HZ {
                    runs.clear();
                }
                let restart = window.restart(limit, now, HZ);
                prop_assert_eq!(restart.is_some(), runs.len() < restarts as usize);
                if let Some((at, number)) = restart {
                    runs.push(0);
                    prop_assert_eq!(number as usize, runs.len());
                    let doubled = if number == 1 { 0 } else { 100 << (number - 2) };
                    prop_assert_eq!(at - now, doubled.min(10_000));
                    now = at;
                }
            }
        }

        /// However large the numbers: nothing overflows.
        #[test]
        fn odd_numbers_do_no_harm(
            restarts: u32,
            seconds: u32,
            frequency: u64,
            times in prop::collection::vec(any::<u64>(), 0..99),
        ) {
            let mut window = Window::default();
            for now in times {
                if let Some((at, number)) = window.restart(Limit { restarts, seconds }, now, frequency) {
                    prop_assert!(at >= now && number <= restarts);
                }
            }
        }
    }
}
