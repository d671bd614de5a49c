//! The boot heap: EL2's pool, from which everything is allocated before the first guest runs, and later the tables of
//! windows onto a cell that is loaded.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use buddy_system_allocator::Heap;
use bulkhead::paging::Table;
use spin::Mutex;

/// Orders up to 2 GiB blocks, far beyond any pool.
struct Pool(Mutex<Memory>);

struct Memory {
    heap: Heap<32>,
    /// The most bytes that were ever in use.
    peak: usize,
    /// Whether there was once too little for what was asked.
    exhausted: bool,
}

#[global_allocator]
static POOL: Pool = Pool(Mutex::new(Memory { heap: Heap::new(), peak: 0, exhausted: false }));

// SAFETY: the allocator hands out disjoint blocks of the memory it was given, aligned and sized as asked.
unsafe impl GlobalAlloc for Pool {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut memory = self.0.lock();
        let block = memory.heap.alloc(layout).map_or(core::ptr::null_mut(), NonNull::as_ptr);
        memory.exhausted |= block.is_null();
        memory.peak = memory.peak.max(memory.heap.stats_alloc_actual());
        block
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if let Some(at) = NonNull::new(at) {
            // SAFETY: by the caller's contract `at` came from `alloc` with this layout.
            unsafe { self.0.lock().heap.dealloc(at, layout) };
        }
    }
}

/// Gives the heap its memory.
///
/// # Safety
/// The memory is mapped for writing, and nobody else uses it from now on.
pub unsafe fn add(start: u64, size: u64) {
    let (start, size) = (start as usize, size as usize);
    // SAFETY: passed on to our caller.
    unsafe { POOL.0.lock().heap.add_to_heap(start, start + size) };
}

/// See [`bulkhead::paging::TakeTables`].
pub fn take_tables(count: usize) -> Option<&'static [Table]> {
    if count == 0 {
        return Some(&[]);
    }
    let layout =
        Layout::array::<Table>(count).ok()?.align_to(count.next_power_of_two() * size_of::<Table>()).ok()?;
    // SAFETY: the layout has a size: there is a table, and a table has one.
    let tables = NonNull::new(unsafe { alloc::alloc::alloc_zeroed(layout) })?;
    // SAFETY: memory for so many tables, aligned, never freed; zeros are a table of invalid entries.
    Some(unsafe { core::slice::from_raw_parts(tables.as_ptr().cast(), count) })
}

/// Whether there was once too little for what was asked; `false` also while somebody has the heap.
pub fn is_exhausted() -> bool {
    POOL.0.try_lock().is_some_and(|memory| memory.exhausted)
}

/// Bytes in use, the most that ever were, and bytes in all, rounded as the allocator rounds.
pub fn used() -> (usize, usize, usize) {
    let memory = POOL.0.lock();
    (memory.heap.stats_alloc_actual(), memory.peak, memory.heap.stats_total_bytes())
}
