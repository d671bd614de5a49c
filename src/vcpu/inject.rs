//! Exceptions injected into a guest, as the Arm ARM (DDI 0487) has them: `AArch64.TakeException` to EL1.

use bitfield_struct::bitfield;

use super::Frame;
use crate::ports::{El1, El1Reg};

#[cfg(test)]
mod tests;

/// An exception that the architecture gives a guest for its own mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestFault {
    /// An undefined instruction (ESR EC 0).
    Undefined,
    /// A synchronous external data abort at this address.
    DataAbort {
        /// FAR_EL1.
        far: u64,
        /// ESR_EL1.WnR.
        write: bool,
    },
    /// A synchronous external instruction abort at this address.
    InstructionAbort {
        /// FAR_EL1.
        far: u64,
    },
}

/// SPSR_ELx (Arm ARM C5.2.19), the fields that an exception keeps, sets or asks for.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Pstate {
    /// M\[3:0\]: for AArch64 the exception level and stack pointer, see [`EL1H`].
    #[bits(4)]
    pub mode: u8,
    /// M\[4\]: AArch32.
    pub aarch32: bool,
    __: bool,
    /// F, I, A, D.
    #[bits(4)]
    pub daif: u8,
    #[bits(2)]
    __: u8,
    /// SSBS (AArch64).
    pub ssbs: bool,
    #[bits(9)]
    __: u16,
    /// PAN.
    pub pan: bool,
    __: bool,
    /// DIT.
    pub dit: bool,
    #[bits(3)]
    __: u8,
    /// V, C, Z, N.
    #[bits(4)]
    pub nzcv: u8,
    __: u32,
}

const EL1T: u8 = 0b0100;
/// M\[3:0\] of EL1 with its own stack pointer.
pub const EL1H: u8 = 0b0101;

/// SCTLR_EL1.SPAN: 0 sets PSTATE.PAN on an exception to EL1 (Arm ARM D24.2.175).
const SCTLR_SPAN: u64 = 1 << 23;
/// SCTLR_EL1.DSSBS: the value PSTATE.SSBS takes on an exception to EL1.
const SCTLR_DSSBS: u64 = 1 << 44;

/// ESR_EL1.IL: set for every exception that is injected here (Arm ARM D24.2.40: EC 0, instruction aborts, data aborts with ISV 0).
const ESR_IL: u64 = 1 << 25;
/// Data fault and instruction fault status: synchronous external abort, not on a table walk.
const FSC_EXTERNAL: u64 = 0x10;
const ISS_WNR: u64 = 1 << 6;

/// Makes the guest take `fault` when it is entered next.
///
/// PSTATE fields of features that are hidden from guests (MTE's TCO, NMI's ALLINT, GCS's EXLOCK) become 0.
#[cold]
pub fn inject(machine: &mut impl El1, frame: &mut Frame, fault: GuestFault) {
    let old = Pstate::from_bits(frame.spsr);
    let (vector, same_el) = match (old.aarch32(), old.mode()) {
        (true, _) => (0x600, false),
        (false, EL1T) => (0x000, true),
        (false, EL1H) => (0x200, true),
        // EL0t; EL2's modes cannot be in a guest's SPSR.
        (false, _) => (0x400, false),
    };
    let class = |lower: u64, same: u64| if same_el { same << 26 } else { lower << 26 };
    let (syndrome, far) = match fault {
        GuestFault::Undefined => (0, None),
        GuestFault::DataAbort { far, write } => {
            (class(0x24, 0x25) | FSC_EXTERNAL | if write { ISS_WNR } else { 0 }, Some(far))
        }
        GuestFault::InstructionAbort { far } => (class(0x20, 0x21) | FSC_EXTERNAL, Some(far)),
    };
    let sctlr = machine.el1(El1Reg::Sctlr);
    machine.set_el1(El1Reg::Esr, syndrome | ESR_IL);
    if let Some(far) = far {
        machine.set_el1(El1Reg::Far, far);
    }
    machine.set_el1(El1Reg::Spsr, frame.spsr);
    machine.set_el1(El1Reg::Elr, frame.elr);
    // VBAR_EL1[10:0] are RES0 and read as the guest wrote them on some CPUs.
    frame.elr = (machine.el1(El1Reg::Vbar) & !0x7ff).wrapping_add(vector);
    frame.spsr = Pstate::new()
        .with_mode(EL1H)
        .with_daif(0b1111)
        .with_ssbs(sctlr & SCTLR_DSSBS != 0)
        .with_pan(old.pan() || sctlr & SCTLR_SPAN == 0)
        .with_dit(old.dit())
        .with_nzcv(old.nzcv())
        .into_bits();
}
