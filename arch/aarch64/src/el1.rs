//! The guest's registers at the start of a life: architectural reset values, and nothing of whoever ran before.

use core::arch::asm;

use aarch64_cpu::asm::barrier::{SY, dsb, isb};
use aarch64_cpu::registers::{
    CNTVOFF_EL2, CSSELR_EL1, ELR_EL2, HCR_EL2, PAR_EL1, Readable, SP_EL0, SP_EL1, SPSR_EL2, TPIDR_EL0,
    TPIDR_EL1, TPIDRRO_EL0, VMPIDR_EL2, VTCR_EL2, VTTBR_EL2, Writeable,
};
use bulkhead::ports::{El1, El1Reg};
use bulkhead::vcpu::{InterruptMode, VcpuReset};

use crate::cpu::{Cpu, State};
use crate::sysreg::*;
use crate::{debug, errata, tlb, world};

/// SCTLR_EL1 with MMU and caches off: its RES1 bits, and WFI and WFE of EL0 untrapped (D24.2.175).
const SCTLR_RESET: u64 = 0x30d5_0800;

/// HCR_EL2.VSE: a virtual SError is pending.
const VSE: u64 = 1 << 8;
/// HCR_EL2.IMO: physical IRQs come to EL2, and EL1 sees the virtual CPU interface.
const IMO: u64 = 1 << 4;
/// HCR_EL2.FMO: the same for physical FIQs.
const FMO: u64 = 1 << 3;
/// HCR_EL2.TWI: WFI comes to EL2.
const TWI: u64 = 1 << 13;

impl<K> El1 for Cpu<K> {
    fn el1(&self, reg: El1Reg) -> u64 {
        let e2h = self.features.e2h();
        match reg {
            El1Reg::Elr => ELR_EL1::get(e2h),
            El1Reg::Esr => ESR_EL1::get(e2h),
            El1Reg::Far => FAR_EL1::get(e2h),
            El1Reg::Sctlr => SCTLR_EL1::get(e2h),
            El1Reg::Spsr => SPSR_EL1::get(e2h),
            El1Reg::Tcr => TCR_EL1::get(e2h),
            El1Reg::Ttbr0 => TTBR0_EL1::get(e2h),
            El1Reg::Ttbr1 => TTBR1_EL1::get(e2h),
            El1Reg::Vbar => VBAR_EL1::get(e2h),
        }
    }

    fn set_el1(&mut self, reg: El1Reg, value: u64) {
        let e2h = self.features.e2h();
        match reg {
            El1Reg::Elr => ELR_EL1::set(e2h, value),
            El1Reg::Esr => ESR_EL1::set(e2h, value),
            El1Reg::Far => FAR_EL1::set(e2h, value),
            El1Reg::Sctlr => SCTLR_EL1::set(e2h, value),
            El1Reg::Spsr => SPSR_EL1::set(e2h, value),
            El1Reg::Tcr => TCR_EL1::set(e2h, value),
            El1Reg::Ttbr0 => TTBR0_EL1::set(e2h, value),
            El1Reg::Ttbr1 => TTBR1_EL1::set(e2h, value),
            El1Reg::Vbar => VBAR_EL1::set(e2h, value),
        }
    }

    fn raise_virtual_serror(&mut self) {
        // VSESR_EL2 is 0 since the reset: an error without a class, which is all that a guest without FEAT_RAS knows.
        HCR_EL2.set(HCR_EL2.get() | VSE);
    }

    fn reset_vcpu(&mut self, reset: &VcpuReset) {
        let e2h = self.features.e2h();
        // What the guest stored to its devices has left this CPU, before another one may stop them (Arm ARM B2.3.10, DSB): of
        // Device memory it is the system that must have it, not the inner shareable domain alone.
        dsb(SY);
        // SErrors of the life that ends: those that wait at the CPU, and the virtual one.
        world::drain_serror();
        // Where its guest was.
        ELR_EL2.set(0);
        SPSR_EL2.set(0);
        let hcr = HCR_EL2.get() & !(VSE | IMO | FMO | TWI);
        // With FMO alone set the GICv3's registers of Group 0 are virtual. A GICv2 has but one group, and its guest may want FIQs.
        let lent = if self.gicv2.is_some() { hcr } else { hcr | FMO };
        HCR_EL2.set(match reset.interrupts {
            InterruptMode::Virtual => hcr | IMO | FMO,
            InterruptMode::Direct { own_wfi: false } => lent | TWI,
            InterruptMode::Direct { own_wfi: true } => lent,
        });
        // First EL1 without a stage 1, then the new stage 2: with speculative AT (errata 1530924 and its kin) a walk must not
        // mix the two.
        SCTLR_EL1::set(e2h, SCTLR_RESET);
        TCR_EL1::set(e2h, 0);
        isb(SY);
        errata::before_new_stage2();
        VTCR_EL2.set(reset.vtcr);
        VTTBR_EL2.set(reset.vttbr);
        isb(SY);
        TTBR0_EL1::set(e2h, 0);
        TTBR1_EL1::set(e2h, 0);
        MAIR_EL1::set(e2h, 0);
        VMPIDR_EL2.set(1 << 31 | reset.affinity.get());
        reset_system(self);
        reset_timers(e2h);
        scrub_vectors();
        if self.features.sve() {
            scrub_predicates();
            ZCR_EL1::set(e2h, 0);
        }
        CPACR_EL1::set(e2h, 0);
        tlb::invalidate_local_guest();
    }

    fn start_vcpu(&mut self, cntvoff: u64) {
        // Those of devices that EL2 stopped meanwhile.
        world::drain_serror();
        TPIDR_EL0.set(0);
        TPIDRRO_EL0.set(0);
        CNTVOFF_EL2.set(cntvoff);
        tlb::invalidate_local_guest();
    }

    #[inline(never)]
    fn id_register(&self, crm: u8, op2: u8) -> u64 {
        let (1..=7, 0..=7) = (crm, op2) else { return 0 };
        let value: u64;
        // The encoding is part of the instruction: one for each of `S3_0_C0_C1_0` to `S3_0_C0_C7_7`, and a jump to it.
        // SAFETY: the whole ID space is readable at EL2 and reads as zero where nothing is defined (D24.1.2).
        unsafe {
            asm!(
                "adr {at}, 2f",
                "add {at}, {at}, {n}, lsl #3",
                "br {at}",
                "2:",
                ".irp crm, 1, 2, 3, 4, 5, 6, 7",
                ".irp op2, 0, 1, 2, 3, 4, 5, 6, 7",
                "mrs {value}, S3_0_C0_C\\crm\\()_\\op2",
                "b 3f",
                ".endr",
                ".endr",
                "3:",
                at = out(reg) _,
                n = in(reg) u64::from(crm - 1) * 8 + u64::from(op2),
                value = out(reg) value,
                options(nomem, nostack, preserves_flags),
            )
        };
        value
    }
}

fn reset_system(cpu: &State) {
    let e2h = cpu.features.e2h();
    ELR_EL1::set(e2h, 0);
    ESR_EL1::set(e2h, 0);
    FAR_EL1::set(e2h, 0);
    SPSR_EL1::set(e2h, 0);
    SP_EL0.set(0);
    SP_EL1.set(0);
    VBAR_EL1::set(e2h, 0);
    TPIDR_EL0.set(0);
    TPIDR_EL1.set(0);
    TPIDRRO_EL0.set(0);
    PAR_EL1.set(0);
    CSSELR_EL1.set(0);
    macro_rules! zero {
        ($($encoding:literal),*) => { $(
            // SAFETY: a register of the guest's, and no guest runs here now.
            unsafe { asm!(concat!("msr ", $encoding, ", xzr"), options(nomem, nostack, preserves_flags)) };
        )* };
    }
    CONTEXTIDR_EL1::set(e2h, 0);
    AMAIR_EL1::set(e2h, 0);
    AFSR0_EL1::set(e2h, 0);
    AFSR1_EL1::set(e2h, 0);
    if cpu.features.scxtnum() {
        SCXTNUM_EL0::set(0);
        SCXTNUM_EL1::set(e2h, 0);
    }
    if cpu.features.pauth() {
        // APIAKey, APIBKey, APDAKey, APDBKey, APGAKey, low and high.
        zero!("S3_0_C2_C1_0", "S3_0_C2_C1_1", "S3_0_C2_C1_2", "S3_0_C2_C1_3", "S3_0_C2_C2_0", "S3_0_C2_C2_1");
        zero!("S3_0_C2_C2_2", "S3_0_C2_C2_3", "S3_0_C2_C3_0", "S3_0_C2_C3_1");
    }
    if cpu.features.ras() {
        // VDISR_EL2: what the guest's DISR_EL1 is while HCR_EL2.AMO is set. VSESR_EL2.
        zero!("S3_4_C12_C1_1", "S3_4_C5_C2_3");
    }
    debug::reset(&cpu.features);
}

fn reset_timers(e2h: bool) {
    CNTV_CTL_EL0::set(e2h, 0);
    CNTP_CTL_EL0::set(e2h, 0);
    CNTV_CVAL_EL0::set(e2h, 0);
    CNTP_CVAL_EL0::set(e2h, 0);
    CNTKCTL_EL1::set(e2h, 0);
}

/// Zeroes the vector registers and their status; EL2 itself never uses them.
fn scrub_vectors() {
    // SAFETY: EL2 is compiled without vector registers, so none of these holds anything of its own. Writing the low 128 bits
    // zeroes the rest of an SVE register (Arm ARM B1.2.2.3).
    unsafe {
        asm!(
            ".arch_extension fp",
            ".arch_extension simd",
            "movi v0.2d, #0",
            "movi v1.2d, #0",
            "movi v2.2d, #0",
            "movi v3.2d, #0",
            "movi v4.2d, #0",
            "movi v5.2d, #0",
            "movi v6.2d, #0",
            "movi v7.2d, #0",
            "movi v8.2d, #0",
            "movi v9.2d, #0",
            "movi v10.2d, #0",
            "movi v11.2d, #0",
            "movi v12.2d, #0",
            "movi v13.2d, #0",
            "movi v14.2d, #0",
            "movi v15.2d, #0",
            "movi v16.2d, #0",
            "movi v17.2d, #0",
            "movi v18.2d, #0",
            "movi v19.2d, #0",
            "movi v20.2d, #0",
            "movi v21.2d, #0",
            "movi v22.2d, #0",
            "movi v23.2d, #0",
            "movi v24.2d, #0",
            "movi v25.2d, #0",
            "movi v26.2d, #0",
            "movi v27.2d, #0",
            "movi v28.2d, #0",
            "movi v29.2d, #0",
            "movi v30.2d, #0",
            "movi v31.2d, #0",
            "msr fpcr, xzr",
            "msr fpsr, xzr",
            ".arch_extension nosimd",
            ".arch_extension nofp",
            options(nomem, nostack, preserves_flags),
        )
    };
}

/// Clears SVE's predicates and the first-fault register.
fn scrub_predicates() {
    // SAFETY: as for the vectors. PFALSE of P0 to P15, then WRFFR from P0, by their words: the assembler need not know SVE.
    unsafe {
        asm!(
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
            ".inst 0x2518e400 | \\n",
            ".endr",
            ".inst 0x25289000",
            options(nomem, nostack, preserves_flags),
        )
    };
}
