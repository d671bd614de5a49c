//! Why a vCPU left its guest, and how often: counted by its CPU, shown to its cell and on the console.
//!
//! A counter lies in the vCPU, where no other CPU can read it: that costs a load, an addition and a store on each way, and another
//! CPU's lines none. Whoever wants to know asks by the inbox ([`crate::inbox::Request::Counts`]), and each CPU copies its counters
//! to where all may read ([`Told`]).

use core::fmt;

use crate::sync::{AtomicU64, Ordering};

#[cfg(test)]
mod tests;

/// Why a guest was left. The numbers are those of the cell ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// An HVC.
    Hvc = 0,
    /// An SMC.
    Smc = 1,
    /// A System register or instruction but ICC_SGI1R_EL1: mostly an ID register.
    Sysreg = 2,
    /// A write to ICC_SGI1R_EL1.
    Sgi = 3,
    /// An access to the distributor.
    Gicd = 4,
    /// An access to a redistributor.
    Gicr = 5,
    /// An access to the virtual UART.
    Uart = 6,
    /// An access to the watchdog.
    Watchdog = 7,
    /// A load, store or fetch that no device answered.
    Abort = 8,
    /// A WFI or WFE that trapped.
    Wait = 9,
    /// Any other class of exception.
    Other = 10,
    /// An interrupt of its cell, which was forwarded.
    Interrupt = 11,
    /// An interrupt of EL2's own, or of nobody. Not for the cell to see: others may have caused it.
    Own = 12,
}

/// How many reasons there are.
const REASONS: usize = 13;
/// Those that a cell may read, which it causes all by itself.
const VISIBLE: usize = Reason::Own as usize;

/// What each is called on the console.
const NAMES: [&str; REASONS] = [
    "hvc",
    "smc",
    "sysreg",
    "sgi",
    "gicd",
    "gicr",
    "uart",
    "watchdog",
    "abort",
    "wait",
    "other",
    "interrupt",
    "el2",
];

/// Ticks at EL2, counted on request only.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    /// Since when.
    begun: u64,
    /// When the guest was left last.
    left: u64,
    /// At EL2 since then.
    ticks: u64,
}

/// The counters of a vCPU, from the beginning of its cell's life on.
#[derive(Clone, Debug, Default)]
pub struct Exits {
    counts: [u64; REASONS],
    /// The life that they belong to.
    life: u32,
    clock: Option<Clock>,
}

impl Exits {
    /// One more.
    #[inline(always)]
    pub fn count(&mut self, reason: Reason) {
        if let Some(count) = self.counts.get_mut(reason as usize) {
            *count = count.wrapping_add(1);
        }
    }

    /// The last one that was counted as `from` was `to`.
    #[cold]
    pub fn correct(&mut self, from: Reason, to: Reason) {
        if let Some(count) = self.counts.get_mut(from as usize) {
            *count = count.wrapping_sub(1);
        }
        self.count(to);
    }

    /// What a cell reads of its own vCPU: the counter of this number, if it has one for its eyes.
    pub fn visible(&self, number: u64) -> Option<u64> {
        self.counts.get(..VISIBLE)?.get(usize::try_from(number).ok()?).copied()
    }

    /// The vCPU starts, in this life of its cell: one that has another life's counters begins anew.
    pub fn start(&mut self, life: u32) {
        if self.life != life {
            (self.counts, self.life) = ([0; REASONS], life);
        }
    }

    /// Ticks are to be counted from `now` on, or not any more.
    pub fn time(&mut self, on: bool, now: u64) {
        if on != self.clock.is_some() {
            self.clock = on.then_some(Clock { begun: now, left: now, ticks: 0 });
        }
    }

    /// Whether ticks are counted.
    pub fn is_timed(&self) -> bool {
        self.clock.is_some()
    }

    /// The guest is about to be entered.
    pub fn entering(&mut self, now: u64) {
        if let Some(clock) = &mut self.clock {
            clock.ticks = clock.ticks.saturating_add(now.saturating_sub(clock.left));
        }
    }

    /// The guest was left.
    pub fn left(&mut self, now: u64) {
        if let Some(clock) = &mut self.clock {
            clock.left = now;
        }
    }

    /// Copies all to where other CPUs may read.
    pub fn tell(&self, told: &Told, now: u64) {
        for (to, count) in told.counts.iter().zip(self.counts) {
            to.store(count, Ordering::Relaxed);
        }
        let (ticks, of) = self.clock.map_or((0, 0), |c| (c.ticks, now.saturating_sub(c.begun)));
        told.ticks.store(ticks, Ordering::Relaxed);
        told.of.store(of, Ordering::Relaxed);
    }
}

/// What a vCPU's CPU told last: as of when it was asked, or of when the vCPU went off. Figures for a person, so each is right by itself and
/// no more.
#[derive(Debug, Default)]
pub struct Told {
    counts: [AtomicU64; REASONS],
    ticks: AtomicU64,
    of: AtomicU64,
}

impl fmt::Display for Told {
    /// Those that are not zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = 0u64;
        for (name, count) in NAMES.iter().zip(&self.counts) {
            let count = count.load(Ordering::Relaxed);
            all = all.wrapping_add(count);
            if count != 0 {
                write!(f, "{name} {count}, ")?;
            }
        }
        write!(f, "all {all}")?;
        match self.of.load(Ordering::Relaxed) {
            0 => Ok(()),
            of => write!(f, "; {} of {of} ticks at EL2", self.ticks.load(Ordering::Relaxed)),
        }
    }
}
