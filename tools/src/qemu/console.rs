//! One serial line of the machine, seen from outside.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
    closed: bool,
}

/// A console. A thread of its own reads it all the time, so the machine never waits for a reader.
#[derive(Debug)]
pub struct Console {
    name: String,
    stream: UnixStream,
    text: Arc<(Mutex<Text>, Condvar)>,
    /// How much has been seen by an earlier wait.
    seen: usize,
    deadline: Instant,
}

fn lock(text: &Mutex<Text>) -> MutexGuard<'_, Text> {
    text.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Console {
    /// A console over QEMU's end of a socket; `echo` sees each line as it comes.
    pub(super) fn new(
        name: &str,
        stream: UnixStream,
        deadline: Instant,
        mut echo: impl FnMut(&str) + Send + 'static,
    ) -> std::io::Result<Self> {
        let text = Arc::new((Mutex::new(Text::default()), Condvar::new()));
        let (mut reader, shared) = (stream.try_clone()?, Arc::clone(&text));
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            let mut line = Vec::new();
            loop {
                let count = reader.read(&mut chunk).unwrap_or(0);
                let new = chunk.get(..count).unwrap_or_default();
                {
                    let mut text = lock(&shared.0);
                    text.bytes.extend_from_slice(new);
                    text.closed = count == 0;
                }
                shared.1.notify_all();
                for byte in new {
                    match byte {
                        b'\n' => echo(&String::from_utf8_lossy(&std::mem::take(&mut line))),
                        b'\r' => {}
                        _ => line.push(*byte),
                    }
                }
                if count == 0 {
                    return;
                }
            }
        });
        Ok(Self { name: name.into(), stream, text, seen: 0, deadline })
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

    /// Waits for text that ends no line, as a prompt does.
    ///
    /// # Errors
    /// See [`Lost`].
    pub fn expect_prompt(&mut self, prompt: &str) -> Result<(), Lost> {
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

    /// Takes all that has come so far as seen.
    pub fn skip(&mut self) {
        self.seen = lock(&self.text.0).bytes.len();
    }

    /// Types.
    ///
    /// # Errors
    /// QEMU is gone.
    pub fn send(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.write_all(text.as_bytes())
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
