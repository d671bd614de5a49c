//! One UART for the consoles of many cells: shells and floods beside each other.

use bulkhead_cli::qemu::{Disk, Machine};

use crate::list::{CLOUD, cells, linux, root, scenario, see};
use crate::scenario::Boots::Cells;
use crate::scenario::Scenario;
use crate::scenario::Step::{Chatter, Keys, Order, Raw, Type};

/// A cell that floods its console from the first key on.
fn chatter(name: &str, cpu: usize) -> String {
    format!(
        "    {name} {{ cpus = \"cpu@{cpu}\"; memory = \"4M\"; image = \"chatter.elf\"; bootargs = \"wait\"; \
         console = \"virtual\"; }};\n"
    )
}

/// Two Linux cells and two that flood, all on one serial line: a person works in both shells.
fn shells() -> Scenario {
    let boots = Cells(cells(&[
        root(CLOUD, "console=ttyAMA0"),
        linux("second", "\"cpu@1\"", "256M", "console=ttyAMA0", "console = \"virtual\";"),
        chatter("left", 2),
        chatter("right", 3),
    ]));
    let steps = vec![
        see("second", "bulkhead: linux up, 1 cpus"),
        see("linux", "bulkhead: linux up, 1 cpus"),
        Type("linux", "stty rows 24 cols 80; echo ready $((1 + 1))"),
        see("linux", "ready 2"),
        Keys("left", "!"),
        Keys("right", "!"),
        Chatter("left", 100),
        Chatter("right", 100),
        // Line editing: backspace; the line before, by the arrow key.
        Keys("linux", "echo abX\x7fc done\n"),
        see("linux", "abc done"),
        Keys("linux", "\x1b[A\n"),
        see("linux", "abc done"),
        // An editor that has the whole screen.
        Keys("linux", "vi /tmp/note\n"),
        Raw("linux", "\x1b[?1049h"),
        Keys("linux", "ihello from vi\x1b"),
        // With more behind it at once, busybox takes the escape for the beginning of a key's sequence.
        Raw("linux", "- /tmp/note [Modified]"),
        Keys("linux", ":wq\n"),
        Raw("linux", "\x1b[?1049l"),
        Type("linux", "echo it says $(cat /tmp/note), $(wc -c < /tmp/note) bytes"),
        see("linux", "it says hello from vi, 14 bytes"),
        Chatter("left", 100),
        Chatter("right", 100),
        // The other shell, and back.
        Type("second", "echo I am second on $(nproc)"),
        see("second", "I am second on 1"),
        Type("linux", "echo I am first on $(nproc)"),
        see("linux", "I am first on 1"),
        Order("linux", "\x1ei"),
        see("linux", "bulkhead: 1 linux: running, life 1, CPUs 0, has the input"),
        see("linux", "bulkhead: 2 second: running, life 1, CPUs 1"),
        see("linux", "bulkhead: 4 right: running, life 1, CPUs 3"),
        // Why guests were left, with the time that it took from here on.
        Order("linux", "\x1et"),
        see("linux", "bulkhead: ticks at EL2 are counted"),
        Type("linux", "echo I am still on $(nproc)"),
        see("linux", "I am still on 1"),
        Order("linux", "\x1es"),
        see("linux", "bulkhead: 1 linux vCPU 0: "),
        see("linux", "bulkhead: 3 left vCPU 0: "),
        see("linux", " ticks at EL2"),
        Order("linux", "\x1et"),
        see("linux", "bulkhead: ticks at EL2 are not counted any more"),
        // A new life.
        Keys("second", ""),
        Order("second", "\x1er"),
        see("linux", "bulkhead: cell second: restarts"),
        see("second", "bulkhead: linux up, 1 cpus"),
        Type("second", "echo second life"),
        see("second", "second life"),
        Order("second", "\x1ei"),
        see("linux", "bulkhead: 2 second: running, life 2, CPUs 1, has the input"),
        // What was said before, again.
        Order("second", "\x1el"),
        see("linux", " cell second: restarts"),
        Type("linux", "echo still the $((2 - 1))st"),
        see("linux", "still the 1st"),
        Chatter("left", 500),
        Chatter("right", 500),
    ];
    Scenario {
        consoles: vec!["linux=1|second=2|left=3|right=4"],
        ..scenario("two_shells_beside_two_floods", boots, steps)
    }
}

/// Three floods that take the screen from one another.
fn floods() -> Scenario {
    let names = ["left", "middle", "right"];
    let described: Vec<_> = names.iter().enumerate().map(|(cpu, name)| chatter(name, cpu)).collect();
    let mut steps: Vec<_> = names.iter().map(|name| Keys(name, "!")).collect();
    for name in names.iter().cycle().take(40) {
        steps.extend([Keys(name, ""), Chatter(name, 7)]);
    }
    Scenario {
        machine: Machine { disk: Disk::None, smp: 3, ..Machine::DEMO },
        consoles: vec!["left=1|middle=2|right=3"],
        ..scenario("three_floods_take_the_screen", Cells(cells(&described)), steps)
    }
}

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    vec![shells(), floods()]
}
