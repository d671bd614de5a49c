//! The victim: a cell that keeps watch over all that is its own while its neighbours attack. Once a second it prints
//! `victim: second N ticks T elapsed_us U late_max_ns L`; whatever changed without its doing is `victim: FAILED: ...`.
//!
//! Watched are: its RAM beyond the program, general and vector registers, system registers, the period of its timer, and its
//! interrupts: how they are set up, that each comes as often as it was asked for, and that no other comes.
//!
//! With `victim.work=ROUNDS` in `bootargs` it works instead, always the same, and what the hypervisor executes for it can be counted.
//!
//! In reading order: [`canary`] (memory and registers), [`interrupts`] (what is asked for and what comes), [`work`].

#![no_std]
#![no_main]

mod canary;
mod interrupts;
mod work;

use rt::{println, regs, tree};

/// Ticks a second.
const RATE: u64 = 1000;

rt::entry!(main, interrupts::irq);

fn main() -> ! {
    if let Some(rounds) = tree::argument("victim.work").and_then(|rounds| rounds.parse().ok()) {
        work::run(rounds);
    }
    println!("victim: {RATE} Hz, {} bytes of RAM watched", canary::size());
    canary::plant();
    interrupts::start();
    regs::unmask_interrupts();
    let mut done = 0;
    loop {
        if let Some(what) = canary::registers() {
            println!("victim: FAILED: {what} changed");
        }
        let ticks = interrupts::ticks();
        if done == ticks {
            // A tick that comes before this ends it at once, or is the next one's.
            regs::wait_for_interrupt();
        }
        while done < ticks {
            done += 1;
            look(done);
        }
    }
}

/// What is due with tick `n`.
fn look(n: u64) {
    if let Some(at) = canary::memory(n, RATE) {
        println!("victim: FAILED: memory at {at:#x} changed");
    }
    if let Some(what) = canary::system() {
        println!("victim: FAILED: {what} changed");
    }
    interrupts::check(n);
    if n.is_multiple_of(RATE) {
        let now = interrupts::snapshot();
        println!(
            "victim: second {} ticks {} elapsed_us {} late_max_ns {}",
            n / RATE,
            now.ticks,
            now.elapsed_us,
            now.late_max_ns
        );
    }
}
