//! System instructions (op0 1), with operands that mean somebody else, and what op0 0 has: hints, barriers, PSTATE.

use rt::gic;
use rt::tree::board;

use crate::report::Report;
use crate::shot::{self, RET};
use crate::sysreg::by_op1;
use crate::word::Encoding;

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
    shot::fresh(STUB << 14);
    for (n, encoding) in Encoding::all(1).enumerate() {
        shot::write(STUB * n, &[encoding.write(0), RET]);
    }
    shot::publish(STUB << 14);
    for (name, operand) in operands() {
        by_op1(report, 1, name, |_, n, attack| {
            attack.note(&shot::run(STUB * n, [operand, 0, 0, 0, 0, 0, 0, 0]));
        });
    }
    shot::fresh(STUB << 14);
    for (n, encoding) in Encoding::all(1).enumerate() {
        shot::write(STUB * n, &[encoding.read(0), RET]);
    }
    shot::publish(STUB << 14);
    by_op1(report, 1, "with a result", |_, n, attack| attack.note(&shot::run(STUB * n, [0; 8])));
    for (name, load) in [("", false), ("with a result", true)] {
        shot::fresh(STUB << 14);
        for (n, encoding) in Encoding::all(0).enumerate() {
            let word = if load { encoding.read(31) } else { encoding.write(31) };
            shot::write(STUB * n, &[if waits(word) { shot::NOP } else { word }, RET]);
        }
        shot::publish(STUB << 14);
        by_op1(report, 0, name, |_, n, attack| attack.note(&shot::run(STUB * n, [0; 8])));
    }
}

/// WFE and WFI, which [`crate::interrupts`] has: without an interrupt on its way they would end the attack.
fn waits(word: u32) -> bool {
    matches!(word, 0xd503_205f | 0xd503_207f)
}
