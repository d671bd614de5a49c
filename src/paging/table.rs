//! One translation table and the kinds of its entries (Arm ARM D8.3.1).

use core::sync::atomic::{AtomicU64, Ordering};

use crate::addr::{BLOCK_1G, BLOCK_2M, PAGE, Pa};

/// Entries in a table of the 4 KiB granule.
pub const ENTRIES: usize = 512;

/// The output or next-table address in an entry: 48 bits, no FEAT_LPA2.
pub(super) const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

/// Where a raw entry leads.
pub(super) fn output(raw: u64) -> Pa {
    Pa(raw & ADDRESS)
}

/// A translation table. The hardware walks it while it is written, hence the atomics.
#[repr(C, align(4096))]
#[derive(Debug)]
pub struct Table([AtomicU64; ENTRIES]);

const _: () = assert!(size_of::<Table>() == PAGE as usize);

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl Table {
    /// A table of invalid entries, for a `static`: it is too large for EL2's stack.
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; ENTRIES])
    }

    /// Its address on EL2's identity map, which is its physical address.
    pub fn pa(&self) -> Pa {
        Pa(core::ptr::from_ref(self).addr() as u64)
    }

    /// The raw entry; invalid behind the last.
    pub fn entry(&self, index: usize) -> u64 {
        self.0.get(index).map_or(0, |entry| entry.load(Ordering::Relaxed))
    }

    /// Writes an entry, ordered behind all stores before it.
    pub(crate) fn set(&self, index: usize, value: u64) {
        if let Some(entry) = self.0.get(index) {
            entry.store(value, Ordering::Release);
        }
    }

    /// Whether no entry is in use.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|entry| entry.load(Ordering::Relaxed) == 0)
    }

    /// Makes all entries invalid. No walk can reach the table.
    pub(super) fn clear(&self) {
        for entry in &self.0 {
            entry.store(0, Ordering::Relaxed);
        }
    }
}

/// A level of the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// 512 GiB an entry, tables only.
    L0,
    /// 1 GiB an entry.
    L1,
    /// 2 MiB an entry.
    L2,
    /// 4 KiB an entry, pages only.
    L3,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Invalid,
    /// The table there holds the next level.
    Table(Pa, Level),
    /// A block or page: the raw entry.
    Leaf(u64),
}

impl Level {
    /// The bytes that one entry translates, as a power of two.
    pub const fn shift(self) -> u32 {
        match self {
            Self::L0 => 39,
            Self::L1 => 30,
            Self::L2 => 21,
            Self::L3 => 12,
        }
    }

    /// The bytes that one entry translates.
    pub const fn size(self) -> u64 {
        1 << self.shift()
    }

    /// The level of the tables that this level's entries point to.
    pub const fn below(self) -> Option<Self> {
        match self {
            Self::L0 => Some(Self::L1),
            Self::L1 => Some(Self::L2),
            Self::L2 => Some(Self::L3),
            Self::L3 => None,
        }
    }

    /// The highest level at which one entry can map the start of `size` bytes; `at` is the bits that must be zero
    /// below its size (input and output address together).
    pub(super) fn of_leaf(at: u64, size: u64) -> Self {
        let fits = |unit: u64| at & unit.wrapping_sub(1) == 0 && size >= unit;
        if fits(BLOCK_1G) {
            Self::L1
        } else if fits(BLOCK_2M) {
            Self::L2
        } else {
            Self::L3
        }
    }

    pub(super) fn decode(self, raw: u64) -> Entry {
        match (raw & 0b11, self.below()) {
            (0b11, Some(below)) => Entry::Table(output(raw), below),
            (0b11, None) => Entry::Leaf(raw),
            (0b01, Some(_)) if self != Self::L0 => Entry::Leaf(raw),
            _ => Entry::Invalid,
        }
    }

    /// A block or page entry.
    pub(super) fn leaf(self, to: u64, attributes: u64) -> u64 {
        let kind = if self == Self::L3 { 0b11 } else { 0b01 };
        to & ADDRESS | attributes | kind
    }

    /// An entry that points to a table.
    pub(super) fn table(to: Pa) -> u64 {
        to.0 & ADDRESS | 0b11
    }
}
