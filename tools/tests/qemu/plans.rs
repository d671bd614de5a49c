//! Random descriptions of one machine: the desk and the image must decide the same plan, to the letter of its JSON.

use std::fs;
use std::time::Duration;

use bulkhead::addr::{Pa, Span};
use bulkhead::plan::Boot;
use bulkhead_cli::board::Board;
use bulkhead_cli::qemu::{self, Disk, Machine, Qemu};
use bulkhead_cli::{pack, plan};

use crate::scenario::{source, target};

/// Real time for one boot as far as the plan.
const LIMIT: Duration = Duration::from_secs(300);
const CPUS: u64 = 8;

/// Numbers that look random and are the same in every run (Marsaglia's xorshift64).
struct Dice(u64);

impl Dice {
    /// One of 0 to `sides` - 1.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn one_of<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.roll(of.len() as u64) as usize]
    }
}

/// A description that the machine can have: one to four cells, with or without a root cell.
fn description(dice: &mut Dice) -> String {
    let mut free: Vec<u64> = (0..CPUS).collect();
    let mut devices = vec!["serial1", "pl031"];
    let with_root = dice.roll(2) == 0;
    let mut text = String::from("    hypervisor { print-plan; };\n");
    if with_root {
        text += "    root { root; image = \"bench.elf\"; unprotected-dma = \"accept\"; };\n";
    }
    for number in 0..1 + dice.roll(3) {
        let wanted = 1 + dice.roll(2);
        let names = (0..wanted).map(|_| free.remove(dice.roll(free.len() as u64) as usize));
        let names: Vec<_> = names.map(|cpu| format!("\"cpu@{cpu}\"")).collect();
        let cpus = if dice.roll(2) == 0 { names.join(", ") } else { format!("<{wanted}>") };
        let memory =
            dice.one_of(&["\"1M\"", "\"16M\"", "\"3076K\"", "\"100M\"", "<0x2000000>", "<0 0x9001000>"]);
        text += &format!("    cell{number} {{ cpus = {cpus}; memory = {memory}; image = \"bench.elf\";");
        if dice.roll(2) == 0 && !devices.is_empty() {
            let device = devices.remove(dice.roll(devices.len() as u64) as usize);
            text += &format!(" devices = \"{device}\";");
        }
        text += dice.one_of(&[
            "",
            " console = \"virtual\";",
            " bootargs = \"a \\\"b\\\" c\";",
            " console = \"none\";",
        ]);
        text += " };\n";
    }
    crate::list::cells(&[text])
}

/// Where the image says that things were loaded.
fn loaded(json: &str) -> Option<Boot> {
    let span = |name: &str| {
        let line =
            json.lines().find(|line| line.trim_start().starts_with(&format!("\"{name}\": {{\"at\"")))?;
        let mut numbers = line.split("\"0x").skip(1);
        let mut number = || u64::from_str_radix(numbers.next()?.split('"').next()?, 16).ok();
        Span::new(Pa(number()?), number()?)
    };
    Some(Boot { image: span("image")?, pool: span("pool")?, archive: span("archive")?, tree: span("tree")? })
}

/// Boots one description and compares.
fn compare(seed: u64, board: &Board, machine: &Machine) -> Result<(), String> {
    let mut dice = Dice((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let text = description(&mut dice);
    let said = |error: &dyn std::fmt::Display| format!("description {seed}: {error}\n{text}");
    let path = source("random", &text)?;
    let archive = path.with_extension("cells");
    let packed = pack::pack(&path, &target("images")?).map_err(|error| said(&error))?;
    fs::write(&archive, packed).map_err(|error| said(&error))?;
    let boot = qemu::Boot::new(target("bulkhead.bin")?, archive);
    let mut qemu = Qemu::start(machine, &boot, &["board", "second"], LIMIT).map_err(|error| said(&error))?;
    let Some(console) = qemu.consoles.first_mut() else { return Err(said(&"there is no console")) };
    let lines = console.between("plan begins", "plan ends").map_err(|error| said(&error))?;
    drop(qemu);
    let lines = lines.iter().map(|line| line.strip_prefix("bulkhead: ").unwrap_or(line).to_string() + "\n");
    let image: String = lines.collect();
    let fit = plan::check_as_loaded(&path, board, &target("images")?, |_, _, _| loaded(&image))
        .map_err(|error| said(&error))?;
    let desk = fit.json().map_err(|error| said(&error))?;
    match desk.lines().zip(image.lines()).find(|(desk, image)| desk != image) {
        Some((desk, image)) => Err(said(&format!("the desk says {desk}, the image {image}"))),
        None if desk != image => Err(said(&"one plan is longer")),
        None => Ok(()),
    }
}

/// Compares so many.
pub fn all(count: u64) -> Result<(), String> {
    let machine =
        Machine { smp: CPUS as u32, memory: "1G".into(), its: false, disk: Disk::None, ..Machine::DEMO };
    // QEMU is asked for its tree once.
    let tree = target("qemu")?.join("random.dtb");
    let blob = qemu::board_tree(&machine).map_err(|error| error.to_string())?;
    fs::write(&tree, blob).map_err(|error| error.to_string())?;
    let board = Board::File(tree);
    (0..count).try_for_each(|seed| compare(seed, &board, &machine))
}
