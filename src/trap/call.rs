//! HVC and SMC: the two ways into PSCI and SMCCC, which answer alike. Nothing else reaches EL3 but what a description allows.

use super::{Go, Resume, StopReason};
use crate::addr::Ipa;
use crate::cell::{Start, Vcpu};
use crate::cpu::VcpuId;
use crate::ports::{Hot, Machine};
use crate::psci::{self, Call, PsciError};
use crate::smccc;

/// Answers a call; [`Resume::Again`] when it is done, since the frame stands behind it.
///
/// What only answers is inline, for it is the shortest way in and out of EL2 that a guest has.
#[inline(always)]
pub fn handle<M: Hot, R>(vcpu: &mut Vcpu<'_>, machine: &mut M, immediate: u32, go: impl Go<M, R>) -> R {
    // Immediates other than 0 are reserved (DEN0028E 2.7): no function lives there.
    let answer = if immediate == 0 { power(vcpu, machine) } else { Ok(PsciError::NotSupported.code()) };
    match answer {
        Ok(x0) => {
            vcpu.frame.set(0, x0);
            go(vcpu, machine, Resume::Again)
        }
        Err(resume) => go(vcpu, machine, resume),
    }
}

/// What is no power call: by owning entity and calling convention, the top byte of the function ID.
#[inline(never)]
fn other<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M) -> u64 {
    match vcpu.frame.get(0) as u32 >> 24 {
        0x80 => smccc::architecture(&vcpu.frame, &vcpu.workarounds, machine),
        0x86 => smccc::vendor_hypervisor(&mut vcpu.frame),
        _ => rare(vcpu, machine),
    }
}

/// What is not worth a comparison before the others; x1 to x3 keep what the guest had there, if it is nothing at all.
#[cold]
#[inline(never)]
fn rare<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M) -> u64 {
    let id = vcpu.frame.get(0) as u32;
    if id == smccc::EXITS {
        return smccc::exits(&mut vcpu.frame, &vcpu.exits);
    }
    if vcpu.cell.smc_allow.contains(&id) {
        return smccc::forward(&mut vcpu.frame, machine);
    }
    PsciError::NotSupported.code()
}

/// A power call: its x0, or how the guest goes on without one.
#[inline(always)]
fn power<M: Hot>(vcpu: &mut Vcpu<'_>, machine: &mut M) -> Result<u64, Resume> {
    match psci::decode(&vcpu.frame, || vcpu.cell.vcpus()) {
        Err(PsciError::NotSupported) => Ok(other(vcpu, machine.plain())),
        Err(error) => Ok(error.code()),
        Ok(Call::Version) => Ok(psci::VERSION),
        Ok(Call::MigrateInfoType) => Ok(psci::MIGRATE_NOT_REQUIRED),
        Ok(Call::Features(flags)) => Ok(flags),
        Ok(Call::AffinityInfo(target)) => Ok(vcpu.cell.affinity_info(target) as u64),
        Ok(Call::On { target, entry, context }) => Ok(cpu_on(vcpu, machine, target, entry, context)),
        Ok(Call::Standby) => {
            standby(vcpu, machine);
            Ok(0)
        }
        Ok(Call::Off) => Err(Resume::Park),
        Ok(Call::SystemOff) => Err(Resume::Stop(StopReason::Off)),
        Ok(Call::SystemReset) => Err(Resume::Stop(StopReason::Reset)),
    }
}

#[inline(never)]
fn cpu_on<M: Hot>(vcpu: &Vcpu<'_>, machine: &mut M, target: VcpuId, entry: Ipa, context: u64) -> u64 {
    let start = Start { entry: entry.0, context };
    vcpu.system.cpu_on(vcpu.cell, target, start, machine).map_or_else(PsciError::code, |()| 0)
}

/// Sleeps until an interrupt is there. One that waits in a list register would not wake EL2, so then there is no sleep:
/// a standby may end at any time (DEN0022F 5.4).
#[cold]
#[inline(never)]
fn standby<M: Hot>(vcpu: &mut Vcpu<'_>, machine: &mut M) {
    if vcpu.cell.gic.is_direct() {
        return vcpu.wait(machine);
    }
    let empty = machine.empty_lrs().count_ones() as usize;
    if empty == machine.lr_count() && vcpu.inbox.is_empty() {
        machine.wait_for_interrupt();
    }
}
