//! Every promise, broken once: the check must say so.

use super::*;
use crate::addr::BLOCK_2M;
use crate::cpu::{CellId, PcpuId};
use crate::plan::tests::Setup;
use crate::plan::{Piece, VirtualWatchdog};

/// The demo's plan with one thing changed: what the check says.
fn faults(change: impl FnOnce(&mut Plan<Draft>)) -> Vec<String> {
    Setup::new([]).draft(|draft, _, hardware| {
        let mut plan = draft.unwrap();
        assert_eq!(plan.faults(hardware), []);
        change(&mut plan);
        plan.check(hardware)
            .map_or_else(|faults| faults.iter().map(ToString::to_string).collect(), |_| Vec::new())
    })
}

#[track_caller]
fn finds(what: &str, change: impl FnOnce(&mut Plan<Draft>)) {
    let faults = faults(change);
    assert!(faults.iter().any(|fault| fault.contains(what)), "{what}: {faults:#?}");
}

fn region(at: u64, size: u64) -> Region {
    Region { ipa: Ipa(at), pa: Pa(at), size }
}

#[test]
fn cpus() {
    finds("CPU 3 belongs to nobody", |plan| plan.cells[0].cpus.push(PcpuId(3)));
    finds("CPU 3 belongs to nobody", |plan| plan.cells[1].cpus.clear());
    finds("cell `control`: a CPU at", |plan| plan.cells[1].cpus.clear());
    finds("cell `control`: a CPU at", |plan| plan.cells[1].cpus.push(PcpuId(9)));
    finds("CPU 0 belongs to nobody", |plan| plan.cpus[0].cell = CellId(1));
    finds("CPU 1 belongs to nobody", |plan| plan.cells[0].cpus.swap(0, 1));
    finds("CPU 2 belongs to nobody", |plan| plan.cpus.retain(|cpu| cpu.id != PcpuId(2)));
}

#[test]
fn memory() {
    finds("its memory at 0x40000000 is out of place", |plan| plan.cells[0].ram[0].size += 0x2_3000);
    finds("cell `control`: its memory at 0x7f000000 is out of place", |plan| {
        plan.cells[0].ram[3].size += BLOCK_2M
    });
    finds("memory at 0x7eeff000..0x7ef00000 belongs to nobody", |plan| {
        plan.cells[0].ram[3].size = 0x7eef_f000 - plan.cells[0].ram[3].pa.0;
        plan.cells[0].ram.push(region(0x7ef0_0000, 0x10_0000));
    });
    finds("its memory at 0x80000000", |plan| plan.cells[0].ram.push(region(0x8000_0000, 0x1000)));
    finds("a region at", |plan| plan.cells[1].ram[0].size -= 1);
    finds("a region at", |plan| plan.cells[1].ram[0].ipa.0 += 1);
    finds("its memory at 0x48200000 is out of place", |plan| {
        plan.boot.pool = Span::new(Pa(0x5000_0000), 0x1000).unwrap()
    });
}

#[test]
fn registers() {
    let uart = region(0x900_0000, 0x1000);
    finds("registers at 0x9000000..0x9001000 belongs to two cells", |plan| {
        plan.cells[1].mmio.insert(0, uart)
    });
    finds("its registers at 0x9000000", |plan| plan.cells[1].mmio.insert(0, uart));
    finds("registers at 0x9040000..0x9041000 belongs to nobody", |plan| plan.cells[1].mmio.clear());
    finds("cell `linux`: its registers at 0x8080000", |plan| {
        plan.cells[0].mmio.insert(0, region(0x808_0000, 0x1000))
    });
    finds("a register that it does not see where it is", |plan| plan.cells[1].mmio[0].ipa.0 += 0x1000);
    finds("device 1 belongs to nobody", |plan| plan.cells[1].devices.clear());
    finds("device 1 belongs to nobody, or not to one", |plan| {
        plan.cells[0].devices = [&plan.cells[0].devices[..], &plan.cells[1].devices].concat();
        plan.cells[0].devices.sort();
    });
    finds("the order of its devices", |plan| plan.cells[0].devices.swap(0, 1));
}

#[test]
fn interrupts() {
    finds("an interrupt at 0x28", |plan| plan.cells[0].spis.insert(40));
    finds("an interrupt at 0x28", |plan| plan.cells[1].spis.remove(40));
    finds("an interrupt at 0x63", |plan| plan.cells[1].spis.insert(99));
}

#[test]
fn the_address_space() {
    finds("its memory at 0x40000000", |plan| plan.cells[1].gicd = Span::new(Ipa(0x4000_0000), 1).unwrap());
    finds("its registers at 0x9040000", |plan| {
        plan.cells[1].gicr = Span::new(Ipa(0x904_0000), 0x2_0000).unwrap()
    });
    finds("the order", |plan| plan.cells[0].ram.swap(0, 1));
    let watchdog = |at, spi| {
        Some(VirtualWatchdog { at: Span::new(Ipa(at), 0x2000).unwrap(), spi: Spi::new(spi).unwrap() })
    };
    finds("cell `control`: its registers at 0x9040000", |plan| {
        plan.cells[1].watchdog = watchdog(0x903_f000, 32)
    });
    finds("cell `linux`: its watchdog at 0x80b0000", |plan| {
        plan.cells[0].watchdog = watchdog(0x80b_0000, 32)
    });
    finds("cell `linux`: its watchdog at", |plan| plan.cells[0].watchdog = watchdog(0x910_0000, 40));
}

#[test]
fn what_is_loaded() {
    let control = |change: fn(&mut CellPlan)| move |plan: &mut Plan<Draft>| change(&mut plan.cells[1]);
    finds("its entry", control(|cell| cell.load.entry = Ipa(0x3fff_fffc)));
    finds("a piece at", control(|cell| cell.load.pieces[0].to = Ipa(0x40ff_ffff)));
    finds("a piece at", control(|cell| cell.load.pieces[0].size = 0));
    finds("a piece at", control(|cell| cell.load.pieces[0].offset = u64::MAX));
    finds("a piece at", control(|cell| cell.load.pieces[0].offset = 0x1f_ff00));
    finds("a piece at", control(|cell| cell.load.pieces[1].to = cell.load.pieces[0].to));
    finds("what is zeroed", control(|cell| cell.load.zeroed.extend(Span::new(Ipa(0x40ff_ffff), 2))));
    finds("what is zeroed", control(|cell| cell.load.zeroed.extend(Span::new(cell.load.pieces[0].to, 1))));
    finds("a piece at", control(|cell| cell.load.tree = Span::new(Ipa(0x4000_0000), 0x1000).unwrap()));
    finds("its device tree", control(|cell| cell.load.tree = Span::new(Ipa(0x403f_f000), 0x2000).unwrap()));
    finds("its device tree", control(|cell| cell.load.tree = Span::new(Ipa(0x4080_0004), 0x1000).unwrap()));
    finds("its initrd at", control(|cell| cell.load.initrd = Some(cell.load.tree)));
    finds("a piece at", |plan| {
        plan.reserved = vec![Span::new(Pa(0x5000_0000), 0x1000).unwrap()];
        plan.cells[0].load.pieces.push(Piece { offset: 0, size: 1, to: Ipa(0x5000_0fff) });
    });
}
