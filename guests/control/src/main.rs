//! The demo's real-time cell. A 1 kHz tick of the virtual timer drives two tasks, a controller (each tick) and a
//! supervisor (each hundredth); once a second a line on the cell's own PL011 says how many ticks there were, how much
//! time, and how late each tick was. Ticks are counted against absolute compare values: none is lost and nothing drifts.
//!
//! In reading order: [`tick`] (the timer interrupt and its record), [`control`] (what the tasks do), [`report`] (the line).

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod control;
mod report;
mod tick;

use rt::{println, regs};

use control::Plant;
use report::Line;

/// Ticks a second.
const RATE: u64 = 1000;
/// Ticks from one run of the supervisor to the next.
const SUPERVISOR: u64 = 100;

rt::entry!(main, tick::irq);

fn main() -> ! {
    println!("control: {} Hz, {}", RATE, report::Bounds);
    tick::start();
    regs::unmask_interrupts();
    let mut plant = Plant::new();
    let mut line = Line::new();
    let mut done = 0;
    loop {
        let due = tick::wait_past(done);
        while done < due {
            done += 1;
            plant.step();
            if done.is_multiple_of(SUPERVISOR) {
                plant.supervise(done / SUPERVISOR);
            }
            if done.is_multiple_of(RATE) {
                line.write(done / RATE, &tick::snapshot());
            }
            line.send();
        }
    }
}
