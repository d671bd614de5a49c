//! HVC and SMC: the two ways into PSCI and SMCCC, which answer alike. Nothing else reaches EL3.

use super::{Resume, StopReason};
use crate::cell::{Start, Vcpu};
use crate::ports::Machine;
use crate::psci::{self, Call, PsciError};
use crate::smccc;

/// Answers a call; [`Resume::Next`] when it is done.
#[inline]
pub fn handle<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M, immediate: u16) -> Resume {
    if immediate != 0 {
        // Reserved (DEN0028E 2.7): no function lives there.
        return unknown(vcpu);
    }
    // Owning entity and calling convention, the top byte of the function ID.
    match (vcpu.frame.get(0) as u32) >> 24 {
        0x84 | 0xc4 => power(vcpu, machine),
        0x80 => {
            let x0 = smccc::architecture(&vcpu.frame, &vcpu.workarounds, machine);
            vcpu.frame.set(0, x0);
            Resume::Next
        }
        0x86 => match smccc::vendor_hypervisor(&vcpu.frame) {
            Some(x) => {
                for (n, value) in (0..).zip(x) {
                    vcpu.frame.set(n, value);
                }
                Resume::Next
            }
            None => unknown(vcpu),
        },
        _ => unknown(vcpu),
    }
}

/// x1 to x3 keep what the guest had there.
fn unknown(vcpu: &mut Vcpu<'_>) -> Resume {
    vcpu.frame.set(0, PsciError::NotSupported.code());
    Resume::Next
}

#[inline]
fn power<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M) -> Resume {
    let answer = match psci::decode(&vcpu.frame, vcpu.cell.vcpus()) {
        Err(error) => error.code(),
        Ok(Call::Version) => psci::VERSION,
        Ok(Call::MigrateInfoType) => psci::MIGRATE_NOT_REQUIRED,
        Ok(Call::Features(flags)) => flags,
        Ok(Call::AffinityInfo(target)) => vcpu.cell.affinity_info(target) as u64,
        Ok(Call::On { target, entry, context }) => {
            let start = Start { entry: entry.0, context };
            vcpu.system.cpu_on(vcpu.cell, target, start, machine).map_or_else(PsciError::code, |()| 0)
        }
        Ok(Call::Standby) => {
            standby(vcpu, machine);
            0
        }
        Ok(Call::Off) => return Resume::Park,
        Ok(Call::SystemOff) => return Resume::Stop(StopReason::Off),
        Ok(Call::SystemReset) => return Resume::Stop(StopReason::Reset),
    };
    vcpu.frame.set(0, answer);
    Resume::Next
}

/// Sleeps until an interrupt is there. One that waits in a list register would not wake EL2, so then there is no sleep:
/// a standby may end at any time (DEN0022F 5.4).
#[cold]
fn standby<M: Machine>(vcpu: &Vcpu<'_>, machine: &mut M) {
    let empty = machine.empty_lrs().count_ones() as usize;
    if empty == machine.lr_count() && vcpu.inbox.is_empty() {
        machine.wait_for_interrupt();
    }
}
