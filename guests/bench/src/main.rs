//! Counts the instructions of one operation each, 256 times: `bench: NAME min med max`, and at last `bench: done`.
//! Run it with `-icount shift=0,sleep=off -cpu cortex-a57,cntfrq=1000000000`, where a tick is an instruction.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use rt::measure::{self, Operation, Pair, PairOperation, sample};
use rt::timer::{Timer, count, ticks};
use rt::{console, gic, println, psci, regs, timer, tree};

rt::entry!(main, irq);

/// How often each operation is measured.
const SAMPLES: usize = 256;

const OPERATIONS: [(&str, Operation); 16] = [
    ("empty", Operation::Empty),
    ("hvc_psci_version", Operation::HvcVersion),
    ("smc_psci_version", Operation::SmcVersion),
    ("unknown_call", Operation::UnknownCall),
    ("gicd_typer_read", Operation::DistributorType),
    ("gicd_isenabler_write", Operation::DistributorEnable),
    ("gicr_read", Operation::RedistributorEnable),
    ("id_reg_read", Operation::IdRegister),
    ("uart_read", Operation::UartRead),
    ("vtimer_busy", Operation::TimerBusy),
    ("vtimer_wfi", Operation::TimerAsleep),
    ("iar", Operation::Acknowledge),
    ("eoi", Operation::End),
    ("sgi_self", Operation::SgiSelf),
    ("spi", Operation::Device),
    ("fault_injected", Operation::Fault),
];

const PAIRS: [(&str, PairOperation); 2] =
    [("sgi_remote", PairOperation::SgiRemote), ("sgi_pingpong", PairOperation::SgiPingPong)];

fn main() -> ! {
    if timer::frequency() != 1_000_000_000 {
        println!("bench: a tick is no instruction: CNTFRQ_EL0 is {}", timer::frequency());
    }
    // A neighbour that does nothing, and whoever begins when all neighbours do.
    while tree::argument("bench.asleep").is_some() {
        regs::wait_for_interrupt();
    }
    if tree::argument("bench.late").is_some() {
        sleep();
    }
    measure::start();
    // Bare QEMU without EL2 answers PSCI itself, and knows no other call.
    let is_bare = tree::argument("bench.bare").is_some();
    for (name, operation) in OPERATIONS {
        let is_call =
            matches!(operation, Operation::HvcVersion | Operation::SmcVersion | Operation::UnknownCall);
        if wanted(name) && measure::is_possible(operation) && !(is_bare && is_call) {
            report(name, || Some(sample(operation)));
        }
    }
    if PAIRS.iter().any(|(name, _)| wanted(name))
        && let Some(pair) = Pair::start()
    {
        for (name, operation) in PAIRS {
            if wanted(name) {
                report(name, || Some(pair.sample(operation)));
            }
        }
        pair.stop();
    }
    if wanted("cpu_on") {
        report("cpu_on", measure::cpu_on);
    }
    println!("bench: done");
    if let Some(uart) = console::uart() {
        uart.drain();
    }
    psci::system_off();
    loop {
        regs::wait_for_interrupt();
    }
}

/// Sleeps for a second.
fn sleep() {
    let (timer, until) = (Timer::Virtual, count() + ticks(1_000_000));
    gic::enable(timer.intid());
    timer.start(until);
    while count() < until {
        regs::wait_for_interrupt();
    }
    let intid = gic::acknowledge();
    timer.stop();
    if intid == timer.intid() {
        gic::end(intid);
    }
    gic::disable(timer.intid());
}

/// Whether a case is asked for: all are, or the one of `bench.only=NAME`.
fn wanted(name: &str) -> bool {
    tree::argument("bench.only").is_none_or(|only| only == name)
}

/// Measures a case, and prints the least, the median and the most; nothing if it cannot be measured.
fn report(name: &str, mut sample: impl FnMut() -> Option<u64>) {
    let mut samples = [0; SAMPLES];
    for place in &mut samples {
        let Some(ticks) = sample() else { return };
        *place = ticks;
    }
    samples.sort_unstable();
    if let ([min, ..], Some(median), [.., max]) = (&samples, samples.get(SAMPLES / 2), &samples) {
        println!("bench: {name} {min} {median} {max}");
    }
}

/// Never reached: the measuring vectors take every interrupt.
fn irq() {}
