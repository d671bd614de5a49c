//! The serial lines of the machine, seen from outside: a console for each cell.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::screen::Screen;

/// Why an awaited line did not come.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Lost {
    /// The time given to the whole machine is over.
    #[error("{console}: nothing like \"{wanted}\" before the deadline\n{tail}")]
    Deadline {
        /// Which console.
        console: String,
        /// What was awaited.
        wanted: String,
        /// The console's last lines.
        tail: String,
    },
    /// QEMU has ended.
    #[error("{console}: QEMU ended before anything like \"{wanted}\"\n{tail}")]
    Ended {
        /// Which console.
        console: String,
        /// What was awaited.
        wanted: String,
        /// The console's last lines.
        tail: String,
    },
    /// A line came that means the end of all hope.
    #[error("{console}: while \"{wanted}\" was awaited there came \"{line}\"\n{tail}")]
    Fatal {
        /// Which console.
        console: String,
        /// What was awaited.
        wanted: String,
        /// What came.
        line: String,
        /// The console's last lines.
        tail: String,
    },
}

/// Lines that end a test at once, whatever it waits for.
const FATAL: [&str; 5] =
    ["Kernel panic - not syncing", "bulkhead: STOPPED", "nothing was started", " FAILED: ", "Oops: "];

#[derive(Debug, Default)]
struct Text {
    bytes: Vec<u8>,
    /// Where the unfinished line begins.
    open: usize,
    closed: bool,
}

/// A cell's console. A thread reads each serial line all the time, so the machine never waits for a reader.
#[derive(Debug)]
pub struct Console {
    name: String,
    line: Arc<Line>,
    /// The cell's number where several share the line: what moves the input there.
    number: Option<u8>,
    text: Arc<(Mutex<Text>, Condvar)>,
    /// How much has been seen by an earlier wait.
    seen: usize,
    deadline: Instant,
}

/// What the consoles on one serial line share.
#[derive(Debug)]
struct Line {
    stream: UnixStream,
    /// Who has the input.
    input: Mutex<Option<u8>>,
    /// All that came, as it came.
    raw: Mutex<Vec<u8>>,
    /// How much of that has been seen by an earlier wait for it.
    seen: Mutex<usize>,
}

fn lock<T>(text: &Mutex<T>) -> MutexGuard<'_, T> {
    text.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Text {
    /// The unfinished line is now this.
    fn change(&mut self, line: &[u8], done: bool) {
        self.bytes.truncate(self.open);
        self.bytes.extend_from_slice(line);
        if done {
            self.bytes.push(b'\n');
            self.open = self.bytes.len();
        }
    }
}

impl Console {
    /// The consoles on QEMU's end of a socket: `names` is the cell's name, or `NAME=NUMBER|NAME=NUMBER` where several share the
    /// line. `echo` sees each line as it comes.
    pub(super) fn open(
        names: &str,
        stream: UnixStream,
        deadline: Instant,
        mut echo: impl FnMut(&str, &str) + Send + 'static,
    ) -> std::io::Result<Vec<Self>> {
        let cells: Vec<(&str, Option<u8>)> = names
            .split('|')
            .map(|cell| match cell.split_once('=') {
                Some((name, number)) => (name, number.parse().ok()),
                None => (cell, None),
            })
            .collect();
        let texts: Vec<_> =
            cells.iter().map(|_| Arc::new((Mutex::new(Text::default()), Condvar::new()))).collect();
        let mut reader = stream.try_clone()?;
        let line = Arc::new(Line {
            stream,
            input: Mutex::new(None),
            raw: Mutex::new(Vec::new()),
            seen: Mutex::new(0),
        });
        let consoles = cells.iter().zip(&texts).map(|((name, number), text)| Self {
            name: (*name).into(),
            line: Arc::clone(&line),
            number: *number,
            text: Arc::clone(text),
            seen: 0,
            deadline,
        });
        let consoles = consoles.collect();
        let names: Vec<String> = cells.iter().map(|(name, _)| (*name).to_string()).collect();
        std::thread::spawn(move || {
            let mut screen = Screen::new(names.clone());
            let mut chunk = [0; 4096];
            loop {
                let count = reader.read(&mut chunk).unwrap_or(0);
                let new = chunk.get(..count).unwrap_or_default();
                lock(&line.raw).extend_from_slice(new);
                for change in screen.feed(new) {
                    if let (Some(text), Some(name)) = (texts.get(change.cell), names.get(change.cell)) {
                        lock(&text.0).change(&change.line, change.done);
                        if change.done {
                            let line = String::from_utf8_lossy(&change.line);
                            echo(name, line.trim_end_matches('\r'));
                        }
                    }
                }
                for text in &texts {
                    lock(&text.0).closed = count == 0;
                    text.1.notify_all();
                }
                if count == 0 {
                    return;
                }
            }
        });
        Ok(consoles)
    }

    /// Waits for a line of which `wanted` makes something; what came up to and with that line counts as seen.
    ///
    /// # Errors
    /// See [`Lost`].
    pub fn find<T>(&mut self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> Result<T, Lost> {
        self.next_that(what, &wanted)
    }

    /// Waits for a line that holds this text, and gives that line.
    ///
    /// # Errors
    /// See [`Lost`].
    pub fn expect(&mut self, text: &str) -> Result<String, Lost> {
        self.find(text, |line| line.contains(text).then(|| line.to_string()))
    }

    /// Waits for the lines between one that holds `begin` and one that holds `end`.
    ///
    /// # Errors
    /// See [`Lost`].
    pub fn between(&mut self, begin: &str, end: &str) -> Result<Vec<String>, Lost> {
        self.expect(begin)?;
        let mut lines = Vec::new();
        loop {
            let line = self.find(end, |line| Some(line.to_string()))?;
            if line.contains(end) {
                return Ok(lines);
            }
            lines.push(line);
        }
    }

    /// Waits for text that ends no line, as a prompt does. On a shared line only the cell that has the input shows such text.
    ///
    /// # Errors
    /// See [`Lost`].
    pub fn expect_prompt(&mut self, prompt: &str) -> Result<(), Lost> {
        // That QEMU is gone shows below.
        let _ = self.attach();
        let text = Arc::clone(&self.text);
        let mut held = lock(&text.0);
        loop {
            let unseen = held.bytes.get(self.seen..).unwrap_or_default();
            if let Some(at) = unseen.windows(prompt.len()).position(|part| part == prompt.as_bytes()) {
                self.seen += at + prompt.len();
                return Ok(());
            }
            held = self.wait(&text.1, held, prompt)?;
        }
    }

    /// Waits for bytes on the serial line, whichever cell's, behind those of an earlier such wait.
    ///
    /// # Errors
    /// See [`Lost`].
    pub fn expect_raw(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        let text = Arc::clone(&self.text);
        let mut held = lock(&text.0);
        loop {
            {
                let raw = lock(&self.line.raw);
                let mut seen = lock(&self.line.seen);
                let unseen = raw.get(*seen..).unwrap_or_default();
                if let Some(at) = unseen.windows(bytes.len()).position(|part| part == bytes) {
                    *seen += at + bytes.len();
                    return Ok(());
                }
            }
            held = self.wait(&text.1, held, &String::from_utf8_lossy(bytes))?;
        }
    }

    /// Takes all that has come so far as seen.
    pub fn skip(&mut self) {
        self.seen = lock(&self.text.0).bytes.len();
    }

    /// Types.
    ///
    /// # Errors
    /// QEMU is gone.
    pub fn send(&mut self, text: &str) -> std::io::Result<()> {
        self.attach()?;
        self.order(text)
    }

    /// Moves the shared line's input here.
    fn attach(&self) -> std::io::Result<()> {
        let Some(number) = self.number else { return Ok(()) };
        let mut input = lock(&self.line.input);
        if *input != Some(number) {
            (&self.line.stream).write_all(&[0x1e, b'0' + number])?;
            *input = Some(number);
        }
        Ok(())
    }

    /// Types what is not for the cell but for the hypervisor's console: it goes out as it is.
    ///
    /// # Errors
    /// QEMU is gone.
    pub fn order(&self, text: &str) -> std::io::Result<()> {
        (&self.line.stream).write_all(text.as_bytes())
    }

    /// The cell's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All that came on the serial line, of whichever cell, as it came.
    pub fn raw(&self) -> Vec<u8> {
        lock(&self.line.raw).clone()
    }

    /// Everything that has come so far.
    pub fn all(&self) -> String {
        String::from_utf8_lossy(&lock(&self.text.0).bytes).into_owned()
    }

    fn next_that<T>(&mut self, what: &str, wanted: &dyn Fn(&str) -> Option<T>) -> Result<T, Lost> {
        let text = Arc::clone(&self.text);
        let mut held = lock(&text.0);
        loop {
            while let Some(end) =
                held.bytes.get(self.seen..).and_then(|new| new.iter().position(|b| *b == b'\n'))
            {
                let line = held.bytes.get(self.seen..self.seen + end).unwrap_or_default();
                let line = String::from_utf8_lossy(line).trim_end_matches('\r').to_string();
                self.seen += end + 1;
                if let Some(found) = wanted(&line) {
                    return Ok(found);
                }
                if FATAL.iter().any(|fatal| line.contains(fatal)) {
                    let tail = self.settled_tail(&text.1, held);
                    return Err(Lost::Fatal { console: self.name.clone(), wanted: what.into(), line, tail });
                }
            }
            held = self.wait(&text.1, held, what)?;
        }
    }

    /// Waits for more text, but not past the deadline.
    fn wait<'l>(
        &self,
        more: &Condvar,
        held: MutexGuard<'l, Text>,
        what: &str,
    ) -> Result<MutexGuard<'l, Text>, Lost> {
        let (console, wanted) = (self.name.clone(), what.to_string());
        if held.closed {
            return Err(Lost::Ended { console, wanted, tail: tail(&held.bytes) });
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Lost::Deadline { console, wanted, tail: tail(&held.bytes) });
        }
        Ok(more.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner).0)
    }

    /// The last lines, once those that explain a fatal one have had a moment to come.
    fn settled_tail(&self, more: &Condvar, mut held: MutexGuard<'_, Text>) -> String {
        let until = Instant::now() + Duration::from_secs(2);
        while let left = until.saturating_duration_since(Instant::now())
            && !left.is_zero()
            && !held.closed
        {
            held = more.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        tail(&held.bytes)
    }
}

fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<_> = text.lines().collect();
    let from = lines.len().saturating_sub(40);
    lines.get(from..).unwrap_or_default().iter().map(|line| format!("    | {line}\n")).collect()
}
