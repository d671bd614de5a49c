//! What particular CPUs get wrong, by MIDR_EL1. docs/errata.md has Arm's number and document for each
//! row; the revisions are those of Arm's Software Developer Errata Notices. `arch` asks [`Errata::of_midr`] and applies what it is told. TLBIs that are complete too early need
//! no row: `arch` does all of them twice, because the CPU at fault may be another than the one that asks.

/// What one CPU needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errata {
    /// A speculative address translation may walk with registers of two translation regimes while they change: EL1's stage 1
    /// has to be off, and that be synchronised, before VTTBR_EL2 changes.
    pub speculative_at: bool,
    /// A stage 2 fault may be reported where stage 1 faults by itself, for a load or store that crosses a page.
    pub false_stage2_fault: bool,
    /// How many branches overwrite the branch history, where a guest's history steers EL2's predictions (Spectre-BHB); 0 where
    /// it does not or no number of branches helps.
    pub branch_history: u8,
}

/// An erratum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Erratum {
    /// See [`Errata::speculative_at`].
    SpeculativeAt,
    /// See [`Errata::false_stage2_fault`].
    FalseStage2Fault,
    /// See [`deadlocks`].
    Deadlock,
    /// See [`Errata::branch_history`].
    BranchHistory(u8),
}

use Erratum::{BranchHistory, Deadlock, FalseStage2Fault, SpeculativeAt};

struct Row {
    /// MIDR_EL1.PartNum, implementer Arm.
    part: u16,
    /// The last revision that has it, variant and revision as MIDR_EL1 has them (`r1p0` is 0x10). All begin with r0p0.
    last: u8,
    what: Erratum,
}

const fn row(part: u16, last: u8, what: Erratum) -> Row {
    Row { part, last, what }
}

const ARM: u64 = 0x41;
/// Not repaired in any revision.
const ALL: u8 = 0xff;

const A53: u16 = 0xd03;
const A55: u16 = 0xd05;
const A57: u16 = 0xd07;
const A710: u16 = 0xd47;
const A715: u16 = 0xd4d;
const A72: u16 = 0xd08;
const A720: u16 = 0xd81;
const A76: u16 = 0xd0b;
const A76AE: u16 = 0xd0e;
const A77: u16 = 0xd0d;
const A78: u16 = 0xd41;
const A78AE: u16 = 0xd42;
const A78C: u16 = 0xd4b;
const N1: u16 = 0xd0c;
const N2: u16 = 0xd49;
const V1: u16 = 0xd40;
const V2: u16 = 0xd4f;
const X1: u16 = 0xd44;
const X2: u16 = 0xd48;
const X3: u16 = 0xd4e;

const TABLE: &[Row] = &[
    row(A53, ALL, SpeculativeAt),     // 1530924
    row(A55, 0x20, SpeculativeAt),    // 1530923
    row(A57, ALL, SpeculativeAt),     // 1319537
    row(A72, ALL, SpeculativeAt),     // 1319367
    row(A76, 0x20, SpeculativeAt),    // 1165522
    row(A57, 0x12, FalseStage2Fault), // 834220
    // "Spectre-BHB: Speculative Target Reuse Attacks", Arm, table of affected CPUs, with the loop's count k. Cortex-A73 and A75,
    // where only firmware can help (SMCCC_ARCH_WORKAROUND_3), have no row.
    row(A57, ALL, BranchHistory(8)),
    row(A72, ALL, BranchHistory(8)),
    row(A76, ALL, BranchHistory(24)),
    row(A76AE, ALL, BranchHistory(24)),
    row(A77, ALL, BranchHistory(24)),
    row(N1, ALL, BranchHistory(24)),
    row(A78, ALL, BranchHistory(32)),
    row(A78AE, ALL, BranchHistory(32)),
    row(A78C, ALL, BranchHistory(32)),
    row(X1, ALL, BranchHistory(32)),
    row(A710, ALL, BranchHistory(32)),
    row(X2, ALL, BranchHistory(32)),
    row(N2, ALL, BranchHistory(32)),
    row(V1, ALL, BranchHistory(32)),
    row(A715, ALL, BranchHistory(38)),
    row(A720, ALL, BranchHistory(38)),
    row(X3, ALL, BranchHistory(132)),
    row(V2, ALL, BranchHistory(132)),
];

/// Apart from the others, which are looked up at exits.
const DEADLOCKS: &[Row] = &[
    row(A57, 0x12, Deadlock), // 832075
    row(A77, 0x10, Deadlock), // 1508412
];

/// Whether a guest can stop the CPU with this MIDR_EL1, and with it whoever waits for all CPUs: exclusives or acquiring loads deadlock
/// when they are mixed with loads from Device memory, which any guest has. EL2 avoids the mixture itself.
pub fn deadlocks(midr: u64) -> bool {
    rows(DEADLOCKS, midr).next().is_some()
}

fn rows(table: &'static [Row], midr: u64) -> impl Iterator<Item = &'static Row> {
    let part = (midr >> 4 & 0xfff) as u16;
    let revision = (midr >> 16 & 0xf0 | midr & 0xf) as u8;
    let rows = table.iter().filter(move |row| row.part == part && revision <= row.last);
    rows.take_while(move |_| midr >> 24 & 0xff == ARM)
}

impl Errata {
    /// Those of the CPU with this MIDR_EL1 (Arm ARM D24.2.121).
    pub fn of_midr(midr: u64) -> Self {
        let mut all = Self::default();
        for row in rows(TABLE, midr) {
            match row.what {
                SpeculativeAt => all.speculative_at = true,
                FalseStage2Fault => all.false_stage2_fault = true,
                Deadlock => {}
                BranchHistory(count) => all.branch_history = count,
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_row() -> impl Iterator<Item = &'static Row> + Clone {
        TABLE.iter().chain(DEADLOCKS)
    }

    fn has(part: u16, revision: u8, what: Erratum) -> bool {
        let (variant, revision) = (u64::from(revision >> 4), u64::from(revision & 0xf));
        let midr = ARM << 24 | variant << 20 | 0xf << 16 | u64::from(part) << 4 | revision;
        let all = Errata::of_midr(midr);
        match what {
            SpeculativeAt => all.speculative_at,
            FalseStage2Fault => all.false_stage2_fault,
            Deadlock => deadlocks(midr),
            BranchHistory(count) => all.branch_history == count,
        }
    }

    #[test]
    fn every_row_is_found_from_the_first_revision_to_the_last() {
        for row in every_row() {
            assert!(
                has(row.part, 0, row.what) && has(row.part, row.last, row.what),
                "{:#x} {:?}",
                row.part,
                row.what
            );
            if let Some(next) = row.last.checked_add(1) {
                assert!(!has(row.part, next, row.what), "{:#x} {:?}", row.part, row.what);
            }
        }
    }

    #[test]
    fn each_row_stands_in_the_documentation_with_its_number_and_document() {
        let text = include_str!("../docs/errata.md");
        // CPU, part, last revision, what, number, document.
        let listed: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect())
            .filter(|cells: &Vec<&str>| cells.len() == 6 && cells[1].starts_with("0xd"))
            .collect();
        assert_eq!(listed.len(), every_row().count());
        for row in every_row() {
            let to = match row.last {
                ALL => "all".to_string(),
                last => format!("r{}p{}", last >> 4, last & 0xf),
            };
            let what = match row.what {
                SpeculativeAt => "speculative AT".to_string(),
                FalseStage2Fault => "false stage 2 fault".to_string(),
                Deadlock => "deadlock".to_string(),
                BranchHistory(count) => format!("branch history {count}"),
            };
            let part = format!("{:#x}", row.part);
            let found = listed.iter().filter(|cells| cells[1..4] == [&*part, &*to, &*what]);
            assert_eq!(found.count(), 1, "{part} {to} {what}");
        }
    }

    #[test]
    fn a_cpu_has_one_row_for_a_thing() {
        let kind = |row: &Row| (row.part, core::mem::discriminant(&row.what));
        for (n, row) in every_row().enumerate() {
            assert!(
                !every_row().take(n).any(|other| kind(other) == kind(row)),
                "{:#x} {:?}",
                row.part,
                row.what
            );
        }
    }

    #[test]
    fn cpus_as_they_are_met() {
        // QEMU's Cortex-A57 r1p0, the Raspberry Pi 4's Cortex-A72 r0p3, the i.MX 8M Plus' Cortex-A53 r0p4.
        let a57 = Errata { speculative_at: true, false_stage2_fault: true, branch_history: 8 };
        assert_eq!(Errata::of_midr(0x411f_d070), a57);
        assert!(deadlocks(0x411f_d070));
        let a72 = Errata { speculative_at: true, branch_history: 8, ..Errata::default() };
        assert_eq!(Errata::of_midr(0x410f_d083), a72);
        assert_eq!(Errata::of_midr(0x410f_d034), Errata { speculative_at: true, ..Errata::default() });
        // What QEMU has of Neoverse N1 (r4p1), Neoverse V1 (r1p2) and Cortex-A710 (r2p0).
        for (midr, branch_history) in [(0x414f_d0c1, 24), (0x411f_d402, 32), (0x412f_d470, 32)] {
            assert_eq!(Errata::of_midr(midr), Errata { branch_history, ..Errata::default() });
        }
        // Cortex-A57 r1p3, which has neither of the two that ended with r1p2; Cortex-A77 r1p0 and r1p1.
        let a57 = Errata { speculative_at: true, branch_history: 8, ..Errata::default() };
        assert_eq!(Errata::of_midr(0x411f_d073), a57);
        assert!(!deadlocks(0x411f_d073) && deadlocks(0x411f_d0d0) && !deadlocks(0x411f_d0d1));
        // Cortex-A76 r4p1, the Raspberry Pi 5's.
        let a76 = Errata { branch_history: 24, ..Errata::default() };
        assert_eq!(Errata::of_midr(0x414f_d0b1), a76);
    }

    #[test]
    fn another_makers_part_number_means_another_cpu() {
        // Cavium, and QEMU's `max`, which has no maker.
        assert_eq!(Errata::of_midr(0x431f_d070), Errata::default());
        assert!(!deadlocks(0x431f_d070));
        assert_eq!(Errata::of_midr(0x000f_0510), Errata::default());
    }
}
