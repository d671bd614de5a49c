//! From a description and a board to a plan that nobody has checked yet.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::marker::PhantomData;

use super::devices::Claims;
use super::spare::SpareSpis;
use super::{
    Boot, CellPlan, Console, CpuPlan, Draft, Plan, Region, console, cpus, devices, error, load, memory,
    watchdog,
};
use crate::addr::{Ipa, Span};
use crate::archive::Archive;
use crate::config::{CellConfig, Config};
use crate::cpu::{CellId, VcpuId};
use crate::hardware::{Conduit, Hardware};
use crate::refusal::{Refused, refuse};
use crate::tree::{Node, ResolveError, Tree};
use crate::vcpu::InterruptMode;

/// Where a cell other than root sees its distributor.
pub const CELL_GICD: Ipa = Ipa(0x0800_0000);
/// Where a cell other than root sees its first redistributor.
pub const CELL_GICR: Ipa = Ipa(0x080a_0000);
/// Where a cell other than root sees its CPU interface, with a GICv2.
pub const CELL_GICC: Ipa = Ipa(0x0801_0000);
/// Bytes of a distributor (IHI 0069H 12.8).
pub const GICD_SIZE: u64 = 64 << 10;
/// Bytes of a redistributor: RD_base and SGI_base (IHI 0069H 12.10).
pub const GICR_SIZE: u64 = 128 << 10;
/// Bytes of a GICv2's distributor (IHI 0048B 4.1.1).
const GICD_V2_SIZE: u64 = 4 << 10;
/// Bytes of a GICv2's virtual CPU interface (IHI 0048B 5.5).
const GICV_SIZE: u64 = 8 << 10;

/// What a draft is made of.
pub(super) struct Draw<'d, 'a> {
    pub(super) config: &'d Config,
    pub(super) board: &'d Tree<'a>,
    pub(super) hardware: &'d Hardware,
    pub(super) archive: &'d Archive<'a>,
    pub(super) boot: Boot,
}

impl<'d, 'a> Draw<'d, 'a> {
    /// The cells with their numbers.
    pub(super) fn cells(&self) -> impl Iterator<Item = (CellId, &'d CellConfig)> + use<'d> {
        (0..=u8::MAX).map(CellId).zip(&self.config.cells)
    }

    /// The cell's name in a message.
    #[inline(never)]
    pub(super) fn name(&self, cell: Option<CellId>) -> Option<&'d str> {
        self.config.cells.get(cell?.index()).map(|cell| cell.name.as_str())
    }

    /// The node that a cell's property names.
    #[inline(never)]
    pub(super) fn resolve(
        &self,
        cell: &CellConfig,
        property: &'static str,
        name: &str,
        errors: &mut Vec<Refused>,
    ) -> Option<Node<'d, 'a>> {
        self.resolve_for(&cell.name, property, name, errors)
    }

    /// The same of any node of the description.
    pub(super) fn resolve_for(
        &self,
        cell: &str,
        property: &'static str,
        name: &str,
        errors: &mut Vec<Refused>,
    ) -> Option<Node<'d, 'a>> {
        match self.board.resolve(name) {
            Ok(node) => return Some(node),
            Err(ResolveError::NotFound { name, nearest }) => {
                let refused = refuse(errors, &error::NAME_UNKNOWN).cell(cell, property).word(property);
                refused.quoted(&name).guess(nearest.as_deref());
            }
            Err(ResolveError::Ambiguous { name, candidates }) => {
                let refused = refuse(errors, &error::NAME_AMBIGUOUS).cell(cell, property).word(property);
                refused.quoted(&name);
                candidates.into_iter().for_each(|path| _ = refused.and(path));
            }
        }
        None
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
    ) -> Result<Self, Vec<Refused>> {
        let draw = Draw { config, board, hardware, archive, boot };
        let mut errors = Vec::new();
        cpus::check_vhe(&draw, &mut errors);
        let shares = cpus::assign(&draw, &mut errors);
        let ram = memory::divide(&draw, &mut errors);
        let console = console::choose(&draw, &mut errors);
        let claims = devices::claim(&draw, console, &mut errors);
        let mut spare = SpareSpis::of(&draw);

        let mut cells = Vec::with_capacity(config.cells.len());
        for (((id, cell), cpus), ram) in draw.cells().zip(shares).zip(ram) {
            let (gicd, gicr) = frames(hardware, cell.root, cpus.len());
            // A cell without a CPU, or without memory, is an error already.
            let Some((gicd, gicr)) = gicd.zip(gicr) else { continue };
            if ram.is_empty() {
                continue;
            }
            let mut uart = console::of_cell(console, cell, &mut errors);
            let mut watchdog = watchdog::of_cell(&draw, cell, &mut errors);
            spare.give(cell, &mut uart, &mut watchdog, &mut errors);
            let frames = [
                (Some(gicd), "its distributor"),
                (Some(gicr), "its redistributors"),
                (uart.map(|uart| uart.at), "its virtual UART"),
                (watchdog.map(|watchdog| watchdog.at), "its watchdog"),
            ];
            check_space(&draw, (id, cell), &ram, &claims, &frames, &mut errors);
            let Some(load) = load::place(&draw, cell, &ram, &mut errors) else { continue };
            let mut warnings = claims.warnings(&draw, (id, cell));
            claims.tell_elsewhere(&draw, id, &ram, &mut warnings);
            cells.push(CellPlan {
                id,
                name: cell.name.to_string(),
                root: cell.root,
                cpus,
                ram,
                mmio: claims.mmio(&draw, id),
                gicd,
                gicr,
                spis: claims.spis(&draw, id),
                devices: claims.nodes(&draw, id),
                uart,
                watchdog,
                stdout: console::device_of_cell(&draw, cell),
                load,
                on_crash: cell.on_crash,
                interrupts: cell.interrupts,
                smc_allow: cell.smc_allow.clone(),
                warnings,
            });
        }
        watchdog::check_watched(&draw, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        tell_deaf(console, &mut cells);
        tell_forwarded(hardware, &mut cells);
        let cpus = owned_cpus(&draw, &mut cells);
        let timer = &hardware.timer;
        let own_ppis =
            Vec::from([hardware.gic.maintenance, timer.hyp_physical, timer.hyp_virtual, timer.secure]);
        let reserved = memory::reserved(hardware).iter().collect();
        Ok(Self { cells, cpus, boot: draw.boot, console, own_ppis, reserved, state: PhantomData })
    }
}

/// Warns of what firmware does for a cell: it knows one caller only.
fn tell_forwarded(hardware: &Hardware, cells: &mut [CellPlan]) {
    let takes = hardware.psci.as_ref().is_some_and(|psci| psci.conduit == Conduit::Smc);
    let why = match takes {
        true => {
            "`smc-allow`: firmware acts for it on all of the machine, and takes addresses for physical ones"
        }
        false => "`smc-allow` does nothing: the board's tree names no firmware that takes SMCs",
    };
    cells
        .iter_mut()
        .filter(|cell| !cell.smc_allow.is_empty())
        .for_each(|cell| cell.warnings.push(why.to_string()));
}

/// Where a cell sees the GIC: root where it is, the others where the ABI says. With a GICv2 the CPU interface stands in
/// for the redistributors.
#[inline(never)]
fn frames(hardware: &Hardware, root: bool, cpus: usize) -> (Option<Span<Ipa>>, Option<Span<Ipa>>) {
    let gic = &hardware.gic;
    let first = gic.gicc.as_ref().or(gic.gicr.first()).map(|region| Ipa(region.start().0));
    let (size, gicr_size, gicr) = match gic.gicc {
        Some(_) => (GICD_V2_SIZE, Some(GICV_SIZE), CELL_GICC),
        None => (GICD_SIZE, GICR_SIZE.checked_mul(cpus as u64), CELL_GICR),
    };
    let (gicd, gicr) = if root { (Ipa(gic.gicd.start().0), first) } else { (CELL_GICD, Some(gicr)) };
    (Span::new(gicd, size), gicr.zip(gicr_size).and_then(|(gicr, size)| Span::new(gicr, size)))
}

/// Refuses what would be at one address of the cell together. Devices of one cell may share a page.
#[inline(never)]
fn check_space(
    draw: &Draw<'_, '_>,
    (id, cell): (CellId, &CellConfig),
    ram: &[Region],
    claims: &Claims,
    frames: &[(Option<Span<Ipa>>, &'static str)],
    errors: &mut Vec<Refused>,
) {
    let mut seen: Vec<(Span<Ipa>, &'static str)> = Vec::new();
    for region in ram {
        seen.extend(region.seen().map(|span| (span, "its memory")));
    }
    for (frame, name) in frames {
        let Some(frame) = *frame else { continue };
        if let Some((other, what)) = seen.iter().find(|(other, _)| other.overlaps(&frame)) {
            let at = frame.start().max(other.start());
            let refused = refuse(errors, &error::VIRTUAL_IN_THE_WAY).cell(&cell.name, "ram-base");
            refused.word(what).word(name).address(at.0);
        }
        seen.push((frame, name));
    }
    if cell.root {
        return;
    }
    claims.each_page(draw, id, |page, node| {
        let page = page.identity();
        if let Some((other, what)) = seen.iter().find(|(other, _)| other.overlaps(&page)) {
            let at = page.start().max(other.start());
            let refused = refuse(errors, &error::DEVICE_IN_THE_WAY).cell(&cell.name, "devices");
            refused.word(what).node(&draw.board.node(node)).address(at.0);
        }
    });
}

/// Where every cell is direct, no CPU hears the console's UART. The first cell is told.
fn tell_deaf(console: Option<Console>, cells: &mut [CellPlan]) {
    if console.is_some()
        && cells.iter().all(|cell| cell.interrupts != InterruptMode::Virtual)
        && let Some(first) = cells.first_mut()
    {
        first.warnings.push(
            "no cell has `interrupt-mode = \"virtual\"`: what is typed on the console is read only when a cell prints or waits"
                .to_string(),
        );
    }
}

/// The CPUs that have an owner. The first cell is told which ones have none.
#[inline(never)]
fn owned_cpus(draw: &Draw<'_, '_>, cells: &mut [CellPlan]) -> Vec<CpuPlan> {
    let mut owned = Vec::new();
    for cpu in &draw.hardware.cpus {
        let before = owned.len();
        for cell in cells.iter() {
            let at = cell.cpus.iter().position(|id| *id == cpu.id);
            if let Some(vcpu) = at.and_then(|at| u8::try_from(at).ok()) {
                owned.push(CpuPlan { id: cpu.id, affinity: cpu.affinity, cell: cell.id, vcpu: VcpuId(vcpu) });
            }
        }
        if owned.len() == before
            && let Some(first) = cells.first_mut()
        {
            let node = draw.board.node(cpu.node).path();
            first.warnings.push(format!("{} ({node}) is in no cell and stays off", cpu.id));
        }
    }
    owned
}
