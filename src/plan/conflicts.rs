//! What devices share, and what that forbids: pages, interrupts, buses, memory, clocks.

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;

use super::devices::{Claims, no_devices, pages};
use super::draft::Draw;
use super::error;
use crate::addr::{Pa, Span};
use crate::config::CellConfig;
use crate::cpu::CellId;
use crate::crash::OnCrash;
use crate::hardware::{Depends, Dma};
use crate::intid::INTIDS;
use crate::refusal::{Refused, Sentence, refuse};
use crate::tree::NodeId;

/// A device and its cell.
type Owned = (CellId, NodeId);

/// Where something ends.
#[derive(Clone, Copy)]
struct Reach {
    end: Pa,
    of: Owned,
}

/// Something that a device needs and its cell has not.
pub(super) struct Need {
    pub(super) device: NodeId,
    pub(super) kind: Depends,
    pub(super) on: NodeId,
    pub(super) owner: Option<CellId>,
}

impl Need {
    /// Whether another cell could stop the device, or make it work wrongly, at any time, and its own has not accepted that.
    /// Other needs are only told: without a PHY or a DMA channel a driver knows what it has not.
    pub(super) fn is_refused(&self, cell: &CellConfig) -> bool {
        use Depends::{Clock, Pins, Power, Reset, Supply};
        let controls = matches!(self.kind, Clock | Reset | Power | Supply | Pins);
        controls && self.owner.is_some() && !cell.foreign_dependencies
    }
}

impl Claims {
    /// Refuses what cannot be apart.
    #[inline(never)]
    pub(super) fn check(&self, draw: &Draw<'_, '_>, errors: &mut Vec<Refused>) {
        self.check_buses(draw, errors);
        self.check_places(draw, errors);
        self.check_pages(draw, errors);
        self.check_spis(draw, errors);
        for cell in draw.cells() {
            self.check_masters(draw, cell, errors);
            self.check_restart(draw, cell, errors);
            self.check_needs(draw, cell, errors);
        }
    }

    /// What a CPU cannot address must go with the bus that it sits on.
    fn check_buses(&self, draw: &Draw<'_, '_>, errors: &mut Vec<Refused>) {
        for (owner, device) in self.all(draw).filter(|(_, device)| device.spans.is_empty()) {
            let node = draw.board.node(device.node);
            let bus = node.parent().and_then(|parent| draw.hardware.device_of(&parent));
            let (Some(bus), Some(owner)) = (bus, owner) else { continue };
            let bus_owner = self.owner(draw, bus.node);
            if bus_owner != Some(owner) {
                let refused = start(draw, errors, &error::BUS_ELSEWHERE, owner);
                refused.node(&node).node(&draw.board.node(bus.node)).owner(draw.name(bus_owner));
            }
        }
    }

    /// No cell's device lies in memory or in the GIC. From root's devices such pages are only left out: a frame buffer
    /// lies in memory, say.
    fn check_places(&self, draw: &Draw<'_, '_>, errors: &mut Vec<Refused>) {
        let never = no_devices(draw);
        for (id, _) in draw.cells().filter(|(_, cell)| !cell.root) {
            self.each_page(draw, id, |page, node| {
                if let Some((_, what)) = never.iter().find(|(other, _)| other.overlaps(&page)) {
                    let refused = start(draw, errors, &error::DEVICE_OVER, id).node(&draw.board.node(node));
                    refused.span(page.start().0, page.end().0).word(what);
                }
            });
        }
    }

    fn check_pages(&self, draw: &Draw<'_, '_>, errors: &mut Vec<Refused>) {
        let mut all: Vec<(Span<Pa>, CellId, NodeId)> = Vec::new();
        for (owner, device) in self.all(draw) {
            let Some(owner) = owner else { continue };
            pages(device).for_each(|page| all.push((page, owner, device.node)));
        }
        // Of all that began before: what reaches furthest, and what does of other cells. Who meets any meets one of them.
        let (mut far, mut other): (Option<Reach>, Option<Reach>) = (None, None);
        let mut told = None;
        for (page, cell, node) in BinaryHeap::from(all).into_sorted_vec() {
            let own = Reach { end: page.end(), of: (cell, node) };
            let met = [far, other].into_iter().flatten().find(|r| r.of.0 != cell && r.end > page.start());
            if let Some(met) = met.filter(|_| told != Some(page)) {
                told = Some(page);
                shared(draw, errors, &error::PAGE_TWICE, [met.of, own.of], Refused::address, page.start().0);
            }
            match far {
                Some(first) if first.of.0 != cell && first.end >= own.end => {
                    other = other.filter(|other| other.end >= own.end).or(Some(own));
                }
                Some(first) if first.of.0 != cell => (far, other) = (Some(own), far),
                _ => far = far.filter(|far| far.end >= own.end).or(Some(own)),
            }
        }
    }

    fn check_spis(&self, draw: &Draw<'_, '_>, errors: &mut Vec<Refused>) {
        let mut owners: Vec<Option<Owned>> = vec![None; INTIDS as usize];
        for (owner, device) in self.all(draw) {
            let Some(owner) = owner else { continue };
            let own = (owner, device.node);
            for (spi, _) in &device.spis {
                let Some(place) = owners.get_mut(spi.intid() as usize) else { continue };
                let first = *place.get_or_insert(own);
                if first.0 != owner {
                    let number = spi.intid().saturating_sub(32).into();
                    shared(draw, errors, &error::SPI_TWICE, [first, own], Refused::number, number);
                }
            }
        }
    }

    /// No SMMU is driven yet, so one in front of a master holds nothing back.
    fn check_masters(
        &self,
        draw: &Draw<'_, '_>,
        (id, cell): (CellId, &CellConfig),
        errors: &mut Vec<Refused>,
    ) {
        let mut masters = self.of(draw, id).filter(|device| device.master != Dma::None).peekable();
        if cell.unprotected_dma || masters.peek().is_none() {
            return;
        }
        let refused = refuse(errors, &error::UNPROTECTED_DMA).cell(&cell.name, "unprotected-dma");
        masters.for_each(|device| _ = refused.and(draw.board.node(device.node).path()));
    }

    /// A cell that shall be restarted has no master that would go on from one life into the next.
    fn check_restart(
        &self,
        draw: &Draw<'_, '_>,
        (id, cell): (CellId, &CellConfig),
        errors: &mut Vec<Refused>,
    ) {
        let mut masters = self.unstoppable(draw, id).peekable();
        if !matches!(cell.on_crash, OnCrash::Restart(_)) || masters.peek().is_none() {
            return;
        }
        let refused = refuse(errors, &error::UNSTOPPABLE_DMA).cell(&cell.name, "on-crash");
        masters.for_each(|device| _ = refused.and(draw.board.node(device.node).path()));
    }

    /// Refuses what another cell could take from a device, unless the cell accepts it.
    fn check_needs(&self, draw: &Draw<'_, '_>, (id, cell): (CellId, &CellConfig), errors: &mut Vec<Refused>) {
        let mut needs = self.needs(draw, id);
        needs.retain(|need| need.is_refused(cell));
        while let Some(Need { kind, on, owner, .. }) = needs.first() {
            let (kind, on, owner) = (*kind, *on, *owner);
            let refused = refuse(errors, &error::FOREIGN_DEPENDENCY).cell(&cell.name, "foreign-dependencies");
            refused.word(kind.name());
            needs.retain(|need| {
                let same = (need.kind, need.on) == (kind, on);
                if same {
                    refused.and(draw.board.node(need.device).path());
                }
                !same
            });
            refused.node(&draw.board.node(on)).owner(draw.name(owner));
        }
    }

    /// What a cell's devices need and the cell has not; what only describes something, everybody has.
    #[inline(never)]
    pub(super) fn needs(&self, draw: &Draw<'_, '_>, cell: CellId) -> Vec<Need> {
        let mut needs: Vec<Need> = Vec::new();
        for device in self.of(draw, cell) {
            let first = needs.len();
            for need in &device.depends {
                let Some(on) = draw.hardware.device_of(&draw.board.node(need.on)) else { continue };
                let owner = self.owner(draw, on.node);
                let new = Need { device: device.node, kind: need.kind, on: on.node, owner };
                let mut own = needs.iter().skip(first);
                if owner != Some(cell) && !own.any(|other| (other.kind, other.on) == (new.kind, new.on)) {
                    needs.push(new);
                }
            }
        }
        needs
    }
}

fn start<'l>(
    draw: &Draw<'_, '_>,
    errors: &'l mut Vec<Refused>,
    sentence: &'static Sentence,
    cell: CellId,
) -> &'l mut Refused {
    refuse(errors, sentence).cell(draw.name(Some(cell)).unwrap_or_default(), "devices")
}

/// Two cells' devices have the same page or interrupt; the root cell, which has its own only because nobody else named it,
/// comes second.
fn shared(
    draw: &Draw<'_, '_>,
    errors: &mut Vec<Refused>,
    sentence: &'static Sentence,
    [a, b]: [Owned; 2],
    what: fn(&mut Refused, u64) -> &mut Refused,
    number: u64,
) {
    let is_root = draw.config.cells.get(a.0.index()).is_some_and(|cell| cell.root);
    let (main, second) = if is_root { (b, a) } else { (a, b) };
    let refused = start(draw, errors, sentence, main.0).node(&draw.board.node(main.1));
    let name = draw.name(Some(second.0)).unwrap_or_default();
    what(refused, number).node(&draw.board.node(second.1)).cell(name, "devices");
}
