//! SGIs that a guest sends.

use core::sync::atomic::Ordering;

use bitfield_struct::bitfield;

use super::bank::wide_bits;
use super::{CellGic, GicCtx, GicPorts, GicShared, VcpuGic, kick};
use crate::cpu::{CpuSet, VcpuId};
use crate::inbox::{Inbox, Kick, Request};
use crate::intid::Sgi;
use crate::ports::{CpuInterface, GicVersion};

/// ICC_SGI1R_EL1 (IHI 0069H 12.2.18).
#[bitfield(u64)]
struct Sgi1r {
    target_list: u16,
    aff1: u8,
    #[bits(4)]
    intid: u32,
    #[bits(4)]
    __: u8,
    aff2: u8,
    irm: bool,
    #[bits(3)]
    __: u8,
    #[bits(4)]
    rs: u8,
    aff3: u8,
    __: u8,
}

/// A guest's write to ICC_SGI1R_EL1. Its targets are vCPUs of its cell; others do not exist for it. (ICC_SGI0R_EL1 and
/// ICC_ASGI1R_EL1 ask for another group than all a cell's SGIs have, and send nothing.)
#[inline(always)]
pub fn sgi1r<M: GicPorts>(
    machine: &mut M,
    vcpu: &mut VcpuGic,
    cell: &CellGic,
    shared: &GicShared,
    inboxes: &[Inbox],
    value: u64,
) {
    let request = Sgi1r::from_bits(value);
    let Some(sgi) = Sgi::new(request.intid()) else { return };
    let me = vcpu.me;
    if request.irm() || shared.sgi.physical >> sgi.intid() & 1 == 0 {
        let machine = machine.plain();
        return send_any(&mut GicCtx { machine, vcpu, cell, shared, inboxes, me }, sgi, request);
    }
    let targets = targets(request, cell.everyone);
    if targets != 1 << (me.0 & 63) || !vcpu.raise_own(machine, cell, sgi) {
        send(machine, cell, sgi, targets);
    }
}

/// As the physical SGI of the same number.
#[inline(always)]
pub(super) fn send(machine: &mut impl CpuInterface, cell: &CellGic, sgi: Sgi, targets: u64) {
    for id in wide_bits(targets) {
        if let Some(target) = cell.target(id as usize) {
            machine.send_sgi(sgi, target);
        }
    }
}

/// To all others, or as bits.
#[inline(never)]
fn send_any<M: GicPorts>(ctx: &mut GicCtx<'_, M>, sgi: Sgi, request: Sgi1r) {
    let everyone = ctx.cell.everyone;
    let is_soft = ctx.shared.sgi.physical >> sgi.intid() & 1 == 0;
    let targets = if request.irm() { everyone & !(1 << (ctx.me.0 & 63)) } else { targets(request, everyone) };
    if is_soft && ctx.cell.is_direct() {
        // It is not there (see `direct`).
    } else if is_soft {
        send_soft(ctx, sgi, targets);
    } else {
        send(ctx.machine, ctx.cell, sgi, targets);
    }
}

/// A bit for each vCPU of `all` that is named; a cluster has 16 ([`VcpuId::affinity`]).
#[inline(always)]
fn targets(request: Sgi1r, all: u64) -> u64 {
    let cluster = request.aff1();
    let somewhere = cluster < 4 && request.rs() == 0 && request.aff2() == 0 && request.aff3() == 0;
    if somewhere { u64::from(request.target_list()) << (cluster & 3).wrapping_mul(16) & all } else { 0 }
}

/// As bits, with a kick.
pub(super) fn send_soft<M: GicPorts>(ctx: &mut GicCtx<'_, M>, sgi: Sgi, targets: u64) {
    let mut asked = CpuSet::default();
    for (id, vcpu) in wide_bits(targets).filter_map(|id| {
        let id = VcpuId(id as u8);
        Some((id, ctx.cell.vcpu(id)?))
    }) {
        if ctx.machine.version() == GicVersion::V2
            && let Some(senders) = vcpu.soft_senders.get(sgi.intid() as usize)
        {
            senders.fetch_or(1 << (ctx.me.0 & 7), Ordering::Relaxed);
        }
        // The senders are seen by whoever sees this.
        vcpu.soft_pending.fetch_or(1 << sgi.intid(), Ordering::Release);
        if id == ctx.me {
            ctx.vcpu.raise_soft(ctx.machine, ctx.cell);
        } else if let Some(inbox) = ctx.inboxes.get(vcpu.cpu.index()) {
            vcpu.touch();
            asked.0 |= inbox.post(vcpu.cpu, Request::Sgi).0.0;
        }
    }
    kick(ctx.machine, Kick(asked), ctx.shared);
}
