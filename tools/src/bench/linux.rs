//! The same work in Linux with nothing below it and in the root cell, on one CPU, in instructions of all exception levels.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::{BenchError, Subject, write};
use crate::pack;
use crate::qemu::{Boot, Console, Disk, Machine, Qemu, QemuError, Scratch};

/// Real time for one run: two minutes on a machine with nothing else to do.
const LIMIT: Duration = Duration::from_secs(1500);
/// Real time in which an idle guest is watched. Its own goes faster, since QEMU skips what a CPU sleeps.
const IDLE: Duration = Duration::from_secs(2);
const KERNEL: &str = "linux-6.12-cloud";
const BOOTARGS: &str = "console=ttyAMA0 quiet nokaslr bulkhead.test=bench";

/// What Linux runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Under {
    /// EL1 of a machine without EL2.
    Nothing,
    /// Bulkhead, in the root cell, with this interrupt mode.
    Bulkhead(&'static str),
}

/// How many instructions more a cell may take.
const MODES: [(Under, &str, Option<f64>); 3] = [
    (Under::Nothing, "bare", None),
    (Under::Bulkhead("virtual"), "virtual", Some(1.01)),
    (Under::Bulkhead("direct"), "direct", Some(1.003)),
];

/// Counters by reason, as `Ctrl-^ s` shows them; `all` is their sum, and with the clock on there are `el2` and `of` ticks.
type Exits = BTreeMap<String, u64>;

/// What one run came to.
#[derive(Debug, Default)]
pub struct Run {
    /// Ticks of each piece of work, by name.
    work: Vec<(String, u64)>,
    /// Exits while it worked; none where nobody could be asked.
    exits: Exits,
    /// Exits and ticks while it was idle.
    idle: Exits,
}

/// Runs all modes; one that the hypervisor refuses has no figures.
///
/// # Errors
/// One does not run.
pub fn measure(subject: &Subject) -> Result<Vec<Option<Run>>, BenchError> {
    MODES.into_iter().map(|(under, ..)| run(subject, under)).collect()
}

fn run(subject: &Subject, under: Under) -> Result<Option<Run>, BenchError> {
    let folder = Scratch::new()?;
    let kernel = subject.images.join(KERNEL);
    let (boot, name) = match under {
        Under::Nothing => {
            let (kernel, initrd) = (kernel.join("Image"), kernel.join("initrd.cpio"));
            (Boot { append: Some(BOOTARGS.into()), ..Boot::new(kernel, initrd) }, "linux")
        }
        Under::Bulkhead(mode) => {
            let (source, archive) = (folder.path().join("linux.dts"), folder.path().join("linux.cells"));
            write(&source, description(mode).as_bytes())?;
            let packed = match pack::pack(&source, &subject.images) {
                Ok(packed) => packed,
                Err(refused) => {
                    eprintln!("{mode}: not measured: {refused}");
                    return Ok(None);
                }
            };
            write(&archive, &packed)?;
            (Boot::new(subject.image.clone(), archive), "linux=1")
        }
    };
    let machine = Machine {
        smp: 1,
        memory: "512M".into(),
        el2: under != Under::Nothing,
        its: false,
        disk: Disk::None,
        icount: true,
        ..Machine::DEMO
    };
    let mut qemu = Qemu::start(&machine, &boot, &[name], LIMIT)?;
    let Some(console) = qemu.consoles.first_mut() else { return Ok(None) };
    let line = console.find("bench ready, or a refusal", |line| {
        (line.contains("bench ready") || line.contains("nothing was started")).then(|| line.to_string())
    })?;
    if !line.contains("bench ready") {
        return Ok(None);
    }
    let in_cell = under != Under::Nothing;
    // Where all CPUs are direct, what is typed is heard when a guest prints or waits: not while it works.
    let is_heard = under == Under::Bulkhead("virtual");
    let ask = |console: &mut Console, order, asked: bool| -> Result<Exits, BenchError> {
        if !asked {
            return Ok(Exits::new());
        }
        console
            .order(order)
            .map_err(|source| QemuError::Io { what: "nothing can be typed".into(), source })?;
        Ok(exits(&console.expect("linux vCPU 0: ")?))
    };
    let before = ask(console, "\x1es", is_heard)?;
    let work = work(&console.expect("bench done: ")?);
    eprintln!("{under:?}: {work:?}");
    let after = ask(console, "\x1es", is_heard)?;
    console.expect("bench idle")?;
    let begun = ask(console, "\x1et\x1es", in_cell)?;
    if in_cell {
        std::thread::sleep(IDLE);
    }
    let ended = ask(console, "\x1es", in_cell)?;
    Ok(Some(Run { work, exits: minus(&after, &before), idle: minus(&ended, &begun) }))
}

fn description(mode: &str) -> String {
    format!(
        "/dts-v1/;\n/ {{\n    compatible = \"bulkhead,cells-v1\";\n    linux {{\n        root; kernel = \"{KERNEL}/Image\"; \
         initrd = \"{KERNEL}/initrd.cpio\"; bootargs = \"{BOOTARGS}\";\n        unprotected-dma = \"accept\"; \
         interrupt-mode = \"{mode}\";\n    }};\n}};\n"
    )
}

/// `... vCPU 0: hvc 1, all 1; 2 of 3 ticks at EL2`.
fn exits(line: &str) -> Exits {
    let (_, said) = line.split_once("vCPU 0: ").unwrap_or_default();
    let (counts, ticks) = said.split_once("; ").unwrap_or((said, ""));
    let mut exits: Exits = counts
        .split(", ")
        .filter_map(|count| {
            let (name, count) = count.trim().rsplit_once(' ')?;
            Some((name.to_string(), count.parse().ok()?))
        })
        .collect();
    let numbers = ticks.split(' ').filter_map(|word| word.parse().ok());
    exits.extend(["ticks", "of"].map(String::from).into_iter().zip(numbers));
    exits
}

/// `... bench done: NAME n NAME n`.
fn work(line: &str) -> Vec<(String, u64)> {
    let (_, said) = line.split_once("done: ").unwrap_or_default();
    let words: Vec<_> = said.split_whitespace().collect();
    let pairs = words.chunks_exact(2).filter_map(|pair| match pair {
        [name, ticks] => Some((name.to_string(), ticks.parse().ok()?)),
        _ => None,
    });
    pairs.collect()
}

fn minus(after: &Exits, before: &Exits) -> Exits {
    let less = |name: &String, count: &u64| count.saturating_sub(before.get(name).copied().unwrap_or(0));
    after.iter().map(|(name, count)| (name.clone(), less(name, count))).collect()
}

/// Three tables of Markdown: work, exits while it was done, and what an idle cell does.
pub fn table(runs: &[Option<Run>]) -> String {
    let run = |n: usize| runs.get(n).and_then(Option::as_ref);
    let of =
        |n: usize, name: &str| run(n)?.work.iter().find(|(work, _)| work == name).map(|(_, ticks)| *ticks);
    let all = |n: usize| Some(run(n)?.work.iter().map(|(_, ticks)| ticks).sum::<u64>());
    let mut text = String::from("| work |");
    for (_, name, goal) in MODES {
        let _ = write!(text, " {name} |");
        if let Some(goal) = goal {
            let _ = write!(text, " ratio | goal {goal} |");
        }
    }
    text += "\n|-|-|-|-|-|-|-|-|\n";
    let names = run(0).map_or(Vec::new(), |run| run.work.iter().map(|(name, _)| name.as_str()).collect());
    for name in names.into_iter().chain(["all"]) {
        let figure = |n: usize| if name == "all" { all(n) } else { of(n, name) };
        let _ = write!(text, "| {name} |");
        for (n, (_, _, goal)) in MODES.iter().enumerate() {
            let _ = write!(text, " {} |", figure(n).map_or("-".into(), |ticks| ticks.to_string()));
            let (Some(goal), bare) = (goal, figure(0)) else { continue };
            let ratio = figure(n).zip(bare).map(|(own, bare)| own as f64 / bare as f64);
            let _ = match (ratio, name) {
                (None, _) => write!(text, " - | |"),
                (Some(ratio), "all") => {
                    write!(text, " {ratio:.4} | {} |", if ratio <= *goal { "met" } else { "missed" })
                }
                (Some(ratio), _) => write!(text, " {ratio:.4} | |"),
            };
        }
        text.push('\n');
    }
    for (run, (_, name, _)) in runs.iter().zip(MODES) {
        let Some(run) = run.as_ref().filter(|run| !run.idle.is_empty()) else { continue };
        let list = |exits: &Exits| {
            let counts = exits
                .iter()
                .filter(|(name, count)| **count != 0 && !["of", "ticks"].contains(&name.as_str()));
            counts.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
        };
        text.push('\n');
        if !run.exits.is_empty() {
            let _ = writeln!(text, "{name}: exits while it worked: {}", list(&run.exits));
        }
        if let Some(ticks) = run.idle.get("of").filter(|ticks| **ticks != 0) {
            let [exits, el2] = ["all", "ticks"].map(|name| run.idle.get(name).copied().unwrap_or(0));
            let seconds = *ticks as f64 / 1e9;
            // Where EL2 waits in the guest's place, that time is its own, and no instructions.
            let at_el2 = match run.idle.get("wait") {
                None | Some(0) => format!(" and {:.0} instructions at EL2", el2 as f64 / seconds),
                Some(_) => String::new(),
            };
            let _ = writeln!(
                text,
                "{name}: idle for {seconds:.1} s of its own: {:.1} exits{at_el2} a second ({})",
                exits as f64 / seconds,
                list(&run.idle)
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str =
        "bulkhead: 1 linux vCPU 0: smc 14, uart 880, el2 6, all 900; 14746 of 2000000000 ticks at EL2";

    #[test]
    fn rows_are_read_as_the_console_prints_them() {
        let row = exits(ROW);
        let count = |name: &str| row.get(name).copied();
        assert_eq!(
            (count("smc"), count("uart"), count("el2"), count("all")),
            (Some(14), Some(880), Some(6), Some(900))
        );
        assert_eq!((count("ticks"), count("of")), (Some(14746), Some(2_000_000_000)));
        assert_eq!(exits("linux vCPU 0: all 0").len(), 1);
        assert_eq!(
            work("[linux] bulkhead: bench done: compress 12 forks 3 pipe 4\r"),
            [("compress".to_string(), 12), ("forks".to_string(), 3), ("pipe".to_string(), 4),]
        );
    }

    #[test]
    fn a_ratio_is_met_or_missed() {
        let run = |ticks: u64, line: &str| {
            let (work, exits) = (vec![("forks".to_string(), ticks)], exits(line));
            Some(Run { work, idle: exits.clone(), exits })
        };
        let text = table(&[run(1000, ""), run(1009, ROW), None]);
        assert!(text.contains("| forks | 1000 | 1009 | 1.0090 | | - | - | |\n"), "{text}");
        assert!(text.contains("| all | 1000 | 1009 | 1.0090 | met | - | - | |\n"), "{text}");
        assert!(
            text.contains("\nvirtual: exits while it worked: all 900, el2 6, smc 14, uart 880\n"),
            "{text}"
        );
        assert!(
            text.contains("idle for 2.0 s of its own: 450.0 exits and 7373 instructions at EL2"),
            "{text}"
        );
        let mut direct = Run { exits: Exits::new(), ..run(1001, ROW).unwrap() };
        direct.idle.insert("wait".into(), 900);
        let direct = Some(direct);
        let text = table(&[run(1000, ""), run(1009, ROW), direct]);
        assert!(text.contains("\ndirect: idle for 2.0 s of its own: 450.0 exits a second (all"), "{text}");
        assert!(!text.contains("direct: exits"), "{text}");
        assert!(
            table(&[run(1000, ""), run(1011, ROW), run(1000, ROW)])
                .contains("1.0110 | missed | 1000 | 1.0000 | met |")
        );
    }
}
