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
use crate::ports::{Exit, Machine};
use crate::vcpu::GuestFault;
use crate::vgic::Irq;
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

/// Answers an exit.
#[inline]
pub fn handle<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M, exit: Exit) -> Resume {
    match exit {
        Exit::Sync => synchronous(vcpu, machine),
        Exit::Irq => interrupt(vcpu, machine),
        // Bulkhead has no Group 0 interrupts and gives guests none; firmware's go to EL3. Nothing to acknowledge.
        Exit::Fiq => rare(Resume::Again),
        Exit::SError if serror::is_the_guests(vcpu, machine) => Resume::Again,
        Exit::SError => Resume::Stop(StopReason::Crash(Cause::SError)),
    }
}

/// Tells the compiler which exits are not worth a place near the entry.
#[cold]
#[inline(never)]
fn rare(resume: Resume) -> Resume {
    resume
}

#[inline]
fn synchronous<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M) -> Resume {
    match esr::decode(machine.esr()) {
        // ELR_EL2 is behind an HVC already (Arm ARM D1.3.1, preferred return address), but at an SMC that was trapped
        // (HCR_EL2.TSC).
        Syndrome::Call { immediate, smc } => {
            if smc {
                vcpu.frame.skip();
            }
            call::handle(vcpu, machine, immediate)
        }
        Syndrome::Sysreg(access) => sysreg::handle(vcpu, machine, access),
        Syndrome::DataAbort(abort) => abort::data(vcpu, machine, abort),
        Syndrome::InstructionAbort(abort) => abort::instruction(vcpu, machine, abort),
        // The two answers stand here, where the compiler sees them: what is done with them costs nothing then.
        Syndrome::Other { class } if other::is_passed_by(vcpu, machine, class) => Resume::Again,
        Syndrome::Other { .. } => Resume::Inject(GuestFault::UNDEFINED),
    }
}

#[inline]
fn interrupt<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M) -> Resume {
    match vcpu.gic.on_irq(machine, &vcpu.cell.gic, &vcpu.system.gic) {
        // A kick says only that the inbox has something, which is looked at before the guest is entered again.
        Irq::Guest | Irq::Kick | Irq::None => {}
        other => own_interrupt(vcpu, machine, other),
    }
    Resume::Again
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
            if alarm && vcpu.alarms.take(Call::Life, machine) {
                vcpu.look_at_life();
            }
            machine.deactivate(intid);
        }
        Irq::Foreign(intid) if vcpu.cell.may_print(machine) => {
            log::warn!("{}: interrupt {intid} belongs to nobody; masked", vcpu.cpu);
        }
        _ => {}
    }
}
