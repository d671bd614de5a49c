//! Exceptions injected into a guest, as the Arm ARM has them (D1.3).

use super::Frame;
use crate::ports::El1;

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

/// Makes the guest take `fault` when it is entered next.
pub fn inject(_machine: &mut impl El1, _frame: &mut Frame, _fault: GuestFault) {}
