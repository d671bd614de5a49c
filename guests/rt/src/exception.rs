//! Exceptions: interrupts go to the guest, expected faults to whoever expects them, all else ends the guest.

use core::arch::asm;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::regs::write_reg;
use crate::{MAX_CPUS, console, excursion, psci, regs, tree};

/// The registers at an exception; vectors.s knows this layout.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Frame {
    pub(crate) x: [u64; 31],
    pub(crate) elr: u64,
    pub(crate) spsr: u64,
    pub(crate) esr: u64,
    pub(crate) far: u64,
}

const _: () = assert!(core::mem::offset_of!(Frame, elr) == 248);
const _: () = assert!(core::mem::offset_of!(Frame, far) == 272);
const _: () = assert!(size_of::<Frame>() == 288);

/// A synchronous exception that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// ESR_EL1.
    pub esr: u64,
    /// FAR_EL1.
    pub far: u64,
    /// The instruction it came from.
    pub elr: u64,
}

impl Fault {
    /// ESR_EL1.EC.
    pub fn class(self) -> u64 {
        self.esr >> 26 & 0x3f
    }

    /// The fault status code of an abort (ESR_EL1.DFSC or IFSC).
    pub fn status(self) -> u64 {
        self.esr & 0x3f
    }

    /// Whether a data abort was a write (ESR_EL1.WnR).
    pub fn is_write(self) -> bool {
        self.esr & 1 << 6 != 0
    }
}

struct Expected {
    armed: AtomicBool,
    taken: AtomicBool,
    esr: AtomicU64,
    far: AtomicU64,
    elr: AtomicU64,
}

static EXPECTED: [Expected; MAX_CPUS] = [const {
    Expected {
        armed: AtomicBool::new(false),
        taken: AtomicBool::new(false),
        esr: AtomicU64::new(0),
        far: AtomicU64::new(0),
        elr: AtomicU64::new(0),
    }
}; MAX_CPUS];

unsafe extern "Rust" {
    safe fn guest_irq();
}

/// Runs `f`, which may fault: the instruction that does is stepped over. The first fault, if there was one.
pub fn catch<T>(f: impl FnOnce() -> T) -> Result<T, Fault> {
    let Some(expected) = EXPECTED.get(regs::cpu_index()) else { stop("a CPU number beyond MAX_CPUS") };
    expected.taken.store(false, Ordering::SeqCst);
    expected.armed.store(true, Ordering::SeqCst);
    regs::isb();
    let result = f();
    regs::dsb_sy();
    regs::isb();
    expected.armed.store(false, Ordering::SeqCst);
    if expected.taken.load(Ordering::SeqCst) {
        Err(Fault {
            esr: expected.esr.load(Ordering::SeqCst),
            far: expected.far.load(Ordering::SeqCst),
            elr: expected.elr.load(Ordering::SeqCst),
        })
    } else {
        Ok(result)
    }
}

/// Takes exceptions where no memory is, so one after the other without end. An interrupt or fault gets nobody's attention.
pub fn storm() -> ! {
    regs::mask_interrupts();
    write_reg!("vbar_el1", 0_u64);
    regs::isb();
    loop {
        // SAFETY: the exception never comes back.
        unsafe { asm!("brk #0", options(nomem, nostack)) }
    }
}

/// Calls an address where no memory is: only for use inside [`catch`], which comes back from the fault. One in the
/// guest's own RAM is not called.
pub fn jump_outside(address: u64) {
    if tree::is_ram(address) {
        return;
    }
    // SAFETY: no memory is there, so nothing runs: the fetch faults, and the handler returns to x30.
    unsafe { asm!("blr {}", in(reg) address, clobber_abi("C")) }
}

const CLASS_INSTRUCTION_ABORT: u64 = 0x21;
const SYNC_SPX: u64 = 4;
const IRQ_SPX: u64 = 5;

pub(crate) extern "C" fn rt_exception(frame: &mut Frame, vector: u64) {
    match vector {
        _ if excursion::ends(frame, vector) => {}
        IRQ_SPX => guest_irq(),
        SYNC_SPX if take_expected(frame) => {}
        _ => die(frame, vector),
    }
}

fn take_expected(frame: &mut Frame) -> bool {
    let Some(expected) = EXPECTED.get(regs::cpu_index()) else { return false };
    if !expected.armed.load(Ordering::SeqCst) {
        return false;
    }
    if !expected.taken.swap(true, Ordering::SeqCst) {
        expected.esr.store(frame.esr, Ordering::SeqCst);
        expected.far.store(frame.far, Ordering::SeqCst);
        expected.elr.store(frame.elr, Ordering::SeqCst);
    }
    let [.., lr] = frame.x;
    // A jump to nowhere goes on after the call that made it.
    frame.elr = if frame.esr >> 26 & 0x3f == CLASS_INSTRUCTION_ABORT { lr } else { frame.elr + 4 };
    true
}

fn die(frame: &Frame, vector: u64) -> ! {
    const NAMES: [&str; 4] = ["synchronous exception", "IRQ", "FIQ", "SError"];
    let name = NAMES.get((vector & 3) as usize).copied().unwrap_or("exception");
    console::print_now(format_args!(
        "\nguest: unexpected {name} (vector {vector}) on CPU {}: ESR {:#x} ELR {:#x} FAR {:#x} SPSR {:#x} LR {:#x}\n",
        regs::cpu_index(),
        frame.esr,
        frame.elr,
        frame.far,
        frame.spsr,
        frame.x[30],
    ));
    end()
}

/// Says why and ends the guest.
pub fn stop(why: &str) -> ! {
    console::print_now(format_args!("\nguest: stopped: {why}\n"));
    end()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    regs::mask_interrupts();
    console::print_now(format_args!("\nguest: {info}\n"));
    end()
}

fn end() -> ! {
    if let Some(uart) = console::uart() {
        uart.drain();
    }
    psci::system_off();
    loop {
        regs::mask_interrupts();
        regs::wait_for_interrupt();
    }
}
