use super::*;
use crate::cell::tests::{Cpu, system};
use crate::fake::{Board, Fake};

fn record(life: u32) -> Record {
    let (system, board) = system();
    let mut cpu = Cpu::new(&system, &board, 3);
    cpu.step();
    cpu.machine.pc = 0x4000_1234;
    (0..31).for_each(|n| cpu.vcpu.frame.set(n, u64::from(n) << 8));
    (cpu.machine.esr, cpu.machine.far, cpu.machine.hpfar) = (0x9600_0046, 0xffff_0000_0000_0abc, 0x0009_0000);
    cpu.machine.set_el1(El1Reg::Elr, 0x4000_1000);
    Record { life, ..Record::of(&cpu.vcpu, &cpu.machine, Cause::SError) }
}

#[test]
fn a_record_says_why_and_where() {
    let record = record(3);
    assert_eq!((record.vcpu, record.cpu, record.ipa()), (VcpuId(0), PcpuId(3), Ipa(0x0900_0abc)));
    let text = record.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("an SError, in life 3, 0 ms old"), "{text}");
    assert_eq!(
        lines[1..4],
        [
            "  vCPU 0 on CPU 3: PC 0x40001234, PSTATE 0x3c5, ESR_EL2 0x96000046, FAR_EL2 0xffff000000000abc, IPA 0x9000abc",
            "  ELR_EL1 0x40001000, ESR_EL1 0x0, FAR_EL1 0x0",
            "  x0 0 x1 100 x2 200 x3 300 x4 400 x5 500 x6 600 x7 700",
        ]
    );
    assert_eq!(lines.len(), 7);
    assert!(text.ends_with(" x30 1e00"));
}

#[test]
fn a_cell_dies_once_in_a_life() {
    let timer = Fake::new(&Board::new(1, 0), 0);
    let mut deaths = Deaths::default();
    assert_eq!(deaths.add(record(1), OnCrash::Stop, &timer), Some(Verdict::Stop));
    assert_eq!(deaths.add(record(1), OnCrash::Stop, &timer), None);
    assert_eq!(deaths.add(record(2), OnCrash::HaltMachine, &timer), Some(Verdict::HaltMachine));
    assert_eq!(deaths.count(), 2);
    let line = deaths.to_string();
    assert!(
        line.starts_with("crashed 2 times, last in life 2: an SError; vCPU 0 at PC 0x40001234, "),
        "{line}"
    );
}

#[test]
fn what_follows_is_said_in_words() {
    let timer = Fake::new(&Board::new(1, 0), 0);
    let on_crash = OnCrash::Restart(Limit { restarts: 2, seconds: 9 });
    let mut deaths = Deaths::default();
    let next = |life, deaths: &mut Deaths| deaths.add(record(life), on_crash, &timer).unwrap().to_string();
    assert_eq!(next(1, &mut deaths), "restarts at once, 1 of 2 times in 9 s of running");
    assert_eq!(next(2, &mut deaths), "restarts in 100 ms, 2 of 2 times in 9 s of running");
    assert_eq!(
        next(3, &mut deaths),
        "stays off, for it restarted 2 times in 9 s of running; Ctrl-^ r starts it"
    );
    deaths.forgive();
    assert_eq!(next(4, &mut deaths), "restarts at once, 1 of 2 times in 9 s of running");
    assert_eq!(deaths.count(), 4, "nothing is forgotten");
    assert_eq!(deaths.last().map(|last| last.life), Some(4));
}
