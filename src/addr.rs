//! Addresses and spans of addresses, a type for each space.
//!
//! Bulkhead's EL2 runs on an identity map, so a physical address is also an EL2 virtual address; only
//! `arch/aarch64` may make use of that.

use core::fmt;

/// Bytes in the smallest translation granule (Arm ARM D8.2, the 4 KiB granule).
pub const PAGE: u64 = 4096;
/// Bytes that a level 2 block maps with the 4 KiB granule.
pub const BLOCK_2M: u64 = 2 << 20;
/// Bytes that a level 1 block maps with the 4 KiB granule.
pub const BLOCK_1G: u64 = 1 << 30;

/// An address in one address space.
pub trait Address: Copy + Ord + fmt::Debug + fmt::Display {
    /// The address with this number.
    fn new(at: u64) -> Self;
    /// The number of this address.
    fn get(self) -> u64;
}

/// A number, of whatever space.
impl Address for u64 {
    fn new(at: u64) -> Self {
        at
    }
    fn get(self) -> u64 {
        self
    }
}

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl Address for $name {
            fn new(at: u64) -> Self {
                Self(at)
            }
            fn get(self) -> u64 {
                self.0
            }
        }

        impl $name {
            /// The address `by` bytes further on; `None` past the end of the space.
            pub fn checked_add(self, by: u64) -> Option<Self> {
                self.0.checked_add(by).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

address! {
    /// A physical address.
    Pa
}
address! {
    /// An intermediate physical address: what a cell takes for physical.
    Ipa
}
address! {
    /// An address that translation tables translate from, of whatever regime: an intermediate physical address, or a virtual one of
    /// EL2.
    Input
}

/// A range of addresses that is not empty and does not wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span<A> {
    start: A,
    last: A,
}

impl<A: Address> Span<A> {
    /// `size` bytes from `start`; `None` if that is nothing, or runs past the end of the space.
    pub fn new(start: A, size: u64) -> Option<Self> {
        let last = start.get().checked_add(size.checked_sub(1)?)?;
        // The very last byte of the space stays out, so that `end` is always a number.
        (last != u64::MAX).then_some(Self { start, last: A::new(last) })
    }

    /// From `start` up to, and without, `end`.
    pub fn between(start: A, end: A) -> Option<Self> {
        Self::new(start, end.get().checked_sub(start.get())?)
    }

    /// The first address.
    pub fn start(&self) -> A {
        self.start
    }

    /// The last address.
    pub fn last(&self) -> A {
        self.last
    }

    /// The address behind the last one.
    pub fn end(&self) -> A {
        A::new(self.last.get().saturating_add(1))
    }

    /// How many bytes, 1 or more.
    pub fn size(&self) -> u64 {
        self.last.get().saturating_sub(self.start.get()).saturating_add(1)
    }

    /// Whether `at` lies inside.
    pub fn contains(&self, at: A) -> bool {
        self.start <= at && at <= self.last
    }

    /// Whether all of `other` lies inside.
    pub fn covers(&self, other: &Self) -> bool {
        self.start <= other.start && other.last <= self.last
    }

    /// Whether the two have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start <= other.last && other.start <= self.last
    }

    /// What the two have in common.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        self.overlaps(other)
            .then(|| Self { start: self.start.max(other.start), last: self.last.min(other.last) })
    }

    /// What is left of `self` when `hole` is cut out: the piece below and the piece above.
    pub fn without(&self, hole: &Self) -> [Option<Self>; 2] {
        if !self.overlaps(hole) {
            return [Some(*self), None];
        }
        [Self::between(self.start, hole.start), Self::between(hole.end(), self.end())]
    }

    /// The smallest span of whole `unit`s (a power of two) that covers this one; `None` if it would leave the space.
    pub fn widened_to(&self, unit: u64) -> Option<Self> {
        let mask = unit.checked_sub(1)?;
        let end = self.end().get().checked_add(mask)? & !mask;
        Self::between(A::new(self.start.get() & !mask), A::new(end))
    }

    /// The largest span of whole `unit`s (a power of two) inside this one.
    pub fn narrowed_to(&self, unit: u64) -> Option<Self> {
        let mask = unit.checked_sub(1)?;
        let start = self.start.get().checked_add(mask)? & !mask;
        Self::between(A::new(start), A::new(self.end().get() & !mask))
    }

    /// Whether start and size are multiples of `unit`, a power of two.
    pub fn is_aligned_to(&self, unit: u64) -> bool {
        let mask = unit.wrapping_sub(1);
        self.start.get() & mask == 0 && self.size() & mask == 0
    }
}

impl<A: Address> Span<A> {
    /// The span in another space, where `to` keeps every number, or moves all by the same distance.
    pub(crate) fn map<B: Address>(self, to: impl Fn(A) -> B) -> Span<B> {
        Span { start: to(self.start), last: to(self.last) }
    }
}

impl Span<Pa> {
    /// The same numbers as intermediate physical addresses: the root cell's 1:1 map.
    pub fn identity(&self) -> Span<Ipa> {
        self.map(|at| Ipa(at.0))
    }
}

impl<A: Address> fmt::Display for Span<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start.get(), self.end().get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u64, end: u64) -> Span<Pa> {
        Span::between(Pa(start), Pa(end)).unwrap()
    }

    #[test]
    fn empty_and_wrapping_spans_cannot_be_made() {
        assert_eq!(Span::new(Pa(0x1000), 0), None);
        assert_eq!(Span::new(Pa(u64::MAX), 1), None);
        assert_eq!(Span::new(Pa(u64::MAX - 4), 6), None);
        assert_eq!(Span::between(Pa(8), Pa(8)), None);
        assert_eq!(Span::new(Pa(u64::MAX - 1), 1).unwrap().end(), Pa(u64::MAX));
    }

    #[test]
    fn a_hole_leaves_the_pieces_around_it() {
        assert_eq!(span(0, 10).without(&span(3, 5)), [Some(span(0, 3)), Some(span(5, 10))]);
        assert_eq!(span(0, 10).without(&span(0, 5)), [None, Some(span(5, 10))]);
        assert_eq!(span(0, 10).without(&span(10, 15)), [Some(span(0, 10)), None]);
        assert_eq!(span(2, 4).without(&span(0, 9)), [None, None]);
    }

    #[test]
    fn alignment_goes_outwards_or_inwards() {
        assert_eq!(span(0x1800, 0x3800).widened_to(PAGE), Some(span(0x1000, 0x4000)));
        assert_eq!(span(0x1800, 0x3800).narrowed_to(PAGE), Some(span(0x2000, 0x3000)));
        assert_eq!(span(0x1800, 0x1900).narrowed_to(PAGE), None);
        assert!(span(0x1000, 0x3000).is_aligned_to(PAGE));
        assert!(!span(0x1000, 0x3001).is_aligned_to(PAGE));
    }
}
