//! Random guests: what is not theirs is never touched, and what is raised is never lost.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::bench::{Bench, cases};
use crate::ports::{GicVersion, Width};
use crate::vgic::fake::{FakeCpu, FakeGic, FakeIrq, FakePorts, FakeV2};
use crate::vgic::lr::{Lr, State};

/// All of the hardware that is not cell 0's (CPUs 0 and 1).
fn foreign<G: FakePorts>(bench: &Bench<G>, kick: usize) -> (Vec<FakeIrq>, Vec<Vec<FakeIrq>>, u32) {
    let hw = bench.cpus[0].cpu().hw();
    let own = |id: usize| (32..48).contains(&id) || (64..80).contains(&id);
    let spis = hw.spis.iter().enumerate().filter(|(id, _)| !own(*id)).map(|(_, irq)| irq.clone()).collect();
    let private =
        |cpu: usize| {
            let part = hw.cpus[cpu].private.iter().enumerate();
            // Kick and maintenance at its own CPUs: all but that they are pending is EL2's.
            part.filter(|(id, _)| cpu >= 2 || [kick, 25].contains(id))
                .map(|(_, irq)| {
                    if cpu >= 2 { irq.clone() } else { FakeIrq { latch: false, line: false, ..irq.clone() } }
                })
                .collect()
        };
    (spis, (0..4).map(private).collect(), hw.ctlr)
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
    let width = prop::sample::select(vec![Width::Word, Width::Word, Width::Byte, Width::Half, Width::Double]);
    let value = prop_oneof![1 => Just(None), 2 => Just(Some(u64::MAX)), 2 => any::<u64>().prop_map(Some)];
    let offset = prop_oneof![3 => 0u64..0x400, 2 => 0u64..0xd00, 1 => 0x6000u64..0x6280, 1 => 0u64..0x1_0000];
    let frame = (0u64..5, any::<bool>()).prop_map(|(n, sgi)| n << 17 | u64::from(sgi) << 16);
    let op = prop_oneof![
        6 => (offset.clone(), value.clone(), width.clone())
            .prop_map(|(at, value, width)| Op::Distributor(at & !3, value, width)),
        6 => (frame, offset, value, width)
            .prop_map(|(frame, at, value, width)| Op::Redistributor(frame | at & !3, value, width)),
        2 => any::<u64>().prop_map(Op::Sgi),
        2 => (0u64..16, any::<u16>()).prop_map(|(sgi, list)| Op::Sgi(sgi << 24 | u64::from(list))),
        2 => prop_oneof![Just(27), 32u32..48, 64u32..80].prop_map(Op::Raise),
        3 => Just(Op::Acknowledge),
        2 => Just(Op::End),
        2 => Just(Op::Run),
    ];
    (0usize..2, op)
}

/// Any accesses of cell 0's two vCPUs, with firmware's SGI 15 or without.
fn run_wild<G: FakePorts>(gic: FakeGic, ops: &[(usize, Op)]) {
    let mut bench = Bench::<G>::over(gic, &[2, 2]);
    bench.enable_all(2);
    bench.enable_private(3);
    let kick = bench.shared.sgi.kick.intid() as usize;
    let before = foreign(&bench, kick);
    let mut running = [vec![], vec![]];
    for (cpu, op) in ops.iter().cloned() {
        match op {
            // The bus lets nothing through that is not aligned.
            Op::Distributor(at, value, width) => {
                let at = at & !(width.bytes() - 1);
                let _ = bench.access(cpu, false, at, width, value);
            }
            // A GICv2 has none, and its CPU interface does not trap.
            Op::Redistributor(..) if G::VERSION == GicVersion::V2 => {}
            Op::Redistributor(at, value, width) => {
                let at = at & !(width.bytes() - 1);
                let _ = bench.access(cpu, true, at, width, value);
            }
            Op::Sgi(value) => bench.send(cpu, value),
            Op::Raise(intid) => bench.cpus[cpu].cpu().raise(intid),
            Op::Acknowledge => running[cpu].extend(bench.acknowledge(cpu)),
            Op::End => {
                if let Some(intid) = running[cpu].pop() {
                    bench.cpus[cpu].cpu().guest_end(intid);
                }
            }
            Op::Run => bench.run(cpu),
        }
    }
    assert_eq!(foreign(&bench, kick), before);
    assert!(bench.foreign.is_empty());
    bench.no_faults();
}

/// Raised and not yet taken: how often, and whether since it was last taken.
#[derive(Default)]
struct Due(BTreeMap<(Option<usize>, u32), (u32, bool)>);

impl Due {
    /// An SPI counts for all CPUs together.
    fn of(&mut self, cpu: usize, id: u32) -> &mut (u32, bool) {
        self.0.entry(((id < 16).then_some(cpu), id)).or_default()
    }

    fn raise(&mut self, cpu: usize, id: u32) {
        let due = self.of(cpu, id);
        *due = (due.0 + 1, true);
    }

    fn take(&mut self, cpu: usize, id: u32) {
        let due = self.of(cpu, id);
        assert!(due.0 > 0, "INTID {id} was taken more often than raised");
        *due = (due.0 - 1, false);
    }
}

/// No SPI is in list registers of two CPUs.
fn spis_are_in_one_place<G: FakePorts>(bench: &Bench<G>) {
    let hw = bench.cpus[0].cpu().hw();
    let lrs = hw.cpus.iter().flat_map(|cpu| &cpu.lrs).map(|lr| Lr::from(*lr));
    let mut spis: Vec<_> =
        lrs.filter(|lr| lr.state() != State::Invalid && lr.vintid() >= 32).map(|lr| lr.vintid()).collect();
    let count = spis.len();
    spis.sort_unstable();
    spis.dedup();
    assert_eq!(spis.len(), count);
}

/// Three vCPUs that raise, send, route, disable and enable across each other.
fn run_busy<G: FakePorts>(gic: FakeGic, ops: &[(usize, u32, u64, u32)]) {
    let mut bench = Bench::<G>::over(gic, &[3]);
    (32..48).for_each(|id| bench.edge(0, id));
    bench.enable_all(0);
    (1..3).for_each(|cpu| bench.enable_private(cpu));
    let mut due = Due::default();
    let mut running = [vec![], vec![], vec![]];
    for &(cpu, what, number, spi) in ops {
        let bit = 1 << (spi - 32);
        match what {
            0 | 1 => {
                bench.cpus[cpu].cpu().raise(spi);
                due.raise(cpu, spi);
            }
            2 => {
                let to = (number % 3) as usize;
                bench.send(cpu, number << 24 | 1 << to);
                due.raise(to, number as u32);
            }
            // ITARGETSR names a set of CPUs, and here one.
            3 if G::VERSION == GicVersion::V2 => {
                let at = 0x800 + u64::from(spi);
                bench.access(cpu, false, at, Width::Byte, Some(1 << (number % 3)));
            }
            3 => {
                let at = 0x6000 + 8 * u64::from(spi);
                bench.access(cpu, false, at, Width::Double, Some(number % 3));
            }
            4 => {
                bench.dist(cpu, 0x184, Some(bit));
            }
            5 => {
                bench.dist(cpu, 0x104, Some(bit));
            }
            6 => {
                if let Some(id) = bench.acknowledge(cpu) {
                    running[cpu].push(id);
                    due.take(cpu, id);
                }
            }
            _ => {
                if let Some(id) = running[cpu].pop() {
                    bench.end(cpu, id);
                }
            }
        }
        spis_are_in_one_place(&bench);
    }
    bench.dist(0, 0x104, Some(0xffff));
    for (cpu, stack) in running.iter().enumerate() {
        stack.iter().rev().for_each(|id| bench.end(cpu, *id));
    }
    for cpu in [0, 1, 2, 0, 1, 2] {
        bench.drain(cpu).iter().for_each(|id| due.take(cpu, *id));
    }
    due.0.retain(|_, (_, due)| *due);
    assert!(due.0.is_empty(), "lost: {:?}", due.0);
    bench.no_faults();
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn a_guest_reaches_nothing_that_is_not_its_own(
        lrs in 1usize..5, secure: bool, ops in prop::collection::vec(op(), 1..200)
    ) {
        let mut gic = FakeGic::new(4, lrs);
        if secure {
            gic = gic.with_secure_side();
            gic.secure = 0x8000;
        }
        run_wild::<FakeCpu>(gic, &ops);
        run_wild::<FakeV2>(FakeGic::new(4, lrs), &ops);
    }

    #[test]
    fn nothing_is_lost_between_vcpus(
        lrs in 1usize..5, ops in prop::collection::vec((0usize..3, 0u32..8, 0u64..16, 32u32..48), 1..150)
    ) {
        run_busy::<FakeCpu>(FakeGic::new(3, lrs), &ops);
        run_busy::<FakeV2>(FakeGic::new(3, lrs), &ops);
    }
}
