//! Traps end to end: a syndrome goes in, a [`Resume`] and a frame come out.

mod aborts;

use std::sync::Arc;

use super::esr::Sysreg;
use super::*;
use crate::cell::System;
use crate::cell::tests::{Cpu, HVC, SMC, system};
use crate::fake::Board;
use crate::psci::function;
use crate::run::Turn;
use proptest::prelude::*;

const PC: u64 = 0x1_2340;
const UNDEFINED: Resume = Resume::Inject(GuestFault::UNDEFINED);

/// vCPU 0 of the root cell, in its guest.
fn guest<'a>(system: &'a System, board: &Arc<Board>) -> Cpu<'a> {
    let mut cpu = Cpu::new(system, board, 2);
    while cpu.turn == Turn::Park {
        cpu.step();
    }
    cpu.machine.pc = PC;
    cpu.machine.smcs.clear();
    cpu
}

impl Cpu<'_> {
    fn exit(&mut self, exit: Exit) -> Resume {
        handle(&mut self.vcpu, &mut self.machine, exit, |_, _, resume| resume)
    }
    fn trap(&mut self, esr: u64) -> Resume {
        self.machine.sync(esr);
        self.exit(Exit::Sync)
    }
    fn x(&self, n: u8) -> u64 {
        self.vcpu.frame.get(n)
    }
    fn set(&mut self, n: u8, value: u64) {
        self.vcpu.frame.set(n, value);
    }
}

#[test]
fn hvc_and_smc_answer_alike_and_go_on_behind_themselves() {
    let (system, board) = system();
    let mut cpu = guest(&system, &board);
    for (esr, skipped) in [(HVC, 0), (SMC, 4)] {
        let resume = Resume::Again;
        cpu.machine.pc = PC;
        cpu.set(0, function::VERSION.into());
        assert_eq!((cpu.trap(esr), cpu.x(0)), (resume, 0x1_0001));
        assert_eq!(cpu.machine.pc, PC + skipped);
        // An immediate that is not 0, functions of nobody.
        for (esr, x0) in [(esr | 1, function::VERSION), (esr | 0xffff, 0), (esr, 0), (esr, 0x8600_ff03)] {
            (1..4).for_each(|n| cpu.set(n, u64::from(n) << 40));
            cpu.set(0, x0.into());
            assert_eq!((cpu.trap(esr), cpu.x(0)), (resume, u64::MAX));
            assert_eq!([cpu.x(1), cpu.x(2), cpu.x(3)], [1 << 40, 2 << 40, 3 << 40]);
        }
        cpu.set(0, 0x8600_ff01);
        assert_eq!((cpu.trap(esr), cpu.x(0), cpu.x(3)), (resume, 0x7a1d_4b9f, 0x845f_b2c0));
        cpu.set(0, 0x8000_0000);
        assert_eq!((cpu.trap(esr), cpu.x(0)), (resume, 0x1_0002));
    }
    for (call, resume) in [
        (function::CPU_OFF, Resume::Park),
        (function::SYSTEM_OFF, Resume::Stop(StopReason::Off)),
        (function::SYSTEM_RESET, Resume::Stop(StopReason::Reset)),
    ] {
        cpu.set(0, call.into());
        assert_eq!(cpu.trap(SMC), resume);
    }
    assert!(cpu.machine.smcs.is_empty(), "nothing reached EL3");
}

#[test]
fn a_standby_sleeps_unless_something_waits() {
    let (system, board) = system();
    let mut cpu = guest(&system, &board);
    let waits = cpu.machine.waits;
    assert_eq!(cpu.call(function::CPU_SUSPEND_64, [0; 3]), 0);
    assert_eq!(cpu.machine.waits, waits + 1);
    crate::ports::VirtualInterface::set_lr(&mut cpu.machine, 1, 1 << 62);
    assert_eq!(cpu.call(function::CPU_SUSPEND_64, [0; 3]), 0);
    assert_eq!(cpu.machine.waits, waits + 1);
}

fn sysreg(op0: u8, op1: u8, crn: u8, crm: u8, op2: u8, read: bool, rt: u8) -> u64 {
    let [op0, op1, crn, crm, op2, rt] = [op0, op1, crn, crm, op2, rt].map(u64::from);
    0x18 << 26
        | 1 << 25
        | op0 << 20
        | op2 << 17
        | op1 << 14
        | crn << 10
        | rt << 5
        | crm << 1
        | u64::from(read)
}

#[test]
fn every_register_and_instruction_has_an_answer() {
    let (system, board) = system();
    let mut cpu = guest(&system, &board);
    let mut there = Vec::new();
    for encoding in 0..1u32 << 16 {
        let field = |shift: u32, bits: u32| (encoding >> shift & ((1 << bits) - 1)) as u8;
        let (op0, op1, crn, crm, op2) = (field(14, 2), field(11, 3), field(7, 4), field(3, 4), field(0, 3));
        for read in [true, false] {
            cpu.set(1, 0x1_0000_0010);
            match cpu.trap(sysreg(op0, op1, crn, crm, op2, read, 1)) {
                Resume::Next => there.push((Sysreg::new(op0, op1, crn, crm, op2), read)),
                other => assert_eq!(other, UNDEFINED),
            }
        }
    }
    let id_group = |reg: &Sysreg| matches!(reg.id_register(), Some((1..8, _)));
    let (ids, others): (Vec<_>, Vec<_>) = there.into_iter().partition(|(reg, _)| id_group(reg));
    assert_eq!(ids.len(), 56);
    assert!(ids.iter().all(|(_, read)| *read));
    let names: Vec<String> = others.iter().map(|(reg, read)| format!("{reg:?} {read}")).collect();
    assert_eq!(
        names,
        [
            "S1_0_C7_C6_2 false",
            "S1_0_C7_C10_2 false",
            "S1_0_C7_C14_2 false",
            "S3_0_C1_C0_1 true",
            "S3_0_C1_C0_1 false",
            "S3_0_C12_C11_5 false",
            "S3_0_C12_C11_6 false",
            "S3_0_C12_C11_7 false",
            "S3_0_C12_C12_5 true",
            "S3_0_C12_C12_5 false",
        ]
    );
}

#[test]
fn an_id_register_reads_as_allowed_and_is_not_written() {
    let (system, board) = system();
    let mut cpu = guest(&system, &board);
    cpu.machine.ids.insert((4, 0), 0x1111_1111_1111_2222);
    cpu.vcpu.ids = IdRegisters::read(&cpu.machine);
    assert_eq!(cpu.trap(sysreg(3, 0, 0, 4, 0, true, 7)), Resume::Next);
    assert_eq!(cpu.x(7), 0x1101_0001_0111_0012);
    assert_eq!(cpu.trap(sysreg(3, 0, 0, 4, 0, false, 7)), UNDEFINED);
    // MRS to XZR goes nowhere.
    assert_eq!(cpu.trap(sysreg(3, 0, 0, 4, 0, true, 31)), Resume::Next);
    assert_eq!((cpu.trap(sysreg(3, 0, 1, 0, 1, true, 7)), cpu.x(7)), (Resume::Next, 0));
}

#[test]
fn an_sgi_goes_to_the_vcpu_that_is_meant() {
    let (system, board) = system();
    let mut cpu = guest(&system, &board);
    // SGI 3 to vCPUs 1 and 5: vCPU 1 is CPU 0, there is no vCPU 5.
    cpu.set(9, 3 << 24 | 0b10_0010);
    assert_eq!(cpu.trap(sysreg(3, 0, 12, 11, 5, false, 9)), Resume::Next);
    let pending: Vec<bool> = (0..5).map(|n| board.is_pending(crate::cpu::PcpuId(n))).collect();
    assert_eq!(pending, [true, false, false, false, false]);
}

#[test]
fn set_and_way_cleans_all_ram_in_steps_once_for_each_level() {
    let (system, board) = system();
    let mut cpu = guest(&system, &board);
    cpu.machine.pc = PC;
    cpu.machine.cleaned.clear();
    let cisw = sysreg(1, 0, 7, 14, 2, false, 2);
    // Some other set, some other way.
    for operand in [0x40, 1 << 31, 0x42, u64::MAX] {
        cpu.set(2, operand);
        assert_eq!(cpu.trap(cisw), Resume::Next);
    }
    assert!(cpu.machine.cleaned.is_empty());
    cpu.set(2, 0b10);
    let other = system.cells[0].cleaner.lock();
    assert_eq!(cpu.trap(cisw), Resume::Again, "another vCPU of the cell is at it");
    assert!(cpu.machine.cleaned.is_empty());
    drop(other);
    let mut steps = 1;
    while cpu.trap(cisw) == Resume::Again {
        steps += 1;
    }
    let cleaned: u64 = cpu.machine.cleaned.iter().map(|span| span.size()).sum();
    assert_eq!(cleaned, cpu.vcpu.cell.ram.iter().map(|region| region.size).sum::<u64>());
    assert_eq!((steps, cpu.vcpu.cleaning), (cpu.machine.cleaned.len(), None));
}

#[test]
fn interrupts_only_come_and_go() {
    let (system, board) = system();
    let mut cpu = guest(&system, &board);
    assert_eq!(cpu.exit(Exit::Fiq), Resume::Again);
    assert_eq!(cpu.exit(Exit::Irq), Resume::Again, "spurious");
    for intid in [27, 15, 100, 1019] {
        board.raise(crate::cpu::PcpuId(2), intid);
        assert_eq!(cpu.exit(Exit::Irq), Resume::Again, "{intid}");
    }
}

#[test]
fn an_serror_is_the_guests_unless_it_may_be_anywhere() {
    const CLASS: u64 = 0x2f << 26 | 1 << 25;
    let (system, board) = system();
    let mut cpu = guest(&system, &board);
    let stop = Resume::Stop(StopReason::Crash(Cause::SError));
    // The fields: IDS, AET, DFSC.
    let mut expected = 0;
    for (esr, resume, raised) in [
        (0, Resume::Again, 1),
        (1 << 24, Resume::Again, 1),
        (1 << 24 | 0x11, Resume::Again, 1),
        (0x11, stop, 0),
        (1 << 10 | 0x11, stop, 0),
        (2 << 10 | 0x11, Resume::Again, 0),
        (3 << 10 | 0x11, Resume::Again, 1),
        (4 << 10 | 0x11, stop, 0),
        (6 << 10 | 0x11, Resume::Again, 0),
        (7 << 10 | 0x11, stop, 0),
    ] {
        cpu.machine.esr = CLASS | esr;
        assert_eq!(cpu.exit(Exit::SError), resume, "ISS {esr:#x}");
        expected += raised;
        assert_eq!(cpu.machine.virtual_serrors, expected, "ISS {esr:#x}");
    }
}

#[test]
fn exception_classes_that_nothing_traps_are_undefined() {
    let (system, board) = system();
    let mut cpu = guest(&system, &board);
    for class in (0..64).filter(|class| ![0x01, 0x16, 0x17, 0x18, 0x20, 0x24].contains(class)) {
        for spsr in [0x3c5, 0x3c4, 0, 0x10, 0x30] {
            cpu.machine.pstate = spsr;
            // COND is NV, which is always.
            assert_eq!(cpu.trap(class << 26 | 0x1ff_ffff), UNDEFINED, "EC {class:#x} from {spsr:#x}");
        }
    }
    // WFI and WFE end.
    cpu.machine.pstate = 0;
    assert_eq!(cpu.trap(1 << 26 | 1 << 25), Resume::Next);
}

/// A conditional instruction that a CPU traps although its condition does not hold has no effect (Arm ARM G1.21.1).
#[test]
fn what_was_not_to_be_run_is_passed_by() {
    const IL: u64 = 1 << 25;
    const EQ: u64 = 1 << 24;
    const Z: u64 = 1 << 30;
    let (system, board) = system();
    let mut cpu = guest(&system, &board);
    for class in [0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x0c] {
        for (spsr, esr, resume, elr) in [
            (0x10, IL | EQ, Resume::Next, 0x8004),
            (0x10 | Z, IL | EQ, UNDEFINED, 0x8000),
            (0x30 | 2 << 10, IL, Resume::Next, 0x8004),
            (0x30 | 2 << 10, IL | EQ, Resume::Next, 0x8004),
            (0x30 | 2 << 10 | Z, IL, UNDEFINED, 0x8000),
            (0x30, IL, UNDEFINED, 0x8000),
            // AArch64 has no such thing.
            (0, IL | EQ, UNDEFINED, 0x8000),
        ] {
            (cpu.machine.pc, cpu.machine.pstate) = (0x8000, spsr);
            assert_eq!(cpu.trap(class << 26 | esr), resume, "EC {class:#x} from {spsr:#x}");
            if resume == Resume::Next {
                skip(&mut cpu.machine);
            }
            assert_eq!(cpu.machine.pc, elr);
        }
    }
    (cpu.machine.pc, cpu.machine.pstate) = (0x8000, 0x30);
    assert_eq!(cpu.trap(1 << 26), Resume::Next);
    skip(&mut cpu.machine);
    assert_eq!(cpu.machine.pc, 0x8002, "WFI in 16 bits");
}

proptest! {
    #![proptest_config(crate::fake::cases(20))]

    /// Whatever comes out of a guest, something goes back in, and the vCPU stays whole.
    #[test]
    fn no_exit_is_too_strange(exits in prop::collection::vec(
        (any::<u64>(), 0u8..8, any::<[u64; 4]>(), any::<u64>(), any::<bool>()), 1..400))
    {
        let (system, board) = system();
        let mut cpu = guest(&system, &board);
        for (esr, class, x, far, near) in exits {
            // Mostly the classes that mean something.
            let class = [0x16, 0x17, 0x18, 0x18, 0x20, 0x24, 0x24].get(usize::from(class)).copied();
            let esr = class.map_or(esr, |class| esr & 0x1ff_ffff | class << 26);
            for (n, value) in (0..).zip(x) {
                cpu.set(n, value);
            }
            cpu.machine.far = far;
            cpu.machine.hpfar = if near { 0x8_0000 | far >> 20 & 0x1ff0 } else { far };
            cpu.machine.pstate = [0x3c5, 0x3c4, 0, 0x10][(far & 3) as usize];
            if let Resume::Stop(reason) = cpu.trap(esr) {
                prop_assert!(matches!(reason, StopReason::Off | StopReason::Reset));
            }
            while cpu.machine.active.pop().is_some() {}
        }
        prop_assert!(cpu.machine.smcs.is_empty());
    }
}
