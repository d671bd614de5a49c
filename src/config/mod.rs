//! The description: device-tree bytes become a [`Config`] here and nowhere else.
//!
//! The root node says which version of the language is spoken, each of its children is a cell. Names of the
//! board's nodes stay text here; only [`crate::plan`] has a board to look them up on.

mod cell;
mod error;
mod hypervisor;
mod names;
mod reader;
mod size;
#[cfg(test)]
mod tests;
mod vhe;

use alloc::string::String;
use alloc::vec::Vec;

pub use hypervisor::{ConsoleChoice, HypervisorConfig};
pub use reader::MAX_NAMES;
pub use vhe::{HasVhe, Vhe, VheError};

use crate::cpu::MAX_CPUS;
use crate::crash::OnCrash;
use crate::refusal::{Refused, refuse};
use crate::tree::Tree;
use crate::vcpu::InterruptMode;
use names::Child;
use reader::Reader;

/// A mistake in a description, with its place.
pub type ConfigError = Refused;

/// The language that this module reads: `compatible` of the description's root.
pub const SCHEMA: &str = "bulkhead,cells-v1";
/// The most cells: each needs a CPU of its own.
pub const MAX_CELLS: usize = MAX_CPUS;

/// A description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What it says about the hypervisor itself.
    pub hypervisor: HypervisorConfig,
    /// The cells in their order; 1 or more, at most one of them the root cell.
    pub cells: Vec<CellConfig>,
}

/// What a description says about one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellConfig {
    /// Its name: that of its node.
    pub name: String,
    /// Whether it gets all that no other cell claims.
    pub root: bool,
    /// Its CPUs.
    pub cpus: CpuChoice,
    /// Bytes of RAM, a multiple of 4 KiB; `None` in the root cell, which has what is left.
    pub memory: Option<u64>,
    /// Where it sees its RAM, a multiple of 2 MiB; `None` for the place that the ABI says.
    pub ram_base: Option<u64>,
    /// What it runs.
    pub payload: Payload,
    /// Its command line.
    pub bootargs: Bootargs,
    /// Its device tree.
    pub tree: CellTree,
    /// Names of the board's nodes that it claims, none of them twice.
    pub devices: Vec<String>,
    /// Where its console is.
    pub console: CellConsole,
    /// Whether its owner accepts that its devices can reach all of memory.
    pub unprotected_dma: bool,
    /// Whether its owner accepts that another cell controls clocks, resets, supplies, pins or power of its devices.
    pub foreign_dependencies: bool,
    /// Whether it has a watchdog.
    pub watchdog: bool,
    /// What follows its crash.
    pub on_crash: OnCrash,
    /// How its interrupts reach it.
    pub interrupts: InterruptMode,
    /// Function IDs of the calls that firmware answers it, none of them twice.
    pub smc_allow: Vec<u32>,
}

impl CellConfig {
    /// The files of the archive that it names, each with its property.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let run = match &self.payload {
            Payload::Linux { kernel, initrd } => {
                [Some(("kernel", kernel)), initrd.as_ref().map(|file| ("initrd", file))]
            }
            Payload::Image { file, .. } => [Some(("image", file)), None],
        };
        let tree = match &self.tree {
            CellTree::Derived => None,
            CellTree::Overlaid(file) => Some(("dtb-overlay", file)),
            CellTree::Given(file) => Some(("dtb", file)),
        };
        run.into_iter().chain([tree]).flatten().map(|(property, file)| (property, file.as_str()))
    }
}

/// Which CPUs a cell has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CpuChoice {
    /// Those that no other cell has; the root cell only.
    Rest,
    /// These of the board's nodes, 1 or more, none of them twice. The first is the cell's boot CPU.
    Names(Vec<String>),
    /// This many, whichever, 1 or more.
    Count(u32),
}

/// Where a cell's console is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellConsole {
    /// Nowhere.
    None,
    /// A virtual PL011, which is joined with others on the hypervisor's console.
    Virtual,
    /// This of the board's nodes, which it claims.
    Device(String),
}

/// What a cell runs; file names are those of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A Linux kernel.
    Linux {
        /// The kernel, an arm64 `Image`.
        kernel: String,
        /// The initial RAM file system.
        initrd: Option<String>,
    },
    /// A program of any format that [`crate::image`] knows.
    Image {
        /// The program.
        file: String,
        /// Where a raw image goes; `None` for the start of RAM.
        load_address: Option<u64>,
        /// Where a raw image begins; `None` for its first byte.
        entry: Option<u64>,
    },
}

/// `bootargs` of a cell's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bootargs {
    /// There are none.
    None,
    /// These.
    Own(String),
    /// Those that the loader left in the board's tree, and these behind them.
    BoardsAnd(String),
}

/// A cell's device tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellTree {
    /// What Bulkhead derives from the board's.
    Derived,
    /// The same, with what this file's fragments say.
    Overlaid(String),
    /// This file, as it is.
    Given(String),
}

impl Config {
    /// Reads a description.
    ///
    /// # Errors
    /// All mistakes in it, by node in tree order.
    pub fn parse(tree: &Tree<'_>) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut root = Reader::new(tree.root(), &mut errors);
        if !tree.root().is_compatible(SCHEMA) {
            root.fail(Some("compatible"), &error::SCHEMA);
        }
        root.check_names(&names::ROOT);
        let mut hypervisor = HypervisorConfig::default();
        if let Some(node) = tree.at("/hypervisor") {
            hypervisor = hypervisor::parse(Reader::new(node, &mut errors));
        }
        let (mut cells, mut number, mut first_root) = (Vec::new(), 0_usize, None);
        for node in tree.root().children() {
            match Child::of(node.name()) {
                Child::Hypervisor | Child::OfCompiler => {}
                Child::Later => _ = Reader::new(node, &mut errors).fail(None, &error::NOT_YET),
                Child::Cell => {
                    number = number.saturating_add(1);
                    if node.prop("root").is_some()
                        && let Some(first) = first_root.replace(node)
                    {
                        Reader::new(node, &mut errors)
                            .fail(Some("root"), &error::TWO_ROOTS)
                            .description(&first, None);
                    }
                    cells.extend(cell::parse(Reader::new(node, &mut errors), &hypervisor));
                }
            }
        }
        let sentence = match number {
            0 => Some(&error::NO_CELLS),
            1..=MAX_CELLS => None,
            _ => Some(&error::TOO_MANY_CELLS),
        };
        if let Some(sentence) = sentence {
            refuse(&mut errors, sentence).description(&tree.root(), None);
        }
        if errors.is_empty() { Ok(Self { hypervisor, cells }) } else { Err(errors) }
    }

    /// The root cell.
    pub fn root(&self) -> Option<&CellConfig> {
        self.cells.iter().find(|cell| cell.root)
    }
}
