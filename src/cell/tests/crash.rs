//! Crashes: what follows them, one at a time and all together.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::crash::{Cause, Limit, OnCrash, Record};
use crate::ports::Exit;

/// EL2's timer in [`system`].
const ALARM: u32 = 26;
const HZ: u64 = 62_500_000;

fn with(on_crash: OnCrash) -> (System, Arc<Board>) {
    let (mut system, board) = system();
    system.cells[1].on_crash = on_crash;
    (system, board)
}

/// Its guest dies.
fn crash(cpu: &mut Cpu<'_>) {
    assert!(cpu.is_in_guest());
    // Uncontainable: DFSC 0x11, AET 0.
    (cpu.machine.exit, cpu.machine.esr) = (Exit::SError, 0xbe00_0011);
    cpu.step();
    cpu.machine.exit = Exit::Irq;
}

/// Time passes to this count; timers that were set go off.
fn at(cpus: &[Cpu<'_>], board: &Board, count: u64) {
    board.set_count(count);
    for cpu in cpus.iter().filter(|cpu| cpu.machine.alarm.is_some_and(|at| at <= count)) {
        board.raise(cpu.vcpu.cpu, ALARM);
    }
}

fn crashes(system: &System) -> u32 {
    system.cells[1].deaths().map_or(0, |deaths| deaths.count())
}

#[test]
fn a_crashed_cell_stays_off_unless_it_says_otherwise() {
    let (system, board) = system();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    cpus[3].machine.pc = 0x4000_5678;
    crash(&mut cpus[3]);
    settle(&mut cpus);
    assert_eq!((system.cells[1].life(), system.cells[0].life()), (Life::Off, Life::Running));
    assert_eq!(cpus[3].machine.pc, 0, "nothing is left on the CPU");
    let deaths = system.cells[1].deaths().unwrap();
    let last = deaths.last().unwrap();
    assert_eq!((last.cause, last.life, last.pc), (Cause::SError, 1, 0x4000_5678));
    assert!(system.cells[0].deaths().is_none());
}

#[test]
fn a_crash_loop_waits_longer_each_time_and_ends_at_its_limit() {
    let (system, board) = with(OnCrash::Restart(Limit { restarts: 4, seconds: 60 }));
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    let neighbour = (cpus[2].machine.resets.len(), cpus[2].machine.invalidated.get());
    for (restart, wait) in [0, HZ / 10, HZ / 5, HZ * 2 / 5].into_iter().enumerate() {
        let now = 10 * HZ * restart as u64 + 1;
        board.set_count(now);
        crash(&mut cpus[3]);
        settle(&mut cpus);
        if wait != 0 {
            assert!(!cpus[3].is_in_guest());
            let Life::Starting { first: false, at: due } = system.cells[1].life() else { panic!() };
            assert!((now + wait..now + wait + 20).contains(&due), "{due} is not {wait} after {now}");
            assert_eq!(cpus[3].machine.alarm, Some(due));
            // Whatever wakes it before does not start it.
            board.raise(PcpuId(3), 15);
            at(&cpus, &board, due - 50);
            settle(&mut cpus);
            assert!(!cpus[3].is_in_guest());
            at(&cpus, &board, due);
            settle(&mut cpus);
        }
        assert!(cpus[3].is_in_guest());
        assert_eq!((crashes(&system), system.cells[1].lives()), (restart as u32 + 1, restart as u32 + 2));
        assert_eq!(cpus[3].machine.alarm, None);
    }
    crash(&mut cpus[3]);
    settle(&mut cpus);
    assert_eq!(system.cells[1].life(), Life::Off);
    assert_eq!((cpus[2].machine.resets.len(), cpus[2].machine.invalidated.get()), neighbour);
    // Somebody looks at it and starts it: it has all its restarts again.
    system.restart(&system.cells[1], &mut cpus[2].machine);
    settle(&mut cpus);
    crash(&mut cpus[3]);
    settle(&mut cpus);
    assert!(cpus[3].is_in_guest(), "at once");
    assert_eq!((crashes(&system), system.cells[1].lives()), (6, 7));
}

#[test]
fn who_waits_still_hears() {
    let (system, board) = with(OnCrash::Restart(Limit { restarts: 9, seconds: 1 }));
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    for _ in 0..2 {
        crash(&mut cpus[3]);
        settle(&mut cpus);
    }
    assert!(!cpus[3].is_in_guest());
    // An order does not wait.
    system.restart(&system.cells[1], &mut cpus[2].machine);
    settle(&mut cpus);
    assert!(cpus[3].is_in_guest());
    assert_eq!(cpus[3].machine.alarm, None);
    for _ in 0..2 {
        crash(&mut cpus[3]);
        settle(&mut cpus);
    }
    assert!(!cpus[3].is_in_guest());
    system.stop(&system.cells[1], Then::Off, None, &mut cpus[2].machine);
    settle(&mut cpus);
    assert_eq!(system.cells[1].life(), Life::Off);
    // The timer that is still set starts nothing.
    at(&cpus, &board, 100 * HZ);
    settle(&mut cpus);
    assert_eq!((system.cells[1].life(), cpus[3].machine.alarm), (Life::Off, None));
}

#[test]
fn resets_and_orders_are_no_crashes() {
    let (system, board) = with(OnCrash::Restart(Limit { restarts: 1, seconds: 1 }));
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    for _ in 0..9 {
        cpus[3].call(function::SYSTEM_RESET, [0; 3]);
        settle(&mut cpus);
        system.restart(&system.cells[1], &mut cpus[2].machine);
        settle(&mut cpus);
        assert!(cpus[3].is_in_guest());
    }
    assert_eq!((crashes(&system), system.cells[1].lives()), (0, 19));
    crash(&mut cpus[3]);
    settle(&mut cpus);
    assert!(cpus[3].is_in_guest());
    cpus[3].call(function::SYSTEM_OFF, [0; 3]);
    settle(&mut cpus);
    assert_eq!((crashes(&system), system.cells[1].life()), (1, Life::Off));
}

#[test]
fn of_two_causes_at_one_time_one_counts() {
    let (system, board) = with(OnCrash::Restart(Limit::default()));
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    assert_eq!(cpus[3].call(function::CPU_ON_64, [1, 0x4000_2000, 0]), 0);
    settle(&mut cpus);
    // Both CPUs, and a third that notices something, before any of them has given up.
    let record = Record::of(&cpus[4].vcpu, &cpus[4].machine, Cause::Watchdog);
    crash(&mut cpus[3]);
    crash(&mut cpus[4]);
    system.crashed(&system.cells[1], record, None, &mut cpus[2].machine);
    assert_eq!(crashes(&system), 1);
    settle(&mut cpus);
    assert_eq!((system.cells[1].life(), system.cells[1].lives()), (Life::Running, 2));
    // A reset was first: the crash of another vCPU is none any more.
    assert_eq!(cpus[3].call(function::CPU_ON_64, [1, 0x4000_2000, 0]), 0);
    settle(&mut cpus);
    cpus[4].call(function::SYSTEM_RESET, [0; 3]);
    crash(&mut cpus[3]);
    settle(&mut cpus);
    assert_eq!((crashes(&system), system.cells[1].lives()), (1, 3));
}

#[test]
fn a_crash_can_halt_the_machine() {
    let (mut system, board) = with(OnCrash::HaltMachine);
    system.cells[0].on_crash = OnCrash::Restart(Limit::default());
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    // The neighbour is about to restart.
    assert_eq!(cpus[2].call(function::CPU_ON_64, [1, ENTRY, 0]), 0);
    settle(&mut cpus);
    crash(&mut cpus[0]);
    assert!(matches!(system.cells[0].life(), Life::Stopping { then: Then::Restart { .. }, .. }));
    crash(&mut cpus[3]);
    settle(&mut cpus);
    assert_eq!((system.cells[0].life(), system.cells[1].life()), (Life::Off, Life::Off));
    assert!(board.off.load(Ordering::SeqCst));
    // Should firmware have refused: nothing lives again.
    for cell in &system.cells {
        system.restart(cell, &mut cpus[0].machine);
    }
    settle(&mut cpus);
    assert_eq!(running(&cpus), [false; 5]);
}

proptest! {
    #![proptest_config(crate::fake::cases(256))]

    /// Against the definition: each life ends by one wish; a life that crashed is followed by the next, not too early and not too
    /// often. Nothing waits for ever, and the neighbour does not notice.
    #[test]
    fn crashes_are_followed_as_the_description_says(
        restarts in 1u32..5,
        moves in prop::collection::vec((0u8..10, 0u64..HZ / 2), 1..200),
    ) {
        let limit = Limit { restarts, seconds: 1 };
        let (system, board) = with(OnCrash::Restart(limit));
        let mut cpus = rig(&system, &board);
        settle(&mut cpus);
        let neighbour = cpus[2].machine.resets.len();
        let (mut now, mut lives, mut died) = (0, 1, 0);
        // How long the cell ran since each restart of the window.
        let mut runs: Vec<u64> = Vec::new();
        for (what, pause) in moves {
            let cell = &system.cells[1];
            let ran = cell.life() == Life::Running;
            let due = cpus[3].machine.alarm;
            // The fake counter counts looks at it; these do not matter beside the pauses.
            now += HZ / 100 + pause;
            at(&cpus, &board, now);
            settle(&mut cpus);
            if ran && let Some(last) = runs.last_mut() {
                *last += HZ / 100 + pause;
            }
            if !ran && cell.life() == Life::Running {
                *runs.last_mut().unwrap() += now - due.unwrap();
                lives += 1;
            }
            match (cell.life(), what) {
                (Life::Running, 0..5) => {
                    crash(&mut cpus[3]);
                    died += 1;
                    if runs.iter().sum::<u64>() > HZ {
                        runs.clear();
                    }
                    settle(&mut cpus);
                    let waits = cpus[3].machine.alarm.is_some();
                    if runs.len() < restarts as usize {
                        prop_assert_eq!(waits, !runs.is_empty());
                        runs.push(0);
                        lives += u32::from(!waits);
                    } else {
                        prop_assert_eq!(cell.life(), Life::Off);
                    }
                }
                (Life::Running, 5) => {
                    cpus[3].call(function::SYSTEM_RESET, [0; 3]);
                    lives += 1;
                }
                (Life::Off, 6..9) => {
                    system.restart(cell, &mut cpus[2].machine);
                    runs.clear();
                    lives += 1;
                }
                (Life::Starting { .. }, 6) => {
                    system.restart(cell, &mut cpus[2].machine);
                    runs.clear();
                    lives += 1;
                }
                _ => {}
            }
            settle(&mut cpus);
            prop_assert_eq!((cell.lives(), crashes(&system)), (lives, died));
        }
        at(&cpus, &board, now + 100 * HZ);
        settle(&mut cpus);
        prop_assert!(matches!(system.cells[1].life(), Life::Running | Life::Off));
        prop_assert_eq!(cpus[2].machine.resets.len(), neighbour);
        prop_assert!(cpus[2].is_in_guest());
    }
}
