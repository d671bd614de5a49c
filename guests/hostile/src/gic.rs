//! The distributor and the redistributors: every register there is, in every hostile way, and then every offset.

use rt::gic;
use rt::tree::board;

use crate::report::{Report, Tally};
use crate::stubs::{self, form};
use crate::word::Random;

/// Loads and stores by width in bytes.
const WIDTHS: [(u64, usize, usize); 4] = [
    (1, form::LDRB, form::STRB),
    (2, form::LDRH, form::STRH),
    (4, form::LDR_W, form::STR_W),
    (8, form::LDR_X, form::STR_X),
];

/// A register of a frame, or an array of them: its name, where it begins and ends, its width in bytes.
pub type Register = (&'static str, u64, u64, u64);

/// IHI 0069H 12.9, those of GICv2 and of newer GICs among them.
#[rustfmt::skip]
static DISTRIBUTOR: &[Register] = &[
    ("GICD_CTLR",         0x0000, 0x0004, 4), ("GICD_TYPER",        0x0004, 0x0008, 4),
    ("GICD_IIDR",         0x0008, 0x000c, 4), ("GICD_TYPER2",       0x000c, 0x0010, 4),
    ("GICD_STATUSR",      0x0010, 0x0014, 4), ("GICD implementation", 0x0020, 0x0040, 4),
    ("GICD_SETSPI_NSR",   0x0040, 0x0044, 4), ("GICD_CLRSPI_NSR",   0x0048, 0x004c, 4),
    ("GICD_SETSPI_SR",    0x0050, 0x0054, 4), ("GICD_CLRSPI_SR",    0x0058, 0x005c, 4),
    ("GICD_IGROUPR",      0x0080, 0x0100, 4), ("GICD_ISENABLER",    0x0100, 0x0180, 4),
    ("GICD_ICENABLER",    0x0180, 0x0200, 4), ("GICD_ISPENDR",      0x0200, 0x0280, 4),
    ("GICD_ICPENDR",      0x0280, 0x0300, 4), ("GICD_ISACTIVER",    0x0300, 0x0380, 4),
    ("GICD_ICACTIVER",    0x0380, 0x0400, 4), ("GICD_IPRIORITYR",   0x0400, 0x0800, 1),
    ("GICD_ITARGETSR",    0x0800, 0x0c00, 1), ("GICD_ICFGR",        0x0c00, 0x0d00, 4),
    ("GICD_IGRPMODR",     0x0d00, 0x0d80, 4), ("GICD_NSACR",        0x0e00, 0x0f00, 4),
    ("GICD_SGIR",         0x0f00, 0x0f04, 4), ("GICD_CPENDSGIR",    0x0f10, 0x0f20, 1),
    ("GICD_SPENDSGIR",    0x0f20, 0x0f30, 1), ("GICD_INMIR",        0x0f80, 0x1000, 4),
    ("GICD_IGROUPRnE",    0x1000, 0x1080, 4), ("GICD_ISENABLERnE",  0x1200, 0x1280, 4),
    ("GICD_ICENABLERnE",  0x1400, 0x1480, 4), ("GICD_ISPENDRnE",    0x1600, 0x1680, 4),
    ("GICD_ICPENDRnE",    0x1800, 0x1880, 4), ("GICD_ISACTIVERnE",  0x1a00, 0x1a80, 4),
    ("GICD_ICACTIVERnE",  0x1c00, 0x1c80, 4), ("GICD_IPRIORITYRnE", 0x2000, 0x2400, 1),
    ("GICD_ICFGRnE",      0x3000, 0x3100, 4), ("GICD_IROUTER",      0x6100, 0x8000, 8),
    ("GICD_IROUTERnE",    0x8000, 0xa000, 8), ("GICD message base", 0xa000, 0xa100, 4),
    ("GICD identity",     0xffd0, 0x1_0000, 4),
];

/// IHI 0069H 12.11: RD_base, SGI_base, and VLPI_base of GICv4.
#[rustfmt::skip]
static REDISTRIBUTOR: &[Register] = &[
    ("GICR_CTLR",         0x0000, 0x0004, 4), ("GICR_IIDR",         0x0004, 0x0008, 4),
    ("GICR_TYPER",        0x0008, 0x0010, 8), ("GICR_STATUSR",      0x0010, 0x0014, 4),
    ("GICR_WAKER",        0x0014, 0x0018, 4), ("GICR_MPAMIDR",      0x0018, 0x001c, 4),
    ("GICR_PARTIDR",      0x001c, 0x0020, 4), ("GICR implementation", 0x0020, 0x0040, 4),
    ("GICR_SETLPIR",      0x0040, 0x0048, 8), ("GICR_CLRLPIR",      0x0048, 0x0050, 8),
    ("GICR_PROPBASER",    0x0070, 0x0078, 8), ("GICR_PENDBASER",    0x0078, 0x0080, 8),
    ("GICR_INVLPIR",      0x00a0, 0x00a8, 8), ("GICR_INVALLR",      0x00b0, 0x00b8, 8),
    ("GICR_SYNCR",        0x00c0, 0x00c4, 4), ("GICR identity",     0xffd0, 0x1_0000, 4),
    ("GICR_IGROUPR",    0x1_0080, 0x1_008c, 4), ("GICR_ISENABLER",  0x1_0100, 0x1_010c, 4),
    ("GICR_ICENABLER",  0x1_0180, 0x1_018c, 4), ("GICR_ISPENDR",    0x1_0200, 0x1_020c, 4),
    ("GICR_ICPENDR",    0x1_0280, 0x1_028c, 4), ("GICR_ISACTIVER",  0x1_0300, 0x1_030c, 4),
    ("GICR_ICACTIVER",  0x1_0380, 0x1_038c, 4), ("GICR_IPRIORITYR", 0x1_0400, 0x1_0460, 1),
    ("GICR_ICFGR",      0x1_0c00, 0x1_0c18, 4), ("GICR_IGRPMODR",   0x1_0d00, 0x1_0d0c, 4),
    ("GICR_NSACR",      0x1_0e00, 0x1_0e04, 4), ("GICR_INMIR0",     0x1_0f80, 0x1_0f84, 4),
    ("GICR_VPROPBASER", 0x2_0070, 0x2_0078, 8), ("GICR_VPENDBASER", 0x2_0078, 0x2_0080, 8),
];

/// What is done with a register.
#[derive(Clone, Copy)]
enum Way {
    Read,
    Write(u64),
    Bits,
    Random,
    OtherWidths,
    Unaligned,
    ReadWrite,
}

#[rustfmt::skip]
static WAYS: &[(&str, Way)] = &[
    ("read",                     Way::Read),
    ("zero",                     Way::Write(0)),
    ("ones",                     Way::Write(u64::MAX)),
    ("alternating",              Way::Write(0xaaaa_aaaa_aaaa_aaaa)),
    ("somebody's RAM",           Way::Write(0x4200_0000 | 0x781)),
    ("each bit alone",           Way::Bits),
    ("random",                   Way::Random),
    ("what it read, turned over", Way::ReadWrite),
    ("in other widths",          Way::OtherWidths),
    ("unaligned",                Way::Unaligned),
];

impl Way {
    fn shoot(self, tally: &mut Tally, base: u64, (_, first, end, bytes): Register) {
        let (load, store) = by_width(bytes);
        let mut random = Random::new(base ^ first);
        let mut put = |at, value| tally.note(&stubs::access(store, base + at, value));
        let places = (first..end).step_by(bytes as usize);
        match self {
            Self::Read => places.for_each(|at| tally.note(&stubs::access(load, base + at, 0))),
            Self::Write(value) => places.for_each(|at| put(at, value)),
            Self::Random => places.for_each(|at| put(at, random.next())),
            // Of an array each register has another bit's turn; a single one has all.
            Self::Bits => {
                let count = (end - first) / bytes;
                (0..count.max(8 * bytes))
                    .for_each(|n| put(first + n % count * bytes, 1 << (n % (8 * bytes))));
            }
            Self::ReadWrite => places.for_each(|at| {
                let shot = stubs::access(load, base + at, 0);
                let [_, value, ..] = shot.x;
                put(at, !value);
            }),
            Self::OtherWidths => {
                for (bytes, load, store) in WIDTHS.into_iter().filter(|(other, ..)| *other != bytes) {
                    for at in (first..end).step_by(bytes.max(4) as usize).take(64) {
                        tally.note(&stubs::access(load, base + at, 0));
                        tally.note(&stubs::access(store, base + at, u64::MAX));
                    }
                }
            }
            Self::Unaligned => {
                for (bytes, load, store) in WIDTHS {
                    for by in 1..bytes {
                        tally.note(&stubs::access(load, base + first + by, 0));
                        tally.note(&stubs::access(store, base + first + by, u64::MAX));
                    }
                }
            }
        }
    }
}

fn by_width(bytes: u64) -> (usize, usize) {
    let row = WIDTHS.into_iter().find(|(width, ..)| *width == bytes);
    row.map_or((form::LDR_W, form::STR_W), |(_, load, store)| (load, store))
}

pub fn registers(report: &mut Report, whose: &str, base: u64, registers: &[Register]) {
    for register in registers {
        for (way, how) in WAYS {
            report.attack(format_args!("{}{whose}, {way}", register.0), |tally| {
                how.shoot(tally, base, *register)
            });
        }
    }
}

/// The class of the distributor.
pub fn distributor(report: &mut Report) {
    registers(report, "", gic::distributor().base(), DISTRIBUTOR);
    // A GICv2's has one page; behind it is nothing.
    frame(report, "GICD", gic::distributor().base(), if gic::is_v2() { 0x2000 } else { 0x1_0000 });
    messages(report);
    routes(report);
    crate::gicv2::distributor(report);
}

/// The class of the redistributors: this cell's own, and what lies behind and before them.
pub fn redistributors(report: &mut Report) {
    const FRAMES: u64 = 0x2_0000;
    for region in &board().gicr {
        for (n, at) in (region.base..region.base + region.size).step_by(FRAMES as usize).enumerate() {
            registers(report, [" of vCPU 0", " of vCPU 1"].get(n).unwrap_or(&""), at, REDISTRIBUTOR);
            frame(report, "RD_base", at, 0x1_0000);
            frame(report, "SGI_base", at + 0x1_0000, 0x1_0000);
        }
        // Redistributors of others.
        registers(report, " behind the last", region.base + region.size, REDISTRIBUTOR);
        registers(report, " before the first", region.base.wrapping_sub(FRAMES), REDISTRIBUTOR);
    }
}

/// All offsets of a frame, in every width.
pub fn frame(report: &mut Report, name: &str, base: u64, size: u64) {
    for (bytes, load, store) in WIDTHS {
        let bits = 8 * bytes;
        report.attack(format_args!("all of {name} at {base:#x}, {bits} bits, read"), |tally| {
            offsets(size, bytes).for_each(|at| tally.note(&stubs::access(load, base + at, 0)));
        });
        for (pattern, value) in [("ones", Some(u64::MAX)), ("zero", Some(0)), ("random", None)] {
            let mut random = Random::new(base ^ bytes);
            report.attack(format_args!("all of {name} at {base:#x}, {bits} bits, {pattern}"), |tally| {
                for at in offsets(size, bytes) {
                    let value = value.unwrap_or_else(|| random.next());
                    tally.note(&stubs::access(store, base + at, value));
                }
            });
        }
    }
}

/// Every place in a frame that an access of this width may have; where no registers are, and but for words, one of many.
fn offsets(size: u64, bytes: u64) -> impl Iterator<Item = u64> {
    let dense = match bytes {
        _ if crate::deep() => size,
        4 => size.min(0x1000),
        _ => size.min(0x500),
    };
    let thin = if crate::deep() { bytes } else { 64 + bytes };
    (0..dense).step_by(bytes as usize).chain((dense..size).step_by(thin as usize))
}

/// SETSPI, CLRSPI and their Secure twins, of every INTID.
fn messages(report: &mut Report) {
    for (name, offset) in
        [("SETSPI_NSR", 0x40), ("CLRSPI_NSR", 0x48), ("SETSPI_SR", 0x50), ("CLRSPI_SR", 0x58)]
    {
        report.attack(format_args!("every INTID to {name}"), |tally| {
            for intid in (0..0x480).chain([0xfff, 0x1000, 0x13ff, 0x1fff, 0x2000, 0xffff, u64::MAX]) {
                tally.note(&stubs::access(form::STR_W, gic::distributor().base() + offset, intid));
            }
        });
    }
}

/// Every SPI to every CPU there might be.
fn routes(report: &mut Report) {
    for target in [0, 1, 2, 3, 0x100, 0x1_0000, 1 << 31, 1 << 32, u64::MAX] {
        report.attack(format_args!("all routes to {target:#x}"), |tally| {
            for intid in 0..1024 {
                let at = gic::distributor().base() + 0x6000 + 8 * intid;
                tally.note(&stubs::access(form::STR_X, at, target));
                tally.note(&stubs::access(form::STR_W, at + 4, target >> 32));
                tally.note(&stubs::access(form::STR_W, at, target));
            }
        });
    }
}
