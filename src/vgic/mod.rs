//! The GIC that a cell sees. The distributor and redistributors are filters over the physical ones:
//! state lives in hardware, masked by what the cell owns. Software keeps only what hardware does not have: list registers
//! and the queue behind them, group enables, identity registers, and those SGIs that firmware does not leave to us.
//!
//! In reading order:
//! - `offsets`, `bank`: the physical registers; [`physical`]: their start.
//! - [`SgiPlan`], [`GicShared`]: what the whole machine shares. [`CellGic`]: what a cell's vCPUs share.
//! - `lr`, `queue`, [`VcpuGic`]: a vCPU's list registers; `refill`: more pending interrupts than list registers.
//! - `spi`, `spis`: interrupts that no hardware has, those of virtual devices.
//! - `direct`: cells that have the physical CPU interface.
//! - `fold`: list registers seen as distributor state. `errand`: the same asked of another CPU.
//! - `registers`: the tables of registers; `state`, `identity`, `word`: what their rows mean. `sgi`: ICC_SGI1R_EL1.
//! - `targets`, `sender`: what only a GICv2 has: SPIs that name CPU interfaces, and SGIs that tell who sent them.
//!
//! What a guest may notice:
//! - All its interrupts are Group 1 for good. Priorities from 0 to 0x0f become 0x10: the first of the 16 levels is EL2's.
//! - IROUTER.Interrupt_Routing_Mode reads 0; written 1, it routes to vCPU 0. A route to a vCPU that it does not have is not taken.
//! - An edge that comes while the one before waits in a list register is delivered too, where hardware would merge the two.
//! - What is pending in another vCPU's list register reads as active there, as if just acknowledged.
//! - Handlers that nest as deep as there are list registers keep the next interrupt waiting until one of them ends.
//! - What ISACTIVER made active ends by ICACTIVER alone, not by ICC_DIR_EL1.
//!
//! With `interrupt-mode = "direct"` none of the last four lines holds; [`direct`] has what does.

mod bank;
mod cell;
mod direct;
mod errand;
#[cfg(test)]
pub(crate) mod fake;
mod fold;
mod identity;
mod lr;
mod offsets;
pub mod physical;
mod queue;
mod refill;
mod registers;
mod sender;
mod sgi;
mod shared;
mod spi;
mod spis;
mod state;
mod targets;
#[cfg(test)]
mod tests;
mod vcpu;
mod word;

pub use cell::CellGic;
pub use direct::{read_common, write_common};
pub use registers::{gicd_access, gicr_access};
pub use sgi::sgi1r;
pub use shared::{GicShared, OwnPpis, SgiPlan, kick};
pub use spi::Wire;
pub use vcpu::{Irq, VcpuGic};

use crate::cpu::VcpuId;
use crate::inbox::Inbox;
use crate::ports::{CpuInterface, GicRegisters, LentInterface, VirtualInterface};

/// All that a virtual GIC asks of a CPU.
pub trait GicPorts: CpuInterface + LentInterface + VirtualInterface + GicRegisters {}
impl<T: CpuInterface + LentInterface + VirtualInterface + GicRegisters> GicPorts for T {}

/// What an access of a guest to its GIC can reach.
pub struct GicCtx<'a, M> {
    /// The CPU that runs the vCPU.
    pub machine: &'a mut M,
    /// The vCPU's own part.
    pub vcpu: &'a mut VcpuGic,
    /// Its cell's part.
    pub cell: &'a CellGic,
    /// The machine's part.
    pub shared: &'a GicShared,
    /// The inbox of each CPU, by [`crate::cpu::PcpuId`].
    pub inboxes: &'a [Inbox],
    /// The vCPU.
    pub me: VcpuId,
}
