//! EL2's timer of a CPU, which more than one may wait for. It is armed only while somebody does.

use crate::ports::Timer;

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// The console, whose UART rests.
    Console,
    /// The watchdog of the CPU's cell.
    Watchdog,
    /// The next life of the CPU's cell.
    Life,
    /// The watchdogs of other cells, which this CPU watches.
    Others,
    /// The console, which shows what the CPUs have counted.
    Counts,
}

/// When to call whom, in physical counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alarms {
    at: [Option<u64>; 5],
}

impl Alarms {
    /// Calls then, whatever was said before, or not any more.
    pub fn set(&mut self, call: Call, at: Option<u64>, timer: &mut impl Timer) {
        if let Some(place) = self.at.get_mut(call as usize) {
            *place = at;
        }
        timer.set_alarm(self.at.iter().flatten().min().copied());
    }

    /// The timer went off: whether for this one, who is not called again.
    pub fn take(&mut self, call: Call, timer: &mut impl Timer) -> bool {
        let at = self.at.get(call as usize).copied().flatten();
        let due = at.is_some_and(|at| at <= timer.counter());
        if due {
            self.set(call, None, timer);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Board, Fake};

    #[test]
    fn the_timer_stands_at_the_first_of_the_calls() {
        let board = Board::new(1, 0);
        let (mut alarms, mut timer) = (Alarms::default(), Fake::new(&board, 0));
        alarms.set(Call::Console, Some(900), &mut timer);
        assert_eq!(timer.alarm, Some(900));
        alarms.set(Call::Watchdog, Some(500), &mut timer);
        assert_eq!(timer.alarm, Some(500));
        board.set_count(499);
        assert!(!alarms.take(Call::Watchdog, &mut timer) && !alarms.take(Call::Console, &mut timer));
        assert!(alarms.take(Call::Watchdog, &mut timer), "at its count");
        assert!(!alarms.take(Call::Watchdog, &mut timer), "once");
        assert_eq!(timer.alarm, Some(900));
        alarms.set(Call::Console, None, &mut timer);
        assert_eq!(timer.alarm, None);
        board.set_count(u64::MAX - 9);
        assert!(!alarms.take(Call::Console, &mut timer));
    }
}
