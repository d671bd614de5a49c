//! The interrupts that wait for a list register: one bit an INTID, so that nothing is ever in it twice and it is never full.

use super::bank::bits;
use crate::intid::INTIDS;

/// The queue, and three marks beside it, so that one load tells whether anything at all is to be done.
#[derive(Debug)]
pub(super) struct Queue {
    words: [u32; 32],
    /// Bit n: word n is not 0. Above them the marks.
    summary: u64,
}

const WORDS: u64 = 0xffff_ffff;
/// The vCPU is off: nothing goes into list registers.
pub(super) const PARKED: u64 = 1 << 32;
/// Some list register reports its deactivation ([`super::lr::Lr::reports`]).
pub(super) const REPORTING: u64 = 1 << 33;
/// The virtual SPIs are to be looked at ([`super::vcpu::VcpuGic::sync_lines`]).
pub(super) const LINE: u64 = 1 << 34;

impl Queue {
    pub(super) const fn parked() -> Self {
        Self { words: [0; 32], summary: PARKED }
    }

    /// No interrupt, no mark.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        self.summary == 0
    }

    /// No interrupt.
    pub(super) fn is_empty(&self) -> bool {
        self.summary & WORDS == 0
    }

    pub(super) fn has(&self, mark: u64) -> bool {
        self.summary & mark != 0
    }

    pub(super) fn mark(&mut self, mark: u64, on: bool) {
        self.summary = if on { self.summary | mark } else { self.summary & !mark };
    }

    pub(super) fn word(&self, n: u32) -> u32 {
        self.words.get(n as usize).copied().unwrap_or(0)
    }

    pub(super) fn insert(&mut self, intid: u32) {
        if intid < INTIDS
            && let Some(word) = self.words.get_mut((intid / 32) as usize)
        {
            *word |= 1 << (intid % 32);
            self.summary |= 1 << (intid / 32);
        }
    }

    pub(super) fn remove(&mut self, intid: u32) {
        self.take(intid / 32, 1 << (intid % 32));
    }

    /// Takes these bits out of a word; those that were in.
    pub(super) fn take(&mut self, n: u32, bits: u32) -> u32 {
        let Some(word) = self.words.get_mut(n as usize) else { return 0 };
        let taken = *word & bits;
        *word &= !bits;
        if *word == 0 {
            self.summary &= !(1 << n);
        }
        taken
    }

    /// The members in rising order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        bits((self.summary & WORDS) as u32)
            .flat_map(|n| bits(self.word(n)).map(move |bit| n.wrapping_mul(32).wrapping_add(bit)))
    }
}
