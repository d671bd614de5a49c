//! System instructions (op0 1), with operands that mean somebody else, and what op0 0 has: hints, barriers, PSTATE.

use rt::gic;
use rt::tree::board;

use crate::report::{May, Report};
use crate::shot::{self, RET, SVC};
use crate::sysreg::by_op1;
use crate::word::Encoding;

macro_rules! instructions {
    ($($name:literal $op1:literal $crn:literal $crm:literal $op2:literal $may:ident,)+) => {
        &[$(($name, Encoding::new(1, $op1, $crn, $crm, $op2), May::$may)),+]
    };
}

/// Instructions that reach beyond EL1's own translation and caches, or might.
#[rustfmt::skip]
static INSTRUCTIONS: &[(&str, Encoding, May)] = instructions![
    "TLBI ALLE1"          4 8 7 4 Undefined,   "TLBI ALLE1IS"      4 8 3 4 Undefined,   "TLBI ALLE1OS"     4 8 1 4 Undefined,
    "TLBI ALLE2"          4 8 7 0 Undefined,   "TLBI ALLE2IS"      4 8 3 0 Undefined,   "TLBI VAE2"        4 8 7 1 Undefined,
    "TLBI VALE2IS"        4 8 3 5 Undefined,   "TLBI VMALLS12E1"   4 8 7 6 Undefined,   "TLBI VMALLS12E1IS" 4 8 3 6 Undefined,
    "TLBI IPAS2E1"        4 8 4 1 Undefined,   "TLBI IPAS2E1IS"    4 8 0 1 Undefined,   "TLBI IPAS2LE1IS"  4 8 0 5 Undefined,
    "TLBI RIPAS2E1IS"     4 8 0 2 Undefined,   "TLBI RVAE2IS"      4 8 2 1 Undefined,   "TLBI ALLE3"       6 8 7 0 Undefined,
    "TLBI ALLE3IS"        6 8 3 0 Undefined,   "TLBI VAE3IS"       6 8 3 1 Undefined,   "TLBI PAALL"       6 8 7 4 Undefined,
    "AT S1E2R"            4 7 8 0 Undefined,   "AT S1E2W"          4 7 8 1 Undefined,   "AT S12E1R"        4 7 8 4 Undefined,
    "AT S12E1W"           4 7 8 5 Undefined,   "AT S12E0R"         4 7 8 6 Undefined,   "AT S12E0W"        4 7 8 7 Undefined,
    "AT S1E3R"            6 7 8 0 Undefined,   "AT S1E3W"          6 7 8 1 Undefined,   "DC CIPAPA"        6 7 14 1 Undefined,
    "TLBI VMALLE1"        0 8 7 0 Anything,    "TLBI VMALLE1IS"    0 8 3 0 Anything,    "TLBI VMALLE1OS"   0 8 1 0 Anything,
    "TLBI ASIDE1IS"       0 8 3 2 Anything,    "TLBI VAAE1IS"      0 8 3 3 Anything,    "TLBI RVAAE1IS"    0 8 2 3 Anything,
    "IC IALLU"            0 7 5 0 Anything,    "IC IALLUIS"        0 7 1 0 Anything,
    "DC ISW"              0 7 6 2 Anything,    "DC CSW"            0 7 10 2 Anything,   "DC CISW"          0 7 14 2 Anything,
    "DC IGSW"             0 7 6 4 Anything,    "DC CIGDSW"         0 7 14 6 Anything,
    "CFP RCTX"            3 7 3 4 Anything,    "DVP RCTX"          3 7 3 5 Anything,    "CPP RCTX"         3 7 3 7 Anything,
    "COSP RCTX"           3 7 3 6 Anything,    "BRB IALL"          1 7 2 4 Anything,    "TRCIT"            3 7 2 7 Anything,
    "GCSPUSHM"            3 7 7 0 Anything,    "IMPDEF SYS 0 C11"  0 11 0 0 Undefined,  "IMPDEF SYS 0 C15" 0 15 0 0 Undefined,
    "IMPDEF SYS 3 C15"    3 15 15 7 Undefined, "IMPDEF SYS 7 C15"  7 15 15 7 Undefined, "IMPDEF SYS 4 C11" 4 11 3 2 Undefined,
];

/// Words of a stub.
const STUB: usize = 2;

/// Addresses that are not this cell's RAM.
fn operands() -> [(&'static str, u64); 5] {
    let behind = board().memory.first().map_or(0, |bank| bank.base + bank.size);
    [
        ("at 0", 0),
        ("at the distributor", gic::distributor().base()),
        ("behind its RAM", behind),
        ("at the end", u64::MAX),
        ("at random", 0x3b_1234_5678_9abc),
    ]
}

/// The class.
pub fn run(report: &mut Report) {
    for (name, encoding, may) in INSTRUCTIONS {
        shot::write(0, &[encoding.write(0), RET, encoding.write(0), SVC]);
        shot::publish(4);
        report.attack(format_args!("{name}"), |tally| {
            for (_, operand) in operands() {
                tally.judge(&shot::run(0, [operand, 0, 0, 0, 0, 0, 0, 0]), *may);
            }
        });
        report.attack(format_args!("{name} at EL0"), |tally| {
            for (_, operand) in operands() {
                tally.note(&shot::run_el0(2, [operand, 0, 0, 0, 0, 0, 0, 0]));
            }
        });
    }
    shot::fresh(STUB << 14);
    for (n, encoding) in Encoding::all(1).enumerate() {
        shot::write(STUB * n, &[encoding.write(0), RET]);
    }
    shot::publish(STUB << 14);
    for (name, operand) in operands() {
        by_op1(report, 1, name, |_, n, tally| {
            tally.note(&shot::run(STUB * n, [operand, 0, 0, 0, 0, 0, 0, 0]));
        });
    }
    shot::fresh(STUB << 14);
    for (n, encoding) in Encoding::all(1).enumerate() {
        shot::write(STUB * n, &[encoding.read(0), RET]);
    }
    shot::publish(STUB << 14);
    by_op1(report, 1, "with a result", |_, n, tally| tally.note(&shot::run(STUB * n, [0; 8])));
    for (name, load) in [("", false), ("with a result", true)] {
        shot::fresh(STUB << 14);
        for (n, encoding) in Encoding::all(0).enumerate() {
            let word = if load { encoding.read(31) } else { encoding.write(31) };
            shot::write(STUB * n, &[if waits(word) { shot::NOP } else { word }, RET]);
        }
        shot::publish(STUB << 14);
        by_op1(report, 0, name, |_, n, tally| tally.note(&shot::run(STUB * n, [0; 8])));
    }
}

/// WFE and WFI, which [`crate::interrupts`] has: without an interrupt on its way they would end the attack.
fn waits(word: u32) -> bool {
    matches!(word, 0xd503_205f | 0xd503_207f)
}
