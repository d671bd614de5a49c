//! What the hypervisor executes for a victim, counted by QEMU: the same whether its neighbour attacks or sleeps.
//!
//! The machine runs under icount, so that nothing depends on the host. Once the victim works (`guests/victim`), the monitor has
//! QEMU put one instruction into each translation block and log each block that is executed at EL2's addresses, and each exception;
//! every such line names the CPU. The victim's work is the same again and again, with a mark between: a count is from mark to mark.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::Duration;

use bulkhead_cli::qemu::Machine;

use crate::list::cells;
use crate::running::Running;
use crate::scenario::Boots::Cells;

/// The victim's CPU: not the first, which has the hypervisor's console.
const CPU: &str = "2";
/// Rounds of its work.
const ROUNDS: u32 = 60;
/// Where EL2's code is: `virt` loads a kernel at the first 2 MiB of RAM; no cell of this test has code at such an address.
const EL2: &str = "0x40200000+0x100000";
/// ESR_EL2 of the call that marks begin and end.
const MARK: &str = "with ESR 0x16/0x5a004a48";
/// Real time for one run.
const LIMIT: Duration = Duration::from_secs(600);

/// What was executed at EL2 on the victim's CPU.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    instructions: u64,
    exits: u64,
}

/// The same, and how often the other CPUs came to EL2 meanwhile.
#[derive(Debug)]
struct Seen {
    victim: Count,
    others: u64,
}

/// The test: two neighbours, one count, with this version of the GIC.
pub fn same_count(gic: u32) -> Result<(), String> {
    let asleep = count(gic, "asleep")?;
    let attacked = count(gic, "medley")?;
    let said = format!("beside a sleeper {asleep:?}, beside an attacker {attacked:?}");
    println!("at EL2 for {ROUNDS} rounds of the victim's work: {said}");
    let Count { instructions, exits } = asleep.victim;
    // Otherwise it is not what this test thinks it is.
    let worked = exits > u64::from(ROUNDS) * 10 && instructions > exits * 50;
    let fought = asleep.others == 0 && attacked.others > u64::from(ROUNDS) * 5;
    if worked && fought && asleep.victim == attacked.victim { Ok(()) } else { Err(said) }
}

fn count(gic: u32, mode: &str) -> Result<Seen, String> {
    let mut running = start(gic, mode)?;
    let (console, log, monitor) = (running.console()?, running.log()?, running.socket(0)?);
    // A thread of its own, so that a machine that says nothing more is noticed.
    let (send, receive) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let result = trace(console.map_while(Result::ok), monitor)
            .and_then(|_monitor| read(log.map_while(Result::ok)));
        let _ = send.send(result);
    });
    let result = receive.recv_timeout(LIMIT);
    drop(running);
    let result = result.map_err(|_| format!("the victim beside {mode} was not done in time"))?;
    let _ = reader.join();
    result
}

/// Waits for the victim's work, then switches the log on, which goes on as long as the monitor has somebody at its other end.
fn trace(mut console: impl Iterator<Item = String>, mut monitor: UnixStream) -> Result<UnixStream, String> {
    if !console.any(|line| line.contains("victim: works")) {
        return Err("the victim does not work".into());
    }
    monitor.write_all(b"one-insn-per-tb on\nlog exec,nochain,int\n").map_err(|error| error.to_string())?;
    Ok(monitor)
}

/// Counts between the second mark and the third, and between that and the fourth: QEMU leaves the blocks that it had some time
/// after the first.
fn read(lines: impl Iterator<Item = String>) -> Result<Seen, String> {
    let executed = format!("Trace {CPU}:");
    let on = format!(" on CPU {CPU}");
    let (mut count, mut before, mut others) = (Count::default(), Count::default(), 0);
    let (mut marks, mut here, mut last) = (0, false, false);
    let mut said = Vec::new();
    for line in lines {
        if line.starts_with("Trace ") {
            last = line.starts_with(&executed);
            count.instructions += u64::from(last);
        } else if line.starts_with("Stopped execution") {
            // The block of the line before was not executed: the CPU's turn was over.
            count.instructions -= u64::from(std::mem::take(&mut last));
        } else if line.starts_with("Taking exception") {
            here = line.ends_with(&on);
        } else if line.ends_with("from EL1 to EL2") || line.ends_with("from EL0 to EL2") {
            *(if here { &mut count.exits } else { &mut others }) += 1;
        } else if here && line.contains(MARK) {
            marks += 1;
            let count = std::mem::take(&mut count);
            match marks {
                3 => (before, others) = (count, 0),
                4 if count == before => return Ok(Seen { victim: count, others }),
                4 => return Err(format!("the same work was {before:?}, then {count:?}")),
                _ => {}
            }
        } else if !line.starts_with("...") && !line.starts_with("Exception return") && said.len() < 20 {
            said.push(line);
        }
    }
    Err(format!("QEMU ended before the victim's work: {}", said.join("\n")))
}

fn start(gic: u32, mode: &str) -> Result<Running, String> {
    let machine = Machine { smp: 3, gic, its: false, icount: true, ..Machine::DEMO };
    let text = cells(&[
        format!(
            "    victim {{ cpus = \"cpu@{CPU}\"; memory = \"8M\"; image = \"victim.elf\"; devices = \"serial1\"; bootargs = \"victim.work={ROUNDS}\"; }};\n"
        ),
        format!(
            "    hostile {{ cpus = \"cpu@0\", \"cpu@1\"; memory = \"16M\"; image = \"hostile.elf\"; console = \"virtual\"; bootargs = \"hostile.mode={mode}\"; }};\n"
        ),
    ]);
    let boot = Cells(text).boot(&format!("neighbour_{mode}_{gic}"))?;
    Running::start(&machine, &boot, &["-dfilter", EL2], &["-monitor"])
}
