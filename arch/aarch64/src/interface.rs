//! A CPU's physical interface to the GICv3: EL2's own, or lent to the guest that runs.

use aarch64_cpu::asm;
use aarch64_cpu::asm::barrier::{ISHST, SY, dsb, isb};
use bulkhead::cpu::SgiTarget;
use bulkhead::intid::Sgi;
use bulkhead::ports::{CommonReg, CpuInterface, LentInterface};

use crate::cpu::{Cpu, Gicv3};
use crate::stop;
use crate::sysreg::*;

/// Brings this CPU's interface up: system registers, Group 1 on, nothing masked, priority drop apart from
/// deactivation. EL1's own access goes to the virtual interface (HCR_EL2.IMO and FMO).
pub fn init() {
    own_interface(priority_bits());
}

/// The interface as EL2 has it.
fn own_interface(priority_bits: u8) {
    /// ICC_CTLR_EL1.EOImode; CBPR and PMHE stay clear (IHI 0069H 12.2.6).
    const EOI_MODE: u64 = 1 << 1;
    reset_interface(priority_bits, 0xff, EOI_MODE, 1);
}

/// No priority active, preemption by every bit, and these.
fn reset_interface(priority_bits: u8, mask: u64, control: u64, enable: u64) {
    ICC_IGRPEN1_EL1::set(0);
    set_active_priorities(priority_bits, [0; 4]);
    ICC_PMR_EL1::set(mask);
    ICC_BPR1_EL1::set(0);
    ICC_CTLR_EL1::set(control);
    ICC_IGRPEN1_EL1::set(enable);
    isb(SY);
}

/// Bits of priority: there are ICC_AP1R1_EL1 from 6 on, ICC_AP1R2_EL1 and ICC_AP1R3_EL1 with 7 (IHI 0069H 12.2.3).
pub fn priority_bits() -> u8 {
    // ICC_CTLR_EL1.PRIbits is one less than there are.
    (ICC_CTLR_EL1::get() >> 8 & 7) as u8 + 1
}

/// ICC_AP1R`n`_EL1.
#[inline(always)]
fn active_priorities(bits: u8) -> [u64; 4] {
    let second = if bits >= 6 { ICC_AP1R1_EL1::get() } else { 0 };
    let (third, fourth) = if bits >= 7 { (ICC_AP1R2_EL1::get(), ICC_AP1R3_EL1::get()) } else { (0, 0) };
    [ICC_AP1R0_EL1::get(), second, third, fourth]
}

/// Writes them.
#[inline(always)]
fn set_active_priorities(bits: u8, [first, second, third, fourth]: [u64; 4]) {
    ICC_AP1R0_EL1::set(first);
    if bits >= 6 {
        ICC_AP1R1_EL1::set(second);
    }
    if bits >= 7 {
        ICC_AP1R2_EL1::set(third);
        ICC_AP1R3_EL1::set(fourth);
    }
}

/// Interrupts every other CPU by all SGIs that may be enabled there.
pub fn call_all() {
    /// ICC_SGI1R_EL1.IRM: all but this one.
    const ALL_OTHERS: u64 = 1 << 40;
    dsb(ISHST);
    for sgi in 0..16 {
        ICC_SGI1R_EL1::set(ALL_OTHERS | sgi << 24);
    }
    isb(SY);
}

impl CpuInterface for Cpu<Gicv3> {
    #[inline(always)]
    fn acknowledge(&mut self) -> u32 {
        let intid = ICC_IAR1_EL1::get() as u32;
        // The read's effects are seen by what follows only behind a DSB (IHI 0069H 4.4.3).
        dsb(SY);
        intid
    }

    #[inline(always)]
    fn running_priority(&self) -> u8 {
        ICC_RPR_EL1::get().wrapping_shl(u32::from(self.rpr_shift)) as u8
    }

    #[inline(always)]
    fn drop_priority(&mut self, intid: u32) {
        ICC_EOIR1_EL1::set(u64::from(intid));
        // Each EOI is ordered before the next acknowledge (IHI 0069H 4.1.1).
        isb(SY);
    }

    #[inline(always)]
    fn deactivate(&mut self, intid: u32) {
        // Whoever stops the machine sends SGIs, and every one that is taken comes here.
        if intid < 16 {
            stop::halt_if_stopped();
        }
        ICC_DIR_EL1::set(u64::from(intid));
        isb(SY);
    }

    #[inline(always)]
    fn end(&mut self, intid: u32) {
        if intid < 16 {
            stop::halt_if_stopped();
        }
        ICC_EOIR1_EL1::set(u64::from(intid));
        ICC_DIR_EL1::set(u64::from(intid));
        isb(SY);
    }

    #[inline(always)]
    fn send_sgi(&mut self, sgi: Sgi, to: SgiTarget) {
        // What was stored for the target must be visible before the interrupt is (Arm ARM B2.3.10).
        dsb(ISHST);
        ICC_SGI1R_EL1::set(to.get() | u64::from(sgi.intid()) << 24);
        isb(SY);
    }

    fn send_event(&self) {
        dsb(ISHST);
        asm::sev();
    }
}

/// ICC_PMR_EL1 that lets EL2's kick through, which has priority 0, and no interrupt of a guest that has the interface, the highest of
/// which has 0x20 (`bulkhead::vgic`).
const MASK_ALL_BUT_KICK: u64 = 0x20;

impl LentInterface for Cpu<Gicv3> {
    fn lend(&mut self) {
        reset_interface(self.priority_bits, 0, 0, 0);
    }

    fn take_back(&mut self) {
        own_interface(self.priority_bits);
    }

    fn common(&self, reg: CommonReg) -> u64 {
        match reg {
            CommonReg::Ctlr => ICC_CTLR_EL1::get(),
            CommonReg::Pmr => ICC_PMR_EL1::get(),
            CommonReg::Rpr => u64::from(self.running_priority()),
        }
    }

    fn set_common(&mut self, reg: CommonReg, value: u64) {
        match reg {
            CommonReg::Ctlr => ICC_CTLR_EL1::set(value),
            CommonReg::Pmr => ICC_PMR_EL1::set(value),
            CommonReg::Rpr => {}
        }
        isb(SY);
    }

    #[inline]
    fn wait_for_guest(&mut self) {
        // Where the priorities are not shifted for us, those of Non-secure interrupts are the upper half.
        let open = if self.rpr_shift == 0 { MASK_ALL_BUT_KICK } else { 0x80 | MASK_ALL_BUT_KICK >> 1 };
        if ICC_PMR_EL1::get() < open || ICC_IGRPEN1_EL1::get() == 0 || is_any_active(self.priority_bits) {
            return wait_with_all_set_aside(self.priority_bits, open);
        }
        dsb(SY);
        asm::wfi();
        stop::halt_if_stopped();
    }
}

/// Whether there is an active priority.
#[inline(always)]
fn is_any_active(bits: u8) -> bool {
    let any = ICC_AP1R0_EL1::get() != 0 || bits >= 6 && ICC_AP1R1_EL1::get() != 0;
    any || bits >= 7 && ICC_AP1R2_EL1::get() | ICC_AP1R3_EL1::get() != 0
}

/// Waits for a guest that holds something against interrupts beside PSTATE.I.
#[cold]
#[inline(never)]
fn wait_with_all_set_aside(bits: u8, open: u64) {
    let (mask, enable) = (ICC_PMR_EL1::get(), ICC_IGRPEN1_EL1::get());
    let active = active_priorities(bits);
    set_active_priorities(bits, [0; 4]);
    ICC_PMR_EL1::set(mask.max(open));
    ICC_IGRPEN1_EL1::set(1);
    isb(SY);
    dsb(SY);
    asm::wfi();
    stop::halt_if_stopped();
    ICC_IGRPEN1_EL1::set(enable);
    ICC_PMR_EL1::set(mask);
    set_active_priorities(bits, active);
    isb(SY);
}
