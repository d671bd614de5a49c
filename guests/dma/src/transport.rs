//! Disks by MMIO and on PCI (Virtual I/O Device 1.2, 4.2 and 4.1), driven with accesses of 32 bits alone, which QEMU takes for all
//! registers.

use rt::mmio::{load32, store32};
use rt::tree;

use crate::virtio::{SIZE, Transport};

/// Device status: acknowledged, driver, features are fine, go.
const STARTED: [u32; 4] = [1, 3, 11, 15];
/// VIRTIO_F_VERSION_1, bit 32: the first of the features above 31.
const VERSION_1: u32 = 1;

/// Calls `each` with every disk, and its number: how many there are.
pub fn find(mut each: impl FnMut(&dyn Transport, usize)) -> usize {
    let mut count = 0;
    for registers in tree::registers("virtio,mmio") {
        // The magic, and the device: a disk.
        if load32(registers.base) == 0x7472_6976 && load32(registers.base + 8) == 2 {
            each(&ByMmio(registers.base), count);
            count += 1;
        }
    }
    for host in tree::registers("pci-host-ecam-generic") {
        for device in 0..32 {
            let function = host.base + (device << 15);
            // A virtio disk, transitional or not.
            if matches!(load32(function), 0x1001_1af4 | 0x1042_1af4)
                && let Some(disk) = OnPci::new(function)
            {
                each(&disk, count);
                count += 1;
            }
        }
    }
    count
}

/// A device by MMIO (4.2.2).
struct ByMmio(u64);

impl Transport for ByMmio {
    fn start(&self, queue: [u64; 3]) {
        let write = |at, value| store32(self.0 + at, value);
        let [acknowledged, driver, fine, go] = STARTED;
        for status in [0, acknowledged, driver] {
            write(0x70, status);
        }
        write(0x24, 1);
        write(0x20, VERSION_1);
        write(0x70, fine);
        write(0x30, 0);
        write(0x38, SIZE as u32);
        for (at, address) in [0x80, 0x90, 0xa0].into_iter().zip(queue) {
            write(at, address as u32);
            write(at + 4, (address >> 32) as u32);
        }
        write(0x44, 1);
        write(0x70, go);
    }

    fn notify(&self) {
        store32(self.0 + 0x50, 0);
    }
}

/// Where the fourth BAR is put: the beginning of the window for memory of 32 bits on QEMU's virt.
const BAR: u64 = 0x1000_0000;
/// Which BAR has all registers in QEMU's devices.
const BAR_NUMBER: u32 = 4;

/// A device on PCI (4.1.4).
struct OnPci {
    common: u64,
    notify: u64,
}

impl OnPci {
    /// The device of a function, which gets its BAR and the bus.
    fn new(function: u64) -> Option<Self> {
        let (mut common, mut notify) = (None, None);
        let mut at = u64::from(load32(function + 0x34) & 0xfc);
        while at != 0 {
            let head = load32(function + at);
            let place = || {
                let bar = load32(function + at + 4) & 0xff;
                (bar == BAR_NUMBER).then(|| BAR + u64::from(load32(function + at + 8)))
            };
            match (head & 0xff, head >> 24) {
                (9, 1) => common = common.or_else(place),
                (9, 2) => notify = notify.or_else(place),
                _ => {}
            }
            at = u64::from(head >> 8 & 0xfc);
        }
        store32(function + 0x10 + 4 * u64::from(BAR_NUMBER), BAR as u32);
        store32(function + 0x14 + 4 * u64::from(BAR_NUMBER), 0);
        // Memory and bus master.
        store32(function + 4, 6);
        Some(Self { common: common?, notify: notify? })
    }
}

impl Transport for OnPci {
    fn start(&self, queue: [u64; 3]) {
        let write = |at, value| store32(self.common + at, value);
        let [acknowledged, driver, fine, go] = STARTED;
        for status in [0, acknowledged, driver] {
            write(20, status);
        }
        write(8, 1);
        write(12, VERSION_1);
        write(20, fine);
        write(24, SIZE as u32);
        for (at, address) in [32, 40, 48].into_iter().zip(queue) {
            write(at, address as u32);
            write(at + 4, (address >> 32) as u32);
        }
        write(28, 1);
        write(20, go);
    }

    fn notify(&self) {
        store32(self.notify, 0);
    }
}
