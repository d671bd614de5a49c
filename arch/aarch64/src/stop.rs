//! The last words: a panic, or an exception that EL2 itself took. Both are bugs of Bulkhead's; everything stops.

use core::fmt;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use aarch64_cpu::asm;
use aarch64_cpu::registers::{DAIF, ELR_EL2, ESR_EL2, FAR_EL2, MPIDR_EL1, Readable, SP, SPSR_EL2, Writeable};
use bulkhead::cell::System;
use bulkhead::inbox::{Kick, Request};
use bulkhead::vcpu::Frame;
use spin::Once;

use crate::el2::Features;
use crate::{entry, gicv2, heap, interface, tlb, uart};

static STOPPED: AtomicBool = AtomicBool::new(false);
/// Whose cells may have CPUs that take no interrupt of EL2's.
static SYSTEM: Once<&'static System> = Once::new();

/// From now on these cells are stopped too.
pub fn knows(system: &'static System) {
    SYSTEM.call_once(|| system);
}

/// CPUs that hear no interrupt fault instead, look into their inbox, and find that all has stopped.
fn take_memory() {
    let Some(system) = SYSTEM.get() else { return };
    for (cpu, seat) in system.cpus() {
        let Some(cell) = system.cells.get(seat.cell.index()) else { continue };
        if let (Some(root), Some(inbox)) = (&cell.root_table, system.inboxes.get(cpu.index())) {
            let Kick(_) = inbox.post(cpu, Request::Stop);
            root.clear();
            tlb::invalidate_vmid(cell.vttbr());
        }
    }
}

/// Stops this CPU too, if another has stopped everything.
#[inline(always)]
pub fn halt_if_stopped() {
    if STOPPED.load(Ordering::Relaxed) {
        halt();
    }
}

macro_rules! shout {
    ($($arg:tt)*) => { uart::shout(format_args!($($arg)*)) };
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let frame_pointer: u64;
    // SAFETY: reading x29 changes nothing.
    unsafe {
        core::arch::asm!("mov {}, x29", out(reg) frame_pointer, options(nomem, nostack, preserves_flags))
    };
    report(format_args!("{info}"), frame_pointer);
    halt()
}

/// An exception from EL2 to EL2; `vectors.S` comes here on the emergency stack.
#[unsafe(no_mangle)]
extern "C" fn bulkhead_own_fault(frame: &Frame, kind: u64) -> ! {
    let name = ["sync", "IRQ", "FIQ", "SError"].get((kind & 3) as usize).copied().unwrap_or("?");
    report(format_args!("EL2 took an exception of its own ({name}, vector {kind})"), frame.get(29));
    shout!("  ESR {:#018x}  FAR {:#018x}\n", ESR_EL2.get(), FAR_EL2.get());
    shout!(
        "  ELR {:#018x} (image + {:#x})  SPSR {:#x}  SP {:#018x}\n",
        ELR_EL2.get(),
        ELR_EL2.get().wrapping_sub(entry::base()),
        SPSR_EL2.get(),
        frame.host_sp
    );
    for n in (0..30).step_by(3) {
        let [a, b, c] = [n, n + 1, n + 2].map(|n| frame.get(n));
        shout!("  x{n:<2} {a:#018x}  x{:<2} {b:#018x}  x{:<2} {c:#018x}\n", n + 1, n + 2);
    }
    halt()
}

fn report(what: fmt::Arguments<'_>, frame_pointer: u64) {
    STOPPED.store(true, Ordering::Relaxed);
    // One that stopped while it held the console's lock says nothing more: `shout` gives up.
    let why = if heap::is_exhausted() {
        "BH0506: EL2's memory does not suffice for this board and description: give the cells fewer, larger pieces of it, and"
    } else {
        "this is a bug of Bulkhead's,"
    };
    shout!("\nbulkhead: STOPPED: {why} please report it with these lines.\n");
    shout!("  CPU {:#x}: {what}\n", MPIDR_EL1.get() & 0xff_00ff_ffff);
    shout!("  SP {:#x}  image at {:#x}  called from (image offsets):", SP.get(), entry::base());
    let mut at = frame_pointer;
    for _ in 0..24 {
        let Some((next, caller)) = entry::stack_frame(at) else { break };
        shout!(" {:#x}", caller.wrapping_sub(entry::base()));
        if next <= at {
            break;
        }
        at = next;
    }
    shout!("\n");
    // Without these registers the call would be the next exception, for ever; and no other CPU has been started.
    let v2 = gicv2::call_all();
    if v2 || Features::read().gic() {
        if !v2 {
            interface::call_all();
        }
        take_memory();
        asm::sev();
    }
}

/// Bulkhead cannot go on. Not for anything that a guest can bring about.
pub fn fatal(what: fmt::Arguments<'_>) -> ! {
    report(what, 0);
    halt()
}

/// Stops this CPU for good, with every interrupt masked.
pub fn halt() -> ! {
    DAIF.write(DAIF::D::Masked + DAIF::A::Masked + DAIF::I::Masked + DAIF::F::Masked);
    loop {
        asm::wfi();
    }
}
