//! The counter, and waiting.

use aarch64_cpu::asm;
use aarch64_cpu::asm::barrier::{SY, isb};
use aarch64_cpu::registers::{CNTFRQ_EL0, CNTHP_CTL_EL2, CNTPCT_EL0, Readable, Writeable};
use bulkhead::ports::Timer;

use crate::cpu::Cpu;
use crate::sysreg::CNTHP_CVAL_EL2;

/// CNTPCT_EL0, not earlier than this point of the program (Arm ARM D12.1.1: reads may be speculated).
pub fn counter() -> u64 {
    isb(SY);
    CNTPCT_EL0.get()
}

impl<K> Timer for Cpu<K> {
    fn counter(&self) -> u64 {
        counter()
    }

    fn frequency(&self) -> u64 {
        CNTFRQ_EL0.get()
    }

    fn set_alarm(&mut self, at: Option<u64>) {
        // CNTHP_CTL_EL2.ENABLE; IMASK stays clear (Arm ARM D24.10.4).
        CNTHP_CVAL_EL2::set(at.unwrap_or(u64::MAX));
        CNTHP_CTL_EL2.set(u64::from(at.is_some()));
        isb(SY);
    }

    fn wait_for_interrupt(&mut self) {
        // HCR_EL2.{IMO, FMO, AMO} send interrupts here; a pending one ends WFI although PSTATE masks it (D1.7.2).
        asm::wfi();
    }

    fn relax(&self) {
        core::hint::spin_loop();
    }
}
