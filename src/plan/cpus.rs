//! Which cell has which CPU.

use alloc::vec;
use alloc::vec::Vec;

use super::draft::Draw;
use super::error;
use crate::config::{CpuChoice, Vhe};
use crate::cpu::{CellId, PcpuId};
use crate::hardware::is_without_vhe;
use crate::refusal::{Refused, refuse};

/// Refuses VHE where a CPU is known to have none; what a tree does not tell, boot finds.
#[inline(never)]
pub(super) fn check_vhe(draw: &Draw<'_, '_>, errors: &mut Vec<Refused>) {
    if draw.config.hypervisor.vhe != Vhe::On {
        return;
    }
    let mut nodes = draw.hardware.cpus.iter().map(|cpu| draw.board.node(cpu.node));
    if let Some(node) = nodes.find(|node| node.compatibles().any(is_without_vhe)) {
        refuse(errors, &error::NO_VHE).cell("hypervisor", "vhe").node(&node);
    }
}

/// Each cell's CPUs, in the order of its vCPUs.
#[inline(never)]
pub(super) fn assign(draw: &Draw<'_, '_>, errors: &mut Vec<Refused>) -> Vec<Vec<PcpuId>> {
    let mut shares: Vec<Vec<PcpuId>> = vec![Vec::new(); draw.config.cells.len()];
    let mut owners: Vec<Option<CellId>> = vec![None; draw.hardware.cpus.len()];

    // Who asks for a certain CPU comes first, then who asks for some, then who takes what is left.
    let before = errors.len();
    for ((id, cell), share) in draw.cells().zip(&mut shares) {
        let CpuChoice::Names(names) = &cell.cpus else { continue };
        for name in names {
            let Some(node) = draw.resolve(cell, "cpus", name, errors) else { continue };
            let Some(cpu) = draw.hardware.cpus.iter().find(|cpu| cpu.node == node.id()) else {
                refuse(errors, &error::NOT_A_CPU).cell(&cell.name, "cpus").quoted(name).node(&node);
                continue;
            };
            match owners.get_mut(cpu.id.index()) {
                Some(Some(other)) => {
                    let other = draw.name(Some(*other)).unwrap_or_default();
                    let refused =
                        refuse(errors, &error::CPU_TWICE).cell(other, "cpus").cell(&cell.name, "cpus");
                    refused.number(cpu.id.index() as u64).node(&node);
                }
                Some(owner) => {
                    *owner = Some(id);
                    share.push(cpu.id);
                }
                None => {}
            }
        }
    }
    for ((id, cell), share) in draw.cells().zip(&mut shares) {
        let CpuChoice::Count(wanted) = cell.cpus else { continue };
        let free = owners.iter().filter(|owner| owner.is_none()).count();
        if wanted as usize > free {
            let refused = refuse(errors, &error::TOO_FEW_CPUS).cell(&cell.name, "cpus");
            refused.number(wanted.into()).number(free as u64).number(owners.len() as u64);
            continue;
        }
        // The last ones, so that the first, which boots, stays with root.
        take(&mut owners, id, share, free.saturating_sub(wanted as usize));
    }
    // A CPU that a mistake has withheld is no second mistake.
    let all_found = errors.len() == before;
    for ((id, cell), share) in draw.cells().zip(&mut shares) {
        if matches!(cell.cpus, CpuChoice::Rest) {
            take(&mut owners, id, share, 0);
        }
        if share.is_empty() && all_found {
            refuse(errors, &error::NO_CPU).cell(&cell.name, "cpus");
        }
    }
    shares
}

/// Gives a cell all free CPUs behind the first `skip`.
fn take(owners: &mut [Option<CellId>], cell: CellId, share: &mut Vec<PcpuId>, skip: usize) {
    let free = owners.iter_mut().zip(0..).filter(|(owner, _)| owner.is_none());
    for (owner, cpu) in free.skip(skip) {
        *owner = Some(cell);
        share.push(PcpuId(cpu));
    }
}
