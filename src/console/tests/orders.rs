//! The console of a whole system: orders that people give, and input that reaches a guest.

use super::*;
use crate::cell::tests::{Cpu, system_with};
use crate::cell::{Life, System};
use crate::cpu::{PcpuId, VcpuId};
use crate::fake::Board;
use crate::intid::Spi;
use crate::ports::LentInterface;
use crate::run::Turn;

/// The two cells of [`system_with`] with virtual UARTs.
fn systems() -> (System, std::sync::Arc<Board>, FakeSerial) {
    let serial = FakeSerial::default();
    let (system, board) = system_with(|cells| {
        Some(console(&serial, cells.iter().map(|(name, wire)| (*name, Some(wire.clone())))))
    });
    (system, board, serial)
}

/// The INTID of the console's UART in [`system_with`].
const UART: u32 = 33;

fn press(board: &Board, serial: &FakeSerial, cpu: &mut Cpu<'_>, text: &[u8]) {
    serial.0.lock().unwrap().typed.extend(text);
    board.raise(cpu.vcpu.cpu, UART);
    cpu.step();
}

fn screen(serial: &FakeSerial) -> String {
    String::from_utf8(serial.0.lock().unwrap().sent.clone()).unwrap()
}

#[test]
fn an_order_restarts_a_cell_wherever_it_runs() {
    let (system, board, serial) = systems();
    let mut cpus: Vec<Cpu<'_>> = (0..5).map(|n| Cpu::new(&system, &board, n)).collect();
    let settle = |cpus: &mut [Cpu<'_>]| (0..8).for_each(|_| cpus.iter_mut().for_each(Cpu::step));
    settle(&mut cpus);
    assert_eq!((system.cells[0].lives(), system.cells[1].lives()), (1, 1));
    // The console's interrupt comes to a CPU of the cell itself.
    press(&board, &serial, &mut cpus[2], b"\x1e1\x1er");
    settle(&mut cpus);
    assert_eq!((system.cells[0].lives(), system.cells[0].life()), (2, Life::Running));
    assert_eq!(cpus[2].turn, Turn::Guest);
    // Of another cell.
    press(&board, &serial, &mut cpus[2], b"\x1e2\x1er");
    settle(&mut cpus);
    assert_eq!((system.cells[1].lives(), system.cells[0].lives()), (2, 2));
    // One that is off, asked by a CPU that is parked.
    cpus[3].call(crate::psci::function::SYSTEM_OFF, [0; 3]);
    settle(&mut cpus);
    assert_eq!(system.cells[1].life(), Life::Off);
    press(&board, &serial, &mut cpus[0], b"\x1er");
    settle(&mut cpus);
    press(&board, &serial, &mut cpus[4], b"\x1ei");
    while serial.0.lock().unwrap().calls {
        press(&board, &serial, &mut cpus[1], b"");
    }
    assert_eq!((system.cells[1].lives(), system.cells[1].life()), (3, Life::Running));
    assert!(cpus.iter().all(|cpu| cpu.machine.active.is_empty()), "the interrupt is over");
    let seen = screen(&serial);
    assert!(seen.contains("1 cell0: running, life 2, CPUs 2 0 (off) 1 (off)\r\n"), "{seen}");
    assert!(seen.contains("2 cell1: running, life 3, CPUs 3 4 (off), has the input\r\n"), "{seen}");
}

#[test]
fn input_reaches_the_guest_as_an_interrupt() {
    let (system, board, serial) = systems();
    let mut cpus: Vec<Cpu<'_>> = (0..5).map(|n| Cpu::new(&system, &board, n)).collect();
    (0..4).for_each(|_| cpus.iter_mut().for_each(Cpu::step));
    // The guest of cell 1, on CPU 3, wants input (UARTIMSC).
    let cpu = &mut cpus[3];
    assert_eq!(access(&mut cpu.vcpu, &mut cpu.machine, 0x38, Width::Word, Some(0x50)), 0);
    press(&board, &serial, &mut cpus[2], b"\x1e2k");
    assert!(board.is_pending(PcpuId(3)), "its CPU is told");
    let cpu = &mut cpus[3];
    assert_eq!(system.cells[1].gic.line_concerns(Spi::new(33).unwrap()), Some(VcpuId(0)));
    assert_eq!(access(&mut cpu.vcpu, &mut cpu.machine, 0x40, Width::Word, None), 0x40);
    assert_eq!(access(&mut cpu.vcpu, &mut cpu.machine, 0, Width::Word, None), u64::from(b'k'));
    assert_eq!(access(&mut cpu.vcpu, &mut cpu.machine, 0x40, Width::Word, None), 0);
    // And its answer comes out at once.
    access(&mut cpu.vcpu, &mut cpu.machine, 0, Width::Word, Some(b'!'.into()));
    assert!(screen(&serial).ends_with('!'));
}

#[test]
fn the_last_lines_come_again() {
    let (system, board, serial) = systems();
    let mut cpus: Vec<Cpu<'_>> = (0..5).map(|n| Cpu::new(&system, &board, n)).collect();
    (0..4).for_each(|_| cpus.iter_mut().for_each(Cpu::step));
    let mut lines = crate::log::Lines::new();
    (0..200).for_each(|number| lines.keep(number, 1000, format_args!("line {number}")));
    system.console.as_ref().unwrap().again(&lines);
    (0..60).for_each(|_| press(&board, &serial, &mut cpus[2], b""));
    let seen = screen(&serial);
    let wanted = String::from_utf8(lines.bytes().collect()).unwrap();
    assert!(
        wanted.lines().count() > 100 && wanted.lines().all(|line| seen.contains(&format!("{line}\r\n"))),
        "{seen}"
    );
    // What is typed reaches the same place, where nothing was logged.
    press(&board, &serial, &mut cpus[2], b"\x1el");
    assert!(!screen(&serial).contains("no such order"));
}

#[test]
fn exits_are_shown_when_the_cpus_had_time_to_tell() {
    let (system, board, serial) = systems();
    let mut cpus: Vec<Cpu<'_>> = (0..5).map(|n| Cpu::new(&system, &board, n)).collect();
    let settle = |cpus: &mut [Cpu<'_>]| (0..8).for_each(|_| cpus.iter_mut().for_each(Cpu::step));
    settle(&mut cpus);
    (0..3).for_each(|_| _ = cpus[3].call(crate::psci::function::VERSION, [0; 3]));
    let alarm = |cpus: &mut [Cpu<'_>]| {
        board.set_count(cpus[2].machine.alarm.expect("the CPU that was asked waits for the others"));
        board.raise(PcpuId(2), system.gic.ppis.alarm.intid());
        settle(cpus);
    };
    press(&board, &serial, &mut cpus[2], b"\x1es");
    settle(&mut cpus);
    assert!(!screen(&serial).contains("vCPU"), "not before they had time");
    alarm(&mut cpus);
    (0..9).for_each(|_| press(&board, &serial, &mut cpus[2], b""));
    let seen = screen(&serial);
    assert!(seen.contains("2 cell1 vCPU 0: hvc 3, "), "{seen}");
    assert!(seen.contains("2 cell1 vCPU 1: all 0\r\n") && !seen.contains("ticks"), "{seen}");
    press(&board, &serial, &mut cpus[2], b"\x1et");
    settle(&mut cpus);
    press(&board, &serial, &mut cpus[2], b"\x1es");
    settle(&mut cpus);
    alarm(&mut cpus);
    (0..9).for_each(|_| press(&board, &serial, &mut cpus[2], b""));
    let seen = screen(&serial);
    assert!(seen.contains("ticks at EL2 are counted") && seen.contains(" ticks at EL2\r\n"), "{seen}");
}

#[test]
fn exits_are_shown_where_nobody_hears_uart_and_timer() {
    let (mut system, board, serial) = systems();
    system.deaf = true;
    let mut cpus: Vec<Cpu<'_>> = (0..5).map(|n| Cpu::new(&system, &board, n)).collect();
    let settle = |cpus: &mut [Cpu<'_>]| (0..8).for_each(|_| cpus.iter_mut().for_each(Cpu::step));
    settle(&mut cpus);
    cpus[2].machine.lend();
    serial.0.lock().unwrap().typed.extend(b"\x1es");
    for count in [1 << 40, 1 << 41] {
        assert!(!screen(&serial).contains("vCPU"), "not before the CPUs had time");
        board.set_count(count);
        let cpu = &mut cpus[2];
        cpu.vcpu.wait(&mut cpu.machine);
        settle(&mut cpus);
    }
    assert!(screen(&serial).contains("2 cell1 vCPU 0: "), "{}", screen(&serial));
}
