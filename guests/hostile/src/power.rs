//! PSCI with hostile arguments: each function, each kind of bad argument, by HVC and SMC, in 32 and 64 bits.

use rt::gic;
use rt::tree::board;

use crate::report::{May, Report, Tally};
use crate::stubs;
use crate::word::Random;

const WIDE: u64 = 1 << 30;

/// Kinds of arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// 0, which is this vCPU too.
    Zero,
    /// Another vCPU, or nobody where there is none.
    Mate,
    /// Affinities that are nobody's in this cell, but CPUs of the machine.
    Neighbour,
    /// Affinities that no machine has.
    Nobody,
    /// Bits of an affinity that are reserved.
    Reserved,
    /// An entry in its RAM.
    Entry,
    /// Entries in its RAM that are no instruction's.
    Odd,
    /// Entries behind its RAM.
    Behind,
    /// Entries below its RAM.
    Below,
    /// Entries in devices.
    Device,
    /// Entries that wrap.
    Top,
    /// Each bit of 32 alone.
    Bits,
    /// Bits of a power state that it does not have, or that mean power-down.
    PowerDown,
    /// Levels that are not 0.
    Level,
    /// Garbage.
    Random,
    /// Every function that PSCI might have.
    Functions,
    /// Functions of all other owners.
    Strangers,
}

use Kind::{
    Behind, Below, Bits, Device, Entry, Functions, Level, Mate, Neighbour, Nobody, Odd, PowerDown,
    Random as Any, Reserved, Strangers, Top, Zero,
};

const SUPPORTED: May = May::Answer(&[0, -1, 1, 2, 3]);
const NO: May = May::Answer(&[-1]);
const INVALID: May = May::Answer(&[-2]);
/// A vCPU that is on, or an entry that is none, whichever is seen first.
const ON_OR_ADDRESS: May = May::Answer(&[-4, -9]);
/// The same, where the vCPU may not be there or may be on its way.
const ANY_ERROR: May = May::Answer(&[-2, -4, -5, -9]);
const STATE: May = May::Answer(&[0, 1, 2, -2]);

/// An attack: the function's name and number, whether it has a 64-bit form, what is bad, x1 to x3, what may be answered.
type Row = (&'static str, u64, bool, &'static str, [Kind; 3], May);

#[rustfmt::skip]
static ROWS: &[Row] = &[
    ("PSCI_VERSION",      0x8400_0000, false, "garbage",                   [Any, Any, Any],            May::Answer(&[0x1_0001])),
    ("CPU_SUSPEND",       0x8400_0001, true,  "power-down states",         [PowerDown, Zero, Zero],    INVALID),
    ("CPU_SUSPEND",       0x8400_0001, true,  "power-down to an entry",    [PowerDown, Entry, Any],    INVALID),
    ("CPU_SUSPEND",       0x8400_0001, true,  "power-down to nowhere",     [PowerDown, Top, Zero],     INVALID),
    ("CPU_ON",            0x8400_0003, true,  "itself",                    [Zero, Entry, Zero],        ON_OR_ADDRESS),
    ("CPU_ON",            0x8400_0003, true,  "a neighbour",               [Neighbour, Entry, Zero],   INVALID),
    ("CPU_ON",            0x8400_0003, true,  "a neighbour at 0",          [Neighbour, Zero, Zero],    INVALID),
    ("CPU_ON",            0x8400_0003, true,  "a neighbour at garbage",    [Neighbour, Any, Any],      INVALID),
    ("CPU_ON",            0x8400_0003, true,  "nobody",                    [Nobody, Entry, Zero],      INVALID),
    ("CPU_ON",            0x8400_0003, true,  "nobody nowhere",            [Nobody, Top, Any],         INVALID),
    ("CPU_ON",            0x8400_0003, true,  "reserved bits",             [Reserved, Entry, Zero],    INVALID),
    ("CPU_ON",            0x8400_0003, true,  "itself, unaligned",         [Zero, Odd, Zero],          ON_OR_ADDRESS),
    ("CPU_ON",            0x8400_0003, true,  "itself behind RAM",         [Zero, Behind, Zero],       ON_OR_ADDRESS),
    ("CPU_ON",            0x8400_0003, true,  "its mate, unaligned",       [Mate, Odd, Zero],          ANY_ERROR),
    ("CPU_ON",            0x8400_0003, true,  "its mate behind RAM",       [Mate, Behind, Any],        ANY_ERROR),
    ("CPU_ON",            0x8400_0003, true,  "its mate below RAM",        [Mate, Below, Any],         ANY_ERROR),
    ("CPU_ON",            0x8400_0003, true,  "its mate in a device",      [Mate, Device, Any],        ANY_ERROR),
    ("CPU_ON",            0x8400_0003, true,  "its mate at the top",       [Mate, Top, Any],           ANY_ERROR),
    ("AFFINITY_INFO",     0x8400_0004, true,  "a neighbour",               [Neighbour, Zero, Any],     INVALID),
    ("AFFINITY_INFO",     0x8400_0004, true,  "nobody",                    [Nobody, Zero, Any],        INVALID),
    ("AFFINITY_INFO",     0x8400_0004, true,  "reserved bits",             [Reserved, Zero, Any],      INVALID),
    ("AFFINITY_INFO",     0x8400_0004, true,  "its mate at other levels",  [Mate, Level, Any],         INVALID),
    ("AFFINITY_INFO",     0x8400_0004, true,  "a neighbour at any level",  [Neighbour, Level, Any],    INVALID),
    ("AFFINITY_INFO",     0x8400_0004, true,  "garbage",                   [Any, Any, Any],            STATE),
    ("MIGRATE",           0x8400_0005, true,  "itself",                    [Zero, Zero, Zero],         NO),
    ("MIGRATE",           0x8400_0005, true,  "a neighbour",               [Neighbour, Any, Any],      NO),
    ("MIGRATE_INFO_TYPE", 0x8400_0006, false, "garbage",                   [Any, Any, Any],            May::Answer(&[2])),
    ("MIGRATE_INFO_UP_CPU", 0x8400_0007, true, "garbage",                  [Any, Any, Any],            NO),
    ("PSCI_FEATURES",     0x8400_000a, false, "all of PSCI",               [Functions, Any, Any],      SUPPORTED),
    ("PSCI_FEATURES",     0x8400_000a, false, "strangers",                 [Strangers, Any, Any],      SUPPORTED),
    ("PSCI_FEATURES",     0x8400_000a, false, "each bit",                  [Bits, Any, Any],           SUPPORTED),
    ("PSCI_FEATURES",     0x8400_000a, false, "garbage",                   [Any, Any, Any],            SUPPORTED),
    ("CPU_FREEZE",        0x8400_000b, false, "garbage",                   [Any, Any, Any],            NO),
    ("CPU_DEFAULT_SUSPEND", 0x8400_000c, true, "an entry",                 [Entry, Any, Any],          NO),
    ("CPU_DEFAULT_SUSPEND", 0x8400_000c, true, "nowhere",                  [Top, Any, Any],            NO),
    ("NODE_HW_STATE",     0x8400_000d, true,  "itself",                    [Zero, Level, Any],         NO),
    ("NODE_HW_STATE",     0x8400_000d, true,  "a neighbour",               [Neighbour, Level, Any],    NO),
    ("SYSTEM_SUSPEND",    0x8400_000e, true,  "an entry",                  [Entry, Any, Any],          NO),
    ("SYSTEM_SUSPEND",    0x8400_000e, true,  "nowhere",                   [Top, Any, Any],            NO),
    ("PSCI_SET_SUSPEND_MODE", 0x8400_000f, false, "every mode",            [Bits, Any, Any],           NO),
    ("PSCI_STAT_RESIDENCY", 0x8400_0010, true, "a neighbour",              [Neighbour, Any, Any],      NO),
    ("PSCI_STAT_COUNT",   0x8400_0011, true,  "a neighbour",               [Neighbour, Any, Any],      NO),
    ("SYSTEM_RESET2",     0x8400_0012, true,  "every type but a warm one", [Bits, Any, Any],           INVALID),
    ("SYSTEM_RESET2",     0x8400_0012, true,  "a vendor's types",          [PowerDown, Zero, Zero],    INVALID),
    ("MEM_PROTECT",       0x8400_0013, false, "on and off",                [Bits, Any, Any],           NO),
    ("MEM_PROTECT_CHECK_RANGE", 0x8400_0014, true, "its own RAM",          [Entry, Entry, Any],        NO),
    ("MEM_PROTECT_CHECK_RANGE", 0x8400_0014, true, "others' RAM",          [Behind, Any, Any],         NO),
    ("PSCI_CLEAN_INV_MEMREGION", 0xc400_0015, false, "others' RAM",        [Behind, Any, Any],         NO),
    ("what comes next",   0x8400_0016, true,  "garbage",                   [Any, Any, Any],            NO),
];

/// The values of a kind; 32-bit calls have the low half of each.
fn values(kind: Kind, mut each: impl FnMut(u64)) {
    let bank = board().memory.first();
    let (ram, behind) = bank.map_or((0, 0), |bank| (bank.base, bank.base + bank.size));
    let mut list = |values: &[u64]| values.iter().for_each(|value| each(*value));
    match kind {
        Kind::Zero => list(&[0]),
        Kind::Mate => list(&[1]),
        Kind::Neighbour => list(&[2, 3, 4, 7, 15]),
        Kind::Nobody => list(&[16, 0x80, 0xff, 0x100, 0xff00, 0x1_0000, 0xff_ffff]),
        Kind::Reserved => list(&[1 << 24, 1 << 30, 1 << 31, 0xffff_ffff, u64::MAX, 1 << 40 | 1 << 24]),
        Kind::Entry => list(&[ram, ram + 0x1000]),
        Kind::Odd => list(&[ram + 1, ram + 2, ram + 3, behind - 1]),
        Kind::Behind => list(&[behind, behind + 4, behind + 0x1000, 0x8000_0000, 0xffff_0000]),
        Kind::Below => list(&[0, 4, ram - 4]),
        Kind::Device => list(&[gic::distributor().base(), gic::distributor().base() + 0x1_0000, 0x0900_0000]),
        Kind::Top => list(&[0xffff_fffc, 0xffff_ffff, u64::MAX, u64::MAX - 3]),
        Kind::Bits => (0..32).for_each(|bit| each(1 << bit)),
        // StateID and power level may be anything in a standby state: those are the ones that wait.
        Kind::PowerDown => {
            (16..24)
                .chain(26..32)
                .for_each(|bit| [0, 0xffff, 3 << 24].into_iter().for_each(|rest| each(1 << bit | rest)));
        }
        Kind::Level => list(&[1, 2, 3, 4, 0xff, 0xffff_ffff, u64::MAX]),
        Kind::Random => {
            let mut random = Random::new(5);
            (0..3).for_each(|_| each(random.next()));
        }
        Kind::Functions => (0..64).for_each(|n| {
            each(0x8400_0000 | n);
            each(0xc400_0000 | n);
        }),
        Kind::Strangers => (0..256).for_each(|top| (0..8).for_each(|n| each(top << 24 | n << 13 | n))),
    }
}

/// The class.
pub fn run(report: &mut Report) {
    for (function, id, wide, what, [x1, x2, x3], may) in ROWS {
        report.attack(format_args!("{function}: {what}"), |tally| {
            for id in [*id, id | WIDE].into_iter().take(if *wide { 2 } else { 1 }) {
                for smc in [false, true] {
                    values(*x1, |x1| {
                        values(*x2, |x2| values(*x3, |x3| shoot(tally, smc, [id, x1, x2, x3], *may)))
                    });
                }
            }
        });
    }
}

fn shoot(tally: &mut Tally, smc: bool, [x0, x1, x2, x3]: [u64; 4], may: May) {
    tally.judge(&stubs::call(smc, [x0, x1, x2, x3, 0, 0, 0, 0]), may);
}
