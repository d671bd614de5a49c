//! The guest's self-hosted debug and PMU registers at the start of a life: off, and nothing of whoever ran before.

use core::arch::asm;

use aarch64_cpu::asm::barrier::{SY, isb};
use aarch64_cpu::registers::{MDSCR_EL1, Writeable};

use crate::el2::Features;
use crate::sysreg::PMCR_EL0;

macro_rules! write {
    ($($encoding:literal = $value:expr),* $(,)?) => { $(
        // SAFETY: a register of the guest's, and no guest runs here now.
        unsafe { asm!(concat!("msr ", $encoding, ", {}"), in(reg) $value, options(nomem, nostack, preserves_flags)) };
    )* };
}

macro_rules! zero {
    ($($encoding:expr),* $(,)?) => { $(
        // SAFETY: as above.
        unsafe { asm!(concat!("msr ", $encoding, ", xzr"), options(nomem, nostack, preserves_flags)) };
    )* };
}

/// Resets all of them.
pub fn reset(features: &Features) {
    // First what makes the others count: no debug exception, the OS double lock open.
    MDSCR_EL1.set(0);
    // MDCCINT_EL1, OSDLR_EL1, OSDTRRX_EL1, OSDTRTX_EL1.
    zero!("S2_0_C0_C2_0", "S2_0_C1_C3_4", "S2_0_C0_C0_2", "S2_0_C0_C3_2");
    let (breakpoints, watchpoints) = features.debug_registers();
    reset_breakpoints(breakpoints);
    reset_watchpoints(watchpoints);
    // DBGCLAIMCLR_EL1. OSLAR_EL1 last: the OS Lock is on after a reset (Arm ARM D24.3.23).
    write!("S2_0_C7_C9_6" = 0xff_u64, "S2_0_C1_C0_4" = 1_u64);
    if features.pmu() {
        reset_counters();
    }
}

/// Zeroes control and value of the first `count`; op2 of a row's two registers differ.
macro_rules! pairs {
    ($count:expr, $value:literal, $control:literal: $($n:literal)*) => { $(
        if $n < $count {
            zero!(concat!("S2_0_C0_C", $n, "_", $control), concat!("S2_0_C0_C", $n, "_", $value));
        }
    )* };
}

fn reset_breakpoints(count: u64) {
    // DBGBCRn_EL1, DBGBVRn_EL1.
    pairs!(count, 4, 5: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
}

fn reset_watchpoints(count: u64) {
    // DBGWCRn_EL1, DBGWVRn_EL1.
    pairs!(count, 6, 7: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
}

fn reset_counters() {
    // PMCNTENCLR_EL0, PMINTENCLR_EL1, PMOVSCLR_EL0: everything off; PMCR_EL0: C and P reset the counters.
    write!("S3_3_C9_C12_2" = u64::from(u32::MAX), "S3_0_C9_C14_2" = u64::from(u32::MAX));
    write!("S3_3_C9_C12_3" = u64::from(u32::MAX), "S3_3_C9_C12_0" = 0b110_u64);
    for counter in 0..PMCR_EL0::get() >> 11 & 0x1f {
        // PMSELR_EL0, then PMXEVTYPER_EL0 is PMEVTYPERn_EL0.
        write!("S3_3_C9_C12_5" = counter);
        isb(SY);
        zero!("S3_3_C9_C13_1");
    }
    // PMUSERENR_EL0, PMSELR_EL0, PMCCFILTR_EL0.
    zero!("S3_3_C9_C14_0", "S3_3_C9_C12_5", "S3_3_C14_C15_7");
}
