//! What all CPUs of the machine share of its GIC.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use super::bank::{Bank, wide_bits};
use super::offsets::{GICD_TYPER, ICENABLER, ISENABLER, ITARGETSR};
use crate::cpu::{Affinity, PcpuId, SgiTarget};
use crate::inbox::Kick;
use crate::intid::{Ppi, Sgi, Spi};
use crate::ports::{CpuInterface, GicRegisters, GicVersion, Width};

/// Which SGIs firmware leaves to us, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SgiPlan {
    /// Calls a CPU to its inbox.
    pub kick: Sgi,
    /// A bit for each SGI of a guest that travels as the physical SGI of the same number. The others travel as bits and a kick.
    pub physical: u16,
}

impl SgiPlan {
    /// Asks the redistributor of `me`: what is Secure reads as zero and ignores writes (IHI 0069H 12.11.17; all are ours with
    /// DS=1, those below 8 under TF-A). It leaves all of them disabled. `None` if not one is left to us.
    pub fn probe(m: &mut impl GicRegisters, me: PcpuId) -> Option<Self> {
        let bank = Bank::Private(me);
        bank.write(m, ISENABLER, 0xffff);
        let ours = bank.read(m, ISENABLER) & 0xffff;
        bank.write(m, ICENABLER, ours);
        let kick = Sgi::new(ours.checked_ilog2()?)?;
        Some(Self { kick, physical: (ours & !(1 << kick.intid())) as u16 })
    }
}

/// EL2's own private interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnPpis {
    /// Maintenance of the list registers.
    pub maintenance: Ppi,
    /// EL2's timer.
    pub alarm: Ppi,
}

/// One for the machine.
#[derive(Debug)]
pub struct GicShared {
    /// Held over each read-modify-write of a distributor register that two cells' interrupts may share. Innermost of all locks.
    pub gicd: spin::Mutex<()>,
    /// The SGIs.
    pub sgi: SgiPlan,
    /// EL2's private interrupts.
    pub ppis: OwnPpis,
    /// That of the hypervisor's console.
    pub console: Option<Spi>,
    /// GICD_TYPER as the hardware has it.
    pub(super) typer: u32,
    /// Which GIC it is.
    pub(super) version: GicVersion,
    /// How SGIs name each CPU, by [`PcpuId`]: [`SgiTarget::get`]. Those of a GICv2 are learnt ([`GicShared::learn`]).
    targets: Vec<AtomicU64>,
    /// Of a GICv2, by [`PcpuId`].
    pub(super) ears: Arc<[Ear]>,
}

/// Whether a CPU may be called: a GICv2's SGIs are always enabled, so a guest that has the physical CPU interface would take
/// EL2's kick for its own. Held while one is called, so that no kick is on its way when the guest is entered.
#[derive(Debug, Default)]
pub(super) struct Ear {
    closed: spin::Mutex<bool>,
}

impl Ear {
    /// Nobody calls any more. Those who would have posted their requests before; so the inbox is looked into afterwards.
    pub(super) fn close(&self, clear: impl FnOnce()) {
        let mut closed = self.closed.lock();
        *closed = true;
        clear();
    }

    /// From now on kicks come.
    pub(super) fn open(&self) {
        *self.closed.lock() = false;
    }
}

impl GicShared {
    /// `affinities` are those of all CPUs, by [`PcpuId`].
    pub fn new<M: GicRegisters>(m: &M, sgi: SgiPlan, ppis: OwnPpis, affinities: Vec<Affinity>) -> Self {
        let known = |affinity| match m.version() {
            GicVersion::V2 => SgiTarget::of_interfaces(0),
            GicVersion::V3 => SgiTarget::new(affinity),
        };
        let targets: Vec<_> = affinities.into_iter().map(|cpu| AtomicU64::new(known(cpu).get())).collect();
        let ears = if m.version() == GicVersion::V2 { targets.len() } else { 0 };
        Self {
            gicd: spin::Mutex::new(()),
            sgi,
            ppis,
            console: None,
            typer: m.gicd_read(GICD_TYPER, Width::Word) as u32,
            version: m.version(),
            targets,
            ears: (0..ears).map(|_| Ear::default()).collect(),
        }
    }

    /// How SGIs name a CPU; nobody, while that is not known.
    #[inline(always)]
    pub(super) fn target(&self, cpu: PcpuId) -> Option<SgiTarget> {
        let target = self.targets.get(cpu.index())?;
        Some(SgiTarget::from_raw(target.load(Ordering::Relaxed)))
    }

    /// By each CPU of a GICv2 when it comes up: which CPU interface is its own. It reads so in ITARGETSR0 to 7, where an interrupt is
    /// (IHI 0048B 4.3.12); they read as zero where there is only one CPU.
    pub fn learn(&self, m: &impl GicRegisters, cpu: PcpuId) -> SgiTarget {
        let words = (0..32).step_by(4).map(|at| m.gicd_read(ITARGETSR.wrapping_add(at), Width::Word));
        let all = words.fold(0, |all, word| all | word as u32);
        let mask = all.to_ne_bytes().into_iter().fold(0, |mask, byte| mask | byte).max(1);
        let target = SgiTarget::of_interfaces(mask);
        if let Some(place) = self.targets.get(cpu.index()) {
            place.store(target.get(), Ordering::Relaxed);
        }
        target
    }
}

/// Sends the kick SGI to all whom a posted request concerns.
#[inline]
pub fn kick<M: CpuInterface>(m: &mut M, kick: Kick, shared: &GicShared) {
    if kick.0.is_empty() {
        return;
    }
    for cpu in wide_bits(kick.0.0) {
        let cpu = PcpuId(cpu as u8);
        let Some(target) = shared.target(cpu) else { continue };
        if m.version() == GicVersion::V2 {
            call(m, shared, cpu, target);
        } else {
            m.send_sgi(shared.sgi.kick, target);
        }
    }
}

/// Calls a CPU that may be called.
#[inline(never)]
fn call(m: &mut impl CpuInterface, shared: &GicShared, cpu: PcpuId, target: SgiTarget) {
    let Some(ear) = shared.ears.get(cpu.index()) else { return };
    let closed = ear.closed.lock();
    if !*closed {
        m.send_sgi(shared.sgi.kick, target);
    }
}
