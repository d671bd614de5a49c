//! ITARGETSR of a GICv2: to which CPU interfaces an interrupt goes (IHI 0048B 4.3.12). A guest names its vCPUs, the distributor has
//! the interfaces of their CPUs. One that goes to several is taken by the first that acknowledges it, as on any GICv2.

use super::bank::bits;
use super::errand::Errand;
use super::offsets::ITARGETSR;
use super::registers::At;
use super::state::{Scope, everywhere};
use super::{GicCtx, GicPorts, spi};
use crate::cpu::VcpuId;
use crate::inbox::Kick;
use crate::ports::Width;

/// Reads ITARGETSR. A vCPU's own interrupts go to it; where it is alone, all read as zero.
#[inline(never)]
pub(super) fn read<M: GicPorts>(ctx: &mut GicCtx<'_, M>, at: At) -> u64 {
    let mut value = 0;
    for byte in 0..at.width.bytes() as u32 {
        let targets = targets(ctx, at, at.rel.wrapping_add(byte));
        value |= u64::from(targets) << (byte & 3).wrapping_mul(8);
    }
    if ctx.cell.vcpu_count() > 1 { value } else { 0 }
}

fn targets<M: GicPorts>(ctx: &GicCtx<'_, M>, at: At, intid: u32) -> u8 {
    if let Some(own) = at.frame {
        let there = ctx.cell.owned.word(0) | ctx.cell.soft_sgis();
        return if there >> (intid & 31) & 1 != 0 { 1 << (own.0 & 7) } else { 0 };
    }
    if let Some(spi) = ctx.cell.virtual_spi(intid) {
        return 1 << (spi.route().0 & 7);
    }
    if !ctx.cell.spis.contains(intid) {
        return 0;
    }
    ctx.cell.vcpus_at(ctx.machine.gicd_read(ITARGETSR.wrapping_add(intid), Width::Byte) as u8)
}

/// Writes ITARGETSR. CPUs that are not the cell's are left out. The SPI of a virtual device goes to the first that is named, and
/// nowhere else if none is. What waits for the guest elsewhere follows.
pub(super) fn write<M: GicPorts>(ctx: &mut GicCtx<'_, M>, at: At, value: u64) -> Kick {
    let mut kick = Kick::default();
    if at.frame.is_some() || ctx.cell.vcpu_count() < 2 {
        return kick;
    }
    for byte in 0..at.width.bytes() as u32 {
        let intid = at.rel.wrapping_add(byte);
        let wanted = (value >> (byte & 3).wrapping_mul(8)) as u8 & ctx.cell.everyone as u8;
        if let Some(spi) = ctx.cell.virtual_spi(intid) {
            if let Some(first) = bits(u32::from(wanted)).next() {
                kick = kick.and(spi::set_route(ctx, spi, VcpuId(first as u8)));
            }
        } else if ctx.cell.spis.contains(intid) && targets(ctx, at, intid) != wanted {
            let interfaces = u64::from(ctx.cell.interfaces(wanted));
            ctx.machine.gicd_write(ITARGETSR.wrapping_add(intid), Width::Byte, interfaces);
            if let Some(scope) = Scope::of(ctx.cell, None, intid / 32) {
                kick = kick.and(everywhere(ctx, scope, 1 << (intid % 32), Errand::GiveBack));
            }
        }
    }
    kick
}
