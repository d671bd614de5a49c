//! Floods its console with numbered lines of all lengths, each with a checksum, as fast as the UART takes them: whoever reads can
//! tell whether a byte is missing, twice, or another's. `bootargs` may hold `wait`: begin when a key is pressed; and `lines=N`:
//! without it there is no end.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::fmt;

use rt::timer::{self, Timer};
use rt::{console, gic, println, regs, tree};

/// Microseconds between two looks for a key.
const PAUSE: u64 = 50_000;
/// The longest text of a line.
const LONGEST: u64 = 160;

rt::entry!(main, irq);

/// A line: `chatter: NUMBER TEXT CHECKSUM`.
struct Line(u64);

impl Line {
    /// The bytes of the text, printable and without blanks.
    fn text(&self) -> impl Iterator<Item = u8> {
        let mut state = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let length = 1 + next() % LONGEST;
        (0..length).map(move |_| b'!' + (next() % 94) as u8)
    }

    /// FNV-1a over the text.
    fn checksum(&self) -> u32 {
        self.text().fold(0x811c_9dc5, |sum: u32, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chatter: {} ", self.0)?;
        self.text().try_for_each(|byte| fmt::Write::write_char(f, char::from(byte)))?;
        write!(f, " {:08x}", self.checksum())
    }
}

/// Interrupts stay masked: one that is pending ends a WFI all the same.
fn irq() {}

/// Sleeps for a while.
fn sleep() {
    let timer = Timer::Virtual;
    gic::enable(timer.intid());
    timer.start(timer.count() + timer::ticks(PAUSE));
    regs::wait_for_interrupt();
    let intid = gic::acknowledge();
    timer.stop();
    if intid < gic::SPECIAL {
        gic::end(intid);
    }
}

fn main() -> ! {
    if tree::argument("wait").is_some() {
        println!("chatter: waits for a key");
        while console::uart().and_then(|uart| uart.try_get()).is_none() {
            sleep();
        }
    }
    let lines = tree::argument("lines").and_then(|lines| lines.parse().ok()).unwrap_or(u64::MAX);
    for number in 0..lines {
        println!("{}", Line(number));
    }
    println!("chatter: done");
    loop {
        regs::wait_for_interrupt();
    }
}
