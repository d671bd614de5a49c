//! A fixed piece of work (`victim.work=ROUNDS`), for those who count what the hypervisor executes for it: the same traps and
//! interrupts in the same order, whatever the neighbours do, again and again, with a call between that no one else makes.

use rt::gic::{self, Bits};
use rt::timer::{self, Timer};
use rt::{println, psci, read_reg, regs};

use crate::interrupts::{self, SGI};

/// From one timer interrupt's order to the interrupt, in ticks.
const AHEAD: u64 = 3000;

/// Works for ever.
pub fn run(rounds: u64) -> ! {
    interrupts::prepare();
    regs::unmask_interrupts();
    println!("victim: works, {rounds} rounds at a time");
    loop {
        // Its immediate is what a reader of QEMU's log looks for.
        psci::hvc_with_immediate(psci::function::VERSION);
        (0..rounds).for_each(round);
    }
}

fn round(n: u64) {
    // Calls, and registers that trap or are emulated.
    psci::call(psci::function::VERSION, [0; 3]);
    psci::call(psci::function::FEATURES, [psci::function::CPU_ON, 0, 0]);
    psci::affinity_info(regs::affinity());
    let _ = read_reg!("id_aa64pfr0_el1");
    gic::distributor_type();
    gic::get(Bits::SetEnable, SGI);
    gic::set_priority(SGI, 0x60 + (n as u8 & 1) * 0x10);
    gic::enable(SGI);
    // Interrupts, one after the other: each is taken before the next is asked for.
    wait(|| gic::send(SGI, regs::affinity()));
    wait(|| gic::set(Bits::SetPending, SGI));
    if let Some(spi) = interrupts::spi() {
        gic::set_priority(spi, 0x80 + (n as u8 & 1) * 0x10);
        gic::set_route(spi, regs::affinity());
        wait(|| gic::set(Bits::SetPending, spi));
    }
    wait(|| Timer::Virtual.start(timer::count() + AHEAD));
    let before = interrupts::taken();
    Timer::Virtual.start(timer::count() + AHEAD);
    while interrupts::taken() == before {
        regs::wait_for_interrupt();
    }
}

/// Asks for an interrupt and polls until it has been.
fn wait(ask: impl FnOnce()) {
    let before = interrupts::taken();
    ask();
    while interrupts::taken() == before {
        regs::relax();
    }
}
