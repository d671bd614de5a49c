//! The board's tree, read as hardware: CPUs, memory, GIC, timer, devices with their registers, interrupts and
//! dependencies. Nothing here knows of cells.

mod cpus;
mod depends;
mod devices;
mod error;
mod gic;
mod interrupts;
mod known;
mod memory;

use alloc::vec::Vec;

pub use cpus::{Conduit, Cpu, Psci, Start};
pub use depends::{Dependency, Depends};
pub use devices::{Device, Dma};
pub use error::HardwareError;
pub use gic::{Gic, Timer};
pub use known::{is_no_master, is_passive, is_without_vhe};
pub use memory::Reserved;

use crate::addr::{Pa, Span};
use crate::tree::{Node, NodeId, Tree};

/// A board.
#[derive(Clone, Debug)]
pub struct Hardware {
    /// Its CPUs in tree order; the place is the [`crate::cpu::PcpuId`].
    pub cpus: Vec<Cpu>,
    /// Its memory: rising, disjoint, none touching the next.
    pub memory: Vec<Span<Pa>>,
    /// Memory that firmware keeps to itself (the memory reservation block), as the tree has it.
    pub firmware: Vec<Span<Pa>>,
    /// The static regions of /reserved-memory, as the tree has them.
    pub reserved: Vec<Reserved>,
    /// Its interrupt controller.
    pub gic: Gic,
    /// The timer of each CPU.
    pub timer: Timer,
    /// How firmware is called.
    pub psci: Option<Psci>,
    /// The console that firmware used.
    pub stdout: Option<Stdout>,
    /// Everything else that can have an owner, in tree order: each enabled node that says what it is
    /// (`compatible`), or that has registers or shared interrupts, and is not merely a description ([`is_passive`]).
    pub devices: Vec<Device>,
}

/// A console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stdout {
    /// Its node.
    pub node: NodeId,
    /// Its first register.
    pub at: Pa,
}

impl Hardware {
    /// Reads a board's tree.
    ///
    /// # Errors
    /// Everything that stands in the way of using the board, all at once.
    pub fn read(tree: &Tree<'_>) -> Result<Self, Vec<HardwareError>> {
        let mut errors = Vec::new();
        let cpus = cpus::read(tree, &mut errors);
        let memory = memory::banks(tree, &mut errors);
        let reserved = memory::reserved(tree);
        let gic = gic::read(tree, &mut errors);
        let timer = gic::timer(tree, gic.as_ref().map(|gic| gic.node), &mut errors);
        match (gic, timer) {
            (Some(gic), Some(timer)) => {
                let psci = cpus::psci(tree);
                let devices = devices::read(tree, &gic, &mut errors);
                let firmware = tree.reservations().to_vec();
                let stdout = stdout(tree);
                let read = Self { cpus, memory, firmware, reserved, gic, timer, psci, stdout, devices };
                if tree.is_exhausted() {
                    return Err(Vec::from([HardwareError::TooEntangled]));
                }
                if errors.is_empty() { Ok(read) } else { Err(errors) }
            }
            _ => Err(errors),
        }
    }

    /// What this version can plan for but not drive: the boot is refused for it.
    pub fn not_driven(&self, tree: &Tree<'_>) -> Vec<HardwareError> {
        let path = |node| tree.node(node).path();
        // A single CPU runs already.
        let psci = |cpu: &&Cpu| cpu.start == Start::Psci && self.psci.is_some();
        let other = self.cpus.iter().filter(|_| self.cpus.len() > 1).find(|cpu| !psci(cpu));
        let cpu = other.map(|cpu| HardwareError::CpuStart { node: path(cpu.node) });
        cpu.into_iter().collect()
    }

    /// The device that this node is, or is a part of.
    pub fn device_of(&self, node: &Node<'_, '_>) -> Option<&Device> {
        core::iter::once(*node).chain(node.ancestors()).find_map(|n| self.device(n.id()))
    }

    /// The device that this node is.
    pub fn device(&self, node: NodeId) -> Option<&Device> {
        let at = self.devices.binary_search_by_key(&node, |d| d.node).ok()?;
        self.devices.get(at)
    }
}

fn stdout(tree: &Tree<'_>) -> Option<Stdout> {
    let chosen = tree.at("/chosen")?;
    let name = chosen.prop("stdout-path").or_else(|| chosen.prop("linux,stdout-path"))?.str()?;
    let name = name.split(':').next()?;
    let node = if name.starts_with('/') { tree.at(name) } else { tree.alias(name) }?;
    Some(Stdout { node: node.id(), at: node.reg().next()??.start() })
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
