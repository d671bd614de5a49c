use super::*;
use crate::cell::System;
use crate::cell::tests::{Cpu, SMC, rig, settle, system};
use crate::cpu::{PcpuId, VcpuId};
use crate::fake::Board;
use crate::inbox::Request;
use crate::ports::Exit;
use crate::psci::function;
use crate::smccc::EXITS;

const VISIBLE_COUNT: u64 = VISIBLE as u64;

fn counters(cpu: &Cpu<'_>) -> Vec<(&'static str, u64)> {
    NAMES.into_iter().zip(cpu.vcpu.exits.counts).filter(|(_, count)| *count != 0).collect()
}

/// The counter of this number, as the guest reads it.
fn ask(cpu: &mut Cpu<'_>, number: u64) -> (i64, u64) {
    (cpu.call(EXITS, [number, 0, 0]), cpu.vcpu.frame.get(1))
}

fn trap(cpu: &mut Cpu<'_>, esr: u64, ipa: u64) {
    cpu.machine.sync(esr);
    (cpu.machine.far, cpu.machine.hpfar) = (ipa, ipa >> 8 & !0xf);
    cpu.step();
    cpu.machine.exit = Exit::Irq;
}

fn told(cpu: &Cpu<'_>) -> String {
    cpu.vcpu.cell.told(cpu.vcpu.id).unwrap().to_string()
}

#[test]
fn each_exit_is_counted_once_by_its_reason() {
    let (system, board) = system();
    let mut cpu = Cpu::new(&system, &board, 2);
    cpu.step();
    assert_eq!(counters(&cpu), []);
    cpu.call(function::VERSION, [0; 3]);
    let store = 0x24 << 26 | 1 << 25 | 1 << 24 | 2 << 22 | 1 << 6 | 7;
    let (read_id, sgi) = (0x6230_00a9, 0x18 << 26 | 3 << 20 | 5 << 17 | 12 << 10 | 2 << 5 | 11 << 1);
    for (esr, ipa, name) in [
        (SMC, 0, "smc"),
        (read_id, 0, "sysreg"),
        (sgi ^ 1 << 17, 0, "sysreg"),
        (sgi, 0, "sgi"),
        (store, 0x0800_0100, "gicd"),
        (store, 0x080a_0100, "gicr"),
        (store, 0x0910_0000, "watchdog"),
        (store, 0x0200_0000, "abort"),
        (store & !(1 << 24), 0x0800_0100, "abort"),
        (0x20 << 26 | 5, 0x0200_0000, "abort"),
        (1 << 26 | 1 << 25, 0, "wait"),
        (7 << 26, 0, "other"),
        (0x3f << 26, 0, "other"),
    ] {
        let of = |cpu: &Cpu<'_>| NAMES.iter().position(|n| *n == name).map(|at| cpu.vcpu.exits.counts[at]);
        let all = |cpu: &Cpu<'_>| cpu.vcpu.exits.counts.iter().sum::<u64>();
        let before = (of(&cpu).unwrap(), all(&cpu));
        // PSCI_VERSION, and no SGI to anybody.
        (0..4).for_each(|n| cpu.vcpu.frame.set(n, 0));
        cpu.machine.pc = 0x1_2340;
        trap(&mut cpu, esr, ipa);
        assert_eq!((of(&cpu).unwrap(), all(&cpu)), (before.0 + 1, before.1 + 1), "{name} {esr:#x}");
    }
    cpu.machine.exit = Exit::SError;
    cpu.step();
    cpu.machine.exit = Exit::Fiq;
    cpu.step();
    let other = cpu.vcpu.exits.counts[Reason::Other as usize];
    assert_eq!(other, 4);
}

#[test]
fn interrupts_are_the_cells_or_not() {
    let (system, board) = system();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    let cpu = &mut cpus[2];
    let before = cpu.vcpu.exits.counts;
    let change =
        |cpu: &Cpu<'_>, reason: Reason| cpu.vcpu.exits.counts[reason as usize] - before[reason as usize];
    // The virtual timer's; nobody's; none at all.
    board.raise(PcpuId(2), 27);
    cpu.step();
    assert_eq!((change(cpu, Reason::Interrupt), change(cpu, Reason::Own)), (1, 0));
    board.raise(PcpuId(2), 300);
    cpu.step();
    cpu.step();
    assert_eq!((change(cpu, Reason::Interrupt), change(cpu, Reason::Own)), (1, 2));
}

#[test]
fn a_guest_reads_its_own_and_nothing_of_el2() {
    let (system, board) = system();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    let [.., cpu, other] = &mut cpus[..4] else { panic!() };
    for (n, smcs) in (0..).zip([3, 1, 0]) {
        (0..smcs).for_each(|_| {
            cpu.vcpu.frame.set(0, function::VERSION.into());
            trap(cpu, SMC, 0);
        });
        assert_eq!(ask(cpu, Reason::Smc as u64), (0, [3, 4, 4][n]));
    }
    // The call counts itself.
    let (_, calls) = ask(cpu, Reason::Hvc as u64);
    assert_eq!(ask(cpu, Reason::Hvc as u64), (0, calls + 1));
    assert_eq!(ask(other, Reason::Smc as u64), (0, 0), "another cell's are its own");
    let own = Reason::Own as u64;
    assert_eq!(own, VISIBLE_COUNT);
    for number in [own, own + 1, 1 << 32, u64::MAX] {
        assert_eq!(ask(cpu, number), (-3, number), "x1 is left alone");
    }
    // The 32-bit function of that number is nobody's.
    assert_eq!(cpu.call(EXITS & !(1 << 30), [0; 3]), -1);
}

#[test]
fn each_life_counts_anew_and_each_start_in_it_goes_on() {
    let (system, board) = system();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    assert_eq!(cpus[3].call(function::CPU_ON_64, [1, 0x4000_2000, 0]), 0);
    settle(&mut cpus);
    assert_eq!(ask(&mut cpus[4], 0), (0, 1));
    cpus[4].call(function::CPU_OFF, [0; 3]);
    assert!(told(&cpus[4]).starts_with("hvc 2, "), "what it had is still to be seen: {}", told(&cpus[4]));
    assert_eq!(cpus[3].call(function::CPU_ON_64, [1, 0x4000_2000, 0]), 0);
    settle(&mut cpus);
    assert_eq!(ask(&mut cpus[4], 0), (0, 3));
    cpus[3].call(function::SYSTEM_RESET, [0; 3]);
    settle(&mut cpus);
    assert_eq!(ask(&mut cpus[3], 0), (0, 1));
    assert_eq!(cpus[3].call(function::CPU_ON_64, [1, 0x4000_2000, 0]), 0);
    settle(&mut cpus);
    assert_eq!(ask(&mut cpus[4], 0), (0, 1));
    assert_eq!(ask(&mut cpus[4], Reason::Own as u64).0, -3);
}

/// All CPUs are asked, and those whose guest runs answer when they are kicked out of it.
fn asked(board: &Board, system: &System, cpus: &mut [Cpu<'_>]) {
    system.ask_for_counts(&mut cpus[2].machine);
    assert!(board.is_pending(PcpuId(3)));
    settle(cpus);
}

#[test]
fn counters_are_told_when_somebody_asks() {
    let (system, board) = system();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    cpus[3].call(function::VERSION, [0; 3]);
    assert_eq!(told(&cpus[3]), "all 0", "nobody has asked");
    asked(&board, &system, &mut cpus);
    assert!(told(&cpus[3]).starts_with("hvc 1, "), "{}", told(&cpus[3]));
    assert_eq!(told(&cpus[4]), "all 0", "a vCPU that is off");
    assert!(system.cells[1].told(VcpuId(2)).is_none());
    // A request that comes twice changes nothing.
    let _ = system.inboxes[3].post(PcpuId(3), Request::Counts);
    cpus[3].step();
    assert!(told(&cpus[3]).starts_with("hvc 1, "));
}

#[test]
fn ticks_at_el2_are_counted_while_somebody_wants_them() {
    let (system, board) = system();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    system.switch_timing();
    asked(&board, &system, &mut cpus);
    let before = cpus[3].vcpu.exits.clock.unwrap().ticks;
    // The fake's count grows by one each time that it is read: at least one tick for each exit.
    (0..3).for_each(|_| _ = cpus[3].call(function::VERSION, [0; 3]));
    assert!(cpus[3].vcpu.exits.clock.unwrap().ticks >= before + 3);
    assert_eq!(cpus[4].vcpu.exits.clock.unwrap().ticks, 0, "a CPU that waits for work is not at it");
    asked(&board, &system, &mut cpus);
    assert!(told(&cpus[3]).ends_with(" ticks at EL2"), "{}", told(&cpus[3]));
    // Not any more.
    system.switch_timing();
    asked(&board, &system, &mut cpus);
    cpus[3].step();
    assert!(cpus[3].vcpu.inbox.is_empty() && !cpus[3].vcpu.exits.is_timed());
    assert!(!told(&cpus[3]).contains("ticks"));
}

#[test]
fn a_clock_counts_between_exit_and_entry_alone() {
    let mut exits = Exits::default();
    exits.left(5);
    exits.entering(9);
    assert!(!exits.is_timed());
    exits.time(true, 100);
    exits.entering(130);
    exits.left(1000);
    exits.time(true, 1010);
    exits.entering(1020);
    // A count that goes back is none.
    exits.left(2000);
    exits.entering(1999);
    let told = Told::default();
    exits.tell(&told, 2100);
    assert_eq!(told.to_string(), "all 0; 50 of 2000 ticks at EL2");
    exits.time(false, 3000);
    exits.count(Reason::Sgi);
    exits.tell(&told, 3000);
    assert_eq!(told.to_string(), "sgi 1, all 1");
}
