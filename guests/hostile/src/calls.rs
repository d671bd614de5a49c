//! SMCCC: every owner, both widths, fast and yielding, by HVC and SMC. Nothing that the cell is not allowed reaches EL3.

use core::ops::Range;

use crate::report::{May, Report, Tally};
use crate::shot::{self, RET};
use crate::stubs;
use crate::word::{self, Random};

const NOT_SUPPORTED: u64 = u64::MAX;
const FAST: u64 = 1 << 31;
const WIDE: u64 = 1 << 30;
/// Garbage that no call may look at: above W0, and as arguments.
const GARBAGE: u64 = 0xdead_beef << 32;

/// Those that end a vCPU or the cell, or start one: [`crate::power`] has them. By number, of the standard owner.
const POWER: [u64; 7] = [1, 2, 3, 8, 9, 0x12, 4];

/// Whose calls: a name, owners (DEN0028E 6.2), numbers; none means where functions live, and a few beside.
#[rustfmt::skip]
static RANGES: &[(&str, Range<u64>, Range<u64>)] = &[
    ("the architecture's",        0..1,   0..0),
    ("the architecture's workarounds", 0..1, 0x3ff0..0x4000),
    ("the architecture's workarounds, 2", 0..1, 0x7ff0..0x8010),
    ("the CPU's",                 1..2,   0..0),
    ("the SiP's",                 2..3,   0..0),
    ("the OEM's",                 3..4,   0..0),
    ("PSCI's",                    4..5,   0..0x20),
    ("SDEI's",                    4..5,   0x20..0x40),
    ("management mode's",         4..5,   0x40..0x50),
    ("TRNG's",                    4..5,   0x50..0x60),
    ("FF-A's",                    4..5,   0x60..0x110),
    ("DRTM's",                    4..5,   0x110..0x120),
    ("CCA's",                     4..5,   0x150..0x1d0),
    ("the standard services' queries", 4..5, 0xff00..0xff10),
    ("the standard services' others", 4..5, 0..0),
    ("paravirtualised time",      5..6,   0x20..0x30),
    ("the standard hypervisor's", 5..6,   0..0),
    ("KVM's",                     6..7,   0..0x20),
    ("the hypervisor's queries",  6..7,   0xff00..0xff10),
    ("the hypervisor's others",   6..7,   0..0),
    ("reserved owners'",          7..48,  0..0),
    ("trusted applications'",     48..50, 0..0),
    ("OP-TEE's",                  50..51, 0..0x20),
    ("Trusted OSs'",              50..64, 0..0),
];

/// The class.
pub fn run(report: &mut Report) {
    let mut random = Random::new(3);
    for (conduit, smc) in [("HVC", false), ("SMC", true)] {
        for (name, owners, numbers) in RANGES {
            for (way, kind) in
                [("yielding 32", 0), ("yielding 64", WIDE), ("fast 32", FAST), ("fast 64", FAST | WIDE)]
            {
                report.attack(format_args!("{conduit}, {way}: {name}"), |tally| {
                    for owner in owners.clone() {
                        for number in numbers.clone().chain(everywhere().filter(|_| numbers.is_empty())) {
                            if owner != 4 || kind & FAST == 0 || !POWER.contains(&number) {
                                one(tally, smc, kind | owner << 24 | number, &mut random);
                            }
                        }
                    }
                });
            }
        }
        immediates(report, conduit, smc);
    }
}

/// Dense where functions live, one in each power of two elsewhere.
fn everywhere() -> impl Iterator<Item = u64> {
    let dense = (0..0x24).chain(0xff00..0xff08).chain([0x3fff, 0x7fff, 0x8000, 0xffff]);
    dense.chain((6..24).map(|n| 1 << n)).chain(0x1_8000..0x1_8002)
}

fn one(tally: &mut Tally, smc: bool, function: u64, random: &mut Random) {
    let x = core::array::from_fn(|n| if n == 0 { GARBAGE | function } else { random.next() });
    let shot = stubs::call(smc, x);
    tally.note(&shot);
    let [x0, _, _, _, x4, x5, x6, x7] = shot.x;
    tally.want(shot.faults == 0, format_args!("call {function:#x} gave ESR {:#x}", shot.esr));
    tally.want(known(function) || x0 == NOT_SUPPORTED, format_args!("call {function:#x} gave {x0:#x}"));
    tally.want(
        [x4, x5, x6, x7] == [x[4], x[5], x[6], x[7]],
        format_args!("call {function:#x} changed x4 to x7"),
    );
}

/// What the cell ABI has (docs/cell-abi.md).
fn known(function: u64) -> bool {
    matches!(
        function,
        0x8000_0000..=0x8000_0001 | 0x8000_3fff | 0x8000_7fff | 0x8000_8000 | 0x8600_ff01 | 0x8400_0000..=0x8400_0012
    ) || matches!(function, 0xc400_0012 | 0xc600_0000)
}

/// No function lives behind an immediate that is not 0 (DEN0028E 2.7).
fn immediates(report: &mut Report, conduit: &str, smc: bool) {
    for bit in 0..16 {
        let instruction = if smc { word::smc(1 << bit) } else { word::hvc(1 << bit) };
        shot::write(0, &[instruction, RET]);
        shot::publish(2);
        report.attack(format_args!("{conduit} #{:#x}", 1 << bit), |tally| {
            for function in [0x8400_0000, 0x8400_0008, 0x8400_0009, 0x8400_0002, 0xc400_0003, 0x8600_ff01] {
                tally.judge(&shot::run(0, [function, 0, 0, 0, 0, 0, 0, 0]), May::Answer(&[-1]));
            }
        });
    }
}
