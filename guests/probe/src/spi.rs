//! A device's interrupt: the transmit interrupt of the console's PL011, level triggered.

use core::sync::atomic::{AtomicU32, Ordering};

use rt::console::{Uart, uart};
use rt::gic::{self, Bits};
use rt::timer::wait_until;
use rt::{println, regs, smp, tree};

use crate::report::{Check, Needs, Outcome, check, why};
use crate::taken::{PATIENCE, collect, count, next, reset_counts, silent};
use crate::{crew, ensure, ensure_eq};

/// The group's checks.
pub const CHECKS: &[Check] = &[
    check("spi_uart", Needs::Nothing, level),
    check("spi_uart_vector", Needs::Nothing, by_vector),
    check("spi_uart_disabled", Needs::Nothing, disabled),
    check("spi_uart_each", Needs::Crew, each),
    check("spi_set_pending_each", Needs::Crew, set_pending_each),
];

/// The console and its INTID; a tree without the interrupt leaves nothing to try.
fn device() -> Option<(Uart, u32)> {
    Some((uart()?, tree::board().console?.intid?))
}

/// Asserts the line: something must have gone out since the interrupt was last cleared.
fn assert_line(uart: Uart) -> Outcome {
    println!("probe: note something for the transmit interrupt");
    uart.drain();
    uart.enable_tx_interrupt(true);
    ensure!(
        wait_until(PATIENCE, || uart.tx_interrupt() == (true, true)),
        "the PL011 raises no transmit interrupt"
    );
    Ok(())
}

fn release_line(uart: Uart) {
    uart.enable_tx_interrupt(false);
    uart.clear_tx_interrupt();
}

fn level() -> Outcome {
    let Some((uart, intid)) = device() else { return Ok(()) };
    gic::set_edge(intid, false);
    gic::set_route(intid, smp::affinity(0));
    assert_line(uart)?;
    gic::enable(intid);
    for time in 1..=5 {
        let Some(taken) = next() else { return Err(why(format_args!("time {time}: it never came"))) };
        ensure_eq!(taken.intid, intid, "interrupt");
        if time == 5 {
            release_line(uart);
        }
        gic::end(intid);
    }
    ensure!(collect(0).is_empty(), "it came again though the line is down");
    ensure!(!gic::get(Bits::SetPending, intid) && !gic::get(Bits::SetActive, intid), "it is not at rest");
    Ok(())
}

fn on_uart(_: u32) {
    if let Some((uart, _)) = device() {
        release_line(uart);
    }
}

fn by_vector() -> Outcome {
    let Some((uart, intid)) = device() else { return Ok(()) };
    gic::set_route(intid, smp::affinity(0));
    reset_counts(Some(on_uart));
    gic::enable(intid);
    for time in 1..=5 {
        regs::mask_interrupts();
        assert_line(uart)?;
        regs::unmask_interrupts();
        ensure!(wait_until(PATIENCE, || count(0, intid) >= time), "time {time}: it never came");
    }
    ensure!(silent(), "more came");
    ensure_eq!(count(0, intid), 5, "times taken");
    Ok(())
}

fn disabled() -> Outcome {
    let Some((uart, intid)) = device() else { return Ok(()) };
    assert_line(uart)?;
    ensure!(silent(), "it is signalled though disabled");
    ensure!(gic::get(Bits::SetPending, intid), "its line is up, and it is not shown pending");
    release_line(uart);
    ensure!(!gic::get(Bits::SetPending, intid), "its line is down, and it is shown pending");
    Ok(())
}

static READY: AtomicU32 = AtomicU32::new(0);

/// A member takes one interrupt, releases the line, and says which it was.
fn take_uart(release: u64) -> u64 {
    READY.store(1, Ordering::SeqCst);
    let Some(taken) = next() else { return 0 };
    if release != 0 {
        on_uart(taken.intid);
    }
    gic::end(taken.intid);
    let more = collect(0).len() as u64;
    u64::from(taken.intid) + more * 10_000
}

fn each() -> Outcome {
    let Some((uart, intid)) = device() else { return Ok(()) };
    crew::muster()?;
    for cpu in crew::members() {
        READY.store(0, Ordering::SeqCst);
        gic::set_route(intid, smp::affinity(cpu));
        crew::post(cpu, take_uart, 1);
        ensure!(wait_until(PATIENCE, || READY.load(Ordering::SeqCst) == 1), "CPU {cpu} is not ready");
        assert_line(uart)?;
        gic::enable(intid);
        let got = crew::join(cpu)?;
        gic::disable(intid);
        ensure_eq!(got, u64::from(intid), "at CPU {cpu}");
        ensure!(silent(), "it also came to CPU 0");
    }
    gic::set_route(intid, smp::affinity(0));
    Ok(())
}

fn set_pending_each() -> Outcome {
    crew::muster()?;
    for spi in tree::board().spis.iter().take(4) {
        gic::enable(spi.intid);
        for cpu in crew::members() {
            READY.store(0, Ordering::SeqCst);
            gic::set_route(spi.intid, smp::affinity(cpu));
            crew::post(cpu, take_uart, 0);
            ensure!(wait_until(PATIENCE, || READY.load(Ordering::SeqCst) == 1), "CPU {cpu} is not ready");
            gic::set(Bits::SetPending, spi.intid);
            ensure_eq!(crew::join(cpu)?, u64::from(spi.intid), "at CPU {cpu}");
        }
        gic::disable(spi.intid);
        gic::set_route(spi.intid, smp::affinity(0));
    }
    Ok(())
}
