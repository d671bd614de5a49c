//! The other CPUs as a crew: each waits for a job, does it and gives back a number.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rt::{MAX_CPUS, regs, smp, timer};
use spin::Mutex;

use crate::report::{Why, why};

type Job = fn(u64) -> u64;

struct Seat {
    /// What to do, with what, and the job's number.
    job: Mutex<Option<(Job, u64, u64)>>,
    /// The number of the job that was given last.
    given: AtomicU64,
    /// The number of the job that was done last: one that a failed check left behind is nobody's answer.
    done: AtomicU64,
    result: AtomicU64,
    seated: AtomicBool,
}

static SEATS: [Seat; MAX_CPUS] = [const {
    Seat {
        job: Mutex::new(None),
        given: AtomicU64::new(0),
        done: AtomicU64::new(0),
        result: AtomicU64::new(0),
        seated: AtomicBool::new(false),
    }
}; MAX_CPUS];
static LEAVE: AtomicBool = AtomicBool::new(false);

/// How long a job may take, in microseconds.
const PATIENCE: u64 = 30_000_000;

/// The numbers of the crew: every CPU but the first.
pub fn members() -> core::ops::Range<usize> {
    1..smp::count()
}

/// Starts every member that is not there yet.
pub fn muster() -> Result<(), Why> {
    muster_below(smp::count())
}

/// Starts every member below a number.
pub fn muster_below(limit: usize) -> Result<(), Why> {
    LEAVE.store(false, Ordering::SeqCst);
    for cpu in 1..limit {
        let Some(seat) = SEATS.get(cpu) else { continue };
        if !seat.seated.swap(true, Ordering::SeqCst)
            && let Err(error) = smp::on(cpu, member)
        {
            seat.seated.store(false, Ordering::SeqCst);
            return Err(why(format_args!("CPU_ON of CPU {cpu} gave {error}")));
        }
    }
    Ok(())
}

/// Sends every member home: its CPU goes off.
pub fn dismiss() {
    LEAVE.store(true, Ordering::SeqCst);
    for cpu in members() {
        if let Some(seat) = SEATS.get(cpu)
            && seat.seated.swap(false, Ordering::SeqCst)
        {
            smp::wait_off(cpu);
        }
    }
}

/// Brings the interrupts of every member that is there to rest.
pub fn quiet() -> Result<(), Why> {
    for cpu in members().filter(|cpu| SEATS.get(*cpu).is_some_and(|s| s.seated.load(Ordering::SeqCst))) {
        // A job that a failed check left behind ends first.
        post(cpu, quiet_this_cpu, 0);
        join(cpu)?;
    }
    Ok(())
}

fn quiet_this_cpu(_: u64) -> u64 {
    crate::taken::quiet_cpu();
    0
}

fn member(cpu: usize) {
    let Some(seat) = SEATS.get(cpu) else { return };
    while !LEAVE.load(Ordering::SeqCst) {
        let job = seat.job.lock().take();
        if let Some((job, argument, number)) = job {
            seat.result.store(job(argument), Ordering::SeqCst);
            seat.done.store(number, Ordering::SeqCst);
        }
        regs::relax();
    }
}

/// Gives a member a job.
pub fn post(cpu: usize, job: Job, argument: u64) {
    if let Some(seat) = SEATS.get(cpu) {
        let number = seat.given.fetch_add(1, Ordering::SeqCst) + 1;
        *seat.job.lock() = Some((job, argument, number));
    }
}

/// Waits for a member's job: what it gave.
pub fn join(cpu: usize) -> Result<u64, Why> {
    let Some(seat) = SEATS.get(cpu) else { return Err(why(format_args!("no CPU {cpu}"))) };
    let number = seat.given.load(Ordering::SeqCst);
    if timer::wait_until(PATIENCE, || seat.done.load(Ordering::SeqCst) == number) {
        Ok(seat.result.load(Ordering::SeqCst))
    } else {
        Err(why(format_args!("CPU {cpu} never finished its job")))
    }
}

/// Lets a member do a job, and waits.
pub fn call(cpu: usize, job: Job, argument: u64) -> Result<u64, Why> {
    muster()?;
    post(cpu, job, argument);
    join(cpu)
}
