//! Cells that end and begin again, and what of it their neighbours notice: nothing.

use std::collections::BTreeSet;

use bulkhead_cli::demo::DemoError;
use bulkhead_cli::qemu::{Console, Machine};

use crate::list::{cells, linux, see};
use crate::scenario::Boots::Cells;
use crate::scenario::Scenario;
use crate::scenario::Step::{Keys, Lives, NoDrift, NotSeen, Off, Order, Prompt, Same, Seconds, Type};

/// A 32-bit register of the virt machine's clock that a restart leaves alone: RTCMR of its PL031.
const KEEP: &str = "0x9010004";

fn machine(smp: u32) -> Machine {
    Machine { smp, its: false, ..Machine::DEMO }
}

fn victim(console: &str) -> String {
    format!("    victim {{ cpus = \"cpu@0\"; memory = \"8M\"; image = \"victim.elf\"; {console} }};\n")
}

fn phoenix(cpus: &str, bootargs: &str, more: &str) -> String {
    format!(
        "    phoenix {{ cpus = {cpus}; memory = \"4M\"; image = \"phoenix.elf\"; bootargs = \"{bootargs}\"; {more} }};\n"
    )
}

/// Sees so many lives begin.
pub fn follow(console: &mut Console, count: usize) -> Result<(), DemoError> {
    const BEGINS: &str = "phoenix: begins ";
    let mut first: Option<String> = None;
    for life in 1..=count {
        let line = console.expect(BEGINS)?;
        let found = line.split_once(BEGINS).map_or("", |(_, found)| found.trim_end());
        match &first {
            Some(first) if first != found => {
                return Err(DemoError::Wrong(format!(
                    "life {life} found {found:?}, the first one {first:?}"
                )));
            }
            Some(_) => {}
            None => first = Some(found.into()),
        }
    }
    Ok(())
}

/// Holds the numbers behind `text` in the first half of the lines against those in the second. A restart for which Bulkhead says a
/// line, or two where others were suppressed before, costs some more; the others are the least, and must all be the same.
pub fn no_drift(all: &str, text: &str) -> Result<(), DemoError> {
    let numbers =
        all.lines().filter_map(|line| line.split_once(text)?.1.split(' ').next()?.parse::<u64>().ok());
    let numbers: Vec<u64> = numbers.collect();
    let (first, second) = numbers.split_at(numbers.len() / 2);
    let [first, second] = [first, second].map(|half| half.iter().copied().collect::<BTreeSet<_>>());
    let [least, then] = [&first, &second].map(|half| half.first().copied().unwrap_or(0));
    let with_lines = |most: &u64| most - least <= least / 200;
    let often = numbers.iter().filter(|number| **number == least).count();
    if numbers.len() < 20
        || least != then
        || often < numbers.len() / 2
        || !first.iter().chain(&second).all(with_lines)
    {
        return Err(DemoError::Wrong(format!("{text} first {first:?}, then {second:?}")));
    }
    println!("{text}{least}, in {often} of {} rounds", numbers.len());
    Ok(())
}

/// A bare-metal cell of two CPUs restarts so often, from every state of its CPUs, beside a victim.
fn restarts(name: &'static str, long: bool, count: usize) -> Scenario {
    let more = "console = \"virtual\";";
    let memory = "free memory of EL2: ";
    Scenario {
        name,
        long,
        machine: machine(3),
        boots: Cells(cells(&[victim("devices = \"serial1\";"), phoenix("\"cpu@1\", \"cpu@2\"", "", more)])),
        consoles: vec!["phoenix=2", "victim"],
        steps: vec![
            Lives("phoenix", 1),
            Order("phoenix", "\x1ei"),
            see("phoenix", memory),
            Seconds("victim", 2),
            Lives("phoenix", count),
            Order("phoenix", "\x1ei"),
            see("phoenix", memory),
            Same("phoenix", memory),
            Seconds("victim", 5),
            NotSeen("FAILED"),
            NotSeen("guest: "),
        ],
    }
}

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let crash = |bootargs: &str, more: &str| phoenix("\"cpu@1\", \"cpu@2\"", bootargs, more);
    let virtual_console = |more: &str| format!("console = \"virtual\"; {more}");
    vec![
        restarts("restart_500_times", false, 500),
        restarts("restart_10000_times", true, 10_000),
        // Instructions are counted, all exception levels together, so the cell is alone.
        Scenario {
            machine: Machine { icount: true, ..machine(1) },
            boots: Cells(cells(&[
                "    hypervisor { console = \"none\"; };\n".into(),
                phoenix(
                    "<1>",
                    &format!("phoenix.keep={KEEP} phoenix.ends=0"),
                    "devices = \"serial1\", \"pl031\";",
                ),
            ])),
            consoles: vec!["unused", "phoenix"],
            steps: vec![
                Lives("phoenix", 100),
                NoDrift("phoenix", "phoenix: restart took "),
            ],
            ..restarts("restart_costs_the_same", false, 0)
        },
        linux_restarts("linux_restarts_3_times", false, 1),
        linux_restarts("linux_restarts_51_times", true, 17),
        Scenario {
            boots: Cells(cells(&[
                victim("devices = \"serial1\";"),
                crash("phoenix.crash", &virtual_console("on-crash = \"restart\";")),
            ])),
            steps: vec![
                Seconds("victim", 2),
                see("phoenix", "crash 1: "),
                see("phoenix", "restarts at once, 1 of 5 times in 60 s"),
                see("phoenix", "crash 5: "),
                see("phoenix", "restarts in 800 ms, 5 of 5 times in 60 s"),
                see("phoenix", "crash 6: "),
                see("phoenix", "stays off, for it restarted 5 times"),
                see("phoenix", "cell phoenix: off"),
                // It counts anew when somebody starts it.
                Keys("phoenix", ""),
                Order("phoenix", "\x1er"),
                see("phoenix", "cell phoenix: starts again"),
                see("phoenix", "restarts at once, 1 of 5 times in 60 s"),
                Order("phoenix", "\x1ei"),
                see("phoenix", "crashed "),
                see("phoenix", "free memory of EL2: "),
                Seconds("victim", 5),
                NotSeen("FAILED"),
            ],
            ..restarts("a_crash_loop_meets_its_limit", false, 0)
        },
        Scenario {
            boots: Cells(cells(&[
                victim("devices = \"serial1\";"),
                crash("phoenix.crash", &virtual_console("on-crash = \"halt-machine\";")),
            ])),
            steps: vec![
                see("phoenix", "crash 1: "),
                see("phoenix", "THE MACHINE IS HALTED"),
                see("phoenix", "every cell is off"),
                Off,
            ],
            ..restarts("a_crash_halts_the_machine", false, 0)
        },
        Scenario {
            boots: Cells(cells(&[
                victim("devices = \"serial1\";"),
                "    first { root; image = \"phoenix.elf\"; bootargs = \"phoenix.crash\"; unprotected-dma = \"accept\"; };\n".into(),
            ])),
            consoles: vec!["first=2", "victim"],
            steps: vec![
                see("first", "cell first: crash 1: "),
                see("first", "cell first: off"),
                Seconds("victim", 10),
                NotSeen("FAILED"),
            ],
            ..restarts("a_dead_root_cell_leaves_the_others", false, 0)
        },
    ]
}

/// Linux restarts in three ways, so often each: it reboots, it panics, and somebody orders it.
fn linux_restarts(name: &'static str, long: bool, rounds: usize) -> Scenario {
    let mut steps = vec![see("linux", "bulkhead: linux up, 2 cpus"), Prompt("linux")];
    for _ in 0..rounds {
        steps.extend([
            Type("linux", "reboot -f"),
            see("linux", "bulkhead: linux up, 2 cpus"),
            Prompt("linux"),
            Type("linux", "echo c > /proc/sysrq-trigger"),
            see("linux", "Kernel panic"),
            see("linux", "bulkhead: linux up, 2 cpus"),
            Prompt("linux"),
            Order("linux", "\x1er"),
            see("linux", "bulkhead: linux up, 2 cpus"),
            Prompt("linux"),
        ]);
    }
    steps.extend([Seconds("victim", 10), NotSeen("FAILED")]);
    Scenario {
        boots: Cells(cells(&[
            victim("devices = \"serial1\";"),
            linux("linux", "<2>", "256M", "console=ttyAMA0 panic=1", "console = \"virtual\";"),
        ])),
        consoles: vec!["linux=2", "victim"],
        steps,
        ..restarts(name, long, 0)
    }
}
