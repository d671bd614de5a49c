//! PSCI with hostile arguments.

use rt::gic;
use rt::tree::board;

use crate::report::{Attack, Report};
use crate::stubs;

const CPU_SUSPEND: u64 = 0x8400_0001;
const CPU_ON: u64 = 0x8400_0003;
const AFFINITY_INFO: u64 = 0x8400_0004;
const FEATURES: u64 = 0x8400_000a;
const SYSTEM_RESET2: u64 = 0x8400_0012;
const WIDE: u64 = 1 << 30;

/// INVALID_PARAMETERS.
const INVALID: u64 = -2_i64 as u64;
/// INVALID_ADDRESS.
const ADDRESS: u64 = -9_i64 as u64;
/// ALREADY_ON.
const ON: u64 = -4_i64 as u64;

/// Affinities that are nobody's in this cell.
const FOREIGN: [u64; 14] =
    [2, 3, 4, 7, 15, 16, 0x80, 0xff, 0x100, 0x1_0000, 1 << 24, 1 << 31, 1 << 32, u64::MAX];

/// The class.
pub fn run(report: &mut Report) {
    for smc in [false, true] {
        for wide in [0, WIDE] {
            cpu_on(report, smc, wide);
            affinity_info(report, smc, wide);
            suspend(report, smc, wide);
            reset2(report, smc, wide);
        }
        features(report, smc);
    }
}

fn name(smc: bool, wide: u64) -> &'static str {
    match (smc, wide) {
        (false, 0) => "HVC 32",
        (false, _) => "HVC 64",
        (true, 0) => "SMC 32",
        (true, _) => "SMC 64",
    }
}

fn call(attack: &mut Attack, smc: bool, x: [u64; 4]) -> u64 {
    let [x0, x1, x2, x3] = x;
    let shot = stubs::call(smc, [x0, x1, x2, x3, 0, 0, 0, 0]);
    attack.note(&shot);
    let [x0, ..] = shot.x;
    x0
}

fn cpu_on(report: &mut Report, smc: bool, wide: u64) {
    let ram = board().memory.first().map_or(0, |bank| bank.base);
    let behind = board().memory.first().map_or(0, |bank| bank.base + bank.size);
    for target in FOREIGN {
        let mut attack = Attack::default();
        for entry in [0, 1, ram, behind, u64::MAX, !3] {
            let got = call(&mut attack, smc, [CPU_ON | wide, target, entry, 0]);
            // 32-bit calls have 32 bits of it, and 1 << 32 is this CPU then.
            let seen = if wide == 0 { target & 0xffff_ffff } else { target };
            let wanted = if seen == 0 { [ON, ADDRESS] } else { [INVALID, INVALID] };
            attack.want(
                wanted.contains(&got),
                format_args!("CPU_ON of {target:#x} at {entry:#x} gave {got:#x}"),
            );
        }
        report.done(format_args!("{} CPU_ON of {target:#x}", name(smc, wide)), attack);
    }
    let mut attack = Attack::default();
    for entry in [0, 2, 3, ram + 1, ram + 2, behind, gic::distributor().base(), !3, u64::MAX] {
        for target in [0, 1] {
            let got = call(&mut attack, smc, [CPU_ON | wide, target, entry, 0]);
            attack.want(
                [ADDRESS, ON, INVALID].contains(&got),
                format_args!("CPU_ON of vCPU {target} at {entry:#x} gave {got:#x}"),
            );
        }
    }
    report.done(format_args!("{} CPU_ON at bad entries", name(smc, wide)), attack);
}

fn affinity_info(report: &mut Report, smc: bool, wide: u64) {
    let mut attack = Attack::default();
    for target in FOREIGN.into_iter().chain([0, 1]) {
        for level in [0, 1, 2, 3, 4, 0xff, u64::MAX] {
            let got = call(&mut attack, smc, [AFFINITY_INFO | wide, target, level, 0]);
            attack.want(
                got <= 2 || got == INVALID,
                format_args!("AFFINITY_INFO {target:#x} {level:#x}: {got:#x}"),
            );
        }
    }
    report.done(format_args!("{} AFFINITY_INFO", name(smc, wide)), attack);
}

fn suspend(report: &mut Report, smc: bool, wide: u64) {
    let mut attack = Attack::default();
    // Power-down states and reserved bits; a standby would wait for an interrupt.
    for bit in (16..24).chain(26..32) {
        for rest in [0, 0xffff, 3 << 24] {
            let got = call(&mut attack, smc, [CPU_SUSPEND | wide, 1 << bit | rest, 0, 0]);
            attack.want(got == INVALID, format_args!("CPU_SUSPEND to bit {bit} and {rest:#x} gave {got:#x}"));
        }
    }
    report.done(format_args!("{} CPU_SUSPEND", name(smc, wide)), attack);
}

fn reset2(report: &mut Report, smc: bool, wide: u64) {
    let mut attack = Attack::default();
    for bit in 0..32 {
        let got = call(&mut attack, smc, [SYSTEM_RESET2 | wide, 1 << bit, 0, 0]);
        attack.want(got == INVALID, format_args!("SYSTEM_RESET2 of type {:#x} gave {got:#x}", 1_u64 << bit));
    }
    report.done(format_args!("{} SYSTEM_RESET2", name(smc, wide)), attack);
}

fn features(report: &mut Report, smc: bool) {
    let mut attack = Attack::default();
    for owner in 0..256 {
        for number in 0..0x20 {
            call(&mut attack, smc, [FEATURES, owner << 24 | number, 0, 0]);
        }
    }
    report.done(format_args!("{} PSCI_FEATURES", name(smc, 0)), attack);
}
