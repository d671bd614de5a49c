//! Cells that fall silent, each in its own way, beside one that keeps its time; and stock Linux's driver.

use bulkhead_cli::qemu::{Disk, Machine};

use crate::list::{CLOUD, cells, control, see};
use crate::scenario::Boots::Cells;
use crate::scenario::Step::{NotSeen, Seconds};
use crate::scenario::{Scenario, Step};

/// A cell that falls silent some watch periods after its start.
fn silent(name: &str, cpus: &str, way: &str, milliseconds: u32, more: &str) -> String {
    format!(
        "    {name} {{ cpus = {cpus}; memory = \"8M\"; image = \"silent.elf\"; console = \"virtual\"; watchdog; \
         bootargs = \"way={way} ms={milliseconds}\"; {more} }};\n"
    )
}

/// Cells that fall silent so, the first to die first.
fn fall_silent(
    name: &'static str,
    console: &'static str,
    ways: &[(&'static str, &str)],
    described: &[String],
) -> Scenario {
    let mut steps = Vec::new();
    for (cell, _) in ways {
        steps.push(see(cell, "silent: begins, WCS 0x0, W_IIDR 0x4210000 0x4210000"));
    }
    for (cell, way) in ways {
        steps.push(see(cell, format!("silent: warned 1 times, falls silent: {way}")));
    }
    // The hypervisor's own lines come where those of the first do.
    let first = ways.first().map_or("", |(cell, _)| cell);
    for (cell, _) in ways {
        steps.push(see(first, format!("cell {cell}: crash 1: its watchdog ran out")));
    }
    Scenario {
        name,
        long: false,
        machine: Machine { its: false, disk: Disk::None, ..Machine::DEMO },
        boots: Cells(cells(described)),
        consoles: vec![console, "control"],
        steps,
    }
}

/// The neighbour has not noticed, and the guests nothing odd.
fn all_well() -> [Step; 3] {
    [Seconds("control", 2), NotSeen("FAILED"), NotSeen("guest: ")]
}

/// One that spins, sleeps, or switches its CPU off. The one that spins has three lives, and is told how the last one ended.
fn one_cpu() -> Scenario {
    let mut scenario = fall_silent(
        "watchdog_ends_whoever_falls_silent",
        "spin=1|sleep=2|off=3",
        &[("spin", "spin"), ("sleep", "sleep"), ("off", "off")],
        &[
            silent("spin", "\"cpu@0\"", "spin", 1200, "on-crash = \"restart\"; restart-limit = <2 600>;"),
            silent("sleep", "\"cpu@1\"", "sleep", 1500, ""),
            silent("off", "\"cpu@2\"", "off", 1800, ""),
            control("cpu@3", "serial1"),
        ],
    );
    scenario.steps.extend([
        see("spin", "silent: begins, WCS 0x4"),
        see("spin", "cell spin: crash 3: its watchdog ran out, in life 3"),
        see("spin", "cell spin: off"),
    ]);
    scenario.steps.extend(all_well());
    scenario
}

/// One without vectors, and one with two CPUs, of which the other one feeds too.
fn storm_and_pair() -> Scenario {
    let mut scenario = fall_silent(
        "watchdog_ends_a_storm_of_exceptions_and_two_cpus",
        "storm=1|pair=2",
        &[("storm", "storm"), ("pair", "spin")],
        &[
            silent("storm", "\"cpu@0\"", "storm", 1200, ""),
            silent("pair", "\"cpu@1\", \"cpu@2\"", "spin", 1500, ""),
            control("cpu@3", "serial1"),
        ],
    );
    scenario.steps.extend(all_well());
    scenario
}

/// Linux feeds its watchdog, in a cell of each kind; when nobody does any more, the next life is told.
fn linux(name: &'static str, root: bool) -> Scenario {
    let kind = if root { "root; unprotected-dma = \"accept\";" } else { "cpus = <2>; memory = \"512M\";" };
    let linux = format!(
        "    linux {{ {kind} kernel = \"{CLOUD}/Image\"; initrd = \"{CLOUD}/initrd.cpio\"; console = \"virtual\"; \
         bootargs = \"console=ttyAMA0 bulkhead.test=watchdog\"; watchdog; on-crash = \"restart\"; }};\n"
    );
    Scenario {
        name,
        long: !root,
        machine: Machine { smp: 3, its: false, disk: Disk::None, ..Machine::DEMO },
        boots: Cells(cells(&[linux, control("cpu@2", "serial1")])),
        consoles: vec!["linux=1", "control"],
        steps: vec![
            see("linux", "bulkhead: watchdog SBSA Generic Watchdog, fed for 12 s"),
            Seconds("control", 2),
            see("linux", "cell linux: crash 1: its watchdog ran out"),
            see("linux", "sbsa-gwdt 9101000.watchdog: System reset by WDT"),
            see("linux", "bulkhead: watchdog ok, it ended the last life"),
            see("linux", "reboot: Power down"),
            Seconds("control", 4),
        ],
    }
}

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    vec![
        one_cpu(),
        storm_and_pair(),
        linux("watchdog_fed_by_linux", false),
        linux("watchdog_fed_by_the_root_cell", true),
    ]
}
