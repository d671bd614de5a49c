//! Which of the GIC's interrupts a node has (Devicetree Specification 2.4; Linux `arm,gic-v3.yaml`).

use alloc::vec::Vec;

use crate::intid::{Ppi, Spi, Trigger};
use crate::tree::{Cells, Node, NodeId};

/// One interrupt of a node, followed up to the GIC or to another controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A shared interrupt of the GIC.
    Spi(Spi, Trigger),
    /// A private one.
    Ppi(Ppi),
    /// The GIC's, but none that can be handed on: the first two cells.
    Other(u32, u32),
    /// Another controller's.
    Behind(NodeId),
}

/// A nexus maps to another at most this often.
const MAX_NEXUS: usize = 8;

/// The interrupts of a node. What names no controller is left out: no driver could use it.
pub(super) fn lines(node: &Node<'_, '_>, gic: NodeId) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(extended) = node.prop("interrupts-extended") {
        let mut cells = Cells(extended.bytes());
        while let Some(controller) = cells.next().and_then(|phandle| node.tree().phandle(phandle)) {
            let Some(specifier) = interrupt_cells(&controller).and_then(|n| cells.take_bytes(n)) else {
                break;
            };
            lines.extend(follow(node, controller, specifier, gic));
        }
    } else if let Some(interrupts) = node.prop("interrupts")
        && let Some(controller) = interrupt_parent(node)
        && let Some(size) = interrupt_cells(&controller).filter(|n| *n != 0)
    {
        let mut cells = Cells(interrupts.bytes());
        while let Some(specifier) = cells.take_bytes(size) {
            lines.extend(follow(node, controller, specifier, gic));
        }
    }
    lines
}

/// All the GIC's interrupts in the `interrupt-map` of a PCI host: its functions are no nodes of the tree.
pub(super) fn map_lines(host: &Node<'_, '_>, gic: NodeId) -> Vec<Line> {
    let mut lines = Vec::new();
    for entry in map(host) {
        let line = follow(host, entry.controller, entry.specifier, gic);
        lines.extend(line.filter(|line| !lines.contains(line)));
    }
    lines
}

/// The controller of a node's `interrupts`: named here or above, or the nearest node above that is one itself.
fn interrupt_parent<'t, 'a>(node: &Node<'t, 'a>) -> Option<Node<'t, 'a>> {
    let mut at = *node;
    // Each step goes up, or along an interrupt-parent; a circle of the latter must end.
    for _ in 0..64 {
        let named = at.number("interrupt-parent");
        let next = match named {
            Some(phandle) => at.tree().phandle(phandle)?,
            None => at.parent()?,
        };
        if interrupt_cells(&next).is_some() {
            return Some(next);
        }
        at = next;
    }
    None
}

fn interrupt_cells(node: &Node<'_, '_>) -> Option<u32> {
    node.number("#interrupt-cells")
}

/// One specifier, followed through nexus nodes.
fn follow<'t, 'a>(
    node: &Node<'t, 'a>,
    mut controller: Node<'t, 'a>,
    mut specifier: &'a [u8],
    gic: NodeId,
) -> Option<Line> {
    let mut unit = node.bytes("reg");
    for _ in 0..MAX_NEXUS {
        if controller.id() == gic {
            return decode(specifier);
        }
        if !controller.has("interrupt-map") {
            return Some(Line::Behind(controller.id()));
        }
        let mask = controller.bytes("interrupt-map-mask");
        let wanted =
            |at: usize| unit_and_specifier(&controller, unit, specifier, at).map(|c| c & cell(mask, at));
        let entry = map(&controller).find(|entry| {
            let cells = entry.child.len() / 4;
            (0..cells).all(|at| {
                let mask = if mask.is_empty() { u32::MAX } else { cell(mask, at) };
                let wanted = if mask == 0 { Some(0) } else { wanted(at) };
                wanted.is_some_and(|wanted| wanted == cell(entry.child, at) & mask)
            })
        })?;
        (controller, specifier, unit) = (entry.controller, entry.specifier, entry.unit);
    }
    None
}

/// Cell `at` of a child's unit address followed by its specifier, as the nexus compares them.
fn unit_and_specifier(nexus: &Node<'_, '_>, unit: &[u8], specifier: &[u8], at: usize) -> Option<u32> {
    let units = nexus.address_cells() as usize;
    let (bytes, at) = if at < units { (unit, at) } else { (specifier, at.saturating_sub(units)) };
    let start = at.checked_mul(4)?;
    bytes.get(start..)?.first_chunk::<4>().map(|c| u32::from_be_bytes(*c))
}

fn cell(bytes: &[u8], at: usize) -> u32 {
    bytes.as_chunks::<4>().0.get(at).map_or(0, |c| u32::from_be_bytes(*c))
}

/// A GIC specifier: kind, number, trigger, and in a fourth cell the CPUs of a PPI, which do not matter here.
fn decode(specifier: &[u8]) -> Option<Line> {
    let mut cells = Cells(specifier);
    let (kind, number, flags) = (cells.next()?, cells.next()?, cells.next()?);
    let trigger = if flags & 3 != 0 { Trigger::Edge } else { Trigger::Level };
    let intid = |from: u32| number.checked_add(from);
    let line = match kind {
        0 => intid(32).and_then(Spi::new).map(|spi| Line::Spi(spi, trigger)),
        1 => intid(16).and_then(Ppi::new).map(Line::Ppi),
        _ => None,
    };
    Some(line.unwrap_or(Line::Other(kind, number)))
}

/// One row of an `interrupt-map`.
struct Entry<'t, 'a> {
    /// The child's unit address and specifier.
    child: &'a [u8],
    controller: Node<'t, 'a>,
    /// The unit address at the controller.
    unit: &'a [u8],
    specifier: &'a [u8],
}

/// The rows of a node's `interrupt-map`.
struct Rows<'t, 'a> {
    nexus: Node<'t, 'a>,
    left: Cells<'a>,
}

fn map<'t, 'a>(nexus: &Node<'t, 'a>) -> Rows<'t, 'a> {
    let rows = nexus.bytes("interrupt-map");
    let rows = if nexus.tree().spend(rows.len() / 4) { rows } else { &[] };
    Rows { nexus: *nexus, left: Cells(rows) }
}

impl<'t, 'a> Iterator for Rows<'t, 'a> {
    type Item = Entry<'t, 'a>;

    #[inline(never)]
    fn next(&mut self) -> Option<Entry<'t, 'a>> {
        let cells = self.nexus.address_cells().checked_add(interrupt_cells(&self.nexus).unwrap_or(0))?;
        let child = self.left.take_bytes(cells)?;
        let controller = self.nexus.tree().phandle(self.left.next()?)?;
        // Unlike for `reg`, left out means 0 here.
        let units = controller.number("#address-cells").unwrap_or(0);
        let unit = self.left.take_bytes(units)?;
        let specifier = self.left.take_bytes(interrupt_cells(&controller)?)?;
        Some(Entry { child, controller, unit, specifier })
    }
}
