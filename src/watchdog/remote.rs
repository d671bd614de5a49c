//! The watchdogs of direct cells. Their CPUs take no interrupt of EL2's, so the timer of a CPU that does looks after them all, for
//! whatever cell that one runs.
//!
//! That cell must not suffer from what a guest does to its watchdog: the CPU looks at most once in a [`rest`] after each look, and is
//! told at most once in one. So a signal may come late by as much.

use spin::MutexGuard;

use super::device::Stage;
use super::{Watch, Watchdog};
use crate::alarm::Call;
use crate::cell::{Cell, Vcpu};
use crate::cpu::PcpuId;
use crate::crash::{Cause, Record};
use crate::inbox::Request;
use crate::ports::{Machine, Timer};

/// How long the CPU that watches is left alone: a sixteenth of a second.
fn rest(timer: &impl Timer) -> u64 {
    timer.frequency() >> 4
}

impl Watch {
    /// The guest has written: whether whoever watches must be told. It looks soon then, and so sees what is written meanwhile.
    fn tell(&mut self, watcher: PcpuId, now: u64, rest: u64) -> bool {
        let Some(due) = self.device.due() else { return false };
        let soon = now.saturating_add(rest);
        if let Some((_, at)) = self.call
            && (at <= due || now < self.told.saturating_add(rest))
        {
            return false;
        }
        self.call = Some((watcher, due.min(soon)));
        self.told = now;
        true
    }

    /// Whoever watches looks: when it does so next.
    fn look(&mut self, watcher: PcpuId, now: u64, rest: u64) -> Option<u64> {
        let (_, at) = self.call?;
        if now < at {
            return Some(at);
        }
        self.device.advance(now);
        let next = now.saturating_add(rest);
        let due = self.device.due().filter(|_| self.device.stage() != Stage::Expired);
        self.call = due.map(|due| (watcher, due.max(next)));
        self.call.map(|(_, at)| at)
    }
}

/// The end of a write to a direct cell's watchdog.
#[cold]
pub(super) fn write_direct<M: Machine>(
    vcpu: &mut Vcpu<'_>,
    machine: &mut M,
    watchdog: &Watchdog,
    mut watch: MutexGuard<'_, Watch>,
    now: u64,
) -> u64 {
    let watcher = vcpu.system.watcher();
    let tell = watcher.filter(|watcher| watch.tell(*watcher, now, rest(machine)));
    let changed = watchdog.drive(&watch);
    drop(watch);
    if let Some(watcher) = tell {
        vcpu.system.ask(watcher, Request::Watch, machine);
    }
    if changed {
        vcpu.line_changed(watchdog.spi, machine);
    }
    0
}

/// The CPU that watches looks at all watchdogs of direct cells.
#[cold]
#[inline(never)]
pub fn look<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M) {
    let mut next = None;
    for cell in vcpu.system.cells.iter().filter(|cell| cell.gic.is_direct()) {
        let at = cell.watchdog.as_ref().and_then(|watchdog| look_at(vcpu, machine, cell, watchdog));
        next = [next, at].into_iter().flatten().min();
    }
    vcpu.alarms.set(Call::Others, next, machine);
}

/// Looks at one: the count at which it wants to be looked at again.
fn look_at<M: Machine>(vcpu: &Vcpu<'_>, machine: &mut M, cell: &Cell, watchdog: &Watchdog) -> Option<u64> {
    let (now, rest) = (cell.age(machine), rest(machine));
    let mut watch = watchdog.watch.lock();
    let again = watch.look(vcpu.cpu, now, rest);
    let expired = watch.device.stage() == Stage::Expired && again.is_none();
    let changed = watchdog.drive(&watch);
    drop(watch);
    if expired {
        let record = Record::unseen(cell, vcpu.cpu, machine, Cause::Watchdog);
        vcpu.system.crashed(cell, record, None, machine);
        return None;
    }
    if changed {
        vcpu.system.line_changed(cell, watchdog.spi, machine);
    }
    again.map(|at| cell.count_at(at))
}
