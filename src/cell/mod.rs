//! A cell: what it has, and its life.
//!
//! Everything here is shared by the CPUs of the machine and never moves. What changes is behind a lock ([`Cell::life`], the
//! tree) or atomic (the power switches). Nothing on a trap's way takes a lock of this module.

mod life;
mod load;
mod power;
mod seat;
mod system;
#[cfg(test)]
pub(crate) mod tests;
mod vcpu;

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use crate::addr::{Ipa, Pa, Span};
use crate::cpu::{CellId, CpuSet, PcpuId, VcpuId};
use crate::crash::{Deaths, OnCrash};
use crate::exits::Told;
use crate::guest_tree::GuestTree;
use crate::intid::Spi;
use crate::log::Allowance;
use crate::mmio::{Bus, Device};
use crate::paging::Root;
use crate::plan::{CellPlan, Load, Region};
use crate::ports::{Entropy, GicVersion, Memory, NoWindow, Timer};
use crate::psci::PsciError;
use crate::quiesce::Masters;
use crate::sync::{AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering};
use crate::vcpu::{InterruptMode, VcpuReset};
use crate::vgic::CellGic;
use crate::watchdog::Watchdog;

pub use life::{Ended, Life, Then};
pub use load::Progress;
pub use power::{Affinity, Power, Start};
pub use seat::Seat;
pub use system::System;
pub use vcpu::Vcpu;

/// How stage 2 registers stand for a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// VTCR_EL2.
    pub vtcr: u64,
    /// VTTBR_EL2.
    pub vttbr: u64,
}

/// A vCPU's place: the CPU it has to itself, and its switch.
#[derive(Debug)]
struct Socket {
    cpu: PcpuId,
    power: Power,
    told: Told,
}

/// A cell. What exits touch comes first, within reach of short offsets.
#[repr(C)]
pub struct Cell {
    /// What it finds where its stage 2 has nothing.
    pub bus: Bus,
    /// Its number.
    pub id: CellId,
    /// Its interrupt controller.
    pub gic: CellGic,
    /// Its name in the description.
    pub name: String,
    /// Its watchdog.
    pub watchdog: Option<Watchdog>,
    /// The interrupt of its virtual UART.
    pub uart: Option<Spi>,
    /// How its interrupts reach it.
    pub interrupts: InterruptMode,
    /// What is taken away from CPUs that run it when they are to come back; a cell that takes no interrupt of EL2's has one.
    pub root_table: Option<Root>,
    /// Function IDs of the calls that firmware answers it.
    pub smc_allow: Box<[u32]>,
    /// Its RAM, by rising IPA.
    pub ram: Box<[Region]>,
    space: Space,
    root: bool,
    /// The RAM that each life begins with zeroed.
    scrubbed: Box<[Span<Pa>]>,
    sockets: Box<[Socket]>,
    load: Load,
    masters: Masters,
    tree: Mutex<GuestTree>,
    life: Mutex<Life>,
    deaths: Mutex<Deaths>,
    on_crash: OnCrash,
    /// How many lives began.
    lives: AtomicU32,
    /// How many vCPUs are on or about to be.
    on: AtomicU32,
    /// The physical count at which this life began (CNTVOFF_EL2).
    origin: AtomicU64,
    /// For lines that it causes.
    allowance: Allowance,
    /// Held by the CPU that cleans the cell's RAM, for a step: EL2 sees a page through one window at a time.
    pub cleaner: Mutex<()>,
}

impl Cell {
    /// The cell of this plan; `None` if its GIC frames overlap or it has no CPU, which no checked plan lets pass. `reserved` is
    /// memory whose content no life of a cell touches ([`crate::plan::Plan::reserved`]).
    pub fn new(
        plan: &CellPlan,
        reserved: &[Span<Pa>],
        space: Space,
        gic: CellGic,
        tree: GuestTree,
    ) -> Option<Self> {
        plan.cpus.first()?;
        Some(Self {
            id: plan.id,
            name: plan.name.clone(),
            bus: Bus::new(
                // What stands for redistributors with a GICv2 is mapped.
                [(plan.gicd, Device::Gicd)]
                    .into_iter()
                    .chain((gic.version() == GicVersion::V3).then_some((plan.gicr, Device::Gicr)))
                    .chain(plan.uart.map(|uart| (uart.at, Device::Console)))
                    .chain(plan.watchdog.map(|watchdog| (watchdog.at, Device::Watchdog))),
            )?,
            gic,
            watchdog: None,
            uart: plan.uart.map(|uart| uart.spi),
            interrupts: plan.interrupts,
            root_table: None,
            smc_allow: plan.smc_allow.as_slice().into(),
            ram: plan.ram.as_slice().into(),
            space,
            root: plan.root,
            scrubbed: load::scrubbed(&plan.ram, reserved),
            sockets: plan
                .cpus
                .iter()
                .map(|cpu| Socket { cpu: *cpu, power: Power::default(), told: Told::default() })
                .collect(),
            load: plan.load.clone(),
            masters: Masters::default(),
            tree: Mutex::new(tree),
            life: Mutex::new(Life::Starting { first: true, at: 0 }),
            deaths: Mutex::default(),
            on_crash: plan.on_crash,
            lives: AtomicU32::new(0),
            on: AtomicU32::new(0),
            origin: AtomicU64::new(0),
            allowance: Allowance::default(),
            cleaner: Mutex::new(()),
        })
    }

    /// Its devices that reach memory by themselves.
    pub fn set_masters(&mut self, masters: Masters) {
        self.masters = masters;
    }

    /// How many vCPUs it has.
    pub fn vcpus(&self) -> usize {
        self.sockets.len()
    }

    /// How many lives of it have begun.
    pub fn lives(&self) -> u32 {
        self.lives.load(Ordering::Relaxed)
    }

    /// Where it stands.
    pub fn life(&self) -> Life {
        *self.life.lock()
    }

    /// Its crashes, if there were any.
    pub fn deaths(&self) -> Option<MutexGuard<'_, Deaths>> {
        Some(self.deaths.lock()).filter(|deaths| deaths.count() != 0)
    }

    /// Ticks since this life began.
    pub fn age(&self, timer: &impl Timer) -> u64 {
        timer.counter().saturating_sub(self.origin())
    }

    /// The physical count at which this life is so old.
    pub fn count_at(&self, age: u64) -> u64 {
        self.origin().saturating_add(age)
    }

    /// VTTBR_EL2.
    pub fn vttbr(&self) -> u64 {
        self.space.vttbr
    }

    /// What a CPU needs to run a vCPU of it.
    fn reset(&self, vcpu: VcpuId) -> VcpuReset {
        VcpuReset {
            affinity: vcpu.affinity(),
            vtcr: self.space.vtcr,
            vttbr: self.space.vttbr,
            interrupts: self.interrupts,
        }
    }

    /// The physical count at which this life began: what CNTVOFF_EL2 is for all its vCPUs.
    fn origin(&self) -> u64 {
        self.origin.load(Ordering::Relaxed)
    }

    /// The CPU of a vCPU.
    pub fn cpu(&self, vcpu: VcpuId) -> Option<PcpuId> {
        self.sockets.get(vcpu.index()).map(|socket| socket.cpu)
    }

    /// What the CPU of a vCPU told last of why it left the guest.
    pub fn told(&self, vcpu: VcpuId) -> Option<&Told> {
        self.sockets.get(vcpu.index()).map(|socket| &socket.told)
    }

    /// All its CPUs.
    fn cpus(&self) -> CpuSet {
        CpuSet::of(self.sockets.iter().map(|socket| socket.cpu.index()))
    }

    /// What AFFINITY_INFO says of a vCPU.
    pub fn affinity_info(&self, vcpu: VcpuId) -> Affinity {
        self.sockets.get(vcpu.index()).map_or(Affinity::Off, |socket| socket.power.affinity_info())
    }

    /// CPU_ON up to the switch; the CPU is to be told afterwards.
    #[inline(always)]
    fn switch_on(&self, vcpu: VcpuId, start: Start) -> Result<PcpuId, PsciError> {
        if !load::is_ram(&self.ram, Ipa(start.entry)) {
            return Err(PsciError::InvalidAddress);
        }
        let socket = self.sockets.get(vcpu.index()).ok_or(PsciError::InvalidParameters)?;
        // Counted before it can run, so that a vCPU that is switched off at the same time does not take itself for the last.
        self.on.fetch_add(1, Ordering::Relaxed);
        socket.power.request(start).inspect_err(|_| {
            self.on.fetch_sub(1, Ordering::Relaxed);
        })?;
        Ok(socket.cpu)
    }

    /// CPU_OFF by a vCPU that is on: whether it was the last.
    fn switch_off(&self, vcpu: VcpuId) -> bool {
        if let Some(socket) = self.sockets.get(vcpu.index()) {
            socket.power.off();
        }
        self.on.fetch_sub(1, Ordering::Relaxed) == 1
    }

    /// A vCPU that was asked to start, if its cell still runs.
    #[inline(always)]
    fn take_start(&self, vcpu: VcpuId) -> Option<Start> {
        // The lock keeps a request of a life that is ending from reaching the next one.
        let life = self.life.lock();
        matches!(*life, Life::Running).then(|| self.sockets.get(vcpu.index())?.power.take()).flatten()
    }

    /// Its memory can be reached again, if it still is to begin a life. Whoever enters it invalidates its TLB entries first, which
    /// makes the tables visible too.
    fn admit(&self) {
        let life = self.life.lock();
        if let (Life::Starting { .. }, Some(root)) = (*life, &self.root_table) {
            root.restore();
        }
    }

    /// Makes the cell new: memory, tree, switches. By the CPU of vCPU 0, in [`Life::Starting`]; no other CPU runs it.
    /// How vCPU 0 starts.
    ///
    /// # Errors
    /// [`NoWindow`]: its memory is loaded in part.
    fn renew(
        &self,
        archive: Span<Pa>,
        first: bool,
        machine: &mut (impl Memory + Entropy + Timer),
    ) -> Result<Start, NoWindow> {
        // The memory that root has at first holds nobody's secrets: it is what the loader left. That of others may.
        let scrub = (!self.root || !first).then_some(&*self.scrubbed);
        {
            let mut tree = self.tree.lock();
            tree.reseed(machine);
            load::load(&self.ram, &self.load, &tree.bytes, archive, scrub, machine)?;
        }
        let start = Start { entry: self.load.entry.0, context: self.load.tree.start().0 };
        for socket in &self.sockets {
            socket.power.off();
        }
        self.on.store(1, Ordering::Relaxed);
        self.lives.fetch_add(1, Ordering::Relaxed);
        if let Some(socket) = self.sockets.first() {
            socket.power.start();
        }
        if let Some(watchdog) = &self.watchdog {
            watchdog.reset();
        }
        self.origin.store(machine.counter(), Ordering::Relaxed);
        Ok(start)
    }

    /// Says a line that its guest has caused, unless there were too many of them; how many were not said comes with the next one.
    #[cold]
    pub fn tell(&self, timer: &impl Timer, line: fmt::Arguments<'_>) {
        let Some(lost) = self.allowance.take(timer.counter(), timer.frequency()) else { return };
        if lost != 0 {
            log::warn!("cell {}: {lost} more lines suppressed", self.name);
        }
        log::info!("cell {}: {line}", self.name);
    }
}
