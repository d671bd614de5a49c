//! Both EL1 timers, on every CPU.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rt::timer::{Timer, count, frequency, ticks, wait_until};
use rt::{MAX_CPUS, gic, regs, smp};

use crate::report::{Check, Needs, Outcome, check, why};
use crate::taken::{self, PATIENCE, collect, intids, next, reset_counts, silent};
use crate::{crew, ensure, ensure_eq};

/// The group's checks.
pub const CHECKS: &[Check] = &[
    check("timer_frequency", Needs::Nothing, rate),
    check("timer_virtual", Needs::Nothing, || shots(Timer::Virtual)),
    check("timer_physical", Needs::Nothing, || shots(Timer::Physical)),
    check("timer_level", Needs::Nothing, level),
    check("timer_masked", Needs::Nothing, masked),
    check("timer_both", Needs::Nothing, both),
    check("timer_wakes", Needs::Nothing, wakes),
    check("timer_millisecond", Needs::Nothing, millisecond),
    check("timer_each", Needs::Crew, each),
    check("timer_same_count", Needs::Crew, same_count),
];

const BOTH: [Timer; 2] = [Timer::Virtual, Timer::Physical];

fn rate() -> Outcome {
    ensure!((1_000_000..=1_000_000_000).contains(&frequency()), "CNTFRQ_EL0 is {}", frequency());
    Ok(())
}

fn shots(timer: Timer) -> Outcome {
    gic::enable(timer.intid());
    for shot in 0..30 {
        let compare = timer.count() + ticks(500);
        timer.start(compare);
        let Some(taken) = next() else { return Err(why(format_args!("shot {shot} never came"))) };
        let now = timer.count();
        ensure_eq!(taken.intid, timer.intid(), "shot {shot}");
        ensure!(now >= compare, "shot {shot} came {} ticks early", compare - now);
        ensure_eq!(timer.control(), 0b101, "shot {shot}: CTL");
        timer.stop();
        gic::end(taken.intid);
    }
    ensure!(silent(), "it fires though it is off");
    Ok(())
}

fn level() -> Outcome {
    for timer in BOTH {
        gic::enable(timer.intid());
        timer.start(timer.count());
        for time in 1..=5 {
            let Some(taken) = next() else {
                return Err(why(format_args!("{timer:?}: time {time} never came")));
            };
            ensure_eq!(taken.intid, timer.intid(), "{timer:?}");
            if time == 5 {
                timer.stop();
            }
            gic::end(taken.intid);
        }
        ensure!(collect(0).is_empty(), "{timer:?} fires though it is off");
    }
    Ok(())
}

fn masked() -> Outcome {
    for timer in BOTH {
        gic::enable(timer.intid());
        timer.start(timer.count());
        timer.set_control(0b11);
        collect(0);
        ensure!(silent(), "{timer:?} fires though CTL.IMASK is set");
        ensure_eq!(timer.control(), 0b111, "{timer:?}: CTL");
        timer.set_control(0b01);
        let Some(taken) = next() else { return Err(why(format_args!("{timer:?} never fires unmasked"))) };
        timer.stop();
        gic::end(taken.intid);
    }
    Ok(())
}

fn both() -> Outcome {
    for timer in BOTH {
        gic::enable(timer.intid());
    }
    let compare = count() + ticks(1_000);
    Timer::Virtual.start(compare);
    Timer::Physical.start(Timer::Physical.count() + ticks(1_000));
    let mut seen = 0u64;
    for _ in 0..2 {
        let Some(taken) = next() else { return Err(why(format_args!("only {seen:#x} came"))) };
        seen |= 1 << taken.intid;
        for timer in BOTH {
            if timer.intid() == taken.intid {
                timer.stop();
            }
        }
        gic::end(taken.intid);
    }
    ensure_eq!(seen, 1 << Timer::Virtual.intid() | 1 << Timer::Physical.intid(), "both at once");
    Ok(())
}

fn wakes() -> Outcome {
    gic::enable(Timer::Virtual.intid());
    for _ in 0..10 {
        let compare = count() + ticks(2_000);
        Timer::Virtual.start(compare);
        while !gic::is_signalled() {
            regs::wait_for_interrupt();
            ensure!(count() < compare + ticks(PATIENCE), "WFI does not end");
        }
        ensure!(count() >= compare, "signalled early");
        Timer::Virtual.stop();
        let got = collect(0);
        ensure!(got.len() <= 1, "{:?} came", intids(&got));
    }
    Ok(())
}

static START: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static TICKS: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];
static EARLY: AtomicU32 = AtomicU32::new(0);

const MILLISECONDS: u32 = 200;

/// The handler of the millisecond ticks: counts, and sets the next absolute compare value.
fn tick(intid: u32) {
    let cpu = regs::cpu_index();
    if intid == Timer::Virtual.intid()
        && let (Some(start), Some(ticked)) = (START.get(cpu), TICKS.get(cpu))
    {
        let n = ticked.fetch_add(1, Ordering::SeqCst) + 1;
        let start = start.load(Ordering::SeqCst);
        if count() < start + ticks(1_000) * u64::from(n) {
            EARLY.fetch_add(1, Ordering::SeqCst);
        }
        if n == MILLISECONDS {
            Timer::Virtual.stop();
        } else {
            Timer::Virtual.start(start + ticks(1_000) * u64::from(n + 1));
        }
    }
}

fn tick_on_this_cpu(_: u64) -> u64 {
    let cpu = regs::cpu_index();
    let (Some(start), Some(ticked)) = (START.get(cpu), TICKS.get(cpu)) else { return 0 };
    ticked.store(0, Ordering::SeqCst);
    let now = count();
    start.store(now, Ordering::SeqCst);
    gic::enable(Timer::Virtual.intid());
    Timer::Virtual.start(now + ticks(1_000));
    regs::unmask_interrupts();
    wait_until(5_000_000, || ticked.load(Ordering::SeqCst) >= MILLISECONDS);
    wait_until(taken::SILENCE, || false);
    regs::mask_interrupts();
    u64::from(ticked.load(Ordering::SeqCst))
}

fn millisecond() -> Outcome {
    EARLY.store(0, Ordering::SeqCst);
    reset_counts(Some(tick));
    ensure_eq!(tick_on_this_cpu(0), u64::from(MILLISECONDS), "ticks");
    ensure_eq!(EARLY.load(Ordering::SeqCst), 0, "ticks that came early");
    Ok(())
}

fn each() -> Outcome {
    EARLY.store(0, Ordering::SeqCst);
    reset_counts(Some(tick));
    crew::muster()?;
    for cpu in crew::members() {
        crew::post(cpu, tick_on_this_cpu, 0);
    }
    ensure_eq!(tick_on_this_cpu(0), u64::from(MILLISECONDS), "ticks of CPU 0");
    for cpu in crew::members() {
        ensure_eq!(crew::join(cpu)?, u64::from(MILLISECONDS), "ticks of CPU {cpu}");
        let foreign = taken::count(cpu, Timer::Physical.intid());
        ensure_eq!(foreign, 0, "physical timer interrupts at CPU {cpu}");
    }
    ensure_eq!(EARLY.load(Ordering::SeqCst), 0, "ticks that came early");
    Ok(())
}

fn read_count(_: u64) -> u64 {
    count()
}

fn same_count() -> Outcome {
    for cpu in crew::members() {
        let before = count();
        let there = crew::call(cpu, read_count, 0)?;
        let after = count();
        ensure!(
            (before..=after).contains(&there),
            "CPU {cpu} reads {there} between {before} and {after} here"
        );
    }
    ensure!(smp::count() > 1, "nobody to compare with");
    Ok(())
}
