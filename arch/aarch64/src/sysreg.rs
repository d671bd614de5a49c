//! System registers that `aarch64-cpu` does not have, by their encodings (Arm ARM D24), so that no assembler
//! needs to know their names.

use core::arch::asm;

/// Defines registers as types with `get` and `set`.
macro_rules! registers {
    ($($(#[$doc:meta])* $name:ident = $encoding:literal;)*) => {
        $(
            $(#[$doc])*
            #[expect(non_camel_case_types, reason = "spelled as the Arm ARM spells it")]
            pub struct $name;

            #[allow(dead_code, reason = "not every register is used both ways")]
            impl $name {
                /// Reads the register.
                #[inline(always)]
                pub fn get() -> u64 {
                    let value;
                    // SAFETY: reading a system register has no effect on memory. A register the CPU does not have
                    // would be UNDEFINED: callers ask the ID registers first.
                    unsafe { asm!(concat!("mrs {}, ", $encoding), out(reg) value, options(nomem, nostack, preserves_flags)) };
                    value
                }

                /// Writes the register.
                #[inline(always)]
                pub fn set(value: u64) {
                    // SAFETY: none of the registers listed here changes how EL2 itself accesses memory; those that do are
                    // written in `mmu` and `entry`. A register the CPU does not have would be UNDEFINED: callers ask first.
                    unsafe { asm!(concat!("msr ", $encoding, ", {}"), in(reg) value, options(nostack, preserves_flags)) };
                }
            }
        )*
    };
}

registers! {
    /// Virtualization Processor ID Register.
    VPIDR_EL2 = "S3_4_C0_C0_0";
    /// Hypervisor System Trap Register.
    HSTR_EL2 = "S3_4_C1_C1_3";
    /// Hypervisor Auxiliary Control Register.
    HACR_EL2 = "S3_4_C1_C1_7";
    /// Extended Hypervisor Configuration Register (FEAT_HCX).
    HCRX_EL2 = "S3_4_C1_C2_2";
    /// SVE Control Register (FEAT_SVE).
    ZCR_EL2 = "S3_4_C1_C2_0";
    /// Trace Filter Control Register (FEAT_TRF).
    TRFCR_EL2 = "S3_4_C1_C2_1";
    /// SME Control Register (FEAT_SME).
    SMCR_EL2 = "S3_4_C1_C2_6";
    /// System Control Register 2 (FEAT_SCTLR2).
    SCTLR2_EL2 = "S3_4_C1_C0_3";
    /// Translation Control Register 2 (FEAT_TCR2).
    TCR2_EL2 = "S3_4_C2_C0_3";
    /// Guarded Control Stack Control Register (FEAT_GCS).
    GCSCR_EL2 = "S3_4_C2_C5_0";
    /// Hypervisor Fine-Grained Read Trap Register (FEAT_FGT).
    HFGRTR_EL2 = "S3_4_C1_C1_4";
    /// Hypervisor Fine-Grained Write Trap Register (FEAT_FGT).
    HFGWTR_EL2 = "S3_4_C1_C1_5";
    /// Hypervisor Fine-Grained Instruction Trap Register (FEAT_FGT).
    HFGITR_EL2 = "S3_4_C1_C1_6";
    /// Hypervisor Debug Fine-Grained Read Trap Register (FEAT_FGT).
    HDFGRTR_EL2 = "S3_4_C3_C1_4";
    /// Hypervisor Debug Fine-Grained Write Trap Register (FEAT_FGT).
    HDFGWTR_EL2 = "S3_4_C3_C1_5";
    /// Hypervisor Activity Monitors Fine-Grained Read Trap Register (FEAT_FGT and FEAT_AMUv1).
    HAFGRTR_EL2 = "S3_4_C3_C1_6";
    /// Hypervisor Debug Fine-Grained Read Trap Register 2 (FEAT_FGT2).
    HDFGRTR2_EL2 = "S3_4_C3_C1_0";
    /// Hypervisor Debug Fine-Grained Write Trap Register 2 (FEAT_FGT2).
    HDFGWTR2_EL2 = "S3_4_C3_C1_1";
    /// Hypervisor Fine-Grained Read Trap Register 2 (FEAT_FGT2).
    HFGRTR2_EL2 = "S3_4_C3_C1_2";
    /// Hypervisor Fine-Grained Write Trap Register 2 (FEAT_FGT2).
    HFGWTR2_EL2 = "S3_4_C3_C1_3";
    /// Hypervisor Fine-Grained Instruction Trap Register 2 (FEAT_FGT2).
    HFGITR2_EL2 = "S3_4_C3_C1_7";
    /// MPAM2 Register (FEAT_MPAM).
    MPAM2_EL2 = "S3_4_C10_C5_0";
    /// MPAM Hypervisor Control Register (FEAT_MPAM with MPAMIDR_EL1.HAS_HCR).
    MPAMHCR_EL2 = "S3_4_C10_C4_0";
    /// MPAM ID Register (FEAT_MPAM).
    MPAMIDR_EL1 = "S3_0_C10_C4_4";
    /// Statistical Profiling Control Register (FEAT_SPE).
    PMSCR_EL2 = "S3_4_C9_C9_0";
    /// Branch Record Buffer Control Register (FEAT_BRBE).
    BRBCR_EL2 = "S2_4_C9_C0_0";
    /// Virtual-timer control of the EL2 virtual timer (FEAT_VHE).
    CNTHV_CTL_EL2 = "S3_4_C14_C3_1";
    /// Context ID Register (FEAT_VHE).
    CONTEXTIDR_EL2 = "S3_4_C13_C0_1";
    /// Translation Table Base Register 1 (FEAT_VHE): not walked, EPD1 is set.
    TTBR1_EL2 = "S3_4_C2_C0_1";
    /// Counter-timer Physical Offset Register (FEAT_ECV_POFF).
    CNTPOFF_EL2 = "S3_4_C14_C0_6";
    /// AArch64 Processor Feature Register 0.
    ID_AA64PFR0_EL1 = "S3_0_C0_C4_0";
    /// AArch64 Processor Feature Register 1.
    ID_AA64PFR1_EL1 = "S3_0_C0_C4_1";
    /// AArch64 Debug Feature Register 0.
    ID_AA64DFR0_EL1 = "S3_0_C0_C5_0";
    /// AArch64 Instruction Set Attribute Register 0.
    ID_AA64ISAR0_EL1 = "S3_0_C0_C6_0";
    /// AArch64 Instruction Set Attribute Register 1.
    ID_AA64ISAR1_EL1 = "S3_0_C0_C6_1";
    /// AArch64 Instruction Set Attribute Register 2.
    ID_AA64ISAR2_EL1 = "S3_0_C0_C6_2";
    /// AArch64 Memory Model Feature Register 0.
    ID_AA64MMFR0_EL1 = "S3_0_C0_C7_0";
    /// AArch64 Memory Model Feature Register 1.
    ID_AA64MMFR1_EL1 = "S3_0_C0_C7_1";
    /// AArch64 Memory Model Feature Register 4.
    ID_AA64MMFR4_EL1 = "S3_0_C0_C7_4";
    /// AArch64 Memory Model Feature Register 3.
    ID_AA64MMFR3_EL1 = "S3_0_C0_C7_3";
    /// Interrupt acknowledge, Group 1.
    ICC_IAR1_EL1 = "S3_0_C12_C12_0";
    /// End of interrupt, Group 1.
    ICC_EOIR1_EL1 = "S3_0_C12_C12_1";
    /// Binary point, Group 1.
    ICC_BPR1_EL1 = "S3_0_C12_C12_3";
    /// Interrupt group 1 enable.
    ICC_IGRPEN1_EL1 = "S3_0_C12_C12_7";
    /// CPU interface control.
    ICC_CTLR_EL1 = "S3_0_C12_C12_4";
    /// Deactivate interrupt.
    ICC_DIR_EL1 = "S3_0_C12_C11_1";
    /// Running priority.
    ICC_RPR_EL1 = "S3_0_C12_C11_3";
    /// SGI generation, Group 1.
    ICC_SGI1R_EL1 = "S3_0_C12_C11_5";
    /// Priority mask.
    ICC_PMR_EL1 = "S3_0_C4_C6_0";
    /// Active priorities, Group 1.
    ICC_AP1R0_EL1 = "S3_0_C12_C9_0";
    /// The same, with 6 bits of priority.
    ICC_AP1R1_EL1 = "S3_0_C12_C9_1";
    /// The same, with 7 bits.
    ICC_AP1R2_EL1 = "S3_0_C12_C9_2";
    /// The same, with 7 bits.
    ICC_AP1R3_EL1 = "S3_0_C12_C9_3";
    /// Compare value of the EL2 physical timer.
    CNTHP_CVAL_EL2 = "S3_4_C14_C2_2";
    /// List registers that are empty.
    ICH_ELRSR_EL2 = "S3_4_C12_C11_5";
    /// Performance Monitors Control Register (FEAT_PMUv3).
    PMCR_EL0 = "S3_3_C9_C12_0";
    /// Software thread ID, EL0 (FEAT_CSV2_2).
    SCXTNUM_EL0 = "S3_3_C13_C0_7";
}

/// Registers of the guest's whose names mean EL2's own where EL2 runs with VHE (Arm ARM D24.1.3.1, "Redirection of EL1 system registers
/// at EL2"): `_EL12` and `_EL02` reach the guest's then, and are UNDEFINED otherwise. Both have op1 5 and the rest of the encoding.
macro_rules! guest_registers {
    ($($(#[$doc:meta])* $name:ident = $op1:literal $rest:literal;)*) => {
        $(
            $(#[$doc])*
            #[expect(non_camel_case_types, reason = "spelled as the Arm ARM spells it")]
            pub struct $name;

            #[allow(dead_code, reason = "not every register is used both ways")]
            impl $name {
                /// Reads the guest's register.
                #[inline(always)]
                pub fn get(e2h: bool) -> u64 {
                    let value;
                    if e2h {
                        // SAFETY: reading a system register has no effect on memory. Callers ask for it only where the CPU has it.
                        unsafe { asm!(concat!("mrs {}, S3_5_", $rest), out(reg) value, options(nomem, nostack, preserves_flags)) };
                    } else {
                        // SAFETY: as above.
                        unsafe { asm!(concat!("mrs {}, S3_", $op1, "_", $rest), out(reg) value, options(nomem, nostack, preserves_flags)) };
                    }
                    value
                }

                /// Writes the guest's register.
                #[inline(always)]
                pub fn set(e2h: bool, value: u64) {
                    if e2h {
                        // SAFETY: a register of the guest's regime, which EL2 itself does not use; no guest runs here now.
                        unsafe { asm!(concat!("msr S3_5_", $rest, ", {}"), in(reg) value, options(nostack, preserves_flags)) };
                    } else {
                        // SAFETY: as above.
                        unsafe { asm!(concat!("msr S3_", $op1, "_", $rest, ", {}"), in(reg) value, options(nostack, preserves_flags)) };
                    }
                }
            }
        )*
    };
}

guest_registers! {
    /// System Control Register.
    SCTLR_EL1 = 0 "C1_C0_0";
    /// Architectural Feature Access Control Register.
    CPACR_EL1 = 0 "C1_C0_2";
    /// SVE Control Register (FEAT_SVE).
    ZCR_EL1 = 0 "C1_C2_0";
    /// Translation Table Base Register 0.
    TTBR0_EL1 = 0 "C2_C0_0";
    /// Translation Table Base Register 1.
    TTBR1_EL1 = 0 "C2_C0_1";
    /// Translation Control Register.
    TCR_EL1 = 0 "C2_C0_2";
    /// Saved Program Status Register.
    SPSR_EL1 = 0 "C4_C0_0";
    /// Exception Link Register.
    ELR_EL1 = 0 "C4_C0_1";
    /// Auxiliary Fault Status Register 0.
    AFSR0_EL1 = 0 "C5_C1_0";
    /// Auxiliary Fault Status Register 1.
    AFSR1_EL1 = 0 "C5_C1_1";
    /// Exception Syndrome Register.
    ESR_EL1 = 0 "C5_C2_0";
    /// Fault Address Register.
    FAR_EL1 = 0 "C6_C0_0";
    /// Memory Attribute Indirection Register.
    MAIR_EL1 = 0 "C10_C2_0";
    /// Auxiliary Memory Attribute Indirection Register.
    AMAIR_EL1 = 0 "C10_C3_0";
    /// Vector Base Address Register.
    VBAR_EL1 = 0 "C12_C0_0";
    /// Context ID Register.
    CONTEXTIDR_EL1 = 0 "C13_C0_1";
    /// Software thread ID, EL1 (FEAT_CSV2_2).
    SCXTNUM_EL1 = 0 "C13_C0_7";
    /// Counter-timer Kernel Control Register.
    CNTKCTL_EL1 = 0 "C14_C1_0";
    /// Control of the physical timer.
    CNTP_CTL_EL0 = 3 "C14_C2_1";
    /// Compare value of the physical timer.
    CNTP_CVAL_EL0 = 3 "C14_C2_2";
    /// Control of the virtual timer.
    CNTV_CTL_EL0 = 3 "C14_C3_1";
    /// Compare value of the virtual timer.
    CNTV_CVAL_EL0 = 3 "C14_C3_2";
}

/// A four-bit field of an ID register.
pub fn field(register: u64, shift: u32) -> u64 {
    register.wrapping_shr(shift) & 0xf
}
