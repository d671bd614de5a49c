//! Control and identification registers: what a cell's GIC says of itself.

use core::sync::atomic::Ordering;

use super::offsets::{
    CTLR_ARE, CTLR_DS, CTLR_ENABLE_GRP1, CTLR_RWP, GICD_CTLR, GICR_CTLR, RD_CTLR_RWP, RD_CTLR_UWP,
    V2_CTLR_ENABLE, WAKER_CHILDREN_ASLEEP, WAKER_PROCESSOR_SLEEP,
};
use super::registers::At;
use super::{GicCtx, GicPorts};
use crate::cpu::CpuSet;
use crate::inbox::{Kick, Request};
use crate::ports::{GicVersion, Width};

/// GICD_IIDR and GICR_IIDR: product `B`, of no JEP106 implementer, so that no driver applies a workaround by it.
pub(super) const IIDR: u64 = (b'B' as u64) << 24;
/// GICD_PIDR2, GICR_PIDR2: ArchRev 3, GICv3.
pub(super) const PIDR2_GICV3: u64 = 3 << 4;
/// ICPIDR2: ArchRev 2, GICv2 (IHI 0048B 4.3.20).
pub(super) const PIDR2_GICV2: u64 = 2 << 4;
/// GICD_CTLR.EnableGrp0.
const CTLR_ENABLE_GRP0: u32 = 1 << 0;

/// GICD_TYPER (IHI 0069H 12.9.40) of this hardware as a cell sees it: as many SPIs, 10 bits of INTID, no 1 of N; without LPIs,
/// messages, extended ranges, a second Security state, NMIs.
pub(super) fn typer(hardware: u32) -> u32 {
    const IT_LINES: u32 = 0x1f;
    const ID_BITS_10: u32 = 9 << 19;
    const NO_1_OF_N: u32 = 1 << 25;
    hardware & IT_LINES | ID_BITS_10 | NO_1_OF_N
}

/// GICD_TYPER of a GICv2 (IHI 0048B 4.3.2) with this many vCPUs: as many SPIs, no Security Extensions.
pub(super) fn typer_v2(hardware: u32, vcpus: usize) -> u32 {
    const IT_LINES: u32 = 0x1f;
    let highest = vcpus.saturating_sub(1).min(7) as u32;
    hardware & IT_LINES | highest << 5
}

/// Reads GICD_CTLR. All that a GICv2 has of it is one enable.
#[inline(never)]
pub(super) fn distributor_control<M: GicPorts>(ctx: &mut GicCtx<'_, M>) -> u64 {
    if ctx.machine.version() == GicVersion::V2 {
        return u64::from(if ctx.cell.is_enabled() { V2_CTLR_ENABLE } else { 0 });
    }
    let waiting = ctx.machine.gicd_read(GICD_CTLR, Width::Word) as u32 & CTLR_RWP;
    u64::from(ctx.cell.enables.load(Ordering::Relaxed) | CTLR_ARE | CTLR_DS | waiting)
}

/// Writes GICD_CTLR: the enables, which hold at each CPU of the cell.
pub(super) fn set_distributor_control<M: GicPorts>(ctx: &mut GicCtx<'_, M>, value: u64) -> Kick {
    let enables = match ctx.machine.version() {
        GicVersion::V2 if value as u32 & V2_CTLR_ENABLE != 0 => CTLR_ENABLE_GRP1,
        GicVersion::V2 => 0,
        GicVersion::V3 => value as u32 & (CTLR_ENABLE_GRP0 | CTLR_ENABLE_GRP1),
    };
    let before = ctx.cell.enables.swap(enables, Ordering::Relaxed);
    let mut asked = CpuSet::default();
    if (before ^ enables) & CTLR_ENABLE_GRP1 == 0 || ctx.cell.is_direct() {
        return Kick(asked);
    }
    ctx.vcpu.sync_enable(ctx.machine, ctx.cell);
    for (_, vcpu) in ctx.cell.vcpus().filter(|(id, _)| *id != ctx.me) {
        if let Some(inbox) = ctx.inboxes.get(vcpu.cpu.index()) {
            asked.0 |= inbox.post(vcpu.cpu, Request::Retract).0.0;
        }
    }
    Kick(asked)
}

/// Reads GICR_CTLR: no LPIs, no 1 of N; what the hardware still waits for.
#[inline(never)]
pub(super) fn redistributor_control<M: GicPorts>(ctx: &mut GicCtx<'_, M>, at: At) -> u64 {
    let Some(vcpu) = at.frame.and_then(|id| ctx.cell.vcpu(id)) else { return 0 };
    ctx.machine.gicr_read(vcpu.cpu, GICR_CTLR, Width::Word) & u64::from(RD_CTLR_RWP | RD_CTLR_UWP)
}

/// Reads GICR_TYPER: affinity and number of the vCPU, and whether it is the last (IHI 0069H 12.11.38).
#[inline(never)]
pub(super) fn redistributor_type<M: GicPorts>(ctx: &mut GicCtx<'_, M>, at: At) -> u64 {
    const LAST: u64 = 1 << 4;
    let Some(id) = at.frame.filter(|id| ctx.cell.vcpu(*id).is_some()) else { return 0 };
    let last = if id.index().saturating_add(1) == ctx.cell.vcpu_count() { LAST } else { 0 };
    let typer = u64::from(id.affinity().packed()) << 32 | u64::from(id.0) << 8 | last;
    half(typer, at)
}

/// What an access of this width finds in a register of 64 bits.
pub(super) fn half(value: u64, at: At) -> u64 {
    value >> (at.rel & 4).wrapping_mul(8) & at.width.mask()
}

/// Reads GICR_WAKER.
pub(super) fn waker<M: GicPorts>(ctx: &mut GicCtx<'_, M>, at: At) -> u64 {
    let vcpu = at.frame.and_then(|id| ctx.cell.vcpu(id));
    vcpu.map_or(0, |vcpu| u64::from(vcpu.waker.load(Ordering::Relaxed)))
}

/// Writes GICR_WAKER: the children follow at once. The physical redistributor stays awake, for kicks.
pub(super) fn set_waker<M: GicPorts>(ctx: &mut GicCtx<'_, M>, at: At, value: u64) -> Kick {
    if let Some(vcpu) = at.frame.and_then(|id| ctx.cell.vcpu(id)) {
        let asleep = value as u32 & WAKER_PROCESSOR_SLEEP != 0;
        let waker = if asleep { WAKER_PROCESSOR_SLEEP | WAKER_CHILDREN_ASLEEP } else { 0 };
        vcpu.waker.store(waker, Ordering::Relaxed);
    }
    Kick::default()
}
