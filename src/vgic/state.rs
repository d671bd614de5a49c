//! Registers with a bit for each INTID: enable, pending, active. Most bits live in the physical GIC; what sits in this CPU's
//! list registers is folded in, what may sit in another's is asked for there, and SGIs that travel as bits live in [`CellGic`].
//!
//! [`CellGic`]: super::CellGic

use core::sync::atomic::Ordering;

use super::bank::Bank;
use super::cell::{CellGic, SGIS, VcpuShared};
use super::errand::Errand;
use super::fold::Held;
use super::offsets::{ICACTIVER, ICENABLER, ICPENDR, ISACTIVER, ISENABLER, ISPENDR};
use super::registers::Put;
use super::{GicCtx, GicPorts, spi};
use crate::cpu::{CpuSet, VcpuId};
use crate::inbox::{Kick, Request};
use crate::ports::GicRegisters;

/// 32 INTIDs as a guest reaches them.
#[derive(Clone, Copy)]
pub(super) struct Scope {
    /// Where they are physically.
    bank: Bank,
    /// INTID / 32.
    pub(super) word: u32,
    /// Whose they are, if private.
    vcpu: Option<VcpuId>,
    /// Those that are the cell's and physical.
    hw: u32,
    /// Those that are SGIs which travel as bits.
    soft: u32,
    /// Virtual SPIs, which [`super::spi`] answers for.
    pub(super) spi: u32,
}

impl Scope {
    /// A word of the distributor's, or the private ones of a vCPU; `None` where that is nothing.
    #[inline(always)]
    pub(super) fn of(cell: &CellGic, vcpu: Option<VcpuId>, word: u32) -> Option<Self> {
        let Some(id) = vcpu else {
            let hw = cell.spis.word(word as usize);
            let spi = cell.virtual_spis.word(word);
            return (hw | spi != 0).then_some(Self { bank: Bank::Spis(word), word, vcpu, hw, soft: 0, spi });
        };
        let bank = Bank::Private(cell.vcpu(id)?.cpu);
        Some(Self { bank, word: 0, vcpu, hw: cell.private(), soft: cell.soft_sgis(), spi: 0 })
    }

    /// All that the guest has.
    #[inline(always)]
    pub(super) fn owned(self) -> u32 {
        self.hw | self.soft
    }

    /// Its SGIs.
    fn sgis(self) -> u32 {
        if self.vcpu.is_some() { SGIS } else { 0 }
    }

    /// Whether this vCPU's list registers may hold them.
    fn is_mine(self, me: VcpuId) -> bool {
        self.vcpu.is_none_or(|id| id == me)
    }

    fn held<M: GicPorts>(self, ctx: &mut GicCtx<'_, M>) -> Held {
        if self.is_mine(ctx.me) { ctx.vcpu.held(ctx.machine, ctx.cell, self.word) } else { Held::default() }
    }

    fn forced<M>(self, ctx: &GicCtx<'_, M>) -> u32 {
        ctx.cell.forced(self.word, self.vcpu).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    #[inline(always)]
    fn vcpu(self, cell: &CellGic) -> Option<&VcpuShared> {
        self.vcpu.and_then(|id| cell.vcpu(id))
    }
}

/// Reads ISENABLER, ICENABLER.
pub(super) fn enabled<M: GicPorts>(ctx: &mut GicCtx<'_, M>, scope: Scope) -> u32 {
    match scope.vcpu(ctx.cell) {
        Some(vcpu) => private_enabled(ctx.machine, ctx.cell, vcpu),
        None => scope.bank.read(ctx.machine, ISENABLER) & scope.hw,
    }
}

/// Those of a vCPU's own, which drivers read often.
#[inline(always)]
pub(super) fn private_enabled(m: &impl GicRegisters, cell: &CellGic, vcpu: &VcpuShared) -> u32 {
    // Of those that travel as bits none but these has a bit here.
    let soft = vcpu.soft_enabled.load(Ordering::Relaxed);
    Bank::Private(vcpu.cpu).read_at_once(m, ISENABLER) & cell.private() | soft
}

/// Reads ISPENDR, ICPENDR.
pub(super) fn pending<M: GicPorts>(ctx: &mut GicCtx<'_, M>, scope: Scope) -> u32 {
    let soft = scope.vcpu(ctx.cell).map_or(0, |vcpu| vcpu.soft_pending.load(Ordering::Relaxed));
    scope.bank.read(ctx.machine, ISPENDR) & scope.hw | soft & scope.soft | scope.held(ctx).pending
}

/// Reads ISACTIVER, ICACTIVER.
pub(super) fn active<M: GicPorts>(ctx: &mut GicCtx<'_, M>, scope: Scope) -> u32 {
    let held = scope.held(ctx);
    scope.bank.read(ctx.machine, ISACTIVER) & scope.hw & !held.pending | held.active
}

/// Writes ISENABLER.
pub(super) fn enable<M: GicPorts>(ctx: &mut GicCtx<'_, M>, scope: Scope, bits: u32) -> Kick {
    scope.bank.write(ctx.machine, ISENABLER, bits & scope.hw);
    let soft = bits & scope.soft;
    let Some(vcpu) = scope.vcpu(ctx.cell).filter(|_| soft != 0) else { return Kick::default() };
    vcpu.soft_enabled.fetch_or(soft, Ordering::Relaxed);
    raise_soft(ctx, scope)
}

/// Writes ICENABLER. What is pending stays so, but in no list register.
pub(super) fn disable<M: GicPorts>(ctx: &mut GicCtx<'_, M>, scope: Scope, bits: u32) -> Kick {
    scope.bank.write(ctx.machine, ICENABLER, bits & scope.hw);
    scope.bank.settle(ctx.machine);
    if let Some(vcpu) = scope.vcpu(ctx.cell) {
        vcpu.soft_enabled.fetch_and(!(bits & scope.soft), Ordering::Relaxed);
    }
    everywhere(ctx, scope, bits, Errand::GiveBack)
}

/// Writes ISPENDR. What waits in a list register already is pending.
pub(super) fn set_pending<M: GicPorts>(ctx: &mut GicCtx<'_, M>, scope: Scope, bits: u32) -> Kick {
    let fresh = bits & !scope.held(ctx).pending;
    scope.bank.write(ctx.machine, ISPENDR, fresh & scope.hw);
    let soft = fresh & scope.soft;
    let Some(vcpu) = scope.vcpu(ctx.cell).filter(|_| soft != 0) else { return Kick::default() };
    vcpu.soft_pending.fetch_or(soft, Ordering::Relaxed);
    raise_soft(ctx, scope)
}

/// Writes ICPENDR.
pub(super) fn clear_pending<M: GicPorts>(ctx: &mut GicCtx<'_, M>, scope: Scope, bits: u32) -> Kick {
    scope.bank.write(ctx.machine, ICPENDR, bits & scope.hw);
    if let Some(vcpu) = scope.vcpu(ctx.cell) {
        vcpu.soft_pending.fetch_and(!(bits & scope.soft), Ordering::Relaxed);
    }
    everywhere(ctx, scope, bits, Errand::ClearPending)
}

/// Writes ISACTIVER. An SGI that travels as a bit is not made active where it is not pending in a list register.
pub(super) fn set_active<M: GicPorts>(ctx: &mut GicCtx<'_, M>, scope: Scope, bits: u32) -> Kick {
    if ctx.cell.is_direct() {
        scope.bank.write(ctx.machine, ISACTIVER, bits & scope.hw);
        return Kick::default();
    }
    let (mut here, mut forced) = (0, 0);
    if scope.is_mine(ctx.me) {
        here = ctx.vcpu.held(ctx.machine, ctx.cell, scope.word).active;
        let (sgis, others) = ctx.vcpu.make_active(ctx.machine, ctx.cell, scope.word, bits & !here);
        here |= sgis;
        forced = others;
    }
    let idle = bits & scope.hw & !here & !scope.bank.read(ctx.machine, ISACTIVER);
    scope.bank.write(ctx.machine, ISACTIVER, idle);
    if let Some(word) = ctx.cell.forced(scope.word, scope.vcpu) {
        word.fetch_or(forced | idle, Ordering::Relaxed);
    }
    Kick::default()
}

/// Writes ICACTIVER.
pub(super) fn clear_active<M: GicPorts>(ctx: &mut GicCtx<'_, M>, scope: Scope, bits: u32) -> Kick {
    if ctx.cell.is_direct() {
        scope.bank.write(ctx.machine, ICACTIVER, bits & scope.hw);
        return Kick::default();
    }
    let asked = ask(ctx, scope, bits, Errand::ClearActive);
    let forced = ctx.cell.forced(scope.word, scope.vcpu);
    let forced = forced.map_or(0, |word| word.fetch_and(!bits, Ordering::Relaxed));
    scope.bank.write(ctx.machine, ICACTIVER, forced & bits);
    if scope.is_mine(ctx.me) {
        ctx.vcpu.clear_active(ctx.machine, ctx.cell, scope.word, bits);
    }
    asked
}

/// GICD_SETSPI_NSR, GICD_CLRSPI_NSR: an INTID in bits 0 to 12 (IHI 0069H 12.9.38), of the cell's own.
pub(super) fn message<M: GicPorts>(
    ctx: &mut GicCtx<'_, M>,
    what: Put,
    value: u64,
    write: impl FnOnce(&mut GicCtx<'_, M>, Scope, u32) -> Kick,
) -> Kick {
    let intid = value as u32 & 0x1fff;
    match Scope::of(ctx.cell, None, intid / 32) {
        Some(scope) if scope.hw >> (intid % 32) & 1 != 0 => write(ctx, scope, 1 << (intid % 32)),
        Some(scope) if scope.spi >> (intid % 32) & 1 != 0 => {
            spi::put(ctx, what, scope.word, 1 << (intid % 32))
        }
        _ => Kick::default(),
    }
}

/// Does an errand here, and asks for it where else it may be needed.
#[inline(never)]
pub(super) fn everywhere<M: GicPorts>(
    ctx: &mut GicCtx<'_, M>,
    scope: Scope,
    bits: u32,
    errand: Errand,
) -> Kick {
    // No list register holds anything of a direct cell's.
    if ctx.cell.is_direct() {
        return Kick::default();
    }
    let asked = ask(ctx, scope, bits, errand);
    if scope.is_mine(ctx.me) {
        ctx.vcpu.perform(ctx.machine, ctx.cell, errand, scope.word, bits);
    }
    asked
}

/// Another vCPU may hold the interrupt in a list register: an SPI that is physically active and neither here nor forced, or
/// a private one of the other's. Asks there.
fn ask<M: GicPorts>(ctx: &mut GicCtx<'_, M>, scope: Scope, bits: u32, errand: Errand) -> Kick {
    let mut asked = CpuSet::default();
    let alone = scope.vcpu.is_none() && ctx.cell.vcpu_count() < 2;
    if alone || scope.vcpu == Some(ctx.me) {
        return Kick(asked);
    }
    let active = scope.bank.read(ctx.machine, ISACTIVER) & scope.hw & !scope.forced(ctx) | scope.sgis();
    let elsewhere = bits & active & !scope.held(ctx).any();
    if elsewhere == 0 {
        return Kick(asked);
    }
    for (id, vcpu) in ctx.cell.vcpus() {
        let concerned = id != ctx.me && scope.vcpu.is_none_or(|only| only == id);
        if concerned && let Some(inbox) = ctx.inboxes.get(vcpu.cpu.index()) {
            vcpu.ask(errand, scope.word, elsewhere);
            asked.0 |= inbox.post(vcpu.cpu, Request::Retract).0.0;
        }
    }
    Kick(asked)
}

/// SGIs that travel as bits became pending or enabled.
pub(super) fn raise_soft<M: GicPorts>(ctx: &mut GicCtx<'_, M>, scope: Scope) -> Kick {
    if scope.is_mine(ctx.me) {
        ctx.vcpu.raise_soft(ctx.machine, ctx.cell);
        return Kick::default();
    }
    let Some(vcpu) = scope.vcpu(ctx.cell) else { return Kick::default() };
    ctx.inboxes.get(vcpu.cpu.index()).map_or(Kick::default(), |inbox| inbox.post(vcpu.cpu, Request::Sgi))
}
