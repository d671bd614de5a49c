//! Devices: every node that can have an owner.

use alloc::vec::Vec;

use super::depends::{self, Dependency, Depends};
use super::interrupts::{Line, lines, map_lines};
use super::{Gic, HardwareError, gic, known, memory};
use crate::addr::{Pa, Span};
use crate::intid::{Spi, Trigger};
use crate::tree::{Node, NodeId, Tree};

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its node.
    pub node: NodeId,
    /// Its registers as a CPU sees them; none for what sits on a bus that a CPU cannot address (I2C, SPI).
    pub spans: Vec<Span<Pa>>,
    /// What it, a PCI host, lets CPUs reach of the bus behind it.
    pub windows: Vec<Span<Pa>>,
    /// Its shared interrupts at the GIC.
    pub spis: Vec<(Spi, Trigger)>,
    /// What it and those of its subnodes that are no devices of their own need of others.
    pub depends: Vec<Dependency>,
    /// Whether it reaches memory by itself.
    pub master: Dma,
}

/// Whether a device reaches memory by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dma {
    /// It does not.
    None,
    /// It does, all of it.
    Unprotected,
    /// It does, through this IOMMU.
    Behind(NodeId),
}

/// The most that the devices of a board have together, each register span, window and interrupt counted. Large boards
/// have a tenth. What is drafted of them costs the square of this.
const MAX_PARTS: usize = 8192;

pub(super) fn read(tree: &Tree<'_>, gic: &Gic, errors: &mut Vec<HardwareError>) -> Vec<Device> {
    let mut devices: Vec<Device> = Vec::new();
    // The devices that the walk is inside of: the first node behind each, and its place.
    let mut inside: Vec<(NodeId, usize)> = Vec::new();
    let mut parts = 0_usize;
    let mut next = tree.root().children().next();
    while let Some(node) = next {
        let skip = !node.is_available() || is_no_device(&node);
        next = tree.after(&node, skip);
        if skip {
            continue;
        }
        while inside.last().is_some_and(|(end, _)| *end <= node.id()) {
            inside.pop();
        }
        match device(&node, gic, errors) {
            Some(device) => {
                let all = [device.spans.len(), device.windows.len(), device.spis.len(), 1];
                parts = all.iter().fold(parts, |sum, n| sum.saturating_add(*n));
                if parts > MAX_PARTS || errors.len() > MAX_PARTS {
                    errors.push(HardwareError::TooMuch { node: node.path() });
                    break;
                }
                inside.push((node.end(), devices.len()));
                devices.push(device);
            }
            None => {
                if let Some(device) = inside.last().and_then(|(_, at)| devices.get_mut(*at)) {
                    depends::collect(&node, &mut device.depends);
                }
            }
        }
    }
    if let Some(needy) = devices.iter().find(|device| device.depends.len() >= depends::MAX) {
        errors.push(HardwareError::TooMuch { node: tree.node(needy.node).path() });
    }
    devices.shrink_to_fit();
    devices
}

const EVERY_CELLS: &[&str] = &["arm,armv8-timer", "arm,armv7-timer", "arm,psci"];

/// What every cell has of its own, and what is no hardware at all, with everything below it.
fn is_no_device(node: &Node<'_, '_>) -> bool {
    let top = node.parent().is_some_and(|parent| parent.parent().is_none());
    let described = ["aliases", "chosen", "cpus", "reserved-memory"];
    let by_name =
        described.contains(&node.name()) || node.name().starts_with("__") || memory::is_memory(node);
    top && by_name
        || gic::is_gic(node)
        || node.compatibles().any(|c| EVERY_CELLS.contains(&c) || c.starts_with("arm,psci-"))
}

fn device(node: &Node<'_, '_>, gic: &Gic, errors: &mut Vec<HardwareError>) -> Option<Device> {
    if known::is_passive(node) {
        return None;
    }
    let spans: Vec<_> = node.reg().flatten().take(MAX_PARTS.saturating_add(1)).collect();
    let pci = node.says("device_type", "pci");
    let windows: Vec<_> = if pci { node.windows().collect() } else { Vec::new() };
    let (mut spis, mut depends, mut private, mut wrong) = (Vec::new(), Vec::new(), false, false);
    let mapped = if pci { map_lines(node, gic.node) } else { Vec::new() };
    for line in lines(node, gic.node).into_iter().chain(mapped) {
        match line {
            Line::Spi(spi, trigger) => spis.push((spi, trigger)),
            Line::Ppi(_) => private = true,
            // One of a kind says enough of them all.
            Line::Other(..) if wrong => {}
            Line::Other(kind, number) => {
                wrong = true;
                errors.push(HardwareError::Interrupt { node: node.path(), kind, number });
            }
            Line::Behind(controller) => {
                depends::add(&node.tree().node(controller), Depends::Interrupt, &mut depends)
            }
        }
    }
    if spans.is_empty() && spis.is_empty() && (private || !node.has("compatible")) {
        // A PMU with a private interrupt belongs to each CPU; what does not say what it is, to the node above.
        return None;
    }
    depends::collect(node, &mut depends);
    let master = master(node, &depends, spans.is_empty());
    Some(Device { node: node.id(), spans, windows, spis, depends, master })
}

fn master(node: &Node<'_, '_>, depends: &[Dependency], no_registers: bool) -> Dma {
    let on = |kind| depends.iter().find(|d| d.kind == kind).map(|d| d.on);
    match on(Depends::Iommu) {
        Some(iommu) => Dma::Behind(iommu),
        None if on(Depends::Dma).is_some() => Dma::Unprotected,
        None if no_registers || known::is_no_master(node) => Dma::None,
        None => Dma::Unprotected,
    }
}
