//! PSCI and SMCCC calls (DEN0022F, DEN0028E).

use core::arch::asm;

use crate::asm::secondary;
use crate::tree::{self, Conduit, board};
use crate::{exception, regs};

/// Function identifiers; those that have a 64-bit form are given in it.
pub mod function {
    #![allow(missing_docs, reason = "the names are the specification's own")]
    pub const VERSION: u64 = 0x8400_0000;
    pub const CPU_SUSPEND: u64 = 0xc400_0001;
    pub const CPU_OFF: u64 = 0x8400_0002;
    pub const CPU_ON: u64 = 0xc400_0003;
    pub const AFFINITY_INFO: u64 = 0xc400_0004;
    pub const MIGRATE_INFO_TYPE: u64 = 0x8400_0006;
    pub const SYSTEM_OFF: u64 = 0x8400_0008;
    pub const SYSTEM_RESET: u64 = 0x8400_0009;
    pub const FEATURES: u64 = 0x8400_000a;
    pub const SYSTEM_RESET2: u64 = 0xc400_0012;
    pub const SMCCC_VERSION: u64 = 0x8000_0000;
    pub const SMCCC_ARCH_FEATURES: u64 = 0x8000_0001;
}

/// Return codes (DEN0022F 5.2.2).
pub mod code {
    #![allow(missing_docs, reason = "the names are the specification's own")]
    pub const SUCCESS: i64 = 0;
    pub const NOT_SUPPORTED: i64 = -1;
    pub const INVALID_PARAMETERS: i64 = -2;
    pub const ALREADY_ON: i64 = -4;
    pub const ON_PENDING: i64 = -5;
    pub const INVALID_ADDRESS: i64 = -9;
}

/// A call with x0 to x17 given, and x0 to x17 as they come back.
pub fn call_with(conduit: Conduit, mut x: [u64; 18]) -> [u64; 18] {
    guard(&x);
    let registers = x.as_mut_ptr();
    macro_rules! call {
        ($instruction:literal) => {
            // SAFETY: `guard` keeps CPU_ON from starting a CPU anywhere in this program but at `secondary`; no other
            // call touches its memory. All registers that the call may change are named.
            unsafe {
                asm!(
                    "str x20, [sp, #-16]!",
                    "ldp x0, x1, [x20]",
                    "ldp x2, x3, [x20, #16]",
                    "ldp x4, x5, [x20, #32]",
                    "ldp x6, x7, [x20, #48]",
                    "ldp x8, x9, [x20, #64]",
                    "ldp x10, x11, [x20, #80]",
                    "ldp x12, x13, [x20, #96]",
                    "ldp x14, x15, [x20, #112]",
                    "ldp x16, x17, [x20, #128]",
                    $instruction,
                    "ldr x20, [sp], #16",
                    "stp x0, x1, [x20]",
                    "stp x2, x3, [x20, #16]",
                    "stp x4, x5, [x20, #32]",
                    "stp x6, x7, [x20, #48]",
                    "stp x8, x9, [x20, #64]",
                    "stp x10, x11, [x20, #80]",
                    "stp x12, x13, [x20, #96]",
                    "stp x14, x15, [x20, #112]",
                    "stp x16, x17, [x20, #128]",
                    in("x20") registers,
                    clobber_abi("C"),
                )
            }
        };
    }
    match conduit {
        Conduit::Hvc => call!("hvc #0"),
        Conduit::Smc => call!("smc #0"),
    }
    x
}

/// An HVC with an immediate other than 0: x0 as it comes back.
pub fn hvc_with_immediate(function: u64) -> u64 {
    let mut x0 = function;
    // SAFETY: no interface has calls under this immediate; none can touch this program's memory.
    unsafe { asm!("hvc #0x4a48", inout("x0") x0, clobber_abi("C")) }
    x0
}

/// Refuses calls that would let a CPU run this program from a wrong place.
fn guard(x: &[u64; 18]) {
    let [function, _, entry, ..] = x;
    let is_cpu_on = *function as u32 | 1 << 30 == function::CPU_ON as u32;
    let inside = tree::is_ram(*entry) || tree::is_ram(*entry & 0xffff_ffff);
    if is_cpu_on && inside && *entry != entry_point() {
        exception::stop("CPU_ON with an entry inside this program");
    }
}

/// Where CPU_ON is to start a CPU.
pub fn entry_point() -> u64 {
    (secondary as *const ()).addr() as u64
}

/// A call through a conduit: x0.
pub fn call_by(conduit: Conduit, function: u64, args: [u64; 3]) -> i64 {
    let mut x = [0; 18];
    let [x0, x1, x2, x3, ..] = &mut x;
    *x0 = function;
    [*x1, *x2, *x3] = args;
    let [result, ..] = call_with(conduit, x);
    result as i64
}

/// A call through the tree's conduit: x0.
pub fn call(function: u64, args: [u64; 3]) -> i64 {
    let Some(conduit) = board().psci else { return code::NOT_SUPPORTED };
    call_by(conduit, function, args)
}

/// CPU_OFF; comes back only on failure.
pub(crate) fn cpu_off() {
    call(function::CPU_OFF, [0; 3]);
}

/// SYSTEM_OFF; comes back only on failure.
pub fn system_off() {
    if tree::is_read() {
        call(function::SYSTEM_OFF, [0; 3]);
    }
}

/// SYSTEM_RESET; comes back only on failure.
pub fn system_reset() {
    call(function::SYSTEM_RESET, [0; 3]);
}

/// AFFINITY_INFO of one CPU: 0 on, 1 off, 2 on its way.
pub fn affinity_info(affinity: u64) -> i64 {
    call(function::AFFINITY_INFO, [affinity, 0, 0])
}

/// CPU_ON for a CPU whose record [`crate::entry::prepare`] made.
pub(crate) fn cpu_on(affinity: u64, context: u64) -> i64 {
    regs::dsb_sy();
    call(function::CPU_ON, [affinity, entry_point(), context])
}
