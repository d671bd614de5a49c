//! The phoenix: a cell that ends its life over and over, from every state that its CPUs can be in, and looks for what is left of the
//! former life when the next begins. The first line that a life prints is always the same:
//!
//! ```text
//! phoenix: begins memory 5d0b... registers a41f... interrupts 0
//! phoenix: restart took 812345 ticks
//! phoenix: this life ends: the other CPU spins
//! ```
//!
//! On the command line: `phoenix.keep=0x9010004`, a 32-bit register of a device of its own that outlives a life, which lets the first
//! instruction know when the reset was asked for; `phoenix.ends=N`, the one way to end ([`ends`]); `phoenix.crash`, to die instead.
//!
//! In reading order: [`remains`] (what is looked at, and left), [`ends`] (the states in which a life ends).

#![no_std]
#![no_main]

mod ends;
mod remains;

use rt::timer::Timer;
use rt::{mmio, println, regs, timer, tree};

rt::entry!(main, irq);

/// Interrupts stay masked.
fn irq() {}

fn main() -> ! {
    println!(
        "phoenix: begins memory {:016x} registers {:016x} interrupts {:x}",
        remains::memory(),
        remains::registers(),
        remains::interrupts()
    );
    let keep = tree::argument("phoenix.keep").and_then(number);
    let end = match tree::argument("phoenix.ends").and_then(number) {
        Some(end) => end as usize,
        // Whatever: the low digits of a count that nobody controls.
        None => (timer::count() / 7) as usize,
    };
    if let Some(asked) = keep.map(mmio::load32).filter(|asked| *asked != 0) {
        println!("phoenix: restart took {} ticks", remains::first_count().wrapping_sub(asked));
    }
    println!("phoenix: this life ends: {}", ends::name(end));
    if tree::argument("phoenix.crash").is_some() {
        remains::die();
    }
    remains::leave();
    ends::now(end, || {
        if let Some(keep) = keep {
            // By now in instructions that are the same in each life.
            mmio::store32(keep, Timer::Physical.count() as u32);
        }
    });
    loop {
        regs::wait_for_interrupt();
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
