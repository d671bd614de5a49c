//! A vCPU's list registers, from the CPU that runs it.

use core::sync::atomic::Ordering;

use super::GicPorts;
use super::bank::{Bank, bits};
use super::cell::{CellGic, VcpuShared};
use super::errand::Errand;
use super::lr::{Lr, State};
use super::offsets::{ICENABLER, ICPENDR, ISENABLER};
use super::queue::{LINE, PARKED, Queue, REPORTING};
use super::sender;
use super::shared::GicShared;
use super::spi::VirtualSpi;
use crate::cpu::{PcpuId, VcpuId};
use crate::inbox::{Request, Requests};
use crate::intid::Sgi;
use crate::ports::GicVersion;

/// ICH_HCR_EL2.En.
pub(super) const HCR_EN: u32 = 1 << 0;
/// ICH_HCR_EL2.NPIE.
pub(super) const HCR_NPIE: u32 = 1 << 3;

/// What a physical interrupt was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Irq {
    /// The guest's; it is on its way.
    Guest,
    /// The inbox has something.
    Kick,
    /// EL2's timer or console; the caller deactivates this INTID once it has answered.
    Own(u32),
    /// None that needs more: maintenance, done, or spurious.
    None,
    /// Nobody's here: this INTID. It is masked now.
    Foreign(u32),
}

/// One for each vCPU, owned by its CPU.
#[derive(Debug)]
pub struct VcpuGic {
    pub(super) me: VcpuId,
    pub(super) cpu: PcpuId,
    /// How many list registers there are, and a bit for each.
    pub(super) lr_count: usize,
    pub(super) all_lrs: u32,
    pub(super) queue: Queue,
    /// Something came into the queue since list registers were last filled from it.
    pub(super) stirred: bool,
    life: u32,
    /// Of each SGI that is in the queue, which vCPUs sent it, in a GICv2.
    pub(super) senders: [u8; 16],
    /// [`crate::ports::VirtualInterface::forgets_lines`].
    relays: bool,
}

impl Default for VcpuGic {
    fn default() -> Self {
        Self::new()
    }
}

impl VcpuGic {
    /// Of a vCPU that is off.
    pub const fn new() -> Self {
        Self {
            me: VcpuId(0),
            cpu: PcpuId(0),
            lr_count: 0,
            all_lrs: 0,
            queue: Queue::parked(),
            stirred: false,
            life: 0,
            senders: [0; 16],
            relays: false,
        }
    }

    /// Once, on its CPU, before anything else: whose it is, and all of it as it comes out of reset.
    pub fn settle(&mut self, m: &mut impl GicPorts, cell: &CellGic, me: VcpuId) {
        let Some(own) = cell.vcpu(me) else { return };
        (self.me, self.cpu) = (me, own.cpu);
        self.lr_count = m.lr_count().clamp(1, 16);
        self.all_lrs = u32::MAX.wrapping_shr(32usize.saturating_sub(self.lr_count) as u32);
        self.relays = m.forgets_lines();
        if cell.is_direct() {
            // No list register is of any use to it.
            (self.lr_count, self.all_lrs) = (0, 0);
        }
        m.admit_guests(false);
        clean(m, cell, own);
    }

    /// At each start of the vCPU, on its CPU. All of its part of the GIC is as it comes out of reset: so [`VcpuGic::park`] left
    /// it, and [`CellGic::scrub`] before its cell's first vCPU started. The CPU's inbox was emptied.
    pub fn start(&mut self, m: &mut impl GicPorts, cell: &CellGic) {
        let Some(own) = cell.vcpu(self.me) else { return };
        if own.is_touched() || !self.queue.is_empty() {
            self.forget(m.plain(), cell, own);
        }
        self.life = cell.life.load(Ordering::Relaxed);
        // What came for a vCPU that is off is latched at its redistributor.
        Bank::Private(self.cpu).write(m, ICPENDR, cell.private());
        m.admit_guests(true);
        self.queue.mark(PARKED, false);
        if let Some(direct) = &cell.direct {
            return direct.lend(m.plain(), self.cpu);
        }
        m.set_ich_hcr(if cell.is_enabled() { HCR_EN } else { 0 });
        // One that is enabled later says so.
        self.queue.mark(LINE, cell.virtual_spis.iter().any(VirtualSpi::is_enabled));
    }

    /// What other vCPUs did to the redistributor of one that was off is undone. What came for it goes back to where the guest can
    /// reach it, unless it is of a former life.
    #[cold]
    #[inline(never)]
    fn forget(&mut self, m: &mut impl GicPorts, cell: &CellGic, own: &VcpuShared) {
        let life = cell.life.load(Ordering::Relaxed);
        self.senders = [0; 16];
        for intid in core::mem::replace(&mut self.queue, Queue::parked()).iter().filter(|id| *id >= 32) {
            if life == self.life {
                Bank::of(intid, self.cpu).pend_again(m, intid);
                m.deactivate(intid);
            }
        }
        clean(m, cell, own);
    }

    /// When the vCPU goes off, or its cell stops: what it had not acknowledged goes back to the physical GIC, SPIs that it had
    /// stay active there, and all that is its own is as it comes out of reset. What comes later waits for [`VcpuGic::start`].
    pub fn park(&mut self, m: &mut impl GicPorts, cell: &CellGic) {
        if self.queue.has(PARKED) {
            return;
        }
        if let Some(direct) = &cell.direct {
            direct.take_back(m, self.cpu);
        } else {
            self.give_back_all(m, cell);
        }
        m.admit_guests(false);
        self.queue = Queue::parked();
        self.senders = [0; 16];
        if let Some(own) = cell.vcpu(self.me) {
            clean(m, cell, own);
        }
    }

    /// A physical interrupt is pending: acknowledges one and deals with it.
    pub fn on_irq(&mut self, m: &mut impl GicPorts, cell: &CellGic, shared: &GicShared) -> Irq {
        match self.take(m, cell) {
            Ok(()) => Irq::Guest,
            Err(intid) if m.version() == GicVersion::V3 && intid == shared.sgi.kick.intid() => {
                m.end(intid);
                Irq::Kick
            }
            Err(intid) => self.on_other_irq(m.plain(), cell, shared, intid),
        }
    }

    /// Acknowledges an interrupt. One of the guest's is on its way then; another is the caller's, for
    /// [`VcpuGic::on_other_irq`].
    #[inline(always)]
    pub fn take<M: GicPorts>(&mut self, m: &mut M, cell: &CellGic) -> Result<(), u32> {
        let intid = m.acknowledge();
        if !cell.owned.contains(intid) {
            return Err(intid);
        }
        let priority = m.running_priority();
        if intid < 16 {
            m.end(intid);
        } else {
            m.drop_priority(intid);
        }
        let lr = self.physical(m, intid, priority);
        self.raise(m, cell, lr);
        if m.version() == GicVersion::V2 && lr.reports() {
            self.queue.mark(REPORTING, true);
        }
        Ok(())
    }

    /// How an interrupt that arrived goes into a list register.
    #[inline(always)]
    pub(super) fn physical(&self, m: &impl GicPorts, intid: u32, priority: u8) -> Lr {
        let lr = Lr::pending(intid, priority);
        if m.version() == GicVersion::V2 && self.relays && lr.hw() { lr.reporting() } else { lr }
    }

    /// An SGI of the guest to itself: the way through the physical GIC and back would cost it a second exit. Whether it could
    /// go into a list register at once: where nothing else is there to be put in order with, and the redistributor would
    /// signal it.
    #[inline(always)]
    pub(super) fn raise_own(&mut self, m: &mut impl GicPorts, cell: &CellGic, sgi: Sgi) -> bool {
        let (intid, bank) = (sgi.intid(), Bank::Private(self.cpu));
        if !self.queue.is_quiet() || m.empty_lrs() != self.all_lrs {
            return false;
        }
        let forced =
            cell.forced(0, Some(self.me)).is_none_or(|word| word.load(Ordering::Relaxed) >> intid & 1 != 0);
        if forced || bank.read_at_once(m, ISENABLER) >> intid & 1 == 0 {
            return false;
        }
        let priority = bank.priority_at_once(m, intid);
        m.set_lr(0, Lr::software(intid, priority).into());
        true
    }

    /// Puts an interrupt into a list register, or into the queue.
    #[inline(always)]
    pub(super) fn raise(&mut self, m: &mut impl GicPorts, cell: &CellGic, lr: Lr) {
        if self.queue.is_quiet() && m.empty_lrs() == self.all_lrs {
            m.set_lr(0, lr.into());
        } else {
            self.place(m.plain(), cell, lr);
        }
    }

    /// The same where list registers or the queue hold something.
    #[inline(never)]
    fn place(&mut self, m: &mut impl GicPorts, cell: &CellGic, lr: Lr) {
        self.reap(m, cell);
        let intid = lr.vintid();
        let twin = self.lrs(m).find(|(_, lr)| lr.vintid() == intid);
        if let Some((n, twin)) = twin {
            return self.join(m, n, twin);
        }
        let empty = m.empty_lrs() & self.all_lrs;
        if self.queue.is_empty() && !self.queue.has(PARKED) && empty != 0 {
            m.set_lr(empty.trailing_zeros() as usize, lr.into());
        } else {
            self.queue.insert(intid);
            self.stirred = true;
        }
    }

    /// An interrupt came again while it is in list register `n`. Pending ones merge. An SGI becomes active and pending, or
    /// waits where others wait that may have to go before it (see `fill`).
    /// Another can only come so if the guest made a mess of ISACTIVER; it waits in the physical GIC.
    fn join(&mut self, m: &mut impl GicPorts, n: usize, twin: Lr) {
        if twin.state().pending() {
            return;
        }
        if twin.vintid() < 16 {
            if self.queue.is_empty() {
                m.set_lr(n, twin.with_state(State::PendingActive).into());
            } else {
                self.queue.insert(twin.vintid());
                self.stirred = true;
            }
        } else {
            Bank::of(twin.vintid(), self.cpu).pend_again(m, twin.vintid());
        }
    }

    /// An interrupt that [`VcpuGic::take`] did not know.
    #[cold]
    #[inline(never)]
    pub fn on_other_irq<M: GicPorts>(
        &mut self,
        m: &mut M,
        cell: &CellGic,
        shared: &GicShared,
        intid: u32,
    ) -> Irq {
        if m.version() == GicVersion::V2 && intid & sender::SENT != 0 {
            return self.on_sgi(m, cell, shared, intid);
        }
        if (1020..1024).contains(&intid) {
            return Irq::None;
        }
        m.drop_priority(intid);
        if intid == shared.ppis.alarm.intid() || shared.console.is_some_and(|spi| spi.intid() == intid) {
            return Irq::Own(intid);
        }
        let irq = if intid == shared.sgi.kick.intid() {
            Irq::Kick
        } else if intid == shared.ppis.maintenance.intid() {
            self.maintain(m, cell);
            Irq::None
        } else {
            // INTIDs above are LPIs or in the extended ranges; `physical` has all of these off.
            if intid < 1020 {
                Bank::of(intid, self.cpu).write(m, ICENABLER, 1 << (intid % 32));
            }
            Irq::Foreign(intid)
        };
        m.deactivate(intid);
        irq
    }

    /// What other CPUs asked of this one; called with what [`crate::inbox::Inbox::take`] brought.
    pub fn on_requests(&mut self, m: &mut impl GicPorts, cell: &CellGic, requests: Requests) {
        if requests.has(Request::Retract) {
            self.sync_enable(m, cell);
            for errand in Errand::ALL {
                let Some(own) = cell.vcpu(self.me) else { return };
                for (word, bits) in own.errands.take(errand) {
                    self.perform(m, cell, errand, word, bits);
                }
            }
        }
        if requests.has(Request::Sgi) {
            self.raise_soft(m, cell);
        }
        if requests.has(Request::Line) {
            self.look_at_line();
        }
    }

    /// Does what a register write asks of this vCPU's list registers.
    #[inline(never)]
    pub(super) fn perform(
        &mut self,
        m: &mut impl GicPorts,
        cell: &CellGic,
        errand: Errand,
        word: u32,
        bits: u32,
    ) {
        match errand {
            Errand::ClearActive => self.clear_active(m, cell, word, bits),
            Errand::ClearPending => self.clear_pending(m, cell, word, bits),
            Errand::GiveBack => self.give_back(m, cell, word, bits),
        }
    }

    /// Brings GICD_CTLR.EnableGrp1 to this CPU.
    pub(super) fn sync_enable(&self, m: &mut impl GicPorts, cell: &CellGic) {
        if !self.queue.has(PARKED) && !cell.is_direct() {
            let hcr = m.ich_hcr() & !HCR_EN;
            m.set_ich_hcr(if cell.is_enabled() { hcr | HCR_EN } else { hcr });
        }
    }

    /// Raises those SGIs that travel as bits and are both pending and enabled.
    pub(super) fn raise_soft<M: GicPorts>(&mut self, m: &mut M, cell: &CellGic) {
        let Some(own) = cell.vcpu(self.me).filter(|_| !self.queue.has(PARKED)) else { return };
        let enabled = own.soft_enabled.load(Ordering::Relaxed);
        let ready = own.soft_pending.fetch_and(!enabled, Ordering::Acquire) & enabled;
        for (intid, priority) in (0..16).zip(&own.soft_priority) {
            if m.version() == GicVersion::V2 && ready >> intid & 1 != 0 {
                self.raise_soft_sent(m, cell, own, intid);
            } else if ready >> intid & 1 != 0 {
                self.raise(m, cell, Lr::software(intid, priority.load(Ordering::Relaxed)));
            }
        }
    }

    /// The list registers that hold something, or report.
    pub(super) fn lrs<'m, M: GicPorts>(&self, m: &'m M) -> impl Iterator<Item = (usize, Lr)> + use<'m, M> {
        let held = !m.empty_lrs() & self.all_lrs;
        bits(held).map(move |n| (n as usize, Lr::from(m.lr(n as usize))))
    }

    /// Ends what the guest deactivated in reporting list registers.
    pub(super) fn reap(&mut self, m: &mut impl GicPorts, cell: &CellGic) {
        if !self.queue.has(REPORTING) {
            return;
        }
        let mut left = false;
        for n in 0..self.lr_count {
            let lr = Lr::from(m.lr(n));
            if !lr.reports() {
                continue;
            }
            if lr.state() == State::Invalid {
                m.set_lr(n, 0);
                self.deactivated(m, cell, lr.vintid());
            } else {
                left = true;
            }
        }
        self.queue.mark(REPORTING, left);
    }

    /// An interrupt that was active in a list register ended without hardware's knowing.
    pub(super) fn deactivated(&mut self, m: &mut impl GicPorts, cell: &CellGic, intid: u32) {
        if let Some(spi) = cell.virtual_spi(intid) {
            spi.ended();
            self.look_at_line();
        } else if intid >= 16 {
            m.deactivate(intid);
        }
    }
}

/// A vCPU's part of the GIC as it comes out of reset: private interrupts disabled, nothing pending or active, the virtual CPU
/// interface too. By its own CPU, whose list registers hold nothing that is still wanted.
fn clean(m: &mut impl GicPorts, cell: &CellGic, own: &VcpuShared) {
    m.set_ich_hcr(0);
    m.reset_virtual_interface();
    m.set_ich_vmcr(0);
    own.reset();
    Bank::Private(own.cpu).reset_private(m, cell.private(), cell.priority(0));
}
