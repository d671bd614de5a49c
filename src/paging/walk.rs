//! Reading an address space back.

use super::Store;
use super::format::{Format, attribute_bits};
use super::table::{Entry, output};
use super::walker::Walker;
use crate::addr::{Address, Input, Pa, Span};

/// One block or page.
#[derive(Debug)]
pub struct Mapping<F: Format> {
    /// What it translates.
    pub from: Span<F::Address>,
    /// Where to.
    pub to: Pa,
    /// How.
    pub attributes: F::Attributes,
}

impl<F: Format> Mapping<F> {
    /// `None` for an entry that [`Format::encode`] never makes.
    pub(super) fn of((from, raw): (Span<Input>, u64)) -> Option<Self> {
        let attributes = F::decode(attribute_bits(raw))?;
        Some(Self { from: from.map(|at| F::Address::new(at.0)), to: output(raw), attributes })
    }
}

/// Raw blocks and pages by rising address, each with what it translates.
#[derive(Debug)]
pub(super) struct Mappings<'s, S> {
    pub(super) walker: &'s Walker<S>,
    pub(super) at: u64,
    pub(super) end: u64,
}

impl<S: Store> Iterator for Mappings<'_, S> {
    type Item = (Span<Input>, u64);

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.end {
            let (slot, entry) = self.walker.find(self.at);
            let base = slot.base(self.at);
            self.at = base.wrapping_add(slot.level.size());
            if let Entry::Leaf(raw) = entry {
                return Some((Span::new(Input(base), slot.level.size())?, raw));
            }
        }
        None
    }
}
