//! One physical CPU, as policy sees it: [`bulkhead::ports::Machine`].

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use bulkhead::addr::Ipa;
use bulkhead::cpu::{Affinity, PcpuId};
use bulkhead::hardware::PowerManager;
use bulkhead::ports::TlbMaint;
use spin::Mutex;

use crate::el2::Features;
use crate::gic::Gic;
use crate::gicv2::Gicv2;
use crate::mmu::Space;
use crate::{interface, tlb};

/// What a CPU knows of itself.
#[derive(Debug)]
pub struct State {
    pub(crate) features: Features,
    pub(crate) gic: Gic,
    /// What the board has instead of that.
    pub(crate) gicv2: Option<Gicv2>,
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

/// A CPU, and what is known of its GIC where the code is compiled: [`AnyGic`] or [`Gicv3`]. Its ports are implemented beside the
/// hardware that each of them drives.
#[derive(Debug)]
#[repr(transparent)]
pub struct Cpu<K> {
    state: State,
    known: PhantomData<K>,
}

/// Nothing: each access asks which one it is.
#[derive(Debug)]
pub enum AnyGic {}

/// That it is a GICv3, whose registers are System registers: nothing is asked.
#[derive(Debug)]
pub enum Gicv3 {}

impl<K> Deref for Cpu<K> {
    type Target = State;

    #[inline(always)]
    fn deref(&self) -> &State {
        &self.state
    }
}

impl<K> DerefMut for Cpu<K> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

/// What a CPU is asked once about its part of a GICv3.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// How many list registers it has.
    pub lr_count: usize,
    /// See [`crate::interface::priority_bits`].
    pub priority_bits: u8,
    /// See [`crate::gic::rpr_shift`].
    pub rpr_shift: u8,
}

/// Something of one GIC or the other.
#[derive(Clone, Copy)]
pub enum Which<V2, V3> {
    /// A GICv2.
    V2(V2),
    /// A GICv3.
    V3(V3),
}

/// The GIC that the board has, mapped.
pub type Controller = Which<Gicv2, Gic>;

impl Cpu<AnyGic> {
    /// This CPU, which is `me`; its EL2 is initialised. Brings its GIC interface up.
    pub fn new(gic: Controller, me: PcpuId, space: &'static Mutex<Space>, conduit: bool, seed: u64) -> Self {
        let (gic, gicv2, facts) = match gic {
            Which::V2(gicv2) => {
                gicv2.init();
                (Gic::NONE, Some(gicv2.of(me)), Facts::default())
            }
            Which::V3(gic) => {
                interface::init();
                (gic, None, gic.facts())
            }
        };
        let Facts { lr_count, priority_bits, rpr_shift } = facts;
        let state = State {
            features: Features::read(),
            gic,
            gicv2,
            space,
            lr_count,
            priority_bits,
            rpr_shift,
            conduit,
            power: None,
            seed,
        };
        Self { state, known: PhantomData }
    }

    /// Its GIC.
    #[inline(always)]
    pub fn gic(&self) -> Which<&Gicv2, &Cpu<Gicv3>> {
        match &self.state.gicv2 {
            Some(gicv2) => Which::V2(gicv2),
            // SAFETY: both are transparent over `State`, whose `gic` the board has.
            None => Which::V3(unsafe { &*core::ptr::from_ref(self).cast() }),
        }
    }

    /// The same.
    #[inline(always)]
    pub fn gic_mut(&mut self) -> Which<&mut Gicv2, &mut Cpu<Gicv3>> {
        match self.state.gicv2 {
            Some(ref mut gicv2) => Which::V2(gicv2),
            // SAFETY: as above.
            None => Which::V3(unsafe { &mut *core::ptr::from_mut(self).cast() }),
        }
    }
}

impl Cpu<Gicv3> {
    /// The same CPU, of which it is not said which GIC it has.
    #[inline(always)]
    pub fn plain(&mut self) -> &mut Cpu<AnyGic> {
        // SAFETY: both are transparent over `State`.
        unsafe { &mut *core::ptr::from_mut(self).cast() }
    }
}

/// This CPU's affinity.
pub fn affinity() -> Affinity {
    use aarch64_cpu::registers::{MPIDR_EL1, Readable};
    Affinity::of_mpidr(MPIDR_EL1.get())
}

impl<K> TlbMaint for Cpu<K> {
    fn invalidate_ipa(&self, vttbr: u64, ipa: Ipa) {
        tlb::invalidate_ipa(vttbr, ipa);
    }

    fn invalidate_vmid(&self, vttbr: u64) {
        tlb::invalidate_vmid(vttbr);
    }
}
