//! The other CPUs: each runs a task and switches itself off.

use core::sync::atomic::{AtomicBool, Ordering};

use spin::Mutex;

use crate::tree::board;
use crate::{MAX_CPUS, entry, psci, regs, timer};

type Task = fn(usize);

static TASKS: [Mutex<Option<Task>>; MAX_CPUS] = [const { Mutex::new(None) }; MAX_CPUS];
static RUNNING: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];
static STARTING: Mutex<()> = Mutex::new(());

/// How long a CPU may take to start or stop, in microseconds.
const PATIENCE: u64 = 5_000_000;

/// How many CPUs the guest has.
pub fn count() -> usize {
    board().cpus.len()
}

/// The affinity of a CPU.
pub fn affinity(cpu: usize) -> u64 {
    board().cpus.get(cpu).copied().unwrap_or(u64::MAX)
}

/// Starts a CPU that is off with a task, which is given the CPU's number, and waits until it runs. When the task
/// returns, the CPU switches itself off. The error is CPU_ON's; 1 if the CPU never arrived.
pub fn on(cpu: usize, task: Task) -> Result<(), i64> {
    let (Some(slot), Some(running)) = (TASKS.get(cpu), RUNNING.get(cpu)) else { return Err(-2) };
    regs::masked(|| {
        let _one_at_a_time = STARTING.lock();
        if psci::affinity_info(affinity(cpu)) != 1 {
            return Err(psci::code::ALREADY_ON);
        }
        *slot.lock() = Some(task);
        running.store(false, Ordering::SeqCst);
        match psci::cpu_on(affinity(cpu), entry::prepare(cpu)) {
            0 if timer::wait_until(PATIENCE, || running.load(Ordering::SeqCst)) => Ok(()),
            0 => Err(1),
            error => Err(error),
        }
    })
}

/// Prepares a CPU that is off for a task and gives the context argument with which CPU_ON at
/// [`psci::entry_point`] starts it.
pub fn prepare(cpu: usize, task: Task) -> u64 {
    match TASKS.get(cpu) {
        Some(slot) => {
            *slot.lock() = Some(task);
            entry::prepare(cpu)
        }
        None => 0,
    }
}

/// Waits until a CPU is off; whether that happened.
pub fn wait_off(cpu: usize) -> bool {
    timer::wait_until(PATIENCE, || psci::affinity_info(affinity(cpu)) == 1)
}

pub(crate) fn run_task(cpu: usize) {
    if let (Some(slot), Some(running)) = (TASKS.get(cpu), RUNNING.get(cpu)) {
        let task = slot.lock().take();
        running.store(true, Ordering::SeqCst);
        if let Some(task) = task {
            task(cpu);
        }
    }
}
