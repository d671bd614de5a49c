//! One scenario: a machine, what boots on it, and what must be seen.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bulkhead_cli::board::Board;
use bulkhead_cli::demo::{self, DemoError, Second};
use bulkhead_cli::qemu::{Boot, Console, Machine, Qemu, QemuError};
use bulkhead_cli::{pack, plan};

use crate::loaders::By;
use crate::{answers, chatter, dmesg, restart};

/// A scenario.
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// Whether only `scripts/test soak` runs it.
    pub long: bool,
    /// The machine.
    pub machine: Machine,
    /// What boots.
    pub boots: Boots,
    /// The serial lines' cells, in QEMU's order: a name, or `NAME=NUMBER|NAME=NUMBER` where they share the hypervisor's console.
    pub consoles: Vec<&'static str>,
    /// What must be seen and done, in this order.
    pub steps: Vec<Step>,
}

/// What boots on the machine.
pub enum Boots {
    /// Bulkhead, with this description.
    Cells(String),
    /// The same, brought by a loader.
    Loaded(By, String),
    /// Linux by itself: a kernel of target/images and a command line.
    Native(&'static str, String),
    /// A bare-metal guest by itself, at EL1: a file of target/images and a command line.
    Guest(&'static str, String),
}

/// One expectation or action on a console.
#[derive(Clone)]
pub enum Step {
    /// A line that holds this text comes.
    See(&'static str, String),
    /// No line so far, on any console, holds this text.
    NotSeen(&'static str),
    /// All lines so far that hold this text are the same, and there are two at least.
    Same(&'static str, &'static str),
    /// Numbers follow this text, in all lines so far, and are as many and the same at the beginning as in the end.
    NoDrift(&'static str, &'static str),
    /// The shell prompts.
    Prompt(&'static str),
    /// This is typed.
    Type(&'static str, &'static str),
    /// The same without a newline.
    Keys(&'static str, &'static str),
    /// This is typed for the hypervisor's console, on the serial line of this cell.
    Order(&'static str, &'static str),
    /// This comes on the serial line, behind what an earlier such step saw.
    Raw(&'static str, &'static str),
    /// Nothing comes on the serial line for half a second.
    Silence(&'static str),
    /// So many lines of a chatter come, each following the one before, none with a wrong byte.
    Chatter(&'static str, usize),
    /// So many lines of the control cell, or of the victim, come, each in time, each following the last one seen here.
    Seconds(&'static str, usize),
    /// So many lives of the phoenix begin, each finding just what the others found.
    Lives(&'static str, usize),
    /// The kernel's log comes and complains of nothing that native Linux, with that many CPUs, does not complain of.
    CleanLog(&'static str, &'static str, u32),
    /// The machine powers itself off.
    Off,
}

/// Real time for one scenario. Only what hangs gets there: a machine with other work boots Linux in a minute.
const LIMIT: Duration = Duration::from_secs(600);
/// The same for one that takes long.
const LONG_LIMIT: Duration = Duration::from_secs(3600);

/// The repository.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What `scripts/build` makes.
pub fn target(name: &str) -> Result<PathBuf, String> {
    let path = top().join("target").join(name);
    if path.exists() { Ok(path) } else { Err(format!("target/{name} is missing: scripts/build makes it")) }
}

/// A file of the repository, as text.
pub fn file(name: &str) -> String {
    fs::read_to_string(top().join(name)).unwrap_or_else(|error| format!("/* {name}: {error} */"))
}

/// The description as a file under target/qemu.
pub fn source(name: &str, text: &str) -> Result<PathBuf, String> {
    made(&format!("{name}.dts"), text.as_bytes())
}

/// A file under target/qemu.
pub fn made(name: &str, content: &[u8]) -> Result<PathBuf, String> {
    let folder = top().join("target/qemu");
    let path = folder.join(name);
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, content));
    written.map(|()| path).map_err(|error| error.to_string())
}

impl Boots {
    /// The files; `name` is that of what is written under target/qemu.
    pub fn boot(&self, name: &str) -> Result<Boot, String> {
        match self {
            Self::Native(kernel, append) => {
                let kernel = target(&format!("images/{kernel}"))?;
                let boot = Boot::new(kernel.join("Image"), kernel.join("initrd.cpio"));
                Ok(Boot { append: Some(append.clone()), ..boot })
            }
            Self::Guest(guest, append) => {
                let elf = target(&format!("images/{guest}"))?;
                let kernel = made(&format!("{name}.Image"), &answers::flat(&elf)?)?;
                Ok(Boot { append: Some(append.clone()), ..Boot::new(kernel, elf) })
            }
            Self::Cells(text) | Self::Loaded(_, text) => {
                // Another image: that of a mutant (scripts/mutants).
                let kernel = std::env::var_os("BULKHEAD_IMAGE").map(PathBuf::from);
                let kernel = kernel.map_or_else(|| target("bulkhead.bin"), Ok)?;
                let source = source(name, text)?;
                let archive = source.with_extension("cells");
                let packed = pack::pack(&source, &target("images")?).map_err(|error| error.to_string())?;
                fs::write(&archive, packed).map_err(|error| error.to_string())?;
                Ok(Boot::new(kernel, archive))
            }
        }
    }
}

impl Scenario {
    /// One that is like this one of these, under another name, with its description changed.
    pub fn like(
        from: &[Self],
        of: &str,
        name: &'static str,
        long: bool,
        change: impl FnOnce(&str) -> String,
    ) -> Self {
        let same = from.iter().find(|scenario| scenario.name == of).expect("a scenario of that name");
        let Boots::Cells(text) = &same.boots else { panic!("{of} boots no cells") };
        Self {
            name,
            long,
            machine: same.machine.clone(),
            boots: Boots::Cells(change(text)),
            consoles: same.consoles.clone(),
            steps: same.steps.clone(),
        }
    }

    /// Holds its description against the tree that QEMU gives its machine.
    pub fn check_at_the_desk(&self) -> Result<(), String> {
        let (Boots::Cells(text) | Boots::Loaded(_, text)) = &self.boots else { return Ok(()) };
        let source = source(self.name, text)?;
        plan::check(&source, &Board::Virt(self.machine.clone()), &target("images")?)
            .map(|_| ())
            .map_err(|error| format!("{}: {error}", self.name))
    }

    /// Runs it; what the consoles showed is kept under target/qemu.
    pub fn run(&self) -> Result<(), String> {
        let mut boot = self.boots.boot(self.name)?;
        if let Boots::Loaded(by, _) = self.boots {
            boot.loader = by.loader(self.name, &self.machine, &boot)?;
        }
        let limit = if self.long { LONG_LIMIT } else { LIMIT };
        let mut qemu =
            Qemu::start(&self.machine, &boot, &self.consoles, limit).map_err(|error| error.to_string())?;
        let mut last_second = HashMap::new();
        let result = self
            .steps
            .iter()
            .try_for_each(|step| self.step(step, &mut qemu, &mut last_second).map_err(|e| e.to_string()));
        self.keep(&qemu);
        result
    }

    fn step(
        &self,
        step: &Step,
        qemu: &mut Qemu,
        last_second: &mut HashMap<&'static str, Second>,
    ) -> Result<(), DemoError> {
        let wrong = DemoError::Wrong;
        match step {
            Step::See(name, text) => self.console(qemu, name)?.expect(text).map(|_| ())?,
            Step::Prompt(name) => self.console(qemu, name)?.expect_prompt("/ # ")?,
            Step::Type(name, text) => self.console(qemu, name)?.send(&format!("{text}\n"))?,
            Step::Keys(name, text) => self.console(qemu, name)?.send(text)?,
            Step::Order(name, text) => self.console(qemu, name)?.order(text)?,
            Step::Raw(name, text) => self.console(qemu, name)?.expect_raw(text.as_bytes())?,
            Step::Silence(name) => {
                let console = self.console(qemu, name)?;
                let mut before = None;
                while before != Some(console.raw().len()) {
                    before = Some(console.raw().len());
                    std::thread::sleep(Duration::from_millis(500));
                }
            }
            Step::Chatter(name, count) => chatter::follow(self.console(qemu, name)?, *count)?,
            Step::NotSeen(text) => {
                for console in &qemu.consoles {
                    if let Some(line) = console.all().lines().find(|line| line.contains(text)) {
                        return Err(wrong(format!("\"{text}\" was seen: {}", line.trim_end())));
                    }
                }
            }
            Step::Same(name, text) => {
                let all = self.console(qemu, name)?.all();
                let mut lines = all.lines().filter_map(|line| Some(line.split_once(text)?.1.trim_end()));
                let first = lines.next();
                let others: Vec<_> = lines.collect();
                if others.is_empty() || others.iter().any(|other| Some(*other) != first) {
                    return Err(wrong(format!("\"{text}\" was followed by {first:?}, then by {others:?}")));
                }
            }
            Step::Seconds(name, count) => {
                let seen = demo::seconds(self.console(qemu, name)?, *count)?;
                if let (Some(before), Some(first)) = (last_second.get(name), seen.first())
                    && first.second != before.second + 1
                {
                    return Err(wrong(format!("{name} went from {before:?} to {first:?}")));
                }
                last_second.extend(seen.last().map(|last| (*name, *last)));
            }
            Step::NoDrift(name, text) => restart::no_drift(&self.console(qemu, name)?.all(), text)?,
            Step::Lives(name, count) => restart::follow(self.console(qemu, name)?, *count)?,
            Step::CleanLog(name, kernel, cpus) => {
                let log =
                    self.console(qemu, name)?.between("bulkhead: dmesg begins", "bulkhead: dmesg ends")?;
                let native = native_log(&self.machine, kernel, *cpus).map_err(wrong)?;
                dmesg::compare(&log, &native).map_err(wrong)?;
            }
            Step::Off => {
                let status = qemu.wait()?;
                if !status.success() {
                    return Err(wrong(format!("QEMU ended with {status}")));
                }
            }
        }
        Ok(())
    }

    fn console<'q>(&self, qemu: &'q mut Qemu, name: &str) -> Result<&'q mut Console, DemoError> {
        qemu.consoles
            .iter_mut()
            .find(|console| console.name() == name)
            .ok_or_else(|| DemoError::Wrong(format!("there is no console {name}")))
    }

    fn keep(&self, qemu: &Qemu) {
        let folder = top().join("target/qemu");
        for console in &qemu.consoles {
            let name = console.name();
            // Only for people to read: a full disk shows elsewhere.
            let _ = fs::create_dir_all(&folder)
                .and_then(|()| fs::write(folder.join(format!("{}.{name}.log", self.name)), console.all()));
        }
    }
}

/// The kernel's log after the load test, without a hypervisor and without an ITS, which cells do not see either.
fn native_log(machine: &Machine, kernel: &'static str, cpus: u32) -> Result<Vec<String>, String> {
    let machine = Machine { smp: cpus, its: false, virtio_console: false, ..machine.clone() };
    let boot = Boots::Native(kernel, "console=ttyAMA0 bulkhead.test=load".into()).boot("native")?;
    let run = || -> Result<Vec<String>, QemuError> {
        let mut qemu = Qemu::start(&machine, &boot, &["linux"], LIMIT)?;
        let mut log = Vec::new();
        for console in &mut qemu.consoles {
            console.expect("bulkhead: load ok")?;
            log = console.between("bulkhead: dmesg begins", "bulkhead: dmesg ends")?;
        }
        Ok(log)
    };
    run().map_err(|error| format!("native Linux: {error}"))
}
