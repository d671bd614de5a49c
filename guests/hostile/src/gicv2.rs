//! What a GICv2 alone offers (IHI 0048B): a CPU interface in memory, which with `interrupt-mode = "direct"` is the physical one; SGIs
//! and SPIs that name CPU interfaces of the machine; SGIs that are pending by sender.

use rt::gic::{self, Bits, SPECIAL, memory};
use rt::timer::{self, Timer};
use rt::{regs, tree};

use crate::gic::{Register, frame, registers};
use crate::interrupts::quiet;
use crate::report::{Report, Tally};
use crate::shot::{self, RET};
use crate::stubs::{self, form};
use crate::word::Random;

/// Bytes of the CPU interface.
const SIZE: u64 = 0x2000;
const EOIR: u64 = 0x10;
const AEOIR: u64 = 0x24;
const DIR: u64 = 0x1000;
const ITARGETSR: u64 = 0x800;
const ICFGR1: u64 = 0xc04;
const SGIR: u64 = 0xf00;
const CPENDSGIR: u64 = 0xf10;
const SPENDSGIR: u64 = 0xf20;

/// IHI 0048B 4.1.3.
#[rustfmt::skip]
static INTERFACE: &[Register] = &[
    ("GICC_CTLR",    0x0000, 0x0004, 4), ("GICC_PMR",     0x0004, 0x0008, 4), ("GICC_BPR",    0x0008, 0x000c, 4),
    ("GICC_IAR",     0x000c, 0x0010, 4), ("GICC_EOIR",    0x0010, 0x0014, 4), ("GICC_RPR",    0x0014, 0x0018, 4),
    ("GICC_HPPIR",   0x0018, 0x001c, 4), ("GICC_ABPR",    0x001c, 0x0020, 4), ("GICC_AIAR",   0x0020, 0x0024, 4),
    ("GICC_AEOIR",   0x0024, 0x0028, 4), ("GICC_AHPPIR",  0x0028, 0x002c, 4), ("GICC implementation", 0x0040, 0x00d0, 4),
    ("GICC_APR",     0x00d0, 0x00e0, 4), ("GICC_NSAPR",   0x00e0, 0x00f0, 4), ("GICC_IIDR",   0x00fc, 0x0100, 4),
    ("GICC_DIR",     0x1000, 0x1004, 4), ("behind GICC_DIR", 0x1004, 0x1100, 4),
];

/// The class of the CPU interface.
pub fn interface(report: &mut Report) {
    if !gic::is_v2() {
        return;
    }
    let base = memory::interface().base();
    for register in INTERFACE {
        registers(report, "", base, core::slice::from_ref(register));
        quiet();
    }
    frame(report, "GICC", base, SIZE);
    quiet();
    settings(report);
    waits(report);
    ends(report);
}

fn put(tally: &mut Tally, at: u64, value: u64) {
    tally.note(&stubs::access(form::STR_W, at, value));
}

/// Each register that has a state, with each bit of it, while an SGI is on its way, is acknowledged and ended.
fn settings(report: &mut Report) {
    let base = memory::interface().base();
    for (name, at, ..) in INTERFACE.iter().filter(|(_, at, ..)| matches!(at, 0 | 4 | 8 | 0x1c | 0xd0..0xf0)) {
        for (what, bits) in [("each bit", 32), ("ones", 1), ("zero", 1)] {
            report.attack(format_args!("{name}, {what}, and an interrupt"), |tally| {
                for bit in 0..bits {
                    let value = match what {
                        "ones" => u64::MAX,
                        "zero" => 0,
                        _ => 1 << bit,
                    };
                    Timer::Virtual.start(timer::count());
                    put(tally, base + at, value);
                    memory::generate(2, 0, bit % 16);
                    let intid = gic::acknowledge();
                    gic::end(intid);
                    quiet();
                }
            });
        }
    }
}

/// WFI with a timer to end it, behind what does not hold that timer back: EL2 waits in the place of a direct cell, and has to put all
/// of it back.
fn waits(report: &mut Report) {
    const WFI: u32 = 0xd503_207f;
    let base = memory::interface().base();
    shot::write(0, &[WFI, RET]);
    shot::publish(2);
    for (name, at, values) in [
        ("GICC_CTLR", 0, &[1, 1 | 1 << 2, 1 | 1 << 3, 1 | 1 << 4, 1 | 0xf << 5, 1 | 1 << 9, 3, u64::MAX][..]),
        ("GICC_PMR", 4, &[0xb0, 0xc0, 0xf0, 0xf8, 0xff, u64::MAX]),
        ("GICC_BPR", 8, &[0, 1, 2, 3, 4, 5, 6, 7, u64::MAX]),
        ("GICC_ABPR", 0x1c, &[0, 1, 2, 3, 4, 5, 6, 7, u64::MAX]),
        // Priorities below the timer's.
        ("GICC_APR", 0xd0, &[1 << 30, 1 << 31, 3 << 30]),
    ] {
        report.attack(format_args!("WFI behind each {name}"), |tally| {
            for value in values {
                Timer::Virtual.start(timer::count() + timer::ticks(50));
                put(tally, base + at, *value);
                let before = memory::interface().read(at);
                tally.note(&shot::run(0, [0; 8]));
                let after = memory::interface().read(at);
                tally.want(before == after, format_args!("{name} was {before:#x}, is {after:#x} behind WFI"));
                quiet();
            }
        });
    }
}

/// Ends of interrupts that never began, of everybody's and with every sender; by themselves, and in the middle of one of its own.
fn ends(report: &mut Report) {
    let base = memory::interface().base();
    let values = || {
        let senders = (0..8).flat_map(|sender| (0..16).map(move |sgi| sender << 10 | sgi));
        (16..1024).chain(senders).chain([1 << 13, 0xffff_fc00, u64::MAX])
    };
    for (name, at) in [("EOIR", EOIR), ("AEOIR", AEOIR), ("DIR", DIR)] {
        for split in [false, true] {
            for busy in [false, true] {
                report.attack(format_args!("{name} of every INTID, split {split}, busy {busy}"), |tally| {
                    gic::set_split_eoi(split);
                    for (n, value) in values().enumerate() {
                        if busy && n % 16 == 0 {
                            memory::generate(2, 0, 3);
                            gic::acknowledge();
                        }
                        put(tally, base + at, value);
                        if n % 16 == 15 {
                            quiet();
                            gic::set_split_eoi(split);
                        }
                    }
                });
                quiet();
            }
        }
    }
}

/// What of the distributor only a GICv2 has.
pub fn distributor(report: &mut Report) {
    if gic::is_v2() {
        sgis(report);
        targets(report);
        senders(report);
        strangers(report);
    }
}

type Lists = fn(&mut Random, &mut dyn FnMut(u64));

/// To whom SGIs go: GICD_SGIR but for INTID.
#[rustfmt::skip]
static LISTS: &[(&str, Lists)] = &[
    ("to every list",          |_, to| (0..256).for_each(|list| to(list << 16))),
    ("to all others",          |_, to| (0..256).step_by(15).for_each(|list| to(1 << 24 | list << 16))),
    ("to itself",              |_, to| (0..256).step_by(15).for_each(|list| to(2 << 24 | list << 16))),
    ("by the reserved filter", |_, to| (0..256).step_by(15).for_each(|list| to(3 << 24 | list << 16))),
    ("as a Secure one",        |_, to| (0..256).step_by(15).for_each(|list| to(1 << 15 | list << 16))),
    ("with reserved bits",     |_, to| (4..15).chain(26..32).for_each(|bit| to(0xff << 16 | 1 << bit))),
    ("with garbage",           |random, to| (0..200).for_each(|_| to(random.next() & 0xffff_fff0))),
];

fn sgis(report: &mut Report) {
    let base = gic::distributor().base();
    for (whom, lists) in LISTS {
        report.attack(format_args!("GICD_SGIR {whom}"), |tally| {
            let mut random = Random::new(1);
            (0..16).for_each(|sgi| lists(&mut random, &mut |list| put(tally, base + SGIR, list | sgi)));
        });
        quiet();
    }
    report.attack(format_args!("GICD_SGIR in other widths"), |tally| {
        for (form, by) in [(form::STRB, 1), (form::STRH, 2), (form::STR_X, 8)] {
            for at in (SGIR..SGIR + 16).step_by(by) {
                tally.note(&stubs::access(form, base + at, 0x00ff_0007));
            }
        }
    });
    quiet();
}

/// Every interrupt to every set of CPUs.
fn targets(report: &mut Report) {
    let base = gic::distributor().base() + ITARGETSR;
    for list in [0xff, 0xfe, 0xfc, 0x01, 0x02, 0x04, 0x08, 0x80, 0] {
        report.attack(format_args!("GICD_ITARGETSR of every INTID to {list:#x}"), |tally| {
            for intid in 0..1024 {
                tally.note(&stubs::access(form::STRB, base + intid, list));
                if intid % 4 == 0 {
                    put(tally, base + intid, list * 0x0101_0101);
                }
                // No more than the cell's CPUs, and of others' interrupts nothing.
                let [_, read, ..] = stubs::access(form::LDRB, base + intid, 0).x;
                let all = (1 << rt::smp::count()) - 1;
                let most = if is_own(intid as u32) { all } else { 0 };
                tally.want(read & !most == 0, format_args!("GICD_ITARGETSR of {intid} is {read:#x}"));
            }
        });
    }
    // Where its own were.
    tree::board().spis.iter().for_each(|spi| memory::set_targets(spi.intid, 1));
}

/// Whether an interrupt is this cell's, or may be.
fn is_own(intid: u32) -> bool {
    intid < 32 && !EL2.contains(&intid) || tree::board().spis.iter().any(|spi| spi.intid == intid)
}

/// EL2's own PPIs on `virt`: the maintenance interrupt and its timer.
const EL2: [u32; 2] = [25, 26];

/// SGIs pending by everybody.
fn senders(report: &mut Report) {
    let base = gic::distributor().base();
    for (name, at) in [("SPENDSGIR", SPENDSGIR), ("CPENDSGIR", CPENDSGIR)] {
        report.attack(format_args!("GICD_{name} by everybody"), |tally| {
            for sgi in 0..16 {
                for bit in 0..8 {
                    tally.note(&stubs::access(form::STRB, base + at + sgi, 1 << bit));
                }
                put(tally, base + at + sgi / 4 * 4, u64::MAX);
                let [_, read, ..] = stubs::access(form::LDRB, base + SPENDSGIR + sgi, 0).x;
                let all = (1 << rt::smp::count()) - 1;
                tally.want(read & !all == 0, format_args!("SGI {sgi} is pending by {read:#x}"));
            }
        });
        quiet();
    }
}

/// What is EL2's or others': enabled, raised, made active, given the highest priority, retargeted. Nothing of it is to be seen.
fn strangers(report: &mut Report) {
    let states = [Bits::SetEnable, Bits::SetPending, Bits::SetActive];
    for (name, range) in [("EL2's PPIs", 16..32), ("others' SPIs", 32..1020)] {
        report.attack(format_args!("{name}, in every register"), |tally| {
            for intid in range.filter(|intid| !is_own(*intid)) {
                let word = u64::from(intid / 32) * 4;
                for bits in states {
                    put(tally, gic::distributor().base() + bits as u64 + word, 1 << (intid % 32));
                }
                tally.note(&stubs::access(
                    form::STRB,
                    gic::distributor().base() + 0x400 + u64::from(intid),
                    0,
                ));
                gic::set_edge(intid, true);
                let seen = states.map(|bits| gic::get(bits, intid));
                let rest = (gic::priority(intid), memory::targets(intid), gic::is_edge(intid));
                tally.want(
                    seen == [false; 3] && rest == (0, 0, false),
                    format_args!("of {intid} there is {seen:?} {rest:x?}"),
                );
            }
        });
        quiet();
    }
    report.attack(format_args!("its PPIs as edges"), |tally| {
        put(tally, gic::distributor().base() + ICFGR1, u64::MAX);
        for intid in 16..32 {
            tally.want(!gic::is_edge(intid), format_args!("{intid} is an edge, for all CPUs perhaps"));
        }
    });
    quiet();
    report.attack(format_args!("the highest priority for its own"), |tally| {
        for intid in (0..1020).filter(|intid| is_own(*intid)) {
            let at = gic::distributor().base() + 0x400 + u64::from(intid);
            tally.note(&stubs::access(form::STRB, at, 0));
            let priority = gic::priority(intid);
            // One that it has after all not reads as zero.
            tally.want(priority == 0 || priority >= 0x10, format_args!("{intid} has priority {priority:#x}"));
        }
    });
    quiet();
}

/// All that is pending for this CPU is acknowledged and ended, its interface as [`quiet`] wants it.
pub fn settle() {
    let interface = memory::interface();
    // Reserved enables of signals that bypass the interface go, too.
    interface.write(0x00, 1);
    interface.write(0x04, 0xff);
    interface.write(0x08, 0);
    let calm = || (0xd0..0xf0).step_by(4).for_each(|at| interface.write(at, 0));
    calm();
    for sgi in 0..16 {
        memory::set_pending_senders(sgi, 0xff, false);
    }
    regs::dsb_sy();
    while gic::acknowledge() < SPECIAL {
        calm();
    }
    gic::distributor().write(Bits::ClearActive as u64, u32::MAX);
}
