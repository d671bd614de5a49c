//! Channels on a screen, and a guest at its virtual UART, over a UART that takes what the test lets it.

mod orders;

use std::sync::{Arc, Mutex};

use super::*;
use proptest::prelude::*;

/// What the UART has seen and has for us.
#[derive(Default)]
struct Wires {
    sent: Vec<u8>,
    typed: Vec<u8>,
    /// Room in its FIFO; `None` is endless.
    room: Option<usize>,
    calls: bool,
}

#[derive(Clone, Default)]
struct FakeSerial(Arc<Mutex<Wires>>);

impl Serial for FakeSerial {
    fn put(&mut self, bytes: &[u8]) -> usize {
        let mut wires = self.0.lock().unwrap();
        let count = wires.room.unwrap_or(usize::MAX).min(bytes.len());
        wires.sent.extend(&bytes[..count]);
        if let Some(room) = &mut wires.room {
            *room -= count;
        }
        count
    }
    fn take(&mut self, into: &mut [u8]) -> usize {
        let mut wires = self.0.lock().unwrap();
        let count = wires.typed.len().min(into.len());
        into[..count].copy_from_slice(&wires.typed[..count]);
        wires.typed.drain(..count);
        count
    }
    fn call_for_more(&mut self, on: bool) {
        self.0.lock().unwrap().calls = on;
    }
}

/// A console on this line, of these cells.
fn console<'n>(
    serial: &FakeSerial,
    cells: impl IntoIterator<Item = (&'n str, Option<Arc<Wire>>)>,
) -> Console {
    let mut ports = Ports::new(2).unwrap();
    cells.into_iter().for_each(|(name, wire)| ports.add(name, wire, Vec::new()));
    Console::new(Box::new(serial.clone()), ports)
}

impl Console {
    /// Who prints here, and how much may wait.
    pub(crate) fn rings(&self) -> Vec<(String, usize)> {
        let ring = |port: &Port| {
            let channel = port.lock();
            (channel.name.to_string(), channel.out.capacity())
        };
        self.ports.iter().map(ring).collect()
    }
}

/// A console with cells `a` and `b`, and `c`, which has no virtual UART.
struct Desk {
    console: Console,
    serial: FakeSerial,
}

impl Desk {
    fn new() -> Self {
        let serial = FakeSerial::default();
        let wire = || Some(Arc::<Wire>::default());
        let cells = [("a", wire()), ("b", wire()), ("c", None)];
        Self { console: console(&serial, cells), serial }
    }

    /// A cell prints; how many bytes found room.
    fn print(&self, cell: usize, text: &str) -> usize {
        let port = &self.console.ports[cell];
        let mut count = 0;
        for byte in text.bytes() {
            let mut channel = port.lock();
            if channel.access(0x18, Width::Word, None).0 & 0x20 != 0 {
                break;
            }
            let (_, look) = channel.access(0, Width::Word, Some(byte.into()));
            drop(channel);
            count += 1;
            let shown = self.console.input.load(Ordering::Relaxed) == cell;
            match look {
                Look::Always => self.console.pump(BUDGET, false),
                Look::IfShown if shown => self.console.pump(SHARE, false),
                _ => {}
            }
        }
        count
    }

    /// A person types, and the UART interrupts.
    fn typed(&self, text: &[u8]) {
        self.serial.0.lock().unwrap().typed.extend(text);
        while !self.serial.0.lock().unwrap().typed.is_empty() {
            assert!(self.console.serve().0.is_empty());
        }
        self.flush();
    }

    /// The UART sends and interrupts until nothing is left.
    fn flush(&self) {
        loop {
            // Whoever rests comes back.
            while self.console.serve().1 {}
            let mut wires = self.serial.0.lock().unwrap();
            if !std::mem::take(&mut wires.calls) || wires.room == Some(0) {
                return;
            }
        }
    }

    /// What came out since the last time, colours of labels left out.
    fn seen(&self) -> String {
        self.flush();
        let sent = std::mem::take(&mut self.serial.0.lock().unwrap().sent);
        let mut text = String::from_utf8(sent).unwrap();
        for (name, colour) in [("a", "\x1b[36m"), ("b", "\x1b[33m"), ("bulkhead", "\x1b[1m")] {
            text = text.replace(&format!("{colour}[{name}]\x1b[0m "), &format!("[{name}] "));
        }
        text
    }

    /// What cell `at` received.
    fn received(&self, at: usize) -> Vec<u8> {
        let mut channel = self.console.ports[at].lock();
        let mut bytes = vec![];
        while channel.access(0x18, Width::Word, None).0 & 0x10 == 0 {
            bytes.push(channel.access(0, Width::Word, None).0 as u8);
        }
        bytes
    }
}

#[test]
fn lines_are_whole_and_labelled() {
    let desk = Desk::new();
    desk.print(1, "one ");
    assert_eq!(desk.seen(), "");
    desk.print(2, "two\r\n");
    desk.console.say(format_args!("three {}", 3));
    desk.print(1, "more\n\n");
    assert_eq!(desk.seen(), "[b] two\r\n[bulkhead] three 3\r\n[a] one more\r\n[a] \r\n");
}

#[test]
fn lines_with_labels_cannot_touch_those_of_others() {
    let desk = Desk::new();
    desk.print(1, "\x1b[2J\x1b[6n\x1b[1;31mred\x1b[0m\r[b] no\x08\x07\x1b]0;title\x07\tend\n");
    assert_eq!(desk.seen(), "[a] \x1b[1;31mred\x1b[0m[b] no\tend\x1b[0m\r\n");
}

#[test]
fn the_attached_cell_is_passed_through_at_once() {
    let desk = Desk::new();
    desk.print(1, "/ # ");
    desk.typed(b"\x1e1");
    assert_eq!(desk.seen(), "[bulkhead] the input goes to a; Ctrl-^ ? for help\r\n/ # ");
    desk.typed(b"ls\x08");
    assert_eq!(desk.received(1), b"ls\x08");
    desk.print(1, "l");
    assert_eq!(desk.seen(), "l");
    desk.print(1, "s\x08 \x08\x1b[6n");
    assert_eq!(desk.seen(), "s\x08 \x08\x1b[6n");
    // Another's line comes between, and what was there is drawn again, without the question.
    desk.print(2, "hello\n");
    assert_eq!(desk.seen(), "\r\x1b[K[b] hello\r\n/ # ls\x08 \x08");
    desk.print(2, "1\n2\n");
    assert_eq!(desk.seen(), "\r\x1b[K[b] 1\r\n/ # ls\x08 \x08\r\x1b[K[b] 2\r\n/ # ls\x08 \x08");
    desk.print(1, "\r\nbin\r\n");
    desk.print(2, "3\n");
    assert_eq!(desk.seen(), "\r\nbin\r\n[b] 3\r\n");
}

#[test]
fn the_alternate_screen_is_left_alone() {
    let desk = Desk::new();
    desk.typed(b"\x1e2");
    desk.seen();
    desk.print(2, "\x1b[?1049h\x1b[Hfile");
    desk.print(1, "one\ntwo\n");
    desk.console.say(format_args!("log"));
    assert_eq!(desk.seen(), "\x1b[?1049h\x1b[Hfile");
    desk.print(2, "\x1b[?1049l");
    let after = desk.seen();
    assert!(after.starts_with("\x1b[?1049l") && after.contains("[a] one\r\n[a] two\r\n"), "{after:?}");
    // Whoever loses the screen leaves it, and has it back later.
    desk.print(2, "\x1b[?1049hvi");
    desk.typed(b"\x1e0");
    assert_eq!(
        desk.seen(),
        "\x1b[?1049hvi\x1b[?1049l\x1b[0m[bulkhead] the input goes to nobody; Ctrl-^ ? for help\r\n"
    );
    desk.typed(b"\x1e2");
    assert_eq!(desk.seen(), "\x1b[?1049h");
    desk.console.ended(CellId(1));
    let after = desk.seen();
    assert!(after.contains("\x1b[?1049l"), "{after:?}");
    assert!(after.ends_with("[bulkhead] the input goes to b; Ctrl-^ ? for help\r\n"), "{after:?}");
}

#[test]
fn moving_the_input_splits_no_line() {
    let desk = Desk::new();
    desk.typed(b"\x1e1");
    desk.seen();
    desk.print(1, "begun");
    desk.typed(b"\x1e2");
    desk.print(1, " and ended\n");
    assert_eq!(
        desk.seen(),
        "begun\x1b[0m\r\n[bulkhead] the input goes to b; Ctrl-^ ? for help\r\n[a] begun and ended\r\n"
    );
}

#[test]
fn moves_are_told_before_anything_of_whoever_has_the_screen_then() {
    let desk = Desk::new();
    desk.serial.0.lock().unwrap().room = Some(0);
    desk.print(1, "under way\n");
    desk.print(2, "one\n");
    // Both in one go.
    desk.serial.0.lock().unwrap().typed.extend(b"\x1e1\x1e2");
    desk.console.serve();
    desk.serial.0.lock().unwrap().room = None;
    let goes = |to: &str| format!("[bulkhead] the input goes to {to}; Ctrl-^ ? for help\r\n");
    assert_eq!(desk.seen(), format!("[a] under way\r\n{}{}one\n", goes("a"), goes("b")));
    // Away and back at once: the screen stays, and between the two nothing is printed.
    desk.serial.0.lock().unwrap().room = Some(0);
    desk.print(2, "under way\ntwo\n");
    desk.serial.0.lock().unwrap().typed.extend(b"\x1e1\x1e2");
    desk.console.serve();
    desk.serial.0.lock().unwrap().room = None;
    let seen = desk.seen();
    assert!(seen.contains(&format!("{}{}", goes("a"), goes("b"))), "{seen:?}");
}

#[test]
fn whoever_has_the_screen_does_not_print_the_floods_of_others() {
    let desk = Desk::new();
    desk.typed(b"\x1e1");
    desk.serial.0.lock().unwrap().room = Some(0);
    desk.print(2, &"flood\n".repeat(200));
    let mut wires = desk.serial.0.lock().unwrap();
    (wires.room, wires.sent) = (None, vec![]);
    drop(wires);
    for n in 1..=40 {
        desk.print(1, "x");
        let sent = desk.serial.0.lock().unwrap().sent.len();
        assert!((n..=n * SHARE).contains(&sent), "{sent} bytes for {n}");
    }
}

#[test]
fn whoever_types_first_means_the_first() {
    let desk = Desk::new();
    desk.typed(b"x");
    assert_eq!(desk.received(1), b"x");
    desk.typed(b"\x1e0\x1e3\x1eq\x1e\x1e");
    assert_eq!(desk.received(1), [0x1e]);
    let seen = desk.seen();
    for text in ["cell 3 has no virtual console", "no such order", "goes to nobody", "goes to a"] {
        assert!(seen.contains(text), "{text}: {seen}");
    }
    desk.typed(b"\x1e?");
    assert!(desk.seen().contains("[bulkhead] Ctrl-^ r       restarts the cell that has the input\r\n"));
}

#[test]
fn a_full_ring_is_a_full_fifo_for_that_cell_alone() {
    let desk = Desk::new();
    desk.serial.0.lock().unwrap().room = Some(10);
    let flood = "x".repeat(99) + "\n";
    let mut printed = 0;
    while let n @ 1.. = desk.print(1, &flood) {
        printed += n;
    }
    assert!((channel::RING..channel::RING + 1200).contains(&printed), "{printed}");
    assert_eq!(desk.print(2, "still\n"), 6);
    desk.serial.0.lock().unwrap().room = None;
    desk.flush();
    printed += desk.print(1, "\n");
    let seen = desk.seen();
    assert_eq!(seen.matches("x").count() + seen.matches("[a]").count(), printed, "with the newlines");
    // It waits for one line of the other, at most, and for what was on the stage.
    let place = seen.lines().position(|line| line == "[b] still").unwrap();
    assert!(place < 20, "line {place}");
    assert!(desk.print(1, &flood) == 100);
}

#[test]
fn a_line_longer_than_the_ring_comes_in_pieces() {
    let desk = Desk::new();
    let mut left = 10_000;
    while left > 0 {
        left -= desk.print(1, &"y".repeat(left));
        desk.flush();
    }
    desk.print(1, "\n");
    let seen = desk.seen();
    assert_eq!(seen.matches('y').count(), 10_000);
    assert!(seen.lines().count() <= 5 && seen.lines().all(|line| line.starts_with("[a] ")), "{seen}");
}

#[test]
fn an_end_finishes_the_line_and_resets_the_uart() {
    let desk = Desk::new();
    desk.print(1, "unfinished");
    desk.console.ports[1].lock().access(0x38, Width::Word, Some(0x50));
    desk.typed(b"\x1e1abc\x1e0");
    desk.seen();
    desk.console.ended(CellId(0));
    desk.print(1, "new life\n");
    let seen = desk.seen();
    assert_eq!(seen, "[a] unfinished\r\n[a] new life\r\n");
    assert_eq!(
        (desk.received(1), desk.console.ports[1].lock().access(0x38, Width::Word, None).0),
        (vec![], 0)
    );
}

#[test]
fn its_own_lines_are_whole_or_lost() {
    let desk = Desk::new();
    desk.serial.0.lock().unwrap().room = Some(0);
    for n in 0..200 {
        desk.console.say(format_args!("line {n:03} of a log that nobody reads"));
    }
    desk.serial.0.lock().unwrap().room = None;
    let seen = desk.seen();
    let lines: Vec<_> = seen.lines().collect();
    assert!((80..200).contains(&lines.len()), "{}", lines.len());
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(*line, format!("[bulkhead] line {n:03} of a log that nobody reads"));
    }
}

proptest! {
    /// Every line of every cell comes out whole and in order, whoever has the screen, however slow the UART.
    #[test]
    fn nothing_is_lost_or_split(
        steps in prop::collection::vec((1usize..3, 1usize..40, 0usize..60, 0u8..12), 1..120),
    ) {
        let desk = Desk::new();
        let (mut sent, mut all): ([String; 3], _) = (Default::default(), String::new());
        desk.serial.0.lock().unwrap().room = Some(0);
        for (cell, length, room, order) in steps {
            let text = format!("{:0length$}{}", sent[cell].len(), if length % 3 == 0 { "" } else { ";\n" });
            let taken = desk.print(cell, &text);
            sent[cell].push_str(&text[..taken]);
            desk.serial.0.lock().unwrap().room = Some(room);
            if order < 3 {
                desk.typed(&[0x1e, b'0' + order]);
            }
            let _ = desk.console.serve();
        }
        desk.serial.0.lock().unwrap().room = None;
        desk.flush();
        for (cell, text) in sent.iter_mut().enumerate().skip(1) {
            desk.print(cell, ";\n");
            text.push_str(";\n");
        }
        desk.typed(b"\x1e0");
        all += &desk.seen();
        // As a person would see it: what was erased is gone, what goes on behind a label belongs to the label.
        let mut lines: [String; 3] = Default::default();
        for line in all.split("\r\n").flat_map(|line| line.split('\n')) {
            let line = line.rsplit("\r\x1b[K").next().unwrap().trim_end_matches("\x1b[0m");
            for (cell, label) in [(1, "[a] "), (2, "[b] ")] {
                if let Some(text) = line.strip_prefix(label) {
                    lines[cell] += text;
                    lines[cell] += "\n";
                }
            }
        }
        for cell in 1..3 {
            for line in lines[cell].lines() {
                prop_assert!(sent[cell].lines().any(|l| l == line), "{line:?} of {cell} is split: {all:?}");
            }
        }
        // Lines of whoever had the screen carry no label, but none is missing.
        for text in &sent {
            for line in text.lines() {
                prop_assert!(all.contains(line), "{line:?} is lost");
            }
        }
    }
}
