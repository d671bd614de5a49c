//! Every address that is not this cell's, read, written and executed; and every way to touch one.

use rt::tree::{Span, board};
use rt::{entry, gic, read_reg};

use crate::forms::{FORMS, Kind};
use crate::report::{DATA_ABORT, INSTRUCTION_ABORT, May, Report, Tally};
use crate::shot::{self, DEVICE, NORMAL, Shot, WINDOW};
use crate::stubs::{self, form};

const PAGE: u64 = 4096;
const GIB: u64 = 1 << 30;
/// The DFSC of a synchronous External abort, not on a walk.
const EXTERNAL: u64 = 0x10;

/// Where this cell's things are, from its tree.
struct Map {
    ram: u64,
    behind: u64,
    gicd: u64,
    gicd_end: u64,
    /// 0 with a GICv2, as the next is.
    gicr: u64,
    gicr_end: u64,
    /// A GICv2's CPU interface; 0 without, as the next is.
    gicc: u64,
    gicc_end: u64,
    console: u64,
    top: u64,
}

impl Map {
    fn of_this_cell() -> Self {
        let bank = board().memory.first().copied().unwrap_or(Span { base: 0, size: 0 });
        let frames = board().gicr.first().copied().unwrap_or(Span { base: 0, size: 0 });
        let interface = board().gicc.unwrap_or(Span { base: 0, size: 0 });
        Self {
            ram: bank.base,
            behind: bank.base + bank.size,
            gicd: gic::distributor().base(),
            gicd_end: gic::distributor().base() + if gic::is_v2() { 0x1000 } else { 0x1_0000 },
            gicr: frames.base,
            gicr_end: frames.base + frames.size,
            gicc: interface.base,
            gicc_end: interface.base + interface.size,
            console: board().console.as_ref().map_or(0, |console| console.base),
            top: 1 << address_bits(),
        }
    }
}

impl Map {
    /// In its first redistributor; 0 where it has none.
    fn redistributor(&self, offset: u64) -> u64 {
        if self.gicr == 0 { 0 } else { self.gicr + offset }
    }

    /// In its GICv2's CPU interface; 0 where it has none.
    fn interface(&self, offset: u64) -> u64 {
        if self.gicc == 0 { 0 } else { self.gicc + offset }
    }
}

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

type Where = fn(&Map) -> u64;

/// Addresses that somebody might want: a name, the first, how many pages. Those of `virt` are guessed, as an attacker would.
#[rustfmt::skip]
static PLACES: &[(&str, Where, u64)] = &[
    ("address 0",                    |_| 0,                   1),
    ("the boot flash",               |_| 0x1000,              64),
    ("the second flash",             |_| 0x0400_0000,         64),
    ("below the distributor",        |m| m.gicd - 0x1_0000,   16),
    ("a GICv2's CPU interface",      |_| 0x0801_0000,         16),
    ("a GICv2's message frame",      |_| 0x0802_0000,         16),
    ("GICH",                         |_| 0x0803_0000,         16),
    ("GICV",                         |_| 0x0804_0000,         16),
    ("the ITS",                      |_| 0x0808_0000,         32),
    ("below the redistributors",     |m| m.gicr.saturating_sub(0x1_0000), 16),
    ("behind the redistributors",    |m| m.gicr_end,          32),
    ("below its GICv2's interface",  |m| m.gicc.saturating_sub(0xf000), 15),
    ("behind its GICv2's interface", |m| m.gicc_end,          16),
    ("the first UART",               |_| 0x0900_0000,         1),
    ("the clock",                    |_| 0x0901_0000,         1),
    ("the firmware's configuration", |_| 0x0902_0000,         1),
    ("the power button's GPIO",      |_| 0x0903_0000,         1),
    ("the second UART",              |_| 0x0904_0000,         1),
    ("the SMMU",                     |_| 0x0905_0000,         32),
    ("behind its console",           |m| m.console + PAGE,    16),
    ("virtio transports",            |_| 0x0a00_0000,         4),
    ("the platform bus",             |_| 0x0c00_0000,         16),
    ("Secure RAM",                   |_| 0x0e00_0000,         64),
    ("PCI memory",                   |_| 0x1000_0000,         64),
    ("PCI ports",                    |_| 0x3eff_0000,         16),
    ("PCI configuration, low",       |_| 0x3f00_0000,         64),
    ("PCI configuration, high",      |_| 0x40_1000_0000,      64),
    ("PCI memory, high",             |_| 0x80_0000_0000,      64),
    ("the page below its RAM",       |m| m.ram - PAGE,        1),
    ("the page behind its RAM",      |m| m.behind,            1),
    ("the 2 MiB behind its RAM",     |m| m.behind + PAGE,     511),
    ("others' RAM by its address",   |_| 0x4200_0000,         512),
    ("the archive by its address",   |_| 0x4800_0000,         512),
    ("the last RAM of the machine",  |_| 0x7fc0_0000,         1024),
    ("the first page above 2 GiB",   |_| 0x8000_0000,         1),
    ("the first page above 4 GiB",   |_| 4 * GIB,             1),
    ("the end of 39 bits",           |m| (1 << 39).min(m.top) - PAGE, 1),
    ("the end of all addresses",     |m| m.top - PAGE,        1),
];

/// How they are touched, and the class of the abort.
#[rustfmt::skip]
static TOUCHES: &[(&str, Touch, u64)] = &[
    ("read",                  Touch::Form(form::LDR_W, false), DATA_ABORT),
    ("read as a byte",        Touch::Form(form::LDRB, false),  DATA_ABORT),
    ("written",               Touch::Form(form::STR_X, true),  DATA_ABORT),
    ("written as a half",     Touch::Form(form::STRH, true),   DATA_ABORT),
    ("executed",              Touch::Fetch,                    INSTRUCTION_ABORT),
];

#[derive(Clone, Copy)]
enum Touch {
    Form(usize, bool),
    Fetch,
}

impl Touch {
    /// Touches and holds the abort against what the Arm ARM says of it: class by source, IL, no FnV, External, WnR, FAR, vector.
    fn at(self, tally: &mut Tally, at: u64, class: u64) {
        let (shot, write) = match self {
            Self::Form(form, write) => (stubs::access(form, at, u64::MAX), write),
            Self::Fetch => (stubs::fetch(at), false),
        };
        must_abort(tally, &shot, class, at, write);
    }
}

fn must_abort(tally: &mut Tally, shot: &Shot, class: u64, at: u64, write: bool) {
    tally.note(shot);
    if shot.faults == 0 {
        return tally.odd(format_args!("{:#x} answers", at - WINDOW));
    }
    let wanted = class << 26 | 1 << 25 | EXTERNAL | if write { 1 << 6 } else { 0 };
    tally.want(
        shot.esr == wanted && shot.far == at && shot.vector == 4,
        format_args!(
            "ESR {:#x}, want {wanted:#x}; FAR {:#x}, want {at:#x}; vector {}",
            shot.esr, shot.far, shot.vector
        ),
    );
}

/// Lets the window show the gibibyte of an address; where the address is in it.
fn show(address: u64, attributes: u64) -> u64 {
    shot::map(WINDOW / GIB, (address / GIB * GIB) | attributes);
    WINDOW + address % GIB
}

/// The class.
pub fn run(report: &mut Report) {
    let map = Map::of_this_cell();
    for (name, first, pages) in PLACES {
        let span = Span { base: first(&map) / PAGE * PAGE, size: pages * PAGE };
        // What this GIC has not is not at address 0.
        if span.base == 0 && *name != "address 0" {
            continue;
        }
        let ours = (0..*pages).all(|page| is_ours(span.base + page * PAGE));
        if ours || span.base >= map.top {
            continue;
        }
        for (kind, attributes) in [("device", DEVICE), ("memory", NORMAL)] {
            show(span.base, attributes);
            for (touch, how, class) in TOUCHES {
                report.attack(format_args!("{name}, as {kind}, {touch}"), |tally| {
                    let step = if crate::deep() { 1 } else { pages / 64 + 1 };
                    for page in (0..*pages).step_by(step as usize).map(|page| span.base + page * PAGE) {
                        if !is_ours(page) && page / GIB == span.base / GIB {
                            how.at(tally, WINDOW + page % GIB + (page >> 9 & 0x1f8), *class);
                        }
                    }
                });
            }
        }
    }
    sweep(report, map.top / GIB - 1);
}

/// Every gibibyte that there may be, thin or (`hostile.deep`) every page of the first five.
fn sweep(report: &mut Report, last: u64) {
    let powers = (6..30).map(|n| 1 << n).take_while(|gib| *gib <= last);
    for gib in (0..64).chain(powers).chain([last]).filter(|gib| *gib <= last) {
        shot::map(WINDOW / GIB, (gib * GIB) | DEVICE);
        report.attack(format_args!("gibibyte {gib}"), |tally| {
            for page in pages(gib).filter(|page| !is_ours(gib * GIB + page)) {
                for (_, how, class) in TOUCHES.iter().step_by(2) {
                    how.at(tally, WINDOW + page + (page >> 9 & 0x1f8), *class);
                }
            }
        });
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

/// The class of its own devices: they may be used, but not executed.
pub fn devices(report: &mut Report) {
    let is_ram = |span: &&Span| board().memory.iter().any(|bank| bank.overlaps(**span));
    for span in board().spans.iter().filter(|span| !is_ram(span)) {
        let at = show(span.base, DEVICE);
        report.attack(format_args!("{:#x} executed", span.base), |tally| {
            for offset in [0, 0xff0, 0xffc] {
                let shot = stubs::fetch(at + offset);
                must_abort(tally, &shot, INSTRUCTION_ABORT, at + offset, false);
            }
        });
    }
}

/// What answers at a target of the forms.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The hypervisor, where the syndrome says what is wanted.
    Emulated,
    /// A device, whatever the form.
    Device,
    /// Nobody.
    Nobody,
}

use Answer::{Device, Emulated, Nobody};

/// What the forms are tried on, and what answers there; 0 is where this cell has no such thing.
#[rustfmt::skip]
static TARGETS: &[(&str, Where, Answer)] = &[
    ("GICD_CTLR",                    |m| m.gicd,               Emulated),
    ("GICD_ISENABLER1",              |m| m.gicd + 0x104,       Emulated),
    ("GICD_IPRIORITYR8",             |m| m.gicd + 0x420,       Emulated),
    ("GICD_ITARGETSR8 or GICD_IROUTER32", |m| m.gicd + if m.gicr == 0 { 0x820 } else { 0x6100 }, Emulated),
    ("GICD_SGIR",                    |m| m.gicd + 0xf00,       Emulated),
    ("no register of GICD",          |m| m.gicd + 0xd80,       Emulated),
    ("the last 8 bytes of GICD",     |m| m.gicd_end - 8,       Emulated),
    ("across the end of GICD",       |m| m.gicd_end - 1,       Nobody),
    ("behind GICD",                  |m| m.gicd_end,           Nobody),
    ("below GICD",                   |m| m.gicd - 2,           Nobody),
    ("GICR_TYPER",                   |m| m.redistributor(8),         Emulated),
    ("across RD_base and SGI_base",  |m| m.redistributor(0xfffd),    Emulated),
    ("GICR_ISENABLER0",              |m| m.redistributor(0x1_0100),  Emulated),
    ("GICR_IPRIORITYR0",             |m| m.redistributor(0x1_0400),  Emulated),
    ("across the end of GICR",       |m| m.gicr_end.saturating_sub(1), Nobody),
    ("GICC_CTLR",                    |m| m.gicc,               Device),
    ("GICC_IAR",                     |m| m.interface(0x0c),    Device),
    ("GICC_DIR",                     |m| m.interface(0x1000),  Device),
    ("across GICC's two pages",      |m| m.interface(0xffd),   Device),
    ("behind GICC",                  |m| m.interface(0x2010),          Nobody),
    ("below GICC",                   |m| m.gicc.saturating_sub(0x10), Nobody),
    ("UARTDR",                       |m| m.console,            Emulated),
    ("UARTFR, unaligned",            |m| m.console + 0x19,     Emulated),
    ("across the end of its UART",   |m| m.console + 0xffd,    Nobody),
    ("behind its RAM",               |m| m.behind + 0x40,      Nobody),
    ("across two pages of nothing",  |m| m.behind + 0xffd,     Nobody),
    ("address 0",                    |_| 0,                    Nobody),
];

/// A second window, in gibibytes.
const SECOND: u64 = 509;

/// The class of forms: each at what is emulated, at what is nothing, and across their borders.
pub fn forms(report: &mut Report) {
    let map = Map::of_this_cell();
    for (target, place, answer) in TARGETS {
        let place = place(&map);
        // Without a console of its own, its places are address 0's, and so are those of another GIC.
        if place < 0x1000 && *target != "address 0" {
            continue;
        }
        // Both at once: a change of the map costs each CPU something.
        let device = show(place, DEVICE);
        shot::map(SECOND, (place / GIB * GIB) | NORMAL);
        for (n, form) in FORMS.iter().enumerate() {
            // A Nothing may do nothing everywhere; a byte crosses no border.
            let byte = form.name.contains("b w") || form.name.contains("b x");
            let fits = *answer == Emulated || byte && target.starts_with("across");
            let any = form.kind == Kind::Nothing || *answer == Device;
            let may = if any || form.kind == Kind::Single && fits { May::Anything } else { May::Fault };
            report.attack(format_args!("{} at {target}", form.name), |tally| {
                for at in [device, device % GIB + SECOND * GIB] {
                    for value in [0, u64::MAX, 0x5a5a_a5a5_5a5a_a5a5] {
                        tally.judge(&stubs::access(n, at, value), may);
                    }
                }
            });
        }
    }
}
