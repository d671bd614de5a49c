//! Several vCPUs, several cells: what reaches whom.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::bench::{Bench, SGI, cases};
use crate::ports::Width;
use crate::vgic::fake::{FakeGic, FakeIrq};
use crate::vgic::*;

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
    bench.ctx(0, |ctx| gicd_access(ctx, 0x6000 + 8 * spi, Width::Double, Some(to))).unwrap();
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
    assert!(bench.cpus[1].hw().cpus[1].private[27].active, "until its next start");
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
    for register in [0x100, 0x200, 0x300, 0x400, 0xc00] {
        for at in (0..0x40).step_by(4) {
            assert_eq!(bench.dist(0, register + at, None), 0, "{register:#x}");
        }
    }
    for frame in 0..3u64 {
        for register in [0x100, 0x200, 0x300, 0x400, 0x404, 0x408, 0x40c, 0x418, 0xc04] {
            assert_eq!(bench.redist(0, (frame << 17) + SGI + register, None), 0, "{register:#x}");
        }
    }
    assert_eq!((bench.dist(0, 0, None), bench.dist(0, 0x6000 + 8 * 40, None)), (0x50, 0));
    bench.enable_all(0);
    (1..3).for_each(|cpu| bench.enable_private(cpu));
    assert!((0..3).all(|cpu| bench.drain(cpu).is_empty()));
    bench.no_faults();
}

/// All of the hardware that is not cell 0's (CPUs 0 and 1).
fn foreign(bench: &Bench) -> (Vec<FakeIrq>, Vec<Vec<FakeIrq>>, u32) {
    let hw = bench.cpus[0].hw();
    let own = |id: usize| (32..48).contains(&id) || (64..80).contains(&id);
    let spis = hw.spis.iter().enumerate().filter(|(id, _)| !own(*id)).map(|(_, irq)| irq.clone()).collect();
    let private =
        |cpu: usize| {
            let part = hw.cpus[cpu].private.iter().enumerate();
            // Kick and maintenance at its own CPUs: all but that they are pending is EL2's.
            part.filter(|(id, _)| cpu >= 2 || [15, 25].contains(id))
                .map(|(_, irq)| {
                    if cpu >= 2 { irq.clone() } else { FakeIrq { latch: false, line: false, ..irq.clone() } }
                })
                .collect()
        };
    (spis, (0..4).map(private).collect(), hw.ctlr)
}

fn raise(raised: &mut BTreeMap<(usize, u32), (u32, bool)>, place: (usize, u32)) {
    let due = raised.entry(place).or_default();
    *due = (due.0 + 1, true);
}

#[derive(Clone, Debug)]
enum Op {
    Distributor(u64, Option<u64>, Width),
    Redistributor(u64, Option<u64>, Width),
    Sgi(u64),
    Raise(u32),
    Acknowledge,
    End,
    Run,
}

fn op() -> impl Strategy<Value = (usize, Op)> {
    let width = prop_oneof![4 => Just(Width::Word), 1 => Just(Width::Byte), 1 => Just(Width::Half), 1 => Just(Width::Double)];
    let value = prop_oneof![1 => Just(None), 2 => Just(Some(u64::MAX)), 2 => any::<u64>().prop_map(Some)];
    let offset = prop_oneof![3 => 0u64..0x400, 2 => 0u64..0xd00, 1 => 0x6000u64..0x6280, 1 => 0u64..0x1_0000];
    let frame = (0u64..5, any::<bool>()).prop_map(|(n, sgi)| n << 17 | u64::from(sgi) << 16);
    let op = prop_oneof![
        6 => (offset.clone(), value.clone(), width.clone()).prop_map(|(at, value, width)| Op::Distributor(at & !3, value, width)),
        6 => (frame, offset, value, width).prop_map(|(frame, at, value, width)| Op::Redistributor(frame | at & !3, value, width)),
        2 => any::<u64>().prop_map(Op::Sgi),
        2 => (0u64..16, any::<u16>()).prop_map(|(sgi, list)| Op::Sgi(sgi << 24 | u64::from(list))),
        2 => prop_oneof![Just(27), 32u32..48, 64u32..80].prop_map(Op::Raise),
        3 => Just(Op::Acknowledge),
        2 => Just(Op::End),
        2 => Just(Op::Run),
    ];
    (0usize..2, op)
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn a_guest_reaches_nothing_that_is_not_its_own(lrs in 1usize..5, secure: bool, ops in prop::collection::vec(op(), 1..200)) {
        let mut gic = FakeGic::new(4, lrs);
        if secure {
            gic = gic.with_secure_side();
            gic.secure = 0x8000;
        }
        let mut bench = Bench::new(gic, &[2, 2]);
        bench.enable_all(2);
        bench.enable_private(3);
        let kick = bench.shared.sgi.kick.intid() as usize;
        let before = foreign(&bench);
        let mut running = [vec![], vec![]];
        for (cpu, op) in ops {
            match op {
                Op::Distributor(at, value, width) => drop(bench.ctx(cpu, |ctx| gicd_access(ctx, at, width, value))),
                Op::Redistributor(at, value, width) => drop(bench.ctx(cpu, |ctx| gicr_access(ctx, at, width, value))),
                Op::Sgi(value) => bench.send(cpu, value),
                Op::Raise(intid) => bench.cpus[cpu].raise(intid),
                Op::Acknowledge => running[cpu].extend(bench.acknowledge(cpu)),
                Op::End => if let Some(intid) = running[cpu].pop() { bench.cpus[cpu].guest_end(intid) },
                Op::Run => bench.run(cpu),
            }
        }
        prop_assert_eq!(foreign(&bench), before);
        let hw = bench.cpus[0].hw();
        for cpu in 0..4 {
            let (own, maintenance) = (&hw.cpus[cpu].private[kick], &hw.cpus[cpu].private[25]);
            prop_assert!(own.enabled && maintenance.enabled && own.priority == 0x40 && maintenance.priority == 0x40);
        }
        let faults: Vec<_> = hw.faults.iter().filter(|fault| fault.contains("two list registers")).collect();
        prop_assert!(faults.is_empty(), "{:?}", faults);
    }

    #[test]
    fn nothing_is_lost_between_vcpus(lrs in 1usize..5, ops in prop::collection::vec((0usize..3, 0u32..8, 0u64..16, 32u32..48), 1..150)) {
        let mut bench = Bench::new(FakeGic::new(3, lrs), &[3]);
        (32..48).for_each(|id| bench.edge(0, id));
        bench.enable_all(0);
        (1..3).for_each(|cpu| bench.enable_private(cpu));
        // Of each INTID and CPU: how often it was raised and not yet taken, and whether since it was last taken. An SPI
        // counts for all CPUs.
        let mut raised = BTreeMap::<(usize, u32), (u32, bool)>::new();
        let place = |cpu: usize, id: u32| (if id < 16 { cpu } else { 9 }, id);
        let mut running = [vec![], vec![], vec![]];
        for (cpu, what, sgi, spi) in ops {
            let bit = 1 << (spi - 32);
            match what {
                0 | 1 => {
                    bench.cpus[cpu].raise(spi);
                    raise(&mut raised, place(0, spi));
                }
                2 => {
                    let to = (sgi % 3) as usize;
                    bench.send(cpu, sgi << 24 | 1 << to);
                    raise(&mut raised, place(to, sgi as u32));
                }
                3 => { bench.ctx(cpu, |ctx| gicd_access(ctx, 0x6000 + 8 * u64::from(spi), Width::Double, Some(sgi % 3))).unwrap(); }
                4 => { bench.dist(cpu, 0x184, Some(bit)); }
                5 => { bench.dist(cpu, 0x104, Some(bit)); }
                6 => if let Some(id) = bench.acknowledge(cpu) {
                    running[cpu].push(id);
                    let due = raised.entry(place(cpu, id)).or_default();
                    prop_assert!(due.0 > 0, "INTID {} was taken more often than raised", id);
                    *due = (due.0 - 1, false);
                },
                _ => if let Some(id) = running[cpu].pop() { bench.end(cpu, id) },
            }
            let hw = bench.cpus[0].hw();
            for (n, part) in hw.cpus.iter().enumerate() {
                let ids = part.lrs.iter().map(|lr| crate::vgic::lr::Lr::from(*lr));
                for lr in ids.filter(|lr| lr.state() != crate::vgic::lr::State::Invalid && lr.vintid() >= 32) {
                    let elsewhere = hw.cpus[..n].iter().flat_map(|cpu| &cpu.lrs).map(|lr| crate::vgic::lr::Lr::from(*lr));
                    prop_assert!(elsewhere.filter(|other| other.state() != crate::vgic::lr::State::Invalid).all(|other| other.vintid() != lr.vintid()));
                }
            }
        }
        bench.dist(0, 0x104, Some(0xffff));
        for cpu in 0..3 {
            while let Some(id) = running[cpu].pop() {
                bench.end(cpu, id);
            }
        }
        for _ in 0..2 {
            for cpu in 0..3 {
                for id in bench.drain(cpu) {
                    raised.remove(&place(cpu, id));
                }
            }
        }
        raised.retain(|_, (_, due)| *due);
        prop_assert!(raised.is_empty(), "lost: {:?}", raised);
        bench.no_faults();
    }
}
