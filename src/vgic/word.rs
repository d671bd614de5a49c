//! Registers with more than a bit for each INTID: priority, configuration, route.

use core::sync::atomic::Ordering;

use super::bank::{Bank, config_mask, of_guest};
use super::errand::Errand;
use super::identity::half;
use super::offsets::GICD_IROUTER;
use super::registers::At;
use super::spi::{self, VirtualSpi};
use super::state::{Scope, everywhere};
use super::{GicCtx, GicPorts};
use crate::cpu::{Affinity, VcpuId};
use crate::inbox::Kick;
use crate::ports::{GicVersion, Width};

/// IROUTER.Interrupt_Routing_Mode.
const IRM: u64 = 1 << 31;
/// ICFGR0: SGIs are edge-triggered.
const SGI_CONFIG: u32 = 0xaaaa_aaaa;

/// Where the INTIDs of an access are.
fn bank<M>(ctx: &GicCtx<'_, M>, at: At) -> Option<Bank> {
    match at.frame {
        None => Some(Bank::Spis(0)),
        Some(id) => ctx.cell.vcpu(id).map(|vcpu| Bank::Private(vcpu.cpu)),
    }
}

/// Whether the cell has this INTID physically, where the access looks for it.
fn owns<M>(ctx: &GicCtx<'_, M>, at: At, intid: u32) -> bool {
    (intid < 32) == at.frame.is_some() && ctx.cell.owned.contains(intid)
}

/// The virtual SPI with this INTID.
fn own_spi<'c, M>(ctx: &GicCtx<'c, M>, at: At, intid: u32) -> Option<&'c VirtualSpi> {
    ctx.cell.virtual_spi(intid).filter(|_| at.frame.is_none())
}

/// Those in an ICFGR, each with its field.
fn spi_fields<'c, M>(
    ctx: &GicCtx<'c, M>,
    at: At,
) -> impl Iterator<Item = (&'c VirtualSpi, u32)> + use<'c, M> {
    let half = at.frame.is_none().then_some(at.rel / 4);
    let spis = ctx.cell.virtual_spis.iter().filter(move |spi| Some(spi.intid / 16) == half);
    spis.map(|spi| (spi, 2 << (spi.intid % 16).wrapping_mul(2)))
}

/// Reads IPRIORITYR.
#[inline(never)]
pub(super) fn priority<M: GicPorts>(ctx: &mut GicCtx<'_, M>, at: At) -> u64 {
    let Some(bank) = bank(ctx, at) else { return 0 };
    let mut value = 0;
    for byte in 0..at.width.bytes() as u32 {
        let intid = at.rel.wrapping_add(byte);
        let priority = if owns(ctx, at, intid) {
            bank.priority(ctx.machine, intid)
        } else if let Some(spi) = own_spi(ctx, at, intid) {
            spi.priority.load(Ordering::Relaxed)
        } else {
            let soft = at.frame.and_then(|id| ctx.cell.vcpu(id)?.soft_priority.get(intid as usize));
            soft.map_or(0, |priority| priority.load(Ordering::Relaxed))
        };
        value |= u64::from(priority) << (byte & 3).wrapping_mul(8);
    }
    value
}

/// Writes IPRIORITYR. An interrupt in a list register keeps the priority with which it came.
pub(super) fn set_priority<M: GicPorts>(ctx: &mut GicCtx<'_, M>, at: At, value: u64) -> Kick {
    let Some(bank) = bank(ctx, at) else { return Kick::default() };
    for byte in 0..at.width.bytes() as u32 {
        let intid = at.rel.wrapping_add(byte);
        let priority = (value >> (byte & 3).wrapping_mul(8)) as u8;
        if owns(ctx, at, intid) {
            bank.set_priority(ctx.machine, intid, ctx.cell.priority(priority));
        } else if let Some(spi) = own_spi(ctx, at, intid) {
            spi.priority.store(of_guest(priority & 0xf8), Ordering::Relaxed);
        } else if let Some(soft) =
            at.frame.and_then(|id| ctx.cell.vcpu(id)?.soft_priority.get(intid as usize))
        {
            // As many levels as the others have at least.
            soft.store(of_guest(priority & 0xf0), Ordering::Relaxed);
        }
    }
    Kick::default()
}

/// The owned fields of an ICFGR, and which it is.
fn config_fields<M>(ctx: &GicCtx<'_, M>, at: At) -> (u32, u32) {
    let half = at.rel / 4;
    let word = if at.frame.is_some() { ctx.cell.private() } else { ctx.cell.spis.word((half / 2) as usize) };
    (half, config_mask(word, half))
}

/// Reads ICFGR.
#[inline(never)]
pub(super) fn config<M: GicPorts>(ctx: &mut GicCtx<'_, M>, at: At) -> u64 {
    let (half, mask) = config_fields(ctx, at);
    let own = spi_fields(ctx, at).filter(|(spi, _)| spi.is_edge()).fold(0, |all, (_, field)| all | field);
    let physical = match bank(ctx, at) {
        Some(Bank::Private(_)) if half == 0 => SGI_CONFIG,
        Some(bank) if mask != 0 => bank.config(ctx.machine, half) & mask,
        _ => 0,
    };
    u64::from(physical | own)
}

/// Writes ICFGR. That of the SGIs is fixed, and on a GICv2 that of the PPIs, as in a GIC-400: an implementation may let all CPUs
/// share it (QEMU's does), and a level that a neighbour made an edge is lost where it is still up.
pub(super) fn set_config<M: GicPorts>(ctx: &mut GicCtx<'_, M>, at: At, value: u64) -> Kick {
    let (half, mask) = config_fields(ctx, at);
    let fixed = at.frame.is_some() && (half == 0 || ctx.machine.version() == GicVersion::V2);
    if let Some(bank) = bank(ctx, at).filter(|_| mask != 0 && !fixed) {
        let _lock = ctx.shared.gicd.lock();
        let others = bank.config(ctx.machine, half) & !mask;
        bank.set_config(ctx.machine, half, others | value as u32 & mask);
    }
    spi_fields(ctx, at).fold(Kick::default(), |kick, (spi, field)| {
        kick.and(spi::set_edge(ctx, spi, value as u32 & field != 0))
    })
}

/// The SPI of an IROUTER access, if the cell has it.
fn routed<M>(ctx: &GicCtx<'_, M>, at: At) -> Option<u32> {
    let owned = |intid: u32| ctx.cell.spis.contains(intid) || own_spi(ctx, at, intid).is_some();
    Some(at.rel / 8).filter(|intid| owned(*intid))
}

/// The vCPU to which a physical route leads.
fn target<M: GicPorts>(ctx: &GicCtx<'_, M>, intid: u32) -> Option<VcpuId> {
    if let Some(spi) = ctx.cell.virtual_spi(intid) {
        return Some(spi.route());
    }
    let route = ctx.machine.gicd_read(GICD_IROUTER.wrapping_add(intid.wrapping_mul(8)), Width::Double);
    let affinity = Affinity::new(route)?;
    ctx.cell.vcpus().find(|(_, vcpu)| vcpu.affinity == affinity).map(|(id, _)| id)
}

/// Reads IROUTER.
#[inline(never)]
pub(super) fn route<M: GicPorts>(ctx: &mut GicCtx<'_, M>, at: At) -> u64 {
    let Some(intid) = routed(ctx, at) else { return 0 };
    half(target(ctx, intid).map_or(0, |id| id.affinity().get()), at)
}

/// Writes IROUTER. 1 of N becomes vCPU 0; a route to no vCPU of the cell is not taken. What waits for the guest elsewhere
/// follows the route.
pub(super) fn set_route<M: GicPorts>(ctx: &mut GicCtx<'_, M>, at: At, value: u64) -> Kick {
    let Some(intid) = routed(ctx, at) else { return Kick::default() };
    let before = target(ctx, intid);
    let wanted = match (at.width, at.rel & 4) {
        (Width::Double, _) => value,
        // Aff3, which no vCPU has.
        (_, 4) => value << 32 | before.map_or(0, |id| id.affinity().get()),
        _ => value,
    };
    let to = if wanted & IRM != 0 {
        Some(VcpuId(0))
    } else {
        Affinity::new(wanted).and_then(VcpuId::from_affinity)
    };
    let Some((to, vcpu)) = to.and_then(|id| Some((id, ctx.cell.vcpu(id)?))) else { return Kick::default() };
    if before == Some(to) {
        return Kick::default();
    }
    if let Some(spi) = own_spi(ctx, at, intid) {
        return spi::set_route(ctx, spi, to);
    }
    let at = GICD_IROUTER.wrapping_add(intid.wrapping_mul(8));
    ctx.machine.gicd_write(at, Width::Double, vcpu.affinity.get());
    let (word, bit) = (intid / 32, 1 << (intid % 32));
    let Some(scope) = Scope::of(ctx.cell, None, word) else { return Kick::default() };
    everywhere(ctx, scope, bit, Errand::GiveBack)
}
