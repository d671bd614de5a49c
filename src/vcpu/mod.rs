//! A virtual CPU: its register frame, the state it starts in, and exceptions injected into it.

pub mod aarch32;
mod inject;

pub use inject::{Access, EL1H, EXTERNAL, EXTERNAL_ON_WALK, GuestFault, Pstate, inject};

use core::hint::select_unpredictable;

use crate::cpu::Affinity;
use crate::ports::World;

/// A guest's general registers while it is out. Assembly in `arch/aarch64` knows this layout. Where the guest goes on and its PSTATE
/// stay where the CPU has put them: see [`World::pc`].
#[repr(C, align(16))]
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// x0 to x30, and a place that is written where an instruction writes XZR, and never read.
    x: [u64; 32],
    /// EL2's stack pointer while the guest runs; of no meaning to policy.
    pub host_sp: u64,
    /// What else the assembly keeps of EL2's: x19, x29, x30.
    host: [u64; 3],
}

const _: () = assert!(core::mem::offset_of!(Frame, x) == 0);
const _: () = assert!(core::mem::offset_of!(Frame, host_sp) == 32 * 8);
const _: () = assert!(size_of::<Frame>() == 36 * 8);

impl Frame {
    /// Register `n`, below 32, as an instruction reads it: 31 is XZR.
    #[inline(always)]
    pub fn get(&self, n: u8) -> u64 {
        let value = self.x.get(usize::from(n & 31)).copied().unwrap_or(0);
        // One instruction more on each way, where a branch would take two or three.
        select_unpredictable(n == 31, 0, value)
    }

    /// Register `n`, below 32, as an instruction writes it: 31 goes nowhere.
    #[inline(always)]
    pub fn set(&mut self, n: u8, value: u64) {
        if let Some(x) = self.x.get_mut(usize::from(n & 31)) {
            *x = value;
        }
    }
}

/// Past the instruction that trapped, as if the CPU had run it: a software step of it is done, so that the debugger is called before
/// the next one (Arm ARM D2.11, SSAdvance), and it was no branch.
#[inline(always)]
pub fn skip(machine: &mut impl World) {
    const SS: u64 = 1 << 21;
    const BTYPE: u64 = 3 << 10;
    let state = machine.pstate();
    if Pstate::from_bits(state).aarch32() {
        return aarch32::skip(machine);
    }
    machine.set_pc(machine.pc().wrapping_add(4));
    machine.set_pstate(state & !(SS | BTYPE));
}

/// How a cell's interrupts reach it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InterruptMode {
    /// By way of EL2 and the list registers, with an exit for each.
    #[default]
    Virtual,
    /// From the physical CPU interface, without an exit.
    Direct {
        /// Whether the guest waits by itself: WFI does not exit either.
        own_wfi: bool,
    },
}

/// What a vCPU needs of its cell to start (see [`crate::ports::El1::reset_vcpu`]).
#[derive(Clone, Debug)]
pub struct VcpuReset {
    /// How its interrupts reach it.
    pub interrupts: InterruptMode,
    /// The affinity in VMPIDR_EL2.
    pub affinity: Affinity,
    /// VTCR_EL2.
    pub vtcr: u64,
    /// VTTBR_EL2.
    pub vttbr: u64,
}

/// SPSR_EL2 of a vCPU's first instruction: EL1h, DAIF masked (Arm ARM C5.2.19).
pub const SPSR_START: u64 = 0x3c5;
