//! Translation tables as data: stage 2 of the cells and EL2's own map (Arm ARM DDI 0487, D8: VMSAv8-64, 4 KiB granule).
//!
//! One walker works on plain numbers and takes its tables from any [`Store`]; an [`AddressSpace`] gives it the types of one
//! descriptor [`Format`]. Nothing here executes a barrier or a TLB instruction:
//! - Every store to an entry is a Release, so an entry that points to a table is seen only after that table's contents.
//! - After a batch of [`AddressSpace::map`] the caller makes the batch visible to table walks: `DSB ISHST; ISB`
//!   (D8.16.1). A new entry replaces an invalid one, so there is nothing to invalidate.
//! - [`AddressSpace::unmap`] keeps break-before-make (D8.16.1): invalid entry, then the caller's [`Stale`] closure,
//!   then the new entry, if any. The closure begins with `DSB ISHST`, invalidates, and returns only after `DSB ISH`;
//!   [`crate::ports::TlbMaint`] promises that.
//! - Tables that were filled with the MMU off are the filler's to invalidate from the caches (docs/architecture.md, Caches and TLB).

mod el2;
mod format;
mod geometry;
mod root;
mod space;
mod stage2;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod unmap;
mod walk;
mod walker;

pub use el2::{El2Stage1, MAIR_EL2, Regime, Va, Window};
pub use format::Format;
pub use geometry::{Geometry, GeometryError, can_use};
pub use root::Root;
pub use space::AddressSpace;
pub use stage2::{Stage2, Stage2Attributes};
pub use store::{HeapStore, Store, Tables, TakeTables};
pub use table::{ENTRIES, Level, Table};
pub use walk::Mapping;

use crate::addr::{Input, Pa, Span};
use crate::refusal::{Code, code};

/// A cell's stage 2.
pub type Stage2Space<S = HeapStore> = AddressSpace<Stage2, S>;
/// EL2's own map.
pub type El2Space<S = HeapStore> = AddressSpace<El2Stage1, S>;

/// What the TLBs may hold no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// Whatever translated this address, a block as a whole, and the table entries on the way to it.
    At(Input),
    /// Whatever belongs to this address space.
    All,
}

/// Why an address space stays as it is. Addresses are of the space itself, unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// A start or size that is no multiple of 4 KiB.
    #[error("{span} to {to} is not made of whole pages")]
    Unaligned {
        /// What was to be mapped or unmapped.
        span: Span<Input>,
        /// Where to; 0 when unmapping.
        to: Pa,
    },
    /// Beyond what the geometry can translate from.
    #[error("{span} does not fit into {bits} bits of address")]
    InputTooLarge {
        /// What was to be mapped or unmapped.
        span: Span<Input>,
        /// The size of the space.
        bits: u8,
    },
    /// Beyond the physical addresses of this machine.
    #[error("physical address {to} for {span} does not fit into {bits} bits")]
    OutputTooLarge {
        /// What was to be mapped.
        span: Span<Input>,
        /// Where to.
        to: Pa,
        /// The size of the physical address space.
        bits: u8,
    },
    /// Part of it is mapped already.
    #[error("{span} overlaps {taken}, which is mapped already")]
    Overlap {
        /// What was to be mapped.
        span: Span<Input>,
        /// The first mapping in its way.
        taken: Span<Input>,
    },
    /// The store has no table left. When mapping, the span may be mapped in part: unmap it, or give the space up.
    #[error("no memory for a translation table for {at}")]
    NoTable {
        /// The address that needs it.
        at: Input,
    },
}

impl MapError {
    /// Its number.
    pub fn code(&self) -> Code {
        match self {
            Self::InputTooLarge { .. } | Self::OutputTooLarge { .. } => code::TOO_HIGH,
            Self::NoTable { .. } => code::POOL_TOO_SMALL,
            Self::Unaligned { .. } | Self::Overlap { .. } => code::MAP_BUG,
        }
    }
}
