//! The states in which a life ends: which CPU asks for the reset, and what the other one does meanwhile.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rt::timer::Timer;
use rt::{gic, psci, regs, smp};

use crate::remains;

/// What a CPU does until it is stopped.
type Pastime = fn();

struct End {
    name: &'static str,
    /// What the other CPU does; `None` if it is off.
    other: Option<Pastime>,
    /// Whether the other CPU asks for the reset.
    by_other: bool,
    /// Whether the other CPU is only being started.
    early: bool,
}

const fn end(name: &'static str, other: Option<Pastime>) -> End {
    End { name, other, by_other: false, early: false }
}

static ENDS: [End; 10] = [
    end("the other CPU is off", None),
    end("the other CPU spins", Some(spin)),
    end("the other CPU waits for an interrupt", Some(sleep)),
    end("the other CPU waits for an event", Some(doze)),
    end("the other CPU calls", Some(call)),
    end("the other CPU asks its redistributor", Some(ask)),
    End { early: true, ..end("the other CPU is being started", Some(spin)) },
    End { by_other: true, ..end("the first CPU spins", Some(spin)) },
    End { by_other: true, ..end("the first CPU waits for an interrupt", Some(sleep)) },
    end("both ask at once", Some(reset)),
];

fn of(number: usize) -> Option<&'static End> {
    ENDS.get(if smp::count() < 2 { 0 } else { number % ENDS.len() })
}

/// What it is called.
pub fn name(number: usize) -> &'static str {
    of(number).map_or("", |end| end.name)
}

fn spin() {
    regs::relax();
}

fn sleep() {
    be_quiet();
    regs::wait_for_interrupt();
}

fn doze() {
    be_quiet();
    remains::wait_for_event();
}

/// Nothing wakes this CPU.
fn be_quiet() {
    Timer::Virtual.stop();
    Timer::Physical.stop();
    gic::sgi_base(regs::cpu_index()).write(gic::Bits::ClearEnable as u64, !0);
}

fn call() {
    psci::call(psci::function::VERSION, [0; 3]);
}

fn ask() {
    gic::sgi_base(regs::cpu_index()).read(gic::Bits::SetEnable as u64);
}

fn reset() {
    psci::system_reset();
}

/// Runs on the other CPU for good; interrupts are masked.
fn other(pastime: Pastime) -> ! {
    loop {
        pastime();
    }
}

/// The number of the end that the other CPU has a part in.
static NUMBER: AtomicUsize = AtomicUsize::new(0);
/// The first CPU does what it is to do.
static READY: AtomicBool = AtomicBool::new(false);

fn task(_: usize) {
    let Some(end) = of(NUMBER.load(Ordering::SeqCst)) else { return };
    if !remains::is_clean(1) {
        rt::println!("phoenix: FAILED: the other CPU found interrupts: {:x?}", rt::gic::memory::found(1));
    }
    remains::leave_registers();
    if end.by_other {
        while !READY.load(Ordering::SeqCst) {
            regs::relax();
        }
        other(reset);
    }
    other(end.other.unwrap_or(spin));
}

/// Ends this life; `last` runs right before the call, where this CPU makes it.
pub fn now(number: usize, last: impl FnOnce()) {
    let Some(end) = of(number) else { return };
    NUMBER.store(number, Ordering::SeqCst);
    if end.early {
        let context = smp::prepare(1, task);
        psci::call(psci::function::CPU_ON, [smp::affinity(1), psci::entry_point(), context]);
    } else if end.other.is_some() && smp::on(1, task).is_err() {
        rt::println!("phoenix: FAILED: the other CPU does not start");
    }
    if end.by_other {
        READY.store(true, Ordering::SeqCst);
        other(end.other.unwrap_or(spin));
    }
    last();
    psci::system_reset();
}
