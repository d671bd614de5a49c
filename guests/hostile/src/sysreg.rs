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

/// Registers that no cell has, whatever its CPU has: MPAM, LORegions, RAS records, SPE, AMU, trace, IMPLEMENTATION DEFINED ones.
const HIDDEN: [Encoding; 16] = [
    Encoding::new(3, 0, 10, 5, 0),
    Encoding::new(3, 0, 10, 5, 1),
    Encoding::new(3, 0, 10, 4, 3),
    Encoding::new(3, 0, 10, 4, 7),
    Encoding::new(3, 0, 5, 3, 0),
    Encoding::new(3, 0, 5, 3, 1),
    Encoding::new(3, 0, 5, 4, 1),
    Encoding::new(3, 0, 9, 9, 0),
    Encoding::new(3, 0, 9, 9, 7),
    Encoding::new(3, 3, 13, 2, 0),
    Encoding::new(3, 0, 1, 2, 1),
    Encoding::new(2, 1, 0, 0, 6),
    Encoding::new(3, 0, 11, 0, 2),
    Encoding::new(3, 0, 15, 0, 0),
    Encoding::new(3, 1, 15, 2, 0),
    Encoding::new(3, 4, 1, 1, 0),
];

/// ID registers and fields of them that must be 0: EL2, EL3, RAS, MPAM, AMU; MPAM_frac, SME, MTE; trace, SPE; NV.
const ABSENT: [(Encoding, u64); 4] = [
    (Encoding::new(3, 0, 0, 4, 0), 0xff00 | 0xfff << 28 & !(0xf << 32) | 0xff << 40),
    (Encoding::new(3, 0, 0, 4, 1), 0xf << 8 | 0xff << 16 | 0xf << 24),
    (Encoding::new(3, 0, 0, 5, 0), 0xf << 4 | 0xff << 32 & !(0xf << 36) | 0xf << 40),
    (Encoding::new(3, 0, 0, 7, 2), 0xf << 24),
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
    for register in HIDDEN {
        let mut attack = Attack::default();
        shot::write(0, &[register.read(0), RET, register.write(0), RET]);
        shot::publish(4);
        for index in [0, 2] {
            let shot = shot::run(index, [0; 8]);
            attack.note(&shot);
            attack.want(
                shot.faults == 1 && shot.esr == 1 << 25,
                format_args!("{register} is there: ESR {:#x}", shot.esr),
            );
        }
        report.done(format_args!("{register}"), attack);
    }
    for (register, fields) in ABSENT {
        let mut attack = Attack::default();
        shot::write(0, &[register.read(0), RET]);
        shot::publish(2);
        let shot = shot::run(0, [0; 8]);
        attack.note(&shot);
        let [value, ..] = shot.x;
        attack.want(value & fields == 0, format_args!("{register} shows {value:#x}"));
        report.done(format_args!("{register}"), attack);
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
    by_op1(report, op0, "read", |_, n, attack| {
        let shot = shot::run(STUB * n, [0; 8]);
        attack.note(&shot);
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
