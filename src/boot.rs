//! The shell around everything: from the loader's bytes to every CPU in its loop.
//!
//! [`Survey::new`] decides and touches nothing; [`Survey::build`] makes what was decided. Between the two, `arch` maps the GIC.

mod error;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::addr::{Ipa, Pa, Span};
use crate::archive::Archive;
use crate::cell::{Cell, Space, System};
use crate::config::{Config, Vhe};
use crate::console::{Console, Ports, RING};
use crate::cpu::CellId;
use crate::guest_tree::{self, GuestTree};
use crate::hardware::{Conduit, Hardware};
use crate::paging::{Geometry, HeapStore, Root, Stage2Attributes, Stage2Space, TakeTables};
use crate::plan::{Boot, CellPlan, Checked, CpuPlan, Plan, VirtualWatchdog, json, pool};
use crate::ports::{GicRegisters, GicVersion, Serial};
use crate::quiesce::Masters;
use crate::tree::Tree;
use crate::vcpu::InterruptMode;
use crate::vgic::{CellGic, GicShared, OwnPpis, SgiPlan, Wire};
use crate::watchdog::Watchdog;
pub use error::{BootError, CellError};

/// What cells' stage 2 is made with.
#[derive(Clone, Copy, Debug)]
pub struct Translation {
    /// ID_AA64MMFR0_EL1.PARange of the boot CPU.
    pub pa_range: u8,
    /// Whether VMIDs have 16 bits.
    pub vmid16: bool,
    /// Memory for tables.
    pub take: TakeTables,
}

/// The cells that could be made.
struct Made {
    cells: Vec<Cell>,
    /// Their CPUs.
    cpus: Vec<CpuPlan>,
    /// What of the console is theirs, and Bulkhead's, if there is one.
    ports: Option<Ports>,
}

/// What there is and what shall become of it.
#[derive(Debug)]
pub struct Survey<'a> {
    /// The board.
    pub hardware: Hardware,
    /// Who owns what.
    pub plan: Plan<Checked>,
    /// The board's tree.
    pub tree: Tree<'a>,
    /// Whether EL2 is to run with FEAT_VHE.
    pub vhe: Vhe,
    archive: &'a [u8],
}

impl<'a> Survey<'a> {
    /// Reads everything that the loader brought and makes the plan.
    ///
    /// # Errors
    /// All that is wrong, as far as one look can tell.
    pub fn new(board: &'a [u8], archive: &'a [u8], boot: Boot) -> Result<Self, Vec<BootError>> {
        let mut errors = Vec::new();
        let tree = Tree::parse(board).map_err(|e| errors.push(BootError::Board(e))).ok();
        let hardware = tree
            .as_ref()
            .and_then(|tree| Hardware::read(tree).map_err(|e| all(e, &mut errors, BootError::Hardware)).ok());
        let bytes = archive;
        let archive = Archive::parse(bytes).map_err(|e| errors.push(BootError::Archive(e))).ok();
        let description = archive
            .as_ref()
            .and_then(|archive| archive.description().map_err(|e| errors.push(BootError::Archive(e))).ok());
        let config = description.and_then(|description| {
            let tree = Tree::parse(description).map_err(|e| errors.push(BootError::Description(e))).ok()?;
            Config::parse(&tree).map_err(|e| all(e, &mut errors, BootError::Config)).ok()
        });
        let (Some(tree), Some(hardware), Some(archive), Some(config)) = (tree, hardware, archive, config)
        else {
            return Err(errors);
        };
        hardware
            .not_startable(&tree)
            .into_iter()
            .for_each(|error| log::error!("{}", BootError::Hardware(error)));
        let plan =
            Plan::draft(&config, &tree, &hardware, &archive, boot).and_then(|plan| plan.check(&hardware));
        let plan = plan.map_err(|e| {
            all(e, &mut errors, BootError::Plan);
            errors
        })?;
        if config.hypervisor.print_plan {
            json::log(&plan, &tree);
        }
        Ok(Self { hardware, plan, tree, vhe: config.hypervisor.vhe, archive: bytes })
    }

    /// EL2's private interrupts.
    pub fn own_ppis(&self) -> OwnPpis {
        OwnPpis { maintenance: self.hardware.gic.maintenance, alarm: self.hardware.timer.hyp_physical }
    }

    /// What randomness the loader brought (/chosen `rng-seed`, `kaslr-seed`), folded.
    pub fn seed(&self) -> u64 {
        let chosen = self.tree.at("/chosen");
        let seeds = ["rng-seed", "kaslr-seed"].into_iter().filter_map(|name| chosen?.prop(name));
        let words = seeds.flat_map(|seed| seed.cells());
        words.fold(0, |hash: u64, word| {
            (hash.rotate_left(27) ^ u64::from(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
    }

    /// What CPUs share of the physical GIC, whose distributor is initialised.
    pub fn gic(&self, machine: &impl GicRegisters, sgi: SgiPlan) -> GicShared {
        let affinities = self.hardware.cpus.iter().map(|cpu| cpu.affinity).collect();
        GicShared::new(machine, sgi, self.own_ppis(), affinities)
    }

    /// Makes the cells: tables, trees, interrupt controllers. All that is allocated for them is allocated here. `serial` is the plan's
    /// console. A cell that cannot be made is left out, and what it had taken is given back.
    ///
    /// # Errors
    /// Why the last one cannot be made, if none can.
    pub fn build(
        self,
        gic: GicShared,
        translation: Translation,
        serial: Option<Box<dyn Serial>>,
    ) -> Result<System, BootError> {
        let made = self.cells(&gic, translation, serial.is_some())?;
        Ok(self.together(made, gic, serial))
    }

    #[inline(never)]
    fn together(&self, made: Made, mut gic: GicShared, serial: Option<Box<dyn Serial>>) -> System {
        gic.console = self.plan.console.filter(|_| made.ports.is_some()).map(|own| own.spi);
        let console = serial.zip(made.ports).map(|(serial, ports)| Console::new(serial, ports));
        let smc = self.hardware.psci.as_ref().is_some_and(|psci| psci.conduit == Conduit::Smc);
        let mut system = System::new(made.cells, &made.cpus, gic, self.plan.boot.archive, smc);
        system.console = console;
        system
    }

    /// Apart from what comes afterwards: the boot stack has room for one of the two at a time.
    #[inline(never)]
    fn cells(&self, gic: &GicShared, translation: Translation, console: bool) -> Result<Made, BootError> {
        let count = self.plan.cells.len();
        // Where there is no room for this there is none for a cell either, and then nothing is started.
        let mut ports = console.then(|| Ports::new(count)).flatten();
        let mut left_out = None;
        let mut cells = Vec::with_capacity(count);
        let mut cpus = Vec::with_capacity(self.plan.cpus.len());
        for plan in &self.plan.cells {
            for warning in &plan.warnings {
                log::warn!("cell {}: {warning}", plan.name);
            }
            match self.cell(plan, gic, ports.as_mut(), translation, &mut cells) {
                Ok(cell) => {
                    let own = self.plan.cpus.iter().filter(|cpu| cpu.cell == plan.id);
                    cpus.extend(own.map(|cpu| CpuPlan { cell, ..cpu.clone() }));
                }
                Err(error) => {
                    let error = BootError::Cell { cell: plan.name.clone(), error };
                    log::error!("{error}; it is left out");
                    left_out = Some(error);
                }
            }
        }
        if let Some(error) = left_out.filter(|_| cells.is_empty()) {
            return Err(error);
        }
        Ok(Made { cells, cpus, ports })
    }

    #[inline(never)]
    fn cell(
        &self,
        plan: &CellPlan,
        gic: &GicShared,
        ports: Option<&mut Ports>,
        translation: Translation,
        cells: &mut Vec<Cell>,
    ) -> Result<CellId, CellError> {
        let space = stage2(plan, self.interface(plan)?, self.plan.boot.pool.last(), translation)?;
        // VMID 0 is nobody's, so that a stale entry of firmware's is nobody's either.
        let vmid = u16::from(plan.id.0).saturating_add(1);
        let registers = Space {
            vtcr: space.geometry().vtcr(translation.vmid16),
            vttbr: space.geometry().vttbr(vmid, space.root()),
        };
        let tree = guest_tree::planned(&self.tree, &self.hardware, &self.plan, plan, self.archive)
            .map_err(CellError::GuestTree)?;
        log::info!(
            "cell {}: {} CPUs, {} MiB, {} tables, a tree of {} bytes",
            plan.name,
            plan.cpus.len(),
            plan.ram.iter().fold(0u64, |sum, region| sum.saturating_add(region.size)) >> 20,
            space.tables(),
            tree.bytes.len()
        );
        let mut ring = Vec::new();
        let own_ring = ports.is_some() && plan.uart.is_some();
        if own_ring && !pool::reserve(&mut ring, RING) || !pool::has_room(aside(plan)) {
            return Err(CellError::NoMemory);
        }
        let wire = plan.uart.map(|_| Arc::<Wire>::default());
        let id = self.furnish(plan, gic, wire.clone(), registers, tree, cells)?;
        if let Some(ports) = ports {
            ports.add(&plan.name, wire, ring);
        }
        // Nothing fails any more, and the tables live as long as the machine runs.
        let space = Box::leak(Box::new(space));
        if let Some(cell) = cells.last_mut().filter(|cell| cell.gic.is_direct()) {
            cell.root_table = Some(Root::new(space.root_tables()));
        }
        Ok(id)
    }

    /// Where a cell finds its CPU interface, and what is there; `None` where that is no memory.
    fn interface(&self, plan: &CellPlan) -> Result<Option<(Span<Ipa>, Pa)>, CellError> {
        if self.hardware.gic.version() == GicVersion::V3 {
            return Ok(None);
        }
        let there = self.hardware.gic.interface(plan.interrupts).ok_or(CellError::NoVirtualInterface)?;
        Ok(Some((plan.gicr, there.start())))
    }

    /// The cell itself, put behind the others; those that come behind one that is left out move up. Apart from what its tree needs of
    /// the boot stack, which grows with the depth of the board's.
    #[inline(never)]
    fn furnish(
        &self,
        plan: &CellPlan,
        gic: &GicShared,
        wire: Option<Arc<Wire>>,
        space: Space,
        tree: GuestTree,
        cells: &mut Vec<Cell>,
    ) -> Result<CellId, CellError> {
        let own_ppis = self.plan.own_ppis.iter().fold(0, |mask, ppi| mask | 1 << ppi.intid());
        let mut cpus = Vec::with_capacity(plan.cpus.len());
        for id in &plan.cpus {
            cpus.push(self.plan.cpu(*id).map(|cpu| (cpu.id, cpu.affinity)).ok_or(CellError::NoMemory)?);
        }
        let mut cell_gic = CellGic::new(plan.spis.clone(), 0xffff_0000 & !own_ppis, cpus, gic);
        if plan.interrupts != InterruptMode::Virtual {
            cell_gic = cell_gic.with_direct(gic);
        }
        let mut cell_gic = match plan.uart.zip(wire) {
            Some((uart, wire)) => cell_gic.with_spi(uart.spi, wire),
            None => cell_gic,
        };
        let mut watchdog = None;
        if let Some(VirtualWatchdog { spi, .. }) = plan.watchdog {
            let wire = Arc::<Wire>::default();
            watchdog = Some(Watchdog::new(spi, wire.clone()));
            cell_gic = cell_gic.with_spi(spi, wire);
        }
        let id = CellId(u8::try_from(cells.len()).unwrap_or(u8::MAX));
        let Some(cell) = Cell::new(plan, &self.plan.reserved, space, cell_gic, tree) else {
            return Err(CellError::NoMemory);
        };
        let cell = cells.push_mut(cell);
        cell.id = id;
        cell.set_masters(Masters::of(&self.tree, &self.hardware, &plan.devices));
        cell.watchdog = watchdog;
        Ok(id)
    }
}

fn all<E>(from: Vec<E>, to: &mut Vec<BootError>, wrap: impl Fn(E) -> BootError) {
    to.extend(from.into_iter().map(wrap));
}

/// The most that a cell takes of EL2's memory beside its tables and its tree, with room for the heap's rounding.
fn aside(plan: &CellPlan) -> usize {
    /// What each cell has, whatever it owns.
    const EACH: usize = 2 << 10;
    /// For a vCPU: its redistributor and its power switch.
    const PER_VCPU: usize = 256;
    /// For a stretch of memory or a device.
    const PER_SPAN: usize = 64;
    /// For a virtual UART beside its ring: what waits to be read.
    const UART: usize = 512;
    let spans = plan.ram.len().wrapping_add(plan.mmio.len()).wrapping_add(plan.devices.len());
    // A plan holds thousands at most.
    let uart = if plan.uart.is_some() { UART } else { 0 };
    EACH.wrapping_add(uart)
        .wrapping_add(plan.cpus.len().wrapping_mul(PER_VCPU))
        .wrapping_add(spans.wrapping_mul(PER_SPAN))
}

/// A cell's stage 2: RAM, and the devices that it reaches without a trap. Its tables lie below `tables`.
fn stage2(
    plan: &CellPlan,
    interface: Option<(Span<Ipa>, Pa)>,
    tables: Pa,
    with: Translation,
) -> Result<Stage2Space, CellError> {
    let regions = [(&plan.ram, Stage2Attributes::Ram), (&plan.mmio, Stage2Attributes::Device)];
    let devices = [plan.uart.map(|uart| uart.at), plan.watchdog.map(|watchdog| watchdog.at)];
    let devices = devices.into_iter().flatten().chain([plan.gicd, plan.gicr]);
    let (mut highest, mut physical) = (devices.map(|span| span.last().0).max().unwrap_or(0), tables);
    for region in regions.iter().flat_map(|(regions, _)| regions.iter()) {
        let last = region.size.saturating_sub(1);
        highest = highest.max(region.ipa.0.saturating_add(last));
        physical = physical.max(Pa(region.pa.0.saturating_add(last)));
    }
    if let Some((span, at)) = interface {
        physical = physical.max(Pa(at.0.saturating_add(span.size())));
    }
    let geometry =
        Geometry::for_stage2(with.pa_range, highest).map_err(CellError::Geometry)?.narrowed_to(physical);
    let store = HeapStore::new(&geometry, with.take);
    let space = store.and_then(|store| Stage2Space::new(geometry, store));
    let mut space = space.ok_or(CellError::NoMemory)?;
    for (regions, attributes) in regions {
        for region in regions {
            let Some(span) = Span::new(region.ipa, region.size) else { continue };
            space.map(span, region.pa, attributes).map_err(CellError::Map)?;
        }
    }
    if let Some((span, at)) = interface {
        space.map(span, at, Stage2Attributes::Device).map_err(CellError::Map)?;
    }
    Ok(space)
}

#[cfg(test)]
mod tests;
