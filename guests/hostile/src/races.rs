//! Races: what one vCPU does while the other does the same, or the opposite, both as fast as they can. A line each.

use core::sync::atomic::{AtomicUsize, Ordering};

use rt::{gic, psci, smp, timer};

use crate::crew::{dismiss, frame, is_dismissed, muster, send};
use crate::report::{Report, Tally};
use crate::shot::{self, DEVICE, RET, WINDOW};
use crate::stubs::{self, form};
use crate::word::{self, Encoding, Random};

/// How long each lasts, in microseconds.
const LONG: u64 = 15_000;
const GIB: u64 = 1 << 30;
/// Rounds of those that start the second vCPU.
const ROUNDS: u64 = 150;

/// Stubs, by their word in the arena.
const SGI: usize = 0;
const CLEAN: usize = 2;
const FORGET: usize = 4;
const FORGET_CODE: usize = 6;

fn prepare() {
    // What an earlier race switched off may be what wakes this vCPU.
    crate::interrupts::quiet();
    stubs::write();
    let words = [(3, 0, 12, 11, 5), (1, 0, 7, 14, 2), (1, 0, 8, 3, 0), (1, 0, 7, 1, 0)]
        .map(|(op0, op1, crn, crm, op2)| Encoding::new(op0, op1, crn, crm, op2).write(0));
    for (n, word) in words.into_iter().enumerate() {
        shot::write(2 * n, &[word, RET]);
    }
    shot::publish(8);
}

type Side = fn(&mut Random);

fn gicd(form: usize, offset: u64, value: u64) {
    stubs::access(form, gic::distributor().base() + offset, value);
}

/// What a GICv2 has of it is the own CPU's: banked registers, and the interface.
fn gicr(form: usize, vcpu: usize, offset: u64, value: u64) {
    if gic::is_v2() {
        let base = offset.checked_sub(0x1_0000).map(|at| gic::distributor().base() + at);
        let base = base.unwrap_or_else(|| gic::memory::interface().base() + offset);
        stubs::access(form, base, value);
        return;
    }
    stubs::access(form, frame(vcpu) + offset, value);
}

fn code(stub: usize, x0: u64) {
    shot::run(stub, [x0, 0, 0, 0, 0, 0, 0, 0]);
}

/// An SGI as ICC_SGI1R_EL1 has it: INTID, IRM, list.
fn sgi(value: u64) {
    if gic::is_v2() {
        gicd(form::STR_W, 0xf00, (value & 0xff) << 16 | (value >> 40 & 1) << 24 | value >> 24 & 0xf);
    } else {
        code(SGI, value);
    }
}

/// Takes what is there, and ends it.
fn acknowledge() {
    let intid = gic::acknowledge();
    gic::end(intid);
}

fn call(function: u64, x1: u64, x2: u64) {
    stubs::call(false, [function, x1, x2, 0, 0, 0, 0, 0]);
}

/// A place in an array of registers for every INTID.
fn any(random: &mut Random, bytes: u64) -> u64 {
    (random.next() % bytes) / 4 * 4
}

/// The route of an SPI.
fn route(random: &mut Random, target: u64) {
    gicd(form::STR_X, 0x6100 + random.next() % 64 * 8, target);
}

/// Somewhere in so many bytes from a place in the window on.
fn window(random: &mut Random, from: u64, bytes: u64) -> u64 {
    WINDOW + from + random.next() % (bytes / 8) * 8
}

fn load(at: u64) {
    stubs::access(form::LDR_W, at, 0);
}

/// What the first vCPU does, what the second does.
#[rustfmt::skip]
static RACES: &[(&str, Side, Side)] = &[
    ("GICD_ICFGR by both",
        |r| gicd(form::STR_W, 0xc00 + any(r, 0x40), r.next()),  |r| gicd(form::STR_W, 0xc00 + any(r, 0x40), r.next())),
    ("GICD_IPRIORITYR as bytes and words",
        |r| gicd(form::STRB, 0x400 + any(r, 0x100) + 1, r.next()), |r| gicd(form::STR_W, 0x400 + any(r, 0x100), r.next())),
    ("GICD_IROUTER by both",
        |r| route(r, 0),                                       |r| route(r, 1)),
    ("GICD_IGROUPR by both",
        |r| gicd(form::STR_W, 0x80 + any(r, 0x20), r.next()),   |r| gicd(form::STR_W, 0x80 + any(r, 0x20), r.next())),
    ("GICD_ISENABLER and GICD_ICENABLER",
        |r| gicd(form::STR_W, 0x100 + any(r, 0x20), u64::MAX),  |r| gicd(form::STR_W, 0x180 + any(r, 0x20), u64::MAX)),
    ("GICD_ISPENDR and GICD_ICPENDR",
        |r| gicd(form::STR_W, 0x200 + any(r, 0x20), u64::MAX),  |r| gicd(form::STR_W, 0x280 + any(r, 0x20), u64::MAX)),
    ("GICD_ISACTIVER and GICD_ICACTIVER",
        |r| gicd(form::STR_W, 0x300 + any(r, 0x20), u64::MAX),  |r| gicd(form::STR_W, 0x380 + any(r, 0x20), u64::MAX)),
    ("GICD_SETSPI_NSR and GICD_CLRSPI_NSR",
        |r| gicd(form::STR_W, 0x40, 32 + r.next() % 256),       |r| gicd(form::STR_W, 0x48, 32 + r.next() % 256)),
    ("GICD_CTLR on and off",
        |_| gicd(form::STR_W, 0, 0),                            |_| gicd(form::STR_W, 0, u64::MAX)),
    ("pending and routed away",
        |r| gicd(form::STR_W, 0x200 + any(r, 0x20), u64::MAX),  |r| route(r, 1)),
    ("pending and disabled",
        |r| gicd(form::STR_W, 0x200 + any(r, 0x20), u64::MAX),  |r| gicd(form::STR_W, 0x180 + any(r, 0x20), u64::MAX)),
    ("active by one, inactive by the other, in one redistributor",
        |_| gicr(form::STR_W, 1, 0x1_0300, u64::MAX),           |_| gicr(form::STR_W, 1, 0x1_0380, u64::MAX)),
    ("pending by one, cleared by the other, in one redistributor",
        |_| gicr(form::STR_W, 1, 0x1_0200, u64::MAX),           |_| gicr(form::STR_W, 1, 0x1_0280, u64::MAX)),
    ("each other's redistributor",
        |r| gicr(form::STR_W, 1, 0x1_0000 + any(r, 0xd00), r.next()), |r| gicr(form::STR_W, 0, 0x1_0400 + any(r, 0x20), r.next())),
    ("each other's GICR_WAKER",
        |r| gicr(form::STR_W, 1, 0x14, r.next()),               |r| gicr(form::STR_W, 0, 0x14, r.next())),
    ("SGIs to each other",
        |r| sgi( r.next() & 0xf << 24 | 2),                |r| sgi( r.next() & 0xf << 24 | 1)),
    ("SGIs to all",
        |r| sgi( r.next() & 0xf << 24 | 1 << 40),          |r| sgi( r.next() & 0xf << 24 | 0xffff)),
    ("SGIs to a vCPU whose SGIs go on and off",
        |r| sgi( r.next() & 0xf << 24 | 2),                |r| gicr(form::STR_W, 1, 0x1_0100 + (r.next() & 0x80), 0xffff)),
    ("SGIs to a vCPU that clears them",
        |r| sgi( r.next() & 0xf << 24 | 2),                |_| gicr(form::STR_W, 1, 0x1_0280, 0xffff)),
    ("GICD_ITARGETSR by both",
        |r| gicd(form::STRB, 0x820 + r.next() % 256, 1),        |r| gicd(form::STRB, 0x820 + r.next() % 256, r.next())),
    ("GICD_SGIR with every filter and list by both",
        |r| gicd(form::STR_W, 0xf00, r.next()),                 |r| gicd(form::STR_W, 0xf00, r.next())),
    ("GICD_SPENDSGIR and GICD_CPENDSGIR beside GICD_SGIR",
        |r| gicd(form::STR_W, 0xf10 + any(r, 0x20), r.next()),  |r| gicd(form::STR_W, 0xf00, 1 << 24 | r.next() & 0xf)),
    ("pending and named for the other",
        |r| gicd(form::STR_W, 0x200 + any(r, 0x20), u64::MAX),  |r| gicd(form::STRB, 0x820 + r.next() % 256, 2)),
    ("pending, named for both, acknowledged and ended by both",
        |r| {
            gicd(form::STRB, 0x820 + r.next() % 64, 3);
            gicd(form::STR_W, 0x204, u64::MAX);
            acknowledge();
        },
        |_| acknowledge()),
    ("TLBI by both",
        |_| code(FORGET, 0),                                    |_| code(FORGET, 0)),
    ("TLBI against its mate's accesses to nothing",
        |_| code(FORGET, 0),                                    |r| load(window(r, 0, GIB))),
    ("TLBI against its mate's jumps to nothing",
        |_| code(FORGET, 0),                                    |r| { stubs::fetch(window(r, 0, GIB)); }),
    ("TLBI against its mate's emulated accesses",
        |_| code(FORGET, 0),                                    |r| gicd(form::LDR_W, any(r, 0x1000), 0)),
    ("stage 1 changed under its mate's feet",
        |r| shot::map(WINDOW >> 30, (2 + r.next() % 62) << 30 | DEVICE), |r| { stubs::access(form::STR_X, window(r, 0, GIB), 0); }),
    ("stage 1 changed under its mate's emulated accesses",
        |r| shot::map(WINDOW >> 30, (r.next() % 2) << 30 | DEVICE), |r| load(window(r, 0x800_0000, 0x20_0000))),
    ("DC CISW by both",
        |_| code(CLEAN, 0),                                     |_| code(CLEAN, 2)),
    ("DC CISW against calls",
        |_| code(CLEAN, 0),                                     |r| call(0x8400_0000, r.next(), 0)),
    ("IC IALLUIS by both",
        |_| code(FORGET_CODE, 0),                               |_| code(FORGET_CODE, 0)),
    ("calls by both",
        |r| call(0x8600_ff01, r.next(), 0),                     |r| call(0x8400_000a, r.next(), 0)),
    ("AFFINITY_INFO by both",
        |r| call(0x8400_0004, r.next() & 3, 0),                 |r| call(0xc400_0004, r.next() & 3, 0)),
    ("CPU_ON of each other, who are on",
        |_| call(0xc400_0003, 1, shot::place(0)),               |_| call(0xc400_0003, 0, shot::place(0))),
    ("CPU_ON of the neighbours by both",
        |r| call(0xc400_0003, 2 + r.next() % 6, shot::place(0)), |r| call(0x8400_0003, 2 + r.next() % 6, 0)),
    ("standby against SGIs",
        |r| sgi( r.next() & 0xf << 24 | 2),                |_| {
            timer::Timer::Virtual.start(timer::count() + timer::ticks(100));
            call(0x8400_0001, 0, 0);
            timer::Timer::Virtual.stop();
        }),
];

/// Which line the second vCPU has.
static LINE: AtomicUsize = AtomicUsize::new(0);
static SHOTS: AtomicUsize = AtomicUsize::new(0);

fn second(_: usize) {
    prepare();
    let mut random = Random::new(17);
    let mut shots = 0;
    if let Some((_, _, side)) = RACES.get(LINE.load(Ordering::SeqCst)) {
        while !is_dismissed() {
            side(&mut random);
            shots += 1;
        }
    }
    SHOTS.store(shots, Ordering::SeqCst);
}

/// The class.
pub fn run(report: &mut Report) {
    if smp::count() < 2 {
        return;
    }
    dismiss();
    for (n, (name, side, _)) in RACES.iter().enumerate() {
        prepare();
        LINE.store(n, Ordering::SeqCst);
        send(second);
        report.attack(format_args!("{name}"), |tally| {
            let mut random = Random::new(19);
            timer::wait_until(LONG, || {
                side(&mut random);
                tally.count(1);
                false
            });
            dismiss();
            tally.count(SHOTS.load(Ordering::SeqCst) as u64);
        });
        crate::interrupts::quiet();
    }
    starts(report);
    muster();
}

/// CPU_ON and CPU_OFF as fast as they go, with state that is gone when the CPU arrives.
fn starts(report: &mut Report) {
    // The second vCPU's whole life: CPU_OFF (MOVZ x0, #0x8400, LSL 16; MOVK x0, #2; HVC; B .).
    shot::write(0, &[0xd2b0_8000, 0xf280_0040, word::hvc(0), 0x1400_0000]);
    shot::publish(4);
    let target = smp::affinity(1);
    let beside: &[(&str, fn())] = &[
        ("nothing", || {}),
        ("SGIs to it", || (0..16).for_each(gic::send_others)),
        ("SPIs routed to it", || gic::set_route(33, 1)),
        ("its redistributor written", || gicr(form::STR_W, 1, 0x1_0100, u64::MAX)),
        ("AFFINITY_INFO", || call(0xc400_0004, 1, 0)),
        ("a reset of nobody", || call(0x8400_0012, 1, 0)),
    ];
    for (name, beside) in beside {
        report.attack(format_args!("CPU_ON and CPU_OFF beside {name}"), |tally| {
            for n in 0..ROUNDS {
                let x = [psci::function::CPU_ON, target, shot::place(0), n, 0, 0, 0, 0];
                check(tally, &stubs::call(n & 1 == 0, x));
                beside();
            }
            if !smp::wait_off(1) {
                tally.odd(format_args!("the second vCPU does not go off"));
            }
        });
    }
}

fn check(tally: &mut Tally, shot: &shot::Shot) {
    tally.judge(shot, crate::report::May::Answer(&[0, -4, -5]));
}
