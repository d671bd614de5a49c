//! The demo: Linux on three CPUs, the real-time control cell on the fourth.

use std::path::PathBuf;
use std::time::Duration;

use crate::qemu::{Boot, Console, Disk, Lost, Machine, Qemu, QemuError};

/// Real time for the whole of [`check`], on a slow machine.
const LIMIT: Duration = Duration::from_secs(300);
/// Lines of the control cell, one a second, that [`check`] looks at.
const LINES: usize = 10;
/// Lines more that it wants once Linux is off.
const LINES_ALONE: usize = 3;
/// busybox's prompt.
const PROMPT: &str = "/ # ";

/// Why the demo does not hold.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The machine.
    #[error(transparent)]
    Qemu(#[from] QemuError),
    /// A console stayed silent.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// Typing failed.
    #[error("QEMU is gone")]
    Gone(#[from] std::io::Error),
    /// Something came, but the wrong thing.
    #[error("{0}")]
    Wrong(String),
}

/// What the control cell says once a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Second {
    /// Which.
    pub second: u64,
    /// Timer ticks so far, one a millisecond.
    pub ticks: u64,
    /// Its virtual counter's time so far.
    pub elapsed_us: u64,
}

impl Second {
    /// Reads `control: second 3 ticks 3000 elapsed_us 3000012 ...`, or the victim's line, which is made alike.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_once(": second ")?.1.split_whitespace();
        let second = words.next()?.parse().ok()?;
        let mut named = |name| (words.next()? == name).then(|| words.next()?.parse().ok())?;
        Some(Self { second, ticks: named("ticks")?, elapsed_us: named("elapsed_us")? })
    }

    /// Whether ticks and time agree within one tick.
    pub fn holds(&self) -> bool {
        (self.ticks * 1000).abs_diff(self.elapsed_us) <= 1000
    }
}

/// Waits for so many lines of the control cell; each must hold, and no second may be missing.
///
/// # Errors
/// A line does not come or does not hold.
pub fn seconds(control: &mut Console, count: usize) -> Result<Vec<Second>, DemoError> {
    let mut seen: Vec<Second> = Vec::new();
    while seen.len() < count {
        let line = control.find(": second ", Second::parse)?;
        if !line.holds() {
            return Err(DemoError::Wrong(format!("ticks or time are lost: {line:?}")));
        }
        if seen.last().is_some_and(|last| line.second != last.second + 1) {
            return Err(DemoError::Wrong(format!("a second is missing before {line:?}")));
        }
        seen.push(line);
    }
    Ok(seen)
}

/// Runs the demo on this machine without a person: Linux reaches its shell and sees its CPUs, the control cell keeps time, Linux powers
/// off, the control cell goes on. Gives the line that says so.
///
/// # Errors
/// What does not hold.
pub fn check(
    machine: &Machine,
    kernel: PathBuf,
    archive: PathBuf,
    progress: &dyn Fn(&str),
) -> Result<String, DemoError> {
    let boot = Boot::new(kernel, archive);
    let machine = Machine { disk: Disk::Scratch, ..machine.clone() };
    let cpus = machine.smp - 1;
    let mut qemu = Qemu::start(&machine, &boot, &["linux=1", "control"], LIMIT)?;
    let [linux, control] = qemu.consoles.as_mut_slice() else {
        return Err(DemoError::Wrong("two consoles were asked for".into()));
    };
    progress("booting");
    linux.expect(&format!("bulkhead: linux up, {cpus} cpus"))?;
    linux.expect_prompt(PROMPT)?;
    linux.send("echo sees $(nproc)\n")?;
    linux.expect(&format!("sees {cpus}"))?;
    progress("Linux has a shell and its CPUs; watching the control cell");
    let lines = seconds(control, LINES)?;
    progress("the control cell keeps time; powering Linux off");
    linux.send("poweroff -f\n")?;
    linux.expect("reboot: Power down")?;
    control.skip();
    // The first line may have been on its way while Linux still ran.
    let alone = seconds(control, LINES_ALONE + 1)?;
    if !qemu.is_running() {
        return Err(DemoError::Wrong("the machine went off with Linux".into()));
    }
    Ok(format!(
        "ok: Linux had {cpus} CPUs and a shell, the control cell kept time within 1 ms over {} s and went on for {} s \
         without Linux",
        lines.len(),
        alone.len() - 1
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_control_cell_is_read() {
        let line = "control: second 3 ticks 3001 elapsed_us 3000012 late_max_ns 12 hist 0 1";
        let second = Second::parse(line);
        assert_eq!(second, Some(Second { second: 3, ticks: 3001, elapsed_us: 3_000_012 }));
        assert!(second.is_some_and(|second| second.holds()));
        assert_eq!(Second::parse("control: 1000 Hz"), None);
    }

    #[test]
    fn two_lost_ticks_do_not_hold() {
        assert!(!Second { second: 3, ticks: 2998, elapsed_us: 3_000_012 }.holds());
    }
}
