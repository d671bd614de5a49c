//! The guest of the QEMU tests: tries what the cell ABI promises (docs/cell-abi.md), prints `probe: ok NAME` or
//! `probe: FAIL NAME why` for each check and at last `probe: done P ok, F failed, S skipped`.
//!
//! On the command line (`bootargs`):
//! - `probe.run=PREFIX,PREFIX`: only the checks whose names begin so; all without it,
//! - `probe.end=off|reset|reset2|spin|cpu-off|fault`: how it ends, SYSTEM_OFF without it,
//! - `probe.bare`: there is no hypervisor; what only Bulkhead promises is skipped,
//! - `probe.direct`: the cell takes its interrupts itself, and what is different then (docs/cell-abi.md) is skipped,
//! - `probe.zeroed`: the cell's RAM held nothing but image and tree at entry, which `entry_zeroed` then checks.
//!
//! In reading order: [`report`], [`crew`] (the other CPUs), [`taken`] (interrupts), then the checks by group.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]
#![allow(clippy::result_large_err, reason = "a failure is rare, and without a heap its words go by value")]

mod answers;
mod crew;
mod entry;
mod exits;
mod gic;
mod gicv2;
mod id;
mod memory;
mod order;
mod power;
mod psci;
mod report;
mod sgi;
mod source;
mod spi;
mod state;
mod sysreg;
mod taken;
mod timers;

use report::{Check, Needs, Tally};
use rt::{println, regs, tree};

rt::entry!(main, taken::irq);

/// The groups. Those before `power` run while the other CPUs are off; after it, all are on.
const GROUPS: &[&[Check]] = &[
    entry::CHECKS,
    id::CHECKS,
    sysreg::CHECKS,
    memory::CHECKS,
    answers::CHECKS,
    psci::CHECKS,
    power::CHECKS,
    exits::CHECKS,
    gic::CHECKS,
    gicv2::CHECKS,
    sgi::CHECKS,
    order::CHECKS,
    state::CHECKS,
    spi::CHECKS,
    timers::CHECKS,
];

fn main() -> ! {
    println!("probe: {} CPUs, bootargs \"{}\"", rt::smp::count(), tree::board().bootargs);
    let mut tally = Tally::default();
    for check in GROUPS.iter().copied().flatten() {
        if !wanted(check.name) {
            continue;
        }
        if tree::argument("probe.direct").is_some() && OTHER_IN_DIRECT.contains(&check.name) {
            tally.skip(check, "in a direct cell");
            continue;
        }
        match missing(check.needs) {
            Some(why) => tally.skip(check, why),
            None => tally.run(check),
        }
    }
    println!("probe: done {} ok, {} failed, {} skipped", tally.ok, tally.failed, tally.skipped);
    end()
}

/// What a direct cell has otherwise: one SGI fewer, priorities from 0x20, no effect of GICD_CTLR.EnableGrp1, no exits by interrupts.
const OTHER_IN_DIRECT: &[&str] = &[
    "gic_group",
    "gic_enable",
    "gic_priority",
    "sgi_self",
    "sgi_flood",
    "sgi_each",
    "sgi_others",
    "sgi_flood_others",
    "order_sgis",
    "order_late_arrival",
    "order_distributor_group",
    "state_overflow_cleared",
    "exits_interrupts",
];

fn wanted(name: &str) -> bool {
    tree::argument("probe.run").is_none_or(|list| list.split(',').any(|prefix| name.starts_with(prefix)))
}

fn missing(needs: Needs) -> Option<&'static str> {
    match needs.gicv2() {
        Some(true) if !rt::gic::is_v2() => return Some("without a GICv2"),
        Some(false) if rt::gic::is_v2() => return Some("without a GICv3"),
        _ => {}
    }
    if needs.bulkhead() && report::bare() {
        Some("without a hypervisor")
    } else if needs.crew() && rt::smp::count() < 2 {
        Some("with one CPU")
    } else {
        None
    }
}

fn end() -> ! {
    if let Some(uart) = rt::console::uart() {
        uart.drain();
    }
    let how = tree::argument("probe.end").unwrap_or("off");
    match how {
        "reset" => rt::psci::system_reset(),
        "reset2" => {
            rt::psci::call(rt::psci::function::SYSTEM_RESET2, [0; 3]);
        }
        "spin" => loop {
            regs::relax();
        },
        "cpu-off" => {
            crew::dismiss();
            rt::psci::call(rt::psci::function::CPU_OFF, [0; 3]);
        }
        "fault" => {
            rt::mmio::load32(memory::hole().unwrap_or(0));
        }
        _ => rt::psci::system_off(),
    }
    println!("probe: FAIL end {how} came back");
    loop {
        regs::mask_interrupts();
        regs::wait_for_interrupt();
    }
}
