//! Which cell has which device, and with it which registers and interrupts.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::draft::Draw;
use super::spans::SpanSet;
use super::{Console, Region, console, error, memory};
use crate::addr::{PAGE, Pa, Span};
use crate::config::{CellConfig, CellConsole};
use crate::cpu::CellId;
use crate::hardware::{Device, is_passive};
use crate::intid::IntidSet;
use crate::quiesce::{self, Found};
use crate::refusal::{Refused, refuse};
use crate::sort;
use crate::tree::{Node, NodeId};

/// The owner of each device of the board, by its place there.
pub(super) struct Claims {
    pub(super) owners: Vec<Option<CellId>>,
}

/// A name in `devices`: all nodes from the first up to, and without, the second.
struct Claim {
    node: NodeId,
    end: NodeId,
    cell: CellId,
    property: &'static str,
}

#[inline(never)]
pub(super) fn claim(draw: &Draw<'_, '_>, console: Option<Console>, errors: &mut Vec<Refused>) -> Claims {
    let named = named(draw, console, errors);
    let root = draw.cells().find(|(_, cell)| cell.root).map(|(id, _)| id);
    let mut owners = vec![root; draw.hardware.devices.len()];
    for (device, owner) in draw.hardware.devices.iter().zip(&mut owners) {
        // The claim that is nearest above the device counts: claims nest, so it is the last that has it.
        if let Some(claim) = named.iter().rev().find(|c| c.node <= device.node && device.node < c.end) {
            *owner = Some(claim.cell);
        } else if console.is_some_and(|console| console::keeps(draw, &console, device)) {
            *owner = None;
        }
        if console.is_some_and(|console| console.node == device.node) {
            *owner = None;
        }
    }
    let claims = Claims { owners };
    claims.check(draw, errors);
    console::check_shared(draw, console, &claims, errors);
    claims
}

/// All names of all cells, in tree order.
fn named(draw: &Draw<'_, '_>, console: Option<Console>, errors: &mut Vec<Refused>) -> Vec<Claim> {
    let mut claims: Vec<Claim> = Vec::new();
    for (id, cell) in draw.cells() {
        for name in &cell.devices {
            claim_one(draw, console, (id, cell), "devices", name, &mut claims, errors);
        }
        if let CellConsole::Device(name) = &cell.console {
            claim_one(draw, console, (id, cell), "console", name, &mut claims, errors);
        }
    }
    sort::by_key(&mut claims, |claim| claim.node);
    claims
}

fn claim_one(
    draw: &Draw<'_, '_>,
    console: Option<Console>,
    (id, cell): (CellId, &CellConfig),
    property: &'static str,
    name: &str,
    claims: &mut Vec<Claim>,
    errors: &mut Vec<Refused>,
) {
    let Some(node) = draw.resolve(cell, property, name, errors) else { return };
    if console.is_some_and(|console| console.node == node.id()) {
        let refused = refuse(errors, &error::CONSOLE_CLAIMED).cell(&cell.name, property).word(property);
        refused.quoted(name).node(&node);
        return;
    }
    if let Some(why) = no_device(draw, &node) {
        let refused = refuse(errors, &error::NOT_A_DEVICE).cell(&cell.name, property).word(property);
        refused.quoted(name).node(&node).word(why);
        return;
    }
    match claims.iter().find(|c| c.node == node.id()) {
        None => claims.push(Claim { node: node.id(), end: node.end(), cell: id, property }),
        // A cell's console may stand among its devices, too.
        Some(other) if other.cell == id && other.property != property => {}
        Some(other) => {
            let first = draw.name(Some(other.cell)).unwrap_or_default();
            let refused = refuse(errors, &error::DEVICE_TWICE).cell(first, other.property);
            refused.cell(&cell.name, property).node(&node);
        }
    }
}

/// Why a node cannot be claimed.
fn no_device(draw: &Draw<'_, '_>, node: &Node<'_, '_>) -> Option<&'static str> {
    let hardware = draw.hardware;
    let (mut enabled, mut of_every_cell, mut at) = (true, false, Some(*node));
    while let Some(node) = at {
        enabled &= node.is_available();
        of_every_cell |= node.id() == hardware.gic.node || node.id() == hardware.timer.node;
        at = node.parent();
    }
    if !enabled {
        return Some("is not enabled in the board's tree (`status`): enable it there");
    }
    if hardware.devices.iter().any(|d| node.id() <= d.node && d.node < node.end()) {
        return None;
    }
    Some(if hardware.cpus.iter().any(|cpu| cpu.node == node.id()) {
        "is a CPU: it belongs into `cpus`"
    } else if of_every_cell {
        "is a part of every cell: it needs no mention"
    } else if is_passive(node) {
        "only describes something: every cell that needs it gets a copy, it needs no mention"
    } else {
        "is nothing that a cell can own: name the device itself"
    })
}

impl Claims {
    pub(super) fn all<'d>(
        &self,
        draw: &Draw<'d, '_>,
    ) -> impl Iterator<Item = (Option<CellId>, &'d Device)> + use<'_, 'd> {
        self.owners.iter().copied().zip(&draw.hardware.devices)
    }

    pub(super) fn of<'d>(
        &self,
        draw: &Draw<'d, '_>,
        cell: CellId,
    ) -> impl Iterator<Item = &'d Device> + use<'_, 'd> {
        self.all(draw).filter(move |(owner, _)| *owner == Some(cell)).map(|(_, device)| device)
    }

    #[inline(never)]
    pub(super) fn owner(&self, draw: &Draw<'_, '_>, node: NodeId) -> Option<CellId> {
        let at = draw.hardware.devices.binary_search_by_key(&node, |d| d.node).ok()?;
        *self.owners.get(at)?
    }

    /// The devices of a cell, in tree order.
    #[inline(never)]
    pub(super) fn nodes(&self, draw: &Draw<'_, '_>, cell: CellId) -> Vec<NodeId> {
        let mut nodes = Vec::new();
        for device in self.of(draw, cell) {
            nodes.push(device.node);
        }
        nodes
    }

    /// The whole pages of a cell's devices.
    #[inline(never)]
    pub(super) fn each_page(
        &self,
        draw: &Draw<'_, '_>,
        cell: CellId,
        mut each: impl FnMut(Span<Pa>, NodeId),
    ) {
        for device in self.of(draw, cell) {
            pages(device).for_each(|page| each(page, device.node));
        }
    }

    /// What of a cell's devices is mapped.
    #[inline(never)]
    pub(super) fn mmio(&self, draw: &Draw<'_, '_>, cell: CellId) -> Vec<Region> {
        let mut spans = Vec::new();
        self.each_page(draw, cell, |page, _| spans.push(page));
        let mut mmio: SpanSet<Pa> = spans.into_iter().collect();
        no_devices(draw).iter().for_each(|(span, _)| mmio.remove(*span));
        let mut regions = Vec::new();
        for span in mmio.iter() {
            regions.push(Region::from(span));
        }
        regions
    }

    /// A cell's interrupts.
    #[inline(never)]
    pub(super) fn spis(&self, draw: &Draw<'_, '_>, cell: CellId) -> IntidSet {
        let mut set = IntidSet::new();
        for device in self.of(draw, cell) {
            device.spis.iter().for_each(|(spi, _)| set.insert(spi.intid()));
        }
        set
    }

    /// What a cell's devices need of another cell's, and the cell lives with.
    #[inline(never)]
    pub(super) fn warnings(&self, draw: &Draw<'_, '_>, cell: (CellId, &CellConfig)) -> Vec<String> {
        let mut warnings = Vec::new();
        for need in self.needs(draw, cell.0).iter().filter(|need| !need.is_refused(cell.1)) {
            let path = |node| draw.board.node(node).path();
            let owner =
                draw.name(need.owner).map_or_else(|| "nobody".into(), |name| format!("cell `{name}`"));
            let (device, on, what) = (path(need.device), path(need.on), need.kind.name());
            warnings.push(format!("{device}: its {what} is in the hands of {on}, which {owner} has"));
        }
        let mut unstoppable = self.unstoppable(draw, cell.0);
        if let Some(device) = unstoppable.next() {
            let (path, others) = (draw.board.node(device.node).path(), unstoppable.count());
            let others = if others == 0 { String::new() } else { format!(" and {others} more") };
            warnings
                .push(format!("it cannot be restarted: nothing is known to stop the DMA of {path}{others}"));
        }
        warnings
    }

    /// Those of a cell's devices that nothing is known to stop.
    #[inline(never)]
    pub(super) fn unstoppable<'d>(
        &self,
        draw: &Draw<'d, '_>,
        cell: CellId,
    ) -> impl Iterator<Item = &'d Device> + use<'_, 'd> {
        let board = draw.board;
        self.of(draw, cell).filter(move |device| quiesce::find(board, device) == Found::Unknown)
    }
}

/// The whole pages of a device's registers and windows.
pub(super) fn pages(device: &Device) -> impl Iterator<Item = Span<Pa>> {
    device.spans.iter().chain(&device.windows).filter_map(|span| span.widened_to(PAGE))
}

/// Where no device of a cell can be: memory and the GIC.
#[inline(never)]
pub(super) fn no_devices(draw: &Draw<'_, '_>) -> Vec<(Span<Pa>, &'static str)> {
    let mut all = Vec::new();
    let mut add = |span: &Span<Pa>, what| {
        if let Some(span) = span.widened_to(PAGE) {
            all.push((span, what));
        }
    };
    draw.hardware.memory.iter().for_each(|bank| add(bank, "memory"));
    memory::reserved(draw.hardware).iter().for_each(|span| add(&span, "reserved memory"));
    draw.hardware.firmware.iter().for_each(|span| add(span, "firmware's memory"));
    draw.hardware.gic.frames.iter().for_each(|frame| add(frame, "the GIC"));
    all
}
