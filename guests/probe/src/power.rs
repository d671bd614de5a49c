//! CPUs that come and go.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rt::psci::{self, call, code, function};
use rt::{entry, read_reg, smp, timer};

use crate::entry::{ALL_MASKED, SCTLR_ON};
use crate::report::{Check, Needs, Outcome, check, why};
use crate::{crew, ensure, ensure_eq};

/// The group's checks.
pub const CHECKS: &[Check] = &[
    check("power_on", Needs::Crew, on),
    check("power_entry", Needs::BulkheadCrew, entry_state),
    check("power_off_and_on", Needs::Crew, off_and_on),
    check("power_on_from_others", Needs::Crew, from_others),
    check("power_on_race", Needs::Crew, race),
    check("power_muster", Needs::Crew, crew::muster),
];

static SEEN: AtomicU64 = AtomicU64::new(0);

fn note_affinity(_cpu: usize) {
    SEEN.store(read_reg!("mpidr_el1") & 0xff_00ff_ffff, Ordering::SeqCst);
}

fn start(cpu: usize, task: fn(usize)) -> Outcome {
    smp::on(cpu, task).map_err(|error| why(format_args!("CPU_ON of CPU {cpu} gave {error}")))
}

fn on() -> Outcome {
    crew::dismiss();
    for cpu in crew::members() {
        start(cpu, note_affinity)?;
        ensure!(smp::wait_off(cpu), "CPU {cpu} never went off");
        ensure_eq!(SEEN.load(Ordering::SeqCst), smp::affinity(cpu), "MPIDR of CPU {cpu}");
    }
    Ok(())
}

fn entry_state() -> Outcome {
    crew::dismiss();
    for cpu in crew::members() {
        start(cpu, note_affinity)?;
        ensure!(smp::wait_off(cpu), "CPU {cpu} never went off");
        let record = entry::record(cpu);
        for (n, value) in record.x.iter().enumerate().skip(1) {
            ensure_eq!(*value, 0, "CPU {cpu}: x{n}");
        }
        ensure_eq!(record.sctlr & SCTLR_ON, 0, "CPU {cpu}: SCTLR_EL1.{{M,C,I}}");
        ensure_eq!(record.daif, ALL_MASKED, "CPU {cpu}: DAIF");
        ensure_eq!(record.spsel, 1, "CPU {cpu}: SPSel");
        ensure_eq!(record.vbar | record.ttbr0 | record.cpacr, 0, "CPU {cpu}: VBAR, TTBR0, CPACR");
        ensure_eq!((record.cntv_ctl | record.cntp_ctl) & 1, 0, "CPU {cpu}: timers");
        ensure!(record.cntvct <= timer::count(), "CPU {cpu}: its count is ahead of this CPU's");
    }
    Ok(())
}

static STAY: AtomicBool = AtomicBool::new(false);

fn stay(_cpu: usize) {
    timer::wait_until(5_000_000, || !STAY.load(Ordering::SeqCst));
}

fn off_and_on() -> Outcome {
    crew::dismiss();
    for round in 0..5 {
        STAY.store(true, Ordering::SeqCst);
        for cpu in crew::members() {
            start(cpu, stay)?;
            ensure_eq!(
                psci::affinity_info(smp::affinity(cpu)),
                0,
                "round {round}: AFFINITY_INFO of CPU {cpu}"
            );
            let again = call(function::CPU_ON, [smp::affinity(cpu), psci::entry_point(), 0]);
            ensure_eq!(again, code::ALREADY_ON, "round {round}: CPU_ON again of CPU {cpu}");
        }
        STAY.store(false, Ordering::SeqCst);
        for cpu in crew::members() {
            ensure!(smp::wait_off(cpu), "round {round}: CPU {cpu} never went off");
        }
    }
    Ok(())
}

fn start_next(cpu: usize) {
    let next = cpu + 1;
    if next < smp::count() && smp::on(next, start_next).is_err() {
        return;
    }
    SEEN.fetch_add(1, Ordering::SeqCst);
}

fn from_others() -> Outcome {
    crew::dismiss();
    SEEN.store(0, Ordering::SeqCst);
    start(1, start_next)?;
    let all = crew::members().len() as u64;
    ensure!(
        timer::wait_until(2_000_000, || SEEN.load(Ordering::SeqCst) == all),
        "{} of {all} CPUs came up in a chain",
        SEEN.load(Ordering::SeqCst)
    );
    for cpu in crew::members() {
        ensure!(smp::wait_off(cpu), "CPU {cpu} never went off");
    }
    Ok(())
}

static RACE: AtomicU64 = AtomicU64::new(0);

/// All but the last CPU try to start the last one at once: one must win, the others be told so.
fn try_last(_: u64) -> u64 {
    while RACE.load(Ordering::SeqCst) == 0 {}
    call(
        function::CPU_ON,
        [smp::affinity(smp::count() - 1), psci::entry_point(), RACE.load(Ordering::SeqCst)],
    ) as u64
}

fn race() -> Outcome {
    let last = smp::count() - 1;
    for round in 0..5 {
        crew::dismiss();
        RACE.store(0, Ordering::SeqCst);
        SEEN.store(0, Ordering::SeqCst);
        crew::muster_below(last)?;
        for cpu in 1..last {
            crew::post(cpu, try_last, 0);
        }
        RACE.store(smp::prepare(last, note_affinity), Ordering::SeqCst);
        let mut won = u32::from(try_last(0) == 0);
        for cpu in 1..last {
            match crew::join(cpu)? as i64 {
                code::SUCCESS => won += 1,
                code::ALREADY_ON | code::ON_PENDING => {}
                // It may have run its task and gone off again before a slow contender asked.
                other => return Err(why(format_args!("round {round}: CPU {cpu} got {other}"))),
            }
        }
        ensure!(won >= 1, "round {round}: nobody started CPU {last}");
        let arrived = timer::wait_until(1_000_000, || SEEN.load(Ordering::SeqCst) == smp::affinity(last));
        ensure!(arrived, "round {round}: CPU {last} never arrived");
        ensure!(smp::wait_off(last), "round {round}: CPU {last} never went off");
    }
    crew::dismiss();
    Ok(())
}
