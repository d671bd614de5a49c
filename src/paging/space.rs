//! An address space: a walker, with the types of its addresses and attributes around it.

use core::marker::PhantomData;

use super::format::{Format, attribute_bits};
use super::table::Entry;
use super::walk::{Mapping, Mappings};
use super::walker::Walker;
use super::{Geometry, HeapStore, MapError, Stale, Store};
use crate::addr::{Address, Input, Pa, Span};

/// A tree of translation tables. No table below the root is ever left empty.
#[derive(Debug)]
pub struct AddressSpace<F, S = HeapStore> {
    pub(super) walker: Walker<S>,
    format: PhantomData<F>,
}

impl<F: Format, S: Store> AddressSpace<F, S> {
    /// An empty space; `None` if the store's root does not have the geometry's shape.
    pub fn new(geometry: Geometry, store: S) -> Option<Self> {
        let root = store.root();
        let aligned = root.first()?.pa().0 & geometry.root_size().wrapping_sub(1) == 0;
        let fits = aligned && root.len() == geometry.root_tables();
        fits.then_some(Self { walker: Walker { geometry, store }, format: PhantomData })
    }

    /// Its shape.
    pub fn geometry(&self) -> &Geometry {
        &self.walker.geometry
    }

    /// The physical address of its root, for VTTBR_EL2 or TTBR0_EL2.
    pub fn root(&self) -> Pa {
        self.walker.store.root().first().map_or(Pa(0), |t| t.pa())
    }

    /// The tables of its root.
    pub fn root_tables(&self) -> &[super::Table] {
        self.walker.store.root()
    }

    /// How many tables it takes.
    pub fn tables(&self) -> usize {
        self.walker.store.tables()
    }

    /// Maps `from` to as many bytes from `to` on, in the largest blocks that alignment allows.
    ///
    /// # Errors
    /// See [`MapError`]. Nothing has changed then, but for [`MapError::NoTable`].
    pub fn map(&mut self, from: Span<F::Address>, to: Pa, attributes: F::Attributes) -> Result<(), MapError> {
        self.walker.map(input(from), to, F::encode(attributes))
    }

    /// Unmaps whatever is mapped in the span. Blocks that stick out are split first; what sticks out is unmapped for
    /// a moment then, so a CPU that runs in this space may fault there and must try again.
    ///
    /// `stale` is called after entries have become invalid, before anything takes their place; it returns when no CPU
    /// holds them any more.
    ///
    /// # Errors
    /// [`MapError::Unaligned`], [`MapError::InputTooLarge`]; [`MapError::NoTable`] if a block cannot be split. The
    /// same addresses are mapped as before then.
    pub fn unmap(&mut self, span: Span<F::Address>, stale: &mut dyn FnMut(Stale)) -> Result<(), MapError> {
        self.walker.unmap(input(span), stale)
    }

    /// Where an address leads, and how.
    pub fn translate(&self, at: F::Address) -> Option<(Pa, F::Attributes)> {
        let at = at.get();
        if at >> self.geometry().input_bits() != 0 {
            return None;
        }
        let (slot, Entry::Leaf(raw)) = self.walker.find(at) else { return None };
        let offset = at & slot.level.size().wrapping_sub(1);
        Some((Pa(super::table::output(raw).0 | offset), F::decode(attribute_bits(raw))?))
    }

    /// All blocks and pages by rising address.
    pub fn mappings(&self) -> impl Iterator<Item = Mapping<F>> {
        let all = Mappings { walker: &self.walker, at: 0, end: 1 << self.geometry().input_bits() };
        all.map_while(Mapping::of)
    }
}

/// The same numbers, as the walker takes them.
fn input<A: Address>(span: Span<A>) -> Span<Input> {
    span.map(|at| Input(at.get()))
}
