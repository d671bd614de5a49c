//! The hypervisor's UART: printing before there is a console, the console's port to it, and the last words.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

use aarch64_cpu::registers::{CNTFRQ_EL0, SCTLR_EL2};
use bulkhead::addr::{PAGE, Pa, Span};
use bulkhead::console::Console;
use bulkhead::ports::{Registers, Width};
use bulkhead::uart::{Model, Uart};
use log::{Level, LevelFilter, Log, Metadata, Record};
use spin::{Mutex, Once};
use tock_registers::interfaces::Readable;

use crate::{gic, time};

/// The registers of a UART that is mapped.
#[derive(Debug)]
pub struct Mapped(Pa);

impl Mapped {
    /// Where an access goes; the model's offsets lie in its first page.
    fn at(&self, offset: u64) -> Pa {
        Pa(self.0.0.wrapping_add(offset))
    }
}

impl Registers for Mapped {
    fn read(&self, offset: u64, width: Width) -> u64 {
        // SAFETY: whoever made this promised that a UART is there, and `bulkhead::uart` has offsets and width from its manual.
        unsafe { gic::load(self.at(offset), width) }
    }

    fn write(&self, offset: u64, width: Width, value: u64) {
        // SAFETY: as for `read`; what a UART is told changes no memory: its DMA is never switched on.
        unsafe { gic::store(self.at(offset), width, value) }
    }
}

/// A UART that is ready to print: the loader set baud rate and pins.
///
/// # Safety
/// One of this model lies at `base` and is reachable there as device memory from now on.
pub unsafe fn at(base: Pa, model: &'static Model) -> Uart<Mapped> {
    Uart::new(Mapped(base), model)
}

/// The page that its registers are in.
pub fn page(base: Pa) -> Option<Span<Pa>> {
    Span::new(base, 1)?.widened_to(PAGE)
}

/// Where log lines go.
struct Lines {
    /// Before there is a console.
    early: Once<Mutex<Uart<Mapped>>>,
    console: Once<&'static Console>,
    /// There is none, and guests run.
    silent: AtomicBool,
}

static LINES: Lines = Lines { early: Once::new(), console: Once::new(), silent: AtomicBool::new(false) };

/// For the last words: the UART that was printed to last.
static LAST: Once<(Pa, &'static Model)> = Once::new();
static LAST_CONSOLE: Once<(Pa, &'static Model)> = Once::new();

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mark = match record.level() {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            _ => "",
        };
        let line = format_args!("{mark}{}", record.args());
        // Locks need the MMU; nothing is logged before it is on.
        bulkhead::log::LINES.lock().keep(time::counter(), CNTFRQ_EL0.get(), line);
        if let Some(console) = self.console.get() {
            console.say(line);
        } else if let Some(uart) = self.early.get().filter(|_| !self.silent.load(Ordering::Relaxed)) {
            let _ = writeln!(uart.lock(), "bulkhead: {line}");
        }
    }

    fn flush(&self) {}
}

/// Makes the UART at `base` the logger's.
///
/// # Safety
/// As for [`at`].
pub unsafe fn install(base: Pa, model: &'static Model) {
    // SAFETY: passed on to our caller.
    let uart = unsafe { at(base, model) };
    uart.wake();
    LINES.early.call_once(|| Mutex::new(uart));
    LAST.call_once(|| (base, model));
    // The second installation of a logger is the only error, and there is none.
    let _ = log::set_logger(&LINES);
    log::set_max_level(LevelFilter::Info);
}

/// From now on lines go to the console, which is on the UART at `base`; without one there are none, since a guest may have
/// the UART.
///
/// # Safety
/// As for [`at`], if there is a console.
pub unsafe fn hand_over(console: Option<(&'static Console, Pa, &'static Model)>) {
    match console {
        Some((console, base, model)) => {
            LAST_CONSOLE.call_once(|| (base, model));
            LINES.console.call_once(|| console);
            let _ = log::set_logger(&LINES);
            log::set_max_level(LevelFilter::Info);
        }
        None => LINES.silent.store(true, Ordering::Relaxed),
    }
}

/// The last words of a CPU, past all locks: whoever holds one may be the one that died. Other CPUs are waited for, but not
/// long; not where no lock works because the MMU is off (exclusives need Normal memory, Arm ARM B2.9.2).
pub fn shout(args: fmt::Arguments<'_>) {
    static SHOUTING: Mutex<()> = Mutex::new(());
    let Some((base, model)) = LAST_CONSOLE.get().or(LAST.get()) else { return };
    let _turn =
        if SCTLR_EL2.is_set(SCTLR_EL2::M) { (0..1_000_000).find_map(|_| SHOUTING.try_lock()) } else { None };
    // SAFETY: whoever stored it promised that a UART is there.
    let mut uart = unsafe { at(*base, model) };
    let _ = uart.write_fmt(args);
}
