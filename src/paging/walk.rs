//! Reading an address space back.

use super::format::{Format, attribute_bits};
use super::space::{AddressSpace, Slot};
use super::table::{ADDRESS, Entry};
use super::{Store, space};
use crate::addr::{Address, Pa, Span};

/// One block or page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping<A, T> {
    /// What it translates.
    pub from: Span<A>,
    /// Where to.
    pub to: Pa,
    /// How.
    pub attributes: T,
}

impl<F: Format, S: Store> AddressSpace<F, S> {
    /// Where an address leads, and how.
    pub fn translate(&self, at: F::Address) -> Option<(Pa, F::Attributes)> {
        let at = at.get();
        if at >> self.geometry().input_bits() != 0 {
            return None;
        }
        let (slot, Entry::Leaf(raw)) = self.find(at) else { return None };
        let offset = at & slot.level.size().wrapping_sub(1);
        Some((Pa(raw & ADDRESS | offset), F::decode(attribute_bits(raw))?))
    }

    /// All blocks and pages by rising address.
    pub fn mappings(&self) -> Mappings<'_, F, S> {
        Mappings { space: self, at: 0, end: 1 << self.geometry().input_bits() }
    }

    /// The blocks and pages that have an address in the span.
    pub fn mappings_in(&self, span: Span<F::Address>) -> Mappings<'_, F, S> {
        Mappings { space: self, at: span.start().get(), end: span.end().get() }
    }

    /// The entry in which the walk for an address of the space ends; never a table.
    pub(super) fn find(&self, at: u64) -> (space::Slot, Entry) {
        let mut slot = self.top(at);
        loop {
            match slot.level.decode(self.load(slot)) {
                Entry::Table(table, level) => slot = Slot::new(table, level, at),
                entry => return (slot, entry),
            }
        }
    }
}

/// See [`AddressSpace::mappings`].
#[derive(Debug)]
pub struct Mappings<'s, F, S> {
    space: &'s AddressSpace<F, S>,
    at: u64,
    end: u64,
}

impl<F: Format, S: Store> Iterator for Mappings<'_, F, S> {
    type Item = Mapping<F::Address, F::Attributes>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.end {
            let (slot, entry) = self.space.find(self.at);
            let base = slot.base(self.at);
            self.at = base.wrapping_add(slot.level.size());
            if let Entry::Leaf(raw) = entry {
                return Some(Mapping {
                    from: Span::new(Address::new(base), slot.level.size())?,
                    to: Pa(raw & ADDRESS),
                    attributes: F::decode(attribute_bits(raw))?,
                });
            }
        }
        None
    }
}
