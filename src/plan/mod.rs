//! Who owns what. A description ([`crate::config::Config`]) and a board ([`crate::hardware::Hardware`]) make a
//! [`Plan<Draft>`]; [`Plan::check`] proves that ownership is total and disjoint and that everything fits. Only a
//! checked plan boots.

mod check;
mod conflicts;
mod console;
mod cpus;
mod devices;
mod dma;
mod draft;
mod error;
pub mod json;
mod load;
mod memory;
pub mod pool;
pub mod spans;
mod spare;
mod watchdog;

use alloc::string::String;
use alloc::vec::Vec;
use core::marker::PhantomData;

use crate::addr::{Ipa, Pa, Span};
use crate::cpu::{Affinity, CellId, PcpuId, VcpuId};
use crate::crash::OnCrash;
use crate::intid::{IntidSet, Ppi, Spi};
use crate::refusal::Refused;
use crate::tree::NodeId;
use crate::vcpu::InterruptMode;

pub use console::{CELL_UART, Console, UART_SIZE, VirtualUart};
pub use draft::{CELL_GICD, CELL_GICR, GICD_SIZE, GICR_SIZE};
pub use load::{CELL_RAM, TREE_ROOM, no_file};
pub use watchdog::{CELL_WATCHDOG, VirtualWatchdog, WATCHDOG_SIZE};

/// Why a description cannot be had on a board. Cells are named as in the description, nodes by their path in the board's tree.
pub type PlanError = Refused;

/// A plan that nobody has checked yet.
#[derive(Debug)]
pub enum Draft {}
/// A plan whose promises hold.
#[derive(Debug)]
pub enum Checked {}

/// Where the loader and the boot code put what is there before any cell.
#[derive(Clone, Debug)]
pub struct Boot {
    /// The hypervisor's image, its bss and boot stack included.
    pub image: Span<Pa>,
    /// EL2's heap, stacks and tables (see [`pool`]).
    pub pool: Span<Pa>,
    /// The archive.
    pub archive: Span<Pa>,
    /// The board's tree as the loader left it; root may have this memory, nothing needs it after boot.
    pub tree: Span<Pa>,
}

/// The whole machine, divided.
#[derive(Debug)]
pub struct Plan<S> {
    /// In the order of the description.
    pub cells: Vec<CellPlan>,
    /// The CPUs that have an owner, by rising [`PcpuId`]; the others are never started. See [`Plan::cpu`].
    pub cpus: Vec<CpuPlan>,
    /// What the hypervisor keeps.
    pub boot: Boot,
    /// The hypervisor's console, which no cell has.
    pub console: Option<Console>,
    /// The GIC's PPIs that no cell has: EL2's timers, the maintenance interrupt, the secure timer.
    pub own_ppis: Vec<Ppi>,
    /// Static regions of the board's /reserved-memory, whole pages, rising. They are in root's RAM, but their content
    /// is not ours: nothing is loaded there and loading does not zero them.
    pub reserved: Vec<Span<Pa>>,
    state: PhantomData<S>,
}

impl<S> Plan<S> {
    /// A cell.
    pub fn cell(&self, id: CellId) -> Option<&CellPlan> {
        self.cells.get(id.index())
    }

    /// A CPU and its owner; `None` for one that nobody owns.
    pub fn cpu(&self, id: PcpuId) -> Option<&CpuPlan> {
        let at = self.cpus.binary_search_by_key(&id, |cpu| cpu.id).ok()?;
        self.cpus.get(at)
    }

    /// Whose device this is.
    pub fn device_owner(&self, node: NodeId) -> Option<CellId> {
        self.cells.iter().find(|cell| cell.devices.binary_search(&node).is_ok()).map(|cell| cell.id)
    }

    /// Whose interrupt this is.
    pub fn spi_owner(&self, spi: Spi) -> Option<CellId> {
        self.cells.iter().find(|cell| cell.spis.contains(spi.intid())).map(|cell| cell.id)
    }
}

/// A CPU and its owner.
#[derive(Clone, Debug)]
pub struct CpuPlan {
    /// Its number.
    pub id: PcpuId,
    /// Its affinity.
    pub affinity: Affinity,
    /// Whose it is.
    pub cell: CellId,
    /// Its number there.
    pub vcpu: VcpuId,
}

/// A stretch of a cell's address space and what stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Where the cell sees it.
    pub ipa: Ipa,
    /// Where it is.
    pub pa: Pa,
    /// Bytes, a multiple of 4 KiB, not 0.
    pub size: u64,
}

impl Region {
    /// Where the cell sees it.
    pub fn seen(&self) -> Option<Span<Ipa>> {
        Span::new(self.ipa, self.size)
    }

    /// Where it is.
    pub fn backing(&self) -> Option<Span<Pa>> {
        Span::new(self.pa, self.size)
    }
}

impl From<Span<Pa>> for Region {
    /// Seen where it is.
    fn from(span: Span<Pa>) -> Self {
        Self { ipa: span.identity().start(), pa: span.start(), size: span.size() }
    }
}

/// What one cell has.
#[derive(Clone, Debug)]
pub struct CellPlan {
    /// Its number.
    pub id: CellId,
    /// Its name in the description.
    pub name: String,
    /// Whether it is the root cell, which sees the machine 1:1.
    pub root: bool,
    /// Its CPUs; the place is the [`VcpuId`].
    pub cpus: Vec<PcpuId>,
    /// Its RAM, by rising IPA, disjoint. Reserved regions of the board's tree that lie in root's RAM are part of it.
    pub ram: Vec<Region>,
    /// Device registers that it reaches untrapped, whole pages, by rising IPA, disjoint.
    pub mmio: Vec<Region>,
    /// Where it sees its distributor, 64 KiB; 4 KiB of a GICv2.
    pub gicd: Span<Ipa>,
    /// Where it sees its redistributors, 128 KiB for each vCPU, contiguous; with a GICv2 its CPU interface, 8 KiB.
    pub gicr: Span<Ipa>,
    /// Its shared interrupts.
    pub spis: IntidSet,
    /// The devices that it owns ([`crate::hardware::Hardware::devices`]), in tree order. What every cell has of its own
    /// (CPUs, memory, GIC, timer, psci) and what is only a description (a fixed clock) is not among them.
    pub devices: Vec<NodeId>,
    /// Its virtual UART, on the hypervisor's console.
    pub uart: Option<VirtualUart>,
    /// Its watchdog.
    pub watchdog: Option<VirtualWatchdog>,
    /// The device that is its console, where the description names one.
    pub stdout: Option<NodeId>,
    /// What to load, and where.
    pub load: Load,
    /// What follows its crash.
    pub on_crash: OnCrash,
    /// How its interrupts reach it.
    pub interrupts: InterruptMode,
    /// Function IDs of the calls that firmware answers it.
    pub smc_allow: Vec<u32>,
    /// Things its owner should know that do not stop the boot: a dependency that another cell controls, say.
    pub warnings: Vec<String>,
}

/// What to put into a cell's RAM before each of its lives. Everything lies inside its RAM and nothing overlaps.
#[derive(Clone, Debug)]
pub struct Load {
    /// Copies out of the archive.
    pub pieces: Vec<Piece>,
    /// What an ELF image has in memory and not in its file. Whoever is loaded for the first time where the loader left
    /// things needs it zeroed; where all of RAM is zeroed it is too.
    pub zeroed: Vec<Span<Ipa>>,
    /// Where the guest's tree goes, and the room for it.
    pub tree: Span<Ipa>,
    /// What the tree is made of.
    pub source: TreeSource,
    /// The first instruction. x0 holds `tree.start()`, x1 to x3 are 0.
    pub entry: Ipa,
    /// Where the initrd lies, for /chosen.
    pub initrd: Option<Span<Ipa>>,
    /// The kernel's command line, for /chosen.
    pub bootargs: Option<String>,
}

/// What a cell's tree is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeSource {
    /// It is derived from the board's.
    Derived,
    /// The same, with an overlay: where in the archive that lies, and its bytes.
    Overlaid((u64, u64)),
    /// It is a file, which is one of the pieces; nothing is derived.
    Given,
}

/// One copy out of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where in the archive, in bytes from its start.
    pub offset: u64,
    /// Bytes to copy, not 0.
    pub size: u64,
    /// Where to.
    pub to: Ipa,
}

#[cfg(test)]
pub(crate) mod tests;
