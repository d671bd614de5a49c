//! What differs between translation regimes: the attribute bits of a block or page.

use core::fmt;

use super::table::ADDRESS;
use crate::addr::Address;

/// A format of block and page descriptors.
pub trait Format {
    /// The addresses it translates from.
    type Address: Address;
    /// What a mapping may be.
    type Attributes: Copy + PartialEq + fmt::Debug;

    /// All bits but the address and the descriptor type in bits 0 and 1.
    fn encode(attributes: Self::Attributes) -> u64;
    /// The reverse; `None` for what [`Format::encode`] never makes.
    fn decode(bits: u64) -> Option<Self::Attributes>;
}

/// The bits of a raw block or page entry that [`Format::encode`] made.
pub(super) const fn attribute_bits(raw: u64) -> u64 {
    raw & !ADDRESS & !0b11
}
