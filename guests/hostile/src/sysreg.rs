//! Every System register encoding, read and written (op0 2 and 3).

use crate::report::{Attack, Report};
use crate::shot::{self, NOP, RET};
use crate::word::{Encoding, Random};

/// Those that this program cannot run without for one instruction: SCTLR, TTBR0, TCR, MAIR, VBAR. [`crate::stage1`] has them.
const VITAL: [Encoding; 5] = [
    Encoding::new(3, 0, 1, 0, 0),
    Encoding::new(3, 0, 2, 0, 0),
    Encoding::new(3, 0, 2, 0, 2),
    Encoding::new(3, 0, 10, 2, 0),
    Encoding::new(3, 0, 12, 0, 0),
];

/// Words of a stub.
const STUB: usize = 4;

/// The class.
pub fn run(report: &mut Report) {
    for op0 in [2, 3] {
        read(report, op0);
        write(report, op0);
    }
}

fn read(report: &mut Report, op0: u32) {
    for (n, encoding) in Encoding::all(op0).enumerate() {
        shot::write(STUB * n, &[encoding.read(0), RET]);
    }
    shot::publish(STUB << 14);
    by_op1(report, op0, "read", |_, n, attack| attack.note(&shot::run(STUB * n, [0; 8])));
}

fn write(report: &mut Report, op0: u32) {
    for (n, encoding) in Encoding::all(op0).enumerate() {
        // What can be read is put back at once, so that this program lives on.
        let readable = shot::run(STUB * n, [0; 8]).faults == 0;
        let (first, last) = if readable { (encoding.read(9), encoding.write(9)) } else { (NOP, NOP) };
        let middle = if VITAL.contains(&encoding) { encoding.write(9) } else { encoding.write(0) };
        shot::write(STUB * n, &[first, middle, last, RET]);
    }
    shot::publish(STUB << 14);
    let mut random = Random::new(u64::from(op0));
    for (name, value) in [("zero", Some(0)), ("ones", Some(u64::MAX)), ("random", None)] {
        let mut shoot = |_: Encoding, n: usize, attack: &mut Attack| {
            attack.note(&shot::run(STUB * n, [value.unwrap_or_else(|| random.next()), 0, 0, 0, 0, 0, 0, 0]));
        };
        by_op1(report, op0, name, &mut shoot);
        crate::interrupts::quiet();
    }
}

/// One attack for each op1.
pub fn by_op1(
    report: &mut Report,
    op0: u32,
    what: &str,
    mut shoot: impl FnMut(Encoding, usize, &mut Attack),
) {
    let mut attack = Attack::default();
    for (n, encoding) in Encoding::all(op0).enumerate() {
        shoot(encoding, n, &mut attack);
        if n & 0x7ff == 0x7ff {
            report
                .done(format_args!("op0 {op0} op1 {} {what}", encoding.op1()), core::mem::take(&mut attack));
        }
    }
}
