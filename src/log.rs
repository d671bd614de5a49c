//! Bulkhead's own lines: the last ones are kept, to be read again; and a guest can cause so many of them and no more.

use core::fmt::{self, Write};

// A static's, which a model's lock cannot be.
use spin::Mutex;

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Bytes of lines that are kept: some forty, and less than what the console takes at once.
const KEPT: usize = 3 << 10;

/// The last lines, whatever became of the cells that they speak of.
pub static LINES: Mutex<Lines> = Mutex::new(Lines::new());

/// Whole lines, the last ones that there is room for.
#[derive(Debug)]
pub struct Lines {
    bytes: [u8; KEPT],
    /// How many were ever written, each at the place that is this modulo the room.
    written: usize,
}

impl Lines {
    /// None.
    pub const fn new() -> Self {
        Self { bytes: [0; KEPT], written: 0 }
    }

    /// Keeps a line, with the seconds that the counter, of `hertz`, has come to.
    pub fn keep(&mut self, count: u64, hertz: u64, line: fmt::Arguments<'_>) {
        let milliseconds = count.saturating_mul(1000).checked_div(hertz).unwrap_or(0);
        // Writing never fails; what is formatted are numbers and names.
        let _ = writeln!(self, "{}.{:03} {line}", milliseconds / 1000, milliseconds % 1000);
    }

    /// All bytes, oldest first, from the beginning of a line on.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        let first = self.written.saturating_sub(KEPT);
        let all = (first..self.written).filter_map(|at| self.bytes.get(at % KEPT).copied());
        // The first line of a full ring is left out: its beginning may be gone.
        let mut cut = first != 0;
        all.skip_while(move |byte| {
            let skip = cut;
            cut &= *byte != b'\n';
            skip
        })
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self::new()
    }
}

impl Write for Lines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if let Some(place) = self.bytes.get_mut(self.written % KEPT) {
                *place = byte;
            }
            self.written = self.written.wrapping_add(1);
        }
        Ok(())
    }
}

/// Lines that one cell may cause: eight at once, four a second in the long run.
#[derive(Debug, Default)]
pub struct Allowance {
    /// The count up to which lines are used up.
    used: AtomicU64,
    /// Lines that were not said since the last one that was.
    lost: AtomicU32,
}

impl Allowance {
    const AT_ONCE: u64 = 8;
    const A_SECOND: u64 = 4;

    /// Whether a line may be said at this count of a counter of `hertz`, and how many were not since the last one. CPUs that
    /// ask at the same moment may get one too many.
    pub fn take(&self, count: u64, hertz: u64) -> Option<u32> {
        let one = hertz / Self::A_SECOND;
        let used = self.used.load(Ordering::Relaxed).max(count);
        if used.saturating_sub(count) > one.saturating_mul(Self::AT_ONCE.saturating_sub(1)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.used.store(used.saturating_add(one), Ordering::Relaxed);
        Some(self.lost.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(lines: &Lines) -> String {
        String::from_utf8(lines.bytes().collect()).unwrap()
    }

    #[test]
    fn the_last_lines_stay() {
        let mut lines = Lines::new();
        assert_eq!(text(&lines), "");
        lines.keep(62_500_000 * 3 / 2, 62_500_000, format_args!("cell a: off"));
        assert_eq!(text(&lines), "1.500 cell a: off\n");
        lines.keep(7, 0, format_args!("no clock"));
        assert_eq!(text(&lines), "1.500 cell a: off\n0.000 no clock\n");
        let mut all = text(&lines);
        for number in 0..if cfg!(miri) { 300 } else { 1000 } {
            lines.keep(0, 1, format_args!("line {number}"));
            all += &format!("0.000 line {number}\n");
            let kept = text(&lines);
            assert!(all.ends_with(&kept) && kept.len() <= KEPT);
            let before = &all[..all.len() - kept.len()];
            assert!(before.is_empty() || before.ends_with('\n'), "a line is cut");
            assert!(before.is_empty() || kept.len() > KEPT - 32, "there was room");
        }
        lines.keep(0, 1, format_args!("{}", "x".repeat(2 * KEPT)));
        assert_eq!(text(&lines), "", "none is whole");
    }

    proptest! {
        /// However often somebody asks, there are never more lines in any time than are allowed; and every one that is not said
        /// is counted once.
        #[test]
        fn lines_are_bounded_and_counted(pauses in prop::collection::vec(0u64..600, 1..300)) {
            const HERTZ: u64 = 1000;
            let (allowance, mut now) = (Allowance::default(), 0);
            let (mut said, mut lost) = (Vec::new(), 0);
            for pause in &pauses {
                now += pause;
                match allowance.take(now, HERTZ) {
                    Some(before) => {
                        prop_assert_eq!(before, core::mem::take(&mut lost));
                        said.push(now);
                    }
                    None => lost += 1,
                }
            }
            for (at, first) in said.iter().enumerate() {
                for (count, last) in (1..).zip(&said[at..]) {
                    prop_assert!(count <= 8 + (last - first) * 4 / HERTZ, "{count} from {first} to {last}");
                }
            }
            prop_assert!(said.len() >= pauses.len().min(8));
        }
    }
}
