//! The root of a stage 2 that can be taken from under a running guest: where the guest takes its interrupts itself, a fault is
//! what brings its CPUs back.

use super::table::{ENTRIES, Table};

/// The root's tables. Its owner serialises [`Root::clear`] and [`Root::restore`].
#[derive(Debug)]
pub struct Root {
    tables: &'static [Table],
}

/// An entry without this bit is invalid, whatever else is in it (Arm ARM D8.3.1).
const VALID: u64 = 1;

impl Root {
    /// Of tables that are complete: an entry that is not in use is 0.
    pub fn new(tables: &'static [Table]) -> Self {
        Self { tables }
    }

    /// Nothing is mapped any more, once the TLBs have forgotten ([`crate::ports::TlbMaint::invalidate_vmid`]).
    pub fn clear(&self) {
        self.each(|raw| raw & !VALID);
    }

    /// All is mapped as before. The caller's DSB ISHST makes it visible to table walks.
    pub fn restore(&self) {
        self.each(|raw| raw | VALID);
    }

    /// An entry of the first table.
    #[cfg(test)]
    pub fn entry(&self, index: usize) -> u64 {
        self.tables.first().map_or(0, |table| table.entry(index))
    }

    fn each(&self, change: impl Fn(u64) -> u64) {
        for table in self.tables {
            for index in 0..ENTRIES {
                let raw = table.entry(index);
                if raw != 0 {
                    table.set(index, change(raw));
                }
            }
        }
    }
}
