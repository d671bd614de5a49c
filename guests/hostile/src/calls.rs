//! SMCCC: every owner, both widths, fast and yielding, by HVC and SMC. Nothing that the cell is not allowed reaches EL3.

use crate::report::{Attack, Report};
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

/// The class.
pub fn run(report: &mut Report) {
    let mut random = Random::new(3);
    for smc in [false, true] {
        for owner in 0..64 {
            for kind in [0, WIDE, FAST, FAST | WIDE] {
                let mut attack = Attack::default();
                for number in numbers() {
                    if owner == 4 && kind & FAST != 0 && POWER.contains(&number) {
                        continue;
                    }
                    one(&mut attack, smc, kind | owner << 24 | number, &mut random);
                }
                let (fast, wide) = (kind & FAST != 0, kind & WIDE != 0);
                let name = if smc { "SMC" } else { "HVC" };
                report.done(format_args!("{name} owner {owner} fast {fast} wide {wide}"), attack);
            }
        }
        immediates(report, smc);
    }
}

/// Dense where functions live, one in each power of two elsewhere.
fn numbers() -> impl Iterator<Item = u64> {
    let dense = (0..0x24).chain(0xff00..0xff08).chain([0x3fff, 0x7fff, 0x8000, 0xffff]);
    dense.chain((6..24).map(|n| 1 << n)).chain(0x1_8000..0x1_8002)
}

fn one(attack: &mut Attack, smc: bool, function: u64, random: &mut Random) {
    let x = core::array::from_fn(|n| if n == 0 { GARBAGE | function } else { random.next() });
    let shot = stubs::call(smc, x);
    attack.note(&shot);
    let [x0, _, _, _, x4, x5, x6, x7] = shot.x;
    attack.want(shot.faults == 0, format_args!("call {function:#x} gave ESR {:#x}", shot.esr));
    attack.want(known(function) || x0 == NOT_SUPPORTED, format_args!("call {function:#x} gave {x0:#x}"));
    attack.want(
        [x4, x5, x6, x7] == [x[4], x[5], x[6], x[7]],
        format_args!("call {function:#x} changed x4 to x7"),
    );
}

/// What the cell ABI has (docs/cell-abi.md).
fn known(function: u64) -> bool {
    matches!(
        function,
        0x8000_0000..=0x8000_0001 | 0x8000_3fff | 0x8000_7fff | 0x8000_8000 | 0x8600_ff01 | 0x8400_0000..=0x8400_0012
    ) || function == 0xc400_0012
}

fn immediates(report: &mut Report, smc: bool) {
    let mut attack = Attack::default();
    for bit in 0..16 {
        let instruction = if smc { word::smc(1 << bit) } else { word::hvc(1 << bit) };
        shot::write(0, &[instruction, RET]);
        shot::publish(2);
        for function in [0x8400_0000, 0x8400_0008, 0x8400_0009, 0x8400_0002] {
            let shot = shot::run(0, [function, 0, 0, 0, 0, 0, 0, 0]);
            attack.note(&shot);
            let [x0, ..] = shot.x;
            attack.want(shot.faults > 0 || x0 == NOT_SUPPORTED, format_args!("immediate {bit} gave {x0:#x}"));
        }
    }
    report.done(format_args!("{} immediates", if smc { "SMC" } else { "HVC" }), attack);
}
