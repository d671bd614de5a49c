//! Addresses behind buses: `reg` and `ranges` (Devicetree Specification 0.4, 2.3.6 and 2.3.8).

use super::Node;
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
    /// Takes `cells` cells off the front of `bytes`; `None` when they are too few, or more than three are asked for.
    pub fn take(bytes: &mut &[u8], cells: u32) -> Option<Self> {
        let high = if cells == 3 { take(bytes, 1)? as u32 } else { 0 };
        Some(Self { high, at: take(bytes, cells.min(if cells == 3 { 2 } else { cells }))? })
    }
}

fn take(bytes: &mut &[u8], cells: u32) -> Option<u64> {
    match cells {
        0 => Some(0),
        1 => {
            let (cell, rest) = bytes.split_first_chunk::<4>()?;
            *bytes = rest;
            Some(u64::from(u32::from_be_bytes(*cell)))
        }
        2 => {
            let (cells, rest) = bytes.split_first_chunk::<8>()?;
            *bytes = rest;
            Some(u64::from_be_bytes(*cells))
        }
        _ => None,
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
    /// The bus that a node is to its children.
    pub fn of(node: &Node<'_, 'a>) -> Self {
        let ranges = node.prop("ranges").map(|p| p.bytes());
        // Whoever asks for a bus goes through its ranges.
        let ranges = ranges.filter(|ranges| node.tree().spend(ranges.len() / 16));
        Self { address_cells: node.address_cells(), size_cells: node.size_cells(), ranges }
    }

    /// The entries of a child's `reg`: where, and how many bytes.
    pub fn reg(self, mut bytes: &'a [u8]) -> impl Iterator<Item = (BusAddress, u64)> {
        // Without this an empty entry would repeat for ever.
        let some = self.address_cells != 0;
        core::iter::from_fn(move || {
            let at = BusAddress::take(&mut bytes, self.address_cells).filter(|_| some)?;
            Some((at, take(&mut bytes, self.size_cells)?))
        })
    }

    /// The entries of `ranges`, when the bus above has `parent_cells` address cells.
    pub fn ranges(self, parent_cells: u32) -> impl Iterator<Item = Range> + use<'a> {
        let mut bytes = self.ranges.unwrap_or(&[]);
        core::iter::from_fn(move || {
            // Without the second an empty entry would repeat for ever.
            if bytes.is_empty() || self.address_cells | parent_cells | self.size_cells == 0 {
                return None;
            }
            Some(Range {
                child: BusAddress::take(&mut bytes, self.address_cells)?,
                parent: BusAddress::take(&mut bytes, parent_cells)?,
                size: take(&mut bytes, self.size_cells)?,
            })
        })
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
        self.ranges(parent_cells).find_map(|range| {
            let offset = from.at.checked_sub(range.child.at).filter(|by| *by < range.size)?;
            let same_space = !pci || from.high & SPACE == range.child.high & SPACE;
            let at = range.parent.at.checked_add(offset).filter(|_| same_space)?;
            Some(BusAddress { high: range.parent.high, at })
        })
    }
}

/// An address on the first of these buses as a CPU sees it. The buses go up to the root, which comes last.
pub fn translate<'a>(buses: impl IntoIterator<Item = Bus<'a>>, from: BusAddress) -> Option<Pa> {
    let mut buses = buses.into_iter();
    let (mut bus, mut at) = (buses.next()?, from);
    for above in buses {
        at = bus.up(at, above.address_cells)?;
        bus = above;
    }
    Some(Pa(at.at))
}

impl<'t, 'a> Node<'t, 'a> {
    /// The buses above this node, the nearest first.
    fn buses(&self) -> impl Iterator<Item = Bus<'a>> + use<'t, 'a> {
        self.ancestors().map(|node| Bus::of(&node))
    }

    /// The entries of `reg` as a CPU sees them. What no CPU can address (a bus without `ranges` is between, or the
    /// entry is empty or wraps) comes as `None`, so that the order is kept.
    pub fn reg(&self) -> impl Iterator<Item = Option<Span<Pa>>> + use<'t, 'a> {
        let node = *self;
        let bus = self.parent().map(|parent| Bus::of(&parent));
        let entries = bus.zip(self.prop("reg")).map(|(bus, reg)| bus.reg(reg.bytes()));
        entries.into_iter().flatten().map(move |(at, size)| Span::new(translate(node.buses(), at)?, size))
    }

    /// What this node, a bus, passes on to its children, as a CPU sees it: the windows of a PCI host.
    pub fn windows(&self) -> impl Iterator<Item = Span<Pa>> + use<'t, 'a> {
        let node = *self;
        let cells = self.parent().map_or(2, |parent| parent.address_cells());
        Bus::of(self)
            .ranges(cells)
            .filter_map(move |range| Span::new(translate(node.buses(), range.parent)?, range.size))
    }
}
