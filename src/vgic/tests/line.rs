//! The virtual SPI: to its guest it is like any other.

use proptest::prelude::*;

use super::bench::{Bench, LINE, LINES, cases};
use crate::ports::Width;
use crate::vgic::fake::FakeGic;
use crate::vgic::lr::{Lr, State};

const WORD: u64 = 4 * (LINE as u64 / 32);
const BIT: u64 = 1 << (LINE % 32);

fn bench(vcpus: usize) -> Bench {
    let mut bench = Bench::new(FakeGic::new(vcpus + 1, 4), &[vcpus, 1]);
    bench.dist(0, 0, Some(2));
    enable(&mut bench, 0, true);
    bench.access(0, false, 0x400 + u64::from(LINE), Width::Byte, Some(0xa0));
    bench.settle();
    bench
}

fn bits(bench: &mut Bench, cpu: usize, register: u64) -> bool {
    bench.dist(cpu, register + WORD, None) & BIT != 0
}

fn set(bench: &mut Bench, cpu: usize, register: u64) {
    bench.dist(cpu, register + WORD, Some(BIT));
}

fn enable(bench: &mut Bench, cpu: usize, on: bool) {
    set(bench, cpu, if on { 0x100 } else { 0x180 });
}

fn route(bench: &mut Bench, cpu: usize, to: usize) {
    bench.access(cpu, false, 0x6000 + 8 * u64::from(LINE), Width::Double, Some(to as u64));
}

/// Which CPUs have it in a list register or in their queue.
fn holders(bench: &Bench) -> Vec<usize> {
    let holds = |cpu: &usize| {
        let lrs = bench.cpus[*cpu].hw().cpus[*cpu].lrs.clone();
        let lrs = lrs.into_iter().map(Lr::from).filter(|lr| lr.state() != State::Invalid);
        let held = lrs.filter(|lr| lr.vintid() == LINE).count();
        let queued = bench.vgics[*cpu].queue.word(LINE / 32) & BIT as u32 != 0;
        assert!(held + usize::from(queued) <= 1, "CPU {cpu} has it twice");
        held == 1 || queued
    };
    (0..bench.cpus.len()).filter(holds).collect()
}

#[test]
fn a_level_comes_again_until_it_falls() {
    let mut bench = bench(1);
    bench.line(0, true);
    for _ in 0..3 {
        assert_eq!(bench.acknowledge(0), Some(LINE));
        assert!(bits(&mut bench, 0, 0x200) && bits(&mut bench, 0, 0x300), "active, and the line is up");
        assert_eq!(bench.acknowledge(0), None, "it is active");
        bench.end(0, LINE);
    }
    assert_eq!(bench.acknowledge(0), Some(LINE));
    bench.line(0, false);
    assert!(!bits(&mut bench, 0, 0x200) && bits(&mut bench, 0, 0x300));
    bench.end(0, LINE);
    assert_eq!(bench.acknowledge(0), None);
    assert!(!bits(&mut bench, 0, 0x300));
    bench.no_faults();
}

#[test]
fn a_level_that_falls_before_it_is_taken_is_not_seen() {
    let mut bench = bench(1);
    bench.line(0, true);
    bench.settle();
    assert_eq!(holders(&bench), [0]);
    bench.line(0, false);
    assert_eq!(bench.acknowledge(0), None);
    assert_eq!(holders(&bench), [] as [usize; 0]);
}

#[test]
fn an_edge_is_kept_and_comes_once() {
    let mut bench = bench(1);
    let at = 0xc00 + 4 * (u64::from(LINE) / 16);
    let field = 2 << (LINE % 16 * 2);
    bench.dist(0, at, Some(u64::from(u32::MAX)));
    assert_eq!(bench.dist(0, at, None), field, "the other fields are not the cell's");
    bench.line(0, true);
    bench.line(0, false);
    assert_eq!(bench.acknowledge(0), Some(LINE));
    bench.end(0, LINE);
    assert_eq!(bench.acknowledge(0), None);
    bench.dist(0, at, Some(0));
    assert_eq!(bench.dist(0, at, None), 0);
}

#[test]
fn its_registers_read_as_written() {
    let mut bench = bench(2);
    assert!(bits(&mut bench, 1, 0x80) && bits(&mut bench, 1, 0x100) && bits(&mut bench, 1, 0x180));
    let priority = bench.access(1, false, 0x400 + u64::from(LINE), Width::Byte, None);
    assert_eq!(priority, 0xa0);
    enable(&mut bench, 1, false);
    assert!(!bits(&mut bench, 0, 0x100));
    set(&mut bench, 0, 0x200);
    assert!(bits(&mut bench, 1, 0x200));
    assert_eq!(bench.acknowledge(0), None, "it is disabled");
    set(&mut bench, 1, 0x280);
    assert!(!bits(&mut bench, 0, 0x200));
    enable(&mut bench, 0, true);
    assert_eq!(bench.acknowledge(0), None);
    // GICD_SETSPI_NSR is ISPENDR by another way.
    bench.dist(0, 0x40, Some(LINE.into()));
    assert_eq!(bench.acknowledge(0), Some(LINE));
    bench.end(0, LINE);
    assert_eq!(bench.acknowledge(0), None, "once");
    // Another cell's it is not.
    bench.line(0, true);
    for register in [0x80, 0x100, 0x200, 0x300] {
        assert!(!bits(&mut bench, 2, register));
    }
    enable(&mut bench, 2, false);
    assert_eq!(bench.acknowledge(0), Some(LINE));
}

#[test]
fn it_follows_its_route() {
    let mut bench = bench(2);
    bench.line(0, true);
    bench.settle();
    route(&mut bench, 1, 1);
    let read = bench.access(0, false, 0x6000 + 8 * u64::from(LINE), Width::Double, None);
    assert_eq!(read, 1);
    assert_eq!(bench.acknowledge(0), None);
    assert_eq!(bench.acknowledge(1), Some(LINE));
    // While it is active there, the other does not get it.
    route(&mut bench, 0, 0);
    assert_eq!(bench.acknowledge(0), None);
    assert!(bits(&mut bench, 0, 0x300));
    bench.end(1, LINE);
    bench.settle();
    assert_eq!(bench.acknowledge(0), Some(LINE));
    bench.end(0, LINE);
}

#[test]
fn made_active_it_waits() {
    let mut bench = bench(2);
    set(&mut bench, 1, 0x300);
    bench.line(0, true);
    assert_eq!(bench.acknowledge(0), None);
    assert!(bits(&mut bench, 0, 0x300));
    set(&mut bench, 1, 0x380);
    assert_eq!(bench.acknowledge(0), Some(LINE));
    // Another vCPU ends it.
    set(&mut bench, 1, 0x380);
    bench.settle();
    bench.line(0, false);
    bench.settle();
    assert!(!bits(&mut bench, 1, 0x300));
}

#[test]
fn a_vcpu_that_goes_off_gives_it_back() {
    let mut bench = bench(2);
    bench.line(0, true);
    bench.settle();
    bench.park(0);
    assert_eq!(holders(&bench), [] as [usize; 0]);
    route(&mut bench, 1, 1);
    assert_eq!(bench.acknowledge(1), Some(LINE));
    bench.park(1);
    bench.start(1);
    assert!(bits(&mut bench, 1, 0x300), "what was active stays so");
    set(&mut bench, 1, 0x380);
    assert_eq!(bench.acknowledge(1), Some(LINE));
}

#[test]
fn among_more_interrupts_than_list_registers_it_has_its_place() {
    let mut bench = Bench::new(FakeGic::new(1, 2), &[1]);
    bench.enable_all(0);
    bench.dist(0, 0x400 + u64::from(LINE), Some(0x50));
    for spi in 32..40 {
        bench.cpus[0].raise(spi);
    }
    bench.line(0, true);
    bench.run(0);
    assert_eq!(bench.acknowledge(0), Some(LINE), "it has the highest priority");
    bench.line(0, false);
    bench.end(0, LINE);
    let mut rest = bench.drain(0);
    rest.sort_unstable();
    assert_eq!(rest, (32..40).collect::<Vec<_>>());
    bench.no_faults();
}

#[derive(Clone, Debug)]
enum Op {
    Line(bool),
    Enable(usize, bool),
    Route(usize, usize),
    Pend(usize, bool),
    Acknowledge(usize),
    End(usize),
    Park(usize),
    Start(usize),
    Run(usize),
    Other(u32),
}

fn op() -> impl Strategy<Value = Op> {
    let cpu = || 0usize..2;
    prop_oneof![
        4 => any::<bool>().prop_map(Op::Line),
        2 => (cpu(), any::<bool>()).prop_map(|(cpu, on)| Op::Enable(cpu, on)),
        2 => (cpu(), cpu()).prop_map(|(cpu, to)| Op::Route(cpu, to)),
        1 => (cpu(), any::<bool>()).prop_map(|(cpu, on)| Op::Pend(cpu, on)),
        4 => cpu().prop_map(Op::Acknowledge),
        3 => cpu().prop_map(Op::End),
        1 => cpu().prop_map(Op::Park),
        2 => cpu().prop_map(Op::Start),
        2 => cpu().prop_map(Op::Run),
        1 => (32u32..36).prop_map(Op::Other),
    ]
}

proptest! {
    #![proptest_config(cases(200))]

    /// Whatever happens in whatever order, it is in one place at most; and when all has come to rest it is where it belongs.
    #[test]
    fn it_is_in_one_place_and_never_lost(ops in prop::collection::vec(op(), 1..80)) {
        let mut bench = bench(2);
        let mut on = [true; 2];
        let mut running: [Vec<u32>; 2] = Default::default();
        for op in ops {
            match op {
                Op::Line(level) => bench.line(0, level),
                Op::Enable(cpu, enabled) if on[cpu] => enable(&mut bench, cpu, enabled),
                Op::Route(cpu, to) if on[cpu] => route(&mut bench, cpu, to),
                Op::Pend(cpu, pending) if on[cpu] => set(&mut bench, cpu, if pending { 0x200 } else { 0x280 }),
                Op::Acknowledge(cpu) if on[cpu] => running[cpu].extend(bench.acknowledge(cpu)),
                Op::End(cpu) if on[cpu] => {
                    if let Some(intid) = running[cpu].pop() {
                        bench.end(cpu, intid);
                    }
                }
                Op::Park(cpu) if on[cpu] => {
                    bench.park(cpu);
                    (on[cpu], running[cpu]) = (false, vec![]);
                }
                Op::Start(cpu) if !on[cpu] => {
                    bench.start(cpu);
                    on[cpu] = true;
                }
                Op::Run(cpu) if on[cpu] => bench.run(cpu),
                Op::Other(spi) => bench.cpus[0].raise(spi),
                _ => {}
            }
            prop_assert!(holders(&bench).len() <= 1);
        }
        // To rest: all on, all ended.
        for cpu in 0..2 {
            if !on[cpu] {
                bench.start(cpu);
            }
            while let Some(intid) = running[cpu].pop() {
                bench.end(cpu, intid);
            }
        }
        set(&mut bench, 0, 0x380);
        enable(&mut bench, 0, true);
        for to in 0..2 {
            route(&mut bench, 0, to);
            bench.line(0, true);
            bench.settle();
            bench.settle();
            prop_assert_eq!(bench.acknowledge(to), Some(LINE));
            bench.line(0, false);
            set(&mut bench, 0, 0x280);
            bench.end(to, LINE);
            bench.settle();
            prop_assert_eq!(bench.acknowledge(to), None);
            prop_assert_eq!(holders(&bench), Vec::<usize>::new());
        }
        bench.no_faults();
    }
}

/// Its word and bit in a register with a bit for each INTID.
fn place(intid: u32) -> (u64, u64) {
    (4 * u64::from(intid / 32), 1 << (intid % 32))
}

#[test]
fn several_lines_do_not_mix() {
    let mut bench = bench(2);
    for (device, intid) in (0..).zip(LINES) {
        let ((word, bit), field) = (place(intid), 2 << (intid % 16 * 2));
        assert_eq!(bench.dist(0, 0x100 + word, None) & bit, if device == 0 { bit } else { 0 }, "{intid}");
        bench.dist(0, 0x100 + word, Some(bit));
        let config = 0xc00 + 4 * (u64::from(intid) / 16);
        bench.dist(0, config, Some(field));
        assert_eq!(bench.dist(0, config, None), field);
        bench.dist(0, config, Some(0));
        let priority = 0x80 + 0x10 * device as u64;
        bench.access(0, false, 0x400 + u64::from(intid), Width::Byte, Some(priority));
        bench.line_of(0, device, true);
    }
    // Each has its own route, level and end; the highest priority comes first.
    let router = 0x6000 + 8 * u64::from(LINES[1]);
    bench.access(0, false, router, Width::Double, Some(1));
    bench.settle();
    let both = place(LINES[0]).1 | place(LINES[1]).1;
    assert_eq!(bench.dist(0, 0x200 + place(LINES[0]).0, None), both, "pending, in one word");
    assert_eq!(bench.acknowledge(1), Some(LINES[1]));
    assert_eq!(bench.acknowledge(0), Some(LINES[0]));
    bench.line_of(0, 0, false);
    bench.end(0, LINES[0]);
    assert_eq!(bench.acknowledge(0), Some(LINES[2]));
    bench.line_of(0, 1, false);
    assert_eq!(bench.dist(0, 0x200 + place(LINES[1]).0, None), 0);
    bench.end(1, LINES[1]);
    assert_eq!(bench.acknowledge(1), None);
    bench.end(0, LINES[2]);
    assert_eq!(bench.acknowledge(0), Some(LINES[2]), "its line is still up");
    bench.no_faults();
}
