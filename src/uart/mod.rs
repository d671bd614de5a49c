//! The UART that the hypervisor prints on: one driver, and what the models differ in as a table ([`models`]).
//!
//! The loader set baud rate and pins; nothing here changes them.

mod models;
#[cfg(test)]
mod tests;

pub use models::model;

use core::fmt::{self, Write};

use crate::ports::{Registers, Serial, Width};

/// How often a UART is asked before it is given up: one whose clock was taken away must not hang EL2.
const PATIENCE: u32 = 1_000_000;

/// A kind of UART, by its registers, which are 32 bits wide.
#[derive(Debug, PartialEq, Eq)]
pub struct Model {
    /// The strings of `compatible` that say so.
    compatible: &'static [&'static str],
    /// Where bytes to send are written.
    output: u16,
    /// Where received bytes are read.
    input: u16,
    /// No byte can be written.
    full: Flag,
    /// There is no byte to read.
    empty: Flag,
    /// It sends.
    busy: Flag,
    /// Lets it send, if nobody has before.
    wake: &'static [Step],
    /// Prepares it for interrupts: FIFOs on, whatever came so far forgotten.
    start: &'static [Step],
    /// Lets it interrupt for what it received, and for nothing else.
    hear: &'static [Step],
    /// The same, and for room behind what it sends.
    call: &'static [Step],
    /// Clears what reading bytes does not.
    settle: &'static [Step],
}

/// Bits of a register that say something when they have this value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Flag {
    at: u16,
    bits: u32,
    when: u32,
}

/// A bit that says something when it is set.
const fn set(at: u16, bits: u32) -> Flag {
    Flag { at, bits, when: bits }
}

/// A bit that says something when it is clear.
const fn clear(at: u16, bits: u32) -> Flag {
    Flag { at, bits, when: 0 }
}

/// Something that is done to a UART.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Wait until it is silent.
    Drain,
    /// Write a register.
    Write(u16, u32),
    /// Clear and then set bits of a register.
    Change(u16, u32, u32),
}

/// A UART that is ready to print.
#[derive(Debug)]
pub struct Uart<R> {
    registers: R,
    model: &'static Model,
    /// Whether the transmit interrupt is let through.
    calls: bool,
}

impl<R: Registers> Uart<R> {
    /// A UART of this model with these registers; nothing is done to it.
    pub fn new(registers: R, model: &'static Model) -> Self {
        Self { registers, model, calls: false }
    }

    /// Lets it send, where the loader has not.
    pub fn wake(&self) {
        self.run(self.model.wake);
    }

    /// Prepares it for interrupts; the receive interrupt is let through.
    pub fn start(&mut self) {
        self.run(self.model.start);
        self.run(self.model.hear);
        self.calls = false;
    }

    fn read(&self, at: u16) -> u32 {
        self.registers.read(at.into(), Width::Word) as u32
    }

    fn write(&self, at: u16, value: u32) {
        self.registers.write(at.into(), Width::Word, value.into());
    }

    fn is(&self, flag: Flag) -> bool {
        self.read(flag.at) & flag.bits == flag.when
    }

    fn run(&self, steps: &[Step]) {
        for step in steps {
            match *step {
                Step::Drain => self.wait_while(self.model.busy),
                Step::Write(at, value) => self.write(at, value),
                Step::Change(at, clear, set) => self.write(at, self.read(at) & !clear | set),
            }
        }
    }

    fn wait_while(&self, flag: Flag) {
        let _ = (0..PATIENCE).any(|_| !self.is(flag));
    }

    fn put_byte(&self, byte: u8) {
        self.wait_while(self.model.full);
        self.write(self.model.output, byte.into());
    }
}

impl<R: Registers> Write for Uart<R> {
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

impl<R: Registers + Send> Serial for Uart<R> {
    fn put(&mut self, bytes: &[u8]) -> usize {
        let mut count = 0_usize;
        for byte in bytes {
            if self.is(self.model.full) {
                break;
            }
            self.write(self.model.output, (*byte).into());
            count = count.saturating_add(1);
        }
        count
    }

    fn take(&mut self, into: &mut [u8]) -> usize {
        self.run(self.model.settle);
        let mut count = 0_usize;
        for place in into {
            if self.is(self.model.empty) {
                break;
            }
            *place = self.read(self.model.input) as u8;
            count = count.saturating_add(1);
        }
        count
    }

    fn call_for_more(&mut self, on: bool) {
        if self.calls != on {
            self.calls = on;
            self.run(if on { self.model.call } else { self.model.hear });
        }
    }
}
