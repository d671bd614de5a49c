//! The device tree that each cell is given, derived from the board's and the plan.
//!
//! The root cell gets the board's tree less what it does not have; other cells get a small tree of their own with the
//! same phandles, so that what is copied from the board still fits together. What all cells have, CPUs, memory, GIC,
//! timer, psci and /chosen, is written anew.

mod chosen;
mod cpus;
mod fdt;
mod gic;
mod keep;
pub mod overlay;
mod refs;
mod role;
#[cfg(test)]
mod tests;
mod uart;
mod watchdog;
mod write;

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use crate::cpu::CellId;
use crate::hardware::Hardware;
use crate::plan::{CellPlan, Checked, Plan, TreeSource, pool};
use crate::ports::Entropy;
use crate::refusal::{Code, code};
use crate::tree::{Blob, NodeId, Token, Tree};
use keep::{Kept, Owner, Owners, Sources};
use write::Writer;

/// The largest tree that arm64 Linux takes (Documentation/arch/arm64/booting.rst, section 2).
pub const MAX_SIZE: usize = 2 << 20;

/// A cell's tree, kept for all of its lives.
#[derive(Clone, Debug, Default)]
pub struct GuestTree {
    /// The flattened tree.
    pub bytes: Vec<u8>,
    kaslr_seed: Range<usize>,
    rng_seed: Range<usize>,
}

/// Why a cell cannot be given a tree.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuestTreeError {
    /// The plan has no such cell.
    #[error("there is no cell {}", .0.0)]
    NoCell(CellId),
    /// A CPU of the cell has no node in the board's tree.
    #[error("cell {cell}: a CPU of it is not in the board's tree")]
    NoCpu {
        /// The cell.
        cell: String,
    },
    /// The tree is too large for Linux, or for the room that the plan has for it.
    #[error(
        "cell {cell}: its device tree has {size} bytes, which is more than {room}; give it fewer devices"
    )]
    TooLarge {
        /// The cell.
        cell: String,
        /// Bytes of the tree.
        size: usize,
        /// Bytes there is room for.
        room: usize,
    },
    /// The board's tree asks for too much work.
    #[error("its device tree takes more steps to make than on any known board: is the board's tree damaged?")]
    TooEntangled,
    /// EL2's memory does not suffice.
    #[error("EL2's memory does not suffice")]
    NoMemory,
    /// The overlay does not go with it.
    #[error("its `dtb-overlay` makes it deeper than 32 nodes, or larger than a tree may be")]
    Overlay,
    /// An address does not fit into the address or size cells that the board's tree has there.
    #[error("{node}: {span} does not fit into its #address-cells and #size-cells")]
    Cells {
        /// The node of the cell's tree.
        node: String,
        /// What was to be written.
        span: String,
    },
}

impl GuestTreeError {
    /// Its number.
    pub fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } | Self::TooEntangled | Self::Cells { .. } | Self::Overlay => {
                code::CELL_TREE
            }
            Self::NoMemory => code::POOL_TOO_SMALL,
            Self::NoCell(_) | Self::NoCpu { .. } => code::CELL_TREE_BUG,
        }
    }
}

/// Bytes that a node of the board takes while a cell's tree is made: who owns it, what becomes of it, who refers to it.
const PER_NODE: usize = 16;
/// Names and values that are put together on the way.
const TEXT: usize = 2 << 10;
/// Bytes that each byte of a tree takes that is read to lay an overlay over it.
const PER_READ: usize = 5;

/// Makes the tree of a cell as the plan says: the derived one, that with an overlay out of the archive, or none, where one is
/// given and copied like an image.
///
/// # Errors
/// See [`GuestTreeError`].
pub fn planned(
    tree: &Tree<'_>,
    hardware: &Hardware,
    plan: &Plan<Checked>,
    cell: &CellPlan,
    archive: &[u8],
) -> Result<GuestTree, GuestTreeError> {
    // All but the trees themselves, for which the writer looks as they grow.
    let room = |bytes| pool::has_room(bytes).then_some(()).ok_or(GuestTreeError::NoMemory);
    room(tree.node_count().saturating_mul(PER_NODE).saturating_add(TEXT))?;
    match cell.load.source {
        TreeSource::Given => Ok(GuestTree::default()),
        TreeSource::Derived => build(tree, hardware, plan, cell.id),
        TreeSource::Overlaid((offset, size)) => {
            let derived = build(tree, hardware, plan, cell.id)?;
            let file = archive.get(offset as usize..).and_then(|rest| rest.get(..size as usize));
            let overlay = file.and_then(|file| Tree::parse(file).ok()).ok_or(GuestTreeError::Overlay)?;
            room(derived.bytes.len().saturating_add(file.map_or(0, <[u8]>::len)).saturating_mul(PER_READ))?;
            let bytes = overlay::apply(&derived.bytes, &overlay)?;
            finished(bytes, cell)
        }
    }
}

/// Makes the tree of a cell. Its seeds are zero until [`GuestTree::reseed`].
///
/// # Errors
/// See [`GuestTreeError`].
pub fn build(
    tree: &Tree<'_>,
    hardware: &Hardware,
    plan: &Plan<Checked>,
    cell: CellId,
) -> Result<GuestTree, GuestTreeError> {
    let own = plan.cells.get(cell.index()).ok_or(GuestTreeError::NoCell(cell))?;
    let mut owners = Owners::new(tree);
    for other in plan.cells.iter().filter(|c| c.id != cell) {
        owners.mark(&other.devices, Owner::Foreign);
    }
    if let Some(console) = plan.console {
        owners.mark(&[console.node], Owner::Foreign);
    }
    let mut cpus = Vec::with_capacity(own.cpus.len());
    for id in &own.cpus {
        let cpu = hardware.cpus.get(id.index());
        cpus.push(cpu.ok_or_else(|| GuestTreeError::NoCpu { cell: own.name.clone() })?.node);
    }
    build_cell(tree, hardware.gic.node, own, owners, &cpus)
}

/// [`build`] with what it takes from [`Hardware`] and the other cells spelled out.
fn build_cell(
    tree: &Tree<'_>,
    gic: NodeId,
    cell: &CellPlan,
    mut owners: Owners,
    cpus: &[NodeId],
) -> Result<GuestTree, GuestTreeError> {
    owners.mark(&cell.devices, Owner::Own);
    // The hypervisor's console, in whose place it sees a virtual UART.
    if let Some(node) = cell.uart.and_then(|uart| uart.node) {
        owners.mark(&[node], Owner::Own);
    }
    let sources = Sources { root: cell.root, gic, owners, cpus };
    let kept = Kept::select(tree, &sources);
    let bytes = Writer::new(tree, cell, &sources, &kept)?.write()?;
    if tree.is_exhausted() {
        return Err(GuestTreeError::TooEntangled);
    }
    finished(bytes, cell)
}

fn finished(bytes: Vec<u8>, cell: &CellPlan) -> Result<GuestTree, GuestTreeError> {
    let room = usize::try_from(cell.load.tree.size()).unwrap_or(MAX_SIZE).min(MAX_SIZE);
    if bytes.len() > room {
        return Err(GuestTreeError::TooLarge { cell: cell.name.clone(), size: bytes.len(), room });
    }
    let (kaslr_seed, rng_seed) = (seed(&bytes, "kaslr-seed"), seed(&bytes, "rng-seed"));
    Ok(GuestTree { bytes, kaslr_seed, rng_seed })
}

impl GuestTree {
    /// These bytes, which have no seeds: for tests of what is done with a tree.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self { bytes, kaslr_seed: 0..0, rng_seed: 0..0 }
    }

    /// Puts fresh seeds into /chosen; each life of a cell has its own.
    pub fn reseed(&mut self, random: &mut impl Entropy) {
        for place in [self.kaslr_seed.clone(), self.rng_seed.clone()] {
            let (words, _) = self.bytes.get_mut(place).unwrap_or_default().as_chunks_mut::<8>();
            for word in words {
                *word = random.random().to_ne_bytes();
            }
        }
    }
}

/// Where in the tree the first property of this name has its value; empty if there is none. /chosen stands before
/// all that is copied.
fn seed(bytes: &[u8], name: &str) -> Range<usize> {
    let find = || {
        let mut tokens = Blob::open(bytes).ok()?.walk();
        while let Ok(Some(token)) = tokens.step() {
            if let Token::Prop(prop) = token
                && prop.name() == name
            {
                let start = prop.bytes().as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
                return Some(start..start.checked_add(prop.bytes().len())?);
            }
        }
        None
    };
    find().unwrap_or(0..0)
}
