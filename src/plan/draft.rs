//! From a description and a board to a plan that nobody has checked yet.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::marker::PhantomData;

use super::devices::Claims;
use super::{
    Boot, CellPlan, CpuPlan, Draft, Plan, PlanError, VirtualUart, console, cpus, devices, load, memory,
};
use crate::addr::{Ipa, Pa, Span};
use crate::archive::Archive;
use crate::config::{CellConfig, Config};
use crate::cpu::{CellId, PcpuId, VcpuId};
use crate::hardware::Hardware;
use crate::sort;
use crate::tree::Tree;

/// Where a cell other than root sees its distributor.
pub const CELL_GICD: Ipa = Ipa(0x0800_0000);
/// Where a cell other than root sees its first redistributor.
pub const CELL_GICR: Ipa = Ipa(0x080a_0000);
/// Bytes of a distributor (IHI 0069H 12.8).
pub const GICD_SIZE: u64 = 64 << 10;
/// Bytes of a redistributor: RD_base and SGI_base (IHI 0069H 12.10).
pub const GICR_SIZE: u64 = 128 << 10;

/// What a draft is made of.
pub(super) struct Draw<'d, 'a> {
    pub(super) config: &'d Config,
    pub(super) board: &'d Tree<'a>,
    pub(super) hardware: &'d Hardware,
    pub(super) archive: &'d Archive<'a>,
    pub(super) boot: Boot,
}

impl Draw<'_, '_> {
    /// Who has something, in a sentence.
    pub(super) fn who(&self, owner: Option<CellId>) -> String {
        owner.map_or_else(|| "nobody".to_string(), |cell| format!("cell `{}`", self.name(Some(cell))))
    }

    /// The cell's name in a message.
    pub(super) fn name(&self, cell: Option<CellId>) -> String {
        let cell = cell.and_then(|cell| self.config.cells.get(cell.index()));
        cell.map_or_else(|| "nobody".to_string(), |cell| cell.name.to_string())
    }
}

impl Plan<Draft> {
    /// Divides the board as the description says. `boot` tells what is there before any cell.
    ///
    /// # Errors
    /// Everything in the description that this board cannot give, all at once.
    pub fn draft(
        config: &Config,
        board: &Tree<'_>,
        hardware: &Hardware,
        archive: &Archive<'_>,
        boot: Boot,
    ) -> Result<Self, Vec<PlanError>> {
        let draw = Draw { config, board, hardware, archive, boot };
        let mut errors = Vec::new();
        let shares = cpus::assign(&draw, &mut errors);
        let ram = memory::divide(&draw, &mut errors);
        let console = console::choose(&draw, &mut errors);
        let claims = devices::claim(&draw, console, &mut errors);

        let mut cells = Vec::with_capacity(config.cells.len());
        for (((id, cell), cpus), ram) in ids().zip(&config.cells).zip(shares).zip(ram) {
            let (gicd, gicr) = frames(hardware, cell.root, cpus.len());
            // A cell without a CPU is an error already.
            let Some((gicd, gicr)) = gicd.zip(gicr) else { continue };
            // Without memory, which is an error already, there is nowhere to load to.
            let load = (!ram.is_empty()).then(|| load::place(&draw, cell, &ram));
            let load = match load {
                Some(Ok(load)) => load,
                Some(Err(error)) => {
                    errors.push(error);
                    continue;
                }
                None => continue,
            };
            let mmio = claims.mmio(&draw, id);
            let uart = console::of_cell(&draw, console, cell, &mut errors);
            errors.extend(collisions(&draw, cell, &ram, &claims, id, [gicd, gicr], uart));
            cells.push(CellPlan {
                id,
                name: cell.name.to_string(),
                root: cell.root,
                cpus,
                ram,
                mmio,
                gicd,
                gicr,
                spis: claims.spis(&draw, id),
                devices: claims.nodes(&draw, id),
                uart,
                stdout: console::device_of_cell(&draw, cell),
                load,
                warnings: claims.warnings(&draw, id),
            });
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let cpus = owned_cpus(hardware, &cells);
        report_idle(&draw, &cpus, &mut cells);
        let timer = &hardware.timer;
        let own_ppis =
            [hardware.gic.maintenance, timer.hyp_physical, timer.hyp_virtual, timer.secure].to_vec();
        let reserved = memory::reserved(hardware).iter().collect();
        Ok(Self { cells, cpus, boot: draw.boot, console, own_ppis, reserved, state: PhantomData })
    }
}

pub(super) fn ids() -> impl Iterator<Item = CellId> {
    (0..=u8::MAX).map(CellId)
}

/// Where a cell sees the GIC: root where it is, the others where the ABI says.
pub(super) fn frames(hardware: &Hardware, root: bool, cpus: usize) -> (Option<Span<Ipa>>, Option<Span<Ipa>>) {
    let gic = &hardware.gic;
    let (gicd, gicr) = if root {
        (Ipa(gic.gicd.start().0), gic.gicr.first().map(|region| Ipa(region.start().0)))
    } else {
        (CELL_GICD, Some(CELL_GICR))
    };
    let size = GICR_SIZE.checked_mul(cpus as u64);
    (Span::new(gicd, GICD_SIZE), gicr.zip(size).and_then(|(gicr, size)| Span::new(gicr, size)))
}

/// What would be at one address of the cell together.
fn collisions(
    draw: &Draw<'_, '_>,
    cell: &CellConfig,
    ram: &[super::Region],
    claims: &Claims,
    id: CellId,
    [gicd, gicr]: [Span<Ipa>; 2],
    uart: Option<VirtualUart>,
) -> Vec<PlanError> {
    let mut seen: Vec<(Span<Ipa>, String)> = ram
        .iter()
        .filter_map(|region| Some((region.seen()?, "its memory".to_string())))
        .chain([(gicd, "its distributor".to_string()), (gicr, "its redistributors".to_string())])
        .chain(uart.map(|uart| (uart.at, "its virtual UART".to_string())))
        .collect();
    if !cell.root {
        let device = |(span, node): (Span<Pa>, _)| (span.identity(), draw.board.node(node).path());
        seen.extend(claims.pages(draw, id).map(device));
    }
    sort::by_key(&mut seen, |(span, _)| span.start());
    let mut errors = Vec::new();
    for (at, (span, what)) in seen.iter().enumerate() {
        // Two devices of one cell may share a page.
        let device = |what: &str| what.starts_with('/');
        let other = seen
            .iter()
            .take(at)
            .find(|(other, name)| other.overlaps(span) && !(device(name) && device(what)));
        if let Some((_, other)) = other {
            let what = [other.clone(), what.clone()];
            errors.push(PlanError::IpaTwice { cell: cell.name.to_string(), what, at: span.start() });
        }
    }
    errors
}

fn owned_cpus(hardware: &Hardware, cells: &[CellPlan]) -> Vec<CpuPlan> {
    let owner = |id: PcpuId| {
        cells.iter().find_map(|cell| {
            let at = cell.cpus.iter().position(|cpu| *cpu == id)?;
            Some((cell.id, VcpuId(u8::try_from(at).ok()?)))
        })
    };
    let plan = |cpu: &crate::hardware::Cpu| {
        let (cell, vcpu) = owner(cpu.id)?;
        Some(CpuPlan { id: cpu.id, affinity: cpu.affinity, cell, vcpu })
    };
    hardware.cpus.iter().filter_map(plan).collect()
}

/// Says in the first cell which CPUs nobody has.
fn report_idle(draw: &Draw<'_, '_>, cpus: &[CpuPlan], cells: &mut [CellPlan]) {
    let Some(first) = cells.first_mut() else { return };
    for cpu in draw.hardware.cpus.iter().filter(|cpu| !cpus.iter().any(|owned| owned.id == cpu.id)) {
        let node = draw.board.node(cpu.node).path();
        first.warnings.push(format!("{} ({node}) is in no cell and stays off", cpu.id));
    }
}
