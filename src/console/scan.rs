//! What a terminal would make of a stream of bytes, as far as it matters here: where a character or an escape sequence begins
//! and ends (ECMA-48 5.4), and whether the alternate screen is on.

use arrayvec::ArrayVec;

/// The longest sequence that is understood; what is longer counts as over.
const LONGEST: usize = 24;

/// What a byte was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Part of a character that is printed, or a tab.
    Text,
    /// The end of a line.
    Newline,
    /// Another control character.
    Control,
    /// Inside of a sequence.
    Inside,
    /// The end of one that sets colours (SGR): [`Scan::sequence`] has it whole.
    Colour,
    /// The end of one that asks the terminal for an answer.
    Question,
    /// The end of one that leaves the line: it moves the cursor to a place of the screen, or clears it.
    Away,
    /// The end of any other.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ground,
    /// So many bytes of a character of UTF-8 are to come.
    Utf8(u8),
    Escape,
    /// ESC and bytes between: a character set and the like.
    Between,
    Csi,
    /// A string up to BEL or ST.
    Text,
}

/// Follows a stream.
#[derive(Debug)]
pub(super) struct Scan {
    state: State,
    sequence: ArrayVec<u8, LONGEST>,
    alternate: bool,
}

impl Scan {
    /// At the beginning of a stream.
    pub(super) const fn new() -> Self {
        Self { state: State::Ground, sequence: ArrayVec::new_const(), alternate: false }
    }

    /// Whether it is between characters and sequences.
    pub(super) fn is_between(&self) -> bool {
        self.state == State::Ground
    }

    /// Whether the alternate screen is on.
    pub(super) fn is_alternate(&self) -> bool {
        self.alternate
    }

    /// The sequence that ended last.
    pub(super) fn sequence(&self) -> &[u8] {
        &self.sequence
    }

    /// Takes a byte.
    pub(super) fn feed(&mut self, byte: u8) -> Step {
        match (self.state, byte) {
            // ESC begins anew wherever it comes, CAN and SUB end whatever there is.
            (_, 0x1b) => {
                self.sequence.clear();
                self.note(byte);
                self.state = State::Escape;
                Step::Inside
            }
            (State::Text, 0x07) => self.end(Step::Other),
            (_, 0x18 | 0x1a) => self.end(Step::Control),
            (_, b'\n') => self.end(Step::Newline),
            (State::Utf8(left), 0x80..0xc0) => {
                self.state = if left <= 1 { State::Ground } else { State::Utf8(left.wrapping_sub(1)) };
                Step::Text
            }
            (State::Ground | State::Utf8(_), _) => self.character(byte),
            (State::Text, _) => self.inside(byte),
            (State::Escape, b'[') => self.go(State::Csi, byte),
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => self.go(State::Text, byte),
            (State::Escape | State::Between, 0x20..0x30) => self.go(State::Between, byte),
            // RIS; DECSC, DECRC and others do not matter.
            (State::Escape, b'c') => self.end(Step::Away),
            (State::Escape | State::Between, 0x30..0x7f) => self.end(Step::Other),
            (State::Csi, 0x20..0x40) => self.inside(byte),
            (State::Csi, 0x40..0x7f) => {
                self.note(byte);
                let step = self.control_sequence(byte);
                self.end(step)
            }
            (State::Escape | State::Between | State::Csi, _) => self.inside(byte),
        }
    }

    fn character(&mut self, byte: u8) -> Step {
        self.state = match byte {
            0xc0..0xe0 => State::Utf8(1),
            0xe0..0xf0 => State::Utf8(2),
            0xf0..0xf8 => State::Utf8(3),
            _ => State::Ground,
        };
        if byte >= 0x20 && byte != 0x7f || byte == b'\t' { Step::Text } else { Step::Control }
    }

    fn note(&mut self, byte: u8) {
        // What does not fit is no sequence that means anything here.
        let _ = self.sequence.try_push(byte);
    }

    fn go(&mut self, state: State, byte: u8) -> Step {
        self.state = state;
        self.note(byte);
        Step::Inside
    }

    fn inside(&mut self, byte: u8) -> Step {
        if self.state != State::Text && self.sequence.is_full() {
            return self.end(Step::Other);
        }
        self.note(byte);
        Step::Inside
    }

    fn end(&mut self, step: Step) -> Step {
        self.state = State::Ground;
        step
    }

    fn control_sequence(&mut self, last: u8) -> Step {
        let parameters = self.sequence.get(2..self.sequence.len().saturating_sub(1)).unwrap_or_default();
        match (last, parameters) {
            (b'h' | b'l', b"?1049" | b"?1047" | b"?47") => {
                self.alternate = last == b'h';
                Step::Away
            }
            (b'm', p) if !p.first().is_some_and(|b| matches!(b, b'<' | b'=' | b'>' | b'?')) => Step::Colour,
            (b'n' | b'c' | b'x', _) => Step::Question,
            (b'H' | b'f' | b'd' | b'r', _) | (b'J', b"1" | b"2" | b"3") => Step::Away,
            _ => Step::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Step::*;

    fn steps(scan: &mut Scan, text: &[u8]) -> Vec<Step> {
        text.iter().map(|byte| scan.feed(*byte)).filter(|step| *step != Inside).collect()
    }

    #[test]
    fn sequences_end_where_they_end() {
        let mut scan = Scan::new();
        for (text, wanted) in [
            (&b"a\tb"[..], &[Text, Text, Text][..]),
            (b"\r\x08\x07\n", &[Control, Control, Control, Newline]),
            (b"\x1b[1;31mx", &[Colour, Text]),
            (b"\x1b[6n\x1b[c", &[Question, Question]),
            (b"\x1b[H\x1b[2J\x1bc\x1b[3;4H", &[Away, Away, Away, Away]),
            (b"\x1b[K\x1b[J\x1b[10D\x1b[?25l", &[Other, Other, Other, Other]),
            (b"\x1b(Bx\x1b7", &[Other, Text, Other]),
            (b"\x1b]0;title\x07y\x1b]1;t\x1b\\z", &[Other, Text, Other, Text]),
            ("é✓🦀.".as_bytes(), &[Text; 10]),
            (b"\xc3\nx", &[Text, Newline, Text]),
            (b"\x1b[\x1b[m", &[Colour]),
            (b"\x1b[3\x18x", &[Control, Text]),
        ] {
            assert_eq!(steps(&mut scan, text), wanted, "{text:?}");
            assert!(scan.is_between(), "{text:?}");
        }
        assert_eq!(steps(&mut scan, b"\x1b[0;3"), []);
        assert!(!scan.is_between());
        assert_eq!(steps(&mut scan, b"4m"), [Colour]);
        assert_eq!(scan.sequence(), b"\x1b[0;34m");
        steps(&mut scan, b"\xe2\x9c");
        assert!(!scan.is_between(), "in the middle of a character");
    }

    #[test]
    fn the_alternate_screen_is_seen() {
        let mut scan = Scan::new();
        assert_eq!(steps(&mut scan, b"\x1b[?1049h"), [Away]);
        assert!(scan.is_alternate());
        steps(&mut scan, b"text\x1b[?25l");
        assert!(scan.is_alternate());
        steps(&mut scan, b"\x1b[?1049l");
        assert!(!scan.is_alternate());
    }

    #[test]
    fn no_sequence_goes_on_for_ever() {
        let mut scan = Scan::new();
        scan.feed(0x1b);
        scan.feed(b'[');
        let end = (0..100).position(|_| scan.feed(b'1') != Inside);
        assert_eq!(end, Some(LONGEST - 2));
    }
}
