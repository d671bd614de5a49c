//! Which CPU runs what.

use crate::cpu::{Affinity, CellId, VcpuId};
use crate::plan::CpuPlan;

/// A physical CPU and what it runs, for ever.
#[derive(Clone, Copy, Debug)]
pub struct Seat {
    /// Its affinity.
    pub affinity: Affinity,
    /// Its cell.
    pub cell: CellId,
    /// Its vCPU there.
    pub vcpu: VcpuId,
}

impl Seat {
    pub(super) fn of(cpu: &CpuPlan) -> Self {
        Self { affinity: cpu.affinity, cell: cpu.cell, vcpu: cpu.vcpu }
    }
}
