//! Addresses behind buses: `reg` and `ranges` (Devicetree Specification 0.4, 2.3.6 and 2.3.8).

use super::{Cells, Node};
use crate::addr::{Pa, Span};

/// How a node's children give their addresses.
#[derive(Clone, Copy, Debug)]
pub struct Bus<'a> {
    /// `#address-cells`.
    pub address_cells: u32,
    /// `#size-cells`.
    pub size_cells: u32,
    /// The value of `ranges`; without one, the children's addresses mean nothing to a CPU.
    pub ranges: Option<&'a [u8]>,
}

/// An address on some bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusAddress {
    /// The first of three cells, 0 where there are fewer: PCI's `phys.hi` (PCI Bus Binding to IEEE 1275, 2.2.1.1).
    pub high: u32,
    /// The other one or two.
    pub at: u64,
}

/// The space code in PCI's `phys.hi`: configuration, I/O, 32-bit or 64-bit memory.
const SPACE: u32 = 0x0300_0000;

impl BusAddress {
    /// Takes `cells` cells off the front; `None` when they are too few, or more than three are asked for.
    fn take(from: &mut Cells<'_>, cells: u32) -> Option<Self> {
        let (high, low) = if cells == 3 { (from.next()?, 2) } else { (0, cells) };
        Some(Self { high, at: from.take_number(low)? })
    }
}

/// One entry of `ranges`.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// Where the children see it.
    pub child: BusAddress,
    /// Where the bus above sees it.
    pub parent: BusAddress,
    /// Bytes.
    pub size: u64,
}

impl<'a> Bus<'a> {
    /// Of what has no bus above it.
    const NONE: Self = Self { address_cells: 0, size_cells: 0, ranges: None };

    /// The bus that a node is to its children.
    pub fn of(node: &Node<'_, 'a>) -> Self {
        let ranges = node.prop("ranges").map(|p| p.bytes());
        // Whoever asks for a bus goes through its ranges.
        let ranges = ranges.filter(|ranges| node.tree().spend(ranges.len() / 16));
        Self { address_cells: node.address_cells(), size_cells: node.size_cells(), ranges }
    }

    /// The entries of a child's `reg`.
    pub fn reg(self, bytes: &'a [u8]) -> Reg<'a> {
        Reg { bus: self, left: Cells(bytes) }
    }

    /// The entries of `ranges`, when the bus above has `parent_cells` address cells.
    pub fn ranges(self, parent_cells: u32) -> Ranges<'a> {
        Ranges { bus: self, parent_cells, left: Cells(self.ranges.unwrap_or(&[])) }
    }

    /// A child's address as the bus above sees it; `None` when no range has it.
    fn up(self, from: BusAddress, parent_cells: u32) -> Option<BusAddress> {
        let pci = self.address_cells == 3;
        if pci && from.high & SPACE == 0 {
            return None;
        }
        if self.ranges?.is_empty() {
            return Some(from);
        }
        for range in self.ranges(parent_cells) {
            let same_space = !pci || from.high & SPACE == range.child.high & SPACE;
            if let Some(offset) = from.at.checked_sub(range.child.at)
                && offset < range.size
                && same_space
                && let Some(at) = range.parent.at.checked_add(offset)
            {
                return Some(BusAddress { high: range.parent.high, at });
            }
        }
        None
    }
}

/// See [`Bus::reg`]: where, and how many bytes.
#[derive(Clone, Debug)]
pub struct Reg<'a> {
    bus: Bus<'a>,
    left: Cells<'a>,
}

impl Iterator for Reg<'_> {
    type Item = (BusAddress, u64);

    #[inline(never)]
    fn next(&mut self) -> Option<Self::Item> {
        // An empty entry would repeat for ever.
        if self.bus.address_cells == 0 {
            return None;
        }
        let at = BusAddress::take(&mut self.left, self.bus.address_cells)?;
        Some((at, self.left.take_number(self.bus.size_cells)?))
    }
}

/// See [`Bus::ranges`].
#[derive(Clone, Debug)]
pub struct Ranges<'a> {
    bus: Bus<'a>,
    parent_cells: u32,
    left: Cells<'a>,
}

impl Iterator for Ranges<'_> {
    type Item = Range;

    #[inline(never)]
    fn next(&mut self) -> Option<Range> {
        // An entry of no cells would repeat for ever.
        if self.left.0.is_empty() || self.bus.address_cells | self.parent_cells | self.bus.size_cells == 0 {
            return None;
        }
        Some(Range {
            child: BusAddress::take(&mut self.left, self.bus.address_cells)?,
            parent: BusAddress::take(&mut self.left, self.parent_cells)?,
            size: self.left.take_number(self.bus.size_cells)?,
        })
    }
}

/// An address on the first of these buses as a CPU sees it. The buses go up to the root, which comes last.
pub fn translate<'a>(buses: &mut dyn Iterator<Item = Bus<'a>>, from: BusAddress) -> Option<Pa> {
    let (mut bus, mut at) = (buses.next()?, from);
    for above in buses {
        at = bus.up(at, above.address_cells)?;
        bus = above;
    }
    Some(Pa(at.at))
}

impl<'t, 'a> Node<'t, 'a> {
    /// A span on the bus above this node, as a CPU sees it.
    fn translate(&self, at: BusAddress, size: u64) -> Option<Span<Pa>> {
        Span::new(translate(&mut self.ancestors().map(|node| Bus::of(&node)), at)?, size)
    }

    /// The entries of `reg` as a CPU sees them. What no CPU can address (a bus without `ranges` is between, or the
    /// entry is empty or wraps) comes as `None`, so that the order is kept.
    pub fn reg(&self) -> NodeReg<'t, 'a> {
        let bytes = self.bytes("reg");
        let bus = self.parent().map_or(Bus::NONE, |parent| Bus::of(&parent));
        NodeReg { node: *self, entries: bus.reg(bytes) }
    }

    /// What this node, a bus, passes on to its children, as a CPU sees it: the windows of a PCI host.
    pub fn windows(&self) -> impl Iterator<Item = Span<Pa>> + use<'t, 'a> {
        let node = *self;
        let cells = self.parent().map_or(2, |parent| parent.address_cells());
        let ranges = Bus::of(self).ranges(cells);
        ranges.filter_map(move |range| node.translate(range.parent, range.size))
    }
}

/// See [`Node::reg`].
#[derive(Clone, Debug)]
pub struct NodeReg<'t, 'a> {
    node: Node<'t, 'a>,
    entries: Reg<'a>,
}

impl Iterator for NodeReg<'_, '_> {
    type Item = Option<Span<Pa>>;

    #[inline(never)]
    fn next(&mut self) -> Option<Option<Span<Pa>>> {
        let (at, size) = self.entries.next()?;
        Some(self.node.translate(at, size))
    }
}
