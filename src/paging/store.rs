//! Where tables come from.

use alloc::vec::Vec;

use super::Geometry;
use super::table::Table;
use crate::addr::{PAGE, Pa};

/// Tables at known physical addresses. A table's address is its physical one ([`Table::pa`]).
pub trait Store {
    /// The root's tables, side by side.
    fn root(&self) -> &[Table];
    /// The table at this address, root tables included.
    fn table(&self, at: Pa) -> Option<&Table>;
    /// One more table, all entries invalid; `None` if there is no memory.
    fn grow(&mut self) -> Option<&Table>;
    /// Takes a table back that [`Store::grow`] gave and that no walk can reach any more.
    fn release(&mut self, at: Pa);
    /// Tables in use, those of the root included.
    fn tables(&self) -> usize;
}

/// Takes memory for so many tables side by side: zeroed, and aligned to their common size if their number is a power
/// of two. `arch` has it, because safe code cannot zero memory in place: it would first make each table on EL2's short stack.
pub type TakeTables = fn(usize) -> Option<Tables>;

/// Tables side by side, given back when this goes.
#[derive(Debug)]
pub struct Tables {
    tables: &'static [Table],
    give: fn(Pa, usize),
}

impl Tables {
    /// Tables that are given back to `give`, which learns where they are and how many.
    pub fn new(tables: &'static [Table], give: fn(Pa, usize)) -> Self {
        Self { tables, give }
    }

    /// Tables that are not given back, of the image itself say.
    pub fn forever(tables: &'static [Table]) -> Self {
        Self::new(tables, |_, _| {})
    }

    /// Never gives them back.
    pub fn keep(self) -> &'static [Table] {
        core::mem::ManuallyDrop::new(self).tables
    }

    /// The tables. Nobody can hold them for longer than this lives.
    fn get(&self) -> &[Table] {
        self.tables
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        if let Some(first) = self.tables.first() {
            (self.give)(first.pa(), self.tables.len());
        }
    }
}

/// The tables of one address space. What it has taken it keeps for as long as it lives, and uses again.
#[derive(Debug)]
pub struct HeapStore {
    /// The root, and behind it, in EL2's own, tables for the time before there is a heap.
    first: Tables,
    roots: usize,
    /// A bit for each table of `first` that is free.
    free: u32,
    /// All others: those in use, then those that are free.
    others: Vec<Tables>,
    used: usize,
    take: TakeTables,
}

impl HeapStore {
    /// A store that begins with the tables of an array that nobody else uses, at most 32. `None` if it is too short for the root,
    /// or not aligned to the root's size.
    pub fn over(geometry: &Geometry, first: Tables, take: TakeTables) -> Option<Self> {
        let (roots, tables) = (geometry.root_tables(), first.get());
        let misaligned = tables.first()?.pa().0 & geometry.root_size().wrapping_sub(1) != 0;
        if misaligned || tables.len() < roots || tables.len() > u32::BITS as usize {
            return None;
        }
        tables.iter().for_each(Table::clear);
        let free = (roots..tables.len()).fold(0, |set, i| set | 1 << i);
        Some(Self { first, roots, free, others: Vec::new(), used: 0, take })
    }

    /// A root for this geometry; `None` if there is no memory.
    pub fn new(geometry: &Geometry, take: TakeTables) -> Option<Self> {
        Self::over(geometry, take(geometry.root_tables())?, take)
    }

    fn in_first(&self, at: Pa) -> Option<usize> {
        let first = self.first.get();
        let index = (at.0.checked_sub(first.first()?.pa().0)? / PAGE) as usize;
        (index < first.len()).then_some(index)
    }

    fn in_others(&self, at: Pa) -> Option<usize> {
        let is_there = |place: &usize| self.others.get(*place)?.get().first().map(|table| table.pa() == at);
        (0..self.used).find(|place| is_there(place) == Some(true))
    }
}

impl Store for HeapStore {
    fn root(&self) -> &[Table] {
        self.first.get().get(..self.roots).unwrap_or(&[])
    }

    fn table(&self, at: Pa) -> Option<&Table> {
        match self.in_first(at) {
            Some(index) => self.first.get().get(index),
            None => self.others.get(self.in_others(at)?)?.get().first(),
        }
    }

    fn grow(&mut self) -> Option<&Table> {
        if self.free != 0 {
            let index = self.free.trailing_zeros();
            self.free &= !(1 << index);
            return self.first.get().get(index as usize);
        }
        if self.used == self.others.len() {
            self.others.try_reserve(1).ok()?;
            // There is room; said so, the compiler leaves the way out that panics.
            if self.others.len() == self.others.capacity() {
                return None;
            }
            self.others.push((self.take)(1)?);
        }
        self.used = self.used.saturating_add(1);
        self.others.get(self.used.saturating_sub(1))?.get().first()
    }

    fn release(&mut self, at: Pa) {
        if let Some(table) = self.table(at) {
            table.clear();
        }
        if let Some(index) = self.in_first(at) {
            self.free |= 1u32.wrapping_shl(index as u32);
        } else if let Some(index) = self.in_others(at) {
            self.used = self.used.saturating_sub(1);
            // Nothing is to be done if it is the last.
            if let Ok([freed, last]) = self.others.get_disjoint_mut([index, self.used]) {
                core::mem::swap(freed, last);
            }
        }
    }

    fn tables(&self) -> usize {
        self.first.get().len().saturating_add(self.used).saturating_sub(self.free.count_ones() as usize)
    }
}
