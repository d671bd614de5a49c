//! The proof that a plan keeps its promises, made from the plan and the board alone: nothing of how it was drafted
//! is used. A plan can be checked again at any time.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
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
        let Self { cells, cpus, boot, console, own_ppis, reserved, state: _ } = self;
        Ok(Plan { cells, cpus, boot, console, own_ppis, reserved, state: PhantomData })
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
            let owners = self.cells.iter().flat_map(|cell| {
                let at = cell.cpus.iter().enumerate().filter(|(_, id)| **id == cpu.id);
                at.map(|(at, _)| (cell.id, u8::try_from(at).map(VcpuId)))
            });
            let owners: Vec<_> = owners.collect();
            let listed = self.cpu(cpu.id);
            let same = match (owners.as_slice(), listed) {
                ([], None) => true,
                ([(cell, Ok(vcpu))], Some(l)) => (l.cell, l.vcpu, l.affinity) == (*cell, *vcpu, cpu.affinity),
                _ => false,
            };
            if !same {
                faults.push(PlanError::Lost { what: format!("{}, owners {owners:?}", cpu.id) });
            }
        }
        for cell in &self.cells {
            let known = |id| hardware.cpus.iter().any(|cpu| cpu.id == id);
            if cell.cpus.is_empty() || !cell.cpus.iter().all(|id| known(*id)) {
                faults.push(misplaced(cell, format!("one of its CPUs, {:?}", cell.cpus)));
            }
        }
    }

    fn check_memory(&self, hardware: &Hardware, faults: &mut Vec<PlanError>) {
        let banks: SpanSet<Pa> = hardware.memory.iter().filter_map(|bank| bank.narrowed_to(PAGE)).collect();
        let boot = [self.boot.image, self.boot.pool, self.boot.archive];
        let kept: SpanSet<Pa> =
            boot.iter().chain(&hardware.firmware).filter_map(|span| span.widened_to(PAGE)).collect();
        let there: SpanSet<Pa> = banks.iter().chain(self.reserved.iter().copied()).collect();

        let mut owned: Vec<(Span<Pa>, String)> =
            kept.iter().map(|s| (s, "the hypervisor".to_string())).collect();
        let mut left = banks;
        left.remove_all(&kept);
        for cell in &self.cells {
            for span in backing(cell, &cell.ram, faults) {
                if !there.covers(&span) {
                    faults.push(misplaced(cell, format!("its memory at {span}")));
                }
                left.remove(span);
                owned.push((span, cell.name.clone()));
            }
        }
        disjoint("memory", owned, faults);
        if self.has_root() {
            faults.extend(left.iter().map(|span| PlanError::Lost { what: format!("memory at {span}") }));
        }
    }

    fn check_registers(&self, hardware: &Hardware, faults: &mut Vec<PlanError>) {
        let frames = &hardware.gic.frames;
        let never = hardware.memory.iter().chain(frames).filter_map(|s| s.widened_to(PAGE));
        let never: SpanSet<Pa> = never.chain(self.reserved.iter().copied()).collect();
        let mut owned: Vec<(Span<Pa>, String)> =
            never.iter().map(|s| (s, "memory or the GIC".to_string())).collect();
        let console = self.console.and_then(|console| console.page());
        owned.extend(console.map(|page| (page, "the hypervisor".to_string())));
        for cell in &self.cells {
            let mut theirs = SpanSet::default();
            for node in &cell.devices {
                let Some(device) = hardware.device(*node) else { continue };
                super::devices::pages(device).for_each(|span| theirs.insert(span));
            }
            theirs.remove_all(&never);
            for span in backing(cell, &cell.mmio, faults) {
                if !theirs.covers(&span) {
                    faults.push(misplaced(cell, format!("its registers at {span}")));
                }
                theirs.remove(span);
                owned.push((span, cell.name.clone()));
            }
            let lost =
                |span| PlanError::Lost { what: format!("registers of cell `{}` at {span}", cell.name) };
            faults.extend(theirs.iter().map(lost));
            if cell.mmio.iter().any(|region| region.ipa.0 != region.pa.0) {
                faults.push(misplaced(cell, "a register that it does not see where it is".to_string()));
            }
        }
        disjoint("registers", owned, faults);
    }

    fn check_devices(&self, hardware: &Hardware, faults: &mut Vec<PlanError>) {
        for device in &hardware.devices {
            let owners = self.cells.iter().filter(|cell| cell.devices.contains(&device.node)).count();
            let ours = self.console.is_some_and(|console| console.node == device.node);
            let wanted = if ours { 0..=0 } else { usize::from(self.has_root())..=1 };
            if !wanted.contains(&owners) {
                faults.push(PlanError::Lost { what: format!("device {:?}, {owners} owners", device.node) });
            }
        }
        for (at, cell) in self.cells.iter().enumerate() {
            let mut spis = cell.spis.clone();
            if let Some(console) = self.console.filter(|console| spis.contains(console.spi.intid())) {
                faults.push(misplaced(cell, console.spi.to_string()));
            }
            let uart = cell.uart.map(|uart| uart.spi);
            if uart.is_some() && uart != self.console.map(|console| console.spi) {
                faults.push(misplaced(cell, "its virtual UART".to_string()));
            }
            for node in &cell.devices {
                let Some(device) = hardware.device(*node) else {
                    faults.push(misplaced(cell, format!("{node:?}")));
                    continue;
                };
                for (spi, _) in &device.spis {
                    spis.remove(spi.intid());
                    let others = self.cells.iter().enumerate().filter(|(other, _)| *other != at);
                    let elsewhere = others.filter(|(_, other)| other.spis.contains(spi.intid())).count();
                    if !cell.spis.contains(spi.intid()) || elsewhere != 0 {
                        faults.push(misplaced(cell, spi.to_string()));
                    }
                }
            }
            if !spis.is_empty() {
                faults.push(misplaced(cell, format!("one of its interrupts, {spis:?}")));
            }
        }
    }

    fn check_load(&self, cell: &CellPlan, faults: &mut Vec<PlanError>) {
        let mut room: SpanSet<Ipa> = cell.ram.iter().filter_map(Region::seen).collect();
        if !room.covers(&Span::new(cell.load.entry, 4).unwrap_or(cell.load.tree)) {
            faults.push(misplaced(cell, format!("its entry {}", cell.load.entry)));
        }
        if cell.root {
            self.reserved.iter().for_each(|span| room.remove(span.identity()));
        }
        for piece in &cell.load.pieces {
            let place = Span::new(piece.to, piece.size).filter(|place| room.covers(place));
            let end = piece.offset.checked_add(piece.size);
            if end.is_none_or(|end| end > self.boot.archive.size()) || place.is_none() {
                faults.push(misplaced(cell, format!("{piece:?}")));
            }
            place.into_iter().for_each(|place| room.remove(place));
        }
        for place in &cell.load.zeroed {
            if !room.covers(place) {
                faults.push(misplaced(cell, format!("what is zeroed at {place}")));
            }
            room.remove(*place);
        }
        let tree = cell.load.tree;
        let block = |at: u64| at.checked_div(TREE_ROOM);
        let crosses = block(tree.start().0) != block(tree.last().0);
        if !room.covers(&tree) || crosses || !tree.start().0.is_multiple_of(8) {
            faults.push(misplaced(cell, format!("its device tree at {tree}")));
        }
        if let Some(initrd) = cell.load.initrd
            && !cell.load.pieces.iter().any(|p| Span::new(p.to, p.size) == Some(initrd))
        {
            faults.push(misplaced(cell, format!("its initrd at {initrd}")));
        }
    }
}

/// One cell's addresses: rising, whole pages, no two things in one place.
fn check_space(cell: &CellPlan, faults: &mut Vec<PlanError>) {
    let rising = |regions: &[Region]| regions.is_sorted_by_key(|region| region.ipa);
    if !rising(&cell.ram) || !rising(&cell.mmio) {
        faults.push(misplaced(cell, "the order of its address space".to_string()));
    }
    let named = |name: &'static str| move |span: Span<Ipa>| (span, name.to_string());
    let ram = cell.ram.iter().filter_map(Region::seen).map(named("its memory"));
    let mmio = cell.mmio.iter().filter_map(Region::seen).map(named("its registers"));
    let gic = [cell.gicd, cell.gicr].into_iter().map(named("its GIC"));
    let uart = cell.uart.map(|uart| uart.at).into_iter().map(named("its virtual UART"));
    let mut seen: Vec<_> = ram.chain(mmio).chain(gic).chain(uart).collect();
    sort::by(&mut seen, |a, b| a > b);
    faults.extend(overlaps(&seen).map(|(a, b)| PlanError::IpaTwice {
        cell: cell.name.clone(),
        what: [a.1.clone(), b.1.clone()],
        at: b.0.start(),
    }));
}

/// The memory behind regions that are whole pages on both sides; others are faults.
fn backing(cell: &CellPlan, regions: &[Region], faults: &mut Vec<PlanError>) -> Vec<Span<Pa>> {
    let mut spans = Vec::with_capacity(regions.len());
    for region in regions {
        let aligned = [region.ipa.0, region.pa.0, region.size].iter().all(|n| n.is_multiple_of(PAGE));
        match region.backing().filter(|_| aligned && region.seen().is_some()) {
            Some(span) => spans.push(span),
            None => faults.push(misplaced(cell, format!("{region:?}"))),
        }
    }
    spans
}

fn disjoint(what: &'static str, mut owned: Vec<(Span<Pa>, String)>, faults: &mut Vec<PlanError>) {
    sort::by(&mut owned, |a, b| a > b);
    faults.extend(overlaps(&owned).map(|(a, b)| PlanError::Twice {
        what,
        span: b.0,
        owners: [a.1.clone(), b.1.clone()],
    }));
}

type Named<A> = (Span<A>, String);

/// Neighbours in a sorted list that overlap; there are some if any two do.
fn overlaps<A: Address>(sorted: &[Named<A>]) -> impl Iterator<Item = (&Named<A>, &Named<A>)> {
    sorted.iter().zip(sorted.iter().skip(1)).filter(|(a, b)| a.0.overlaps(&b.0))
}

fn misplaced(cell: &CellPlan, what: String) -> PlanError {
    PlanError::Misplaced { cell: cell.name.clone(), what }
}

#[cfg(test)]
mod tests;
