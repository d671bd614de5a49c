//! One serial line that many cells share, taken apart again: what Bulkhead puts before lines, and where it draws again what a
//! line came between (docs/decisions/0012-one-screen.md).

/// Erases what is drawn again behind the lines of others.
const HIDE: &[u8] = b"\r\x1b[K";
/// Takes the colours back, as at the end of a line that the input left.
const PLAIN: &[u8] = b"\x1b[0m";
/// What Bulkhead says behind such a line.
const MOVED: &[u8] = b"the input goes to ";
/// Ends an editor's screen: the line before it has been left behind, and the cursor stands at the beginning of a new one.
const LEAVE: &[u8] = b"\x1b[?1049l";
/// The name under which Bulkhead itself prints.
const OWN: &str = "bulkhead";

/// The line, and whose text it was so far.
#[derive(Debug)]
pub(super) struct Screen {
    /// The cells; the first has also what has no label.
    names: Vec<String>,
    /// Who has the input: what has no label is that one's.
    current: usize,
    /// Bytes since the last newline.
    line: Vec<u8>,
    /// The last line, if the input may have moved away in the midst of it: then it comes again, whole.
    left: Option<Vec<u8>>,
}

/// What becomes of a cell's text: its unfinished line is now this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The cell, by its place.
    pub(super) cell: usize,
    /// The line.
    pub(super) line: Vec<u8>,
    /// Whether it is finished.
    pub(super) done: bool,
}

/// A label at the beginning of a line.
enum Label<'l> {
    /// There is none.
    None,
    /// There may be one once more has come.
    Perhaps,
    /// The name, and what follows.
    Of(&'l str, &'l [u8]),
}

fn label(line: &[u8]) -> Label<'_> {
    let Some(rest) = line.strip_prefix(b"\x1b[") else {
        return if b"\x1b[".starts_with(line) { Label::Perhaps } else { Label::None };
    };
    let Some(m) = rest.iter().position(|b| !b.is_ascii_digit()) else { return Label::Perhaps };
    let (colour, rest) = rest.split_at(m);
    if !matches!(colour, b"1" | [b'3', _]) || rest.first() != Some(&b'm') {
        return Label::None;
    }
    let Some(rest) = rest.strip_prefix(b"m[") else {
        return if rest.len() < 2 { Label::Perhaps } else { Label::None };
    };
    let end = b"]\x1b[0m ";
    match rest.windows(end.len()).position(|part| part == end) {
        Some(at) => match std::str::from_utf8(&rest[..at]) {
            Ok(name) => Label::Of(name, &rest[at + end.len()..]),
            Err(_) => Label::None,
        },
        None if rest.len() < 80 && !rest.contains(&b'\n') => Label::Perhaps,
        None => Label::None,
    }
}

/// Text without what moves the cursor or asks the terminal: the same, drawn again, is the same.
fn plain(line: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = line;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != 0x1b {
            text.push(*byte);
        } else if let Some(sequence) = after.strip_prefix(b"[") {
            let end = sequence.iter().position(|b| (0x40..0x7f).contains(b));
            rest = end.map_or(&[][..], |end| &sequence[end + 1..]);
        }
    }
    text
}

impl Screen {
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { names, current: 0, line: Vec::new(), left: None }
    }

    /// Takes what came.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Change> {
        let mut changes = Vec::new();
        for byte in bytes {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.end(&line, &mut changes);
            } else {
                self.line.push(*byte);
            }
        }
        // An unfinished line without a label is to be seen at once.
        let at = self.last_drawn();
        if let Label::None = label(&self.line[at..])
            && !self.line.is_empty()
            && !HIDE.starts_with(&self.line[self.line.len().saturating_sub(HIDE.len() - 1)..])
        {
            changes.push(Change { cell: self.current, line: plain(&self.line[at..]), done: false });
        }
        changes
    }

    /// Where what is to be seen of the unfinished line begins: behind the last erasure that a label follows.
    fn last_drawn(&self) -> usize {
        drawn(&self.line)
    }

    fn end(&mut self, line: &[u8], changes: &mut Vec<Change>) {
        let text = &line[drawn(line)..];
        let label = label(text);
        let own = |what: &[u8]| matches!(label, Label::Of(OWN, text) if text.starts_with(what));
        // Whatever Bulkhead has to say comes before what the line goes on with.
        if (!own(b"") || own(MOVED))
            && let Some(left) = self.left.take()
        {
            let moved = own(MOVED);
            let line = if moved { Vec::new() } else { left };
            changes.push(Change { cell: self.current, line, done: !moved });
        }
        match label {
            Label::Of(name, text) => {
                if drawn(line) != 0 {
                    // What was there is drawn again from its beginning.
                    changes.push(Change { cell: self.current, line: Vec::new(), done: false });
                }
                let text = plain(text.strip_suffix(b"\r").unwrap_or(text));
                if name == OWN {
                    self.input(&text);
                    let text = [b"bulkhead: ", &text[..]].concat();
                    changes.push(Change { cell: 0, line: text, done: true });
                } else if let Some(cell) = self.names.iter().position(|own| own == name) {
                    changes.push(Change { cell, line: text, done: true });
                }
            }
            _ if text.strip_suffix(b"\r").unwrap_or(text).ends_with(PLAIN) => {
                changes.push(Change { cell: self.current, line: plain(text), done: false });
                self.left = Some(plain(text));
            }
            _ => changes.push(Change { cell: self.current, line: plain(text), done: true }),
        }
    }

    /// Learns who has the input.
    fn input(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let name = text.strip_prefix("the input goes to ").and_then(|rest| rest.split(';').next());
        if let Some(cell) = self.names.iter().position(|own| name == Some(own)) {
            self.current = cell;
        }
    }
}

fn drawn(line: &[u8]) -> usize {
    let labelled = |at: &usize| matches!(label(&line[*at..]), Label::Of(..) | Label::Perhaps);
    let behind = |mark: &'static [u8]| {
        let marks = line.windows(mark.len()).enumerate().filter(move |(_, part)| *part == mark);
        marks.map(|(at, _)| at + mark.len()).rfind(labelled)
    };
    behind(HIDE).max(behind(LEAVE)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each cell's text is at the end, however it is cut.
    fn texts(bytes: &[u8], cut: usize) -> Vec<String> {
        let mut screen = Screen::new(vec!["a".into(), "b".into()]);
        let mut texts = vec![(Vec::new(), Vec::new()); 2];
        for part in bytes.chunks(cut) {
            for change in screen.feed(part) {
                let (done, open) = &mut texts[change.cell];
                *open = change.line;
                if change.done {
                    done.append(open);
                    done.push(b'\n');
                }
            }
        }
        texts.into_iter().map(|(done, open)| String::from_utf8([done, open].concat()).unwrap()).collect()
    }

    #[test]
    fn a_line_that_the_input_left_comes_once() {
        let bytes = b"begun\x1b[0m\r\n\x1b[1m[bulkhead]\x1b[0m hello\r\n\
            \x1b[1m[bulkhead]\x1b[0m the input goes to b; Ctrl-^ ? for help\r\n\
            \x1b[36m[a]\x1b[0m begun and ended\r\n\x1b[32mgreen\x1b[0m\r\nmore\r\n";
        for cut in [1, 2, 3, 7, 1000] {
            let [a, b] = &texts(bytes, cut)[..] else { panic!() };
            assert_eq!(
                a, "bulkhead: hello\nbulkhead: the input goes to b; Ctrl-^ ? for help\nbegun and ended\n",
                "cut {cut}"
            );
            assert_eq!(b, "green\r\nmore\r\n", "cut {cut}");
        }
    }

    #[test]
    fn a_line_behind_an_editor_is_told_from_it() {
        let bytes = b"\x1b[1m[bulkhead]\x1b[0m the input goes to b; Ctrl-^ ? for help\r\n\
            vi\r\n\x1b[?1049htext\x1b[?1049l\x1b[36m[a]\x1b[0m one\r\n/ # ";
        for cut in [1, 2, 3, 7, 1000] {
            let [a, b] = &texts(bytes, cut)[..] else { panic!() };
            assert_eq!(a, "bulkhead: the input goes to b; Ctrl-^ ? for help\none\n", "cut {cut}");
            assert_eq!(b, "vi\r\n/ # ", "cut {cut}");
        }
    }

    #[test]
    fn a_screen_is_taken_apart() {
        let bytes = b"early\r\n\x1b[33m[b]\x1b[0m one\r\n\x1b[36m[a]\x1b[0m two\r\n\
            \x1b[1m[bulkhead]\x1b[0m the input goes to b; Ctrl-^ ? for help\r\n\
            / # \x1b[6nl\r\x1b[K\x1b[36m[a]\x1b[0m three\r\n\x1b[36m[a]\x1b[0m four\r\n/ # ls\r\nbin\r\n/ # ";
        for cut in [1, 2, 3, 7, 1000] {
            let [a, b] = &texts(bytes, cut)[..] else { panic!() };
            assert_eq!(
                a, "early\r\ntwo\nbulkhead: the input goes to b; Ctrl-^ ? for help\nthree\nfour\n",
                "cut {cut}"
            );
            assert_eq!(b, "one\n/ # ls\r\nbin\r\n/ # ", "cut {cut}");
        }
    }
}
