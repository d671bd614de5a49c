//! Counts the instructions of one operation each, 256 times: `bench: NAME min med max`, and at last `bench: done`.
//! Run it with `-icount shift=0,sleep=off -cpu cortex-a57,cntfrq=1000000000`, where a tick is an instruction.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use rt::measure::{self, Operation, sample};
use rt::{console, println, psci, regs, timer};

rt::entry!(main, irq);

/// How often each operation is measured.
const SAMPLES: usize = 256;

const OPERATIONS: [(&str, Operation); 13] = [
    ("empty", Operation::Empty),
    ("hvc_psci_version", Operation::HvcVersion),
    ("smc_psci_version", Operation::SmcVersion),
    ("unknown_call", Operation::UnknownCall),
    ("gicd_typer_read", Operation::DistributorType),
    ("gicd_isenabler_write", Operation::DistributorEnable),
    ("gicr_read", Operation::RedistributorEnable),
    ("id_reg_read", Operation::IdRegister),
    ("vtimer_busy", Operation::TimerBusy),
    ("vtimer_wfi", Operation::TimerAsleep),
    ("sgi_self", Operation::SgiSelf),
    ("iar", Operation::Acknowledge),
    ("eoi", Operation::End),
];

fn main() -> ! {
    if timer::frequency() != 1_000_000_000 {
        println!("bench: a tick is no instruction: CNTFRQ_EL0 is {}", timer::frequency());
    }
    measure::start();
    // Bare QEMU without EL2 has no HVC or SMC but PSCI's own conduit.
    let only_conduit = rt::tree::argument("bench.bare").is_some();
    for (name, operation) in OPERATIONS {
        if only_conduit && matches!(operation, Operation::SmcVersion | Operation::UnknownCall) {
            continue;
        }
        let mut samples: [u64; SAMPLES] = core::array::from_fn(|_| sample(operation));
        samples.sort_unstable();
        if let ([min, ..], Some(median), [.., max]) = (&samples, samples.get(SAMPLES / 2), &samples) {
            println!("bench: {name} {min} {median} {max}");
        }
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

/// Never reached: the measuring vectors take every interrupt.
fn irq() {}
