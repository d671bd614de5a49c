//! Addresses behind buses: `reg`, `ranges` and `dma-ranges` (Devicetree Specification 0.4, 2.3.6, 2.3.8 and 2.3.9).

use alloc::vec::Vec;

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
        Self::by(node, "ranges")
    }

    /// The same for what goes up by this property.
    fn by(node: &Node<'_, 'a>, property: &str) -> Self {
        let ranges = node.prop(property).map(|p| p.bytes());
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

impl Node<'_, '_> {
    /// The memory that this device, or what is behind it where it is a PCI host, reaches by DMA; `None`: all of it. As Linux
    /// has it, a bus without `dma-ranges` moves no addresses, and neither does one where they are empty.
    pub fn dma_reach(&self) -> Option<Vec<Span<Pa>>> {
        let host = self.says("device_type", "pci").then_some(*self);
        let mut reach: Option<Vec<Span<Pa>>> = None;
        for node in host.into_iter().chain(self.ancestors()) {
            let bus = Bus::by(&node, "dma-ranges");
            let (Some(above), false) = (node.parent(), bus.ranges.is_none_or(<[u8]>::is_empty)) else {
                continue;
            };
            let windows = bus.ranges(above.address_cells());
            let moved = |range: Range, part: Option<&Span<Pa>>| {
                let window = Span::new(Pa(range.child.at), range.size)?;
                let part = part.map_or(Some(window), |part| window.intersection(part))?;
                let offset = part.start().0.checked_sub(range.child.at)?;
                Span::new(Pa(range.parent.at.checked_add(offset)?), part.size())
            };
            reach = Some(match &reach {
                None => windows.filter_map(|range| moved(range, None)).collect(),
                Some(parts) => {
                    let each = |range| parts.iter().filter_map(move |part| moved(range, Some(part)));
                    windows.flat_map(each).collect()
                }
            });
        }
        reach
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::sample::split;
    use crate::tree::Tree;
    use crate::tree::sample::{Sample, node};

    fn reach(root: Sample, path: &str) -> Option<Vec<(u64, u64)>> {
        let blob = root.blob();
        let tree = Tree::parse(&blob).unwrap();
        let reach = tree.at(path).unwrap().dma_reach();
        reach.map(|spans| spans.iter().map(|span| (span.start().0, span.end().0)).collect())
    }

    fn bus(name: &str, cells: u32) -> Sample {
        node(name).cells("#address-cells", [cells]).cells("#size-cells", [1])
    }

    #[test]
    fn dma_goes_up_through_the_windows_of_each_bus() {
        let inner =
            bus("inner", 1).cells("dma-ranges", [0x1000, 0xc000_0000, 0x2000, 0x8000, 0x1000_0000, 0x1000]);
        let outer = |windows: &[u32]| bus("outer", 1).cells("dma-ranges", windows.iter().copied());
        let root = |windows: &[u32]| {
            let device = node("device").text("compatible", ["acme,dma"]);
            let inner = inner.clone().child(device.clone());
            bus("", 2).child(outer(windows).child(inner).child(device)).child(node("free"))
        };
        let path = "/outer/inner/device";
        // Each of the outer window's ends cuts: 0xc0000000..0xc0002000 is reached through 0xc0001000..0xc0003000 alone.
        let cut = root(&[0xc000_1000, 2, 0x4000_0000, 0x2000]);
        assert_eq!(reach(cut.clone(), path), Some(vec![(0x2_4000_0000, 0x2_4000_1000)]));
        assert_eq!(reach(cut.clone(), "/outer/device"), Some(vec![(0x2_4000_0000, 0x2_4000_2000)]));
        assert_eq!(reach(cut, "/free"), None, "no bus says anything");
        assert_eq!(reach(root(&[0, 0, 0, 0x10]), path), Some(vec![]), "nothing is left");
        let empty = vec![(0xc000_0000, 0xc000_2000), (0x1000_0000, 0x1000_1000)];
        assert_eq!(reach(root(&[]), path), Some(empty), "empty: as on the bus above");
    }

    #[test]
    fn a_pci_host_s_own_windows_are_those_of_what_is_behind_it() {
        let host = node("pcie")
            .text("device_type", ["pci"])
            .cells("#address-cells", [3])
            .cells("#size-cells", [2])
            .cells("dma-ranges", [0x0200_0000, 0, 0, 0, 0, 0, 0xc000_0000]);
        let root = bus("", 2).child(host);
        assert_eq!(reach(root, "/pcie"), Some(vec![(0, 0xc000_0000)]));
    }

    #[test]
    fn entries_that_cannot_be_reach_nothing() {
        let [high, low] = split(u64::MAX - 0xfff);
        let wraps =
            bus("bus", 1).cells("dma-ranges", [0, high, low, 0x2000, 0, 0, 0, 0]).child(node("device"));
        assert_eq!(reach(bus("", 2).child(wraps), "/bus/device"), Some(vec![]));
    }
}
