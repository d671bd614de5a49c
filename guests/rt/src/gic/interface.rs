//! The CPU interface: System registers (IHI 0069H 12.2), or those of a GICv2 with the same names (IHI 0048B 4.4).

use super::memory::{self, ENABLE, EOI_MODE, Gicc, is_v2};
use crate::read_reg;
use crate::regs::{dsb_sy, isb, write_reg};

/// The first of the INTIDs that mean "none" (IHI 0069H 2.2.1).
pub const SPECIAL: u32 = 1020;

/// Acknowledges the pending interrupt of highest priority (ICC_IAR1_EL1); 1023 if there is none.
pub fn acknowledge() -> u32 {
    if is_v2() {
        return memory::acknowledge();
    }
    let intid = read_reg!("icc_iar1_el1") as u32;
    dsb_sy();
    isb();
    intid
}

/// Ends an interrupt (ICC_EOIR1_EL1): drops the priority, and deactivates unless the end is split.
pub fn end(intid: u32) {
    if is_v2() {
        return memory::write(Gicc::Eoir, memory::whole(intid));
    }
    write_reg!("icc_eoir1_el1", u64::from(intid));
    isb();
}

/// Deactivates an interrupt (ICC_DIR_EL1).
pub fn deactivate(intid: u32) {
    if is_v2() {
        return memory::write(Gicc::Dir, memory::whole(intid));
    }
    write_reg!("icc_dir_el1", u64::from(intid));
    isb();
}

/// The INTID that an acknowledge would give (ICC_HPPIR1_EL1).
pub fn highest_pending() -> u32 {
    if is_v2() {
        return memory::read(Gicc::Hppir) & 0x3ff;
    }
    read_reg!("icc_hppir1_el1") as u32
}

/// The priority that is running (ICC_RPR_EL1), 0xff when idle.
pub fn running_priority() -> u8 {
    if is_v2() {
        return memory::read(Gicc::Rpr) as u8;
    }
    read_reg!("icc_rpr_el1") as u8
}

/// Whether an IRQ is signalled to this CPU (ISR_EL1.I), masked or not.
pub fn is_signalled() -> bool {
    isb();
    read_reg!("isr_el1") & 1 << 7 != 0
}

/// Only interrupts of a higher priority, a lower number, are signalled (ICC_PMR_EL1).
pub fn set_priority_mask(priority: u8) {
    if is_v2() {
        return memory::write(Gicc::Pmr, u32::from(priority));
    }
    write_reg!("icc_pmr_el1", u64::from(priority));
    isb();
}

/// ICC_PMR_EL1.
pub fn priority_mask() -> u8 {
    if is_v2() {
        return memory::read(Gicc::Pmr) as u8;
    }
    read_reg!("icc_pmr_el1") as u8
}

/// Sets how many low bits of a priority do not preempt (ICC_BPR1_EL1).
pub fn set_binary_point(bits: u8) {
    if is_v2() {
        return memory::write(Gicc::Bpr, u32::from(bits));
    }
    write_reg!("icc_bpr1_el1", u64::from(bits));
    isb();
}

/// ICC_BPR1_EL1.
pub fn binary_point() -> u8 {
    if is_v2() {
        return memory::read(Gicc::Bpr) as u8;
    }
    read_reg!("icc_bpr1_el1") as u8
}

/// Splits priority drop and deactivation (ICC_CTLR_EL1.EOImode), or joins them.
pub fn set_split_eoi(split: bool) {
    if is_v2() {
        let others = memory::read(Gicc::Ctlr) & !EOI_MODE;
        return memory::write(Gicc::Ctlr, if split { others | EOI_MODE } else { others });
    }
    let others = read_reg!("icc_ctlr_el1") & !(1 << 1);
    write_reg!("icc_ctlr_el1", others | u64::from(split) << 1);
    isb();
}

/// ICC_CTLR_EL1; of a GICv2, EOImode where ICC_CTLR_EL1 has it.
pub fn interface_control() -> u64 {
    if is_v2() {
        return u64::from(memory::read(Gicc::Ctlr) & EOI_MODE) >> 8;
    }
    read_reg!("icc_ctlr_el1")
}

/// Enables Group 1 at the CPU interface (ICC_IGRPEN1_EL1).
pub fn set_group1(on: bool) {
    if is_v2() {
        let others = memory::read(Gicc::Ctlr) & !ENABLE;
        return memory::write(Gicc::Ctlr, if on { others | ENABLE } else { others });
    }
    write_reg!("icc_igrpen1_el1", u64::from(on));
    isb();
}

/// Whether Group 1 is enabled at the CPU interface.
pub fn group1() -> bool {
    if is_v2() {
        return memory::read(Gicc::Ctlr) & ENABLE != 0;
    }
    read_reg!("icc_igrpen1_el1") & 1 != 0
}

/// Sends SGI `sgi` to the CPUs with the affinity's Aff3 to Aff1 whose Aff0 has a bit in `list` (ICC_SGI1R_EL1).
pub fn send_list(sgi: u32, affinity: u64, list: u16) {
    if is_v2() {
        // Eight CPUs, of one cluster.
        if affinity < 16 {
            memory::generate(0, list as u8, sgi);
        }
        return;
    }
    let aff1 = affinity >> 8 & 0xff;
    let aff2 = affinity >> 16 & 0xff;
    let aff3 = affinity >> 32 & 0xff;
    let value = u64::from(list) | aff1 << 16 | u64::from(sgi) << 24 | aff2 << 32 | aff3 << 48;
    dsb_sy();
    write_reg!("icc_sgi1r_el1", value);
    isb();
}

/// Sends an SGI to the CPU with this affinity.
pub fn send(sgi: u32, affinity: u64) {
    send_list(sgi, affinity, 1 << (affinity & 0xf));
}

/// Sends an SGI to all other CPUs (ICC_SGI1R_EL1.IRM).
pub fn send_others(sgi: u32) {
    if is_v2() {
        return memory::generate(1, 0, sgi);
    }
    dsb_sy();
    write_reg!("icc_sgi1r_el1", 1 << 40 | u64::from(sgi) << 24);
    isb();
}
