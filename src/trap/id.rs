//! The ID registers that a guest sees (HCR_EL2.TID3): what it may use, no more.
//!
//! An allow list of fields (Arm ARM D24.2.57 to D24.2.87). A field that is not named reads 0, so whatever a newer CPU
//! adds stays hidden until somebody has thought about it. Hidden are EL2 with all that belongs to it (VH, NV, FGT, HCX,
//! ECV, TWED, EVT, stage 2), what leaks or has EL2 controls that stay closed (AMU, MPAM, RAS, SME, MTE, NMI, GCS, SPE,
//! trace, TRBE, BRBE, LS64, MOPS, TME, LOR, THE, 52-bit addresses) and big-endian data at EL1, which the
//! emulated registers would not understand.

use crate::ports::El1;

#[cfg(test)]
mod tests;

/// How much of a 4-bit field a guest sees.
#[derive(Clone, Copy)]
enum Keep {
    /// The number, but no more than this.
    UpTo(u8),
    /// A signed field: 8 and above mean "not there" and stay; others as with `UpTo`.
    Signed(u8),
    /// As `UpTo`, but 15 means something private to the CPU's maker, which counts as 0.
    Version(u8),
}

/// A field: its lowest bit and how much of it is seen.
type Field = (u8, Keep);

const fn all(bit: u8) -> Field {
    (bit, Keep::UpTo(15))
}
const fn up_to(bit: u8, most: u8) -> Field {
    (bit, Keep::UpTo(most))
}
const fn signed(bit: u8, most: u8) -> Field {
    (bit, Keep::Signed(most))
}

/// CRm, op2 and the fields of one register.
type Row = (u8, u8, &'static [Field]);

/// PARange: 48 bits, what a stage 2 without FEAT_LPA2 can reach.
const PARANGE_48: u8 = 5;

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // ID_PFR0_EL1: State0..3, CSV2, DIT; AMU and RAS out.
    (1, 0, &[all(0), all(4), all(8), all(12), up_to(16, 1), all(24)]),
    // ID_PFR1_EL1: ProgMod, MProgMod, GenTimer, GIC; Security and the two virtualization fields out.
    (1, 1, &[all(0), all(8), up_to(16, 1), up_to(28, 1)]),
    // ID_DFR0_EL1: CopDbg, PerfMon; trace out.
    (1, 2, &[up_to(0, 10), (24, Keep::Version(8))]),
    // ID_MMFR0..3_EL1
    (1, 4, WHOLE), (1, 5, WHOLE), (1, 6, WHOLE), (1, 7, WHOLE),
    // ID_ISAR0..5_EL1, ID_MMFR4_EL1, ID_ISAR6_EL1
    (2, 0, WHOLE), (2, 1, WHOLE), (2, 2, WHOLE), (2, 3, WHOLE),
    (2, 4, WHOLE), (2, 5, WHOLE), (2, 6, WHOLE), (2, 7, WHOLE),
    // MVFR0..2_EL1
    (3, 0, WHOLE), (3, 1, WHOLE), (3, 2, WHOLE),
    // ID_PFR2_EL1: CSV3, SSBS; RAS_frac out.
    (3, 4, &[all(0), all(4)]),
    // ID_MMFR5_EL1: ETS.
    (3, 6, &[all(0)]),
    // ID_AA64PFR0_EL1: EL0, EL1 (64-bit alone), FP, AdvSIMD, GIC, SVE, DIT, CSV2, CSV3.
    (4, 0, &[all(0), up_to(4, 1), signed(16, 15), signed(20, 15), up_to(24, 1), all(32), all(48),
        up_to(56, 1), all(60)]),
    // ID_AA64PFR1_EL1: BT, SSBS.
    (4, 1, &[all(0), all(4)]),
    // ID_AA64ZFR0_EL1: SVEver, AES, BitPerm, BF16, B16B16, SHA3, SM4, I8MM, F32MM, F64MM.
    (4, 4, &[all(0), all(4), all(16), all(20), all(24), all(32), all(40), all(44), all(52), all(56)]),
    // ID_AA64DFR0_EL1: DebugVer, PMUVer, BRPs, WRPs, CTX_CMPs, DoubleLock.
    (5, 0, &[up_to(0, 10), (8, Keep::Version(8)), all(12), all(20), all(28), signed(36, 15)]),
    // ID_AA64ISAR0_EL1: AES, SHA1, SHA2, CRC32, Atomic, RDM, SHA3, SM3, SM4, DP, FHM, TS, TLB, RNDR.
    (6, 0, &[all(4), all(8), all(12), all(16), all(20), all(28), all(32), all(36), all(40), all(44), all(48), all(52),
        all(56), all(60)]),
    // ID_AA64ISAR1_EL1: DPB, APA, API, JSCVT, FCMA, LRCPC, GPA, GPI, FRINTTS, SB, SPECRES, BF16, DGH, I8MM, XS.
    (6, 1, &[all(0), all(4), all(8), all(12), all(16), all(20), all(24), all(28), all(32), all(36), all(40), all(44),
        all(48), all(52), all(56)]),
    // ID_AA64ISAR2_EL1: WFxT, RPRES, GPA3, APA3, BC, PAC_frac, CLRBHB, RPRFM, CSSC, LUT.
    (6, 2, &[all(0), all(4), all(8), all(12), all(20), all(24), all(28), all(48), all(52), all(56)]),
    // ID_AA64MMFR0_EL1: PARange, ASIDBits, BigEnd (see `seen`), SNSMem, BigEndEL0, TGran16, TGran64, TGran4, ExS.
    (7, 0, &[up_to(0, PARANGE_48), all(4), all(8), all(12), all(16), up_to(20, 1), signed(24, 0), signed(28, 0),
        all(44)]),
    // ID_AA64MMFR1_EL1: HAFDBS, HPDS, PAN, SpecSEI, ETS, AFP, nTLBPA, ECBHB.
    (7, 1, &[up_to(0, 2), all(12), all(20), all(24), all(36), all(44), all(48), all(60)]),
    // ID_AA64MMFR2_EL1: CnP, UAO, LSM, VARange, CCIDX, ST, AT, IDS, TTL, BBM, E0PD.
    (7, 2, &[all(0), all(4), all(8), up_to(16, 1), all(20), all(28), all(32), up_to(36, 1), all(48), all(52), all(60)]),
];

/// All eight fields of an AArch32 register.
const WHOLE: &[Field] = &[all(0), all(4), all(8), all(12), all(16), all(20), all(24), all(28)];

/// Where ID_AA64MMFR0_EL1 is.
const MMFR0: (u8, u8) = (7, 0);
const BIGEND: u8 = 8;
const BIGEND_EL0: u8 = 16;

fn field(value: u64, bit: u8) -> u8 {
    (value >> (bit & 63)) as u8 & 0xf
}

fn placed(number: u8, bit: u8) -> u64 {
    u64::from(number) << (bit & 63)
}

/// What a guest sees of the register `row` when the CPU has `raw` there.
fn seen(row: &Row, raw: u64) -> u64 {
    let (crm, op2, fields) = *row;
    let mut value = 0;
    for (bit, keep) in fields {
        let number = field(raw, *bit);
        let number = match *keep {
            Keep::UpTo(most) => number.min(most),
            Keep::Signed(most) if number < 8 => number.min(most),
            Keep::Signed(_) => number,
            Keep::Version(_) if number == 15 => 0,
            Keep::Version(most) => number.min(most),
        };
        value |= placed(number, *bit);
    }
    if (crm, op2) == MMFR0 {
        // EL1 is little-endian; that EL0 may choose, where EL1 could have, now stands in the field of its own.
        let el0 = field(value, BIGEND) | field(value, BIGEND_EL0);
        value = value & !placed(15, BIGEND) & !placed(15, BIGEND_EL0) | placed(el0, BIGEND_EL0);
    }
    value
}

/// S3_0_C0_C0_0 to S3_0_C0_C7_7 as a guest on this CPU sees them, worked out once so that a trapped read is a load.
#[derive(Clone, Debug)]
pub struct IdRegisters {
    values: [u64; 64],
}

impl IdRegisters {
    /// Reads the registers of the CPU that this runs on. (CPUs of one machine may differ.)
    pub fn read(cpu: &impl El1) -> Self {
        let mut values = [0; 64];
        for row in ROWS {
            let (crm, op2, _) = *row;
            if let Some(value) = values.get_mut(Self::index(crm, op2)) {
                *value = seen(row, cpu.id_register(crm, op2));
            }
        }
        Self { values }
    }

    fn index(crm: u8, op2: u8) -> usize {
        usize::from((crm & 7) << 3 | op2 & 7)
    }

    /// The value of S3_0_C0_CRm_op2; `None` for those that HCR_EL2.TID3 does not cover (Arm ARM D24.2.50: CRm 1 to 7).
    #[inline(always)]
    pub fn get(&self, crm: u8, op2: u8) -> Option<u64> {
        if !(1..8).contains(&crm) {
            return None;
        }
        self.values.get(Self::index(crm, op2)).copied()
    }
}
