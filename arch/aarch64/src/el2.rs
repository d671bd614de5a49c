//! EL2's control registers: every one that the CPU has is written, so that nothing firmware left there reaches a
//! guest (the list is that of the Linux kernel's `booting.rst`).

use aarch64_cpu::asm::barrier::{SY, isb};
use aarch64_cpu::registers::{
    ACTLR_EL2, CNTHCTL_EL2, CNTHP_CTL_EL2, CPTR_EL2, HCR_EL2, ICC_SRE_EL2, MDCR_EL2, MIDR_EL1, Readable,
    VBAR_EL2, Writeable,
};

use crate::sysreg::*;
use crate::{regime, world};

/// What the CPU can do, as far as EL2 must know, and whether EL2 runs with VHE.
#[derive(Clone, Copy, Debug)]
pub struct Features {
    pfr0: u64,
    pfr1: u64,
    dfr0: u64,
    mmfr0: u64,
    mmfr1: u64,
    mmfr3: u64,
    isar1: u64,
    isar2: u64,
    e2h: bool,
}

impl Features {
    /// This CPU's.
    pub fn read() -> Self {
        Self {
            pfr0: ID_AA64PFR0_EL1::get(),
            pfr1: ID_AA64PFR1_EL1::get(),
            dfr0: ID_AA64DFR0_EL1::get(),
            mmfr0: ID_AA64MMFR0_EL1::get(),
            mmfr1: ID_AA64MMFR1_EL1::get(),
            mmfr3: ID_AA64MMFR3_EL1::get(),
            isar1: ID_AA64ISAR1_EL1::get(),
            isar2: ID_AA64ISAR2_EL1::get(),
            e2h: regime::is_e2h(),
        }
    }

    /// ID_AA64MMFR0_EL1.PARange.
    pub fn pa_range(&self) -> u8 {
        field(self.mmfr0, 0) as u8
    }

    /// Whether VMIDs have 16 bits (ID_AA64MMFR1_EL1.VMIDBits).
    pub fn wide_vmid(&self) -> bool {
        field(self.mmfr1, 4) == 2
    }

    /// FEAT_VHE.
    pub fn vhe(&self) -> bool {
        field(self.mmfr1, 8) != 0
    }

    /// Whether EL2 runs with it (HCR_EL2.E2H).
    #[inline(always)]
    pub fn e2h(&self) -> bool {
        self.e2h
    }

    /// The GIC's CPU interface as system registers, which a GICv2 has not.
    pub fn gic(&self) -> bool {
        field(self.pfr0, 24) != 0
    }

    /// FEAT_SVE.
    pub fn sve(&self) -> bool {
        field(self.pfr0, 32) != 0
    }

    /// FEAT_PMUv3; 0xf means a PMU that is not Arm's.
    pub fn pmu(&self) -> bool {
        !matches!(field(self.dfr0, 8), 0 | 0xf)
    }

    /// How many breakpoints and watchpoints there are (ID_AA64DFR0_EL1.BRPs and WRPs are one less).
    pub fn debug_registers(&self) -> (u64, u64) {
        (field(self.dfr0, 12) + 1, field(self.dfr0, 20) + 1)
    }
    /// FEAT_RAS.
    pub fn ras(&self) -> bool {
        field(self.pfr0, 28) != 0
    }
    /// FEAT_RNG.
    pub fn rng(&self) -> bool {
        field(ID_AA64ISAR0_EL1::get(), 60) != 0
    }

    /// FEAT_CSV2_2: SCXTNUM_ELx exist.
    pub fn scxtnum(&self) -> bool {
        field(self.pfr0, 56) >= 2
    }

    /// Pointer authentication, by any of its algorithms.
    pub fn pauth(&self) -> bool {
        self.isar1 & 0xff00_0ff0 != 0 || self.isar2 & 0xff00 != 0
    }

    fn fgt(&self) -> u64 {
        field(self.mmfr0, 56)
    }

    fn ecv(&self) -> u64 {
        field(self.mmfr0, 60)
    }
}

/// Brings this CPU's EL2 into its resting state: no guest loaded, everything that leaks trapped.
pub fn init(features: &Features) {
    VBAR_EL2.set(world::vectors());
    let mut hcr = HCR_EL2::VM::Enable
        + HCR_EL2::SWIO::SET
        + HCR_EL2::FMO::EnableVirtualFIQ
        + HCR_EL2::IMO::EnableVirtualIRQ
        + HCR_EL2::AMO::SET
        + HCR_EL2::TID3::SET
        + HCR_EL2::TSC::EnableTrapEl1SmcToEl2
        + HCR_EL2::TIDCP::SET
        + HCR_EL2::TACR::SET
        + HCR_EL2::TSW::SET
        + HCR_EL2::RW::EL1IsAarch64
        + HCR_EL2::TLOR::SET
        + HCR_EL2::TERR::SET;
    if features.pauth() {
        // The guest owns its keys: neither they nor the instructions trap.
        hcr += HCR_EL2::APK::SET + HCR_EL2::API::SET;
    }
    if features.e2h {
        hcr += HCR_EL2::E2H::EnableOsAtEl2;
    }
    HCR_EL2.write(hcr);
    isb(SY);

    init_traps(features);
    init_timers(features);
    init_debug(features);
    HSTR_EL2::set(0);
    HACR_EL2::set(0);
    ACTLR_EL2.set(0);
    VPIDR_EL2::set(MIDR_EL1.get());
    if features.gic() {
        ICC_SRE_EL2.set(0xf);
    }
    isb(SY);
}

/// CPTR_EL2: FP and SVE, where the CPU has it, are the guest's; AMU, trace and SME are nobody's; CPACR_EL1 does not trap.
struct Cptr {
    resting: u64,
    /// What lets SME through when it changes.
    sme: u64,
}

impl Cptr {
    fn of(features: &Features) -> Self {
        const TAM: u64 = 1 << 30;
        if features.e2h {
            // The layout of CPACR_EL1 (D24.2.30): FPEN and ZEN 0b11 trap nothing, SMEN 0b00 traps all of it; TTA.
            const FPEN: u64 = 0b11 << 20;
            const ZEN: u64 = 0b11 << 16;
            const SMEN: u64 = 0b11 << 24;
            const TTA: u64 = 1 << 28;
            let zen = if features.sve() { ZEN } else { 0 };
            return Self { resting: TAM | TTA | FPEN | zen, sme: SMEN };
        }
        // Without VHE: RES1 bits 13, 9, 7 to 0 with TFP clear; TZ as the CPU has SVE; TCPAC clear; TAM, TTA set; TSM is bit 12, one of the
        // RES1 bits where there is no SME, and stays set.
        const RES1: u64 = 0x32ff;
        const TZ: u64 = 1 << 8;
        const TTA: u64 = 1 << 20;
        const TSM: u64 = 1 << 12;
        let tz = if features.sve() { 0 } else { TZ };
        Self { resting: RES1 | tz | TAM | TTA, sme: TSM }
    }
}

fn init_traps(features: &Features) {
    let Cptr { resting, sme } = Cptr::of(features);
    if field(features.pfr1, 24) != 0 {
        // SME trapped would trap EL2's own access to SMCR_EL2.
        CPTR_EL2.set(resting ^ sme);
        isb(SY);
        SMCR_EL2::set(0);
    }
    CPTR_EL2.set(resting);
    isb(SY);
    if features.sve() {
        // The widest vectors the CPU has: the guest chooses below that.
        ZCR_EL2::set(0xf);
    }
    if field(features.mmfr1, 40) != 0 {
        // FEAT_HCX: nothing that a guest has not been promised.
        HCRX_EL2::set(0);
    }
    if features.fgt() != 0 {
        HFGRTR_EL2::set(0);
        // The n-bits (traps where clear) of HFGWTR, HFGRTR and the rest guard what newer CPUs add: 0 keeps it shut.
        HFGWTR_EL2::set(0);
        HFGITR_EL2::set(0);
        HDFGRTR_EL2::set(0);
        HDFGWTR_EL2::set(0);
        if field(features.pfr0, 44) != 0 {
            HAFGRTR_EL2::set(0);
        }
    }
    if features.fgt() >= 2 {
        HFGRTR2_EL2::set(0);
        HFGWTR2_EL2::set(0);
        HFGITR2_EL2::set(0);
        HDFGRTR2_EL2::set(0);
        HDFGWTR2_EL2::set(0);
    }
    if field(features.mmfr3, 0) != 0 {
        TCR2_EL2::set(0);
    }
    if field(features.mmfr3, 4) != 0 {
        SCTLR2_EL2::set(0);
    }
    if field(features.pfr1, 44) != 0 {
        GCSCR_EL2::set(0);
    }
    if field(features.pfr0, 40) != 0 || field(features.pfr1, 16) != 0 {
        // MPAM2_EL2.{TRAPMPAM0EL1, TRAPMPAM1EL1} and TIDR; MPAMHCR only where MPAMIDR_EL1.HAS_HCR says so.
        MPAM2_EL2::set(1 << 58 | 1 << 49 | 1 << 48);
        if MPAMIDR_EL1::get() >> 17 & 1 == 1 {
            MPAMHCR_EL2::set(0);
        }
    }
}

fn init_timers(features: &Features) {
    // EL1PCTEN and EL1PCEN: both EL1 timers are the cell's. With FEAT_ECV the other fields (traps, CNTPOFF enable) stay 0.
    // With VHE they are the bits 10 and 11, and those in their place are of EL0 under TGE alone.
    const EL1PCTEN_AND_EL1PCEN: u64 = 0b11;
    CNTHCTL_EL2.set(if features.e2h { EL1PCTEN_AND_EL1PCEN << 10 } else { EL1PCTEN_AND_EL1PCEN });
    CNTHP_CTL_EL2.set(0);
    if features.vhe() {
        CNTHV_CTL_EL2::set(0);
        // EL2&0's own: not used, and not firmware's any more.
        CONTEXTIDR_EL2::set(0);
        TTBR1_EL2::set(0);
    }
    if features.ecv() >= 2 {
        CNTPOFF_EL2::set(0);
    }
}

fn init_debug(features: &Features) {
    const HPMD: u64 = 1 << 17;
    const TTRF: u64 = 1 << 19;
    const HCCD: u64 = 1 << 23;
    const TPMS: u64 = 1 << 14;
    let version = field(features.dfr0, 8);
    // HPMN: all counters are the guest's. HPMD and HCCD (PMUv3p1, p5): nothing counts while EL2 runs.
    let counters = if features.pmu() { PMCR_EL0::get() >> 11 & 0x1f } else { 0 };
    let quiet = if features.pmu() && version >= 4 { HPMD } else { 0 }
        | if features.pmu() && version >= 6 { HCCD } else { 0 };
    let trace = if field(features.dfr0, 40) != 0 { TTRF } else { 0 };
    // E2PB and E2TB stay 0: the buffers of SPE and TRBE are EL2's, and out of the guest's reach.
    let profiling = if field(features.dfr0, 32) != 0 { TPMS } else { 0 };
    MDCR_EL2.set(counters | quiet | trace | profiling);
    if field(features.dfr0, 32) != 0 {
        PMSCR_EL2::set(0);
    }
    if field(features.dfr0, 40) != 0 {
        TRFCR_EL2::set(0);
    }
    if field(features.dfr0, 52) != 0 {
        BRBCR_EL2::set(0);
    }
}
