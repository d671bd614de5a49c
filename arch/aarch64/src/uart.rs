//! The hypervisor's UART: printing before there is a console, the console's port to it, and the last words.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

use aarch64_cpu::registers::{CNTFRQ_EL0, SCTLR_EL2};
use bulkhead::addr::Pa;
use bulkhead::console::Console;
use bulkhead::ports::Serial;
use log::{Level, LevelFilter, Log, Metadata, Record};
use spin::{Mutex, Once};
use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};
use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};
use tock_registers::{register_bitfields, register_structs};

use crate::time;

register_bitfields![u32,
    /// PL011 flag register (DDI 0183G 3.3.3).
    Flags [
        /// It sends.
        BUSY OFFSET(3) NUMBITS(1) [],
        /// The receive FIFO is empty.
        RXFE OFFSET(4) NUMBITS(1) [],
        /// The transmit FIFO is full.
        TXFF OFFSET(5) NUMBITS(1) [],
    ],
    /// Line control (3.3.7).
    LineControl [
        /// The FIFOs are on.
        FEN OFFSET(4) NUMBITS(1) [],
        /// Bits of a byte.
        WLEN OFFSET(5) NUMBITS(2) [Eight = 3],
    ],
    /// Control (3.3.8).
    Control [
        /// It is on.
        UARTEN OFFSET(0) NUMBITS(1) [],
        /// It sends.
        TXE OFFSET(8) NUMBITS(1) [],
        /// It receives.
        RXE OFFSET(9) NUMBITS(1) [],
    ],
    /// The levels at which the FIFOs interrupt (3.3.9).
    Levels [
        /// Transmit: at or below.
        TX OFFSET(0) NUMBITS(3) [Quarter = 1],
        /// Receive: at or above.
        RX OFFSET(3) NUMBITS(3) [Half = 2],
    ],
    /// Interrupts (3.3.10 to 3.3.13).
    Interrupts [
        /// Receive.
        RX OFFSET(4) NUMBITS(1) [],
        /// Transmit.
        TX OFFSET(5) NUMBITS(1) [],
        /// Receive timeout.
        RT OFFSET(6) NUMBITS(1) [],
        /// Framing, parity, break, overrun.
        ERRORS OFFSET(7) NUMBITS(4) [],
    ],
];

register_structs! {
    /// What of a PL011 we use (DDI 0183G 3.2); an SBSA UART has data, flags and interrupts of it.
    Pl011 {
        (0x00 => data: ReadWrite<u32>),
        (0x04 => _reserved0),
        (0x18 => flags: ReadOnly<u32, Flags::Register>),
        (0x1c => _reserved1),
        (0x2c => line_control: ReadWrite<u32, LineControl::Register>),
        (0x30 => control: ReadWrite<u32, Control::Register>),
        (0x34 => levels: ReadWrite<u32, Levels::Register>),
        (0x38 => mask: ReadWrite<u32, Interrupts::Register>),
        (0x3c => _reserved2),
        (0x44 => clear: WriteOnly<u32, Interrupts::Register>),
        (0x48 => @END),
    }
}

/// Bytes to map for a UART.
pub const SIZE: u64 = 0x1000;

/// A UART that is ready to print: the loader set baud rate and pins.
pub struct Uart {
    registers: &'static Pl011,
    /// Whether the transmit interrupt is let through.
    calls: bool,
}

// SAFETY: the registers are the device's; whichever CPU holds the `Uart` may use them.
unsafe impl Send for Uart {}

impl Uart {
    /// # Safety
    /// A UART of a kind that [`bulkhead::hardware::is_console`] knows lies at `base` and is reachable there as device memory from
    /// now on.
    pub unsafe fn new(base: Pa) -> Self {
        let at = core::ptr::with_exposed_provenance::<Pl011>(base.0 as usize);
        // SAFETY: by the caller's promise; the registers are only touched by volatile accesses.
        Self { registers: unsafe { &*at }, calls: false }
    }

    /// Prepares it for interrupts: FIFOs on, whatever came so far forgotten, the receive interrupt let through. An `sbsa` one
    /// has FIFOs always.
    pub fn start(&mut self, sbsa: bool) {
        let uart = self.registers;
        uart.mask.set(0);
        if !sbsa {
            // Line control may change only while it is off, and what it is sending would be cut off (3.3.7, 3.3.8).
            self.drain();
            uart.control.modify(Control::UARTEN::CLEAR);
            uart.line_control.write(LineControl::FEN::SET + LineControl::WLEN::Eight);
            uart.levels.write(Levels::TX::Quarter + Levels::RX::Half);
            uart.control.modify(Control::UARTEN::SET + Control::TXE::SET + Control::RXE::SET);
        }
        uart.clear.set(0x7ff);
        self.calls = true;
        self.call_for_more(false);
    }

    /// Waits until it is silent; not for ever.
    fn drain(&self) {
        let _ = (0..1_000_000).any(|_| !self.registers.flags.is_set(Flags::BUSY));
    }

    fn put_byte(&self, byte: u8) {
        // A UART that never drains (its clock was taken away) must not hang EL2.
        let _ = (0..1_000_000).any(|_| !self.registers.flags.is_set(Flags::TXFF));
        self.registers.data.set(u32::from(byte));
    }
}

impl Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.put_byte(b'\r');
            }
            self.put_byte(byte);
        }
        Ok(())
    }
}

impl Serial for Uart {
    fn put(&mut self, bytes: &[u8]) -> usize {
        let mut count = 0;
        for byte in bytes {
            if self.registers.flags.is_set(Flags::TXFF) {
                break;
            }
            self.registers.data.set(u32::from(*byte));
            count += 1;
        }
        count
    }

    fn take(&mut self, into: &mut [u8]) -> usize {
        // Reading clears the others.
        self.registers.clear.write(Interrupts::ERRORS.val(0xf));
        let mut count = 0;
        for place in into {
            if self.registers.flags.is_set(Flags::RXFE) {
                break;
            }
            *place = self.registers.data.get() as u8;
            count += 1;
        }
        count
    }

    fn call_for_more(&mut self, on: bool) {
        if self.calls != on {
            self.calls = on;
            let input = Interrupts::RX::SET + Interrupts::RT::SET;
            self.registers.mask.write(if on { input + Interrupts::TX::SET } else { input });
        }
    }
}

/// Where log lines go.
struct Lines {
    /// Before there is a console.
    early: Once<Mutex<Uart>>,
    console: Once<&'static Console>,
    /// There is none, and guests run.
    silent: AtomicBool,
}

static LINES: Lines = Lines { early: Once::new(), console: Once::new(), silent: AtomicBool::new(false) };

/// For the last words: the UART that was printed to last.
static LAST: Once<Pa> = Once::new();
static LAST_CONSOLE: Once<Pa> = Once::new();

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
/// As for [`Uart::new`].
pub unsafe fn install(base: Pa) {
    // SAFETY: passed on to our caller.
    let uart = unsafe { Uart::new(base) };
    LINES.early.call_once(|| Mutex::new(uart));
    LAST.call_once(|| base);
    // The second installation of a logger is the only error, and there is none.
    let _ = log::set_logger(&LINES);
    log::set_max_level(LevelFilter::Info);
}

/// From now on lines go to the console, which is on the UART at `base`; without one there are none, since a guest may have
/// the UART.
///
/// # Safety
/// As for [`Uart::new`], if there is a console.
pub unsafe fn hand_over(console: Option<(&'static Console, Pa)>) {
    match console {
        Some((console, base)) => {
            LAST_CONSOLE.call_once(|| base);
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
    let Some(base) = LAST_CONSOLE.get().or(LAST.get()) else { return };
    let _turn =
        if SCTLR_EL2.is_set(SCTLR_EL2::M) { (0..1_000_000).find_map(|_| SHOUTING.try_lock()) } else { None };
    // SAFETY: whoever stored it promised that a UART is there.
    let mut uart = unsafe { Uart::new(*base) };
    let _ = uart.write_fmt(args);
}
