//! How often a cell that runs its 1 kHz timer comes to EL2: QEMU logs each exception and where it is taken to.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bulkhead_cli::qemu::{Disk, Machine};

use crate::list::cells;
use crate::running::Running;
use crate::scenario::Boots::Cells;

/// Real time for one run.
const LIMIT: Duration = Duration::from_secs(240);
/// The second of the guest from which on all counts. What comes before is its start.
const BEGIN: u64 = 2;

/// What was taken in that time.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    /// Interrupts by the guest itself.
    by_guest: u64,
    /// Interrupts by EL2.
    by_el2: u64,
    /// Anything by EL2.
    exits: u64,
}

/// The tests: for so many seconds no interrupt comes to EL2, and nothing at all where the guest waits by itself. Elsewhere its WFI does:
/// nobody stops a CPU whose guest sleeps with every interrupt masked.
pub fn none(gic: u32, seconds: u64) -> Result<(), String> {
    let direct = count(gic, "interrupt-mode = \"direct\";", seconds)?;
    let own = count(gic, "interrupt-mode = \"direct\"; wfi = \"own\";", seconds)?;
    println!("in {seconds} seconds: direct {direct:?}, with its own WFI {own:?}");
    let ticks = (seconds - 1) * 1000;
    let fine = direct.by_el2 == 0
        && direct.exits != 0
        && direct.by_guest >= ticks
        && own.exits == 0
        && own.by_guest >= ticks;
    if fine { Ok(()) } else { Err(format!("direct {direct:?}, with its own WFI {own:?}")) }
}

fn count(gic: u32, mode: &str, seconds: u64) -> Result<Taken, String> {
    let text = cells(&[
        "    hypervisor { console = \"none\"; };\n".into(),
        format!(
            "    control {{ cpus = <1>; memory = \"16M\"; image = \"control.elf\"; devices = \"serial1\"; {mode} }};\n"
        ),
    ]);
    let boot =
        Cells(text).boot(&format!("exits_{}_{gic}", if mode.contains("wfi") { "own" } else { "direct" }))?;
    let machine = Machine { smp: 1, gic, its: false, disk: Disk::None, ..Machine::DEMO };
    let mut running = Running::start(&machine, &boot, &["-d", "int"], &[])?;
    let (console, log) = (running.console()?, running.log()?);
    let (send, seen) = mpsc::channel();
    thread::spawn(move || {
        for line in console.map_while(Result::ok) {
            let second =
                line.split_once(": second ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
            if second.is_some_and(|second: u64| send.send(second).is_err()) {
                return;
            }
        }
    });
    let (send, total) = mpsc::channel();
    thread::spawn(move || {
        let (mut taken, mut irq) = (Taken::default(), false);
        for line in log.map_while(Result::ok) {
            if let Some(kind) = line.strip_prefix("Taking exception ") {
                irq = kind.starts_with("5 ");
            } else if line.starts_with("...from EL") {
                let exit = line.ends_with("to EL2");
                taken.by_guest += u64::from(irq && !exit);
                taken.by_el2 += u64::from(irq && exit);
                taken.exits += u64::from(exit);
                if send.send(taken).is_err() {
                    return;
                }
            }
        }
    });
    let [first, last] = [BEGIN, BEGIN + seconds].map(|second| {
        let mut taken = Taken::default();
        while seen.recv_timeout(LIMIT).map_err(|_| "the guest does not go on".to_string())? < second {}
        // The log has come as far, or comes so far in this time.
        thread::sleep(Duration::from_millis(300));
        total.try_iter().for_each(|now| taken = now);
        Ok::<_, String>(taken)
    });
    let (first, last) = (first?, last?);
    Ok(Taken {
        by_guest: last.by_guest - first.by_guest,
        by_el2: last.by_el2 - first.by_el2,
        exits: last.exits - first.exits,
    })
}
