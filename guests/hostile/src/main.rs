//! The hostile guest: it attacks whatever it can reach, class by class, and says what came back. Each shot may work, give
//! the architecture's own error, or end this cell; whether anything else came of it is for the neighbours and the
//! hypervisor to say (`guests/victim`), not for this guest.
//!
//! On the command line (`bootargs`):
//! - `hostile.mode=medley`: a bit of everything at random, for ever; `lives`: one short life after another ([`lives`]); `asleep`:
//!   nothing at all,
//! - `hostile.run=PREFIX,PREFIX`: only the classes whose names begin so,
//! - `hostile.list`: a line for each attack: its name, how many shots, how many of them worked, were undefined or trapped, were aborted,
//! - `hostile.deep`: every page and every value, for hours instead of seconds,
//! - `hostile.seed=N`: other random numbers, instructions and orders; `time`: others in each life, which says its seed,
//! - `hostile.end=reset|off|spin`: how it ends; `reset` without it, and then all begins anew.
//!
//! With a second vCPU, that one is at it all the time too ([`crew`]).
//!
//! The attacks are tables: a line for each target, instruction, register, argument or race, and what may come of it; most classes
//! try each line of one table with each of another.
//!
//! In reading order: [`shot`] (the primitive), [`word`], [`forms`] (instructions), [`stubs`], [`report`], then the classes.

#![no_std]
#![no_main]

mod calls;
mod crew;
mod el0;
mod forms;
mod gic;
mod gicv2;
mod interrupts;
mod lives;
mod memory;
mod power;
mod races;
mod remains;
mod report;
mod shot;
mod stage1;
mod stubs;
mod sysreg;
mod system;
mod word;

use report::Report;
use rt::{println, read_reg, regs, tree};

rt::entry!(main, interrupts::irq);

/// A class and what runs it.
type Class = (&'static str, fn(&mut Report));

/// The classes.
const CLASSES: &[Class] = &[
    ("memory", memory::run),
    ("device", memory::devices),
    ("form", memory::forms),
    ("gicd", gic::distributor),
    ("gicr", gic::redistributors),
    ("gicc", gicv2::interface),
    ("call", calls::run),
    ("power", power::run),
    ("hidden", sysreg::hidden),
    ("sysreg", sysreg::run),
    ("system", system::run),
    ("el0", el0::run),
    ("aarch32", el0::aarch32),
    ("stage1", stage1::run),
    ("state", stage1::states),
    ("interrupt", interrupts::run),
    ("idle", interrupts::idle),
    ("race", races::run),
];

fn main() -> ! {
    println!("hostile: begins, {} CPUs", rt::smp::count());
    if !shot::arena_is_ours() {
        println!("hostile: FAILED: this cell needs 16 MiB of RAM");
        end();
    }
    if let Some(seed) = tree::argument("hostile.seed") {
        let seed = seed.parse().unwrap_or_else(|_| read_reg!("cntpct_el0"));
        println!("hostile: seed {seed}");
        word::salt(seed);
    }
    match tree::argument("hostile.mode") {
        Some("medley") => crew::medley(),
        Some("lives") => lives::live(),
        Some("asleep") => crew::sleep(),
        _ => attack(),
    }
    end()
}

fn attack() {
    remains::look();
    stubs::write();
    shot::open_el0();
    let mut report = Report::new(tree::argument("hostile.list").is_some());
    crew::muster();
    for (name, run) in CLASSES {
        if wanted(name) {
            report.class(name);
            run(&mut report);
            interrupts::quiet();
        }
    }
    report.end();
    remains::leave();
    crew::end();
}

fn wanted(name: &str) -> bool {
    tree::argument("hostile.run").is_none_or(|list| list.split(',').any(|prefix| name.starts_with(prefix)))
}

/// Whether there is time for everything.
fn deep() -> bool {
    tree::argument("hostile.deep").is_some()
}

fn end() -> ! {
    if let Some(uart) = rt::console::uart() {
        uart.drain();
    }
    match tree::argument("hostile.end").unwrap_or("reset") {
        "off" => rt::psci::system_off(),
        "spin" => {}
        _ => rt::psci::system_reset(),
    }
    loop {
        regs::relax();
    }
}
