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

use alloc::string::String;
use alloc::vec::Vec;

pub use error::{ConfigError, Mistake};
pub use hypervisor::{ConsoleChoice, HypervisorConfig};

use crate::cpu::MAX_CPUS;
use crate::tree::Tree;
use reader::Reader;

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
    /// What it runs.
    pub payload: Payload,
    /// Names of the board's nodes that it claims, none of them twice.
    pub devices: Vec<String>,
    /// Where its console is.
    pub console: CellConsole,
    /// Whether its owner accepts that its devices can reach all of memory.
    pub unprotected_dma: bool,
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
        /// The command line.
        bootargs: Option<String>,
    },
    /// A program of any format that [`crate::image`] knows.
    Image {
        /// The program.
        file: String,
        /// `bootargs` of its tree.
        bootargs: Option<String>,
    },
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
            root.fail(Some("compatible"), Mistake::Schema);
        }
        root.check_names(names::of_root);
        let mut hypervisor = HypervisorConfig::default();
        if let Some(node) = tree.at("/hypervisor") {
            hypervisor = hypervisor::parse(&mut Reader::new(node, &mut errors));
        }
        let mut cells = Vec::new();
        for node in tree.root().children().filter(|node| !names::is_of_compiler(node.name())) {
            let mut reader = Reader::new(node, &mut errors);
            match node.name() {
                "hypervisor" => {}
                name if names::is_reserved_node(name) => reader.fail(None, Mistake::NotYet),
                _ => cells.extend(cell::parse(&mut reader, &hypervisor)),
            }
        }
        check_number(tree, &mut errors);
        if errors.is_empty() { Ok(Self { hypervisor, cells }) } else { Err(errors) }
    }

    /// The root cell.
    pub fn root(&self) -> Option<&CellConfig> {
        self.cells.iter().find(|cell| cell.root)
    }
}

/// There are cells, not too many, and one root at most. Asked of the nodes, because a cell with mistakes of its
/// own makes no [`CellConfig`].
fn check_number(tree: &Tree<'_>, errors: &mut Vec<ConfigError>) {
    let is_cell = |name: &str| !names::is_of_compiler(name) && !names::is_reserved_node(name);
    let cells = || tree.root().children().filter(|node| is_cell(node.name()));
    match cells().count() {
        0 => Reader::new(tree.root(), errors).fail(None, Mistake::NoCells),
        1..=MAX_CELLS => {}
        _ => Reader::new(tree.root(), errors).fail(None, Mistake::TooManyCells),
    }
    let mut roots = cells().filter(|node| node.prop("root").is_some());
    let first = roots.next().map(|node| node.path()).unwrap_or_default();
    for other in roots {
        Reader::new(other, errors).fail(Some("root"), Mistake::TwoRoots { first: first.clone() });
    }
}
