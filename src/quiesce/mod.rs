//! Stopping the DMA of a cell's devices when its life has ended, before its memory is scrubbed and loaded again: a master that went
//! on would write into the next life what the former one asked for.
//!
//! What is a master is [`crate::hardware::Dma`]'s to say; [`find`] says how each is stopped. A cell with one that nothing is known
//! to stop is not restarted.
//!
//! Order. No vCPU of the cell runs any more, and each of their CPUs has waited for what its guest stored to devices before it said
//! so. Accesses to one device arrive as they are made, and each stop ends with a read from the device: behind its answer, on PCI,
//! all that the device had written before has arrived (PCI Express Base Specification 2.4.1: a completion does not pass posted
//! writes). [`Devices::open`] waits for that read, so what is stored to memory next is stored last.

mod known;
mod pci;
#[cfg(test)]
pub(crate) mod tests;
mod virtio;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::addr::{Pa, Span};
use crate::hardware::{Device, Dma, Hardware, is_no_master};
use crate::ports::{Devices, Registers, Timer};
use crate::sync::Mutex;
use crate::tree::{NodeId, Tree};

use known::Stop;

/// Seconds that a device has to stop. A reset takes a small part of one, but QEMU's waits for the host's disk.
const PATIENCE: u64 = 2;

/// A device that is stopped.
#[derive(Debug)]
struct Master {
    registers: Span<Pa>,
    stop: Stop,
    /// Of a PCI host: where the registers of what is behind it may be.
    windows: Box<[Span<Pa>]>,
}

/// The masters of a cell.
#[derive(Debug, Default)]
pub struct Masters {
    /// Those that are stopped; held while that is done, because EL2 sees a page through one window at a time.
    stopped: Mutex<Box<[Master]>>,
    /// One that nothing is known to stop: its path.
    unstoppable: Option<String>,
}

impl Masters {
    /// Those among a cell's devices.
    pub fn of(tree: &Tree<'_>, hardware: &Hardware, devices: &[NodeId]) -> Self {
        let (mut stopped, mut unstoppable) = (Vec::new(), None);
        for device in devices.iter().filter_map(|node| hardware.device(*node)) {
            match find(tree, device) {
                Found::Idle => {}
                Found::Stopped(registers, stop) => {
                    // An SMMU last: without it what lies behind would reach other memory.
                    let at = if stop == Stop::SmmuV3 { stopped.len() } else { 0 };
                    let windows = device.windows.as_slice().into();
                    stopped.insert(at, Master { registers, stop, windows });
                }
                Found::Unknown => unstoppable = unstoppable.or(Some(device.node)),
            }
        }
        Self {
            stopped: Mutex::new(stopped.into()),
            unstoppable: unstoppable.map(|node| tree.node(node).path()),
        }
    }

    /// One that nothing is known to stop.
    pub fn unstoppable(&self) -> Option<&str> {
        self.unstoppable.as_deref()
    }

    /// Stops them all, when no vCPU of the cell runs, which `still` says once nobody else is stopping them.
    ///
    /// # Errors
    /// Where one is that does not stop in time.
    pub fn stop(&self, machine: &(impl Devices + Timer), still: impl Fn() -> bool) -> Result<(), Pa> {
        let masters = self.stopped.lock();
        if !still() {
            return Ok(());
        }
        for master in masters.iter() {
            let mut stopped = false;
            let open = machine.open(master.registers, &mut |device| stopped = master.apply(device, machine));
            if open.is_err() || !stopped {
                return Err(master.registers.start());
            }
        }
        Ok(())
    }
}

/// What is to be done about a device when its cell's life ends.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: it reaches no memory, or not by itself.
    Idle,
    /// It is stopped, by these registers.
    Stopped(Span<Pa>, Stop),
    /// It reaches memory, and nothing is known to stop it.
    Unknown,
}

/// What is to be done about a device.
pub fn find(tree: &Tree<'_>, device: &Device) -> Found {
    let node = tree.node(device.node);
    match device.master {
        Dma::None => return Found::Idle,
        // Its transfers are a DMA controller's, which is a master of whoever owns that, and stops there.
        Dma::Unprotected if device.spans.is_empty() || is_no_master(&node) => return Found::Idle,
        Dma::Unprotected | Dma::Behind(_) => {}
    }
    let Some((stop, registers)) = known::stop(&node).zip(device.spans.first()) else { return Found::Unknown };
    match stop {
        Stop::Nothing => Found::Idle,
        Stop::Ecam(_) => Span::new(registers.start(), registers.size().min(pci::WINDOW))
            .map_or(Found::Unknown, |window| Found::Stopped(window, stop)),
        stop => Found::Stopped(*registers, stop),
    }
}

/// What stopping a device takes besides its registers.
trait Reach: Devices {
    /// Waits until `done`; whether that came in time.
    fn until(&self, done: &mut dyn FnMut() -> bool) -> bool;
}

impl<T: Devices + Timer> Reach for T {
    fn until(&self, done: &mut dyn FnMut() -> bool) -> bool {
        let deadline = self.counter().saturating_add(self.frequency().saturating_mul(PATIENCE));
        loop {
            // Time first: who was away in between has looked once after the deadline.
            let late = self.counter() > deadline;
            if done() {
                return true;
            }
            if late {
                return false;
            }
            self.relax();
        }
    }
}

impl Master {
    /// Stops it; whether it did.
    fn apply(&self, device: &dyn Registers, reach: &dyn Reach) -> bool {
        match self.stop {
            Stop::Nothing => true,
            Stop::Ecam(first) => pci::stop(device, first, &self.windows, reach),
            Stop::VirtioMmio => virtio::stop_mmio(device, reach),
            Stop::SmmuV3 => known::stop_smmu(device, reach),
        }
    }
}
