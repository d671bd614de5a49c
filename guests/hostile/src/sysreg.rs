//! Every System register encoding, read and written (op0 2 and 3), and by name those that no cell has.

use crate::report::{May, Report, Tally};
use crate::shot::{self, NOP, RET, SVC};
use crate::word::{Encoding, Random};

/// Those that this program cannot run without for one instruction: SCTLR, TTBR0, TCR, MAIR, VBAR. [`crate::stage1`] has them.
const VITAL: [Encoding; 5] = [
    Encoding::new(3, 0, 1, 0, 0),
    Encoding::new(3, 0, 2, 0, 0),
    Encoding::new(3, 0, 2, 0, 2),
    Encoding::new(3, 0, 10, 2, 0),
    Encoding::new(3, 0, 12, 0, 0),
];

macro_rules! registers {
    ($($name:literal $op0:literal $op1:literal $crn:literal $crm:literal $op2:literal,)+) => {
        &[$(($name, Encoding::new($op0, $op1, $crn, $crm, $op2))),+]
    };
}

/// Registers that no cell has, whatever its CPU has.
#[rustfmt::skip]
static HIDDEN: &[(&str, Encoding)] = registers![
    // EL2's and EL3's own.
    "VPIDR_EL2"       3 4 0 0 0,   "VMPIDR_EL2"      3 4 0 0 5,   "SCTLR_EL2"      3 4 1 0 0,   "ACTLR_EL2"      3 4 1 0 1,
    "HCR_EL2"         3 4 1 1 0,   "MDCR_EL2"        3 4 1 1 1,   "CPTR_EL2"       3 4 1 1 2,   "HSTR_EL2"       3 4 1 1 3,
    "HFGRTR_EL2"      3 4 1 1 4,   "HACR_EL2"        3 4 1 1 7,   "ZCR_EL2"        3 4 1 2 0,   "HCRX_EL2"       3 4 1 2 2,
    "TTBR0_EL2"       3 4 2 0 0,   "TCR_EL2"         3 4 2 0 2,   "VTTBR_EL2"      3 4 2 1 0,   "VTCR_EL2"       3 4 2 1 2,
    "VNCR_EL2"        3 4 2 2 0,   "SPSR_EL2"        3 4 4 0 0,   "ELR_EL2"        3 4 4 0 1,   "SP_EL1"         3 4 4 1 0,
    "ESR_EL2"         3 4 5 2 0,   "VSESR_EL2"       3 4 5 2 3,   "FAR_EL2"        3 4 6 0 0,   "HPFAR_EL2"      3 4 6 0 4,
    "MAIR_EL2"        3 4 10 2 0,  "VBAR_EL2"        3 4 12 0 0,  "RMR_EL2"        3 4 12 0 2,  "ICC_SRE_EL2"    3 4 12 9 5,
    "ICH_HCR_EL2"     3 4 12 11 0, "ICH_VTR_EL2"     3 4 12 11 1, "ICH_VMCR_EL2"   3 4 12 11 7, "ICH_AP1R0_EL2"  3 4 12 9 0,
    "ICH_LR0_EL2"     3 4 12 12 0, "ICH_LR15_EL2"    3 4 12 13 7, "TPIDR_EL2"      3 4 13 0 2,  "CNTVOFF_EL2"    3 4 14 0 3,
    "CNTHCTL_EL2"     3 4 14 1 0,  "CNTHP_CTL_EL2"   3 4 14 2 1,  "CNTHP_CVAL_EL2" 3 4 14 2 2,  "CNTHV_CTL_EL2"  3 4 14 3 1,
    "SCTLR_EL12"      3 5 1 0 0,   "CPACR_EL12"      3 5 1 0 2,   "TTBR0_EL12"     3 5 2 0 0,   "VBAR_EL12"      3 5 12 0 0,
    "ELR_EL12"        3 5 4 0 1,   "CNTKCTL_EL12"    3 5 14 1 0,  "CNTV_CTL_EL02"  3 5 14 3 1,  "CNTP_CTL_EL02"  3 5 14 2 1,
    "SCTLR_EL3"       3 6 1 0 0,   "SCR_EL3"         3 6 1 1 0,   "CPTR_EL3"       3 6 1 1 2,   "MDCR_EL3"       3 6 1 3 1,
    "ELR_EL3"         3 6 4 0 1,   "VBAR_EL3"        3 6 12 0 0,  "ICC_CTLR_EL3"   3 6 12 12 4, "CNTPS_CTL_EL1"  3 7 14 2 1,
    // RAS records, LORegions, MPAM.
    "ERRIDR_EL1"      3 0 5 3 0,   "ERRSELR_EL1"     3 0 5 3 1,   "ERXFR_EL1"      3 0 5 4 0,   "ERXCTLR_EL1"    3 0 5 4 1,
    "ERXSTATUS_EL1"   3 0 5 4 2,   "ERXADDR_EL1"     3 0 5 4 3,   "ERXMISC0_EL1"   3 0 5 5 0,   "ERXPFGF_EL1"    3 0 5 4 4,
    "LORSA_EL1"       3 0 10 4 0,  "LOREA_EL1"       3 0 10 4 1,  "LORN_EL1"       3 0 10 4 2,  "LORC_EL1"       3 0 10 4 3,
    "LORID_EL1"       3 0 10 4 7,  "MPAMIDR_EL1"     3 0 10 4 4,  "MPAM1_EL1"      3 0 10 5 0,  "MPAM0_EL1"      3 0 10 5 1,
    // SPE, trace, branch records, AMU.
    "PMSCR_EL1"       3 0 9 9 0,   "PMSICR_EL1"      3 0 9 9 2,   "PMSFCR_EL1"     3 0 9 9 4,   "PMSIDR_EL1"     3 0 9 9 7,
    "PMBLIMITR_EL1"   3 0 9 10 0,  "PMBPTR_EL1"      3 0 9 10 1,  "PMBSR_EL1"      3 0 9 10 3,  "TRBLIMITR_EL1"  3 0 9 11 0,
    "TRBPTR_EL1"      3 0 9 11 1,  "TRFCR_EL1"       3 0 1 2 1,   "TRCIDR0"        2 1 0 8 7,   "TRCOSLAR"       2 1 1 0 4,
    "TRCPRGCTLR"      2 1 0 1 0,   "BRBCR_EL1"       2 1 9 0 0,   "BRBINF0_EL1"    2 1 8 0 0,   "AMCR_EL0"       3 3 13 2 0,
    "AMCFGR_EL0"      3 3 13 2 1,  "AMUSERENR_EL0"   3 3 13 2 3,  "AMCNTENSET0_EL0" 3 3 13 2 5, "AMEVCNTR00_EL0" 3 3 13 4 0,
    // MTE, SME, GCS, permission indirection, NMIs, what newer CPUs add.
    "RGSR_EL1"        3 0 1 0 5,   "GCR_EL1"         3 0 1 0 6,   "TFSR_EL1"       3 0 5 6 0,   "TFSRE0_EL1"     3 0 5 6 1,
    "SMPRI_EL1"       3 0 1 2 4,   "SMCR_EL1"        3 0 1 2 6,   "SVCR"           3 3 4 2 2,   "TPIDR2_EL0"     3 3 13 0 5,
    "GCSCR_EL1"       3 0 2 5 0,   "GCSPR_EL0"       3 3 2 5 1,   "TCR2_EL1"       3 0 2 0 3,   "SCTLR2_EL1"     3 0 1 0 3,
    "PIR_EL1"         3 0 10 2 3,  "POR_EL0"         3 3 10 2 4,  "S2POR_EL1"      3 0 10 2 5,  "AMAIR2_EL1"     3 0 10 3 1,
    "ACCDATA_EL1"     3 0 13 0 5,  "RCWMASK_EL1"    3 0 13 0 6,  "FPMR"           3 3 4 4 2,
    "PMECR_EL1"       3 0 9 14 5,  "PMIAR_EL1"       3 0 9 14 7,  "MDSELR_EL1"     2 0 0 4 2,   "SPMCR_EL0"      2 3 9 12 0,
    // IMPLEMENTATION DEFINED ones: TIDCP.
    "S3_0_C11_C0_2"   3 0 11 0 2,  "S3_0_C15_C0_0"   3 0 15 0 0,  "S3_0_C15_C1_0"  3 0 15 1 0,  "S3_1_C11_C0_2"  3 1 11 0 2,
    "S3_1_C15_C2_0"   3 1 15 2 0,  "S3_1_C15_C2_1"   3 1 15 2 1,  "S3_3_C15_C2_7"  3 3 15 2 7,  "S3_7_C15_C15_7" 3 7 15 15 7,
];

/// ID registers and fields of them that must be 0: EL2, EL3, RAS, MPAM, AMU; MPAM_frac, SME, MTE; trace, SPE; NV.
#[rustfmt::skip]
static ABSENT: &[(&str, Encoding, u64)] = &[
    ("ID_AA64PFR0_EL1",  Encoding::new(3, 0, 0, 4, 0), 0xff00 | 0xfff << 28 & !(0xf << 32) | 0xff << 40),
    ("ID_AA64PFR1_EL1",  Encoding::new(3, 0, 0, 4, 1), 0xf << 8 | 0xff << 16 | 0xf << 24),
    ("ID_AA64PFR2_EL1",  Encoding::new(3, 0, 0, 4, 2), u64::MAX),
    ("ID_AA64SMFR0_EL1", Encoding::new(3, 0, 0, 4, 5), u64::MAX),
    ("ID_AA64DFR0_EL1",  Encoding::new(3, 0, 0, 5, 0), 0xf << 4 | 0xff << 32 & !(0xf << 36) | 0xf << 40),
    ("ID_AA64MMFR2_EL1", Encoding::new(3, 0, 0, 7, 2), 0xf << 24),
    ("ID_AA64AFR0_EL1",  Encoding::new(3, 0, 0, 5, 4), u64::MAX),
    ("S3_0_C0_C7_7",     Encoding::new(3, 0, 0, 7, 7), u64::MAX),
];

/// Words of a stub.
const STUB: usize = 4;

/// The class.
pub fn run(report: &mut Report) {
    for op0 in [2, 3] {
        let readable = read(report, op0);
        write(report, op0, &readable);
    }
}

/// The class of what is hidden: not there, whatever the CPU has.
pub fn hidden(report: &mut Report) {
    // Else some would be this guest's own traps.
    shot::allow_vectors();
    for (name, register) in HIDDEN {
        shot::write(
            0,
            &[register.read(0), RET, register.write(0), RET, register.read(0), SVC, register.write(0), SVC],
        );
        shot::publish(8);
        report
            .attack(format_args!("{name} read"), |tally| tally.judge(&shot::run(0, [0; 8]), May::Undefined));
        report.attack(format_args!("{name} written"), |tally| {
            tally.judge(&shot::run(2, [0; 8]), May::Undefined)
        });
        report.attack(format_args!("{name} read at EL0"), |tally| {
            tally.judge(&shot::run_el0(4, [0; 8]), May::Fault)
        });
        report.attack(format_args!("{name} written at EL0"), |tally| {
            tally.judge(&shot::run_el0(6, [0; 8]), May::Fault)
        });
    }
    for (name, register, fields) in ABSENT {
        shot::write(0, &[register.read(0), RET, register.write(0), RET]);
        shot::publish(4);
        report.attack(format_args!("{name} shows what is hidden"), |tally| {
            let shot = shot::run(0, [0; 8]);
            tally.note(&shot);
            let [value, ..] = shot.x;
            tally.want(value & fields == 0, format_args!("{name} shows {value:#x}"));
        });
        report.attack(format_args!("{name} written"), |tally| {
            tally.judge(&shot::run(2, [u64::MAX, 0, 0, 0, 0, 0, 0, 0]), May::Undefined);
        });
    }
}

/// A bit for each encoding of one op0.
type Set = [u64; 256];

fn read(report: &mut Report, op0: u32) -> Set {
    let mut readable = [0; 256];
    shot::fresh(STUB << 14);
    for (n, encoding) in Encoding::all(op0).enumerate() {
        shot::write(STUB * n, &[encoding.read(0), RET]);
    }
    shot::publish(STUB << 14);
    by_op1(report, op0, "read", |_, n, tally| {
        let shot = shot::run(STUB * n, [0; 8]);
        tally.note(&shot);
        if let Some(word) = readable.get_mut(n / 64).filter(|_| shot.faults == 0) {
            *word |= 1 << (n % 64);
        }
    });
    readable
}

fn write(report: &mut Report, op0: u32, readable: &Set) {
    shot::fresh(STUB << 14);
    for (n, encoding) in Encoding::all(op0).enumerate() {
        // What can be read is put back at once, so that this program lives on.
        let readable = readable.get(n / 64).is_some_and(|word| word >> (n % 64) & 1 == 1);
        let (first, last) = if readable { (encoding.read(9), encoding.write(9)) } else { (NOP, NOP) };
        let middle = if VITAL.contains(&encoding) { encoding.write(9) } else { encoding.write(0) };
        shot::write(STUB * n, &[first, middle, last, RET]);
    }
    shot::publish(STUB << 14);
    let mut random = Random::new(u64::from(op0));
    for (name, value) in [("zero", Some(0)), ("ones", Some(u64::MAX)), ("random", None)] {
        let mut shoot = |_: Encoding, n: usize, tally: &mut Tally| {
            tally.note(&shot::run(STUB * n, [value.unwrap_or_else(|| random.next()), 0, 0, 0, 0, 0, 0, 0]));
        };
        by_op1(report, op0, name, &mut shoot);
        crate::interrupts::quiet();
    }
}

/// One attack for each op1.
pub fn by_op1(report: &mut Report, op0: u32, what: &str, mut shoot: impl FnMut(Encoding, usize, &mut Tally)) {
    let mut tally = Tally::default();
    for (n, encoding) in Encoding::all(op0).enumerate() {
        shoot(encoding, n, &mut tally);
        if n & 0x7ff == 0x7ff {
            report.done(format_args!("op0 {op0} op1 {} {what}", encoding.op1()), core::mem::take(&mut tally));
        }
    }
}
