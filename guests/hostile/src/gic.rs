//! The distributor and the redistributors: every offset, in every width, with every kind of value.

use rt::gic;
use rt::tree::board;

use crate::report::{Attack, Report};
use crate::stubs::{self, form};
use crate::word::Random;

/// Loads and stores by width.
const WIDTHS: [(&str, u64, usize, usize); 4] = [
    ("8 bits", 1, form::LDRB, form::STRB),
    ("16 bits", 2, form::LDRH, form::STRH),
    ("32 bits", 4, form::LDR_W, form::STR_W),
    ("64 bits", 8, form::LDR_X, form::STR_X),
];

/// The class of the distributor.
pub fn distributor(report: &mut Report) {
    frame(report, "distributor", gic::distributor().base(), 0x1_0000);
    messages(report);
    routes(report);
}

/// The class of the redistributors: this cell's own, and what lies behind them.
pub fn redistributors(report: &mut Report) {
    for (n, region) in board().gicr.iter().enumerate() {
        let _ = n;
        for at in (region.base..region.base + region.size).step_by(0x1_0000) {
            let name = if at & 0x1_0000 == region.base & 0x1_0000 { "RD_base" } else { "SGI_base" };
            frame(report, name, at, 0x1_0000);
        }
        // A redistributor that is not there.
        for at in [region.base + region.size, region.base.wrapping_sub(0x2_0000)] {
            frame(report, "no frame", at, 0x800);
        }
    }
}

fn frame(report: &mut Report, name: &str, base: u64, size: u64) {
    for (width, bytes, load, store) in WIDTHS {
        let mut attack = Attack::default();
        for offset in offsets(size, bytes) {
            attack.note(&stubs::access(load, base + offset, 0));
        }
        report.done(format_args!("{name} at {base:#x} {width} read"), attack);
        for (pattern, value) in [("ones", u64::MAX), ("zero", 0), ("random", 1)] {
            let mut random = Random::new(base ^ bytes);
            let mut attack = Attack::default();
            for offset in offsets(size, bytes) {
                let value = if value == 1 { random.next() } else { value };
                attack.note(&stubs::access(store, base + offset, value));
            }
            report.done(format_args!("{name} at {base:#x} {width} {pattern}"), attack);
        }
        let mut attack = Attack::default();
        for offset in (0..size).step_by(512) {
            for by in 1..bytes {
                attack.note(&stubs::access(load, base + offset + by, 0));
                attack.note(&stubs::access(store, base + offset + by, u64::MAX));
            }
        }
        if bytes > 1 {
            report.done(format_args!("{name} at {base:#x} {width} unaligned"), attack);
        }
    }
}

/// Every place in a frame that an access of this width may have; where no registers are, and but for words, one of many.
fn offsets(size: u64, bytes: u64) -> impl Iterator<Item = u64> {
    let dense = match bytes {
        _ if crate::deep() => size,
        4 => size.min(0x8000),
        _ => size.min(0x500),
    };
    let thin = if crate::deep() { bytes } else { 64 + bytes };
    (0..dense).step_by(bytes as usize).chain((dense..size).step_by(thin as usize))
}

/// SETSPI, CLRSPI and their Secure twins, of every INTID.
fn messages(report: &mut Report) {
    for offset in [0x40, 0x48, 0x50, 0x58] {
        let mut attack = Attack::default();
        for intid in (0..0x2000).chain([u64::MAX]) {
            attack.note(&stubs::access(form::STR_W, gic::distributor().base() + offset, intid));
        }
        report.done(format_args!("every INTID to {offset:#x}"), attack);
    }
}

/// Every SPI to every CPU there might be.
fn routes(report: &mut Report) {
    for target in [0, 1, 2, 3, 0x100, 0x1_0000, 1 << 31, 1 << 32, u64::MAX] {
        let mut attack = Attack::default();
        for intid in 0..1024 {
            let at = gic::distributor().base() + 0x6000 + 8 * intid;
            attack.note(&stubs::access(form::STR_X, at, target));
            attack.note(&stubs::access(form::STR_W, at + 4, target >> 32));
            attack.note(&stubs::access(form::STR_W, at, target));
        }
        report.done(format_args!("all routes to {target:#x}"), attack);
    }
}
