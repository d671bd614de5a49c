//! Interrupts and idleness: SGIs to everybody, ends without beginnings, storms.

use core::sync::atomic::{AtomicU64, Ordering};

use rt::gic::{self, Bits, SPECIAL};
use rt::timer::{self, Timer};
use rt::{console, regs, smp, tree};

use crate::report::{Report, Tally};
use crate::shot::{self, RET};
use crate::stubs;
use crate::word::{Encoding, Random};

const SGI1R: Encoding = Encoding::new(3, 0, 12, 11, 5);
const ASGI1R: Encoding = Encoding::new(3, 0, 12, 11, 6);
const SGI0R: Encoding = Encoding::new(3, 0, 12, 11, 7);
const EOIR0: Encoding = Encoding::new(3, 0, 12, 8, 1);
const EOIR1: Encoding = Encoding::new(3, 0, 12, 12, 1);
const DIR: Encoding = Encoding::new(3, 0, 12, 11, 1);

/// How long a storm lasts, in microseconds.
const STORM: u64 = 30_000;
/// How many interrupts of one level are taken in a row.
const BURST: u64 = 1000;
/// How long code at EL0 may take, in microseconds.
const PATIENCE: u64 = 500;

static TAKEN: AtomicU64 = AtomicU64::new(0);

/// The handler.
pub fn irq() {
    let intid = gic::acknowledge();
    if intid >= SPECIAL {
        return;
    }
    if TAKEN.fetch_add(1, Ordering::Relaxed) % BURST == BURST - 1 {
        // A level that never falls leaves this CPU nothing else to do, until it does.
        Timer::Virtual.stop();
        Timer::Physical.stop();
        if let Some(uart) = console::uart() {
            uart.enable_tx_interrupt(false);
        }
    }
    gic::end(intid);
}

/// Lets the virtual timer end code that does not end by itself.
pub fn deadline() {
    Timer::Virtual.start(timer::count() + timer::ticks(PATIENCE));
}

/// Afterwards.
pub fn met() {
    Timer::Virtual.stop();
    if gic::is_signalled() {
        drain();
    }
}

/// Brings this CPU's interrupts to where [`deadline`] works.
pub fn quiet() {
    regs::mask_interrupts();
    if let Some(uart) = console::uart() {
        uart.enable_tx_interrupt(false);
    }
    Timer::Virtual.stop();
    Timer::Physical.stop();
    gic::enable_group1(true);
    gic::set_split_eoi(false);
    gic::set_priority_mask(0xff);
    gic::set_binary_point(0);
    gic::set_group1(true);
    if gic::is_v2() {
        crate::gicv2::settle();
    }
    let block = gic::sgi_base(regs::cpu_index());
    for register in [Bits::ClearEnable, Bits::ClearPending, Bits::ClearActive] {
        block.write(register as u64, u32::MAX);
    }
    drain();
    gic::set_priority(Timer::Virtual.intid(), gic::PRIORITY);
    gic::enable(Timer::Virtual.intid());
}

fn drain() {
    for _ in 0..1100 {
        let intid = gic::acknowledge();
        if intid >= SPECIAL {
            return;
        }
        gic::end(intid);
    }
}

/// The class.
pub fn run(report: &mut Report) {
    // A GICv2's have classes of their own: `gicd` and `gicc`.
    if !gic::is_v2() {
        sgis(report);
        interface(report);
        ends(report);
    }
    timers(report);
    storms(report);
}

type Targets = fn(&mut Random, &mut dyn FnMut(u64));

/// To whom SGIs go: the fields of ICC_SGI1R_EL1 but INTID (IHI 0069H 12.2).
#[rustfmt::skip]
static TARGETS: &[(&str, Targets)] = &[
    ("all but itself",           |_, to| to(1 << 40)),
    ("all but itself, by list",  |_, to| to(1 << 40 | 0xffff)),
    ("nobody",                   |_, to| to(0)),
    ("the whole cluster",        |_, to| to(0xffff)),
    ("each CPU of the cluster",  |_, to| (0..16).for_each(|bit| to(1 << bit))),
    ("everybody but itself",     |_, to| to(0xfffe)),
    ("every Aff1",               |_, to| (0..256).for_each(|aff1| to(aff1 << 16 | 0xffff))),
    ("every Aff2",               |_, to| (0..256).for_each(|aff2| to(aff2 << 32 | 0xffff))),
    ("every Aff3",               |_, to| (0..256).for_each(|aff3| to(aff3 << 48 | 0xffff))),
    ("every range",              |_, to| (0..16).for_each(|range| to(range << 44 | 0xffff))),
    ("reserved bits",            |_, to| [28, 29, 30, 31, 41, 42, 43, 56, 63].into_iter().for_each(|bit| to(1 << bit | 0xffff))),
    ("all ones",                 |_, to| to(u64::MAX)),
    ("garbage",                  |random, to| (0..200).for_each(|_| to(random.next()))),
];

fn sgis(report: &mut Report) {
    for (name, register) in [("SGI1R", SGI1R), ("ASGI1R", ASGI1R), ("SGI0R", SGI0R)] {
        shot::write(0, &[register.write(0), RET]);
        shot::publish(2);
        for (whom, targets) in TARGETS {
            report.attack(format_args!("{name} to {whom}"), |tally| {
                let mut random = Random::new(1);
                for sgi in 0..16 {
                    targets(&mut random, &mut |target| {
                        let value = target & !(0xf << 24) | sgi << 24;
                        tally.note(&shot::run(0, [value, 0, 0, 0, 0, 0, 0, 0]));
                    });
                }
            });
        }
    }
}

/// The CPU interface's registers that have state.
#[rustfmt::skip]
static INTERFACE: &[(&str, Encoding)] = &[
    ("ICC_PMR",     Encoding::new(3, 0, 4, 6, 0)),   ("ICC_BPR0",    Encoding::new(3, 0, 12, 8, 3)),
    ("ICC_BPR1",    Encoding::new(3, 0, 12, 12, 3)), ("ICC_CTLR",    Encoding::new(3, 0, 12, 12, 4)),
    ("ICC_SRE",     Encoding::new(3, 0, 12, 12, 5)), ("ICC_IGRPEN0", Encoding::new(3, 0, 12, 12, 6)),
    ("ICC_IGRPEN1", Encoding::new(3, 0, 12, 12, 7)), ("ICC_AP0R0",   Encoding::new(3, 0, 12, 8, 4)),
    ("ICC_AP0R1",   Encoding::new(3, 0, 12, 8, 5)),  ("ICC_AP1R0",   Encoding::new(3, 0, 12, 9, 0)),
    ("ICC_AP1R1",   Encoding::new(3, 0, 12, 9, 1)),  ("ICC_AP1R3",   Encoding::new(3, 0, 12, 9, 3)),
    ("ICC_IAR0",    Encoding::new(3, 0, 12, 8, 0)),  ("ICC_IAR1",    Encoding::new(3, 0, 12, 12, 0)),
    ("ICC_HPPIR1",  Encoding::new(3, 0, 12, 12, 2)), ("ICC_RPR",     Encoding::new(3, 0, 12, 11, 3)),
];

/// Each with each bit and all of them, with SGIs and a timer on their way; then back to what it was.
fn interface(report: &mut Report) {
    const ISB: u32 = 0xd503_3fdf;
    for (name, register) in INTERFACE {
        // Read, changed, an SGI to itself, acknowledged and ended, put back.
        let ack = Encoding::new(3, 0, 12, 12, 0).read(10);
        let code = [
            register.read(9),
            register.write(0),
            ISB,
            SGI1R.write(1),
            ISB,
            ack,
            EOIR1.write(10),
            register.write(9),
            RET,
        ];
        shot::write(0, &code);
        shot::publish(code.len());
        // QEMU 10.0 dies of an ICC_BPR1 of 8 or any other whose lowest 3 bits are 0 (icv_gprio_mask asserts).
        let all = if name.starts_with("ICC_BPR") { 3 } else { 64 };
        for (what, bits) in [("each bit", all), ("ones", 1), ("zero", 1)] {
            report.attack(format_args!("{name}, {what}"), |tally| {
                (0..16).for_each(gic::enable);
                for bit in 0..bits {
                    let value = match what {
                        "ones" => u64::MAX,
                        "zero" => 0,
                        _ => 1 << bit,
                    };
                    Timer::Virtual.start(timer::count());
                    tally.note(&shot::run(
                        0,
                        [value, (bit % 16) << 24 | 1 << regs::cpu_index(), 0, 0, 0, 0, 0, 0],
                    ));
                }
                // What an interrupt left active ends here.
                let end = Encoding::new(3, 0, 12, 9, 0);
                shot::write(64, &[end.write(0), RET]);
                shot::publish_at(64, 2);
                shot::run(64, [0; 8]);
            });
            quiet();
        }
    }
}

/// Ends of interrupts that never began, of everybody's.
fn ends(report: &mut Report) {
    for (name, register) in [("EOIR0", EOIR0), ("EOIR1", EOIR1), ("DIR", DIR)] {
        for split in [false, true] {
            gic::set_split_eoi(split);
            shot::write(0, &[register.write(0), RET]);
            shot::publish(2);
            let mut tally = Tally::default();
            for intid in (0..1100).chain([4095, 8191, 8192, 65535, 0xff_ffff, u64::MAX]) {
                tally.note(&shot::run(0, [intid, 0, 0, 0, 0, 0, 0, 0]));
            }
            report.done(format_args!("{name} of every INTID, split {split}"), tally);
        }
    }
    quiet();
}

/// Compare values at both ends of time, both timers.
fn timers(report: &mut Report) {
    for (name, crm) in [("physical", 2), ("virtual", 3)] {
        let [tval, ctl, cval] = [0, 1, 2].map(|op2| Encoding::new(3, 3, 14, crm, op2));
        for (what, register) in [("TVAL", tval), ("CVAL", cval), ("CTL", ctl)] {
            shot::write(0, &[register.write(0), ctl.write(1), RET]);
            shot::publish(3);
            let mut tally = Tally::default();
            for bit in 0..64 {
                for value in [1 << bit, (1 << bit) - 1, !(1 << bit)] {
                    for control in [0, 1, 2, 3, u64::MAX] {
                        tally.note(&shot::run(0, [value, control, 0, 0, 0, 0, 0, 0]));
                    }
                }
            }
            report.done(format_args!("{name} timer, {what}"), tally);
        }
    }
    quiet();
}

/// Interrupts as fast as they come, taken and not.
fn storms(report: &mut Report) {
    let spis = || tree::board().spis.iter().map(|spi| spi.intid);
    let storm = |report: &mut Report, name: &str, again: &mut dyn FnMut()| {
        TAKEN.store(0, Ordering::Relaxed);
        regs::unmask_interrupts();
        let mut tally = Tally::default();
        timer::wait_until(STORM, || {
            again();
            false
        });
        quiet();
        tally.count(TAKEN.load(Ordering::Relaxed));
        report.done(format_args!("storm of {name}"), tally);
    };
    spis().for_each(gic::enable);
    storm(report, "its own SPIs", &mut || spis().for_each(|intid| gic::set(Bits::SetPending, intid)));
    gic::enable(Timer::Virtual.intid());
    // Never lowered: each end of it is the beginning of the next.
    storm(report, "the virtual timer", &mut || Timer::Virtual.start(0));
    gic::enable(Timer::Physical.intid());
    storm(report, "the physical timer", &mut || Timer::Physical.start(0));
    if let Some(uart) = console::uart() {
        spis().for_each(gic::enable);
        storm(report, "a level that never falls", &mut || uart.enable_tx_interrupt(true));
        uart.enable_tx_interrupt(false);
    }
    for sgi in 0..16 {
        gic::enable(sgi);
    }
    storm(report, "SGIs to itself", &mut || (0..16).for_each(|sgi| gic::send(sgi, regs::affinity())));
    storm(report, "SGIs to the others", &mut || (0..16).for_each(gic::send_others));
    storm(report, "its SPIs made active and inactive", &mut || {
        for intid in spis() {
            for register in [Bits::SetPending, Bits::SetActive, Bits::ClearPending, Bits::ClearActive] {
                gic::set(register, intid);
            }
        }
    });
    let cpus = smp::count() as u64;
    storm(report, "routes", &mut || {
        for intid in spis() {
            gic::set_route(intid, timer::count() % (cpus + 1));
        }
    });
}

/// The class of idleness: WFI, WFE and their kin, with a timer to wake them, and the call for it.
pub fn idle(report: &mut Report) {
    const WFE: u32 = 0xd503_205f;
    const WFI: u32 = 0xd503_207f;
    const SEV: u32 = 0xd503_209f;
    const SEVL: u32 = 0xd503_20bf;
    /// WFET x0, WFIT x0 (FEAT_WFxT).
    const WFET: u32 = 0xd503_1000;
    const WFIT: u32 = 0xd503_1020;
    for (name, words, rounds) in [
        ("WFI", [WFI, RET, RET], 100),
        ("WFE", [SEVL, WFE, RET], 2000),
        ("SEV", [SEV, SEV, RET], 2000),
        ("WFET", [WFET, RET, RET], 100),
        ("WFIT", [WFIT, RET, RET], 100),
    ] {
        shot::write(0, &words);
        shot::publish(3);
        let mut tally = Tally::default();
        for _ in 0..rounds {
            Timer::Virtual.start(timer::count() + timer::ticks(50));
            tally.note(&shot::run(0, [0; 8]));
            met();
        }
        report.done(format_args!("{rounds} times {name}"), tally);
    }
    let mut tally = Tally::default();
    for state in [0, 1, 0xffff, 1 << 24, 3 << 24] {
        for _ in 0..20 {
            Timer::Virtual.start(timer::count() + timer::ticks(50));
            tally.note(&stubs::call(false, [0xc400_0001, state, 0, 0, 0, 0, 0, 0]));
            met();
        }
    }
    report.done(format_args!("standby"), tally);
}
