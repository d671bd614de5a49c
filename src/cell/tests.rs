//! The life of cells, on fake CPUs that take turns as a test says. They are [`crate::fake::rig`]'s.

mod crash;
mod direct;
mod masters;
mod model;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;
use crate::fake::rig::KERNEL;
pub(crate) use crate::fake::rig::{Cpu, HVC, SMC, system, system_with};
use crate::fake::{Board, Fake, cases};
use crate::psci::function;
use proptest::prelude::*;

/// All CPUs of [`system`].
pub(crate) fn rig<'a>(system: &'a System, board: &Arc<Board>) -> Vec<Cpu<'a>> {
    (0..5).map(|n| Cpu::new(system, board, n)).collect()
}

/// Lets every CPU take turns until nothing is left to do but wait.
pub(crate) fn settle(cpus: &mut [Cpu<'_>]) {
    for _ in 0..8 {
        cpus.iter_mut().for_each(Cpu::step);
    }
}

fn running(cpus: &[Cpu<'_>]) -> Vec<bool> {
    cpus.iter().map(Cpu::is_in_guest).collect()
}

fn poke(board: &Board, at: usize, value: u8) {
    board.ram.lock().unwrap()[at] = value;
}

fn peek(board: &Board, at: usize) -> u8 {
    board.ram.lock().unwrap()[at]
}

const ENTRY: u64 = 0x1_2000;

#[test]
fn a_cell_starts_on_the_cpu_of_its_first_vcpu() {
    let (system, board) = system();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    assert_eq!(running(&cpus), [false, false, true, true, false]);
    let (cpu, machine) = (&cpus[3].vcpu, &cpus[3].machine);
    assert_eq!((machine.pc, machine.pstate), (0x4000_1000, 0x3c5));
    assert_eq!((cpu.frame.get(0), cpu.frame.get(1), cpu.frame.get(30)), (0x4000_4000, 0, 0));
    let reset = machine.resets.last().unwrap();
    assert_eq!((reset.affinity.get(), reset.vttbr), (0, 1 << 48 | 0x1000));
    assert_eq!(machine.invalidated.get(), 1);
    let ram = board.ram.lock().unwrap();
    assert_eq!(&ram[0x4_1000..][..KERNEL.len()], KERNEL);
    assert_eq!(&ram[0x4_4000..][..6], b"a tree");
    assert_eq!(system.cells[0].life(), Life::Running);
}

#[test]
fn cpu_on_and_off_as_psci_says() {
    let (system, board) = system();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    let info = |cpus: &mut [Cpu<'_>], n: u64| cpus[2].call(function::AFFINITY_INFO_64, [n, 0, 0]);
    assert_eq!((info(&mut cpus, 0), info(&mut cpus, 1)), (0, 1));
    // No such vCPU; not in RAM; then right, twice.
    assert_eq!(cpus[2].call(function::CPU_ON_64, [3, ENTRY, 0]), -2);
    assert_eq!(cpus[2].call(function::CPU_ON_64, [1, 0x4_0000, 0]), -9);
    assert_eq!(cpus[2].call(function::CPU_ON_64, [1, ENTRY, 0xc0ffee]), 0);
    assert_eq!(cpus[2].call(function::CPU_ON_64, [1, ENTRY, 0]), -5);
    assert_eq!(info(&mut cpus, 1), 2);
    settle(&mut cpus);
    assert_eq!(running(&cpus), [true, false, true, true, false], "vCPU 1 is CPU 0");
    assert_eq!((cpus[0].machine.pc, cpus[0].vcpu.frame.get(0)), (ENTRY, 0xc0ffee));
    assert_eq!(cpus[0].machine.resets.last().unwrap().affinity.get(), 1);
    assert_eq!(info(&mut cpus, 1), 0);
    assert_eq!(cpus[2].call(function::CPU_ON_64, [1, ENTRY, 0]), -4);
    cpus[0].call(function::CPU_OFF, [0; 3]);
    assert!(!cpus[0].is_in_guest());
    assert_eq!(info(&mut cpus, 1), 1);
    assert_eq!(cpus[2].call(function::CPU_ON_64, [1, ENTRY, 0]), 0);
    settle(&mut cpus);
    assert!(cpus[0].is_in_guest());
    // All vCPUs have the same virtual counter.
    let offsets: Vec<u64> = [0, 2].map(|n| *cpus[n].machine.starts.last().unwrap()).into();
    assert_eq!(offsets[0], offsets[1]);
}

#[test]
fn a_reset_is_a_new_life_and_touches_nobody_else() {
    let (system, board) = system();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    assert_eq!(cpus[3].call(function::CPU_ON_64, [1, 0x4000_2000, 0]), 0);
    settle(&mut cpus);
    let first = *cpus[3].machine.starts.last().unwrap();
    let other = cpus[2].machine.resets.len();
    poke(&board, 0x4_8000, 0x5e);
    poke(&board, 0x4_1000, 0);
    cpus[4].call(function::SYSTEM_RESET, [0; 3]);
    assert!(matches!(system.cells[1].life(), Life::Stopping { .. }), "CPU 3 has not heard of it");
    settle(&mut cpus);
    assert_eq!(running(&cpus), [false, false, true, true, false]);
    assert_eq!((cpus[3].machine.pc, cpus[3].vcpu.frame.get(0)), (0x4000_1000, 0x4000_4000));
    assert!(*cpus[3].machine.starts.last().unwrap() > first);
    assert_eq!((peek(&board, 0x4_8000), peek(&board, 0x4_1000)), (0, KERNEL[0]));
    assert_eq!(cpus[3].call(function::AFFINITY_INFO, [1, 0, 0]), 1);
    assert_eq!(cpus[2].machine.resets.len(), other);
}

#[test]
fn root_keeps_its_memory_in_its_first_life_alone() {
    let (system, board) = system();
    let mut cpus = rig(&system, &board);
    poke(&board, 0x2_0000, 0x5e);
    settle(&mut cpus);
    assert_eq!(peek(&board, 0x2_0000), 0x5e);
    cpus[2].call(function::SYSTEM_RESET2, [0; 3]);
    settle(&mut cpus);
    assert_eq!(peek(&board, 0x2_0000), 0);
    assert!(cpus[2].is_in_guest());
}

#[test]
fn the_machine_goes_off_with_the_last_cell() {
    let (system, board) = system();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    cpus[2].call(function::SYSTEM_OFF, [0; 3]);
    settle(&mut cpus);
    assert_eq!((system.cells[0].life(), system.cells[1].life()), (Life::Off, Life::Running));
    assert!(!board.off.load(Ordering::SeqCst));
    // The last vCPU that is on goes off: nobody could switch it on again.
    cpus[3].call(function::CPU_OFF, [0; 3]);
    settle(&mut cpus);
    assert_eq!(system.cells[1].life(), Life::Off);
    assert!(board.off.load(Ordering::SeqCst));
    assert_eq!(running(&cpus), [false; 5]);
}

#[test]
fn a_cpu_that_reaches_too_little_cannot_run_its_cell() {
    let (system, _) = system();
    // VTCR_EL2.PS says 40 bits, VMIDs have 8.
    assert!(system.can_run(PcpuId(0), 2, false) && system.can_run(PcpuId(0), 5, true));
    assert!(!system.can_run(PcpuId(0), 1, true));
    assert!(system.can_run(PcpuId(63), 0, false), "nobody's");
}

#[test]
fn a_cpu_that_never_came_costs_its_cell_only() {
    let (system, board) = system();
    let mut boot = Fake::new(&board, 0);
    system.never_came(PcpuId(0), &mut boot);
    system.never_came(PcpuId(3), &mut boot);
    system.never_came(PcpuId(3), &mut boot);
    let mut cpus: Vec<_> = [1, 2, 4].map(|n| Cpu::new(&system, &board, n)).into();
    settle(&mut cpus);
    assert_eq!(running(&cpus), [false, true, false]);
    assert_eq!(system.cells[1].life(), Life::Off);
    assert_eq!(cpus[1].call(function::CPU_ON_64, [1, ENTRY, 0]), -6);
    assert_eq!(cpus[1].call(function::CPU_ON_64, [2, ENTRY, 0]), 0);
    settle(&mut cpus);
    assert_eq!(running(&cpus), [true, true, false]);
    // A reset does not wait for it.
    cpus[1].call(function::SYSTEM_RESET, [0; 3]);
    settle(&mut cpus);
    assert_eq!(running(&cpus), [false, true, false]);
    cpus[1].call(function::SYSTEM_OFF, [0; 3]);
    settle(&mut cpus);
    assert!(board.off.load(Ordering::SeqCst));
}

#[test]
fn a_cpu_missing_from_every_cell_switches_the_machine_off() {
    let (system, board) = system();
    let mut boot = Fake::new(&board, 0);
    system.never_came(PcpuId(2), &mut boot);
    system.never_came(PcpuId(3), &mut boot);
    assert!(board.off.load(Ordering::SeqCst));
}

/// What a guest does next, and which CPU takes the turn.
fn moves() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    prop::collection::vec((0u8..5, 0u8..12, 0u8..3), 1..300)
}

proptest! {
    #![proptest_config(crate::fake::cases(256))]

    /// CPUs take turns in any order, guests switch each other and their cells on and off at any moment. While no CPU of a
    /// cell runs it, nothing of it runs; memory is loaded only then; and in the end everything settles.
    #[test]
    fn lives_never_overlap(moves in moves()) {
        let (system, board) = system();
        let mut cpus = rig(&system, &board);
        for (cpu, what, target) in moves {
            let at = usize::from(cpu);
            let root = cpus[at].vcpu.cell.id == CellId(0);
            let loads = cpus[at].machine.invalidated.get();
            if cpus[at].is_in_guest() {
                let entry = if root { ENTRY } else { 0x4000_2000 };
                let on = cpus[at].vcpu.cell.affinity_info(cpus[at].vcpu.id);
                prop_assert_eq!(on, Affinity::On);
                match what {
                    0 => { cpus[at].call(function::CPU_OFF, [0; 3]); }
                    1 if root => { cpus[at].call(function::SYSTEM_RESET, [0; 3]); }
                    2..6 => { cpus[at].call(function::CPU_ON_64, [target.into(), entry, 0]); }
                    _ => cpus[at].step(),
                }
            } else {
                cpus[at].step();
            }
            if cpus[at].machine.invalidated.get() != loads {
                let cell = cpus[at].vcpu.cell.id;
                let others = cpus.iter().enumerate().filter(|(n, _)| *n != at);
                let others = others.filter(|(_, c)| c.vcpu.cell.id == cell && c.is_in_guest()).count();
                prop_assert_eq!(others, 0, "loaded while it ran");
            }
        }
        settle(&mut cpus);
        for cpu in &cpus {
            match cpu.vcpu.cell.life() {
                Life::Running => {
                    let on = cpu.vcpu.cell.affinity_info(cpu.vcpu.id) == Affinity::On;
                    prop_assert_eq!(cpu.is_in_guest(), on);
                }
                life => {
                    prop_assert_eq!(life, Life::Off);
                    prop_assert!(!cpu.is_in_guest());
                }
            }
            prop_assert!(cpu.vcpu.inbox.is_empty());
        }
        let off = system.cells.iter().all(|cell| cell.life() == Life::Off);
        prop_assert_eq!(board.off.load(Ordering::SeqCst), off);
    }
}

/// The same with real threads: resets from all sides for a while.
#[test]
fn resets_race_with_starts() {
    const LIVES: usize = if cfg!(miri) { 3 } else { 200 };
    let (system, board) = system();
    let lives = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|s| {
        for n in 0..3 {
            let (system, board, lives) = (&system, &board, &lives);
            s.spawn(move || {
                let mut cpu = Cpu::new(system, board, n);
                let mut x = u64::from(n) + 1;
                while system.cells[0].life() != Life::Off {
                    if !cpu.is_in_guest() {
                        let loads = cpu.machine.invalidated.get();
                        cpu.step();
                        lives.fetch_add(cpu.machine.invalidated.get() - loads, Ordering::SeqCst);
                        std::thread::yield_now();
                        continue;
                    }
                    x = x.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                    let target = x >> 33 & 3;
                    match x >> 40 & 15 {
                        0 if lives.load(Ordering::SeqCst) >= LIVES => cpu.call(function::SYSTEM_OFF, [0; 3]),
                        0 => cpu.call(function::SYSTEM_RESET, [0; 3]),
                        1 => cpu.call(function::CPU_OFF, [0; 3]),
                        _ => cpu.call(function::CPU_ON_64, [target, ENTRY, 0]),
                    };
                }
            });
        }
    });
    assert!(!board.off.load(Ordering::SeqCst), "the other cell never started, but is not off");
}
