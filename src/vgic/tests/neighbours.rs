//! Several vCPUs, several cells: what reaches whom.

use super::bench::{Bench, SGI};
use crate::ports::Width;
use crate::vgic::fake::FakeGic;

/// One cell with three CPUs, all enabled; SPI 40 is edge-triggered and goes to vCPU 1.
fn three() -> Bench {
    let mut bench = Bench::new(FakeGic::new(3, 4), &[3]);
    bench.enable_all(0);
    (1..3).for_each(|cpu| bench.enable_private(cpu));
    bench.edge(0, 40);
    route(&mut bench, 40, 1);
    bench
}

fn route(bench: &mut Bench, spi: u64, to: u64) {
    bench.access(0, false, 0x6000 + 8 * spi, Width::Double, Some(to));
}

#[test]
fn sgis_reach_their_targets_inside_the_cell() {
    let mut bench = Bench::new(FakeGic::new(20, 4), &[18, 2]);
    for cpu in 0..20 {
        bench.dist(cpu, 0, Some(2));
        bench.enable_private(cpu);
        bench.settle();
    }
    let mut arrive = |from: usize, value: u64| {
        bench.send(from, value);
        (0..20).filter(|cpu| !bench.drain(*cpu).is_empty()).collect::<Vec<_>>()
    };
    for sgi in [2 << 24, 15 << 24] {
        assert_eq!(arrive(0, sgi | 0b1010), [1, 3]);
        assert_eq!(arrive(3, sgi | 0b1000), [3]);
        assert_eq!(arrive(0, sgi | 1 << 16 | 0xffff), [16, 17]);
        assert_eq!(arrive(18, sgi | 0xffff), [18, 19]);
        assert_eq!(arrive(18, sgi | 1 << 40), [19]);
        assert_eq!(arrive(1, sgi | 1 << 40).len(), 17);
        for nobody in [0, 1 << 32 | 1, 1 << 44 | 1, 1 << 48 | 1, 2 << 16 | 1] {
            assert_eq!(arrive(0, sgi | nobody), []);
        }
    }
}

#[test]
fn an_interrupt_in_anothers_list_register_is_reached_through_its_inbox() {
    // Disabled there: it stays pending, and comes when enabled.
    let mut bench = three();
    bench.cpus[0].raise(40);
    bench.run(1);
    bench.dist(0, 0x184, Some(1 << 8));
    assert_eq!(bench.acknowledge(1), None);
    assert_eq!(bench.dist(2, 0x204, None), 1 << 8);
    bench.dist(2, 0x104, Some(1 << 8));
    assert_eq!(bench.drain(1), [40]);
    // Cleared there.
    bench.cpus[0].raise(40);
    bench.run(1);
    bench.dist(2, 0x284, Some(1 << 8));
    assert_eq!(bench.drain(1), []);
    // Routed away from there.
    bench.cpus[0].raise(40);
    bench.run(1);
    route(&mut bench, 40, 2);
    assert_eq!((bench.drain(1), bench.drain(2)), (vec![], vec![40]));
    // Ended there, while its handler runs.
    bench.cpus[0].raise(40);
    assert_eq!(bench.acknowledge(2), Some(40));
    bench.dist(0, 0x384, Some(1 << 8));
    bench.settle();
    assert_eq!(bench.dist(1, 0x304, None), 0);
    bench.end(2, 40);
    // Ended while it is only pending: not concerned.
    bench.cpus[0].raise(40);
    bench.run(2);
    bench.dist(0, 0x384, Some(1 << 8));
    assert_eq!(bench.drain(2), [40]);
    bench.no_faults();
}

#[test]
fn anothers_private_interrupts_are_reached() {
    for sgi in [3, 15] {
        let mut bench = three();
        let frame = (1 << 17) + SGI;
        bench.send(0, sgi << 24 | 2);
        bench.run(1);
        bench.redist(0, frame + 0x180, Some(1 << sgi));
        assert_eq!(bench.acknowledge(1), None);
        assert_eq!(bench.redist(0, frame + 0x200, None), 1 << sgi);
        bench.redist(0, frame + 0x100, Some(1 << sgi));
        assert_eq!(bench.drain(1), [sgi as u32]);
        bench.redist(0, frame + 0x200, Some(1 << sgi));
        assert_eq!(bench.drain(1), [sgi as u32]);
        bench.send(0, sgi << 24 | 2);
        bench.run(1);
        bench.redist(2, frame + 0x280, Some(1 << sgi));
        assert_eq!(bench.drain(1), []);
        assert_eq!(bench.redist(1, SGI + 0x280, None), 0, "nothing strays to the asker");
    }
    let mut bench = three();
    bench.cpus[1].raise(27);
    bench.run(1);
    bench.redist(0, (1 << 17) + SGI + 0x180, Some(1 << 27));
    assert_eq!(bench.acknowledge(1), None);
    bench.redist(0, (1 << 17) + SGI + 0x100, Some(1 << 27));
    assert_eq!(bench.drain(1), [27]);
    bench.no_faults();
}

#[test]
fn a_vcpu_that_goes_off_holds_nothing_back() {
    let mut bench = three();
    for id in 40..46 {
        bench.edge(0, id);
        route(&mut bench, u64::from(id), 1);
        bench.cpus[0].raise(id);
    }
    let first = bench.acknowledge(1).unwrap();
    bench.cpus[1].raise(27);
    bench.run(1);
    bench.park(1);
    bench.park(1);
    assert!(!bench.cpus[1].hw().cpus[1].private[27].active);
    for id in 40..46 {
        route(&mut bench, id, 2);
    }
    bench.settle();
    assert_eq!(bench.drain(2).len(), 5);
    assert_eq!(bench.dist(0, 0x304, None), 1 << (first - 32), "as on hardware, until ICACTIVER");
    bench.dist(0, 0x384, Some(0xffff_ffff));
    bench.cpus[0].raise(first);
    assert_eq!(bench.drain(2), [first]);
    bench.start(1);
    assert_eq!(bench.drain(1), []);
    bench.cpus[1].lower(27);
    bench.enable_private(1);
    assert_eq!(bench.drain(1), []);
    bench.no_faults();
}

#[test]
fn what_comes_for_a_vcpu_that_is_off_waits_for_it() {
    let mut bench = three();
    bench.park(1);
    bench.cpus[0].raise(40);
    bench.run(1);
    bench.start(1);
    assert_eq!(bench.drain(1), [40]);
    // Or goes where it is routed meanwhile.
    bench.park(1);
    bench.cpus[0].raise(40);
    bench.run(1);
    route(&mut bench, 40, 0);
    bench.run(1);
    assert_eq!(bench.drain(0), [40]);
    bench.no_faults();
}

/// Each register of a vCPU's redistributor is as it comes out of reset.
fn assert_reset(bench: &mut Bench, by: usize, frame: u64) {
    for register in [0x100, 0x200, 0x300, 0xc04] {
        assert_eq!(bench.redist(by, (frame << 17) + SGI + register, None), 0, "{register:#x}");
    }
    assert_eq!(bench.redist(by, (frame << 17) + SGI + 0x400, None), 0x1010_1010);
    assert_eq!(bench.redist(by, (frame << 17) + SGI + 0x418, None), 0x1000_0000);
    assert_eq!(bench.redist(by, (frame << 17) + 0x14, None), 6);
}

/// A vCPU sees to all registers of a redistributor.
fn mess(bench: &mut Bench, by: usize, frame: u64) {
    for register in [0x100, 0x200, 0x300, 0x400, 0x418, 0xc04] {
        bench.redist(by, (frame << 17) + SGI + register, Some(u32::MAX.into()));
    }
    bench.redist(by, (frame << 17) + 0x14, Some(0));
    assert_ne!(bench.redist(by, (frame << 17) + SGI + 0x100, None), 0);
}

#[test]
fn a_vcpu_starts_as_new_whoever_changed_what() {
    for gic in [FakeGic::new(5, 4), FakeGic::new(5, 4).with_secure_side()] {
        let mut bench = Bench::new(gic, &[3, 2]);
        // It did so itself: gone when it is off.
        mess(&mut bench, 1, 1);
        bench.park(1);
        assert_reset(&mut bench, 0, 1);
        bench.start(1);
        assert_reset(&mut bench, 0, 1);
        // Another did so while it was off: gone when it starts.
        bench.park(1);
        mess(&mut bench, 0, 1);
        bench.cpus[1].raise(27);
        bench.cpus[1].lower(27);
        for sgi in [3, 15] {
            bench.send(2, sgi << 24 | 0b010);
        }
        bench.start(1);
        bench.enable_private(1);
        bench.settle();
        assert_eq!(bench.drain(1), []);
        bench.park(1);
        // An SGI alone, as a bit or a physical one.
        for sgi in [3, 15] {
            bench.send(2, sgi << 24 | 0b010);
        }
        bench.start(1);
        assert_reset(&mut bench, 0, 1);
        bench.no_faults();
    }
}

#[test]
fn a_vcpu_that_was_off_in_its_former_life_is_as_new() {
    let mut bench = three();
    for cpu in [1, 2] {
        bench.park(cpu);
    }
    for frame in 1..3u64 {
        mess(&mut bench, 0, frame);
    }
    bench.park(0);
    bench.cells[0].scrub(&mut bench.cpus[0], &bench.shared);
    bench.start(0);
    for frame in 1..3u64 {
        assert_reset(&mut bench, 0, frame);
    }
}

#[test]
fn a_new_life_knows_nothing_of_the_former() {
    let mut bench = three();
    (32..48).for_each(|id| bench.cpus[0].raise(id));
    bench.cpus[0].raise(27);
    bench.dist(0, 0x308, Some(0xffff));
    bench.send(0, 4 << 24 | 0b111);
    bench.send(0, 15 << 24 | 0b111);
    bench.settle();
    bench.acknowledge(0);
    for cpu in [0, 2] {
        bench.park(cpu);
    }
    bench.park(1);
    bench.cpus[0].raise(40);
    bench.run(1);
    (32..48).for_each(|id| bench.cpus[0].lower(id));
    bench.cpus[0].lower(27);
    bench.cells[0].scrub(&mut bench.cpus[0], &bench.shared);
    (0..3).for_each(|cpu| bench.start(cpu));
    for register in [0x100, 0x200, 0x300, 0xc00] {
        for at in (0..0x40).step_by(4) {
            assert_eq!(bench.dist(0, register + at, None), 0, "{register:#x}");
        }
    }
    assert_eq!((bench.dist(0, 0x410, None), bench.dist(0, 0x420, None)), (0, 0x1010_1010));
    for frame in 0..3u64 {
        for register in [0x100, 0x200, 0x300, 0xc04] {
            assert_eq!(bench.redist(0, (frame << 17) + SGI + register, None), 0, "{register:#x}");
        }
        for (at, value) in
            [(0x400, 0x1010_1010), (0x404, 0x1010_1010), (0x40c, 0x1010_1010), (0x418, 0x1000_0000)]
        {
            assert_eq!(bench.redist(0, (frame << 17) + SGI + at, None), value, "{at:#x}");
        }
    }
    assert_eq!((bench.dist(0, 0, None), bench.dist(0, 0x6000 + 8 * 40, None)), (0x50, 0));
    bench.enable_all(0);
    (1..3).for_each(|cpu| bench.enable_private(cpu));
    assert!((0..3).all(|cpu| bench.drain(cpu).is_empty()));
    bench.no_faults();
}
