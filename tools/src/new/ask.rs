//! Questions about the cells, one after the other, each with an answer that just Enter gives.

use std::io::{BufRead, Write};

use bulkhead::hardware::{Device, Hardware};
use bulkhead::tree::Tree;

use super::{CellWish, NewError};

struct Talk<'t> {
    input: &'t mut dyn BufRead,
    output: &'t mut dyn Write,
}

impl Talk<'_> {
    /// Asks until `read` makes something of the answer; what it says otherwise is shown.
    fn ask<T>(
        &mut self,
        question: &str,
        default: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, NewError> {
        loop {
            let shown = if default.is_empty() { String::new() } else { format!(" [{default}]") };
            write!(self.output, "{question}{shown}: ")?;
            self.output.flush()?;
            let mut answer = String::new();
            if self.input.read_line(&mut answer)? == 0 {
                return Err(NewError::NoAnswer);
            }
            let answer = Some(answer.trim()).filter(|answer| !answer.is_empty()).unwrap_or(default);
            match read(answer) {
                Ok(value) => return Ok(value),
                Err(why) => writeln!(self.output, "  {why}")?,
            }
        }
    }

    fn yes(&mut self, question: &str, default: bool) -> Result<bool, NewError> {
        self.ask(question, if default { "yes" } else { "no" }, |answer| {
            match answer.to_lowercase().as_str() {
                "y" | "yes" => Ok(true),
                "n" | "no" => Ok(false),
                _ => Err("yes or no?".into()),
            }
        })
    }

    /// A value; nothing where the answer is `-`.
    fn text(&mut self, question: &str, default: &str) -> Result<Option<String>, NewError> {
        self.ask(question, default, |answer| match answer {
            "-" | "" => Ok(None),
            text if CellWish::is_value(text) => Ok(Some(text.to_string())),
            _ => Err("without quotation marks and backslashes, please".into()),
        })
    }
}

/// Asks for all cells.
pub fn cells(
    board: &Tree<'_>,
    hardware: &Hardware,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> Result<Vec<CellWish>, NewError> {
    let mut talk = Talk { input, output };
    let serials = names(board, hardware, |node| node.contains("serial") || node.contains("uart"));
    writeln!(
        talk.output,
        "This board has {} CPUs, {} and {} devices. Enter takes what stands in brackets, - takes nothing.",
        hardware.cpus.len(),
        crate::plan::regions::size(hardware.memory.iter().map(|bank| bank.size()).sum()),
        hardware.devices.len()
    )?;
    let mut wishes: Vec<CellWish> = Vec::new();
    if talk.yes("Shall one cell run Linux and get all that no other cell has (the root cell)?", true)? {
        let name = name(&mut talk, "Its name", "linux", &wishes)?;
        wishes.push(CellWish { name, root: true, ..linux(&mut talk)? });
    }
    loop {
        let left =
            hardware.cpus.len().saturating_sub(taken(&wishes) + usize::from(wishes.iter().any(|w| w.root)));
        if left == 0 {
            break;
        }
        let last = !wishes.iter().any(|wish| !wish.root);
        if !talk.yes("Another cell?", last)? {
            break;
        }
        let free: Vec<_> =
            serials.iter().filter(|name| !wishes.iter().any(|w| w.devices.contains(name))).collect();
        let name = name(&mut talk, "Its name", "control", &wishes)?;
        let cpus =
            talk.ask(&format!("How many CPUs, of {left}"), "1", |answer| match answer.parse::<usize>() {
                Ok(count) if (1..=left).contains(&count) => Ok(count.to_string()),
                _ => Err(format!("a number from 1 to {left}")),
            })?;
        let memory = talk.text("How much memory", "16M")?;
        // The board's first serial line is most often its console.
        let serial = free.get(1).or(free.first()).map_or("-", |name| name);
        let devices =
            talk.ask("Its devices, by the board's names, with spaces between", serial, |answer| {
                answer.split_whitespace().filter(|name| *name != "-").map(|name| known(board, name)).collect()
            })?;
        let wish = CellWish { name, cpus: vec![cpus], memory, devices, ..CellWish::default() };
        wishes.push(if talk.yes("Does it run Linux?", false)? {
            let CellWish { kernel, initrd, bootargs, .. } = linux(&mut talk)?;
            CellWish { kernel, initrd, bootargs, ..wish }
        } else {
            let image = format!("{}.elf", wish.name);
            CellWish { image: Some(talk.text("Its program (a file)", &image)?.unwrap_or(image)), ..wish }
        });
    }
    Ok(wishes)
}

fn name(talk: &mut Talk<'_>, question: &str, default: &str, others: &[CellWish]) -> Result<String, NewError> {
    talk.ask(question, default, |answer| {
        if others.iter().any(|other| other.name == answer) {
            Err(format!("there is a cell {answer} already"))
        } else if !CellWish::is_name(answer) || matches!(answer, "hypervisor" | "shared") {
            Err("letters, digits, - and _, please; hypervisor and shared mean something else".into())
        } else {
            Ok(answer.to_string())
        }
    })
}

fn linux(talk: &mut Talk<'_>) -> Result<CellWish, NewError> {
    Ok(CellWish {
        kernel: Some(talk.text("Its kernel (a file)", "linux/Image")?.unwrap_or("linux/Image".into())),
        initrd: talk.text("Its initrd (a file)", "linux/initrd.cpio")?,
        bootargs: talk.text("Its command line", "console=ttyAMA0")?,
        ..CellWish::default()
    })
}

fn taken(wishes: &[CellWish]) -> usize {
    wishes.iter().flat_map(|wish| &wish.cpus).map(|count| count.parse().unwrap_or(1)).sum()
}

fn known(board: &Tree<'_>, name: &str) -> Result<String, String> {
    board.resolve(name).map(|_| name.to_string()).map_err(|error| error.to_string())
}

/// The shortest name of each device whose node `wanted` likes.
fn names(board: &Tree<'_>, hardware: &Hardware, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let name = |device: &Device| {
        let node = board.node(device.node);
        let aliases = board.at("/aliases").map_or(&[][..], |aliases| aliases.props());
        let alias = aliases
            .iter()
            .find(|alias| alias.str().and_then(|path| board.at(path)).map(|n| n.id()) == Some(node.id()));
        let short = [node.base_name(), node.name()]
            .into_iter()
            .find(|name| board.resolve(name).is_ok_and(|found| found.id() == node.id()));
        alias.map(|alias| alias.name()).or(short).map_or_else(|| node.path(), String::from)
    };
    hardware.devices.iter().map(name).filter(|name| wanted(name)).collect()
}
