//! A cell's watchdog: a virtual SBSA Generic Watchdog. Its first signal is an interrupt of the cell's; its second one ends the
//! cell's life.
//!
//! [`device`] is a function of time, so nothing ticks: EL2's timer of one of the cell's CPUs is set to the tick at which
//! something happens next, and calls there whatever the guest does, or whether any guest runs. That CPU is the one that was the
//! first to need a call so early. Who moves that tick farther away on another CPU leaves the call where it is: it comes too
//! early, and is then repeated in time. So no CPU ever has to tell another.
//!
//! The CPUs of a direct cell hear no timer of EL2's while they run: `remote` has who watches them.

mod device;
mod remote;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;

use spin::Mutex;

use crate::alarm::Call;
use crate::cell::Vcpu;
use crate::cpu::PcpuId;
use crate::crash::{Cause, Record};
use crate::intid::Spi;
use crate::ports::{Machine, Width};
use crate::vgic::Wire;
pub use device::FRAME;
use device::{Device, Stage};
pub use remote::look;
use remote::write_direct;

/// A cell's watchdog.
#[derive(Debug)]
pub struct Watchdog {
    spi: Spi,
    wire: Arc<Wire>,
    watch: Mutex<Watch>,
}

/// What is behind the lock, which is innermost.
#[derive(Debug, Default)]
struct Watch {
    device: Device,
    /// The CPU that is called, and at which tick.
    call: Option<(PcpuId, u64)>,
    /// When the CPU that watches a direct cell was told last to look.
    told: u64,
}

impl Watch {
    /// The guest has written, on this CPU: what its timer is to be set to, if that changes.
    fn call(&mut self, me: PcpuId) -> Option<Option<u64>> {
        let due = self.device.due();
        if let Some((cpu, at)) = self.call
            && cpu != me
            && due.is_none_or(|due| at <= due)
        {
            return None;
        }
        self.call = due.map(|due| (me, due));
        Some(due)
    }

    /// This CPU was called: when it is to be called again.
    fn called(&mut self, me: PcpuId, now: u64) -> Option<u64> {
        if self.call.is_none_or(|(cpu, _)| cpu != me) {
            return None;
        }
        self.device.advance(now);
        let due = self.device.due().filter(|_| self.device.stage() != Stage::Expired);
        self.call = due.map(|due| (me, due));
        due
    }
}

impl Watchdog {
    /// One that raises this interrupt by this line.
    pub fn new(spi: Spi, wire: Arc<Wire>) -> Self {
        Self { spi, wire, watch: Mutex::default() }
    }

    /// A life begins: it is as it comes out of reset, and disabled.
    pub fn reset(&self) {
        let mut watch = self.watch.lock();
        watch.device.reset();
        watch.call = None;
        watch.told = 0;
        // No vCPU runs that would have to be told.
        let _ = self.wire.set(false);
    }

    /// Whether it will end this life if nobody does anything.
    pub fn is_enabled(&self) -> bool {
        self.watch.lock().device.is_enabled()
    }

    /// Brings the first signal to its line; whether that changed.
    fn drive(&self, watch: &Watch) -> bool {
        self.wire.set(watch.device.stage() != Stage::Fed)
    }
}

/// A guest's access to its watchdog, `offset` bytes from the refresh frame's start. Registers have 32 bits; accesses of other
/// widths read zero and write nothing (DEN0029D leaves them open).
#[cold]
#[inline(never)]
pub fn access<M: Machine>(
    vcpu: &mut Vcpu<'_>,
    machine: &mut M,
    offset: u64,
    width: Width,
    write: Option<u64>,
) -> u64 {
    let cell = vcpu.cell;
    let Some(watchdog) = cell.watchdog.as_ref().filter(|_| width == Width::Word) else { return 0 };
    let now = cell.age(machine);
    let mut watch = watchdog.watch.lock();
    watch.device.advance(now);
    let (value, call) = match write {
        None => (watch.device.read(offset), None),
        Some(value) => {
            watch.device.write(offset, value as u32, now);
            if cell.gic.is_direct() {
                return write_direct(vcpu, machine, watchdog, watch, now);
            }
            (0, watch.call(vcpu.cpu))
        }
    };
    let changed = watchdog.drive(&watch);
    drop(watch);
    if let Some(at) = call {
        vcpu.alarms.set(Call::Watchdog, at.map(|at| cell.count_at(at)), machine);
    }
    if changed {
        vcpu.line_changed(watchdog.spi, machine);
    }
    u64::from(value)
}

/// EL2's timer calls for the watchdog of this CPU's cell.
#[cold]
#[inline(never)]
pub fn alarm<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M) {
    let cell = vcpu.cell;
    let Some(watchdog) = &cell.watchdog else { return };
    let mut watch = watchdog.watch.lock();
    let again = watch.called(vcpu.cpu, cell.age(machine));
    let expired = watch.device.stage() == Stage::Expired;
    let changed = watchdog.drive(&watch);
    drop(watch);
    if expired {
        let record = Record::of(vcpu, machine, Cause::Watchdog);
        return vcpu.system.crashed(cell, record, None, machine);
    }
    if let Some(at) = again {
        vcpu.alarms.set(Call::Watchdog, Some(cell.count_at(at)), machine);
    }
    if changed {
        vcpu.line_changed(watchdog.spi, machine);
    }
}
