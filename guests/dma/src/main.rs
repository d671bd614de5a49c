//! Ends its lives in the middle of DMA, on QEMU's virt. It is the root cell, whose addresses are the machine's, and its disks are
//! slow: when it resets itself, most of what it asked them to read is still to come. The next life begins with its memory
//! zeroed, and watches for a second and a half whether anything comes after all.
//!
//! In reading order: [`virtio`] (a queue and its requests), [`transport`] (disks by MMIO and on PCI).

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod transport;
mod virtio;

use rt::{println, psci, timer};
use virtio::{DISKS, QUEUES, Queue, REQUESTS};

/// Microseconds that a life watches. The slow disks answer a request each quarter of a second.
const WATCH: u64 = 1_500_000;
/// Microseconds that the first request may take.
const FIRST: u64 = 5_000_000;

rt::entry!(main, irq);

fn irq() {}

fn main() -> ! {
    let written = || QUEUES.iter().position(Queue::is_written);
    if let Some(disk) = written() {
        println!("dma: FAILED: what disk {disk} read is there from the beginning");
    }
    if timer::wait_until(WATCH, || written().is_some()) {
        println!("dma: FAILED: disk {:?} wrote into this life what the former one asked for", written());
    }
    println!("dma: nothing came");
    let disks = transport::find(|transport, disk| {
        if let Some(queue) = QUEUES.get(disk) {
            queue.ask(transport);
        }
    });
    if disks != DISKS {
        rt::exception::stop("there are not all disks");
    }
    if !timer::wait_until(FIRST, || QUEUES.iter().all(|queue| queue.done() != 0)) {
        rt::exception::stop("a disk does not answer");
    }
    let waiting = QUEUES.iter().map(|queue| REQUESTS - queue.done()).min().unwrap_or(0);
    if waiting == 0 || !QUEUES.iter().all(Queue::is_written) {
        println!("dma: FAILED: {waiting} requests wait");
    }
    println!("dma: ends its life with {} disks busy", DISKS);
    psci::system_reset();
    rt::exception::stop("the reset came back")
}
