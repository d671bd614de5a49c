//! The victim's interrupts: a timer at absolute times, its device's SPI and an SGI to itself, each asked for with each tick.

use core::sync::atomic::{AtomicU64, Ordering};

use rt::gic::{self, Bits};
use rt::timer::{self, Timer};
use rt::tree::board;
use rt::{println, regs};

use crate::RATE;

/// The SGI that it sends itself.
pub const SGI: u32 = 5;
/// The most that is the least binary point of a CPU interface; it was asked for 0.
const LEAST_BINARY_POINT: u8 = 3;
/// Priorities of the SGI and the SPI, unlike any other's.
const SGI_PRIORITY: u8 = 0x60;
const SPI_PRIORITY: u8 = 0x80;

// Written by the handler alone once the timer runs; one CPU, so plain loads and stores do.
static START: AtomicU64 = AtomicU64::new(0);
static TICKS: AtomicU64 = AtomicU64::new(0);
static LATE: AtomicU64 = AtomicU64::new(0);
static SGIS: AtomicU64 = AtomicU64::new(0);
static SPIS: AtomicU64 = AtomicU64::new(0);
static STRAY: AtomicU64 = AtomicU64::new(0);
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Its device's interrupt, if it has one.
pub fn spi() -> Option<u32> {
    board().spis.first().map(|spi| spi.intid)
}

/// When tick `n` is due.
fn due(n: u64) -> u64 {
    let frequency = timer::frequency();
    START.load(Ordering::Relaxed) + n / RATE * frequency + n % RATE * frequency / RATE
}

/// Sets all of them up, the timer off.
pub fn prepare() {
    gic::set_priority(SGI, SGI_PRIORITY);
    gic::enable(SGI);
    if let Some(spi) = spi() {
        gic::set_priority(spi, SPI_PRIORITY);
        gic::enable(spi);
    }
    gic::enable(Timer::Virtual.intid());
}

/// The same, and the timer's ticks begin.
pub fn start() {
    prepare();
    START.store(Timer::Virtual.count(), Ordering::Relaxed);
    Timer::Virtual.start(due(1));
}

/// The handler.
pub fn irq() {
    let intid = gic::acknowledge();
    let add = |count: &AtomicU64| count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    if intid >= gic::SPECIAL {
        return;
    }
    add(&TAKEN);
    if intid == Timer::Virtual.intid() && START.load(Ordering::Relaxed) == 0 {
        Timer::Virtual.stop();
    } else if intid == Timer::Virtual.intid() {
        let ticks = TICKS.load(Ordering::Relaxed) + 1;
        let late = timer::count().saturating_sub(due(ticks));
        LATE.fetch_max(late, Ordering::Relaxed);
        TICKS.store(ticks, Ordering::Relaxed);
        Timer::Virtual.start(due(ticks + 1));
    } else if intid == SGI && gic::sender(SGI) == regs::cpu_index() {
        add(&SGIS);
    } else if Some(intid) == spi() {
        add(&SPIS);
    } else {
        STRAY.store(u64::from(intid), Ordering::Relaxed);
    }
    gic::end(intid);
}

/// Interrupts so far, of any kind.
pub fn taken() -> u64 {
    TAKEN.load(Ordering::Relaxed)
}

/// Ticks so far.
pub fn ticks() -> u64 {
    TICKS.load(Ordering::Relaxed)
}

/// With tick `n`: what was asked for with the one before must be there; all is asked for again.
pub fn check(n: u64) {
    let stray = STRAY.swap(0, Ordering::Relaxed);
    if stray != 0 {
        println!("victim: FAILED: interrupt {stray} came, which it never asked for");
    }
    let counts = [("SGI", &SGIS, Some(SGI)), ("SPI", &SPIS, spi())];
    for (name, count, intid) in counts {
        let Some(intid) = intid else { continue };
        let came = count.load(Ordering::Relaxed);
        if came != n - 1 {
            println!("victim: FAILED: {came} of {} {name}s came", n - 1);
            count.store(n - 1, Ordering::Relaxed);
        }
        gic::set(Bits::SetPending, intid);
        // It is unmasked and alone: it comes before long, or never.
        timer::wait_until(1_000_000, || count.load(Ordering::Relaxed) == n);
    }
    settings();
}

/// How its interrupts are set up, as the GIC has it.
fn settings() {
    let timer = Timer::Virtual.intid();
    let wrong = [
        (gic::get(Bits::SetEnable, SGI), "its SGI is disabled"),
        (gic::get(Bits::SetEnable, timer), "its timer's interrupt is disabled"),
        (gic::priority(SGI) == SGI_PRIORITY, "its SGI has another priority"),
        (gic::priority(timer) == gic::PRIORITY, "its timer's interrupt has another priority"),
        (gic::is_group1_enabled(), "its distributor is disabled"),
        (gic::group1(), "its CPU interface is disabled"),
        (gic::priority_mask() >= 0xf0, "its priority mask has changed"),
        (gic::binary_point() <= LEAST_BINARY_POINT, "its binary point has changed"),
        (gic::running_priority() == 0xff, "a priority is running"),
    ];
    let of_spi = spi().map(|spi| {
        [
            (gic::get(Bits::SetEnable, spi), "its SPI is disabled"),
            (gic::priority(spi) == SPI_PRIORITY, "its SPI has another priority"),
            (gic::route(spi) == regs::affinity(), "its SPI has another route"),
            (!gic::is_edge(spi), "its SPI is edge triggered"),
            (!gic::get(Bits::SetActive, spi), "its SPI is active"),
            (!gic::get(Bits::SetPending, spi), "its SPI is pending"),
        ]
    });
    for (_, what) in wrong.iter().chain(of_spi.iter().flatten()).filter(|(right, _)| !right) {
        println!("victim: FAILED: {what}");
    }
}

/// What the ticks were up to one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// How many.
    pub ticks: u64,
    /// Time since the first, in microseconds.
    pub elapsed_us: u64,
    /// How late the latest was.
    pub late_max_ns: u64,
}

/// Count and clock at one moment: one at which no tick is due but not yet taken.
pub fn snapshot() -> Snapshot {
    let scaled = |ticks: u64, unit: u64| {
        let frequency = timer::frequency();
        ticks / frequency * unit + ticks % frequency * unit / frequency
    };
    loop {
        let taken = regs::masked(|| {
            let (ticks, now) = (ticks(), timer::count());
            (now < due(ticks + 1)).then(|| Snapshot {
                ticks,
                elapsed_us: scaled(now - START.load(Ordering::Relaxed), 1_000_000),
                late_max_ns: scaled(LATE.load(Ordering::Relaxed), 1_000_000_000),
            })
        });
        if let Some(snapshot) = taken {
            return snapshot;
        }
    }
}
