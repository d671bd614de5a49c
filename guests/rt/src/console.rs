//! The console: the PL011 of the tree's `stdout-path`, polled (DDI 0183G).

use core::fmt::{self, Write};

use spin::{Mutex, Once};

use crate::mmio::Mmio;
use crate::{regs, tree};

const DR: u64 = 0x000;
const FR: u64 = 0x018;
const LCRH: u64 = 0x02c;
const CR: u64 = 0x030;
const IFLS: u64 = 0x034;
const IMSC: u64 = 0x038;
const RIS: u64 = 0x03c;
const MIS: u64 = 0x040;
const ICR: u64 = 0x044;

const FR_BUSY: u32 = 1 << 3;
const FR_RXFE: u32 = 1 << 4;
const FR_TXFF: u32 = 1 << 5;
const TX: u32 = 1 << 5;

/// A PL011.
#[derive(Clone, Copy, Debug)]
pub struct Uart(Mmio);

static UART: Once<Uart> = Once::new();
static LINE: Mutex<()> = Mutex::new(());

/// Switches the console's UART on. The baud rate stays as firmware left it.
pub(crate) fn start() {
    if let Some(console) = &tree::board().console {
        let uart = Uart(Mmio::new(console.base));
        if !console.is_ready {
            uart.0.write(IMSC, 0);
            uart.0.write(LCRH, 0b111 << 4);
            uart.0.write(CR, 1 | 1 << 8 | 1 << 9);
        }
        UART.call_once(|| uart);
    }
}

/// The console's UART, if the tree has one.
pub fn uart() -> Option<Uart> {
    UART.get().copied()
}

impl Uart {
    /// Puts a byte into the transmit queue if there is room.
    pub fn try_put(self, byte: u8) -> bool {
        let room = self.0.read(FR) & FR_TXFF == 0;
        if room {
            self.0.write(DR, u32::from(byte));
        }
        room
    }

    /// Takes a byte out of the receive queue, if there is one.
    pub fn try_get(self) -> Option<u8> {
        (self.0.read(FR) & FR_RXFE == 0).then(|| self.0.read(DR) as u8)
    }

    /// Waits until the last byte is out.
    pub fn drain(self) {
        while self.0.read(FR) & FR_BUSY != 0 {
            regs::relax();
        }
    }

    /// Lets the transmit interrupt through, or not; with the lowest trigger level, so that an empty queue raises it.
    pub fn enable_tx_interrupt(self, on: bool) {
        self.0.write(IFLS, 0);
        self.0.write(IMSC, if on { TX } else { 0 });
    }

    /// Clears the transmit interrupt at its source.
    pub fn clear_tx_interrupt(self) {
        self.0.write(ICR, TX);
    }

    /// Whether the transmit interrupt is asserted at its source, before and behind the mask.
    pub fn tx_interrupt(self) -> (bool, bool) {
        (self.0.read(RIS) & TX != 0, self.0.read(MIS) & TX != 0)
    }
}

impl Write for Uart {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for byte in s.bytes() {
            if byte == b'\n' {
                while !self.try_put(b'\r') {}
            }
            while !self.try_put(byte) {}
        }
        Ok(())
    }
}

/// Prints; one call's text is never mixed with another CPU's.
pub fn print(args: fmt::Arguments<'_>) {
    if let Some(mut uart) = uart() {
        regs::masked(|| {
            let _line = LINE.lock();
            // A PL011 takes every byte: the result carries nothing.
            let _ = uart.write_fmt(args);
        });
    }
}

/// Prints without waiting for whoever is printing: for the last words of a guest.
pub(crate) fn print_now(args: fmt::Arguments<'_>) {
    if let Some(mut uart) = uart() {
        let _ = uart.write_fmt(args);
    }
}

/// Prints a line on the console.
#[macro_export]
macro_rules! println {
    ($($arg:tt)*) => {
        $crate::console::print(format_args!("{}\n", format_args!($($arg)*)))
    };
}
