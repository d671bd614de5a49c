//! The line a second: made at once, sent as the UART has room, so that a slow line never delays a tick's work.

use core::fmt::{self, Write};

use rt::console;

use crate::tick::{BOUNDS, Snapshot};

/// The histogram's bounds, for people.
pub struct Bounds;

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ticks later than ns:")?;
        for bound in [0].iter().chain(&BOUNDS) {
            write!(f, " {bound}")?;
        }
        Ok(())
    }
}

/// A line on its way out.
pub struct Line {
    text: [u8; 256],
    sent: usize,
    end: usize,
}

impl Line {
    /// Nothing to send.
    pub fn new() -> Self {
        Self { text: [0; 256], sent: 0, end: 0 }
    }

    /// Makes the line of a second; what is left of the last one is dropped.
    pub fn write(&mut self, second: u64, s: &Snapshot) {
        self.sent = 0;
        self.end = 0;
        let head = write!(
            self,
            "control: second {second} ticks {} elapsed_us {} late_max_ns {} hist",
            s.ticks, s.elapsed_us, s.late_max_ns
        );
        let buckets = s.histogram.iter().try_for_each(|count| write!(self, " {count}"));
        // Twelve counts of twenty digits would not fit: such a line ends early.
        let _ = head.and(buckets);
        let _ = self.write_str("\r\n");
    }

    /// Sends what the UART takes now.
    pub fn send(&mut self) {
        let Some(uart) = console::uart() else { return };
        while let Some(byte) = self.text.get(self.sent).filter(|_| self.sent < self.end) {
            if !uart.try_put(*byte) {
                return;
            }
            self.sent += 1;
        }
    }
}

impl Write for Line {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let room = self.text.get_mut(self.end..self.end + s.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(s.as_bytes());
        self.end += s.len();
        Ok(())
    }
}
