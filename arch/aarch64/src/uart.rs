//! The hypervisor's console: a polled UART that the board's `stdout-path` names, and the logger on it.

use core::fmt::{self, Write};

use aarch64_cpu::registers::SCTLR_EL2;
use bulkhead::addr::Pa;
use log::{Level, LevelFilter, Log, Metadata, Record};
use spin::{Mutex, Once};
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::{ReadOnly, ReadWrite};
use tock_registers::{register_bitfields, register_structs};

register_bitfields![u32,
    /// PL011 flag register (DDI 0183G 3.3.3).
    Flags [
        /// The transmit FIFO is full.
        TXFF OFFSET(5) NUMBITS(1) [],
    ],
];

register_structs! {
    /// What of a PL011 printing needs (DDI 0183G 3.2); an SBSA UART has the same.
    Pl011 {
        (0x00 => data: ReadWrite<u32>),
        (0x04 => _reserved),
        (0x18 => flags: ReadOnly<u32, Flags::Register>),
        (0x1c => @END),
    }
}

/// Bytes to map for a UART.
pub const SIZE: u64 = 0x1000;

/// Whether [`Uart::new`] knows this `compatible`.
pub fn is_known(compatible: &str) -> bool {
    matches!(compatible, "arm,pl011" | "arm,sbsa-uart")
}

/// A UART that is ready to print: the loader set baud rate and pins.
pub struct Uart {
    registers: &'static Pl011,
}

// SAFETY: the registers are the device's; whichever CPU holds the `Uart` may use them.
unsafe impl Send for Uart {}

impl Uart {
    /// # Safety
    /// A UART of a kind that [`is_known`] lies at `base` and is reachable there as device memory from now on.
    pub unsafe fn new(base: Pa) -> Self {
        let at = core::ptr::with_exposed_provenance::<Pl011>(base.0 as usize);
        // SAFETY: by the caller's promise; the registers are only touched by volatile accesses.
        Self { registers: unsafe { &*at } }
    }

    fn put(&self, byte: u8) {
        // A UART that never drains (its clock was taken away) must not hang EL2.
        for _ in 0..1_000_000 {
            if !self.registers.flags.is_set(Flags::TXFF) {
                break;
            }
        }
        self.registers.data.set(u32::from(byte));
    }
}

impl Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.put(b'\r');
            }
            self.put(byte);
        }
        Ok(())
    }
}

struct Console(Once<Mutex<Uart>>);

static CONSOLE: Console = Console(Once::new());

impl Log for Console {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(uart) = self.0.get() {
            let mark = match record.level() {
                Level::Error => "error: ",
                Level::Warn => "warning: ",
                _ => "",
            };
            let _ = writeln!(uart.lock(), "bulkhead: {mark}{}", record.args());
        }
    }

    fn flush(&self) {}
}

/// Makes `uart` the logger's.
pub fn install(uart: Uart) {
    CONSOLE.0.call_once(|| Mutex::new(uart));
    // The second installation of a logger is the only error, and there is none.
    let _ = log::set_logger(&CONSOLE);
    log::set_max_level(LevelFilter::Info);
}

/// The last words of a CPU. It waits for the console's lock for a while only, since another CPU may have died with it, and says
/// nothing where no lock works because the MMU is off (exclusives need Normal memory, Arm ARM B2.9.2).
pub fn shout(args: fmt::Arguments<'_>) {
    let Some(lock) = CONSOLE.0.get() else { return };
    if SCTLR_EL2.is_set(SCTLR_EL2::M) {
        for _ in 0..1_000_000 {
            if let Some(mut uart) = lock.try_lock() {
                let _ = uart.write_fmt(args);
                return;
            }
            core::hint::spin_loop();
        }
    }
}
