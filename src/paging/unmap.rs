//! Taking mappings away, break-before-make kept (Arm ARM D8.16.1).

use arrayvec::ArrayVec;

use super::format::attribute_bits;
use super::table::{ENTRIES, Entry, Level, output};
use super::walker::{Slot, Walker};
use super::{MapError, Stale, Store};
use crate::addr::{Input, Pa, Span};

impl<S: Store> Walker<S> {
    /// See [`super::AddressSpace::unmap`].
    pub(super) fn unmap(&mut self, span: Span<Input>, stale: &mut dyn FnMut(Stale)) -> Result<(), MapError> {
        self.check(span, Pa(0))?;
        let (mut at, end) = (span.start().0, span.end().0);
        self.split(at, stale)?;
        self.split(end, stale)?;
        while at < end {
            at = self.clear(at, end, stale);
        }
        Ok(())
    }

    /// Makes `at` a boundary between entries.
    fn split(&mut self, at: u64, stale: &mut dyn FnMut(Stale)) -> Result<(), MapError> {
        loop {
            let (slot, Entry::Leaf(raw)) = self.find(at) else { return Ok(()) };
            let base = slot.base(at);
            let (true, Some(below)) = (base != at, slot.level.below()) else { return Ok(()) };
            let table = self.grow(at)?;
            let mut to = output(raw).0;
            for index in 0..ENTRIES {
                table.set(index, below.leaf(to, attribute_bits(raw)));
                to = to.wrapping_add(below.size());
            }
            let table = table.pa();
            self.save(slot, 0);
            stale(Stale::At(Input(base)));
            self.save(slot, Level::table(table));
        }
    }

    /// Clears one table, or a run of entries in one table, or skips what is not mapped; gives where to go on. No
    /// block sticks out of `at..end`.
    fn clear(&mut self, at: u64, end: u64, stale: &mut dyn FnMut(Stale)) -> u64 {
        let mut path = ArrayVec::<Slot, 4>::new();
        let mut slot = self.top(at);
        loop {
            let base = slot.base(at);
            let next = base.wrapping_add(slot.level.size());
            match slot.level.decode(self.load(slot)) {
                Entry::Invalid => return next,
                Entry::Table(table, level) if base == at && next <= end => {
                    self.save(slot, 0);
                    stale(Stale::All);
                    self.release(table, level);
                    self.prune(path, slot.table, at, stale);
                    return next;
                }
                Entry::Table(table, level) => {
                    // A walk is no deeper than that.
                    let _ = path.try_push(slot);
                    slot = Slot::new(table, level, at);
                }
                Entry::Leaf(_) => {
                    let next = self.clear_run(slot, at, end, stale);
                    self.prune(path, slot.table, at, stale);
                    return next;
                }
            }
        }
    }

    fn clear_run(&self, mut slot: Slot, mut at: u64, end: u64, stale: &mut dyn FnMut(Stale)) -> u64 {
        while at < end
            && slot.index < ENTRIES
            && let Entry::Leaf(_) = slot.level.decode(self.load(slot))
        {
            self.save(slot, 0);
            stale(Stale::At(Input(at)));
            at = at.wrapping_add(slot.level.size());
            slot.index = slot.index.saturating_add(1);
        }
        at
    }

    /// Gives back the tables on the way to `at` that are empty now, lowest first.
    fn prune(&mut self, mut path: ArrayVec<Slot, 4>, mut table: Pa, at: u64, stale: &mut dyn FnMut(Stale)) {
        while let Some(parent) = path.pop()
            && self.store.table(table).is_some_and(|t| t.is_empty())
        {
            self.save(parent, 0);
            stale(Stale::At(Input(at)));
            self.store.release(table);
            table = parent.table;
        }
    }

    /// Gives back a table that no walk reaches, and those below it.
    fn release(&mut self, table: Pa, level: Level) {
        for index in 0..ENTRIES {
            if let Entry::Table(lower, level) = level.decode(self.load(Slot { table, index, level })) {
                self.release(lower, level);
            }
        }
        self.store.release(table);
    }
}
