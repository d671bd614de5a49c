//! One physical CPU, as policy sees it: [`bulkhead::ports::Machine`].

use bulkhead::addr::Ipa;
use bulkhead::cpu::Affinity;
use bulkhead::ports::TlbMaint;
use spin::Mutex;

use crate::el2::Features;
use crate::gic::{self, Gic};
use crate::mmu::Space;
use crate::{interface, tlb};

/// What a CPU knows of itself. Its ports are implemented beside the hardware that each of them drives.
#[derive(Debug)]
pub struct Cpu {
    pub(crate) features: Features,
    pub(crate) gic: Gic,
    pub(crate) space: &'static Mutex<Space>,
    pub(crate) lr_count: usize,
    /// See [`interface::priority_bits`].
    pub(crate) priority_bits: u8,
    /// See [`gic::rpr_shift`].
    pub(crate) rpr_shift: u8,
    /// Whether firmware answers SMC.
    pub(crate) conduit: bool,
    /// The state of [`bulkhead::ports::Entropy`] where the CPU has no generator.
    pub(crate) seed: u64,
}

impl Cpu {
    /// This CPU; its EL2 and GIC interface are initialised.
    pub fn new(gic: &'static Gic, space: &'static Mutex<Space>, conduit: bool, seed: u64) -> Self {
        Self {
            features: Features::read(),
            gic: *gic,
            space,
            lr_count: gic::count_list_registers(),
            priority_bits: interface::priority_bits(),
            rpr_shift: gic::rpr_shift(gic),
            conduit,
            seed,
        }
    }
}

/// This CPU's affinity.
pub fn affinity() -> Affinity {
    use aarch64_cpu::registers::{MPIDR_EL1, Readable};
    Affinity::of_mpidr(MPIDR_EL1.get())
}

impl TlbMaint for Cpu {
    fn invalidate_ipa(&self, vttbr: u64, ipa: Ipa) {
        tlb::invalidate_ipa(vttbr, ipa);
    }

    fn invalidate_vmid(&self, vttbr: u64) {
        tlb::invalidate_vmid(vttbr);
    }
}
