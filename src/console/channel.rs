//! One whose lines are printed: a cell with a virtual PL011, or Bulkhead itself.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use arrayvec::ArrayVec;

use super::pl011::{FR_TXFF, Pl011};
use super::ring::Ring;
use super::scan::{Scan, Step};
use crate::ports::Width;
use crate::sync::{AtomicU32, Mutex, MutexGuard, Ordering};
use crate::vgic::Wire;

/// Bytes of output that wait; a longer line is printed in pieces.
pub const RING: usize = 4096;
/// Bytes of an unfinished line that can be drawn again.
const SHOWN: usize = 512;

/// What is to be sent.
pub(super) type Stage = ArrayVec<u8, STAGE>;
/// Bytes of it.
pub(super) const STAGE: usize = 1024;

/// Whether there is room for more than so many bytes on the stage.
pub(super) fn has_room(stage: &Stage, bytes: usize) -> bool {
    STAGE.saturating_sub(stage.len()) > bytes
}

/// Puts bytes on the stage; who calls has looked for room.
pub(super) fn put(stage: &mut Stage, bytes: &[u8]) {
    for byte in bytes {
        let _ = stage.try_push(*byte);
    }
}

/// A channel's output, and its input if it is a cell's.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) name: Box<str>,
    /// The last digit of SGR's colour; Bulkhead's own lines have none.
    colour: Option<u8>,
    pub(super) out: Ring,
    pub(super) uart: Option<Pl011>,
    scan: Scan,
    /// What of an unfinished line was printed while the channel had the screen.
    shown: ArrayVec<u8, SHOWN>,
    /// `shown` has not enough room.
    cut: bool,
    /// The line has set colours.
    coloured: bool,
    /// The newest byte ends no line.
    open: bool,
    /// A newline that there was no room for.
    owed: bool,
}

impl Channel {
    pub(super) fn new(name: &str, colour: Option<u8>, uart: bool, room: Vec<u8>) -> Self {
        let capacity = if uart || colour.is_none() { RING } else { 0 };
        Self {
            name: name.into(),
            colour,
            out: Ring::new(room, capacity),
            uart: uart.then(Pl011::new),
            scan: Scan::new(),
            shown: ArrayVec::new(),
            cut: false,
            coloured: false,
            open: false,
            owed: false,
        }
    }

    /// A guest's access to its UART: what it reads, and whether whatever prints should look.
    pub(super) fn access(&mut self, offset: u64, width: Width, write: Option<u64>) -> (u64, Look) {
        let Some(uart) = &mut self.uart else { return (0, Look::No) };
        let Some(value) = write else {
            // Who polls for room may be the only one who runs.
            let look = if uart.is_full() { Look::Always } else { Look::No };
            return (uart.read(offset, width), look);
        };
        let Some(byte) = uart.write(offset, width, value) else { return (0, Look::No) };
        self.put(byte);
        (0, if byte == b'\n' || self.out.is_full() { Look::Always } else { Look::IfShown })
    }

    fn put(&mut self, byte: u8) {
        if self.owed {
            self.owed = !self.out.push(b'\n');
        }
        self.out.push(byte);
        self.open = byte != b'\n';
        if let Some(uart) = &mut self.uart {
            uart.set_full(self.out.is_full());
        }
    }

    /// Its source has ended: the UART is as it comes out of reset, what is unfinished is over.
    pub(super) fn end(&mut self) {
        if let Some(uart) = &mut self.uart {
            uart.reset();
        }
        if self.scan.is_alternate() {
            for byte in b"\x1b[?1049l" {
                self.out.push(*byte);
            }
        }
        if core::mem::take(&mut self.open) {
            self.owed = !self.out.push(b'\n');
        }
    }

    /// Something was taken out: tells the guest that there is room, once it is worth it.
    fn settle(&mut self) {
        if self.owed {
            self.owed = !self.out.push(b'\n');
        }
        if let Some(uart) = &mut self.uart
            && self.out.has_room()
        {
            uart.set_full(false);
        }
    }

    /// Whether a line is to be printed with the label.
    pub(super) fn is_ready(&self) -> bool {
        self.out.has_line() || self.out.is_full() && !self.out.is_empty()
    }

    /// Whether the screen is to be left alone.
    pub(super) fn has_alternate_screen(&self) -> bool {
        self.scan.is_alternate()
    }

    /// Whether others may print now.
    pub(super) fn is_between(&self) -> bool {
        self.scan.is_between()
    }

    /// Gives up a sequence that does not end.
    pub(super) fn cancel(&mut self, stage: &mut Stage) {
        /// CAN: the terminal forgets it too.
        const CAN: u8 = 0x18;
        self.scan.feed(CAN);
        put(stage, &[CAN]);
    }

    /// The label, and what of the line was shown before.
    pub(super) fn begin(&mut self, stage: &mut Stage) {
        match self.colour {
            Some(colour) => put(stage, &[0x1b, b'[', b'3', b'0'.wrapping_add(colour), b'm', b'[']),
            None => put(stage, b"\x1b[1m["),
        }
        put(stage, self.name.as_bytes());
        put(stage, b"]\x1b[0m ");
        let shown = core::mem::take(&mut self.shown);
        self.cut = false;
        let scan = core::mem::replace(&mut self.scan, Scan::new());
        for byte in &shown {
            self.print(*byte, stage);
        }
        self.scan = scan;
    }

    /// Goes on with a line that has a label, while there is room on the stage: whether it is finished. `left` bytes are printed
    /// at most.
    pub(super) fn go_on(&mut self, left: &mut usize, stage: &mut Stage) -> bool {
        while has_room(stage, 64) {
            let byte = if *left == 0 { None } else { self.out.pop() };
            let Some(byte) = byte else {
                // It is longer than the ring.
                self.end_line(stage);
                self.settle();
                return true;
            };
            *left = left.saturating_sub(1);
            if self.print(byte, stage) == Step::Newline {
                self.settle();
                return true;
            }
        }
        self.settle();
        false
    }

    fn end_line(&mut self, stage: &mut Stage) {
        if core::mem::take(&mut self.coloured) {
            put(stage, b"\x1b[0m");
        }
        put(stage, b"\r\n");
    }

    /// Prints a byte of a line with a label: text and colours, nothing that would touch the lines of others or have the
    /// terminal answer.
    fn print(&mut self, byte: u8, stage: &mut Stage) -> Step {
        let step = self.scan.feed(byte);
        match step {
            Step::Text => put(stage, &[byte]),
            Step::Colour => {
                put(stage, self.scan.sequence());
                self.coloured = true;
            }
            Step::Newline => self.end_line(stage),
            _ => {}
        }
        step
    }

    /// Passes on what the channel that has the screen prints, `left` bytes at most: up to the end of a line.
    pub(super) fn pass(&mut self, left: &mut usize, stage: &mut Stage) {
        while *left != 0 && has_room(stage, 64) {
            let Some(byte) = self.out.pop() else { break };
            *left = left.saturating_sub(1);
            put(stage, &[byte]);
            match self.scan.feed(byte) {
                Step::Newline => {
                    self.forget();
                    *left = 0;
                }
                Step::Away => self.forget(),
                // Drawn again, it would have the terminal answer again.
                Step::Question => {
                    let asked = self.scan.sequence().len().saturating_sub(1);
                    self.shown.truncate(self.shown.len().saturating_sub(asked));
                }
                // Whoever has the whole screen draws it anew.
                _ if self.scan.is_alternate() => {}
                _ => self.cut |= self.shown.try_push(byte).is_err(),
            }
        }
        self.settle();
    }

    fn forget(&mut self) {
        self.shown.clear();
        self.cut = false;
    }

    /// Makes room for the lines of others where the channel has an unfinished line on the screen.
    pub(super) fn hide(&self, stage: &mut Stage) {
        if self.cut {
            put(stage, b"\r\n");
        } else if !self.shown.is_empty() {
            put(stage, b"\r\x1b[K");
        }
    }

    /// Draws the unfinished line again.
    pub(super) fn show(&self, stage: &mut Stage) {
        if !self.cut {
            put(stage, &self.shown);
        }
    }

    /// The channel gets the screen.
    pub(super) fn enter(&self, stage: &mut Stage) {
        if self.scan.is_alternate() {
            put(stage, b"\x1b[?1049h");
        }
    }

    /// The channel loses the screen.
    pub(super) fn leave(&self, stage: &mut Stage) {
        if self.scan.is_alternate() {
            put(stage, b"\x1b[?1049l\x1b[0m");
        } else if self.cut || !self.shown.is_empty() {
            put(stage, b"\x1b[0m\r\n");
        }
    }
}

/// Whether whatever prints should look after an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing is new.
    No,
    /// If the channel has the screen: a byte in the middle of a line.
    IfShown,
    /// A line has ended, or there is no more room.
    Always,
}

/// A channel as all CPUs see it.
pub(super) struct Port {
    channel: Mutex<Channel>,
    wire: Arc<Wire>,
    /// UARTFR as it was when the channel was let go.
    flags: AtomicU32,
}

impl Port {
    pub(super) fn new(channel: Channel, wire: Arc<Wire>) -> Self {
        let flags = AtomicU32::new(channel.uart.as_ref().map_or(0, |uart| u32::from(uart.flags())));
        Self { channel: Mutex::new(channel), wire, flags }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Channel> {
        self.channel.lock()
    }

    /// Brings what shows of the UART without the lock up to date, before it is let go: its flags, and its interrupt line.
    /// Whether that changed.
    pub(super) fn drive(&self, channel: &Channel) -> bool {
        channel.uart.as_ref().is_some_and(|uart| {
            self.flags.store(u32::from(uart.flags()), Ordering::Relaxed);
            self.wire.set(uart.line())
        })
    }

    /// UARTFR for a guest that reads it, which it does before each byte. Not where there is no room: who waits for that may be the
    /// only one who runs, and has to make it.
    #[inline(always)]
    pub(super) fn flags(&self) -> Option<u64> {
        let flags = self.flags.load(Ordering::Relaxed);
        (flags & u32::from(FR_TXFF) == 0).then_some(u64::from(flags))
    }
}
