//! Where tables come from.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Deref;

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
    fn grow(&mut self) -> Option<(Pa, &Table)>;
    /// Takes a table back that [`Store::grow`] gave and that no walk can reach any more.
    fn release(&mut self, at: Pa);
    /// Tables in use, those of the root included.
    fn tables(&self) -> usize;
}

/// Tables from the heap, or first from an array, for the time before there is a heap.
#[derive(Debug)]
pub struct HeapStore {
    /// The root, and tables to spare.
    chunk: Chunk,
    first: usize,
    roots: usize,
    /// A bit for each table of `chunk` that is free.
    spare: u32,
    others: Vec<Box<[Table]>>,
}

/// Where the first tables lie.
#[derive(Debug)]
enum Chunk {
    /// On the heap: the spare ones are there because the allocator did not align the root by itself.
    Heap(Box<[Table]>),
    Array(&'static [Table]),
}

impl Deref for Chunk {
    type Target = [Table];

    fn deref(&self) -> &[Table] {
        match self {
            Self::Heap(tables) => tables,
            Self::Array(tables) => tables,
        }
    }
}

impl HeapStore {
    /// A store that begins with the tables of an array that nobody else uses, at most 32; it turns to the heap when they are used
    /// up. `None` if it is too short for the root, or not aligned to the root's size.
    pub fn over(geometry: &Geometry, tables: &'static [Table]) -> Option<Self> {
        let roots = geometry.root_tables();
        let spare = u32::MAX.checked_shr(32_u32.checked_sub(u32::try_from(tables.len()).ok()?)?).unwrap_or(0);
        let root = tables.get(..roots)?;
        if root.first()?.pa().0 & geometry.root_size().wrapping_sub(1) != 0 {
            return None;
        }
        tables.iter().for_each(Table::clear);
        let spare = spare.checked_shr(roots as u32)?.checked_shl(roots as u32)?;
        Some(Self { chunk: Chunk::Array(tables), first: 0, roots, spare, others: Vec::new() })
    }

    /// A root for this geometry; `None` if there is no memory.
    pub fn new(geometry: &Geometry) -> Option<Self> {
        let roots = geometry.root_tables();
        let size = geometry.root_size();
        let misalignment = |chunk: &[Table]| chunk.first().map_or(0, |t| t.pa().0 & size.wrapping_sub(1));
        let mut chunk = allocate(roots)?;
        let mut first = 0;
        if misalignment(&chunk) != 0 {
            // Twice as many less one hold an aligned run wherever they lie; what is over becomes lower tables.
            drop(chunk);
            chunk = allocate(roots.saturating_mul(2).saturating_sub(1))?;
            let past = misalignment(&chunk);
            first = if past == 0 { 0 } else { (size.wrapping_sub(past) / PAGE) as usize };
        }
        let root = first..first.saturating_add(roots);
        let spare = (0..chunk.len()).filter(|i| !root.contains(i)).fold(0, |set, i| set | 1 << i);
        Some(Self { chunk: Chunk::Heap(chunk), first, roots, spare, others: Vec::new() })
    }

    fn in_chunk(&self, at: Pa) -> Option<usize> {
        index_in(&self.chunk, at)
    }
}

impl Store for HeapStore {
    fn root(&self) -> &[Table] {
        self.chunk.get(self.first..self.first.saturating_add(self.roots)).unwrap_or(&[])
    }

    fn table(&self, at: Pa) -> Option<&Table> {
        match self.in_chunk(at) {
            Some(index) => self.chunk.get(index),
            None => self.others.iter().flat_map(|b| b.first()).find(|t| t.pa() == at),
        }
    }

    fn grow(&mut self) -> Option<(Pa, &Table)> {
        let table = if self.spare == 0 {
            self.others.try_reserve(1).ok()?;
            self.others.push(allocate(1)?);
            self.others.last()?.first()?
        } else {
            let index = self.spare.trailing_zeros();
            self.spare &= !(1 << index);
            self.chunk.get(index as usize)?
        };
        Some((table.pa(), table))
    }

    fn release(&mut self, at: Pa) {
        if let Some(index) = self.in_chunk(at) {
            if let Some(table) = self.chunk.get(index) {
                table.clear();
                self.spare |= 1 << index;
            }
        } else {
            self.others.retain(|b| b.first().is_none_or(|t| t.pa() != at));
        }
    }

    fn tables(&self) -> usize {
        let spare = self.spare.count_ones() as usize;
        self.chunk.len().saturating_add(self.others.len()).saturating_sub(spare)
    }
}

fn allocate(count: usize) -> Option<Box<[Table]>> {
    let mut tables = Vec::new();
    tables.try_reserve_exact(count).ok()?;
    // One at a time: the compiler then writes each in its place, without a copy on EL2's short stack.
    for _ in 0..count {
        tables.push(Table::new());
    }
    Some(tables.into_boxed_slice())
}

fn index_in(tables: &[Table], at: Pa) -> Option<usize> {
    let index = (at.0.checked_sub(tables.first()?.pa().0)? / PAGE) as usize;
    tables.get(index).filter(|t| t.pa() == at).map(|_| index)
}
