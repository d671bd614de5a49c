//! A CPU's loop: enter the guest, answer what it asked, again.

use crate::cell::{System, Vcpu};
use crate::cpu::PcpuId;
use crate::crash::{Cause, is_at_vector};
use crate::inbox::{Request, Requests};
use crate::ports::{Exit, Hot, Machine};
use crate::trap::{self, Resume, StopReason};
use crate::vcpu::{GuestFault, inject, skip};
use crate::vgic::Irq;
use crate::watchdog;

#[cfg(test)]
mod tests;

/// What a CPU does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "it decides which step comes next"]
pub enum Turn {
    /// [`guest_step`].
    Guest,
    /// [`park_step`].
    Park,
}

/// What a CPU does from the end of boot on. Inline, so that whoever calls it says where it lies.
#[inline(always)]
pub fn cpu<M: Hot>(system: &System, me: PcpuId, machine: &mut M) -> ! {
    let Some(mut vcpu) = Vcpu::new(system, me, machine.plain()) else {
        loop {
            // A CPU that the plan does not know has no part in anything.
            machine.wait_for_interrupt();
        }
    };
    vcpu.settle(machine.plain());
    loop {
        while park_step(&mut vcpu, machine) == Turn::Park {}
        while guest_step(&mut vcpu, machine) == Turn::Guest {}
    }
}

/// One turn without a guest: answers the inbox, or sleeps until there may be something in it. Not inline: the one register that
/// outlives a guest's turn is for what its exits want.
#[inline(never)]
pub fn park_step<M: Hot>(vcpu: &mut Vcpu<'_>, machine: &mut M) -> Turn {
    if vcpu.inbox.is_empty() {
        machine.wait_for_interrupt();
        // One is taken a turn; the next turn does not sleep while another is pending.
        let irq = vcpu.gic.on_irq(machine, &vcpu.cell.gic, &vcpu.system.gic);
        if irq != Irq::Kick {
            trap::own_interrupt(vcpu, machine.plain(), irq);
        }
        return Turn::Park;
    }
    answer(vcpu, machine)
}

/// Answers the inbox of a CPU whose guest is off.
fn answer<M: Hot>(vcpu: &mut Vcpu<'_>, machine: &mut M) -> Turn {
    let requests = vcpu.inbox.take();
    if !requests.only(Request::Start) {
        serve(vcpu, machine.plain(), requests);
    }
    // What concerns interrupts is for a vCPU that runs; one that starts has none.
    if requests.has(Request::Start) && vcpu.start(machine) { Turn::Guest } else { Turn::Park }
}

/// One turn of the guest: into it, and out with an answer.
#[inline]
pub fn guest_step<M: Hot>(vcpu: &mut Vcpu<'_>, machine: &mut M) -> Turn {
    let exit = if vcpu.inbox.is_empty() {
        enter(vcpu, machine)
    } else {
        let Some(exit) = attend(vcpu, machine.plain()) else { return Turn::Park };
        exit
    };
    trap::handle(vcpu, machine, exit, resume)
}

/// Into the guest, with its interrupts.
#[inline(always)]
fn enter<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M) -> Exit {
    let others = vcpu.gic.flush(machine, &vcpu.cell.gic);
    if !others.is_empty() {
        vcpu.system.look_at_lines(others, machine.plain());
    }
    machine.enter(&mut vcpu.frame)
}

/// What follows an exit. It is part of each way through [`trap`], so that the usual ways do not ask again what they have decided.
#[inline(always)]
fn resume<M: Hot>(vcpu: &mut Vcpu<'_>, machine: &mut M, resume: Resume) -> Turn {
    match resume {
        Resume::Next => skip(machine),
        Resume::Again => {}
        Resume::Inject(fault) => return raise(vcpu, machine.plain(), fault),
        Resume::Park => {
            vcpu.switch_off(machine.plain());
            return Turn::Park;
        }
        Resume::Stop(reason) => {
            vcpu.end(reason, machine.plain());
            return Turn::Park;
        }
    }
    Turn::Guest
}

/// The guest takes an exception. Where it faults at its own vector already, it would do nothing else any more.
#[cold]
#[inline(never)]
fn raise<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M, fault: GuestFault) -> Turn {
    if is_at_vector(machine) {
        vcpu.end(StopReason::Crash(Cause::Vector), machine);
        return Turn::Park;
    }
    inject(machine, fault);
    Turn::Guest
}

/// Does what is asked of a CPU whether its guest runs or not; whether that ended its life.
fn serve<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M, requests: Requests) -> bool {
    if requests.has(Request::Watch) {
        watchdog::look(vcpu, machine);
    }
    if requests.has(Request::Counts) {
        vcpu.tell_counts(machine);
    }
    // A request to stop may be one of a life that is over.
    let ends = requests.has(Request::Stop) && vcpu.cell.life().awaits(vcpu.cpu);
    if ends {
        vcpu.give_up(machine);
    }
    ends
}

/// Answers the inbox of a CPU whose guest is out for a moment, and enters it again, unless its life ends.
#[cold]
#[inline(never)]
fn attend<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M) -> Option<Exit> {
    machine.halt_if_stopped();
    let requests = vcpu.inbox.take();
    if serve(vcpu, machine, requests) {
        return None;
    }
    vcpu.gic.on_requests(machine, &vcpu.cell.gic, requests);
    vcpu.exits.entering(machine.counter());
    let exit = enter(vcpu, machine);
    vcpu.look_at_clock(machine);
    Some(exit)
}
