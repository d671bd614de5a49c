//! One physical CPU, as policy sees it: [`bulkhead::ports::Machine`].

use bulkhead::addr::Ipa;
use bulkhead::cpu::{Affinity, PcpuId};
use bulkhead::hardware::PowerManager;
use bulkhead::ports::TlbMaint;
use spin::Mutex;

use crate::el2::Features;
use crate::gic::Gic;
use crate::gicv2::Gicv2;
use crate::mmu::Space;
use crate::tlb;

/// What a CPU knows of itself. Its ports are implemented beside the hardware that each of them drives.
#[derive(Debug)]
pub struct Cpu<G> {
    pub(crate) features: Features,
    pub(crate) gic: G,
    pub(crate) space: &'static Mutex<Space>,
    pub(crate) lr_count: usize,
    /// See [`Facts`].
    pub(crate) priority_bits: u8,
    /// See [`Facts`].
    pub(crate) rpr_shift: u8,
    /// Whether firmware answers SMC.
    pub(crate) conduit: bool,
    /// What switches the machine off where it does not.
    pub(crate) power: Option<PowerManager>,
    /// The state of [`bulkhead::ports::Entropy`] where the CPU has no generator.
    pub(crate) seed: u64,
}

/// What a CPU is asked once about its part of the GIC.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// How many list registers it has.
    pub lr_count: usize,
    /// See [`crate::interface::priority_bits`].
    pub priority_bits: u8,
    /// See [`crate::gic::rpr_shift`].
    pub rpr_shift: u8,
}

/// A GIC that was mapped. The loop of a CPU is compiled for each kind, so that neither asks on its way which one it has.
pub trait Controller: Copy {
    /// As this CPU has it, which is the one that runs.
    fn of(self, cpu: PcpuId) -> Self;
    /// Brings this CPU's interface up: nothing masked, priority drop apart from deactivation.
    fn init(&self);
    /// What this CPU has; its interface is up.
    fn facts(&self) -> Facts;
}

/// The GIC that the board has.
#[derive(Clone, Copy)]
pub enum AnyGic {
    /// A GICv2.
    V2(Gicv2),
    /// A GICv3.
    V3(Gic),
}

impl From<Gicv2> for AnyGic {
    fn from(gic: Gicv2) -> Self {
        Self::V2(gic)
    }
}

impl From<Gic> for AnyGic {
    fn from(gic: Gic) -> Self {
        Self::V3(gic)
    }
}

impl<G: Controller> Cpu<G> {
    /// This CPU; its EL2 and GIC interface are initialised.
    pub fn new(gic: G, space: &'static Mutex<Space>, conduit: bool, seed: u64) -> Self {
        let Facts { lr_count, priority_bits, rpr_shift } = gic.facts();
        Self {
            features: Features::read(),
            gic,
            space,
            lr_count,
            priority_bits,
            rpr_shift,
            conduit,
            power: None,
            seed,
        }
    }
}

/// This CPU's affinity.
pub fn affinity() -> Affinity {
    use aarch64_cpu::registers::{MPIDR_EL1, Readable};
    Affinity::of_mpidr(MPIDR_EL1.get())
}

impl<G> TlbMaint for Cpu<G> {
    fn invalidate_ipa(&self, vttbr: u64, ipa: Ipa) {
        tlb::invalidate_ipa(vttbr, ipa);
    }

    fn invalidate_vmid(&self, vttbr: u64) {
        tlb::invalidate_vmid(vttbr);
    }
}
