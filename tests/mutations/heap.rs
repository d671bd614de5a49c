//! Counts what a thread has on the heap, rounded as the image's allocator rounds (to powers of two).

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static HEAP: Counting = Counting;

fn count(layout: Layout, sign: isize) {
    let size = layout.size().next_power_of_two().max(layout.align()).max(8) as isize;
    // A thread that ends frees what it has when its counters are gone already.
    let _ = NOW.try_with(|now| {
        now.set(now.get() + sign * size);
        PEAK.try_with(|peak| peak.set(peak.get().max(now.get())))
    });
}

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout, 1);
        // SAFETY: passed on to our caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(layout, -1);
        // SAFETY: passed on to our caller.
        unsafe { System.dealloc(at, layout) }
    }
}

/// The most bytes that `work` had at once.
pub fn peak<R>(work: impl FnOnce() -> R) -> (R, u64) {
    let before = NOW.get();
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before) as u64)
}
