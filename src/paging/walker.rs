//! The walker: tables that can be mapped into, whatever the regime they are for.

use super::table::{ENTRIES, Entry, Level};
use super::walk::Mappings;
use super::{Geometry, MapError, Store};
use crate::addr::{Input, PAGE, Pa, Span};

/// A root and what hangs on it.
#[derive(Debug)]
pub(super) struct Walker<S> {
    pub(super) geometry: Geometry,
    pub(super) store: S,
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

impl<S: Store> Walker<S> {
    /// Maps `from`, with these bits beside the address in each entry.
    pub(super) fn map(&mut self, from: Span<Input>, to: Pa, attributes: u64) -> Result<(), MapError> {
        self.check(from, to)?;
        let bits = self.geometry.output_bits();
        if to.0.checked_add(from.size()).is_none_or(|end| end > 1u64.wrapping_shl(u32::from(bits))) {
            return Err(MapError::OutputTooLarge { span: from, to, bits });
        }
        if let Some((taken, _)) = self.leaves(from).next() {
            return Err(MapError::Overlap { span: from, taken });
        }
        let (mut at, mut to, mut left) = (from.start().0, to.0, from.size());
        while left != 0 {
            let done = self.fill(at, to, left, attributes)?;
            (at, to, left) = (at.wrapping_add(done), to.wrapping_add(done), left.saturating_sub(done));
        }
        Ok(())
    }

    /// Writes entries of one size, side by side in one table, as far as they go; gives the bytes they map.
    fn fill(&mut self, at: u64, to: u64, left: u64, attributes: u64) -> Result<u64, MapError> {
        let slot = self.reach(at, Level::of_leaf(at | to, left))?;
        let size = slot.level.size();
        let mut done = 0u64;
        if let Some(table) = self.store.table(slot.table) {
            for index in slot.index..ENTRIES {
                if left.saturating_sub(done) < size || table.entry(index) != 0 {
                    break;
                }
                table.set(index, slot.level.leaf(to.wrapping_add(done), attributes));
                done = done.wrapping_add(size);
            }
        }
        if done == 0 { Err(MapError::NoTable { at: Input(at) }) } else { Ok(done) }
    }

    /// The entry for `at` at this level, tables made on the way. Where there is a table at that level already, the
    /// entry lies deeper.
    fn reach(&mut self, at: u64, level: Level) -> Result<Slot, MapError> {
        let mut slot = self.top(at);
        loop {
            slot = match (slot.level.decode(self.load(slot)), slot.level.below()) {
                (Entry::Table(table, below), _) => Slot::new(table, below, at),
                (Entry::Invalid, Some(below)) if slot.level < level => {
                    let table = self.grow(at)?.pa();
                    self.save(slot, Level::table(table));
                    Slot::new(table, below, at)
                }
                _ => return Ok(slot),
            };
        }
    }

    /// One more table, on the way to `at`.
    pub(super) fn grow(&mut self, at: u64) -> Result<&super::Table, MapError> {
        self.store.grow().ok_or(MapError::NoTable { at: Input(at) })
    }

    pub(super) fn check(&self, span: Span<Input>, to: Pa) -> Result<(), MapError> {
        if !span.is_aligned_to(PAGE) || to.0 & PAGE.wrapping_sub(1) != 0 {
            return Err(MapError::Unaligned { span, to });
        }
        let bits = self.geometry.input_bits();
        if span.end().0 > 1u64.wrapping_shl(u32::from(bits)) {
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

    /// The entry in which the walk for an address of the space ends; never a table.
    pub(super) fn find(&self, at: u64) -> (Slot, Entry) {
        let mut slot = self.top(at);
        loop {
            match slot.level.decode(self.load(slot)) {
                Entry::Table(table, level) => slot = Slot::new(table, level, at),
                entry => return (slot, entry),
            }
        }
    }

    /// Writes every block and page anew.
    pub(super) fn rewrite(&self, change: impl Fn(u64) -> u64) {
        let (mut at, end) = (0u64, 1u64.wrapping_shl(u32::from(self.geometry.input_bits())));
        while at < end {
            let (slot, entry) = self.find(at);
            if let Entry::Leaf(raw) = entry {
                self.save(slot, change(raw));
            }
            at = slot.base(at).wrapping_add(slot.level.size());
        }
    }

    /// The blocks and pages that have an address in the span.
    pub(super) fn leaves(&self, span: Span<Input>) -> Mappings<'_, S> {
        Mappings { walker: self, at: span.start().0, end: span.end().0 }
    }
}
