//! The whole of what runs: all cells, and what a CPU does to another.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Cell, Ended, Life, Seat, Start, Then};
use crate::addr::{Pa, Span};
use crate::console::Console;
use crate::cpu::{CpuSet, PcpuId, VcpuId};
use crate::crash::{Record, Verdict};
use crate::inbox::{Inbox, Kick, Request};
use crate::intid::Spi;
use crate::paging::{self, Root};
use crate::plan::CpuPlan;
use crate::ports::{CpuInterface, Devices, Firmware, GicRegisters, GicVersion, Recall, Timer};
use crate::psci::PsciError;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::vcpu::InterruptMode;
use crate::vgic::{self, GicShared};

/// The machine as it runs: made at boot from a checked plan, shared by all CPUs.
pub struct System {
    /// By [`CellId`].
    pub cells: Vec<Cell>,
    /// By [`PcpuId`].
    pub inboxes: Box<[Inbox]>,
    /// By [`PcpuId`]; CPUs that nobody owns have none.
    seats: Box<[Option<Seat>]>,
    /// The physical GIC.
    pub gic: GicShared,
    /// Where the images are.
    pub archive: Span<Pa>,
    /// Whether firmware takes SMCs.
    pub smc: bool,
    /// The hypervisor's console, if it has one.
    pub console: Option<Console>,
    /// The physical count at the image's first instruction.
    pub entered: u64,
    /// Bytes of EL2's memory that are free.
    pub free_memory: fn() -> usize,
    /// Cells that are not off.
    alive: AtomicU32,
    /// No CPU takes EL2's interrupts while its guest runs.
    pub deaf: bool,
    /// No cell begins another life.
    halting: AtomicBool,
    /// CPUs that never came up, a bit each.
    absent: AtomicU64,
    /// Every CPU counts its ticks at EL2.
    timed: AtomicBool,
}

impl System {
    /// The system in which every cell waits to be started by the CPU of its vCPU 0, which finds the request when it
    /// comes to [`crate::run::cpu`].
    pub fn new(cells: Vec<Cell>, cpus: &[CpuPlan], gic: GicShared, archive: Span<Pa>, smc: bool) -> Self {
        let ids = 0..cpus.iter().map(|cpu| cpu.id.0).max().map_or(0, |last| last.saturating_add(1));
        let seats = ids.clone().map(|id| cpus.iter().find(|cpu| cpu.id.0 == id).map(Seat::of));
        let alive = AtomicU32::new(u32::try_from(cells.len()).unwrap_or(u32::MAX));
        let deaf = cells.iter().all(|cell| cell.gic.is_direct());
        let system = Self {
            // Made smaller, it might need memory where there is none: one was left out for that.
            cells,
            inboxes: ids.map(|_| Inbox::default()).collect(),
            seats: seats.collect(),
            gic,
            archive,
            smc,
            console: None,
            entered: 0,
            free_memory: || 0,
            alive,
            deaf,
            halting: AtomicBool::new(false),
            absent: AtomicU64::new(0),
            timed: AtomicBool::new(false),
        };
        for cell in &system.cells {
            // No CPU sleeps yet, so nobody needs the kick.
            let Kick(_) = system.wake(cell);
        }
        system
    }

    /// All CPUs that run something.
    pub fn cpus(&self) -> impl Iterator<Item = (PcpuId, Seat)> + '_ {
        (0..u8::MAX).map(PcpuId).zip(&self.seats).filter_map(|(id, seat)| Some((id, (*seat)?)))
    }

    /// What a CPU runs.
    pub fn seat(&self, cpu: PcpuId) -> Option<Seat> {
        *self.seats.get(cpu.index())?
    }

    /// Posts a request.
    fn post(&self, cpu: PcpuId, request: Request) -> Kick {
        self.inboxes.get(cpu.index()).map_or(Kick::default(), |inbox| inbox.post(cpu, request))
    }

    /// Asks the CPU of vCPU 0 to look at the cell's life.
    fn wake(&self, cell: &Cell) -> Kick {
        cell.cpu(VcpuId(0)).map_or(Kick::default(), |cpu| self.post(cpu, Request::Start))
    }

    /// Sends kicks.
    #[inline]
    pub fn send(&self, kick: Kick, machine: &mut impl CpuInterface) {
        vgic::kick(machine, kick, &self.gic);
    }

    fn absent(&self) -> CpuSet {
        CpuSet(self.absent.load(Ordering::Relaxed))
    }

    /// CPU_ON.
    pub fn cpu_on(
        &self,
        cell: &Cell,
        vcpu: VcpuId,
        start: Start,
        machine: &mut impl CpuInterface,
    ) -> Result<(), PsciError> {
        if cell.cpu(vcpu).is_some_and(|cpu| self.absent().contains(cpu.index())) {
            return Err(PsciError::InternalFailure);
        }
        let cpu = cell.switch_on(vcpu, start)?;
        self.send(self.post(cpu, Request::Start), machine);
        Ok(())
    }

    /// The CPU that the console's interrupt goes to: the root cell's first, which has the least to lose, or else the one that
    /// booted; but none that takes no interrupt of EL2's.
    pub fn console_cpu(&self, boot: PcpuId) -> Option<(PcpuId, Seat)> {
        let roots = self.cells.iter().filter(|cell| cell.root).filter_map(|cell| cell.cpu(VcpuId(0)));
        let wanted = roots.chain([boot]).chain(self.cpus().map(|(id, _)| id));
        let mut there = wanted.filter(|cpu| !self.absent().contains(cpu.index()));
        there.find_map(|cpu| Some((cpu, self.seat(cpu).filter(|seat| self.hears(*seat))?)))
    }

    /// Whether EL2's interrupts reach a CPU while its guest runs.
    fn hears(&self, seat: Seat) -> bool {
        self.cells.get(seat.cell.index()).is_some_and(|cell| !cell.gic.is_direct())
    }

    /// The CPU that watches those that take no interrupt of EL2's.
    pub fn watcher(&self) -> Option<PcpuId> {
        self.console_cpu(PcpuId(0)).map(|(cpu, _)| cpu)
    }

    /// Asks something of a CPU.
    pub fn ask(&self, cpu: PcpuId, request: Request, machine: &mut impl CpuInterface) {
        self.send(self.post(cpu, request), machine);
    }

    /// Every CPU shall tell why it left its guest ([`Cell::told`]).
    #[cold]
    pub fn ask_for_counts(&self, machine: &mut impl CpuInterface) {
        let all = self.cpus().map(|(cpu, _)| self.post(cpu, Request::Counts));
        self.send(all.fold(Kick::default(), Kick::and), machine);
    }

    /// Ticks at EL2 are to be counted, or not any more, by each CPU as soon as it is asked; which of both.
    pub fn switch_timing(&self) -> bool {
        !self.timed.fetch_xor(true, Ordering::Relaxed)
    }

    /// Whether ticks at EL2 are to be counted.
    pub fn is_timed(&self) -> bool {
        self.timed.load(Ordering::Relaxed)
    }

    /// CPUs shall look at their cell's virtual SPIs.
    #[cold]
    pub fn look_at_lines(&self, cpus: CpuSet, machine: &mut impl CpuInterface) {
        for cpu in cpus.iter() {
            self.send(self.post(PcpuId(cpu as u8), Request::Line), machine);
        }
    }

    /// The line of a cell's virtual SPI changed: whoever is concerned shall look.
    pub fn line_changed(&self, cell: &Cell, spi: Spi, machine: &mut (impl CpuInterface + GicRegisters)) {
        if cell.gic.drive_line(machine, spi) {
            return;
        }
        if let Some(cpu) = cell.gic.line_concerns(spi).and_then(|vcpu| cell.cpu(vcpu)) {
            self.look_at_lines(CpuSet::of([cpu.index()]), machine);
        }
    }

    /// A new life for a cell, be it running or off. Whoever orders it has looked, so crashes begin to count anew.
    pub fn restart(&self, cell: &Cell, machine: &mut impl Recall) {
        // Nobody loads a cell whose first CPU never came up.
        if cell.cpu(VcpuId(0)).is_none_or(|cpu| self.absent().contains(cpu.index())) {
            return;
        }
        if cell.interrupts == (InterruptMode::Direct { own_wfi: true }) && cell.life().goes_on() {
            let name = &cell.name;
            log::error!(
                "cell {name}: cannot restart while it runs: with `wfi = \"own\"` its CPUs may not hear of it"
            );
            return;
        }
        if let Some(device) = cell.masters.unstoppable() {
            return no_restart(cell, device, "stays as it is");
        }
        let again = {
            let mut life = cell.life.lock();
            if self.halting.load(Ordering::SeqCst) {
                return;
            }
            let again = life.begin_again();
            // Counted before anybody can take it for off again.
            self.alive.fetch_add(u32::from(again), Ordering::AcqRel);
            again
        };
        cell.deaths.lock().forgive();
        if !again {
            return self.stop(cell, Then::AGAIN, None, machine);
        }
        log::info!("cell {}: starts again", cell.name);
        self.send(self.wake(cell), machine);
    }

    /// A cell died, and this is how. What follows is what its description says. `by` is the CPU that noticed, if it is one of
    /// the cell's and is about to give its vCPU up by itself; the others are told.
    #[cold]
    pub fn crashed(
        &self,
        cell: &Cell,
        record: Record,
        by: Option<PcpuId>,
        machine: &mut (impl Recall + Timer),
    ) {
        // A life that is ending already is not ended twice.
        if !cell.life.lock().goes_on() {
            return;
        }
        let verdict = {
            let mut deaths = cell.deaths.lock();
            let Some(verdict) = deaths.add(record, cell.on_crash, machine) else { return };
            if let Some(last) = deaths.last() {
                log::error!("cell {}: crash {}: {last}", cell.name, deaths.count());
            }
            verdict
        };
        log::error!("cell {}: {verdict}", cell.name);
        match verdict {
            Verdict::Restart { at, .. } => self.stop(cell, Then::Restart { at }, by, machine),
            Verdict::Stop | Verdict::GiveUp(_) => self.stop(cell, Then::Off, by, machine),
            Verdict::HaltMachine => self.halt(by, machine),
        }
    }

    /// Stops every cell for good. With the last one the machine goes off.
    fn halt(&self, by: Option<PcpuId>, machine: &mut impl Recall) {
        self.halting.store(true, Ordering::SeqCst);
        for cell in &self.cells {
            // Whoever begins a life after this lock sees that it may not.
            cell.life.lock().is_last();
            self.stop(cell, Then::Off, by, machine);
        }
    }

    /// Begins to end a cell's life: all its CPUs but `by` are told, who knows. Each says [`System::quiet`] in the end.
    pub fn stop(&self, cell: &Cell, then: Then, by: Option<PcpuId>, machine: &mut impl Recall) {
        let present = CpuSet(cell.cpus().0 & !self.absent().0);
        let unstoppable = cell.masters.unstoppable().filter(|_| then != Then::Off);
        let then = if unstoppable.is_some() { Then::Off } else { then };
        let mut life = cell.life.lock();
        let Some(cpus) = life.stop(then, present) else { return };
        let mut kick = CpuSet::default();
        for cpu in cpus.iter().filter(|cpu| by.is_none_or(|by| *cpu != by.index())) {
            let Kick(one) = self.post(PcpuId(cpu as u8), Request::Stop);
            kick = CpuSet(kick.0 | one.0);
        }
        if let Some(root) = &cell.root_table {
            // Under the lock: the next life, which has all of this back, cannot begin before it is over.
            self.recall(cell, root, CpuSet(kick.0), machine);
        }
        drop(life);
        if let Some(device) = unstoppable {
            no_restart(cell, device, "goes off");
        }
        self.send(Kick(kick), machine);
    }

    /// Takes the memory of a cell away, so that its CPUs fault, whatever they do. They may sleep, too: EL2 in a guest's place, which
    /// the kick wakes, or the guest itself in WFE, which an event ends.
    #[cold]
    fn recall(&self, cell: &Cell, root: &Root, cpus: CpuSet, machine: &mut impl Recall) {
        root.clear();
        machine.invalidate_vmid(cell.vttbr());
        for cpu in cpus.iter() {
            cell.gic.listen(machine, &self.gic, PcpuId(cpu as u8));
        }
        machine.send_event();
    }

    /// A CPU runs nothing of the cell any more. The last one of a life to say so does what follows.
    pub fn quiet(
        &self,
        cell: &Cell,
        cpu: PcpuId,
        machine: &mut (impl CpuInterface + GicRegisters + Devices + Firmware + Timer),
    ) {
        let ended = cell.life.lock().quiet(cpu);
        let Ended::Yes(then) = ended else { return };
        // It is still stopping, so nobody begins its next life meanwhile.
        if let Some(console) = &self.console {
            console.ended(cell.id);
        }
        if then == Then::Off {
            self.still(cell, machine);
        }
        let next = cell.life.lock().end();
        match next {
            Then::Restart { .. } => {
                cell.tell(machine, format_args!("restarts"));
                self.send(self.wake(cell), machine);
            }
            Then::Off => {
                if then != Then::Off {
                    self.still(cell, machine);
                }
                log::info!("cell {}: off", cell.name);
                self.gone(machine);
            }
        }
    }

    /// Nothing of a cell without a next life is to do anything: its interrupts and its devices.
    fn still(&self, cell: &Cell, machine: &mut (impl GicRegisters + Devices + Timer)) {
        cell.gic.scrub(machine, &self.gic);
        if let Err(device) = cell.masters.stop(machine, || true) {
            log::error!("cell {}: the device at {device} does not stop", cell.name);
        }
    }

    /// One cell fewer. With the last one the machine goes off.
    fn gone(&self, machine: &mut (impl Firmware + Timer)) {
        if self.alive.fetch_sub(1, Ordering::AcqRel) == 1 {
            log::info!("every cell is off");
            if let Some(console) = &self.console {
                console.drain(machine);
            }
            machine.power_off();
        }
    }

    /// Whether a CPU can run its cell: one with fewer bits of physical address than the boot CPU may not reach all of it.
    /// `pa_range` is its ID_AA64MMFR0_EL1.PARange, `vmid16` whether its VMIDs have 16 bits.
    pub fn can_run(&self, cpu: PcpuId, pa_range: u8, vmid16: bool) -> bool {
        let cell = self.seat(cpu).and_then(|seat| self.cells.get(seat.cell.index()));
        cell.is_none_or(|cell| paging::can_use(cell.space.vtcr, pa_range, vmid16))
    }

    /// A CPU came up, and is the one that calls this. A GICv2 tells it there how it is called.
    pub fn came<M: GicRegisters>(&self, cpu: PcpuId, machine: &M) {
        if machine.version() == GicVersion::V3 {
            return;
        }
        let target = self.gic.learn(machine, cpu);
        if let Some(seat) = self.seat(cpu)
            && let Some(cell) = self.cells.get(seat.cell.index())
        {
            cell.gic.learn(seat.vcpu, target);
        }
    }

    /// A CPU never came up. Its vCPU cannot be switched on; a cell that would have started there does not start.
    pub fn never_came(
        &self,
        cpu: PcpuId,
        machine: &mut (impl CpuInterface + GicRegisters + Devices + Firmware + Timer),
    ) {
        let Some(seat) = self.seat(cpu) else { return };
        let Some(cell) = self.cells.get(seat.cell.index()) else { return };
        if self.absent.fetch_or(CpuSet::of([cpu.index()]).0, Ordering::Relaxed) >> (cpu.0 & 63) & 1 == 1 {
            return;
        }
        if seat.vcpu != VcpuId(0) {
            log::error!("{cpu} never came up: cell {} has to do without it", cell.name);
            return self.quiet(cell, cpu, machine);
        }
        log::error!("{cpu} never came up: cell {} cannot start", cell.name);
        let was = core::mem::replace(&mut *cell.life.lock(), Life::Off);
        if was != Life::Off {
            self.gone(machine);
        }
    }
}

/// A cell would have a next life, but a device would write into it what was meant for this one.
#[cold]
fn no_restart(cell: &Cell, device: &str, instead: &str) {
    let name = &cell.name;
    log::error!(
        "cell {name}: cannot restart, for nothing is known to stop the DMA of {device}: it {instead}"
    );
}
