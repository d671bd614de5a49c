//! The tick: the virtual timer's interrupt, at absolute times, and how late each one was.

use core::sync::atomic::{AtomicU64, Ordering};

use rt::timer::{self, Timer};
use rt::{gic, regs};

use crate::RATE;

/// The upper bounds of the histogram's buckets in nanoseconds; one more bucket takes the rest.
pub const BOUNDS: [u64; 11] =
    [1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 10_000_000];
/// How many buckets there are.
pub const BUCKETS: usize = BOUNDS.len() + 1;

// Written by the interrupt handler alone once the timer runs; one CPU, so plain loads and stores do.
static START: AtomicU64 = AtomicU64::new(0);
static TICKS: AtomicU64 = AtomicU64::new(0);
static LATE_MAX: AtomicU64 = AtomicU64::new(0);
static HISTOGRAM: [AtomicU64; BUCKETS] = [const { AtomicU64::new(0) }; BUCKETS];

/// What the ticks were up to one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// Ticks since the start.
    pub ticks: u64,
    /// Time since the start in microseconds.
    pub elapsed_us: u64,
    /// How late the latest tick was, in nanoseconds.
    pub late_max_ns: u64,
    /// How many ticks were how late.
    pub histogram: [u64; BUCKETS],
}

/// When tick `n` is due. From the start each time: a frequency that 1000 does not divide adds no drift.
fn due(n: u64) -> u64 {
    let frequency = timer::frequency();
    START.load(Ordering::Relaxed) + n / RATE * frequency + n % RATE * frequency / RATE
}

/// Starts the timer; the first tick is one period away.
pub fn start() {
    START.store(Timer::Virtual.count(), Ordering::Relaxed);
    gic::enable(Timer::Virtual.intid());
    Timer::Virtual.start(due(1));
}

/// The interrupt handler.
pub fn irq() {
    let intid = gic::acknowledge();
    if intid >= gic::SPECIAL {
        return;
    }
    if intid == Timer::Virtual.intid() {
        let ticks = TICKS.load(Ordering::Relaxed) + 1;
        record(timer::count().saturating_sub(due(ticks)));
        TICKS.store(ticks, Ordering::Relaxed);
        // A compare value that has passed already fires at once: late ticks are made up for, one by one.
        Timer::Virtual.start(due(ticks + 1));
    }
    gic::end(intid);
}

fn record(late: u64) {
    let late_ns = late * 1_000_000 / (timer::frequency() / 1000);
    let bucket = BOUNDS.iter().position(|bound| late_ns < *bound).unwrap_or(BOUNDS.len());
    if let Some(count) = HISTOGRAM.get(bucket) {
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
    if late_ns > LATE_MAX.load(Ordering::Relaxed) {
        LATE_MAX.store(late_ns, Ordering::Relaxed);
    }
}

/// Sleeps until more than `done` ticks have been; how many there have been.
pub fn wait_past(done: u64) -> u64 {
    loop {
        regs::mask_interrupts();
        let ticks = TICKS.load(Ordering::Relaxed);
        if ticks == done {
            // An interrupt that comes after the check still ends the WFI: it is pending, only masked.
            regs::wait_for_interrupt();
        }
        regs::unmask_interrupts();
        if ticks > done {
            return ticks;
        }
    }
}

/// Count and clock at one moment: one at which no tick is due but not yet taken.
pub fn snapshot() -> Snapshot {
    loop {
        let taken = regs::masked(|| {
            let ticks = TICKS.load(Ordering::Relaxed);
            let now = timer::count();
            (now < due(ticks + 1)).then(|| Snapshot {
                ticks,
                elapsed_us: microseconds(now - START.load(Ordering::Relaxed)),
                late_max_ns: LATE_MAX.load(Ordering::Relaxed),
                histogram: core::array::from_fn(|n| {
                    HISTOGRAM.get(n).map_or(0, |count| count.load(Ordering::Relaxed))
                }),
            })
        });
        if let Some(snapshot) = taken {
            return snapshot;
        }
    }
}

fn microseconds(ticks: u64) -> u64 {
    let frequency = timer::frequency();
    ticks / frequency * 1_000_000 + ticks % frequency * 1_000_000 / frequency
}
