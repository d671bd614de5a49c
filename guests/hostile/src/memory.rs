//! Every address that is not this cell's, read, written and executed; and every way to touch one.

use rt::tree::{Span, board};
use rt::{entry, gic, read_reg};

use crate::report::{Attack, DATA_ABORT, INSTRUCTION_ABORT, Report};
use crate::shot::{self, DEVICE, NORMAL, Shot, WINDOW};
use crate::stubs::{self, form};

const PAGE: u64 = 4096;
const GIB: u64 = 1 << 30;
/// The DFSC of a synchronous External abort, not on a walk.
const EXTERNAL: u64 = 0x10;

/// Bits of ID_AA64MMFR0_EL1.PARange.
fn address_bits() -> u32 {
    const BITS: [u32; 6] = [32, 36, 40, 42, 44, 48];
    BITS.get((read_reg!("id_aa64mmfr0_el1") & 0xf) as usize).copied().unwrap_or(48)
}

/// What this cell may use, the GIC's frames among it: [`crate::gic`] has those.
fn is_ours(page: u64) -> bool {
    let page = Span { base: page, size: PAGE };
    let board = board();
    board.memory.iter().chain(&board.spans).any(|span| span.overlaps(page)) || entry::image().overlaps(page)
}

/// The class.
pub fn run(report: &mut Report) {
    let top = 1_u64 << address_bits();
    let last = top / GIB - 1;
    let powers = (6..30).map(|n| 1 << n).take_while(|gib| *gib <= last);
    for gib in (0..64).chain(powers).chain([last]).filter(|gib| *gib <= last) {
        for (name, attributes) in [("device", DEVICE), ("normal", NORMAL)] {
            if gib >= 5 && attributes == NORMAL {
                continue;
            }
            shot::map(WINDOW / GIB, (gib * GIB) | attributes);
            let mut attack = Attack::default();
            pages(gib).filter(|page| !is_ours(gib * GIB + page)).for_each(|page| touch(&mut attack, page));
            report.done(format_args!("gibibyte {gib} as {name}"), attack);
        }
    }
    for span in &board().spans {
        neighbours(report, *span);
    }
}

/// Places in a gibibyte: dense at its ends, thin between them.
fn pages(gib: u64) -> impl Iterator<Item = u64> {
    let step = match gib {
        _ if crate::deep() => 1,
        0..5 => 211,
        _ => 1 << 16,
    };
    let all = GIB / PAGE;
    (0..16).chain((16..all - 16).step_by(step)).chain(all - 16..all).map(|page| page * PAGE)
}

/// The pages on both sides of what this cell has: those of other cells' devices, as a rule.
fn neighbours(report: &mut Report, span: Span) {
    let first = (span.base / PAGE).saturating_sub(96);
    let last = (span.base + span.size) / PAGE + 96;
    if last - first > 1024 || first * PAGE / GIB != last * PAGE / GIB {
        return;
    }
    shot::map(WINDOW / GIB, (span.base / GIB * GIB) | DEVICE);
    let mut attack = Attack::default();
    for page in (first..last).map(|page| page * PAGE).filter(|page| !is_ours(*page)) {
        touch(&mut attack, page % GIB);
    }
    report.done(format_args!("around {:#x}", span.base), attack);
}

fn touch(attack: &mut Attack, offset: u64) {
    let at = WINDOW + offset + (offset >> 9 & 0x1f8);
    let read = stubs::access(form::LDR_W, at, 0);
    must_abort(attack, &read, DATA_ABORT, at, false);
    let write = stubs::access(form::STR_X, at, u64::MAX);
    must_abort(attack, &write, DATA_ABORT, at, true);
    let fetch = stubs::fetch(at);
    must_abort(attack, &fetch, INSTRUCTION_ABORT, at, false);
}

/// Holds an abort against what the Arm ARM says of it: class by source, IL, no FnV, External, WnR, FAR, the vector of EL1h.
fn must_abort(attack: &mut Attack, shot: &Shot, class: u64, at: u64, write: bool) {
    attack.note(shot);
    if shot.faults == 0 {
        return attack.odd(format_args!("{:#x} answers", at - WINDOW));
    }
    let wanted = class << 26 | 1 << 25 | EXTERNAL | if write { 1 << 6 } else { 0 };
    let right = shot.esr == wanted && shot.far == at && shot.vector == 4;
    attack.want(
        right,
        format_args!(
            "ESR {:#x}, want {wanted:#x}; FAR {:#x}, want {at:#x}; vector {}",
            shot.esr, shot.far, shot.vector
        ),
    );
}

/// The class of its own devices: they may be used, but not executed.
pub fn devices(report: &mut Report) {
    let Some(console) = &board().console else { return };
    shot::map(WINDOW / GIB, (console.base / GIB * GIB) | DEVICE);
    let at = WINDOW + console.base % GIB;
    let mut attack = Attack::default();
    for offset in [0, 0xff0, 0xffc] {
        let shot = stubs::fetch(at + offset);
        must_abort(&mut attack, &shot, INSTRUCTION_ABORT, at + offset, false);
    }
    report.done(format_args!("its console executed"), attack);
}

/// The class of forms: each at what is emulated, at what is nothing, and across their borders.
pub fn forms(report: &mut Report) {
    let gicd = gic::distributor().base();
    let gicr = board().gicr.first().map_or(0, |region| region.base);
    let behind = board().memory.first().map_or(0, |bank| bank.base + bank.size);
    let places = [
        gicd,
        gicd + 0x104,
        gicd + 0x420,
        gicd + 0x6100,
        gicd + 0xfff8,
        gicd + 0xffff,
        gicd + 0x1_0000,
        gicr + 8,
        gicr + 0xfffd,
        gicr + 0x1_0100,
        gicr + 0x1_0400,
        behind,
        behind + 0xffd,
        gicd.wrapping_sub(2),
        0,
    ];
    for n in 0..crate::forms::count() {
        for (name, attributes) in [("device", DEVICE), ("normal", NORMAL)] {
            let mut attack = Attack::default();
            for place in places {
                shot::map(WINDOW / GIB, (place / GIB * GIB) | attributes);
                for value in [0, u64::MAX, 0x5a5a_a5a5_5a5a_a5a5] {
                    attack.note(&stubs::access(n, WINDOW + place % GIB, value));
                }
            }
            report.done(format_args!("{n} ({:#010x}) to {name} memory", crate::forms::word(n)), attack);
        }
    }
}
