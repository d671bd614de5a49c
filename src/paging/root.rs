//! The root of a stage 2 that can be taken from under a running guest: where the guest takes its interrupts itself, a fault is
//! what brings its CPUs back.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::table::{ENTRIES, Table};

/// The root's tables, and what stands in them while the cell runs. Its owner serialises [`Root::clear`] and [`Root::restore`].
#[derive(Debug)]
pub struct Root {
    tables: &'static [Table],
    /// The entries that are in use: table, index and value.
    entries: Box<[(u8, u16, u64)]>,
}

impl Root {
    /// Of tables that are complete: what stands in them now is what [`Root::restore`] brings back.
    #[inline(never)]
    pub fn new(tables: &'static [Table]) -> Self {
        let used = || {
            let all = tables.iter().zip(0u8..).flat_map(|(table, at)| {
                (0..ENTRIES).map(move |index| (at, index as u16, table.entry(index)))
            });
            all.filter(|(_, _, raw)| *raw != 0)
        };
        // As many as there are: nothing of EL2's memory is tried in vain.
        let mut entries = Vec::with_capacity(used().count());
        entries.extend(used());
        Self { tables, entries: entries.into() }
    }

    /// Nothing is mapped any more, once the TLBs have forgotten ([`crate::ports::TlbMaint::invalidate_vmid`]).
    pub fn clear(&self) {
        self.each(|table, index, _| table.set(index, 0));
    }

    /// All is mapped as before. The caller's DSB ISHST makes it visible to table walks.
    pub fn restore(&self) {
        self.each(Table::set);
    }

    /// An entry of the first table.
    #[cfg(test)]
    pub fn entry(&self, index: usize) -> u64 {
        self.tables.first().map_or(0, |table| table.entry(index))
    }

    fn each(&self, put: impl Fn(&Table, usize, u64)) {
        for &(table, index, raw) in &self.entries {
            if let Some(table) = self.tables.get(usize::from(table)) {
                put(table, usize::from(index), raw);
            }
        }
    }
}
