//! What all CPUs of the machine share of its GIC.

use alloc::vec::Vec;

use super::bank::{Bank, wide_bits};
use super::offsets::{GICD_TYPER, ICENABLER, ISENABLER};
use crate::cpu::{Affinity, PcpuId, SgiTarget};
use crate::inbox::Kick;
use crate::intid::{Ppi, Sgi, Spi};
use crate::ports::{CpuInterface, GicRegisters, Width};

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
    /// How SGIs name each CPU, by [`PcpuId`].
    targets: Vec<SgiTarget>,
}

impl GicShared {
    /// `affinities` are those of all CPUs, by [`PcpuId`].
    pub fn new(m: &impl GicRegisters, sgi: SgiPlan, ppis: OwnPpis, affinities: Vec<Affinity>) -> Self {
        let targets = affinities.into_iter().map(SgiTarget::new).collect();
        let typer = m.gicd_read(GICD_TYPER, Width::Word) as u32;
        Self { gicd: spin::Mutex::new(()), sgi, ppis, console: None, typer, targets }
    }
}

/// Sends the kick SGI to all whom a posted request concerns.
#[inline]
pub fn kick(m: &mut impl CpuInterface, kick: Kick, shared: &GicShared) {
    if kick.0.is_empty() {
        return;
    }
    for cpu in wide_bits(kick.0.0) {
        if let Some(target) = shared.targets.get(cpu as usize) {
            m.send_sgi(shared.sgi.kick, *target);
        }
    }
}
