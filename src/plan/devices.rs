//! Which cell has which device, and with it which registers and interrupts.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::draft::Draw;
use super::spans::SpanSet;
use super::{Console, PlanError, Region, console, memory};
use crate::addr::{PAGE, Pa, Span};
use crate::config::CellConsole;
use crate::cpu::CellId;
use crate::hardware::{Device, Dma, is_passive};
use crate::intid::{INTIDS, IntidSet};
use crate::sort;
use crate::tree::{Node, NodeId};

/// The owner of each device of the board, by its place there.
pub(super) struct Claims {
    owners: Vec<Option<CellId>>,
}

/// A name in `devices`: all nodes from the first up to, and without, the second.
struct Claim {
    node: NodeId,
    end: NodeId,
    cell: CellId,
}

pub(super) fn claim(draw: &Draw<'_, '_>, console: Option<Console>, errors: &mut Vec<PlanError>) -> Claims {
    let named = named(draw, console, errors);
    let root = super::draft::ids().zip(&draw.config.cells).find(|(_, cell)| cell.root).map(|(id, _)| id);
    let owner = |device: &Device| {
        if console.is_some_and(|console| console.node == device.node) {
            return None;
        }
        // The claim that is nearest above the device counts: claims nest, so it is the last that has it.
        let claim = named.iter().rev().find(|c| c.node <= device.node && device.node < c.end);
        claim.map(|c| c.cell).or(root)
    };
    let claims = Claims { owners: draw.hardware.devices.iter().map(owner).collect() };
    claims.check_buses(draw, errors);
    claims.check_pages(draw, errors);
    claims.check_spis(draw, errors);
    claims.check_masters(draw, errors);
    console::check_shared(draw, console, claims.all(draw), errors);
    claims
}

/// All names of all cells, in tree order.
fn named(draw: &Draw<'_, '_>, own: Option<Console>, errors: &mut Vec<PlanError>) -> Vec<Claim> {
    let mut claims: Vec<Claim> = Vec::new();
    for (id, cell) in super::draft::ids().zip(&draw.config.cells) {
        let console = match &cell.console {
            CellConsole::Device(name) => Some(("console", name)),
            CellConsole::None | CellConsole::Virtual => None,
        };
        for (property, name) in cell.devices.iter().map(|name| ("devices", name)).chain(console) {
            let node = match draw.board.resolve(name) {
                Ok(node) => node,
                Err(error) => {
                    errors.push(PlanError::Name { cell: cell.name.to_string(), property, error });
                    continue;
                }
            };
            if own.is_some_and(|own| own.node == node.id()) {
                let (cell, name) = (cell.name.to_string(), name.to_string());
                errors.push(PlanError::ConsoleClaimed { cell, property, name, node: node.path() });
            } else if let Some(why) = no_device(draw, &node) {
                let (cell, name) = (cell.name.to_string(), name.to_string());
                errors.push(PlanError::NotADevice { cell, property, name, node: node.path(), why });
            } else if let Some(other) = claims.iter().find(|c| c.node == node.id()) {
                if other.cell != id {
                    let cells = [draw.name(Some(other.cell)), cell.name.to_string()];
                    errors.push(PlanError::DeviceTwice { node: node.path(), cells });
                }
            } else {
                claims.push(Claim { node: node.id(), end: node.end(), cell: id });
            }
        }
    }
    sort::by_key(&mut claims, |claim| claim.node);
    claims
}

/// Why a node cannot be claimed.
fn no_device(draw: &Draw<'_, '_>, node: &Node<'_, '_>) -> Option<&'static str> {
    let hardware = draw.hardware;
    let below = |outer: NodeId| node.id() == outer || node.ancestors().any(|n| n.id() == outer);
    if !core::iter::once(*node).chain(node.ancestors()).all(|n| n.is_available()) {
        return Some("is not enabled in the board's tree (`status`): enable it there");
    }
    if hardware.devices.iter().any(|d| node.id() <= d.node && d.node < node.end()) {
        return None;
    }
    Some(if hardware.cpus.iter().any(|cpu| cpu.node == node.id()) {
        "is a CPU: it belongs into `cpus`"
    } else if below(hardware.gic.node) || below(hardware.timer.node) {
        "is a part of every cell: it needs no mention"
    } else if is_passive(node) {
        "only describes something: every cell that needs it gets a copy, it needs no mention"
    } else {
        "is nothing that a cell can own: name the device itself"
    })
}

impl Claims {
    fn all<'d>(&self, draw: &Draw<'d, '_>) -> impl Iterator<Item = (Option<CellId>, &'d Device)> {
        self.owners.iter().copied().zip(&draw.hardware.devices)
    }

    fn of<'d>(&self, draw: &Draw<'d, '_>, cell: CellId) -> impl Iterator<Item = &'d Device> {
        self.all(draw).filter(move |(owner, _)| *owner == Some(cell)).map(|(_, device)| device)
    }

    fn owner(&self, draw: &Draw<'_, '_>, node: NodeId) -> Option<CellId> {
        let at = draw.hardware.devices.binary_search_by_key(&node, |d| d.node).ok()?;
        *self.owners.get(at)?
    }

    /// The devices of a cell, in tree order.
    pub(super) fn nodes(&self, draw: &Draw<'_, '_>, cell: CellId) -> Vec<NodeId> {
        self.of(draw, cell).map(|device| device.node).collect()
    }

    /// The whole pages of a cell's devices.
    pub(super) fn pages(
        &self,
        draw: &Draw<'_, '_>,
        cell: CellId,
    ) -> impl Iterator<Item = (Span<Pa>, NodeId)> {
        self.of(draw, cell).flat_map(|device| pages(device).map(|span| (span, device.node)))
    }

    /// What of a cell's devices is mapped.
    pub(super) fn mmio(&self, draw: &Draw<'_, '_>, cell: CellId) -> Vec<Region> {
        let mut mmio: SpanSet<Pa> = self.pages(draw, cell).map(|(span, _)| span).collect();
        no_devices(draw).into_iter().for_each(|(span, _)| mmio.remove(span));
        mmio.iter().map(Region::from).collect()
    }

    /// A cell's interrupts.
    pub(super) fn spis(&self, draw: &Draw<'_, '_>, cell: CellId) -> IntidSet {
        let mut set = IntidSet::new();
        self.of(draw, cell).flat_map(|device| &device.spis).for_each(|(spi, _)| set.insert(spi.intid()));
        set
    }

    /// What a cell's devices need of another cell's.
    pub(super) fn warnings(&self, draw: &Draw<'_, '_>, cell: CellId) -> Vec<String> {
        let mut warnings = Vec::new();
        for device in self.of(draw, cell) {
            for need in &device.depends {
                let needed = draw.board.node(need.on);
                let Some(on) = draw.hardware.device_of(&needed) else { continue };
                let owner = self.owner(draw, on.node);
                if owner != Some(cell) {
                    let (device, on) = (draw.board.node(device.node).path(), draw.board.node(on.node).path());
                    let (what, owner) = (need.kind.name(), draw.who(owner));
                    let warning = format!("{device}: its {what} is in the hands of {on}, which {owner} has");
                    if !warnings.contains(&warning) {
                        warnings.push(warning);
                    }
                }
            }
        }
        warnings
    }

    /// What a CPU cannot address must go with the bus that it sits on.
    fn check_buses(&self, draw: &Draw<'_, '_>, errors: &mut Vec<PlanError>) {
        for (owner, device) in self.all(draw).filter(|(_, device)| device.spans.is_empty()) {
            let node = draw.board.node(device.node);
            let Some(bus) = node.parent().and_then(|parent| draw.hardware.device_of(&parent)) else {
                continue;
            };
            let bus_owner = self.owner(draw, bus.node);
            if bus_owner != owner {
                errors.push(PlanError::BusElsewhere {
                    cell: draw.name(owner),
                    device: node.path(),
                    bus: draw.board.node(bus.node).path(),
                    owner: draw.who(bus_owner),
                });
            }
        }
    }

    fn check_pages(&self, draw: &Draw<'_, '_>, errors: &mut Vec<PlanError>) {
        let root = |cell: CellId| draw.config.cells.get(cell.index()).is_some_and(|cell| cell.root);
        let no_devices = no_devices(draw);
        let mut all: Vec<(Span<Pa>, CellId, NodeId)> = Vec::new();
        for (owner, device) in self.all(draw) {
            let Some(owner) = owner else { continue };
            all.extend(pages(device).map(|span| (span, owner, device.node)));
            // From root's devices such pages are only left out: a frame buffer lies in memory, say.
            let over = |span: &Span<Pa>| no_devices.iter().find(|(other, _)| other.overlaps(span));
            for span in device.spans.iter().chain(&device.windows).filter(|_| !root(owner)) {
                if let Some((_, what)) = span.widened_to(PAGE).as_ref().and_then(over) {
                    let (cell, device) = (draw.name(Some(owner)), draw.board.node(device.node).path());
                    errors.push(PlanError::DeviceOver { cell, device, span: *span, what });
                }
            }
        }
        sort::by_key(&mut all, |(span, ..)| span.start());
        let mut open: Vec<(Span<Pa>, CellId, NodeId)> = Vec::new();
        for (span, cell, node) in all {
            open.retain(|(other, ..)| other.overlaps(&span));
            if let Some((_, other_cell, other)) = open.iter().find(|(_, other, _)| *other != cell) {
                errors.push(PlanError::PageTwice {
                    nodes: [draw.board.node(*other).path(), draw.board.node(node).path()],
                    cells: [draw.name(Some(*other_cell)), draw.name(Some(cell))],
                    page: span.start(),
                });
            }
            open.push((span, cell, node));
        }
    }

    fn check_spis(&self, draw: &Draw<'_, '_>, errors: &mut Vec<PlanError>) {
        let mut owners: Vec<Option<(CellId, NodeId)>> = vec![None; INTIDS as usize];
        for (owner, device) in self.all(draw) {
            let Some(owner) = owner else { continue };
            for (spi, _) in &device.spis {
                match owners.get_mut(spi.intid() as usize) {
                    Some(Some((other, node))) if *other != owner => errors.push(PlanError::SpiTwice {
                        spi: *spi,
                        nodes: [draw.board.node(*node).path(), draw.board.node(device.node).path()],
                        cells: [draw.name(Some(*other)), draw.name(Some(owner))],
                    }),
                    Some(entry) => *entry = Some((owner, device.node)),
                    None => {}
                }
            }
        }
    }

    /// No SMMU is driven yet, so one in front of a master holds nothing back.
    fn check_masters(&self, draw: &Draw<'_, '_>, errors: &mut Vec<PlanError>) {
        for (id, cell) in super::draft::ids().zip(&draw.config.cells).filter(|(_, c)| !c.unprotected_dma) {
            let masters = self.of(draw, id).filter(|device| device.master != Dma::None);
            let devices: Vec<_> = masters.map(|device| draw.board.node(device.node).path()).collect();
            if !devices.is_empty() {
                errors.push(PlanError::UnprotectedDma { cell: cell.name.to_string(), devices });
            }
        }
    }
}

/// The whole pages of a device's registers and windows.
pub(super) fn pages(device: &Device) -> impl Iterator<Item = Span<Pa>> {
    device.spans.iter().chain(&device.windows).filter_map(|span| span.widened_to(PAGE))
}

/// Where no device of a cell can be: memory and the GIC.
fn no_devices(draw: &Draw<'_, '_>) -> Vec<(Span<Pa>, &'static str)> {
    let memory = draw.hardware.memory.iter().filter_map(|bank| bank.widened_to(PAGE));
    let reserved = memory::reserved(draw.hardware);
    let frames = draw.hardware.gic.frames.iter().filter_map(|frame| frame.widened_to(PAGE));
    memory.chain(reserved.iter()).map(|s| (s, "memory")).chain(frames.map(|s| (s, "the GIC"))).collect()
}
