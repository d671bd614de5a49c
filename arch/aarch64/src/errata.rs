//! What particular CPUs ask for, by MIDR_EL1. Each row names the document.

use aarch64_cpu::asm::barrier::{ISH, SY, dsb, isb};
use aarch64_cpu::registers::{MIDR_EL1, Readable};

/// A workaround.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Erratum {
    /// A speculative address translation may walk with registers of two translation regimes while they change.
    SpeculativeAt,
}

struct Row {
    /// MIDR_EL1.PartNum, implementer Arm.
    part: u16,
    /// The last revision that has it, variant and revision as MIDR_EL1 has them (`r1p0` is 0x10).
    last: u8,
    erratum: Erratum,
}

/// Arm's Software Developers Errata Notices: Cortex-A53 (EPM048406, 1530924), Cortex-A57 (EPM049219, 1319537), Cortex-A72
/// (EPM012079, 1319367), Cortex-A76 (SDEN885749, 1165522).
const TABLE: &[Row] = &[
    Row { part: 0xd03, last: 0xff, erratum: Erratum::SpeculativeAt },
    Row { part: 0xd07, last: 0xff, erratum: Erratum::SpeculativeAt },
    Row { part: 0xd08, last: 0xff, erratum: Erratum::SpeculativeAt },
    Row { part: 0xd0b, last: 0x20, erratum: Erratum::SpeculativeAt },
];

fn has(erratum: Erratum) -> bool {
    let midr = MIDR_EL1.get();
    let part = (midr >> 4 & 0xfff) as u16;
    let revision = (midr >> 16 & 0xf0 | midr & 0xf) as u8;
    midr >> 24 & 0xff == 0x41
        && TABLE.iter().any(|row| row.part == part && revision <= row.last && row.erratum == erratum)
}

/// Called between switching EL1's stage 1 off and loading another stage 2. Stage 1 being off, a speculative walk goes
/// through stage 2 alone; the barriers make sure that none is under way with the old registers.
pub fn before_new_stage2() {
    if has(Erratum::SpeculativeAt) {
        dsb(ISH);
        isb(SY);
    }
}
