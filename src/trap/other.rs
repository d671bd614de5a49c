//! What a guest that works has no reason for: instruction aborts, and classes that nothing is expected of.

use super::esr::{self, InstructionAbort};
use super::{Resume, abort};
use crate::cell::Vcpu;
use crate::exits::Reason;
use crate::ports::{Hot, Machine};
use crate::vcpu::{GuestFault, Pstate, aarch32, skip};

/// WFI, WFE and their kin (HCR_EL2.TWI, TWE).
pub const WAIT: u32 = 0x01;
/// ISS.TI of those: which of them it is.
const TI: u32 = 3;
const WFI: u32 = 0;

/// Answers WFI and WFE, which trap in cells with the physical CPU interface: EL2 waits in the guest's place.
#[inline(never)]
pub fn wait<M: Hot>(vcpu: &mut Vcpu<'_>, machine: &mut M) -> Resume {
    let narrow = Pstate::from_bits(machine.pstate()).aarch32();
    if narrow || esr::iss(machine.esr()) & TI != WFI || !vcpu.cell.gic.is_direct() {
        return handle(vcpu, machine.plain(), WAIT);
    }
    vcpu.exits.count(Reason::Wait);
    // Behind the instruction beforehand: what is left for afterwards delays the interrupt.
    skip(machine);
    vcpu.wait(machine);
    Resume::Again
}

/// Answers what is not decoded further. But for instruction aborts, all that traps on purpose is decoded, so the guest has no such
/// instruction:
/// - MCR, MRC, MCRR, MRRC, LDC, STC and VMRS of AArch32 at EL0 (0x03 to 0x06, 0x08, 0x0c): trace (CPTR_EL2.TTA), AMU (TAM), and where the
///   CPU traps them from EL0, IMPLEMENTATION DEFINED registers (HCR_EL2.TIDCP). The ID registers show none of them.
/// - FP, pointer authentication, LS64, SVE, SME (0x07, 0x09, 0x0a, 0x19, 0x1d): only what the CPU has not got, or HCRX_EL2 and CPTR_EL2 hide.
/// - Waiting may end at any time.
///
/// Any other class does not belong to a trap that is on; a newer CPU may have one. It is worth a line.
#[cold]
#[inline(never)]
pub fn handle<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M, class: u32) -> Resume {
    let esr = machine.esr();
    vcpu.exits.count(match class {
        esr::INSTRUCTION_ABORT => Reason::Abort,
        WAIT => Reason::Wait,
        _ => Reason::Other,
    });
    if class == esr::INSTRUCTION_ABORT {
        return abort::instruction(vcpu, machine, InstructionAbort::from_bits(esr::iss(esr)));
    }
    let narrow = Pstate::from_bits(machine.pstate()).aarch32();
    let conditional = narrow && has_condition(class);
    if class == WAIT || conditional && !aarch32::is_to_be_run(machine.pstate(), esr) {
        return Resume::Next;
    }
    let hidden = has_condition(class) || matches!(class, 0x09 | 0x0a | 0x19 | 0x1d);
    if !hidden {
        let line = format_args!("ESR_EL2 {esr:#x} at {:#x} is of no known class; undefined", machine.pc());
        vcpu.cell.tell(machine, line);
    }
    Resume::Inject(GuestFault::UNDEFINED)
}

/// The classes of instructions that can be conditional, whose ISS has CV and COND (Arm ARM D24.2.40).
fn has_condition(class: u32) -> bool {
    matches!(class, WAIT | 0x03..=0x08 | 0x0c)
}
