use crate::cell::tests::{Cpu, SMC, system};
use crate::cell::{Life, Then};
use crate::cpu::PcpuId;
use crate::crash::Cause;
use crate::inbox::Request;
use crate::ports::{El1, El1Reg, Exit};
use crate::psci::function;
use crate::run::Turn;

const PC: u64 = 0x1_2340;

#[test]
fn a_turn_ends_where_its_answer_says() {
    let (system, board) = system();
    let mut cpu = Cpu::new(&system, &board, 2);
    cpu.step();
    assert_eq!((cpu.turn, cpu.machine.entered), (Turn::Guest, 0));
    // Next: behind the SMC.
    cpu.machine.pc = PC;
    cpu.vcpu.frame.set(0, function::VERSION.into());
    cpu.machine.sync(SMC);
    cpu.step();
    assert_eq!((cpu.machine.pc, cpu.machine.entered), (PC + 4, 1));
    // Inject: at the vector, EL1h.
    cpu.machine.sync(0);
    cpu.step();
    assert_eq!((cpu.machine.pc, cpu.machine.pstate & 0xf), (0x200, 5));
    // Again.
    cpu.machine.exit = Exit::Fiq;
    cpu.step();
    assert_eq!((cpu.machine.pc, cpu.turn), (0x200, Turn::Guest));
    // Park, and no word of an SMC's skip.
    cpu.vcpu.frame.set(0, function::CPU_OFF.into());
    cpu.machine.sync(SMC);
    cpu.step();
    assert_eq!((cpu.turn, cpu.machine.pc), (Turn::Park, 0));
    let life = system.cells[0].life();
    assert!(matches!(life, Life::Stopping { then: Then::Off, .. }), "it was the only one: {life:?}");
}

#[test]
fn a_fault_at_the_vector_for_it_ends_the_cell() {
    let (system, board) = system();
    let mut cpu = Cpu::new(&system, &board, 2);
    cpu.step();
    cpu.machine.set_el1(El1Reg::Vbar, PC & !0x7ff | 0x7);
    // The vector of faults from EL0, and of faults with SP_EL0: they go on to the one below.
    for (elr, mode) in [(0x400, 5), (0, 5), (0x200, 4), (0x200, 0), (0x200, 0x10)] {
        (cpu.machine.pc, cpu.machine.pstate) = ((PC & !0x7ff) + elr, mode);
        cpu.machine.sync(0);
        cpu.step();
        assert_eq!(cpu.turn, Turn::Guest, "{elr:#x} {mode}");
    }
    cpu.machine.set_el1(El1Reg::Elr, PC);
    (cpu.machine.pc, cpu.machine.pstate) = ((PC & !0x7ff) + 0x200, 0x3c5);
    cpu.step();
    assert_eq!((cpu.turn, system.cells[0].deaths().unwrap().count()), (Turn::Park, 1));
    let deaths = system.cells[0].deaths().unwrap();
    let last = deaths.last().unwrap();
    assert_eq!((last.cause, last.elr_el1), (Cause::Vector, PC), "what it took first is still known");
}

#[test]
fn stale_requests_change_nothing() {
    let (system, board) = system();
    let mut cpu = Cpu::new(&system, &board, 2);
    cpu.step();
    for request in [Request::Stop, Request::Start, Request::Sgi, Request::Retract] {
        let _ = system.inboxes[2].post(PcpuId(2), request);
        cpu.step();
        assert_eq!(cpu.turn, Turn::Guest, "{request:?}");
    }
    assert_eq!(cpu.machine.resets.len(), 1);
    // The same to a CPU that is parked.
    let mut parked = Cpu::new(&system, &board, 0);
    for request in [Request::Stop, Request::Start, Request::Sgi, Request::Retract] {
        let _ = system.inboxes[0].post(PcpuId(0), request);
        parked.step();
        assert_eq!(parked.turn, Turn::Park, "{request:?}");
    }
    assert_eq!(parked.machine.waits, 0, "it looks into its inbox before it sleeps");
    parked.step();
    assert_eq!(parked.machine.waits, 1);
}

#[test]
fn a_kick_takes_the_guest_out_to_its_inbox() {
    let (system, board) = system();
    let mut cpus = [Cpu::new(&system, &board, 2), Cpu::new(&system, &board, 0)];
    cpus[0].step();
    assert_eq!(cpus[0].call(function::CPU_ON_64, [1, PC, 0]), 0);
    cpus[1].step();
    assert_eq!(cpus[1].turn, Turn::Guest);
    // The kick that came with the request is still there; it costs an exit.
    assert!(board.is_pending(PcpuId(0)));
    cpus[1].step();
    assert!(!board.is_pending(PcpuId(0)) && cpus[1].machine.active.is_empty());
    // The other way: told from outside.
    let [first, second] = &mut cpus;
    system.stop(first.vcpu.cell, Then::Off, Some(PcpuId(2)), &mut first.machine);
    assert!(board.is_pending(PcpuId(0)));
    first.vcpu.give_up(&mut first.machine);
    second.step();
    assert_eq!(
        (second.turn, system.cells[0].life()),
        (Turn::Park, Life::Stopping { then: Then::Off, left: crate::cpu::CpuSet::of([1]) })
    );
}

#[test]
fn an_interrupt_for_nobody_does_not_wake_a_parked_cpu_for_good() {
    let (system, board) = system();
    let mut cpu = Cpu::new(&system, &board, 4);
    board.raise(PcpuId(4), 300);
    cpu.step();
    cpu.step();
    assert_eq!((cpu.turn, cpu.machine.waits), (Turn::Park, 2));
    assert!(!board.is_pending(PcpuId(4)));
}
