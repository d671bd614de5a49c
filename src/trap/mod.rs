//! What a guest did, decoded and answered: from an [`Exit`] to a [`Resume`].

mod abort;
mod call;
pub mod esr;
mod id;
mod other;
mod serror;
mod sysreg;
#[cfg(test)]
mod tests;
mod walk;

pub use abort::ipa;
pub use id::IdRegisters;

use crate::alarm::Call;
use crate::cell::Vcpu;
use crate::console;
use crate::crash::Cause;
use crate::exits::Reason;
use crate::ports::{Exit, Hot, Machine};
use crate::vcpu::{GuestFault, skip};
use crate::vgic::Irq;
use crate::watchdog;
use esr::Syndrome;

// It travels in a register.
const _: () = assert!(size_of::<Resume>() <= 2);

/// How a guest goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The instruction is done: behind it.
    Next,
    /// As its frame stands: an interrupt, a call whose return address is behind it already, an instruction to be tried again.
    Again,
    /// With this exception.
    Inject(GuestFault),
    /// Not: the vCPU is switched off.
    Park,
    /// Not: the cell's life ends.
    Stop(StopReason),
}

/// Why a cell's life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// It asked to be off.
    Off,
    /// It asked for a reset.
    Reset,
    /// Something that it cannot survive.
    Crash(Cause),
}

/// Answers an exit. `go` is told how the guest goes on, and is the end of each way through here: what a way has decided is not
/// brought to one place to be asked for again.
#[inline(always)]
pub fn handle<M: Hot, R>(vcpu: &mut Vcpu<'_>, machine: &mut M, exit: Exit, go: impl Go<M, R>) -> R {
    let resume = match exit {
        Exit::Sync => return synchronous(vcpu, machine, go),
        Exit::Irq => {
            interrupt(vcpu, machine);
            return go(vcpu, machine, Resume::Again);
        }
        rare => rare_exit(vcpu, machine.plain(), rare),
    };
    go(vcpu, machine, resume)
}

/// What follows an exit.
pub trait Go<M, R>: FnOnce(&mut Vcpu<'_>, &mut M, Resume) -> R {}
impl<M, R, F: FnOnce(&mut Vcpu<'_>, &mut M, Resume) -> R> Go<M, R> for F {}

/// Exits that are not worth a comparison before the others.
#[cold]
#[inline(never)]
fn rare_exit<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M, exit: Exit) -> Resume {
    vcpu.exits.count(Reason::Other);
    match exit {
        Exit::SError => serror::answer(vcpu, machine),
        // Bulkhead has no Group 0 interrupts and gives guests none; firmware's go to EL3. Nothing to acknowledge.
        _ => Resume::Again,
    }
}

#[inline(always)]
fn synchronous<M: Hot, R>(vcpu: &mut Vcpu<'_>, machine: &mut M, go: impl Go<M, R>) -> R {
    match esr::decode(machine.esr()) {
        // ELR_EL2 is behind an HVC already (Arm ARM D1.3.1, preferred return address), but at an SMC that was trapped
        // (HCR_EL2.TSC).
        Syndrome::Hvc(immediate) => {
            vcpu.exits.count(Reason::Hvc);
            call::handle(vcpu, machine, immediate, go)
        }
        Syndrome::Smc(immediate) => {
            vcpu.exits.count(Reason::Smc);
            skip(machine);
            call::handle(vcpu, machine, immediate, go)
        }
        Syndrome::Sysreg(access) => sysreg::handle(vcpu, machine, access, go),
        Syndrome::DataAbort(abort) => abort::data(vcpu, machine, abort, go),
        Syndrome::Other(class) => {
            let resume = match class {
                other::WAIT => other::wait(vcpu, machine),
                _ => other::handle(vcpu, machine.plain(), class),
            };
            go(vcpu, machine, resume)
        }
    }
}

#[inline(always)]
fn interrupt<M: Hot>(vcpu: &mut Vcpu<'_>, machine: &mut M) {
    // Counted before it is known whose it is: behind `take` all of its ways would have to meet for that.
    vcpu.exits.count(Reason::Interrupt);
    if let Err(intid) = vcpu.gic.take(machine, &vcpu.cell.gic) {
        vcpu.exits.correct(Reason::Interrupt, Reason::Own);
        foreign_interrupt(vcpu, machine.plain(), intid);
    }
}

#[cold]
#[inline(never)]
fn foreign_interrupt<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M, intid: u32) {
    let irq = vcpu.gic.on_other_irq(machine, &vcpu.cell.gic, &vcpu.system.gic, intid);
    // A kick says only that the inbox has something, which is looked at before the guest is entered again.
    own_interrupt(vcpu, machine, irq);
}

/// An interrupt that is not a guest's: EL2's timer or console, or one that nobody owns, which the vGIC has masked.
#[cold]
pub fn own_interrupt<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M, irq: Irq) {
    match irq {
        Irq::Own(intid) => {
            let alarm = intid == vcpu.system.gic.ppis.alarm.intid();
            if !alarm || vcpu.alarms.take(Call::Console, machine) {
                console::interrupt(vcpu, machine);
            }
            if alarm && vcpu.alarms.take(Call::Watchdog, machine) {
                watchdog::alarm(vcpu, machine);
            }
            if alarm && vcpu.alarms.take(Call::Others, machine) {
                watchdog::look(vcpu, machine);
            }
            if alarm && vcpu.alarms.take(Call::Life, machine) {
                vcpu.look_at_life();
            }
            if alarm && vcpu.alarms.take(Call::Counts, machine) {
                console::show_counts(vcpu, machine);
            }
            machine.deactivate(intid);
        }
        Irq::Foreign(intid) => {
            let line = format_args!("interrupt {intid} at {} belongs to nobody; masked", vcpu.cpu);
            vcpu.cell.tell(machine, line);
        }
        _ => {}
    }
}
