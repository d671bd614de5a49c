//! Which cell has which CPU.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::PlanError;
use super::draft::Draw;
use crate::config::{CellConfig, CpuChoice};
use crate::cpu::PcpuId;

/// Each cell's CPUs, in the order of its vCPUs.
pub(super) fn assign(draw: &Draw<'_, '_>, errors: &mut Vec<PlanError>) -> Vec<Vec<PcpuId>> {
    let mut shares: Vec<Vec<PcpuId>> = vec![Vec::new(); draw.config.cells.len()];
    let mut owners: Vec<Option<&CellConfig>> = vec![None; draw.hardware.cpus.len()];

    // Who asks for a certain CPU comes first, then who asks for some, then who takes what is left.
    for (cell, share) in draw.config.cells.iter().zip(&mut shares) {
        let CpuChoice::Names(names) = &cell.cpus else { continue };
        for name in names {
            match named(draw, cell, name) {
                Ok(cpu) => match owners.get_mut(cpu.index()) {
                    Some(Some(other)) => errors.push(PlanError::CpuTwice {
                        cpu,
                        node: node(draw, cpu),
                        cells: [other.name.to_string(), cell.name.to_string()],
                    }),
                    Some(owner) => {
                        *owner = Some(cell);
                        share.push(cpu);
                    }
                    None => {}
                },
                Err(error) => errors.push(error),
            }
        }
    }
    for (cell, share) in draw.config.cells.iter().zip(&mut shares) {
        let CpuChoice::Count(wanted) = cell.cpus else { continue };
        let free = owners.iter().filter(|owner| owner.is_none()).count();
        if wanted as usize > free {
            let (cell, all) = (cell.name.to_string(), owners.len());
            errors.push(PlanError::TooFewCpus { cell, wanted, free, all });
            continue;
        }
        // The last ones, so that the first, which boots, stays with root.
        let last = owners.iter_mut().enumerate().rev().filter(|(_, owner)| owner.is_none());
        for (at, owner) in last.take(wanted as usize) {
            *owner = Some(cell);
            share.extend(id(at));
        }
        share.reverse();
    }
    for (cell, share) in draw.config.cells.iter().zip(&mut shares) {
        if matches!(cell.cpus, CpuChoice::Rest) {
            for (at, owner) in owners.iter_mut().enumerate().filter(|(_, owner)| owner.is_none()) {
                *owner = Some(cell);
                share.extend(id(at));
            }
        }
        if share.is_empty() && errors.is_empty() {
            errors.push(PlanError::NoCpu { cell: cell.name.to_string() });
        }
    }
    shares
}

fn id(at: usize) -> Option<PcpuId> {
    u8::try_from(at).ok().map(PcpuId)
}

fn node(draw: &Draw<'_, '_>, cpu: PcpuId) -> String {
    draw.hardware.cpus.get(cpu.index()).map_or_else(String::new, |cpu| draw.board.node(cpu.node).path())
}

fn named(draw: &Draw<'_, '_>, cell: &CellConfig, name: &str) -> Result<PcpuId, PlanError> {
    let node = draw.board.resolve(name).map_err(|error| PlanError::Name {
        cell: cell.name.to_string(),
        property: "cpus",
        error,
    })?;
    let cpu = draw.hardware.cpus.iter().find(|cpu| cpu.node == node.id());
    cpu.map(|cpu| cpu.id).ok_or_else(|| PlanError::NotACpu {
        cell: cell.name.to_string(),
        name: name.to_string(),
        node: node.path(),
    })
}
