//! Physical SErrors.

use super::{Resume, StopReason};
use crate::cell::Vcpu;
use crate::crash::Cause;
use crate::ports::Machine;

/// ISS of an SError (Arm ARM D24.2.40): IDS and DFSC say whether AET is there.
const IDS: u64 = 1 << 24;
const DFSC: u64 = 0x3f;
const WITH_AET: u64 = 0x11;

/// Answers an SError that came while the guest ran (HCR_EL2.AMO). Whose is it?
///
/// A CPU has one guest; EL2 keeps PSTATE.A set, so what EL2 did wrong itself would come here too, but EL2 writes
/// to memory, a GIC and a UART that answer. What a guest can do is write to a register that its device does not have. So it is the
/// guest's, as it would be without EL2: it becomes a virtual SError, which the guest takes, masks or dies of. What was
/// not taken when a life ends does not reach the next one (`reset_vcpu`).
///
/// FEAT_RAS tells more: an error that was corrected or touched nothing yet is no matter for a guest that is not shown FEAT_RAS; one
/// that may have spread silently (uncontainable) ends the cell. So does one that left the CPU's state beyond recovery: the guest could
/// not go on, and a Neoverse N1 says that of an uncontainable one, too (erratum 1349291).
#[cold]
#[inline(never)]
pub fn answer<M: Machine>(vcpu: &Vcpu<'_>, machine: &mut M) -> Resume {
    let esr = machine.esr();
    let state = if esr & (IDS | DFSC) == WITH_AET { State::of(esr) } else { State::Unknown };
    vcpu.cell.tell(machine, format_args!("SError on {}, ESR_EL2 {esr:#x}", vcpu.cpu));
    match state {
        State::Harmless => {}
        State::Unknown => machine.raise_virtual_serror(),
        State::Uncontainable => return Resume::Stop(StopReason::Crash(Cause::SError)),
    }
    Resume::Again
}

/// How far an error has come.
enum State {
    /// Corrected, or restartable.
    Harmless,
    /// Recoverable, and no further than the guest; or the CPU does not say.
    Unknown,
    /// It may be anywhere.
    Uncontainable,
}

impl State {
    /// AET.
    fn of(esr: u64) -> Self {
        match esr >> 10 & 7 {
            // UEO, CE.
            0b010 | 0b110 => Self::Harmless,
            // UER.
            0b011 => Self::Unknown,
            // UC, UEU; the others are reserved.
            _ => Self::Uncontainable,
        }
    }
}
