//! SGIs of a GICv2, which tell who sent them: those of one number that two vCPUs sent are two interrupts (IHI 0048B 3.2.3), and each
//! is delivered, with its sender in GICC_IAR. Physical ones travel as such, so hardware keeps their senders apart; in a list
//! register there is one of a number at a time (5.3.8), with its sender as CPUID, and the next waits in the queue for its end.
//!
//! CPU interfaces are the machine's, but vCPUs are what a guest knows, so each is translated both ways.

use core::sync::atomic::Ordering;

use bitfield_struct::bitfield;

use super::bank::{Bank, bits};
use super::cell::{CellGic, VcpuShared};
use super::lr::{Lr, State};
use super::queue::PARKED;
use super::registers::At;
use super::shared::GicShared;
use super::vcpu::{Irq, VcpuGic};
use super::{GicCtx, GicPorts, sgi};
use crate::cpu::SgiTarget;
use crate::inbox::Kick;
use crate::intid::Sgi;
use crate::ports::{GicVersion, Width};

/// Marks what [`crate::ports::CpuInterface::acknowledge`] gives for such an SGI.
pub(super) const SENT: u32 = 1 << 31;

/// GICC_IAR (IHI 0048B 4.4.4).
#[bitfield(u32)]
struct Iar {
    #[bits(10)]
    intid: u32,
    #[bits(3)]
    cpuid: u8,
    #[bits(19)]
    __: u32,
}

/// GICD_SGIR (IHI 0048B 4.3.15). NSATT has no meaning for a guest.
#[bitfield(u32)]
struct Sgir {
    #[bits(4)]
    intid: u32,
    #[bits(12)]
    __: u16,
    target_list: u8,
    #[bits(2)]
    filter: u8,
    #[bits(6)]
    __: u8,
}

/// Bytes from GICD_SGIR to CPENDSGIR0 and SPENDSGIR0.
const CLEAR: u32 = 0x10;
const SET: u32 = 0x20;

impl CellGic {
    /// The CPU interfaces of these vCPUs, a bit each; those of other cells are none.
    pub(super) fn interfaces(&self, vcpus: u8) -> u8 {
        let targets = bits(u32::from(vcpus)).filter_map(|id| self.target(id as usize));
        targets.fold(0, |mask, target| mask | target.interfaces())
    }

    /// The vCPUs that have these CPU interfaces.
    pub(super) fn vcpus_at(&self, interfaces: u8) -> u8 {
        let named = |id: &usize| self.target(*id).map_or(0, SgiTarget::interfaces) & interfaces != 0;
        (0..self.vcpu_count().min(8)).filter(named).fold(0, |mask, id| mask | 1 << (id & 7))
    }
}

impl VcpuGic {
    /// A physical SGI was acknowledged. One that was not sent by this cell is a leftover of who had the CPU before us.
    #[inline(never)]
    pub(super) fn on_sgi<M: GicPorts>(
        &mut self,
        m: &mut M,
        cell: &CellGic,
        shared: &GicShared,
        acknowledged: u32,
    ) -> Irq {
        let iar = Iar::from_bits(acknowledged & !SENT);
        let priority = m.running_priority();
        m.end(acknowledged & !SENT);
        if iar.intid() == shared.sgi.kick.intid() {
            return Irq::Kick;
        }
        let senders = cell.vcpus_at(1 << iar.cpuid());
        if senders == 0 || !cell.owned.contains(iar.intid()) {
            return Irq::None;
        }
        self.raise_sent(m, cell, Lr::sent(iar.intid(), priority, senders.trailing_zeros()));
        Irq::Guest
    }

    /// An SGI goes into a list register, or waits for one. It merges with one of the same sender that is pending.
    fn raise_sent<M: GicPorts>(&mut self, m: &mut M, cell: &CellGic, lr: Lr) {
        self.reap(m, cell);
        let twin = self.lrs(m).find(|(_, twin)| twin.vintid() == lr.vintid()).map(|(_, twin)| twin);
        if twin.is_some_and(|twin| twin.state().pending() && twin.sender() == lr.sender()) {
            return;
        }
        let empty = m.empty_lrs() & self.all_lrs;
        if twin.is_none() && empty != 0 && self.queue.is_empty() && !self.queue.has(PARKED) {
            m.set_lr(empty.trailing_zeros() as usize, lr.into());
        } else {
            self.await_turn(m.version(), lr);
            self.stirred = true;
        }
    }

    /// Raises an SGI that travels as bits, for each of its senders.
    pub(super) fn raise_soft_sent<M: GicPorts>(
        &mut self,
        m: &mut M,
        cell: &CellGic,
        own: &VcpuShared,
        intid: u32,
    ) {
        let place = intid as usize;
        let (Some(senders), Some(priority)) = (own.soft_senders.get(place), own.soft_priority.get(place))
        else {
            return;
        };
        let priority = priority.load(Ordering::Relaxed);
        for sender in bits(u32::from(senders.swap(0, Ordering::Relaxed))) {
            self.raise_sent(m, cell, Lr::sent(intid, priority, sender));
        }
    }

    /// Puts what was to be in a list register into the queue.
    pub(super) fn await_turn(&mut self, version: GicVersion, lr: Lr) {
        if version == GicVersion::V2
            && let Some(senders) = self.senders.get_mut(lr.vintid() as usize)
        {
            *senders |= lr.sender();
        }
        self.queue.insert(lr.vintid());
    }

    /// Takes it out of the queue, unless others sent it too: then its end is reported, for the next one.
    pub(super) fn leave_queue(&mut self, version: GicVersion, lr: Lr) -> Lr {
        if version == GicVersion::V2
            && let Some(senders) = self.senders.get_mut(lr.vintid() as usize)
        {
            *senders &= !lr.sender();
            if *senders != 0 {
                return lr.reporting();
            }
        }
        self.queue.remove(lr.vintid());
        lr
    }

    /// Who sent an SGI that is in the queue.
    pub(super) fn senders_of(&self, intid: u32) -> u8 {
        self.senders.get(intid as usize).copied().unwrap_or(0)
    }

    /// The same, and it is there no more.
    pub(super) fn take_senders(&mut self, intid: u32) -> u8 {
        self.senders.get_mut(intid as usize).map_or(0, core::mem::take)
    }

    /// Gives an SGI back to where it came from.
    pub(super) fn send_again<M: GicPorts>(&self, m: &mut M, cell: &CellGic, intid: u32, senders: u8) {
        if cell.owned.contains(intid) {
            Bank::Private(self.cpu).set_senders(m, intid, cell.interfaces(senders));
        } else if let Some(own) = cell.vcpu(self.me)
            && let Some(place) = own.soft_senders.get(intid as usize)
        {
            place.fetch_or(senders, Ordering::Relaxed);
            own.soft_pending.fetch_or(1 << intid, Ordering::Relaxed);
        }
    }

    /// Whose SGIs of a number are pending here, in list registers or the queue.
    fn held_senders<M: GicPorts>(&mut self, m: &mut M, cell: &CellGic, intid: u32) -> u8 {
        self.reap(m, cell);
        let held = self.lrs(m).filter(|(_, lr)| lr.vintid() == intid && lr.state().pending());
        held.fold(self.senders_of(intid), |senders, (_, lr)| senders | lr.sender())
    }

    /// Drops them.
    fn drop_senders<M: GicPorts>(&mut self, m: &mut M, cell: &CellGic, intid: u32, senders: u8) {
        self.reap(m, cell);
        if let Some(waiting) = self.senders.get_mut(intid as usize) {
            *waiting &= !senders;
            if *waiting == 0 {
                self.queue.remove(intid);
            }
        }
        for n in 0..self.lr_count {
            let lr = Lr::from(m.lr(n));
            if lr.vintid() == intid && lr.state().pending() && lr.sender() & senders != 0 {
                let active = lr.state() == State::PendingActive;
                m.set_lr(n, if active { lr.with_state(State::Active).into() } else { 0 });
            }
        }
        self.stirred = true;
    }
}

/// Reads SPENDSGIR or CPENDSGIR: for each SGI the vCPUs by which it is pending. GICD_SGIR is write only.
#[inline(never)]
pub(super) fn read<M: GicPorts>(ctx: &mut GicCtx<'_, M>, at: At) -> u64 {
    if at.rel < CLEAR {
        return 0;
    }
    let mut value = 0;
    for byte in 0..at.width.bytes() as u32 {
        let intid = at.rel.wrapping_add(byte) & 0xf;
        let Some(own) = ctx.cell.vcpu(ctx.me) else { return 0 };
        let there = if ctx.cell.owned.contains(intid) {
            ctx.cell.vcpus_at(Bank::Private(own.cpu).senders(ctx.machine, intid))
        } else {
            own.soft_senders.get(intid as usize).map_or(0, |senders| senders.load(Ordering::Relaxed))
        };
        let pending = there | ctx.vcpu.held_senders(ctx.machine, ctx.cell, intid);
        value |= u64::from(pending) << (byte & 3).wrapping_mul(8);
    }
    value
}

/// Writes GICD_SGIR, CPENDSGIR or SPENDSGIR.
pub(super) fn write<M: GicPorts>(ctx: &mut GicCtx<'_, M>, at: At, value: u64) -> Kick {
    if at.rel < CLEAR {
        if at.rel == 0 && at.width == Width::Word {
            generate(ctx, Sgir::from_bits(value as u32));
        }
        return Kick::default();
    }
    for byte in 0..at.width.bytes() as u32 {
        let intid = at.rel.wrapping_add(byte) & 0xf;
        let senders = (value >> (byte & 3).wrapping_mul(8)) as u8 & ctx.cell.everyone as u8;
        if senders != 0 {
            set_or_clear(ctx, intid, senders, at.rel >= SET);
        }
    }
    Kick::default()
}

fn set_or_clear<M: GicPorts>(ctx: &mut GicCtx<'_, M>, intid: u32, senders: u8, set: bool) {
    let Some(own) = ctx.cell.vcpu(ctx.me) else { return };
    let soft = own.soft_senders.get(intid as usize).filter(|_| ctx.cell.soft_sgis() >> intid & 1 != 0);
    if set {
        if ctx.cell.owned.contains(intid) || soft.is_some() {
            ctx.vcpu.send_again(ctx.machine, ctx.cell, intid, senders);
            ctx.vcpu.raise_soft(ctx.machine, ctx.cell);
        }
        return;
    }
    if let Some(place) = soft {
        place.fetch_and(!senders, Ordering::Relaxed);
    } else if ctx.cell.owned.contains(intid) {
        Bank::Private(own.cpu).clear_senders(ctx.machine, intid, ctx.cell.interfaces(senders));
    }
    if !ctx.cell.is_direct() {
        ctx.vcpu.drop_senders(ctx.machine, ctx.cell, intid, senders);
    }
}

/// Sends one, to vCPUs of the cell alone.
fn generate<M: GicPorts>(ctx: &mut GicCtx<'_, M>, request: Sgir) {
    let Some(sgi) = Sgi::new(request.intid()) else { return };
    let (everyone, me) = (ctx.cell.everyone & 0xff, 1 << (ctx.me.0 & 7));
    let targets = match request.filter() {
        0 => u64::from(request.target_list()) & everyone,
        1 => everyone & !me,
        2 => me,
        _ => 0,
    };
    if ctx.cell.owned.contains(sgi.intid()) {
        sgi::send(ctx.machine, ctx.cell, sgi, targets);
    } else if ctx.cell.soft_sgis() >> sgi.intid() & 1 != 0 {
        sgi::send_soft(ctx, sgi, targets);
    }
}
