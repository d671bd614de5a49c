//! SGIs that a guest sends.

use core::sync::atomic::Ordering;

use bitfield_struct::bitfield;

use super::{GicCtx, GicPorts, kick};
use crate::cpu::{CpuSet, VcpuId};
use crate::inbox::{Kick, Request};
use crate::intid::Sgi;

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
pub fn sgi1r<M: GicPorts>(ctx: &mut GicCtx<'_, M>, value: u64) {
    let request = Sgi1r::from_bits(value);
    let Some(sgi) = Sgi::new(request.intid()) else { return };
    if request.irm() {
        send(ctx, sgi, |id, me| id != me);
    } else if request.rs() == 0 && request.aff2() == 0 && request.aff3() == 0 {
        // A cluster of vCPUs has 16 (see VcpuId::affinity).
        let (cluster, list) = (request.aff1(), request.target_list());
        send(ctx, sgi, |id, _| id.0 >> 4 == cluster && list >> (id.0 & 15) & 1 != 0);
    }
}

#[inline]
fn send<M: GicPorts>(ctx: &mut GicCtx<'_, M>, sgi: Sgi, is_target: impl Fn(VcpuId, VcpuId) -> bool) {
    let physical = ctx.shared.sgi.physical >> sgi.intid() & 1 != 0;
    let mut asked = CpuSet::default();
    for (id, vcpu) in ctx.cell.vcpus().filter(|(id, _)| is_target(*id, ctx.me)) {
        if physical {
            ctx.machine.send_sgi(sgi, vcpu.affinity);
            continue;
        }
        vcpu.soft_pending.fetch_or(1 << sgi.intid(), Ordering::Relaxed);
        if id == ctx.me {
            ctx.vcpu.raise_soft(ctx.machine, ctx.cell);
        } else if let Some(inbox) = ctx.inboxes.get(vcpu.cpu.index()) {
            asked.0 |= inbox.post(vcpu.cpu, Request::Sgi).0.0;
        }
    }
    kick(ctx.machine, Kick(asked), ctx.shared);
}
