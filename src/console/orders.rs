//! The console's interrupt: bytes go out, and what was typed is done.

use core::fmt;

use arrayvec::ArrayVec;

use super::channel::Port;
use super::input::Typed;
use super::mux::Mux;
use super::{BUDGET, Console, Line, NOBODY, tell};
use crate::alarm::Call;
use crate::cell::{Affinity, Cell, Life, Vcpu};
use crate::cpu::VcpuId;
use crate::log::{self, Lines};
use crate::ports::Machine;
use crate::sync::{Ordering, fence};

/// Bytes that are taken from the UART at once.
const TAKEN: usize = 32;

/// The part of a second that the CPU rests which has the UART's interrupt, where the UART is as fast as an emulated one. Cells
/// that flood move their bytes themselves.
const REST: u64 = 256;

/// What cannot be done while the mux is held.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Restart(usize),
    Who,
    Counts,
    Time,
}

/// The UART interrupted: to be called before its interrupt is deactivated, on whichever CPU it came to.
#[cold]
#[inline(never)]
pub fn interrupt<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M) {
    let Some(console) = &vcpu.system.console else { return };
    let (orders, rest) = console.serve();
    let until = rest.then(|| machine.counter().saturating_add(machine.frequency() / REST));
    vcpu.alarms.set(Call::Console, until, machine);
    for order in &orders {
        match *order {
            Order::Restart(at) => {
                let cell = at.checked_sub(1).and_then(|at| vcpu.system.cells.get(at));
                if let Some(cell) = cell {
                    vcpu.system.restart(cell, machine);
                }
            }
            Order::Who => {
                let now = machine.counter();
                for cell in &vcpu.system.cells {
                    console.write(format_args!("{}", Row { cell, console, now }));
                    if let Some(deaths) = cell.deaths() {
                        console.write(format_args!("  {}", *deaths));
                    }
                }
                let free = (vcpu.system.free_memory)();
                console.write(format_args!("free memory of EL2: {free} bytes"));
                console.pump(BUDGET, true);
            }
            Order::Counts => ask(vcpu, machine),
            Order::Time => {
                let on = vcpu.system.switch_timing();
                console.say(format_args!(
                    "ticks at EL2 {}",
                    if on { "are counted; Ctrl-^ s shows them" } else { "are not counted any more" }
                ));
                vcpu.system.ask_for_counts(machine);
            }
        }
    }
    tell(vcpu, machine);
}

/// Asks all CPUs for their counters. Nobody waits for them: they are shown after a moment.
fn ask<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M) {
    vcpu.system.ask_for_counts(machine);
    let until = machine.counter().saturating_add(machine.frequency() / REST);
    vcpu.alarms.set(Call::Counts, Some(until), machine);
}

/// Shows what the CPUs have told meanwhile.
#[cold]
#[inline(never)]
pub fn show_counts<M: Machine>(vcpu: &Vcpu<'_>, machine: &mut M) {
    let Some(console) = &vcpu.system.console else { return };
    for cell in &vcpu.system.cells {
        for id in (0..u8::MAX).take(cell.vcpus()).map(VcpuId) {
            if let Some(told) = cell.told(id) {
                console.say(format_args!("{} {} vCPU {}: {told}", super::port_of(cell.id), cell.name, id.0));
            }
        }
    }
    tell(vcpu, machine);
}

impl Console {
    /// Takes what was typed, and moves bytes. Orders that need more come back, and whether to rest.
    pub(super) fn serve(&self) -> (ArrayVec<Order, TAKEN>, bool) {
        let mut typed = [0; TAKEN];
        let (mut changed, mut orders) = (0u64, ArrayVec::new());
        let mut mux = self.mux.lock();
        mux.wake();
        let count = mux.take(&mut typed);
        for byte in typed.iter().take(count) {
            let input = mux.input();
            match mux.keys.feed(*byte) {
                Typed::Nothing => {}
                Typed::Byte(byte) => {
                    // Whoever types without having chosen means the first one there is.
                    if input.is_none() {
                        self.attach(&mut mux, (0..self.ports.len()).find(|at| self.has_uart(*at)));
                    }
                    if let Some(port) = mux.input().and_then(|at| self.ports.get(at)) {
                        let mut channel = port.lock();
                        if let Some(uart) = &mut channel.uart {
                            uart.receive(byte);
                        }
                        super::mux::mark(&mut changed, mux.input().unwrap_or(0), port.drive(&channel));
                    }
                }
                Typed::Attach(0) => self.attach(&mut mux, None),
                Typed::Attach(number) if self.has_uart(usize::from(number)) => {
                    self.attach(&mut mux, Some(usize::from(number)));
                }
                Typed::Attach(number) => {
                    self.write(format_args!(
                        "cell {number} has no virtual console; Ctrl-^ i lists the cells"
                    ));
                }
                Typed::Restart => match input {
                    // There are no more orders than bytes.
                    Some(at) => _ = orders.try_push(Order::Restart(at)),
                    None => self.write(format_args!("no cell has the input; Ctrl-^ 1 gives it to the first")),
                },
                Typed::Who => _ = orders.try_push(Order::Who),
                Typed::Counts => _ = orders.try_push(Order::Counts),
                Typed::Time => _ = orders.try_push(Order::Time),
                Typed::Log => self.again(&log::LINES.lock()),
                Typed::Help => self.help(),
                Typed::Unknown => self.write(format_args!("no such order; Ctrl-^ ? lists them")),
            }
        }
        self.input.store(mux.input().unwrap_or(NOBODY), Ordering::Relaxed);
        // Whoever could not pump meanwhile relies on us.
        self.wanted.store(false, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        mux.pump(&self.ports, BUDGET, false, &mut changed);
        self.changed.fetch_or(changed, Ordering::SeqCst);
        let rest = mux.rest();
        drop(mux);
        if !rest && self.wanted.load(Ordering::SeqCst) {
            self.pump(BUDGET, true);
        }
        (orders, rest)
    }

    fn has_uart(&self, at: usize) -> bool {
        self.ports.get(at).is_some_and(|port| port.lock().uart.is_some())
    }

    /// Moves the input, and says so.
    fn attach(&self, mux: &mut Mux, at: Option<usize>) {
        mux.attach(at);
        match at.and_then(|at| self.ports.get(at)) {
            Some(port) => {
                self.write(format_args!("the input goes to {}; Ctrl-^ ? for help", Name(port)));
            }
            None => self.write(format_args!("the input goes to nobody; Ctrl-^ ? for help")),
        }
    }

    /// Lines that were printed before. What there is no room for is left out.
    pub(super) fn again(&self, lines: &Lines) {
        let Some(port) = self.ports.first() else { return };
        let mut channel = port.lock();
        let mut bytes = lines.bytes().peekable();
        while bytes.peek().is_some() {
            let mut line = Line::begin(&mut channel);
            let _ = bytes.by_ref().map(|byte| line.put(byte)).find(|byte| *byte == b'\n');
        }
    }

    fn help(&self) {
        for line in [
            "Ctrl-^ 1 to 9  the input goes to that cell, which then has the screen",
            "Ctrl-^ 0       the input goes to nobody",
            "Ctrl-^ r       restarts the cell that has the input",
            "Ctrl-^ i       who is alive, and who died how",
            "Ctrl-^ s       why guests were left, counted for each vCPU since its cell's life began",
            "Ctrl-^ t       also count the ticks spent at EL2, or no more",
            "Ctrl-^ l       the hypervisor's last lines again, with the machine's time",
            "Ctrl-^ Ctrl-^  sends Ctrl-^ itself",
        ] {
            self.write(format_args!("{line}"));
        }
    }
}

/// A channel's name. Whoever formats it has the lock of Bulkhead's own channel, and takes this one's.
struct Name<'n>(&'n Port);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.lock().name)
    }
}

/// A cell in the answer to `Ctrl-^ i`.
struct Row<'r> {
    cell: &'r Cell,
    console: &'r Console,
    now: u64,
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cell, at) = (self.cell, super::port_of(self.cell.id));
        let life = match cell.life() {
            Life::Off => "off",
            Life::Starting { at, .. } if at > self.now => "waits to restart",
            Life::Starting { .. } => "starting",
            Life::Running => "running",
            Life::Stopping { .. } => "stopping",
        };
        write!(f, "{at} {}: {life}, life {}, CPUs", cell.name, cell.lives())?;
        for vcpu in (0..u8::MAX).take(cell.vcpus()).map(VcpuId) {
            if let Some(cpu) = cell.cpu(vcpu) {
                let off = if cell.affinity_info(vcpu) == Affinity::On { "" } else { " (off)" };
                write!(f, " {}{off}", cpu.index())?;
            }
        }
        // The lock of the row's channel, not of the one that is written to.
        if !self.console.has_uart(at) {
            f.write_str(", no virtual console")?;
        }
        if self.console.input.load(Ordering::Relaxed) == at { f.write_str(", has the input") } else { Ok(()) }
    }
}
