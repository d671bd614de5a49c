//! More pending interrupts than list registers. The highest are in list registers, the others in the queue; the
//! maintenance interrupt calls when it is the queue's turn, and is armed only then.

use core::hint::cold_path;
use core::sync::atomic::Ordering;

use arrayvec::ArrayVec;

use super::GicPorts;
use super::bank::Bank;
use super::cell::CellGic;
use super::lr::{Lr, State};
use super::queue::{LINE, PARKED, REPORTING};
use super::vcpu::{HCR_NPIE, VcpuGic};
use crate::cpu::CpuSet;
use crate::ports::GicVersion;

/// The most list registers that the architecture has.
const MAX_LRS: usize = 16;

impl VcpuGic {
    /// Before each entry: brings into list registers what waits for them. CPUs that come back must look at the virtual SPIs
    /// ([`crate::inbox::Request::Line`]).
    #[inline]
    pub fn flush(&mut self, m: &mut impl GicPorts, cell: &CellGic) -> CpuSet {
        if self.queue.is_quiet() {
            return CpuSet::default();
        }
        cold_path();
        self.refill(m.plain(), cell)
    }

    /// The maintenance interrupt.
    pub(super) fn maintain(&mut self, m: &mut impl GicPorts, cell: &CellGic) {
        self.stirred = true;
        self.fill(m, cell);
    }

    #[inline(never)]
    fn refill(&mut self, m: &mut impl GicPorts, cell: &CellGic) -> CpuSet {
        self.reap(m, cell);
        let mut others = CpuSet::default();
        if self.queue.has(LINE) && !self.queue.has(PARKED) {
            self.queue.mark(LINE, false);
            others = self.sync_lines(m, cell);
        }
        self.fill(m, cell);
        others
    }

    /// Afterwards nothing in the queue is higher than what is pending in a list register. That counts the SGIs that are active
    /// and pending: once ended such a one is pending, and the guest may acknowledge it without our being asked, as only a list
    /// register that becomes invalid reports its deactivation (ICH_EISR_EL2, IHI 0069H 12.4.3). So those have to compete too:
    /// their pending half takes its turn in the queue, and comes back to the list register where the active half stayed.
    fn fill<M: GicPorts>(&mut self, m: &mut M, cell: &CellGic) {
        self.reap(m, cell);
        if self.queue.has(PARKED) || !self.stirred && m.empty_lrs() & self.all_lrs == 0 {
            return;
        }
        self.stirred = false;
        self.part_active(m);
        for &lr in &self.highest(m, cell) {
            let twin = self.lrs(m).find(|(_, twin)| twin.vintid() == lr.vintid());
            if m.version() == GicVersion::V2
                && lr.vintid() < 16
                && let Some((n, twin)) = twin
            {
                // One of that number is enough, and it has one sender: this one comes when that has ended.
                m.set_lr(n, twin.reporting().into());
                self.queue.mark(REPORTING, true);
                continue;
            }
            if let Some((n, twin)) = twin {
                self.queue.remove(lr.vintid());
                m.set_lr(n, twin.with_state(State::PendingActive).into());
                continue;
            }
            let empty = m.empty_lrs() & self.all_lrs;
            let n = if empty != 0 {
                empty.trailing_zeros() as usize
            } else if let Some((n, victim)) = self.lowest(m).filter(|(_, low)| low.priority() > lr.priority())
            {
                self.await_turn(m.version(), victim);
                n
            } else {
                break;
            };
            let lr = self.leave_queue(m.version(), lr);
            if lr.reports() {
                self.queue.mark(REPORTING, true);
            }
            m.set_lr(n, lr.into());
        }
        self.arm(m);
    }

    /// Puts the pending half of SGIs that are active and pending into the queue, if something waits there.
    fn part_active<M: GicPorts>(&mut self, m: &mut M) {
        if self.queue.is_empty() {
            return;
        }
        for n in 0..self.lr_count {
            let lr = Lr::from(m.lr(n));
            if lr.state() == State::PendingActive {
                m.set_lr(n, lr.with_state(State::Active).into());
                self.await_turn(m.version(), lr);
            }
        }
    }

    /// The highest of the queue, at most as many as there are list registers, in order.
    fn highest<M: GicPorts>(&self, m: &M, cell: &CellGic) -> ArrayVec<Lr, MAX_LRS> {
        let mut best = ArrayVec::<Lr, MAX_LRS>::new();
        for intid in self.queue.iter() {
            let mut lr = cell
                .virtual_spi(intid)
                .map_or_else(|| self.physical(m, intid, self.priority(m, cell, intid)), |spi| spi.lr());
            if m.version() == GicVersion::V2 && intid < 16 {
                lr = Lr::sent(intid, lr.priority(), self.senders_of(intid).trailing_zeros());
            }
            let place = best.partition_point(|other| other.priority() <= lr.priority());
            // From there on each moves up by one.
            for after in best.iter_mut().skip(place) {
                core::mem::swap(after, &mut lr);
            }
            if best.len() < self.lr_count {
                let _ = best.try_push(lr);
            }
        }
        best
    }

    fn priority(&self, m: &impl GicPorts, cell: &CellGic, intid: u32) -> u8 {
        if cell.owned.contains(intid) {
            return Bank::of(intid, self.cpu).priority(m, intid);
        }
        let soft = cell.vcpu(self.me).and_then(|own| own.soft_priority.get(intid as usize));
        soft.map_or(0, |priority| priority.load(Ordering::Relaxed))
    }

    /// The list register with the lowest interrupt that the guest has not acknowledged.
    fn lowest(&self, m: &impl GicPorts) -> Option<(usize, Lr)> {
        self.lrs(m).filter(|(_, lr)| lr.state() == State::Pending).max_by_key(|(_, lr)| lr.priority())
    }

    /// Asks for maintenance while something waits: when no list register is pending any more (ICH_HCR_EL2.NPIE), or, if all
    /// are active, as soon as one is not. The latter by the EOI bit of each, which stands where the physical INTID of a
    /// hardware interrupt would: it is deactivated by [`VcpuGic::reap`] then.
    fn arm(&mut self, m: &mut impl GicPorts) {
        let waiting = !self.queue.is_empty();
        let pending = self.lrs(m).any(|(_, lr)| lr.state() == State::Pending);
        let hcr = m.ich_hcr();
        let wanted = if waiting && pending { hcr | HCR_NPIE } else { hcr & !HCR_NPIE };
        if wanted != hcr {
            m.set_ich_hcr(wanted);
        }
        if waiting && !pending {
            for n in 0..self.lr_count {
                let lr = Lr::from(m.lr(n));
                // Of a GICv2 some may be empty: what waits is an SGI behind another of its number.
                if lr.state() != State::Invalid {
                    m.set_lr(n, lr.reporting().into());
                }
            }
            self.queue.mark(REPORTING, true);
        }
    }
}
