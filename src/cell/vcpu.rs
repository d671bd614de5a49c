//! A vCPU on its CPU: all that only this CPU touches, and the way to what it shares.

use core::fmt;

use super::{Cell, Life, Progress, Start, System, Then};
use crate::alarm::{Alarms, Call};
use crate::console;
use crate::cpu::{PcpuId, VcpuId};
use crate::crash::Record;
use crate::exits::Exits;
use crate::inbox::{Inbox, Kick, Request};
use crate::intid::Spi;
use crate::ports::{Hot, Machine};
use crate::smccc::Workarounds;
use crate::trap::{IdRegisters, StopReason};
use crate::vcpu::{Frame, SPSR_START};
use crate::vgic::{GicCtx, VcpuGic};
use crate::watchdog::Watchdog;

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
    /// Whom EL2's timer of the CPU is to call.
    pub alarms: Alarms,
    /// What firmware can do for it.
    pub workarounds: Workarounds,
    /// Why it left its guest, counted.
    pub exits: Exits,
    /// A cache maintenance by set and way under way: where the instruction is, and how far.
    pub cleaning: Option<(u64, Progress)>,
    /// When it looks after the console next, if nobody hears it.
    console_due: u64,
}

/// A life that was loaded.
struct Loaded {
    /// It is the cell's first.
    first: bool,
    /// What that took.
    ticks: u64,
}

impl<'a> Vcpu<'a> {
    /// The vCPU that this CPU runs; `None` if the plan knows no such CPU.
    pub fn new(system: &'a System, cpu: PcpuId, machine: &mut impl Machine) -> Option<Self> {
        let seat = system.seat(cpu)?;
        let cell = system.cells.get(seat.cell.index())?;
        Some(Self {
            system,
            cell,
            inbox: system.inboxes.get(cpu.index())?,
            cpu,
            id: seat.vcpu,
            frame: Frame::default(),
            gic: VcpuGic::new(),
            ids: IdRegisters::read(machine),
            alarms: Alarms::default(),
            workarounds: Workarounds::probe(machine, system.smc),
            exits: Exits::default(),
            cleaning: None,
            console_due: 0,
        })
    }

    /// Once, before anything else: the CPU as it is while the vCPU is off, whatever ran there before.
    pub fn settle(&mut self, machine: &mut impl Machine) {
        self.gic.settle(machine, &self.cell.gic, self.id);
        self.wipe(machine);
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

    /// Whether an abort may be there because the cell's memory was taken away, and not because of what the guest did: then the
    /// inbox says why, and is answered before the guest is entered again.
    pub fn is_recalled(&self) -> bool {
        self.cell.root_table.is_some() && self.inbox.asks(Request::Stop)
    }

    /// The guest, which has the CPU's interface, waits for an interrupt, and EL2 does so in its place.
    #[inline]
    pub fn wait(&mut self, machine: &mut impl Hot) {
        if self.system.deaf {
            self.look_at_console(machine.plain());
        }
        let inbox = self.inbox;
        let busy = || inbox.asks(Request::Stop) || inbox.asks(Request::Counts);
        self.cell.gic.wait(machine, self.cpu, busy);
    }

    /// Nobody hears the console's UART: it is looked after from time to time.
    #[cold]
    #[inline(never)]
    fn look_at_console(&mut self, machine: &mut impl Machine) {
        let now = machine.counter();
        if now >= self.console_due {
            self.console_due = now.saturating_add(machine.frequency() / 64);
            console::interrupt(self, machine);
            // The timer is heard no more than the UART.
            if self.alarms.take(Call::Counts, machine) {
                console::show_counts(self, machine);
            }
        }
    }

    /// The line of a virtual SPI of its cell changed: it looks itself, or whoever is concerned shall.
    pub fn line_changed(&mut self, spi: Spi, machine: &mut impl Machine) {
        if self.cell.gic.line_concerns(spi) == Some(self.id) {
            self.gic.look_at_line();
        } else {
            self.system.line_changed(self.cell, spi, machine);
        }
    }

    /// Answers [`crate::inbox::Request::Start`]: whether the guest is ready to be entered.
    #[must_use]
    pub fn start(&mut self, machine: &mut impl Hot) -> bool {
        let ready = match self.cell.life() {
            Life::Starting { first, at } if self.id == VcpuId(0) => self.load(first, at, machine.plain()),
            Life::Running => self.cell.take_start(self.id).map(|start| (start, None)),
            _ => return false,
        };
        let Some((start, loaded)) = ready else { return false };
        self.prepare(start, machine);
        loaded.is_none_or(|loaded| self.begin(loaded, machine.plain()))
    }

    /// Whether the next life is not due yet; then it is looked at again when it is.
    fn waits(&mut self, at: u64, machine: &mut impl Machine) -> bool {
        let early = machine.counter() < at;
        self.alarms.set(Call::Life, early.then_some(at), machine);
        early
    }

    /// The next life is due.
    pub fn look_at_life(&self) {
        // This CPU is awake, so nobody needs the kick.
        let Kick(_) = self.inbox.post(self.cpu, Request::Start);
    }

    /// Loads a new life of the cell, if it is due: how it starts.
    #[cold]
    #[inline(never)]
    fn load(&mut self, first: bool, at: u64, machine: &mut impl Machine) -> Option<(Start, Option<Loaded>)> {
        if self.waits(at, machine) {
            return None;
        }
        if !first && let Err(device) = self.cell.masters.stop(machine, || true) {
            self.cannot_begin(format_args!("the device at {device} does not stop"), machine);
            return None;
        }
        let before = machine.counter();
        let Ok(start) = self.cell.renew(self.system.archive, first, machine) else {
            self.cannot_begin(format_args!("EL2 has no memory to reach its memory"), machine);
            return None;
        };
        let ticks = machine.counter().saturating_sub(before);
        self.cell.gic.scrub(machine, &self.system.gic);
        Some((start, Some(Loaded { first, ticks })))
    }

    /// A new life of the cell, whose first vCPU is ready; whether it goes on.
    #[cold]
    #[inline(never)]
    fn begin(&self, loaded: Loaded, machine: &impl Machine) -> bool {
        self.cell.admit();
        // Now that this CPU has the cell's VMID: what its former life left in TLBs.
        machine.invalidate_vmid(self.cell.vttbr());
        if loaded.first {
            let (ticks, loading) = (machine.counter().saturating_sub(self.system.entered), loaded.ticks);
            log::info!("cell {}: runs {ticks} ticks after entry, {loading} of them loading", self.cell.name);
        }
        // It may have been stopped while it was loaded; then the request is in the inbox.
        self.cell.life.lock().started()
    }

    /// No new life after all.
    #[cold]
    fn cannot_begin(&mut self, why: fmt::Arguments<'_>, machine: &mut impl Machine) {
        log::error!("cell {}: {why}: it stays off", self.cell.name);
        self.system.stop(self.cell, Then::Off, Some(self.cpu), machine);
        self.give_up(machine);
    }

    /// The state that PSCI gives a CPU that starts (DEN0022F 6.4). Most of it was made when the vCPU went off ([`Vcpu::wipe`]),
    /// since when nothing but EL2 has run here.
    fn prepare(&mut self, start: Start, machine: &mut impl Machine) {
        machine.start_vcpu(self.cell.origin());
        self.gic.start(machine, &self.cell.gic);
        self.exits.start(self.cell.lives());
        self.look_at_clock(machine);
        // Behind `start_vcpu`, which may leave anything there.
        machine.set_pc(start.entry);
        machine.set_pstate(SPSR_START);
        self.frame.set(0, start.context);
    }

    /// Leaves nothing of the vCPU on this CPU, no register, no timer that runs, no interrupt in a list register, but all of it in
    /// the state in which it starts: so whoever starts it does not wait for that.
    fn wipe(&mut self, machine: &mut impl Machine) {
        self.tell_counts(machine);
        machine.reset_vcpu(&self.cell.reset(self.id));
        self.workarounds.reset(machine);
        // The timers do not call any more.
        self.gic.park(machine, &self.cell.gic);
        self.frame = Frame::default();
        self.cleaning = None;
    }

    /// Answers [`Request::Counts`].
    #[cold]
    pub fn tell_counts(&mut self, machine: &impl Machine) {
        let now = machine.counter();
        self.exits.time(self.system.is_timed(), now);
        if let Some(told) = self.cell.told(self.id) {
            self.exits.tell(told, now);
        }
    }

    /// Where ticks at EL2 are counted, each turn of the guest goes by way of the inbox, so that the others need not ask.
    pub fn look_at_clock(&mut self, machine: &impl Machine) {
        if self.exits.is_timed() {
            // This CPU is awake, so nobody needs the kick.
            let Kick(_) = self.inbox.post(self.cpu, Request::Clock);
            self.exits.left(machine.counter());
        }
    }

    /// CPU_OFF.
    pub fn switch_off(&mut self, machine: &mut impl Machine) {
        self.wipe(machine);
        if self.cell.switch_off(self.id) && !self.cell.watchdog.as_ref().is_some_and(Watchdog::is_enabled) {
            // Nobody is left to switch another on. Where a watchdog runs, that is a death that it sees.
            self.system.stop(self.cell, Then::Off, Some(self.cpu), machine);
            self.system.quiet(self.cell, self.cpu, machine);
        }
    }

    /// The guest ended its cell, or died.
    pub fn end(&mut self, reason: StopReason, machine: &mut impl Machine) {
        let (system, by) = (self.system, Some(self.cpu));
        match reason {
            StopReason::Off => system.stop(self.cell, Then::Off, by, machine),
            StopReason::Reset => system.stop(self.cell, Then::AGAIN, by, machine),
            StopReason::Crash(cause) => {
                let record = Record::of(self, machine, cause);
                system.crashed(self.cell, record, by, machine);
            }
        }
        self.give_up(machine);
    }

    /// The cell's life is ending: this CPU's part of it.
    pub fn give_up(&mut self, machine: &mut impl Machine) {
        self.wipe(machine);
        self.alarms.set(Call::Watchdog, None, machine);
        self.system.quiet(self.cell, self.cpu, machine);
    }
}
