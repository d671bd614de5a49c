//! PSCI 1.1 and SMCCC 1.2: every function, with good and bad arguments, while the other CPUs are off.

use rt::exception::catch;
use rt::psci::{call, call_by, call_with, code, function, hvc_with_immediate};
use rt::timer::{Timer, count, ticks};
use rt::tree::Conduit;
use rt::{gic, smp};

use crate::report::{Check, Needs, Outcome, bare, check, why};
use crate::{crew, ensure, ensure_eq, taken};

/// The group's checks.
pub const CHECKS: &[Check] = &[
    check("psci_version", Needs::Nothing, version),
    check("psci_features", Needs::Bulkhead, features),
    check("psci_smccc", Needs::Bulkhead, smccc),
    check("psci_migrate", Needs::Nothing, migrate),
    check("psci_affinity_info", Needs::Nothing, affinity_info),
    check("psci_affinity_info_bad", Needs::Bulkhead, affinity_info_bad),
    check("psci_on_self", Needs::Nothing, on_self),
    check("psci_on_unknown", Needs::Nothing, on_unknown),
    check("psci_on_bad_entry", Needs::BulkheadCrew, on_bad_entry),
    check("psci_suspend", Needs::Nothing, suspend),
    check("psci_suspend_bad", Needs::Bulkhead, suspend_bad),
    check("psci_reset2_bad", Needs::Bulkhead, reset2_bad),
    check("psci_unknown", Needs::Bulkhead, unknown),
    check("psci_upper_half", Needs::Bulkhead, upper_half),
    check("psci_registers_kept", Needs::Bulkhead, registers_kept),
    check("psci_immediate", Needs::Bulkhead, immediate),
];

/// The 32-bit form of a function.
const fn narrow(function: u64) -> u64 {
    function & !(1 << 30)
}

fn version() -> Outcome {
    let version = call(function::VERSION, [0; 3]);
    ensure!((0x1_0001..0x2_0000).contains(&version), "PSCI_VERSION is {version:#x}");
    if !bare() {
        ensure_eq!(call_by(Conduit::Hvc, function::VERSION, [0; 3]), 0x1_0001, "by HVC");
        ensure_eq!(call_by(Conduit::Smc, function::VERSION, [0; 3]), 0x1_0001, "by SMC");
    }
    Ok(())
}

fn features() -> Outcome {
    let there = [
        function::VERSION,
        function::CPU_SUSPEND,
        narrow(function::CPU_SUSPEND),
        function::CPU_OFF,
        function::CPU_ON,
        narrow(function::CPU_ON),
        function::AFFINITY_INFO,
        narrow(function::AFFINITY_INFO),
        function::MIGRATE_INFO_TYPE,
        function::SYSTEM_OFF,
        function::SYSTEM_RESET,
        function::SYSTEM_RESET2,
        narrow(function::SYSTEM_RESET2),
        function::FEATURES,
        function::SMCCC_VERSION,
    ];
    for f in there {
        ensure_eq!(call(function::FEATURES, [f, 0, 0]), 0, "PSCI_FEATURES({f:#x})");
    }
    for f in [0, 0x8400_0005, 0x8400_0007, 0x8400_00ff, 0xc400_0000, 0x8000_8000, 0xffff_ffff] {
        ensure_eq!(call(function::FEATURES, [f, 0, 0]), code::NOT_SUPPORTED, "PSCI_FEATURES({f:#x})");
    }
    Ok(())
}

fn smccc() -> Outcome {
    ensure_eq!(call(function::SMCCC_VERSION, [0; 3]), 0x1_0002, "SMCCC_VERSION");
    for f in [function::SMCCC_VERSION, function::SMCCC_ARCH_FEATURES] {
        let found = call(function::SMCCC_ARCH_FEATURES, [f, 0, 0]);
        ensure!(found >= 0, "SMCCC_ARCH_FEATURES({f:#x}) is {found}");
    }
    for f in [0x8000_0fff, function::VERSION, 0] {
        let found = call(function::SMCCC_ARCH_FEATURES, [f, 0, 0]);
        ensure_eq!(found, code::NOT_SUPPORTED, "SMCCC_ARCH_FEATURES({f:#x})");
    }
    Ok(())
}

fn migrate() -> Outcome {
    // 2: there is no Trusted OS that would have to migrate.
    ensure_eq!(call(function::MIGRATE_INFO_TYPE, [0; 3]), 2, "MIGRATE_INFO_TYPE");
    Ok(())
}

fn affinity_info() -> Outcome {
    crew::dismiss();
    for f in [function::AFFINITY_INFO, narrow(function::AFFINITY_INFO)] {
        ensure_eq!(call(f, [smp::affinity(0), 0, 0]), 0, "AFFINITY_INFO of this CPU");
        for cpu in crew::members() {
            ensure_eq!(call(f, [smp::affinity(cpu), 0, 0]), 1, "AFFINITY_INFO of CPU {cpu}");
        }
    }
    Ok(())
}

fn affinity_info_bad() -> Outcome {
    for target in [0x100_0000, 0xff, 0xfe00, 1 << 32, 1 << 31, u64::MAX] {
        let got = call(function::AFFINITY_INFO, [target, 0, 0]);
        ensure_eq!(got, code::INVALID_PARAMETERS, "AFFINITY_INFO of {target:#x}");
    }
    for level in [1, 3, 4, u64::MAX] {
        let got = call(function::AFFINITY_INFO, [smp::affinity(0), level, 0]);
        ensure_eq!(got, code::INVALID_PARAMETERS, "AFFINITY_INFO of level {level:#x}");
    }
    Ok(())
}

fn on_self() -> Outcome {
    let outside = crate::memory::hole().unwrap_or(0);
    let got = call(function::CPU_ON, [smp::affinity(0), rt::psci::entry_point(), outside]);
    ensure_eq!(got, code::ALREADY_ON, "CPU_ON of this CPU");
    Ok(())
}

fn on_unknown() -> Outcome {
    for target in [0xff, 0xfe00, 0xfe_0000, 0xfe << 32] {
        let got = call(function::CPU_ON, [target, rt::psci::entry_point(), 0]);
        ensure_eq!(got, code::INVALID_PARAMETERS, "CPU_ON of {target:#x}");
    }
    if !bare() {
        let got = call(function::CPU_ON, [smp::affinity(0) | 1 << 31, rt::psci::entry_point(), 0]);
        ensure_eq!(got, code::INVALID_PARAMETERS, "CPU_ON of an MPIDR with its RES1 bit");
    }
    Ok(())
}

fn on_bad_entry() -> Outcome {
    crew::dismiss();
    let device = gic::distributor().base();
    for entry in [device, crate::memory::hole().unwrap_or(device), u64::MAX - 3] {
        let got = call(function::CPU_ON, [smp::affinity(1), entry, 0]);
        ensure_eq!(got, code::INVALID_ADDRESS, "CPU_ON at {entry:#x}");
        ensure_eq!(rt::psci::affinity_info(smp::affinity(1)), 1, "AFFINITY_INFO after it");
    }
    Ok(())
}

fn suspend() -> Outcome {
    let timer = Timer::Virtual;
    gic::enable(timer.intid());
    for f in [function::CPU_SUSPEND, narrow(function::CPU_SUSPEND)] {
        let compare = count() + ticks(5_000);
        timer.start(compare);
        ensure_eq!(call(f, [0; 3]), 0, "CPU_SUSPEND({f:#x}) to standby");
        // It may come back early, but the wake-up must be the timer's in the end.
        let Some(taken) = taken::next() else { return Err(why(format_args!("no timer interrupt after it"))) };
        ensure_eq!(taken.intid, timer.intid(), "interrupt");
        ensure!(count() >= compare, "the timer fired early");
        timer.stop();
        gic::end(taken.intid);
    }
    Ok(())
}

fn suspend_bad() -> Outcome {
    for state in [1 << 16, 1 << 16 | 3, 0x7fff_ffff, 1 << 31] {
        let got = call(function::CPU_SUSPEND, [state, rt::psci::entry_point(), 0]);
        ensure_eq!(got, code::INVALID_PARAMETERS, "CPU_SUSPEND({state:#x})");
    }
    Ok(())
}

fn reset2_bad() -> Outcome {
    for kind in [1, 0x7fff_ffff] {
        let got = call(function::SYSTEM_RESET2, [kind, 0, 0]);
        ensure_eq!(got, code::INVALID_PARAMETERS, "SYSTEM_RESET2({kind:#x})");
    }
    Ok(())
}

/// Function IDs of every owner (DEN0028E 6.1) that no guest is given.
const UNKNOWN: [u64; 20] = [
    0,
    1,
    0x7fff_ffff,
    0x8000_0100,
    0x8100_0000,
    0x8200_0000,
    0x8300_0000,
    0x8400_0005,
    0x8400_0007,
    0x8400_0050,
    0x84ff_ffff,
    0x8500_0000,
    0x8600_0000,
    0x8700_0000,
    0xb000_0000,
    0xb200_0000,
    0xc200_0000,
    0xc300_0000,
    0xf200_ff01,
    0xffff_ffff,
];

fn unknown() -> Outcome {
    for conduit in [Conduit::Hvc, Conduit::Smc] {
        for f in UNKNOWN {
            ensure_eq!(call_by(conduit, f, [1, 2, 3]), code::NOT_SUPPORTED, "{conduit:?} {f:#x}");
        }
    }
    Ok(())
}

fn upper_half() -> Outcome {
    // The function identifier is W0; a 32-bit call's arguments are W registers (DEN0028E 2.6).
    let junk = 0xdead_beef << 32;
    ensure_eq!(call(function::VERSION | junk, [0; 3]), 0x1_0001, "VERSION");
    let got = call(narrow(function::AFFINITY_INFO), [smp::affinity(0) | junk, junk, 0]);
    ensure_eq!(got, 0, "AFFINITY_INFO, 32 bits");
    let got = call(function::AFFINITY_INFO, [smp::affinity(0) | junk, 0, 0]);
    ensure_eq!(got, code::INVALID_PARAMETERS, "AFFINITY_INFO, 64 bits");
    Ok(())
}

fn registers_kept() -> Outcome {
    for f in [function::VERSION, function::SMCCC_VERSION, 0x8600_0000] {
        let mut x: [u64; 18] = core::array::from_fn(|n| 0x0101_0101_0101_0101 * n as u64);
        let [x0, ..] = &mut x;
        *x0 = f;
        let back = call_with(Conduit::Hvc, x);
        for (n, (before, after)) in x.iter().zip(back).enumerate().skip(4) {
            ensure_eq!(after, *before, "x{n} after {f:#x}");
        }
    }
    Ok(())
}

fn immediate() -> Outcome {
    // Reserved by SMCCC: either answer will do, and the guest goes on.
    match catch(|| hvc_with_immediate(function::VERSION)) {
        Ok(x0) => ensure_eq!(x0 as i64, code::NOT_SUPPORTED, "HVC with an immediate"),
        Err(fault) => ensure_eq!(fault.class(), 0, "HVC with an immediate: EC"),
    }
    Ok(())
}
