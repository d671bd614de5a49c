//! This CPU's list registers and queue, seen as what they are to the guest: pending and active state of the distributor.
//! The physical GIC has an interrupt that sits in one of them as active, whatever the guest did about it (and an SGI as nothing).

use core::sync::atomic::Ordering;

use super::GicPorts;
use super::bank::{Bank, bits};
use super::cell::CellGic;
use super::lr::{Lr, State};
use super::offsets::ISPENDR;
use super::vcpu::VcpuGic;
use crate::ports::GicVersion;

/// What of 32 INTIDs is here, a bit each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    pub(super) pending: u32,
    pub(super) active: u32,
}

impl Held {
    pub(super) fn any(self) -> u32 {
        self.pending | self.active
    }
}

/// Of an interrupt that is taken out before the guest saw it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It stays pending, physically.
    Keep,
    /// It is gone.
    Drop,
}

impl VcpuGic {
    /// What is here of a word of INTIDs.
    pub(super) fn held(&mut self, m: &mut impl GicPorts, cell: &CellGic, word: u32) -> Held {
        self.reap(m, cell);
        let mut held = Held { pending: self.queue.word(word), active: 0 };
        for (_, lr) in self.lrs(m).filter(|(_, lr)| lr.vintid() / 32 == word) {
            let bit = 1 << (lr.vintid() % 32);
            held.pending |= if lr.state().pending() { bit } else { 0 };
            held.active |= if lr.state().active() { bit } else { 0 };
        }
        held
    }

    /// Drops pending interrupts: ICPENDR.
    pub(super) fn clear_pending(&mut self, m: &mut impl GicPorts, cell: &CellGic, word: u32, bits: u32) {
        self.withdraw(m, cell, word, bits, Fate::Drop);
    }

    /// Gives pending interrupts back to the physical GIC: they were disabled, or routed elsewhere.
    pub(super) fn give_back(&mut self, m: &mut impl GicPorts, cell: &CellGic, word: u32, bits: u32) {
        self.withdraw(m, cell, word, bits, Fate::Keep);
    }

    fn withdraw<M: GicPorts>(&mut self, m: &mut M, cell: &CellGic, word: u32, chosen: u32, fate: Fate) {
        self.reap(m, cell);
        for n in 0..self.lr_count {
            let lr = Lr::from(m.lr(n));
            if !lr.state().pending() || !is_in(lr.vintid(), word, chosen) {
                continue;
            }
            let left =
                if lr.state() == State::PendingActive { lr.with_state(State::Active) } else { Lr::new() };
            m.set_lr(n, left.into());
            self.release(m, cell, lr.vintid(), lr.sender(), fate);
        }
        for bit in bits(self.queue.take(word, chosen)) {
            let intid = word.wrapping_mul(32).wrapping_add(bit);
            let senders = if m.version() == GicVersion::V2 { self.take_senders(intid) } else { 0 };
            self.release(m, cell, intid, senders, fate);
        }
    }

    /// Ends what holds an interrupt here physically, once no list register has it. `senders` is of SGIs of a GICv2.
    fn release<M: GicPorts>(&self, m: &mut M, cell: &CellGic, intid: u32, senders: u8, fate: Fate) {
        if let Some(spi) = cell.virtual_spi(intid) {
            return spi.put_back();
        }
        let bank = Bank::of(intid, self.cpu);
        if intid >= 16 {
            if fate == Fate::Keep {
                bank.pend_again(m, intid);
            }
            m.deactivate(intid);
        } else if fate == Fate::Keep && m.version() == GicVersion::V2 {
            self.send_again(m, cell, intid, senders);
        } else if fate == Fate::Keep {
            if cell.owned.contains(intid) {
                bank.write(m, ISPENDR, 1 << intid);
            } else if let Some(own) = cell.vcpu(self.me) {
                own.soft_pending.fetch_or(1 << intid, Ordering::Relaxed);
            }
        }
    }

    /// Ends active interrupts: ICACTIVER. Pending ones are not concerned.
    pub(super) fn clear_active(&mut self, m: &mut impl GicPorts, cell: &CellGic, word: u32, chosen: u32) {
        self.reap(m, cell);
        for n in 0..self.lr_count {
            let lr = Lr::from(m.lr(n));
            if !lr.state().active() || !is_in(lr.vintid(), word, chosen) {
                continue;
            }
            if lr.state() == State::PendingActive {
                m.set_lr(n, lr.with_state(State::Pending).into());
            } else {
                m.set_lr(n, 0);
                self.deactivated(m, cell, lr.vintid());
            }
        }
    }

    /// ISACTIVER on what is pending here. A pending SGI in a list register becomes active and pending there; all else goes back
    /// to the physical GIC, where SPIs and PPIs still are active. The SGIs that were dealt with, and those SPIs and PPIs.
    pub(super) fn make_active<M: GicPorts>(
        &mut self,
        m: &mut M,
        cell: &CellGic,
        word: u32,
        chosen: u32,
    ) -> (u32, u32) {
        self.reap(m, cell);
        let (mut here, mut forced) = (0, 0);
        for n in 0..self.lr_count {
            let lr = Lr::from(m.lr(n));
            if lr.state() != State::Pending || !is_in(lr.vintid(), word, chosen) {
                continue;
            }
            if lr.vintid() < 16 {
                here |= 1 << lr.vintid();
                m.set_lr(n, lr.with_state(State::PendingActive).into());
            } else {
                forced |= 1 << (lr.vintid() % 32);
                m.set_lr(n, 0);
                Bank::of(lr.vintid(), self.cpu).pend_again(m, lr.vintid());
            }
        }
        for bit in bits(self.queue.take(word, chosen)) {
            let intid = word.wrapping_mul(32).wrapping_add(bit);
            if intid < 16 {
                let senders = if m.version() == GicVersion::V2 { self.take_senders(intid) } else { 0 };
                self.release(m, cell, intid, senders, Fate::Keep);
            } else {
                forced |= 1 << bit;
                Bank::of(intid, self.cpu).pend_again(m, intid);
            }
        }
        (here, forced)
    }

    /// Empties list registers and queue: [`VcpuGic::park`].
    pub(super) fn give_back_all(&mut self, m: &mut impl GicPorts, cell: &CellGic) {
        for word in 1..32 {
            self.give_back(m, cell, word, u32::MAX);
        }
        for (_, lr) in self.lrs(m).filter(|(_, lr)| lr.vintid() >= 32) {
            if let Some(spi) = cell.virtual_spi(lr.vintid()) {
                spi.abandoned();
            } else if let Some(forced) = cell.forced(lr.vintid() / 32, None) {
                forced.fetch_or(1 << (lr.vintid() % 32), Ordering::Relaxed);
            }
        }
    }
}

fn is_in(intid: u32, word: u32, chosen: u32) -> bool {
    intid / 32 == word && chosen >> (intid % 32) & 1 != 0
}
