//! Addresses in the tree: a node's `reg` in the terms of its bus, brought up to the CPU through every `ranges`.

use super::{Node, Span, number, property};

/// The bus that a node's children sit on.
pub(super) struct Bus<'p> {
    parent: Option<&'p Bus<'p>>,
    address_cells: usize,
    size_cells: usize,
    ranges: Ranges,
}

/// How a bus address becomes its parent's.
#[derive(Clone, Copy)]
enum Ranges {
    Same,
    Table(&'static [u8]),
    Nothing,
}

/// Cell `n` of a property.
pub(super) fn be32(value: &[u8], n: usize) -> Option<u32> {
    let bytes = value.get(n * 4..n * 4 + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// `count` cells from cell `at`, as one number of at most 64 bits.
fn cells(value: &[u8], at: usize, count: usize) -> Option<u64> {
    (at..at + count).try_fold(0u64, |number, n| Some(number << 32 | u64::from(be32(value, n)?)))
}

/// A property that is one number of one or two cells.
pub(super) fn number_of(value: &[u8]) -> Option<u64> {
    cells(value, 0, value.len() / 4)
}

impl Bus<'static> {
    pub(super) fn root(root: Node) -> Self {
        Self { parent: None, ranges: Ranges::Same, ..Self::of(root) }
    }

    fn of(node: Node) -> Self {
        Self {
            parent: None,
            address_cells: number(node, "#address-cells").unwrap_or(2) as usize,
            size_cells: number(node, "#size-cells").unwrap_or(1) as usize,
            ranges: match property(node, "ranges") {
                None => Ranges::Nothing,
                Some([]) => Ranges::Same,
                Some(table) => Ranges::Table(table),
            },
        }
    }
}

impl Bus<'_> {
    /// The bus that `node`, on this bus, makes for its children.
    pub(super) fn below<'s>(&'s self, node: Node) -> Bus<'s> {
        Bus { parent: Some(self), ..Bus::of(node) }
    }

    /// Calls `found` with each `reg` of a node on this bus, as the CPU sees it.
    pub(super) fn spans(&self, node: Node, mut found: impl FnMut(Span)) {
        let Some(reg) = property(node, "reg") else { return };
        if !(1..=2).contains(&self.address_cells) || !(1..=2).contains(&self.size_cells) {
            return;
        }
        for entry in reg.chunks_exact((self.address_cells + self.size_cells) * 4) {
            if let Some(base) = cells(entry, 0, self.address_cells).and_then(|a| self.to_cpu(a))
                && let Some(size) = cells(entry, self.address_cells, self.size_cells)
            {
                found(Span { base, size });
            }
        }
    }

    /// Calls `found` with each window that a node on this bus has for its own children.
    pub(super) fn windows(&self, node: Node, mut found: impl FnMut(Span)) {
        let child = Bus::of(node);
        let Ranges::Table(table) = child.ranges else { return };
        let each = child.address_cells + self.address_cells + child.size_cells;
        for entry in table.chunks_exact(each * 4) {
            if let Some(base) =
                cells(entry, child.address_cells, self.address_cells).and_then(|a| self.to_cpu(a))
                && let Some(size) = cells(entry, child.address_cells + self.address_cells, child.size_cells)
            {
                found(Span { base, size });
            }
        }
    }

    fn to_cpu(&self, address: u64) -> Option<u64> {
        let Some(parent) = self.parent else { return Some(address) };
        match self.ranges {
            Ranges::Same => parent.to_cpu(address),
            Ranges::Nothing => None,
            Ranges::Table(table) => {
                let each = self.address_cells + parent.address_cells + self.size_cells;
                table.chunks_exact(each * 4).find_map(|entry| {
                    let base = cells(entry, 0, self.address_cells)?;
                    let up = cells(entry, self.address_cells, parent.address_cells)?;
                    let size = cells(entry, self.address_cells + parent.address_cells, self.size_cells)?;
                    let offset = address.checked_sub(base).filter(|o| *o < size)?;
                    parent.to_cpu(up + offset)
                })
            }
        }
    }
}
