//! The device against a model that ticks, and a cell's watchdog on fake CPUs.

use proptest::prelude::*;

use super::device::{Device, Stage};
use super::*;
use crate::cell::tests::{Cpu, rig, settle, system};
use crate::cell::{Life, System};
use crate::fake::Board;
use crate::psci::function;
use crate::run::Turn;

const WRR: u64 = 0;
const WCS: u64 = FRAME;
const WOR: u64 = FRAME + 8;
const WCV: u64 = FRAME + 0x10;
const IIDRS: [u64; 2] = [0xfcc, FRAME + 0xfcc];

/// What the specification says happens with each tick, and nothing cleverer.
#[derive(Debug, Default)]
struct Model {
    now: u64,
    enabled: bool,
    ws0: bool,
    ws1: bool,
    offset: u64,
    compare: u64,
}

impl Model {
    fn check(&mut self) {
        if self.enabled && !self.ws1 && self.now > self.compare {
            if self.ws0 {
                self.ws1 = true;
            } else {
                self.ws0 = true;
                self.compare = self.now.saturating_add(self.offset);
            }
        }
    }

    fn tick(&mut self) {
        self.now += 1;
        self.check();
    }

    fn write(&mut self, at: u64, value: u32) {
        let value = u64::from(value);
        if self.ws1 {
            return;
        }
        match at {
            WRR => {}
            WCS => self.enabled = value & 1 == 1,
            WOR => self.offset = self.offset & !0xffff_ffff | value,
            n if n == WOR + 4 => self.offset = self.offset & 0xffff_ffff | (value & 0xffff) << 32,
            WCV => {
                self.compare = self.compare & !0xffff_ffff | value;
                return self.check();
            }
            n if n == WCV + 4 => {
                self.compare = self.compare & 0xffff_ffff | value << 32;
                return self.check();
            }
            _ => return,
        }
        (self.ws0, self.ws1) = (false, false);
        self.compare = self.now.saturating_add(self.offset);
    }

    fn seen(&self) -> [u32; 5] {
        let status = u32::from(self.enabled) | u32::from(self.ws0) << 1 | u32::from(self.ws1) << 2;
        let halves = |value: u64| [value as u32, (value >> 32) as u32];
        let ([a, b], [c, d]) = (halves(self.offset), halves(self.compare));
        [status, a, b, c, d]
    }
}

fn seen(device: &Device) -> [u32; 5] {
    [WCS, WOR, WOR + 4, WCV, WCV + 4].map(|at| device.read(at))
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Write(u64, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = prop_oneof![4 => 0..60_u32, 1 => Just(u32::MAX), 1 => any::<u32>()];
    let at = prop_oneof![
        3 => Just(WRR), 3 => Just(WCS), 4 => Just(WOR), 1 => Just(WOR + 4), 3 => Just(WCV), 1 => Just(WCV + 4),
        1 => (0..2 * FRAME / 4).prop_map(|n| 4 * n)
    ];
    let step = prop_oneof![
        3 => (0..40_u64).prop_map(Step::Pass),
        3 => (at, value).prop_map(|(at, value)| Step::Write(at, value)),
        2 => Just(Step::Write(WCS, 1)),
        2 => (0..30_u32).prop_map(|ticks| Step::Write(WOR, ticks)),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// However time passes, in one leap or tick by tick, both come out the same, and nothing happens before it is due.
    #[test]
    fn it_is_what_its_specification_says(steps in steps()) {
        let (mut device, mut model) = (Device::default(), Model::default());
        for step in steps {
            match step {
                Step::Pass(ticks) => {
                    let (before, due) = (device.stage(), device.due());
                    (0..ticks).for_each(|_| model.tick());
                    device.advance(model.now);
                    if due.is_none_or(|due| model.now < due) {
                        prop_assert_eq!(before, device.stage());
                    } else {
                        prop_assert!(before == Stage::Expired || before != device.stage());
                    }
                }
                Step::Write(at, value) => {
                    model.write(at, value);
                    device.write(at, value, model.now);
                }
            }
            prop_assert_eq!(seen(&device), model.seen(), "at {}", model.now);
        }
    }
}

#[test]
fn registers_that_are_not_there() {
    let mut device = Device::default();
    for at in (0..2 * FRAME).step_by(4) {
        if ![WCS, WOR, WOR + 4, WCV, WCV + 4].contains(&at) {
            device.write(at, u32::MAX, 7);
            let expected = if IIDRS.contains(&at) { 0x0421_0000 } else { 0 };
            assert_eq!(device.read(at), expected, "{at:#x}");
        }
    }
    assert!(!device.is_enabled());
    device.write(WOR + 4, u32::MAX, 7);
    assert_eq!(device.read(WOR + 4), 0xffff, "48 bits");
}

#[test]
fn the_longest_watch_period_never_ends() {
    let mut device = Device::default();
    let now = u64::MAX - 1000;
    device.write(WOR, u32::MAX, now);
    device.write(WCS, 1, now);
    assert_eq!(device.due(), None);
    device.advance(u64::MAX);
    assert_eq!(device.stage(), Stage::Fed);
}

fn word(cpu: &mut Cpu<'_>, at: u64, write: Option<u32>) -> u32 {
    access(&mut cpu.vcpu, &mut cpu.machine, at, Width::Word, write.map(u64::from)) as u32
}

/// Starts the watchdog of the cell of this CPU; watch periods have so many ticks.
fn watch(cpu: &mut Cpu<'_>, ticks: u32) {
    word(cpu, WOR, Some(ticks));
    word(cpu, WCS, Some(1));
}

/// Time passes up to `count`: timers interrupt, and CPUs take turns.
fn pass(board: &Board, cpus: &mut [Cpu<'_>], count: u64) {
    board.set_count(count);
    for cpu in cpus.iter_mut() {
        if cpu.machine.alarm.is_some_and(|at| at <= count) {
            board.raise(cpu.machine.me, 26);
        }
    }
    cpus.iter_mut().for_each(Cpu::step);
}

fn desk() -> (System, Arc<Board>) {
    let (system, board) = system();
    board.set_count(1000);
    (system, board)
}

fn calls(cpus: &[Cpu<'_>]) -> Vec<usize> {
    (0..cpus.len()).filter(|n| cpus[*n].machine.alarm.is_some()).collect()
}

#[test]
fn one_that_is_fed_does_nothing_but_move_the_timer() {
    let (system, board) = desk();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    assert_eq!(calls(&cpus), []);
    board.set_count(5000);
    watch(&mut cpus[3], 100_000);
    let first = cpus[3].machine.alarm.unwrap();
    assert!((105_000..105_020).contains(&first), "{first}");
    board.set_count(80_000);
    word(&mut cpus[3], WRR, Some(0));
    let second = cpus[3].machine.alarm.unwrap();
    assert!((180_000..180_020).contains(&second), "{second}");
    assert_eq!(word(&mut cpus[3], WCS, None), 1);
    word(&mut cpus[3], WCS, Some(0));
    assert_eq!(calls(&cpus), [], "nobody watches any more");
}

#[test]
fn the_first_signal_is_an_interrupt_and_a_refresh_takes_it_back() {
    let (system, board) = desk();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    watch(&mut cpus[3], 100_000);
    pass(&board, &mut cpus, 200_000);
    assert_eq!(word(&mut cpus[3], WCS, None), 3, "enabled, WS0");
    assert_eq!(system.cells[1].life(), Life::Running);
    let watchdog = system.cells[1].watchdog.as_ref().unwrap();
    assert!(!watchdog.wire.set(true), "the line is up");
    let again = cpus[3].machine.alarm.unwrap();
    assert!(
        (201_000..204_000).contains(&again),
        "the second watch period began when the first ended: {again}"
    );
    word(&mut cpus[3], WRR, Some(1));
    assert!(!watchdog.wire.set(false), "the line is down");
    assert_eq!(word(&mut cpus[3], WCS, None), 1);
    pass(&board, &mut cpus, 290_000);
    assert_eq!((word(&mut cpus[3], WCS, None), system.cells[1].life()), (1, Life::Running));
}

#[test]
fn the_second_signal_ends_the_life_and_the_next_one_is_told() {
    let (system, board) = desk();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    watch(&mut cpus[3], 100_000);
    pass(&board, &mut cpus, 150_000);
    pass(&board, &mut cpus, 350_000);
    assert_ne!(system.cells[1].life(), Life::Running);
    settle(&mut cpus);
    assert_eq!(system.cells[1].life(), Life::Off);
    assert_eq!((cpus[3].turn, calls(&cpus)), (Turn::Park, vec![]));
    assert_eq!(system.cells[0].life(), Life::Running);
    system.restart(&system.cells[1], &mut cpus[2].machine);
    settle(&mut cpus);
    assert_eq!(word(&mut cpus[3], WCS, None), 4, "disabled; WS1 says how the last life ended");
    word(&mut cpus[3], WRR, Some(0));
    assert_eq!(word(&mut cpus[3], WCS, None), 0);
    pass(&board, &mut cpus, 900_000);
    assert_eq!(system.cells[1].life(), Life::Running);
    // A life that ended otherwise leaves no word.
    watch(&mut cpus[3], 100_000);
    system.restart(&system.cells[1], &mut cpus[2].machine);
    settle(&mut cpus);
    assert_eq!((word(&mut cpus[3], WCS, None), calls(&cpus)), (0, vec![]));
}

#[test]
fn both_periods_at_once_end_the_life_as_well() {
    let (system, board) = desk();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    watch(&mut cpus[3], 100);
    board.set_count(900_000);
    // Too late: the access comes before the timer's interrupt, but not in time.
    word(&mut cpus[3], WRR, Some(0));
    assert_eq!(word(&mut cpus[3], WCS, None), 7);
    pass(&board, &mut cpus, 900_100);
    assert_ne!(system.cells[1].life(), Life::Running);
}

#[test]
fn a_cell_whose_vcpus_are_all_off_is_seen() {
    let (system, board) = desk();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    watch(&mut cpus[3], 100_000);
    cpus[3].call(function::CPU_OFF, [0; 3]);
    settle(&mut cpus);
    assert_eq!((cpus[3].turn, system.cells[1].life()), (Turn::Park, Life::Running));
    board.set_count(400_000);
    board.raise(PcpuId(3), 26);
    settle(&mut cpus);
    assert_eq!(system.cells[1].life(), Life::Off);
    // Without a watchdog that runs it is the end at once, as ever.
    cpus[2].call(function::CPU_OFF, [0; 3]);
    settle(&mut cpus);
    assert_eq!(system.cells[0].life(), Life::Off);
}

#[test]
fn a_timer_elsewhere_calls_too_early_and_then_in_time() {
    let (system, board) = desk();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    cpus[2].call(function::CPU_ON_64, [1, 0x1_2000, 0]);
    settle(&mut cpus);
    watch(&mut cpus[2], 100_000);
    let first = cpus[2].machine.alarm.unwrap();
    // vCPU 1, on CPU 0, feeds: the timer of CPU 2 stays.
    board.set_count(50_000);
    word(&mut cpus[0], WRR, Some(0));
    assert_eq!((calls(&cpus), cpus[2].machine.alarm), (vec![2], Some(first)));
    pass(&board, &mut cpus, first);
    assert_eq!(word(&mut cpus[0], WCS, None), 1, "it was fed");
    let second = cpus[2].machine.alarm.unwrap();
    assert!((150_000..150_020).contains(&second), "{second}");
    // It wants to be called earlier than that: the timer of CPU 0 does it, and that of CPU 2 has nothing to say.
    word(&mut cpus[0], WOR, Some(10));
    assert_eq!(calls(&cpus), [0, 2]);
    word(&mut cpus[0], WOR, Some(200_000));
    let third = cpus[0].machine.alarm.unwrap();
    pass(&board, &mut cpus, second);
    assert_eq!((calls(&cpus), word(&mut cpus[0], WCS, None)), (vec![0], 1));
    pass(&board, &mut cpus, third);
    assert_eq!(word(&mut cpus[2], WCS, None), 3);
    // Off from another CPU than the one that is called.
    word(&mut cpus[2], WCS, Some(0));
    pass(&board, &mut cpus, 10_000_000);
    assert_eq!((calls(&cpus), system.cells[0].life()), (vec![], Life::Running));
}

#[test]
fn accesses_of_other_widths_do_nothing() {
    let (system, board) = desk();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    let cpu = &mut cpus[3];
    for width in [Width::Byte, Width::Half, Width::Double] {
        access(&mut cpu.vcpu, &mut cpu.machine, WCS, width, Some(1));
        assert_eq!(access(&mut cpu.vcpu, &mut cpu.machine, IIDRS[0], width, None), 0);
    }
    assert_eq!(word(cpu, WCS, None), 0);
}
