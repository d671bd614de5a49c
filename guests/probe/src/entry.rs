//! How the first vCPU starts.

use rt::{entry, read_reg, smp, timer, tree};

use crate::report::{Check, Needs, Outcome, check};
use crate::{ensure, ensure_eq};

/// The group's checks.
pub const CHECKS: &[Check] = &[
    check("entry_level", Needs::Nothing, level),
    check("entry_mmu_off", Needs::Nothing, mmu_off),
    check("entry_masked", Needs::Nothing, masked),
    check("entry_registers", Needs::Bulkhead, registers),
    check("entry_el1_reset", Needs::Bulkhead, el1_reset),
    check("entry_count", Needs::Bulkhead, count),
    check("entry_timers_off", Needs::Nothing, timers_off),
    check("entry_mpidr", Needs::Nothing, mpidr),
    check("entry_zeroed", Needs::Bulkhead, zeroed),
];

/// SCTLR_EL1: M, C, I.
pub const SCTLR_ON: u64 = 1 | 1 << 2 | 1 << 12;
/// DAIF with all four masked.
pub const ALL_MASKED: u64 = 0xf << 6;

fn level() -> Outcome {
    let record = entry::record(0);
    ensure_eq!(record.currentel, 4, "CurrentEL");
    ensure_eq!(record.spsel, 1, "SPSel");
    Ok(())
}

fn mmu_off() -> Outcome {
    ensure_eq!(entry::record(0).sctlr & SCTLR_ON, 0, "SCTLR_EL1.{{M,C,I}}");
    Ok(())
}

fn masked() -> Outcome {
    ensure_eq!(entry::record(0).daif, ALL_MASKED, "DAIF");
    Ok(())
}

fn registers() -> Outcome {
    let [tree, rest @ ..] = entry::record(0).x;
    ensure!(tree != 0 && tree.is_multiple_of(8), "x0 is {tree:#x}");
    for (n, value) in rest.iter().enumerate() {
        ensure_eq!(*value, 0, "x{}", n + 1);
    }
    Ok(())
}

fn el1_reset() -> Outcome {
    let record = entry::record(0);
    // The RES1 bits of SCTLR_EL1 that every Armv8 has, and nothing that a reset would leave off (Arm ARM D24.2.125).
    ensure_eq!(record.sctlr & (1 << 25 | 1 << 24 | 1 << 19 | 1 << 1), 0, "SCTLR_EL1.{{EE,E0E,WXN,A}}");
    ensure_eq!(record.vbar, 0, "VBAR_EL1");
    ensure_eq!(record.ttbr0, 0, "TTBR0_EL1");
    ensure_eq!(record.cpacr, 0, "CPACR_EL1");
    Ok(())
}

fn count() -> Outcome {
    let count = entry::record(0).cntvct;
    ensure!(
        count < timer::frequency() / 10,
        "CNTVCT was {count} at {} Hz: not the cell's start",
        timer::frequency()
    );
    Ok(())
}

fn timers_off() -> Outcome {
    let record = entry::record(0);
    ensure_eq!(record.cntv_ctl & 1, 0, "CNTV_CTL.ENABLE");
    ensure_eq!(record.cntp_ctl & 1, 0, "CNTP_CTL.ENABLE");
    Ok(())
}

fn mpidr() -> Outcome {
    let mpidr = read_reg!("mpidr_el1");
    ensure!(mpidr & 1 << 31 != 0, "MPIDR_EL1 {mpidr:#x} without its RES1 bit");
    ensure_eq!(mpidr & 0xff_00ff_ffff, smp::affinity(0), "affinity");
    Ok(())
}

fn zeroed() -> Outcome {
    if tree::argument("probe.zeroed").is_none() {
        return Ok(());
    }
    let [blob, ..] = entry::record(0).x;
    let tree_slot = tree::Span { base: blob, size: 2 << 20 };
    let image = entry::image();
    for bank in &tree::board().memory {
        let step = (bank.size / 4096).next_multiple_of(4096).max(4096) as usize;
        for at in (bank.base..bank.base + bank.size).step_by(step) {
            if !image.contains(at) && !tree_slot.contains(at) {
                ensure_eq!(rt::mmio::load32(at + 0x3c), 0, "RAM at {at:#x}");
            }
        }
    }
    Ok(())
}
