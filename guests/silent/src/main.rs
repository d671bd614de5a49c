//! Feeds its watchdog, takes its warning, then falls silent in the way that `bootargs` names: `way=spin` with interrupts masked,
//! `sleep`, `storm` of exceptions, all CPUs `off`, or `feed`, which is none. Other CPUs feed before, each once, and then spin.
//!
//! What is not as it should be is `silent: FAILED: ...`.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering};

use rt::timer::Timer;
use rt::watchdog::{ENABLED, WS0, WS1, Watchdog};
use rt::{exception, gic, println, psci, regs, smp, timer, tree};

/// The watch period in milliseconds, unless `ms` says another. Half of it is time enough on a machine with other work.
const PERIOD: u64 = 1500;
/// How often it is fed, each time after half of a watch period.
const MEALS: u64 = 4;

/// Its first signals so far, and the count at the last one.
static WARNINGS: AtomicU64 = AtomicU64::new(0);
static WARNED: AtomicU64 = AtomicU64::new(0);

rt::entry!(main, irq);

fn irq() {
    let intid = gic::acknowledge();
    if intid >= gic::SPECIAL {
        return;
    }
    if let Some(dog) = Watchdog::of_board().filter(|dog| dog.intid == intid) {
        WARNINGS.fetch_add(1, Ordering::SeqCst);
        WARNED.store(timer::count(), Ordering::SeqCst);
        expect("a signal", dog.status(), ENABLED | WS0);
        // The line falls with the feeding, so the interrupt does not come again.
        dog.feed();
    }
    if intid == Timer::Virtual.intid() {
        Timer::Virtual.stop();
    }
    gic::end(intid);
}

fn expect(what: &str, is: u32, should: u32) {
    if is != should {
        println!("silent: FAILED: {what}: WCS is {is:#x}, not {should:#x}");
    }
}

/// Lets half of a watch period pass, then feeds.
fn meal(dog: Watchdog) {
    let until = timer::count() + dog.period() / 2;
    while timer::count() < until {
        gic::enable(Timer::Virtual.intid());
        Timer::Virtual.start(until);
        regs::wait_for_interrupt();
    }
    expect("before a meal", dog.status(), ENABLED);
    dog.feed();
}

fn main() -> ! {
    let Some(dog) = Watchdog::of_board() else { exception::stop("the device tree has no arm,sbsa-gwdt") };
    let number = |name| tree::argument(name).and_then(|number| number.parse::<u64>().ok());
    let way = tree::argument("way").unwrap_or("feed");
    let [control, refresh] = dog.identities();
    println!("silent: begins, WCS {:#x}, W_IIDR {control:#x} {refresh:#x}", dog.status());
    if dog.status() & !WS1 != 0 {
        println!("silent: FAILED: it runs already");
    }
    dog.set_period(timer::ticks(1000 * number("ms").unwrap_or(PERIOD)));
    dog.enable(true);
    gic::enable(dog.intid);
    regs::unmask_interrupts();
    (0..MEALS).for_each(|_| meal(dog));
    for cpu in 1..smp::count() {
        if smp::on(cpu, other).is_err() {
            println!("silent: FAILED: CPU {cpu} does not start");
        }
        meal(dog);
    }
    println!("silent: fed");

    let end = dog.end();
    while WARNINGS.load(Ordering::SeqCst) == 0 {
        regs::wait_for_interrupt();
    }
    let late = WARNED.load(Ordering::SeqCst).wrapping_sub(end);
    if late == 0 || late > dog.period() {
        println!("silent: FAILED: warned {late} ticks behind the end");
    }
    meal(dog);
    expect("after the warning", dog.status(), ENABLED);
    println!("silent: warned {} times, falls silent: {way}", WARNINGS.load(Ordering::SeqCst));
    match way {
        "spin" => spin(),
        "sleep" => loop {
            regs::mask_interrupts();
            regs::wait_for_interrupt();
        },
        "storm" => exception::storm(),
        "off" => _ = psci::call(psci::function::CPU_OFF, [0; 3]),
        _ => loop {
            meal(dog);
        },
    }
    exception::stop("it is still there")
}

/// What another CPU does: it feeds, so that the timer that watches is not its own, and spins.
fn other(_: usize) {
    regs::unmask_interrupts();
    if let Some(dog) = Watchdog::of_board() {
        meal(dog);
    }
    if tree::argument("way") == Some("spin") {
        spin();
    }
}

fn spin() -> ! {
    regs::mask_interrupts();
    loop {
        regs::relax();
    }
}
