//! The hypervisor's console: one physical UART, on which the lines of all cells that have a virtual PL011 are printed, and
//! Bulkhead's own; and what a person types there.
//!
//! In reading order:
//! - `ring`, `scan`: bytes on their way; what a terminal makes of them.
//! - `pl011`: the virtual UART. `channel`: one whose lines are printed. `mux`: all of them on one screen.
//! - `input`: what is typed. [`Console`]: all of it together; `orders`: what is done about orders.
//!
//! A guest's write goes into the ring of its channel, which nobody else uses: a flood fills that ring and slows its own cell. The
//! CPU whose write ended a line moves bytes to the UART if no other is doing so, so many at most; what is left then is moved when
//! the UART interrupts.
//!
//! Locks: [`Console::mux`], then a channel's. Nothing is below a channel's lock, and no lock but these is taken below the first.

mod channel;
mod input;
mod mux;
mod orders;
mod pl011;
mod ring;
mod scan;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use crate::cell::Vcpu;
use crate::cpu::CellId;
use crate::plan::pool;
use crate::ports::{Machine, Serial, Timer, Width};
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering, fence};
use crate::vgic::Wire;
use channel::{Channel, Look, Port};
use mux::Mux;
use pl011::FR;

pub use channel::RING;
pub use orders::{interrupt, show_counts};

/// The most bytes that one event moves to the UART.
const BUDGET: usize = 256;
/// The most that a byte in the middle of a line moves: more than the cell has printed, so that it gets ahead, but it does not
/// print the floods of others either.
const SHARE: usize = 8;
/// Nobody has the input.
const NOBODY: usize = usize::MAX;
/// Cells' colours, as SGR numbers them from 30: cyan, yellow, green, magenta, blue, red.
const COLOURS: [u8; 6] = [6, 3, 2, 5, 4, 1];

/// The console.
pub struct Console {
    /// Bulkhead's own, then one for each cell.
    ports: Vec<Port>,
    mux: Mutex<Mux>,
    /// Somebody wants the mux to look.
    wanted: AtomicBool,
    /// The port that has the input, or [`NOBODY`].
    input: AtomicUsize,
    /// Cells whose UART's interrupt line changed and whose CPUs have not been told yet, a bit each.
    changed: AtomicU64,
}

/// The port of a cell.
fn port_of(cell: CellId) -> usize {
    cell.index().saturating_add(1)
}

/// What a console is made of: Bulkhead's own port, then one for each cell.
pub struct Ports(Vec<Port>);

impl Ports {
    /// Bulkhead's own, with room for those of so many cells; none if EL2's memory does not suffice.
    pub fn new(cells: usize) -> Option<Self> {
        let count = cells.saturating_add(1);
        let mut ring = Vec::new();
        // The larger one first: then there is room for what is small, too.
        if !pool::reserve(&mut ring, RING) || !pool::has_room(count.saturating_mul(size_of::<Port>())) {
            return None;
        }
        let mut ports = Vec::with_capacity(count);
        ports.push(Port::new(Channel::new("bulkhead", None, false, ring), Arc::default()));
        Some(Self(ports))
    }

    /// Puts the next cell's behind the others: with its name, and the line to its GIC if it has a virtual UART. Then `room` is for
    /// its ring and has [`RING`] bytes, or they are allocated.
    pub fn add(&mut self, name: &str, wire: Option<Arc<Wire>>, room: Vec<u8>) {
        let colour = COLOURS.iter().cycle().nth(self.0.len().saturating_sub(1)).copied();
        let channel = Channel::new(name, colour, wire.is_some(), room);
        self.0.push(Port::new(channel, wire.unwrap_or_default()));
    }
}

impl Console {
    /// On this UART, whose receive interrupt is armed.
    pub fn new(serial: Box<dyn Serial>, ports: Ports) -> Self {
        Self {
            ports: ports.0,
            mux: Mutex::new(Mux::new(serial)),
            wanted: AtomicBool::new(false),
            input: AtomicUsize::new(NOBODY),
            changed: AtomicU64::new(0),
        }
    }

    /// A line of Bulkhead's own. It is lost if there is no room, which a later line tells.
    pub fn say(&self, line: fmt::Arguments<'_>) {
        self.write(line);
        // Whoever says it has no way to tell other CPUs that lines changed: the UART's interrupt does.
        self.pump(BUDGET, true);
    }

    /// The same, printed by whoever pumps next.
    fn write(&self, line: fmt::Arguments<'_>) {
        if let Some(port) = self.ports.first() {
            // The writer never fails; what is formatted are numbers and names.
            let _ = writeln!(Line::begin(&mut port.lock()), "{line}");
        }
    }

    /// A cell's life has ended: its UART is as it comes out of reset, and its unfinished line is over.
    pub fn ended(&self, cell: CellId) {
        if let Some(port) = self.ports.get(port_of(cell)) {
            let mut channel = port.lock();
            channel.end();
            // No vCPU runs that would have to be told.
            let _ = port.drive(&channel);
        }
        self.pump(BUDGET, true);
    }

    /// The machine goes off: what Bulkhead said is printed first, if the UART takes it within a second.
    pub fn drain(&self, timer: &impl Timer) {
        let now = || timer.counter();
        let wait = |until| (now() < until).then(|| timer.relax()).is_some();
        let until = now().saturating_add(timer.frequency());
        while self.has_more() && wait(until) {
            self.pump(BUDGET, false);
        }
        // The UART's own queue: 32 bytes take 3 ms at 115,200 bauds.
        let until = now().saturating_add(timer.frequency() / 200);
        while wait(until) {}
    }

    /// Whether something of Bulkhead's own is to be printed.
    fn has_more(&self) -> bool {
        self.mux.try_lock().is_none_or(|mux| mux.is_busy())
            || self.ports.first().is_some_and(|port| !port.lock().out.is_empty())
    }

    /// Moves so many bytes to the UART, unless another CPU does: that one looks again before it stops.
    fn pump(&self, mut budget: usize, call: bool) {
        self.wanted.store(true, Ordering::SeqCst);
        while budget != 0 && self.wanted.load(Ordering::SeqCst) {
            fence(Ordering::SeqCst);
            let Some(mut mux) = self.mux.try_lock() else { return };
            self.wanted.store(false, Ordering::SeqCst);
            let mut changed = 0;
            budget = budget.saturating_sub(mux.pump(&self.ports, budget, call, &mut changed));
            self.changed.fetch_or(changed, Ordering::SeqCst);
            drop(mux);
            fence(Ordering::SeqCst);
        }
    }
}

/// A line that is written into a channel as a whole, or not at all.
struct Line<'c> {
    channel: &'c mut Channel,
    before: usize,
    lost: bool,
}

impl<'c> Line<'c> {
    fn begin(channel: &'c mut Channel) -> Self {
        let before = channel.out.len();
        Self { channel, before, lost: false }
    }

    /// Puts a byte in, which comes back.
    fn put(&mut self, byte: u8) -> u8 {
        self.lost |= !self.channel.out.push(byte);
        byte
    }
}

impl Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| _ = self.put(byte));
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if self.lost {
            self.channel.out.truncate(self.before);
        }
    }
}

/// A guest's access to its virtual UART.
#[inline(always)]
pub fn access<M: Machine>(
    vcpu: &mut Vcpu<'_>,
    machine: &mut M,
    offset: u64,
    width: Width,
    write: Option<u64>,
) -> u64 {
    let Some(console) = &vcpu.system.console else { return 0 };
    let Some(port) = console.ports.get(port_of(vcpu.cell.id)) else { return 0 };
    match port.flags() {
        Some(flags) if offset == FR && width == Width::Word && write.is_none() => flags,
        _ => access_channel(vcpu, machine, offset, width, write),
    }
}

/// One that changes something, or may.
#[cold]
#[inline(never)]
fn access_channel<M: Machine>(
    vcpu: &mut Vcpu<'_>,
    machine: &mut M,
    offset: u64,
    width: Width,
    write: Option<u64>,
) -> u64 {
    let Some(console) = &vcpu.system.console else { return 0 };
    let at = port_of(vcpu.cell.id);
    let Some(port) = console.ports.get(at) else { return 0 };
    let (value, look, changed) = {
        let mut channel = port.lock();
        let (value, look) = channel.access(offset, width, write);
        (value, look, port.drive(&channel))
    };
    if changed && let Some(spi) = vcpu.cell.uart {
        vcpu.line_changed(spi, machine);
    }
    let budget = match look {
        Look::Always => BUDGET,
        Look::IfShown if console.input.load(Ordering::Relaxed) == at => SHARE,
        _ => return value,
    };
    if vcpu.system.deaf {
        // Nobody hears the UART, so it is looked after here.
        interrupt(vcpu, machine);
    } else {
        console.pump(budget, false);
        tell(vcpu, machine);
    }
    value
}

/// Tells CPUs what pumping changed for their guests.
fn tell<M: Machine>(vcpu: &Vcpu<'_>, machine: &mut M) {
    let Some(console) = &vcpu.system.console else { return };
    // Mostly there is nothing, and no need to write.
    if console.changed.load(Ordering::Relaxed) == 0 {
        return;
    }
    let changed = console.changed.swap(0, Ordering::SeqCst);
    for cell in vcpu.system.cells.iter().filter(|cell| changed >> (cell.id.0 & 63) & 1 != 0) {
        if let Some(spi) = cell.uart {
            vcpu.system.line_changed(cell, spi, machine);
        }
    }
}
