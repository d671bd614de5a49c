//! A vCPU on its CPU: all that only this CPU touches, and the way to what it shares.

use super::{Cell, Life, Progress, Start, System, Then};
use crate::cpu::{PcpuId, VcpuId};
use crate::inbox::Inbox;
use crate::ports::Machine;
use crate::smccc::Workarounds;
use crate::trap::{IdRegisters, StopReason};
use crate::vcpu::{Frame, SPSR_START};
use crate::vgic::{GicCtx, VcpuGic};

/// One vCPU, owned by the CPU that runs it. What each exit touches comes first, within reach of short offsets.
#[repr(C)]
pub struct Vcpu<'a> {
    /// Its registers while it is out.
    pub frame: Frame,
    /// Its interrupts.
    pub gic: VcpuGic,
    /// All cells.
    pub system: &'a System,
    /// Its cell.
    pub cell: &'a Cell,
    /// What other CPUs ask of it.
    pub inbox: &'a Inbox,
    /// The CPU.
    pub cpu: PcpuId,
    /// Its number in the cell.
    pub id: VcpuId,
    /// The ID registers it sees.
    pub ids: IdRegisters,
    /// What firmware can do for it.
    pub workarounds: Workarounds,
    /// A cache maintenance by set and way under way: where the instruction is, and how far.
    pub cleaning: Option<(u64, Progress)>,
}

impl<'a> Vcpu<'a> {
    /// The vCPU that this CPU runs; `None` if the plan knows no such CPU.
    pub fn new(system: &'a System, cpu: PcpuId, machine: &mut impl Machine) -> Option<Self> {
        let seat = system.seat(cpu)?;
        Some(Self {
            system,
            cell: system.cells.get(seat.cell.index())?,
            inbox: system.inboxes.get(cpu.index())?,
            cpu,
            id: seat.vcpu,
            frame: Frame::default(),
            gic: VcpuGic::new(),
            ids: IdRegisters::read(machine),
            workarounds: Workarounds::probe(machine, system.smc),
            cleaning: None,
        })
    }

    /// What an access to its GIC may need.
    #[inline(always)]
    pub fn gic_context<'m, M>(&'m mut self, machine: &'m mut M) -> GicCtx<'m, M> {
        GicCtx {
            machine,
            vcpu: &mut self.gic,
            cell: &self.cell.gic,
            shared: &self.system.gic,
            inboxes: &self.system.inboxes,
            me: self.id,
        }
    }

    /// Answers [`crate::inbox::Request::Start`]: whether the guest is ready to be entered.
    #[must_use]
    pub fn start(&mut self, machine: &mut impl Machine) -> bool {
        match self.cell.life() {
            Life::Starting { first } if self.id == VcpuId(0) => self.begin(first, machine),
            Life::Running => match self.cell.take_start(self.id) {
                Some(start) => {
                    self.prepare(start, machine);
                    true
                }
                None => false,
            },
            _ => false,
        }
    }

    /// A new life of the cell.
    fn begin(&mut self, first: bool, machine: &mut impl Machine) -> bool {
        let before = machine.counter();
        let start = self.cell.renew(self.system.archive, first, machine);
        let loading = machine.counter().saturating_sub(before);
        self.cell.gic.scrub(machine, &self.system.gic);
        self.prepare(start, machine);
        // Now that this CPU has the cell's VMID: what its former life left in TLBs.
        machine.invalidate_vmid(self.cell.vttbr());
        if first {
            let ticks = machine.counter().saturating_sub(self.system.entered);
            log::info!("cell {}: runs {ticks} ticks after entry, {loading} of them loading", self.cell.name);
        }
        // It may have been stopped while it was loaded; then the request is in the inbox.
        self.cell.life.lock().started()
    }

    /// The state that PSCI gives a CPU that starts (DEN0022F 6.4).
    fn prepare(&mut self, start: Start, machine: &mut impl Machine) {
        machine.reset_vcpu(&self.cell.reset(self.id));
        self.workarounds.reset(machine);
        self.gic.reset(machine, &self.cell.gic, self.id);
        self.cleaning = None;
        self.frame = Frame::default();
        (self.frame.elr, self.frame.spsr) = (start.entry, SPSR_START);
        self.frame.set(0, start.context);
    }

    /// Leaves nothing of the vCPU on this CPU: no register, no timer that runs, no interrupt in a list register.
    fn wipe(&mut self, machine: &mut impl Machine) {
        self.gic.park(machine, &self.cell.gic);
        machine.reset_vcpu(&self.cell.reset(self.id));
        self.frame = Frame::default();
    }

    /// CPU_OFF.
    pub fn switch_off(&mut self, machine: &mut impl Machine) {
        self.wipe(machine);
        if self.cell.switch_off(self.id) {
            // Nobody is left to switch another on.
            self.system.stop(self.cell, Then::Off, Some(self.cpu), machine);
            self.system.quiet(self.cell, self.cpu, machine);
        }
    }

    /// The guest ended its cell, or died.
    pub fn end(&mut self, reason: StopReason, machine: &mut impl Machine) {
        if let StopReason::Crash(crash) = reason {
            log::error!(
                "cell {}: vCPU {} on {}: {crash}, ESR_EL2 {:#x}, at {:#x}; stopped",
                self.cell.name,
                self.id.0,
                self.cpu,
                machine.esr(),
                self.frame.elr
            );
        }
        self.system.stop(self.cell, reason.then(), Some(self.cpu), machine);
        self.give_up(machine);
    }

    /// The cell's life is ending: this CPU's part of it.
    pub fn give_up(&mut self, machine: &mut impl Machine) {
        self.wipe(machine);
        self.system.quiet(self.cell, self.cpu, machine);
    }
}
