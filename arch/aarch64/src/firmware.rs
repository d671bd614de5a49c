//! Calls to firmware: PSCI and SMCCC by SMC.

use core::arch::asm;

use bulkhead::hardware::PowerManager;
use bulkhead::ports::{Devices, Firmware};

use crate::cpu::Cpu;

/// PSCI CPU_ON, 64-bit (DEN0022F 5.1.4).
const CPU_ON: u64 = 0xc400_0003;
/// PSCI SYSTEM_OFF (DEN0022F 5.1.9).
const SYSTEM_OFF: u64 = 0x8400_0008;

/// An SMC; SMCCC 1.1 keeps x4 to x17 for callers of 1.1, older firmware does not, so they are given up (DEN0028E 2.6).
pub fn smc(args: [u64; 8]) -> [u64; 4] {
    let [mut x0, mut x1, mut x2, mut x3, x4, x5, x6, x7] = args;
    // SAFETY: firmware at EL3 is trusted as the hardware is; it keeps x18 to x30 and SP, and touches no memory of ours.
    unsafe {
        asm!("smc #0", inout("x0") x0, inout("x1") x1, inout("x2") x2, inout("x3") x3,
            inout("x4") x4 => _, inout("x5") x5 => _, inout("x6") x6 => _, inout("x7") x7 => _, out("x8") _, out("x9") _, out("x10") _,
            out("x11") _, out("x12") _, out("x13") _, out("x14") _, out("x15") _, out("x16") _, out("x17") _,
            options(nostack));
    }
    [x0, x1, x2, x3]
}

/// Starts a CPU at a physical address, MMU off, with `context` in x0.
///
/// # Errors
/// PSCI's error code.
pub fn cpu_on(affinity: u64, entry: u64, context: u64) -> Result<(), i32> {
    let [status, ..] = smc([CPU_ON, affinity, entry, context, 0, 0, 0, 0]);
    if status as i32 == 0 { Ok(()) } else { Err(status as i32) }
}

/// Switches the machine off, where firmware can.
pub fn system_off() {
    smc([SYSTEM_OFF, 0, 0, 0, 0, 0, 0, 0]);
}

impl<K> Firmware for Cpu<K> {
    fn smc(&mut self, args: [u64; 4]) -> [u64; 4] {
        let [x0, x1, x2, x3] = args;
        self.forward([x0, x1, x2, x3, 0, 0, 0, 0])
    }

    fn forward(&mut self, args: [u64; 8]) -> [u64; 4] {
        if self.conduit { smc(args) } else { [u64::MAX, 0, 0, 0] }
    }

    fn power_off(&mut self) {
        if self.conduit {
            system_off();
        } else if let Some(power) = self.power
            && self.open(power.page, &mut |registers| PowerManager::switch_off(registers)).is_err()
        {
            log::error!("no memory to reach what switches the machine off");
        }
    }
}
