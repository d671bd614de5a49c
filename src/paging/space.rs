//! The walker: an address space that can be mapped into.

use core::marker::PhantomData;

use super::format::Format;
use super::table::{ENTRIES, Entry, Level};
use super::{Geometry, MapError, Store};
use crate::addr::{Address, PAGE, Pa, Span};

/// A tree of translation tables. No table below the root is ever left empty.
#[derive(Debug)]
pub struct AddressSpace<F, S> {
    geometry: Geometry,
    pub(super) store: S,
    format: PhantomData<F>,
}

/// One entry: the table it lies in, its place there, its level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) table: Pa,
    pub(super) index: usize,
    pub(super) level: Level,
}

impl Slot {
    /// The entry for `at` in a table of this level.
    pub(super) fn new(table: Pa, level: Level, at: u64) -> Self {
        Self { table, index: (at >> level.shift()) as usize % ENTRIES, level }
    }

    /// The first address that the entry translates, given one of them.
    pub(super) fn base(&self, at: u64) -> u64 {
        at & !self.level.size().wrapping_sub(1)
    }
}

impl<F: Format, S: Store> AddressSpace<F, S> {
    /// An empty space; `None` if the store's root does not have the geometry's shape.
    pub fn new(geometry: Geometry, store: S) -> Option<Self> {
        let root = store.root();
        let aligned = root.first()?.pa().0 & geometry.root_size().wrapping_sub(1) == 0;
        (aligned && root.len() == geometry.root_tables()).then_some(Self {
            geometry,
            store,
            format: PhantomData,
        })
    }

    /// Its shape.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The physical address of its root, for VTTBR_EL2 or TTBR0_EL2.
    pub fn root(&self) -> Pa {
        self.store.root().first().map_or(Pa(0), |t| t.pa())
    }

    /// How many tables it takes.
    pub fn tables(&self) -> usize {
        self.store.tables()
    }

    /// Maps `from` to as many bytes from `to` on, in the largest blocks that alignment allows.
    ///
    /// # Errors
    /// See [`MapError`]. Nothing has changed then, but for [`MapError::NoTable`].
    pub fn map(
        &mut self,
        from: Span<F::Address>,
        to: Pa,
        attributes: F::Attributes,
    ) -> Result<(), MapError<F::Address>> {
        self.check(from, to)?;
        let bits = self.geometry.output_bits();
        if to.0.checked_add(from.size()).is_none_or(|end| end > 1 << bits) {
            return Err(MapError::OutputTooLarge { span: from, to, bits });
        }
        if let Some(taken) = self.mappings_in(from).next() {
            return Err(MapError::Overlap { span: from, taken: taken.from });
        }
        let bits = F::encode(attributes);
        let (mut at, mut to, mut left) = (from.start().get(), to.0, from.size());
        while left != 0 {
            let done = self.fill(at, to, left, bits)?;
            (at, to, left) = (at.wrapping_add(done), to.wrapping_add(done), left.saturating_sub(done));
        }
        Ok(())
    }

    /// Writes entries of one size, side by side in one table, as far as they go; gives the bytes they map.
    fn fill(&mut self, at: u64, to: u64, left: u64, bits: u64) -> Result<u64, MapError<F::Address>> {
        let slot = self.reach(at, Level::of_leaf(at | to, left))?;
        let size = slot.level.size();
        let mut done = 0u64;
        if let Some(table) = self.store.table(slot.table) {
            for index in slot.index..ENTRIES {
                if left.saturating_sub(done) < size || table.entry(index) != 0 {
                    break;
                }
                table.set(index, slot.level.leaf(to.wrapping_add(done), bits));
                done = done.wrapping_add(size);
            }
        }
        if done == 0 { Err(MapError::NoTable { at: Address::new(at) }) } else { Ok(done) }
    }

    /// The entry for `at` at this level, tables made on the way. Where there is a table at that level already, the
    /// entry lies deeper.
    fn reach(&mut self, at: u64, level: Level) -> Result<Slot, MapError<F::Address>> {
        let mut slot = self.top(at);
        loop {
            slot = match (slot.level.decode(self.load(slot)), slot.level.below()) {
                (Entry::Table(table, below), _) => Slot::new(table, below, at),
                (Entry::Invalid, Some(below)) if slot.level < level => {
                    let (table, _) = self.store.grow().ok_or(MapError::NoTable { at: Address::new(at) })?;
                    self.save(slot, Level::table(table));
                    Slot::new(table, below, at)
                }
                _ => return Ok(slot),
            };
        }
    }

    pub(super) fn check(&self, span: Span<F::Address>, to: Pa) -> Result<(), MapError<F::Address>> {
        if !span.is_aligned_to(PAGE) || to.0 & PAGE.wrapping_sub(1) != 0 {
            return Err(MapError::Unaligned { span, to });
        }
        let bits = self.geometry.input_bits();
        if span.end().get() > 1 << bits {
            return Err(MapError::InputTooLarge { span, bits });
        }
        Ok(())
    }

    /// The root's entry for an address of the space.
    pub(super) fn top(&self, at: u64) -> Slot {
        let (table, index) = self.geometry.root_index(at);
        let table = self.store.root().get(table).map_or(Pa(0), |t| t.pa());
        Slot { table, index, level: self.geometry.start() }
    }

    pub(super) fn load(&self, slot: Slot) -> u64 {
        self.store.table(slot.table).map_or(0, |t| t.entry(slot.index))
    }

    pub(super) fn save(&self, slot: Slot, value: u64) {
        if let Some(table) = self.store.table(slot.table) {
            table.set(slot.index, value);
        }
    }
}
