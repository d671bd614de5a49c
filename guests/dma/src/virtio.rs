//! A virtio disk's queue (Virtual I/O Device 1.2, 2.7 split virtqueues, 5.2 block device), and what it is asked: to read.

use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering};

use rt::regs;

/// Disks.
pub const DISKS: usize = 2;
/// Requests to each, a page each.
pub const REQUESTS: usize = 16;
/// Descriptors, a power of two: three for each request.
pub const SIZE: usize = 64;
/// What the disks hold.
const CONTENT: u64 = 0xa5a5_a5a5_a5a5_a5a5;

/// Descriptor flags: another one follows; the device writes.
const NEXT: u64 = 1;
const WRITE: u64 = 2;

/// The queues, and the memory that they are about.
pub static QUEUES: [Queue; DISKS] = [const { Queue::new() }; DISKS];

/// How a disk is told of its queue.
pub trait Transport {
    /// Resets the device, negotiates and hands it the addresses of descriptors, driver area and device area.
    fn start(&self, queue: [u64; 3]);
    /// There is something in the queue.
    fn notify(&self);
}

/// A queue.
#[repr(C, align(4096))]
pub struct Queue {
    pages: [[AtomicU64; 512]; REQUESTS],
    descriptors: [[AtomicU64; 2]; SIZE],
    headers: [[AtomicU64; 2]; REQUESTS],
    /// Flags, index, ring.
    available: [AtomicU16; 2 + SIZE],
    /// Flags, index; then the ring, eight bytes each.
    used: Used,
    status: [AtomicU8; REQUESTS],
}

#[repr(C, align(8))]
struct Used([AtomicU16; 4 + 4 * SIZE]);

impl Queue {
    const fn new() -> Self {
        Self {
            pages: [const { [const { AtomicU64::new(0) }; 512] }; REQUESTS],
            descriptors: [const { [const { AtomicU64::new(0) }; 2] }; SIZE],
            headers: [const { [const { AtomicU64::new(0) }; 2] }; REQUESTS],
            available: [const { AtomicU16::new(0) }; 2 + SIZE],
            used: Used([const { AtomicU16::new(0) }; 4 + 4 * SIZE]),
            status: [const { AtomicU8::new(0) }; REQUESTS],
        }
    }

    /// Whether anything has been read into its pages.
    pub fn is_written(&self) -> bool {
        // The first word of each page is enough: the device writes whole ones.
        self.pages.iter().filter_map(|page| page.first()).any(|word| word.load(Ordering::Relaxed) == CONTENT)
    }

    /// How many requests are done.
    pub fn done(&self) -> usize {
        self.used.0.get(1).map_or(0, |index| index.load(Ordering::Acquire).into())
    }

    /// Asks for all pages.
    pub fn ask(&self, disk: &dyn Transport) {
        let address = |at: *const ()| at.addr() as u64;
        let mut chains = self.descriptors.chunks_exact(3);
        let requests = self.headers.iter().zip(&self.pages).zip(&self.status);
        for ((n, ((header, page), status)), chain) in (0u64..).zip(requests).zip(&mut chains) {
            // Type 0, read, and the sector: with holes between, or QEMU makes one request of all.
            set(header, [0, n * 16]);
            let parts = [
                (address(core::ptr::from_ref(header).cast()), 16, NEXT),
                (address(core::ptr::from_ref(page).cast()), 4096, NEXT | WRITE),
                (address(core::ptr::from_ref(status).cast()), 1, WRITE),
            ];
            for ((place, (at, length, flags)), next) in chain.iter().zip(parts).zip(3 * n + 1..) {
                set(place, [at, length | flags << 32 | next << 48]);
            }
            if let Some(place) = self.available.get(2 + n as usize) {
                place.store(3 * n as u16, Ordering::Relaxed);
            }
        }
        disk.start([
            address(core::ptr::from_ref(&self.descriptors).cast()),
            address(core::ptr::from_ref(&self.available).cast()),
            address(core::ptr::from_ref(&self.used).cast()),
        ]);
        if let Some(index) = self.available.get(1) {
            index.store(REQUESTS as u16, Ordering::Release);
        }
        regs::dsb_sy();
        disk.notify();
    }
}

fn set(pair: &[AtomicU64; 2], values: [u64; 2]) {
    pair.iter().zip(values).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
}
