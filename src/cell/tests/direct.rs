//! Cells that take their interrupts themselves, beside one that does not.

use super::*;
use crate::cpu::PcpuId;
use crate::fake::rig::{MAPPED, system_of};
use crate::ports::{CommonReg, El1, El1Reg, Exit, GicRegisters, Width};
use crate::trap::{self, Resume};
use crate::vcpu::InterruptMode;

const DIRECT: InterruptMode = InterruptMode::Direct { own_wfi: false };
/// ESR_EL2 of an instruction abort by a stage 2 translation fault at level 1.
const FETCH: u64 = 0x8200_0005;
/// ESR_EL2 of WFI.
const WFI: u64 = 0x0600_0000;
/// GICR_ISENABLER0 and GICR_ICENABLER0, in which the fake keeps what was written last.
const ISENABLER: u32 = 0x1_0100;
const ICENABLER: u32 = 0x1_0180;
/// EL2's own private interrupts: kick, maintenance, timer.
const OWN: u64 = 1 << 15 | 1 << 25 | 1 << 26;

/// The CPUs of a virtual root cell and of a direct one (CPUs 3 and 4), both started.
fn started<'a>(system: &'a System, board: &Arc<Board>) -> Vec<Cpu<'a>> {
    let mut cpus = rig(system, board);
    for cpu in &mut cpus {
        cpu.machine.may_recall = true;
    }
    settle(&mut cpus);
    assert!(cpus[3].is_in_guest() && cpus[3].machine.lent);
    cpus
}

fn mapped(system: &System) -> bool {
    match system.cells[1].root_table.as_ref().unwrap().entry(3) {
        MAPPED => true,
        raw if raw == MAPPED & !1 => false,
        other => panic!("{other:#x}"),
    }
}

/// A register of CPU 3's redistributor, as it was written last.
fn written(cpus: &[Cpu<'_>], offset: u32) -> u64 {
    cpus[0].machine.gicr_read(PcpuId(3), offset, Width::Word)
}

#[test]
fn a_guest_has_the_interface_while_it_lives() {
    let (system, board) = system_of([InterruptMode::Virtual, DIRECT], |_| None);
    let mut cpus = started(&system, &board);
    assert_eq!(cpus[3].machine.resets.last().unwrap().interrupts, DIRECT);
    assert!(!cpus[2].machine.lent);
    assert_eq!(written(&cpus, ICENABLER), OWN, "EL2's own do not come to the guest");
    cpus[3].call(function::SYSTEM_OFF, [0; 3]);
    assert!(!cpus[3].machine.lent);
    assert_eq!(written(&cpus, ISENABLER), OWN);
    settle(&mut cpus);
    assert_eq!(system.cells[1].life(), Life::Off);
}

#[test]
fn whoever_stops_a_direct_cell_takes_its_memory_and_the_next_life_has_it_back() {
    let (system, board) = system_of([InterruptMode::Virtual, DIRECT], |_| None);
    let mut cpus = started(&system, &board);
    assert!(mapped(&system));
    let before = cpus[2].machine.invalidated.get();
    system.restart(&system.cells[1], &mut cpus[2].machine);
    assert!(!mapped(&system));
    assert_eq!(cpus[2].machine.invalidated.get(), before + 1, "no TLB has it any more");
    assert_eq!(
        written(&cpus, ISENABLER),
        1 << 15,
        "the kick can be heard by EL2, waiting in the guest's place"
    );
    // The guest faults at its next instruction, which is nothing that it did.
    cpus[3].machine.sync(FETCH);
    let Cpu { vcpu, machine, .. } = &mut cpus[3];
    let resume = trap::handle(vcpu, machine, Exit::Sync, |_: &mut Vcpu<'_>, _: &mut Fake, resume| resume);
    assert_eq!(resume, Resume::Again);
    // So is an access of no known form, and one to where there is nothing.
    for esr in [0x9200_0005, 0x9380_0005, 0x9300_0085] {
        machine.sync(esr);
        let resume = trap::handle(vcpu, machine, Exit::Sync, |_: &mut Vcpu<'_>, _: &mut Fake, resume| resume);
        assert_eq!(resume, Resume::Again, "{esr:#x}");
    }
    machine.exit = Exit::Fiq;
    cpus[3].step();
    assert!(!cpus[3].is_in_guest());
    settle(&mut cpus);
    assert_eq!((system.cells[1].life(), system.cells[1].lives()), (Life::Running, 2));
    assert!(mapped(&system) && cpus[3].machine.lent);
}

#[test]
fn a_fault_that_nobody_caused_is_the_guests_own() {
    let (system, board) = system_of([InterruptMode::Virtual, DIRECT], |_| None);
    let mut cpus = started(&system, &board);
    cpus[3].machine.sync(FETCH);
    cpus[3].step();
    assert_ne!(cpus[3].machine.el1(El1Reg::Esr), 0);
}

#[test]
fn a_cell_that_is_stopped_while_it_starts_does_not_get_its_memory_back() {
    let (system, board) = system_of([InterruptMode::Virtual, DIRECT], |_| None);
    let mut cpus = rig(&system, &board);
    for cpu in &mut cpus {
        cpu.machine.may_recall = true;
    }
    // It is told to stop before its CPU took a turn.
    system.stop(&system.cells[1], Then::Off, None, &mut cpus[2].machine);
    settle(&mut cpus);
    assert_eq!(system.cells[1].life(), Life::Off);
    assert!(!mapped(&system) && !cpus[3].machine.lent);
    system.restart(&system.cells[1], &mut cpus[2].machine);
    settle(&mut cpus);
    assert!(mapped(&system) && cpus[3].machine.lent);
}

#[test]
fn a_cell_that_is_stopped_while_it_is_loaded_does_not_get_its_memory_back() {
    let (system, board) = system_of([InterruptMode::Virtual, DIRECT], |_| None);
    let mut cpus = started(&system, &board);
    system.stop(&system.cells[1], Then::Off, None, &mut cpus[2].machine);
    // Whoever loaded it comes to its end.
    system.cells[1].admit();
    assert!(!mapped(&system));
}

#[test]
fn el2_waits_in_the_guests_place_unless_something_is_asked() {
    let (system, board) = system_of([InterruptMode::Virtual, DIRECT], |_| None);
    let mut cpus = started(&system, &board);
    let waits = cpus[3].machine.waits;
    let at = cpus[3].machine.pc;
    cpus[3].machine.sync(WFI);
    cpus[3].step();
    assert_eq!((cpus[3].machine.waits, cpus[3].machine.pc), (waits + 1, at + 4));
    // WFE, and WFI with a timeout, end at once.
    for other in [WFI | 1, WFI | 2] {
        cpus[3].machine.sync(other);
        cpus[3].step();
    }
    assert_eq!(cpus[3].machine.waits, waits + 1);
    cpus[3].call(function::CPU_SUSPEND, [0; 3]);
    assert_eq!(cpus[3].machine.waits, waits + 2);
}

#[test]
fn el2_does_not_wait_in_the_place_of_a_guest_that_is_to_stop() {
    let (system, board) = system_of([InterruptMode::Virtual, DIRECT], |_| None);
    let mut cpus = started(&system, &board);
    system.stop(&system.cells[1], Then::Off, None, &mut cpus[2].machine);
    let Cpu { vcpu, machine, .. } = &mut cpus[3];
    let waits = machine.waits;
    machine.sync(WFI);
    trap::handle(vcpu, machine, Exit::Sync, |_: &mut Vcpu<'_>, _: &mut Fake, resume| resume);
    assert_eq!(machine.waits, waits);
}

/// ESR_EL2 of an access to S3_0_Cn_Cm_op2 by x2.
fn access(crn: u64, crm: u64, op2: u64, read: bool) -> u64 {
    0x6200_0000 | 3 << 20 | op2 << 17 | crn << 10 | 2 << 5 | crm << 1 | u64::from(read)
}

#[test]
fn common_registers_are_the_physical_ones() {
    let (system, board) = system_of([InterruptMode::Virtual, DIRECT], |_| None);
    let mut cpus = started(&system, &board);
    let cpu = &mut cpus[3];
    let mut go = |esr, value| {
        cpu.vcpu.frame.set(2, value);
        cpu.machine.sync(esr);
        cpu.step();
        (cpu.machine.common, cpu.vcpu.frame.get(2))
    };
    assert_eq!(go(access(4, 6, 0, false), 0x1_00f0).0[CommonReg::Pmr as usize], 0xf0);
    assert_eq!(go(access(4, 6, 0, true), 0).1, 0xf0);
    // ICC_CTLR_EL1: EOImode alone can be written, not CBPR, not PMHE.
    assert_eq!(go(access(12, 12, 4, false), 0x43).0[CommonReg::Ctlr as usize], 2);
    cpu.machine.common[CommonReg::Ctlr as usize] = 0xf_ff43;
    cpu.machine.common[CommonReg::Rpr as usize] = 0xa0;
    cpu.machine.sync(access(12, 12, 4, true));
    cpu.step();
    assert_eq!(cpu.vcpu.frame.get(2), 0x3f02);
    cpu.machine.sync(access(12, 11, 3, true));
    cpu.step();
    assert_eq!(cpu.vcpu.frame.get(2), 0xa0);
    // ICC_DIR_EL1: the cell's own timer, but not the console's SPI, which is EL2's; neither without EOImode.
    cpu.machine.active = vec![27, 60];
    for intid in [60, 27] {
        cpu.vcpu.frame.set(2, intid);
        cpu.machine.sync(access(12, 11, 1, false));
        cpu.step();
    }
    assert_eq!(cpu.machine.active, [60]);
    cpu.machine.common[CommonReg::Ctlr as usize] = 0;
    cpu.machine.active = vec![27];
    cpu.vcpu.frame.set(2, 27);
    cpu.step();
    assert_eq!(cpu.machine.active, [27]);
}

#[test]
fn in_a_virtual_cell_they_do_not_trap_and_do_not_exist() {
    let (system, board) = system_of([InterruptMode::Virtual, DIRECT], |_| None);
    let mut cpus = started(&system, &board);
    cpus[2].machine.sync(access(4, 6, 0, false));
    cpus[2].step();
    assert_ne!(cpus[2].machine.el1(El1Reg::Esr), 0);
}

#[test]
fn the_console_is_where_somebody_hears_it() {
    let (system, board) = system_of([DIRECT, InterruptMode::Virtual], |_| None);
    let _cpus = rig(&system, &board);
    assert_eq!(system.console_cpu(PcpuId(0)).map(|(cpu, _)| cpu), Some(PcpuId(3)));
    assert!(!system.deaf);
    let (system, _) = system_of([DIRECT; 2], |_| None);
    assert!(system.deaf && system.console_cpu(PcpuId(0)).is_none() && system.watcher().is_none());
}

const WCS: u64 = 0x0910_1000;
const WOR: u64 = 0x0910_1008;

/// The guest of CPU 3 stores a word.
fn store(cpu: &mut Cpu<'_>, at: u64, value: u64) {
    cpu.vcpu.frame.set(3, value);
    (cpu.machine.hpfar, cpu.machine.far) = (at >> 12 << 4, at);
    cpu.machine.sync(0x9383_0047);
    cpu.step();
}

/// Lets the CPUs that run no direct guest take turns.
fn others(cpus: &mut [Cpu<'_>]) {
    for _ in 0..4 {
        [0, 1, 2, 4].into_iter().for_each(|at| cpus[at].step());
    }
}

/// EL2's timer of CPU 2 fires at this count.
fn fire(cpus: &mut [Cpu<'_>], board: &Board, at: u64) {
    board.set_count(at);
    board.raise(PcpuId(2), 26);
    others(cpus);
}

#[test]
fn a_cpu_of_another_cell_watches_and_is_left_in_peace() {
    let (system, board) = system_of([InterruptMode::Virtual, DIRECT], |_| None);
    board.hertz.store(16_000, Ordering::Relaxed);
    let mut cpus = started(&system, &board);
    board.set_count(10_000);
    let origin = system.cells[1].count_at(0);
    store(&mut cpus[3], WOR, 5_000);
    store(&mut cpus[3], WCS, 1);
    assert!(board.is_pending(PcpuId(2)) && cpus[3].machine.alarm.is_none());
    others(&mut cpus);
    let first = cpus[2].machine.alarm.expect("it watches");
    assert!(first <= 11_010, "soon after it was told: {first}");
    // What is written soon afterwards tells nobody.
    store(&mut cpus[3], WOR, 700);
    store(&mut cpus[3], WCS, 1);
    assert!(!board.is_pending(PcpuId(2)));
    fire(&mut cpus, &board, first);
    assert_eq!(written_spi(&cpus), 1 << 8, "the first signal is a pending SPI");
    let second = cpus[2].machine.alarm.expect("it goes on");
    assert!(second >= first + 1_000, "not before it had its rest");
    fire(&mut cpus, &board, second);
    assert!(!system.cells[1].life().goes_on(), "nobody fed it");
    assert!(system.cells[1].deaths().is_some() && origin != 0);
    cpus[3].machine.sync(FETCH);
    settle(&mut cpus);
    assert_eq!(system.cells[1].life(), Life::Off);
}

/// What was written to GICD_ISPENDR1 last.
fn written_spi(cpus: &[Cpu<'_>]) -> u64 {
    cpus[0].machine.gicd_read(0x204, Width::Word)
}

#[test]
fn exits_of_a_running_direct_guest_are_never_irqs() {
    let (system, board) = system_of([InterruptMode::Virtual, DIRECT], |_| None);
    let mut cpus = started(&system, &board);
    board.raise(PcpuId(3), 27);
    cpus[3].machine.exit = Exit::Fiq;
    cpus[3].step();
    assert!(cpus[3].is_in_guest() && board.is_pending(PcpuId(3)), "the guest acknowledges by itself");
}
