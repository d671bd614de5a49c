//! An SPI that no hardware raises: that of one of a cell's virtual devices. All its state is here, none in the distributor. It is
//! in one list register or queue at most, that of its holder; where it goes next is decided by [`VcpuGic::sync_lines`] alone, on
//! the CPU concerned, whoever changed something: the others only ask it to look.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use super::bank::of_guest;
use super::cell::CellGic;
use super::errand::Errand;
use super::lr::Lr;
use super::queue::{LINE, REPORTING};
use super::registers::{Get, Put};
use super::state::Scope;
use super::vcpu::VcpuGic;
use super::{GicCtx, GicPorts};
use crate::cpu::{CpuSet, VcpuId};
use crate::inbox::{Kick, Request};
use crate::intid::Spi;

/// The line from a virtual device to its cell's GIC.
#[derive(Debug, Default)]
pub struct Wire {
    /// [`LOW`], [`HIGH`] or [`AGAIN`].
    level: AtomicU8,
    /// It has risen since somebody looked.
    risen: AtomicBool,
}

const LOW: u8 = 0;
const HIGH: u8 = 1;
/// High, and whoever sets it next is told that this is a change: see [`Wire::repeat`].
const AGAIN: u8 = 2;

impl Wire {
    /// Raises or lowers it; whether that changed anything, so that the GIC must look.
    #[must_use]
    pub fn set(&self, level: bool) -> bool {
        let level = if level { HIGH } else { LOW };
        let changed = self.level.swap(level, Ordering::SeqCst) != level;
        if changed && level == HIGH {
            self.risen.store(true, Ordering::SeqCst);
        }
        changed
    }

    /// Whether it is high. If so, setting it high once more counts as a change: for a GIC that cannot see it and has to be told
    /// again.
    pub(super) fn repeat(&self) -> bool {
        self.level.compare_exchange(HIGH, AGAIN, Ordering::SeqCst, Ordering::SeqCst).is_ok()
            || self.level.load(Ordering::SeqCst) != LOW
    }
}

/// The state, as a guest reads and writes it.
#[derive(Debug)]
pub(super) struct VirtualSpi {
    pub(super) intid: u32,
    wire: Arc<Wire>,
    flags: AtomicU32,
    pub(super) priority: AtomicU8,
    route: AtomicU8,
    /// One more than the vCPU whose list registers or queue have it; 0 is nobody.
    holder: AtomicU8,
}

const ENABLED: u32 = 1 << 0;
const EDGE: u32 = 1 << 1;
/// Pending by ISPENDR, or by an edge.
const LATCH: u32 = 1 << 2;
/// What the holder has came from the latch.
const TAKEN: u32 = 1 << 3;
/// Active by ISACTIVER, or because its vCPU went off.
const FORCED: u32 = 1 << 4;

impl VirtualSpi {
    pub(super) fn new(spi: Spi, wire: Arc<Wire>) -> Self {
        Self {
            intid: spi.intid(),
            wire,
            flags: AtomicU32::new(0),
            priority: AtomicU8::new(of_guest(0)),
            route: AtomicU8::new(0),
            holder: AtomicU8::new(0),
        }
    }

    /// As it comes out of reset.
    pub(super) fn reset(&self) {
        self.flags.store(0, Ordering::SeqCst);
        self.priority.store(of_guest(0), Ordering::SeqCst);
        self.route.store(0, Ordering::SeqCst);
        self.holder.store(0, Ordering::SeqCst);
    }

    /// Its bit, in a word that may be another's.
    pub(super) fn bit(&self, word: u32) -> u32 {
        if self.intid / 32 == word { 1 << (self.intid % 32) } else { 0 }
    }

    fn has(&self, flag: u32) -> bool {
        self.flags.load(Ordering::SeqCst) & flag != 0
    }

    fn set(&self, flag: u32, on: bool) -> bool {
        let before = if on {
            self.flags.fetch_or(flag, Ordering::SeqCst)
        } else {
            self.flags.fetch_and(!flag, Ordering::SeqCst)
        };
        before & flag != 0
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.has(ENABLED)
    }

    pub(super) fn is_edge(&self) -> bool {
        self.has(EDGE)
    }

    pub(super) fn route(&self) -> VcpuId {
        VcpuId(self.route.load(Ordering::SeqCst))
    }

    fn holder(&self) -> Option<VcpuId> {
        self.holder.load(Ordering::SeqCst).checked_sub(1).map(VcpuId)
    }

    /// Who must look when something changed.
    fn concerned(&self) -> VcpuId {
        self.holder().unwrap_or(self.route())
    }

    /// Pending, apart from what its holder has.
    fn is_pending(&self) -> bool {
        if !self.is_edge() {
            return self.wire.level.load(Ordering::SeqCst) != LOW || self.has(LATCH);
        }
        if self.wire.risen.swap(false, Ordering::SeqCst) {
            self.set(LATCH, true);
        }
        self.has(LATCH)
    }

    /// To be signalled, if nobody holds it.
    fn is_due(&self) -> bool {
        self.has(ENABLED) && !self.has(FORCED) && self.is_pending()
    }

    /// Still to be signalled, from a list register that has it pending.
    fn is_still_due(&self) -> bool {
        self.has(ENABLED) && !self.has(FORCED) && (self.has(TAKEN) || self.is_pending())
    }

    fn claim(&self, me: VcpuId) -> bool {
        let mine = me.0.saturating_add(1);
        let claimed = self.holder.compare_exchange(0, mine, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if claimed {
            let latched = self.set(LATCH, false);
            self.set(TAKEN, latched);
        }
        claimed
    }

    /// The holder has it no more: the guest ended it.
    pub(super) fn ended(&self) {
        self.set(TAKEN, false);
        self.holder.store(0, Ordering::SeqCst);
    }

    /// The holder has it no more, and the guest has not seen it.
    pub(super) fn put_back(&self) {
        if self.set(TAKEN, false) {
            self.set(LATCH, true);
        }
        self.holder.store(0, Ordering::SeqCst);
    }

    /// The holder goes off in the middle of it.
    pub(super) fn abandoned(&self) {
        self.set(FORCED, true);
        self.ended();
    }

    /// In a list register it reports its deactivation, so that the line is looked at again then.
    pub(super) fn lr(&self) -> Lr {
        Lr::software(self.intid, self.priority.load(Ordering::SeqCst)).reporting()
    }
}

impl CellGic {
    /// Who must look at a virtual SPI's line after [`Wire::set`] changed it.
    pub fn line_concerns(&self, spi: Spi) -> Option<VcpuId> {
        self.virtual_spi(spi.intid()).map(VirtualSpi::concerned)
    }
}

impl VcpuGic {
    /// A virtual SPI may have changed: looks before the guest is entered.
    pub fn look_at_line(&mut self) {
        self.queue.mark(LINE, true);
    }

    /// Brings the virtual SPIs to where they belong, as far as this vCPU goes; which CPUs else must look.
    pub(super) fn sync_lines(&mut self, m: &mut impl GicPorts, cell: &CellGic) -> CpuSet {
        let mut others = CpuSet::default();
        for spi in cell.virtual_spis.iter() {
            if let Some(other) = self.sync_line(m, cell, spi).and_then(|id| cell.vcpu(id)) {
                others.0 |= CpuSet::of([other.cpu.index()]).0;
            }
        }
        others
    }

    fn sync_line(&mut self, m: &mut impl GicPorts, cell: &CellGic, spi: &VirtualSpi) -> Option<VcpuId> {
        let lr = self.lrs(m).find(|(_, lr)| lr.vintid() == spi.intid);
        if lr.is_some_and(|(_, lr)| lr.state().active()) {
            // Its end is reported.
            return None;
        }
        let queued = self.queue.word(spi.intid / 32) & spi.bit(spi.intid / 32) != 0;
        let mine = spi.route() == self.me;
        if queued || lr.is_some() {
            if !(mine && spi.is_still_due()) {
                match lr {
                    Some((n, _)) => m.set_lr(n, 0),
                    None => self.queue.remove(spi.intid),
                }
                spi.put_back();
            }
        } else if mine && spi.is_due() && spi.claim(self.me) {
            self.raise(m, cell, spi.lr());
            self.queue.mark(REPORTING, true);
        }
        (spi.route() != self.me && spi.holder().is_none() && spi.is_due()).then(|| spi.route())
    }
}

/// Their bits of a register with a bit for each INTID, as far as no list register here has them.
#[cold]
#[inline(never)]
pub(super) fn get<M: GicPorts>(ctx: &GicCtx<'_, M>, what: Get, scope: Scope) -> u32 {
    let set = ctx.cell.virtual_spis.chosen(scope.word, u32::MAX).filter(|spi| spi.is(ctx.me, what));
    set.fold(0, |bits, spi| bits | spi.bit(scope.word))
}

impl VirtualSpi {
    fn is(&self, me: VcpuId, what: Get) -> bool {
        match what {
            Get::Group => true,
            Get::Enabled => self.has(ENABLED),
            Get::Pending => self.is_pending(),
            Get::Active => self.has(FORCED) || self.holder().is_some_and(|holder| holder != me),
            _ => false,
        }
    }
}

/// A write that concerns these of a word.
#[cold]
#[inline(never)]
pub(super) fn put<M: GicPorts>(ctx: &mut GicCtx<'_, M>, what: Put, word: u32, bits: u32) -> Kick {
    let chosen = ctx.cell.virtual_spis.chosen(word, bits);
    chosen.fold(Kick::default(), |kick, spi| kick.and(put_one(ctx, spi, what)))
}

fn put_one<M: GicPorts>(ctx: &mut GicCtx<'_, M>, spi: &VirtualSpi, what: Put) -> Kick {
    let mut asked = Kick::default();
    match what {
        Put::Enable => _ = spi.set(ENABLED, true),
        Put::Disable => _ = spi.set(ENABLED, false),
        Put::SetPending | Put::RaiseSpi => _ = spi.set(LATCH, true),
        Put::ClearPending | Put::LowerSpi => _ = spi.set(LATCH | TAKEN, false),
        Put::SetActive => {
            // What is active in a list register is so already.
            let active = spi.holder() == Some(ctx.me) && {
                let lr = ctx.vcpu.lrs(ctx.machine).find(|(_, lr)| lr.vintid() == spi.intid);
                lr.is_some_and(|(_, lr)| lr.state().active())
            };
            if !active {
                spi.set(FORCED, true);
            }
        }
        Put::ClearActive => {
            spi.set(FORCED, false);
            let (word, bit) = (spi.intid / 32, 1 << (spi.intid % 32));
            match spi.holder() {
                Some(holder) if holder != ctx.me => {
                    if let Some(vcpu) = ctx.cell.vcpu(holder)
                        && let Some(inbox) = ctx.inboxes.get(vcpu.cpu.index())
                    {
                        vcpu.ask(Errand::ClearActive, word, bit);
                        asked = inbox.post(vcpu.cpu, Request::Retract);
                    }
                }
                _ => ctx.vcpu.clear_active(ctx.machine, ctx.cell, word, bit),
            }
        }
        _ => return asked,
    }
    asked.and(look(ctx, spi))
}

/// Sets the configuration.
pub(super) fn set_edge<M: GicPorts>(ctx: &mut GicCtx<'_, M>, spi: &VirtualSpi, edge: bool) -> Kick {
    spi.set(EDGE, edge);
    look(ctx, spi)
}

/// Sets the route.
pub(super) fn set_route<M: GicPorts>(ctx: &mut GicCtx<'_, M>, spi: &VirtualSpi, to: VcpuId) -> Kick {
    spi.route.store(to.0, Ordering::SeqCst);
    look(ctx, spi)
}

/// Has the vCPU concerned look.
fn look<M: GicPorts>(ctx: &mut GicCtx<'_, M>, spi: &VirtualSpi) -> Kick {
    let concerned = spi.concerned();
    if concerned == ctx.me {
        ctx.vcpu.look_at_line();
        return Kick::default();
    }
    let Some(vcpu) = ctx.cell.vcpu(concerned) else { return Kick::default() };
    ctx.inboxes.get(vcpu.cpu.index()).map_or(Kick::default(), |inbox| inbox.post(vcpu.cpu, Request::Line))
}
