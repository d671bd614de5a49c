//! EL2's own stage 1 descriptors: the non-VHE EL2 regime with its one VA range and one privilege level (Arm ARM
//! D8.3.1.1, D8.4.1). HCR_EL2.E2H = 1 has another format (AP[1] would let EL0 in there): a second `Format`.

use core::fmt;

use super::{AddressSpace, Format, MapError, Stale, Store};
use crate::addr::{Address, Pa, Span};

/// A virtual address of EL2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Va(pub u64);

impl Address for Va {
    fn new(at: u64) -> Self {
        Self(at)
    }
    fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Va {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// EL2's map of itself.
#[derive(Debug)]
pub enum El2Stage1 {}

/// What EL2 may do with a mapping. There is no way to say both writable and executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Code: read, execute.
    Code,
    /// Constants: read.
    ReadOnly,
    /// Data: read, write.
    Data,
    /// Device-nGnRE registers: read, write.
    Device,
}

/// MAIR_EL2 for these descriptors: attribute 0 is Normal write-back (read- and write-allocate), 1 is Device-nGnRE.
pub const MAIR_EL2: u64 = 0x04_ff;

/// AttrIndx, bits 2 to 4.
const NORMAL: u64 = 0 << 2;
const DEVICE: u64 = 1 << 2;
/// AP[1], bit 6: RES1 where there is one privilege level.
const AP1: u64 = 1 << 6;
/// AP[2], bit 7: no writes.
const READ_ONLY: u64 = 1 << 7;
/// SH, bits 8 and 9.
const INNER_SHAREABLE: u64 = 0b11 << 8;
/// AF, bit 10.
const ACCESSED: u64 = 1 << 10;
/// XN, bit 54.
const EXECUTE_NEVER: u64 = 1 << 54;

impl Format for El2Stage1 {
    type Address = Va;
    type Attributes = Window;

    fn encode(window: Window) -> u64 {
        AP1 | ACCESSED
            | match window {
                Window::Code => NORMAL | INNER_SHAREABLE | READ_ONLY,
                Window::ReadOnly => NORMAL | INNER_SHAREABLE | READ_ONLY | EXECUTE_NEVER,
                Window::Data => NORMAL | INNER_SHAREABLE | EXECUTE_NEVER,
                Window::Device => DEVICE | EXECUTE_NEVER,
            }
    }

    fn decode(bits: u64) -> Option<Window> {
        [Window::Code, Window::ReadOnly, Window::Data, Window::Device]
            .into_iter()
            .find(|w| Self::encode(*w) == bits)
    }
}

impl<S: Store> AddressSpace<El2Stage1, S> {
    /// Maps a span of physical addresses at the same virtual ones.
    ///
    /// # Errors
    /// See [`MapError`].
    pub fn map_identity(&mut self, span: Span<Pa>, window: Window) -> Result<(), MapError> {
        self.map(span.map(|at| Va(at.0)), span.start(), window)
    }

    /// Takes away what [`AddressSpace::map_identity`] mapped.
    ///
    /// # Errors
    /// See [`AddressSpace::unmap`].
    pub fn unmap_identity(&mut self, span: Span<Pa>, stale: &mut dyn FnMut(Stale)) -> Result<(), MapError> {
        self.unmap(span.map(|at| Va(at.0)), stale)
    }
}
