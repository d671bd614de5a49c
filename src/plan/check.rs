//! The proof that a plan keeps its promises, made from the plan and the board alone: nothing of how it was drafted
//! is used. A plan can be checked again at any time.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt::Arguments;
use core::marker::PhantomData;

use super::spans::SpanSet;
use super::{CellPlan, Checked, Draft, Plan, PlanError, Region, TREE_ROOM};
use crate::addr::{Address, Ipa, PAGE, Pa, Span};
use crate::cpu::VcpuId;
use crate::hardware::Hardware;
use crate::sort;

impl Plan<Draft> {
    /// Proves the plan.
    ///
    /// # Errors
    /// Every promise that does not hold.
    pub fn check(self, hardware: &Hardware) -> Result<Plan<Checked>, Vec<PlanError>> {
        let faults = self.faults(hardware);
        if !faults.is_empty() {
            return Err(faults);
        }
        let Self { cells, cpus, boot, own_ppis, reserved, state: _ } = self;
        Ok(Plan { cells, cpus, boot, own_ppis, reserved, state: PhantomData })
    }
}

impl<S> Plan<S> {
    /// Every promise that does not hold: each CPU, page of memory, page of a device's registers and interrupt has one
    /// owner, and with a root cell none is left over; each cell's address space is without overlap, and what is loaded
    /// fits.
    pub fn faults(&self, hardware: &Hardware) -> Vec<PlanError> {
        let mut faults = Vec::new();
        self.check_cpus(hardware, &mut faults);
        self.check_memory(hardware, &mut faults);
        self.check_registers(hardware, &mut faults);
        self.check_devices(hardware, &mut faults);
        for cell in &self.cells {
            check_space(cell, &mut faults);
            self.check_load(cell, &mut faults);
        }
        faults
    }

    fn has_root(&self) -> bool {
        self.cells.iter().any(|cell| cell.root)
    }

    fn check_cpus(&self, hardware: &Hardware, faults: &mut Vec<PlanError>) {
        for cpu in &hardware.cpus {
            let (mut owners, mut owner) = (0_usize, None);
            for cell in &self.cells {
                for (vcpu, id) in (0..).map(VcpuId).zip(&cell.cpus) {
                    if *id == cpu.id {
                        owners = owners.saturating_add(1);
                        owner = Some((cell.id, vcpu, cpu.affinity));
                    }
                }
            }
            let listed = self.cpu(cpu.id).map(|listed| (listed.cell, listed.vcpu, listed.affinity));
            if owners > 1 || owner != listed {
                lost(faults, format_args!("{}, owners {owners},", cpu.id));
            }
        }
        for cell in &self.cells {
            let known = |id| hardware.cpus.iter().any(|cpu| cpu.id == id);
            if cell.cpus.is_empty() || !cell.cpus.iter().all(|id| known(*id)) {
                misplaced(faults, cell, format_args!("one of its CPUs"));
            }
        }
    }

    fn check_memory(&self, hardware: &Hardware, faults: &mut Vec<PlanError>) {
        let mut kept = SpanSet::default();
        kept.insert_pages(&[self.boot.image, self.boot.pool, self.boot.archive]);
        kept.insert_pages(&hardware.firmware);
        let mut left = SpanSet::default();
        for bank in &hardware.memory {
            bank.narrowed_to(PAGE).into_iter().for_each(|span| left.insert(span));
        }
        let mut there = left.clone();
        there.insert_pages(&self.reserved);
        left.remove_all(&kept);

        let mut owned = Owned::default();
        kept.iter().for_each(|span| owned.add(span, "the hypervisor"));
        for cell in &self.cells {
            for span in backing(cell, &cell.ram, faults) {
                if !there.covers(&span) {
                    misplaced(faults, cell, format_args!("its memory at {span}"));
                }
                left.remove(span);
                owned.add(span, &cell.name);
            }
        }
        owned.check("memory", faults);
        if self.has_root() {
            left.iter().for_each(|span| lost(faults, format_args!("memory at {span}")));
        }
    }

    fn check_registers(&self, hardware: &Hardware, faults: &mut Vec<PlanError>) {
        let mut never = SpanSet::default();
        for spans in [&hardware.memory, &hardware.gic.frames, &self.reserved] {
            never.insert_pages(spans);
        }
        let mut owned = Owned::default();
        never.iter().for_each(|span| owned.add(span, "memory or the GIC"));
        for cell in &self.cells {
            let mut theirs = SpanSet::default();
            for node in &cell.devices {
                let Some(device) = hardware.device(*node) else { continue };
                theirs.insert_pages(&device.spans);
                theirs.insert_pages(&device.windows);
            }
            theirs.remove_all(&never);
            for span in backing(cell, &cell.mmio, faults) {
                if !theirs.covers(&span) {
                    misplaced(faults, cell, format_args!("its registers at {span}"));
                }
                theirs.remove(span);
                owned.add(span, &cell.name);
            }
            for span in theirs.iter() {
                lost(faults, format_args!("registers of cell `{}` at {span}", cell.name));
            }
            if cell.mmio.iter().any(|region| region.ipa.0 != region.pa.0) {
                misplaced(faults, cell, format_args!("a register that it does not see where it is"));
            }
        }
        owned.check("registers", faults);
    }

    fn check_devices(&self, hardware: &Hardware, faults: &mut Vec<PlanError>) {
        for device in &hardware.devices {
            let owners = self.cells.iter().filter(|cell| cell.devices.contains(&device.node)).count();
            if owners > 1 || owners == 0 && self.has_root() {
                lost(faults, format_args!("device of node {}, {owners} owners,", device.node.index()));
            }
        }
        for cell in &self.cells {
            let mut spis = cell.spis.clone();
            for node in &cell.devices {
                let Some(device) = hardware.device(*node) else {
                    misplaced(faults, cell, format_args!("device of node {}", node.index()));
                    continue;
                };
                for (spi, _) in &device.spis {
                    spis.remove(spi.intid());
                    let owners = self.cells.iter().filter(|other| other.spis.contains(spi.intid())).count();
                    if !cell.spis.contains(spi.intid()) || owners > 1 {
                        misplaced(faults, cell, format_args!("{spi}"));
                    }
                }
            }
            if let Some(intid) = spis.iter().next() {
                misplaced(faults, cell, format_args!("one of its interrupts, {intid},"));
            }
        }
    }

    fn check_load(&self, cell: &CellPlan, faults: &mut Vec<PlanError>) {
        let load = &cell.load;
        let mut room = SpanSet::default();
        for region in &cell.ram {
            region.seen().into_iter().for_each(|span| room.insert(span));
        }
        if !room.covers(&Span::new(load.entry, 4).unwrap_or(load.tree)) {
            misplaced(faults, cell, format_args!("its entry {}", load.entry));
        }
        if cell.root {
            self.reserved.iter().for_each(|span| room.remove(span.identity()));
        }
        for piece in &load.pieces {
            let end = piece.offset.checked_add(piece.size);
            let place = Span::new(piece.to, piece.size).filter(|place| room.covers(place));
            if end.is_none_or(|end| end > self.boot.archive.size()) || place.is_none() {
                misplaced(faults, cell, format_args!("a piece of its image at {}", piece.to));
            }
            place.into_iter().for_each(|place| room.remove(place));
        }
        for place in &load.zeroed {
            if !room.covers(place) {
                misplaced(faults, cell, format_args!("what is zeroed at {place}"));
            }
            room.remove(*place);
        }
        let tree = load.tree;
        let crosses = tree.start().0 / TREE_ROOM != tree.last().0 / TREE_ROOM;
        if !room.covers(&tree) || crosses || !tree.start().0.is_multiple_of(8) {
            misplaced(faults, cell, format_args!("its device tree at {tree}"));
        }
        if let Some(initrd) = load.initrd
            && !load.pieces.iter().any(|p| Span::new(p.to, p.size) == Some(initrd))
        {
            misplaced(faults, cell, format_args!("its initrd at {initrd}"));
        }
    }
}

/// One cell's addresses: rising, whole pages, no two things in one place.
fn check_space(cell: &CellPlan, faults: &mut Vec<PlanError>) {
    let mut seen = Owned::default();
    for (regions, name) in [(&cell.ram, "its memory"), (&cell.mmio, "its registers")] {
        if !regions.is_sorted_by_key(|region| region.ipa) {
            misplaced(faults, cell, format_args!("the order of its address space"));
        }
        for region in regions {
            region.seen().into_iter().for_each(|span| seen.add(span, name));
        }
    }
    seen.add(cell.gicd, "its GIC");
    seen.add(cell.gicr, "its GIC");
    seen.overlaps(|at, what| {
        let what = what.map(ToString::to_string);
        faults.push(PlanError::IpaTwice { cell: cell.name.clone(), what, at: Ipa(at.start()) });
    });
}

/// The memory behind regions that are whole pages on both sides; others are faults.
fn backing(cell: &CellPlan, regions: &[Region], faults: &mut Vec<PlanError>) -> Vec<Span<Pa>> {
    let mut spans = Vec::with_capacity(regions.len());
    for region in regions {
        let aligned = [region.ipa.0, region.pa.0, region.size].iter().all(|n| n.is_multiple_of(PAGE));
        match region.backing().filter(|_| aligned && region.seen().is_some()) {
            Some(span) => spans.push(span),
            None => misplaced(faults, cell, format_args!("what it sees at {}", region.ipa)),
        }
    }
    spans
}

/// Spans of one space, each with its owner or its use.
#[derive(Default)]
struct Owned<'n>(Vec<(Span<u64>, &'n str)>);

impl<'n> Owned<'n> {
    fn add<A: Address>(&mut self, span: Span<A>, owner: &'n str) {
        self.0.push((span.map(A::get), owner));
    }

    /// Neighbours that overlap, once all are sorted; there are some if any two do.
    fn overlaps(mut self, mut found: impl FnMut(Span<u64>, [&str; 2])) {
        sort::by(&mut self.0, |a, b| a > b);
        for pair in self.0.windows(2) {
            if let [(a, first), (b, second)] = pair
                && a.overlaps(b)
            {
                found(*b, [first, second]);
            }
        }
    }

    /// No physical page is there twice.
    fn check(self, what: &'static str, faults: &mut Vec<PlanError>) {
        self.overlaps(|span, owners| {
            let owners = owners.map(ToString::to_string);
            faults.push(PlanError::Twice { what, span: span.map(Pa), owners });
        });
    }
}

#[cold]
fn lost(faults: &mut Vec<PlanError>, what: Arguments<'_>) {
    faults.push(PlanError::Lost { what: what.to_string() });
}

#[cold]
fn misplaced(faults: &mut Vec<PlanError>, cell: &CellPlan, what: Arguments<'_>) {
    faults.push(PlanError::Misplaced { cell: cell.name.clone(), what: what.to_string() });
}

#[cfg(test)]
mod tests;
