//! What Bulkhead counted of this vCPU's exits: each exit once, in the counter of its reason, and nothing in between.

use rt::psci::{call, call_by, call_with, code, function};
use rt::timer::{Timer, ticks};
use rt::tree::Conduit;
use rt::{gic, read_reg, regs};

use crate::report::{Check, Needs, Outcome, Why, check, why};
use crate::taken::{self, collect};
use crate::{ensure, ensure_eq};

/// The group's checks.
pub const CHECKS: &[Check] = &[
    check("exits_counted", Needs::Bulkhead, counted),
    check("exits_interrupts", Needs::Bulkhead, interrupts),
    check("exits_no_more", Needs::Bulkhead, no_more),
];

/// The function, and SMCCC's INVALID_PARAMETER.
const EXITS: u64 = 0xc600_0000;
const INVALID_PARAMETER: i64 = -3;

/// Counters (docs/cell-abi.md).
const HVC: u64 = 0;
const SMC: u64 = 1;
const SYSREG: u64 = 2;
const GICD: u64 = 4;
const GICR: u64 = 5;
const INTERRUPT: u64 = 11;
const COUNTERS: u64 = 12;

/// The counter of this number; by HVC.
fn read(number: u64) -> Result<u64, Why> {
    let mut x = [0; 18];
    let [x0, x1, ..] = &mut x;
    [*x0, *x1] = [EXITS, number];
    match call_with(Conduit::Hvc, x) {
        [0, count, ..] => Ok(count),
        [x0, ..] => Err(why(format_args!("counter {number} answers {x0:#x}"))),
    }
}

fn counted() -> Outcome {
    // Of a GICv2 these are the distributor's, too.
    let frame = gic::sgi_base(regs::cpu_index());
    let [gicd, gicr] = if gic::is_v2() { [9, 0] } else { [7, 2] };
    let mut before = [0; COUNTERS as usize];
    for (number, count) in (0..).zip(&mut before) {
        *count = read(number)?;
    }
    for _ in 0..3 {
        call_by(Conduit::Smc, function::VERSION, [0; 3]);
    }
    for _ in 0..5 {
        let _ = read_reg!("id_aa64pfr0_el1");
    }
    for _ in 0..7 {
        gic::distributor_type();
    }
    for _ in 0..2 {
        frame.read(gic::Bits::SetEnable as u64);
    }
    for (number, before) in (0..).zip(before) {
        let more = match number {
            // It was read first: the other reads of that round, and this one.
            HVC => COUNTERS,
            SMC => 3,
            SYSREG => 5,
            GICD => gicd,
            GICR => gicr,
            _ => 0,
        };
        ensure_eq!(read(number)?, before + more, "counter {number}");
    }
    Ok(())
}

fn interrupts() -> Outcome {
    let timer = Timer::Virtual;
    gic::enable(timer.intid());
    let before = read(INTERRUPT)?;
    for shot in 1..=5 {
        timer.start(timer.count() + ticks(500));
        let Some(taken) = taken::next() else { return Err(why(format_args!("shot {shot} never came"))) };
        timer.stop();
        gic::end(taken.intid);
    }
    ensure!(collect(0).is_empty(), "it fires though it is off");
    ensure_eq!(read(INTERRUPT)?, before + 5, "interrupts");
    Ok(())
}

fn no_more() -> Outcome {
    for number in [COUNTERS, COUNTERS + 1, 1 << 32, u64::MAX] {
        ensure_eq!(call(EXITS, [number, 0, 0]), INVALID_PARAMETER, "counter {number:#x}");
    }
    ensure_eq!(call(EXITS & !(1 << 30), [0; 3]), code::NOT_SUPPORTED, "the 32-bit form");
    for conduit in [Conduit::Hvc, Conduit::Smc] {
        ensure_eq!(call_by(conduit, EXITS, [HVC, 0, 0]), code::SUCCESS, "{conduit:?}");
    }
    Ok(())
}
