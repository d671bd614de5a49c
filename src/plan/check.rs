//! The proof that a plan keeps its promises, made from the plan and the board alone: nothing of how it was drafted
//! is used. A plan can be checked again at any time.

use alloc::vec::Vec;
use core::marker::PhantomData;

use super::spans::SpanSet;
use super::{CellPlan, Checked, Draft, Plan, Region, TREE_ROOM, TreeSource, devices, error, memory};
use crate::addr::{Ipa, PAGE, Pa, Span};
use crate::hardware::Hardware;
use crate::intid::Spi;
use crate::refusal::{Refused, refuse};
use crate::vcpu::InterruptMode;

impl Plan<Draft> {
    /// Proves the plan.
    ///
    /// # Errors
    /// Every promise that does not hold.
    pub fn check(self, hardware: &Hardware) -> Result<Plan<Checked>, Vec<Refused>> {
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
    #[inline(never)]
    pub fn faults(&self, hardware: &Hardware) -> Vec<Refused> {
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

    #[inline(never)]
    fn check_cpus(&self, hardware: &Hardware, faults: &mut Vec<Refused>) {
        for cpu in &hardware.cpus {
            let listed = self.cpu(cpu.id).filter(|listed| listed.affinity == cpu.affinity);
            let mut fine = listed.is_some() == self.cpu(cpu.id).is_some();
            let mut owners = 0_u32;
            for cell in &self.cells {
                for (at, _) in cell.cpus.iter().enumerate().filter(|(_, id)| **id == cpu.id) {
                    owners = owners.saturating_add(1);
                    fine &= listed.is_some_and(|l| l.cell == cell.id && l.vcpu.index() == at);
                }
            }
            if !fine || owners != u32::from(listed.is_some()) {
                refuse(faults, &error::LOST).word("CPU").number(cpu.id.index() as u64);
            }
        }
        for cell in &self.cells {
            let unknown = cell.cpus.iter().find(|id| !hardware.cpus.iter().any(|cpu| cpu.id == **id));
            if unknown.is_some() || cell.cpus.is_empty() {
                misplaced(faults, cell, "a CPU", unknown.map_or(0, |id| id.index() as u64));
            }
        }
    }

    #[inline(never)]
    fn check_memory(&self, hardware: &Hardware, faults: &mut Vec<Refused>) {
        let kept = memory::kept(hardware, &self.boot);
        let mut left = memory::banks(hardware);
        left.remove_all(&kept);
        let mut free = left.clone();
        self.reserved.iter().for_each(|span| free.insert(*span));
        free.remove_all(&kept);
        for cell in &self.cells {
            for span in backing(cell, &cell.ram, faults) {
                if !free.covers(&span) {
                    misplaced(faults, cell, "its memory", span.start().0);
                }
                free.remove(span);
                left.remove(span);
            }
        }
        if self.has_root() {
            for span in left.iter() {
                refuse(faults, &error::LOST).word("memory at").span(span.start().0, span.end().0);
            }
        }
    }

    #[inline(never)]
    fn check_registers(&self, hardware: &Hardware, faults: &mut Vec<Refused>) {
        let mut never = SpanSet::default();
        for spans in [&hardware.memory, &hardware.gic.frames, &hardware.firmware, &self.reserved] {
            never.insert_pages(spans);
        }
        let mut taken = SpanSet::default();
        if let Some(page) = self.console.and_then(|console| console.page()) {
            taken.insert(page);
        }
        for cell in &self.cells {
            let mut theirs = Vec::new();
            for node in &cell.devices {
                if let Some(device) = hardware.device(*node) {
                    theirs.extend(devices::pages(device));
                }
            }
            let mut theirs: SpanSet<Pa> = theirs.into_iter().collect();
            theirs.remove_all(&never);
            for span in backing(cell, &cell.mmio, faults) {
                if !theirs.covers(&span) {
                    misplaced(faults, cell, "its registers", span.start().0);
                }
                theirs.remove(span);
                if let Some(twice) = taken.overlap(&span) {
                    refuse(faults, &error::TWICE).word("registers").span(twice.start().0, twice.end().0);
                }
                taken.insert(span);
            }
            for span in theirs.iter() {
                refuse(faults, &error::LOST).word("registers at").span(span.start().0, span.end().0);
            }
            if let Some(region) = cell.mmio.iter().find(|region| region.ipa.0 != region.pa.0) {
                misplaced(faults, cell, "a register that it does not see where it is", region.pa.0);
            }
        }
    }

    #[inline(never)]
    fn check_devices(&self, hardware: &Hardware, faults: &mut Vec<Refused>) {
        for (at, device) in hardware.devices.iter().enumerate() {
            let owners = self.cells.iter().filter(|c| c.devices.binary_search(&device.node).is_ok()).count();
            let ours = self.console.is_some_and(|console| console.node == device.node);
            // What stands on the console's page may be the hypervisor's, too.
            let nobodys = || self.console.is_some_and(|console| console.has_on_its_page(device));
            if owners > usize::from(!ours) || owners == 0 && self.has_root() && !ours && !nobodys() {
                refuse(faults, &error::LOST).word("device").number(at as u64);
            }
        }
        for cell in &self.cells {
            if !cell.devices.is_sorted() {
                misplaced(faults, cell, "the order of its devices", 0);
            }
            let own = self.console.map(|console| console.spi);
            let anyones =
                |spi: Spi| hardware.devices.iter().any(|d| d.spis.iter().any(|(other, _)| *other == spi));
            let direct = cell.interrupts != InterruptMode::Virtual;
            let fits = |spi: Spi| if direct { !anyones(spi) } else { Some(spi) == own };
            if cell.uart.is_some_and(|uart| !fits(uart.spi)) {
                misplaced(faults, cell, "its virtual UART", 0);
            }
            for spi in virtual_spis(cell).filter(|_| direct) {
                let users = self.cells.iter().filter(|other| other.interrupts != InterruptMode::Virtual);
                if users.flat_map(virtual_spis).filter(|other| *other == spi).count() != 1 {
                    misplaced(faults, cell, "an interrupt", spi.intid().into());
                }
            }
            if cell.watchdog.is_some_and(|watchdog| anyones(watchdog.spi)) {
                misplaced(faults, cell, "its watchdog", 0);
            }
            let mut spis = cell.spis.clone();
            for node in &cell.devices {
                let Some(device) = hardware.device(*node) else {
                    misplaced(faults, cell, "a device", 0);
                    continue;
                };
                for (spi, _) in &device.spis {
                    spis.remove(spi.intid());
                    let owners = self.cells.iter().filter(|cell| cell.spis.contains(spi.intid())).count();
                    if owners != 1 || own == Some(*spi) || !cell.spis.contains(spi.intid()) {
                        misplaced(faults, cell, "an interrupt", spi.intid().into());
                    }
                }
            }
            for intid in spis.iter() {
                misplaced(faults, cell, "an interrupt", intid.into());
            }
        }
    }

    #[inline(never)]
    fn check_load(&self, cell: &CellPlan, faults: &mut Vec<Refused>) {
        let load = &cell.load;
        let mut room: SpanSet<Ipa> = cell.ram.iter().filter_map(Region::seen).collect();
        if !room.covers(&Span::new(load.entry, 4).unwrap_or(load.tree)) {
            misplaced(faults, cell, "its entry", load.entry.0);
        }
        if cell.root {
            self.reserved.iter().for_each(|span| room.remove(span.identity()));
        }
        let tree = load.tree;
        let block = |at: u64| at.checked_div(TREE_ROOM);
        let crosses = block(tree.start().0) != block(tree.last().0);
        if !room.covers(&tree) || crosses || !tree.start().0.is_multiple_of(8) {
            misplaced(faults, cell, "its device tree", tree.start().0);
        }
        let (mut given, mut initrd) = (false, load.initrd.is_none());
        for piece in &load.pieces {
            let place = Span::new(piece.to, piece.size);
            let end = piece.offset.checked_add(piece.size);
            // The tree's room holds the tree that is given, and nothing else.
            let is_tree = load.source == TreeSource::Given && !given && piece.to == tree.start();
            given |= is_tree;
            initrd |= place == load.initrd;
            let fits = place.is_some_and(|place| {
                if is_tree { tree.covers(&place) } else { room.covers(&place) && !tree.overlaps(&place) }
            });
            if end.is_none_or(|end| end > self.boot.archive.size()) || !fits {
                misplaced(faults, cell, "a piece", piece.to.0);
            }
            place.into_iter().for_each(|place| room.remove(place));
        }
        room.remove(tree);
        for place in &load.zeroed {
            if !room.covers(place) {
                misplaced(faults, cell, "what is zeroed", place.start().0);
            }
            room.remove(*place);
        }
        if given != (load.source == TreeSource::Given) || !initrd {
            misplaced(faults, cell, "its device tree or its initrd", tree.start().0);
        }
    }
}

/// The interrupts of its virtual devices.
fn virtual_spis(cell: &CellPlan) -> impl Iterator<Item = Spi> {
    let watchdog = cell.watchdog.map(|watchdog| watchdog.spi);
    cell.uart.map(|uart| uart.spi).into_iter().chain(watchdog)
}

/// One cell's addresses: rising, whole pages, no two things in one place.
#[inline(never)]
fn check_space(cell: &CellPlan, faults: &mut Vec<Refused>) {
    let mut seen: SpanSet<Ipa> = [cell.gicd].into_iter().collect();
    let mut put = |span: Span<Ipa>, what, faults: &mut Vec<Refused>| {
        if let Some(twice) = seen.overlap(&span) {
            misplaced(faults, cell, what, twice.start().0);
        }
        seen.insert(span);
    };
    put(cell.gicr, "its GIC", faults);
    cell.uart.into_iter().for_each(|uart| put(uart.at, "its virtual UART", faults));
    cell.watchdog.into_iter().for_each(|watchdog| put(watchdog.at, "its watchdog", faults));
    for (regions, what) in [(&cell.ram, "its memory"), (&cell.mmio, "its registers")] {
        if !regions.is_sorted_by_key(|region| region.ipa) {
            misplaced(faults, cell, "the order of its address space", 0);
        }
        regions.iter().filter_map(Region::seen).for_each(|span| put(span, what, faults));
    }
}

/// The memory behind regions that are whole pages on both sides; others are faults.
#[inline(never)]
fn backing(cell: &CellPlan, regions: &[Region], faults: &mut Vec<Refused>) -> Vec<Span<Pa>> {
    let mut spans = Vec::with_capacity(regions.len());
    for region in regions {
        let aligned = [region.ipa.0, region.pa.0, region.size].iter().all(|n| n.is_multiple_of(PAGE));
        match region.backing().filter(|_| aligned && region.seen().is_some()) {
            Some(span) => spans.push(span),
            None => misplaced(faults, cell, "a region", region.ipa.0),
        }
    }
    spans
}

#[inline(never)]
fn misplaced(faults: &mut Vec<Refused>, cell: &CellPlan, what: &'static str, at: u64) {
    refuse(faults, &error::MISPLACED).owner(Some(&cell.name)).word(what).address(at);
}

#[cfg(test)]
mod tests;
