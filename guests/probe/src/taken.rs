//! Interrupts: polled with IRQs masked, for checks of order and number, or taken by the vector and counted.

use core::sync::atomic::{AtomicU32, Ordering};

use arrayvec::ArrayVec;
use rt::gic::{self, Bits, SPECIAL};
use rt::timer::{self, Timer};
use rt::{MAX_CPUS, console, regs, tree};
use spin::Mutex;

/// How long something that must come may take, in microseconds.
pub const PATIENCE: u64 = 3_000_000;
/// How long nothing must come before it counts as never, in microseconds.
pub const SILENCE: u64 = 3_000;

/// An interrupt that was acknowledged, and the running priority it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its INTID.
    pub intid: u32,
    /// ICC_RPR_EL1 after the acknowledge.
    pub priority: u8,
}

/// Interrupts in the order in which they were acknowledged.
pub type Sequence = ArrayVec<Taken, 64>;

/// What a check does in the handler, before the end of the interrupt.
type Hook = fn(u32);

static HOOK: Mutex<Option<Hook>> = Mutex::new(None);
static COUNTS: [[AtomicU32; 1020]; MAX_CPUS] = [const { [const { AtomicU32::new(0) }; 1020] }; MAX_CPUS];

/// The handler behind the vector.
pub fn irq() {
    let intid = gic::acknowledge();
    if intid >= SPECIAL {
        return;
    }
    if let Some(count) = count_of(regs::cpu_index(), intid) {
        count.fetch_add(1, Ordering::SeqCst);
    }
    let hook = *HOOK.lock();
    match hook {
        Some(hook) => hook(intid),
        // A timer that nobody expects must not fire for ever.
        None if intid == Timer::Virtual.intid() => Timer::Virtual.stop(),
        None if intid == Timer::Physical.intid() => Timer::Physical.stop(),
        None => {}
    }
    gic::end(intid);
}

fn count_of(cpu: usize, intid: u32) -> Option<&'static AtomicU32> {
    COUNTS.get(cpu)?.get(intid as usize)
}

/// How often a CPU took an interrupt by the vector since [`reset_counts`].
pub fn count(cpu: usize, intid: u32) -> u32 {
    count_of(cpu, intid).map_or(0, |c| c.load(Ordering::SeqCst))
}

/// Forgets the counts and sets what the handler does from now on.
pub fn reset_counts(hook: Option<Hook>) {
    for count in COUNTS.iter().flatten() {
        count.store(0, Ordering::SeqCst);
    }
    *HOOK.lock() = hook;
}

/// Brings this CPU's interrupts and the shared ones to rest: everything at the runtime's settings.
pub fn quiet() {
    if let Some(uart) = console::uart() {
        uart.enable_tx_interrupt(false);
    }
    tree::board().spis.iter().for_each(|s| rest(s.intid));
    quiet_cpu();
    reset_counts(None);
}

/// Brings this CPU's own interrupts to rest: masked, idle, nothing pending.
pub fn quiet_cpu() {
    regs::mask_interrupts();
    Timer::Virtual.stop();
    Timer::Physical.stop();
    gic::set_split_eoi(false);
    gic::set_priority_mask(0xff);
    gic::set_group1(true);
    (0..32).for_each(rest);
    while gic::is_signalled() {
        let intid = gic::acknowledge();
        if intid >= SPECIAL {
            break;
        }
        gic::end(intid);
    }
}

fn rest(intid: u32) {
    gic::disable(intid);
    gic::set(Bits::ClearPending, intid);
    gic::set(Bits::ClearActive, intid);
    gic::set_priority(intid, gic::PRIORITY);
}

/// Waits for an interrupt to be signalled and acknowledges it; `None` if none comes.
pub fn next() -> Option<Taken> {
    within(PATIENCE)
}

fn within(microseconds: u64) -> Option<Taken> {
    if !timer::wait_until(microseconds, gic::is_signalled) {
        return None;
    }
    let intid = gic::acknowledge();
    (intid < SPECIAL).then(|| Taken { intid, priority: gic::running_priority() })
}

/// Acknowledges and ends `expected` interrupts and whatever comes soon after them.
pub fn collect(expected: usize) -> Sequence {
    let mut sequence = Sequence::new();
    while !sequence.is_full() {
        let patience = if sequence.len() < expected { PATIENCE } else { SILENCE };
        let Some(taken) = within(patience) else { break };
        sequence.push(taken);
        gic::end(taken.intid);
    }
    sequence
}

/// Whether no interrupt is signalled for a while.
pub fn silent() -> bool {
    !timer::wait_until(SILENCE, gic::is_signalled)
}

/// The INTIDs of a sequence.
pub fn intids(sequence: &Sequence) -> ArrayVec<u32, 64> {
    sequence.iter().map(|t| t.intid).collect()
}
