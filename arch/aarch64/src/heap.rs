//! The boot heap: EL2's pool, from which everything is allocated before the first guest runs, and later the tables of
//! windows onto a cell that is loaded.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use buddy_system_allocator::Heap;
use bulkhead::addr::Pa;
use bulkhead::paging::{Table, Tables};
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

fn layout(count: usize) -> Option<Layout> {
    Layout::array::<Table>(count)
        .ok()?
        .align_to(count.checked_next_power_of_two()?.checked_mul(size_of::<Table>())?)
        .ok()
}

/// See [`bulkhead::paging::TakeTables`].
pub fn take_tables(count: usize) -> Option<Tables> {
    if count == 0 {
        return Some(Tables::forever(&[]));
    }
    // SAFETY: the layout has a size: there is a table, and a table has one.
    let tables = NonNull::new(unsafe { alloc::alloc::alloc_zeroed(layout(count)?) })?.as_ptr();
    tables.expose_provenance();
    // SAFETY: memory for so many tables, aligned; zeros are a table of invalid entries. It is freed by `give_tables` alone, behind
    // the last reference: `Tables` hands out none that outlives it.
    let tables = unsafe { core::slice::from_raw_parts(tables.cast(), count) };
    Some(Tables::new(tables, give_tables))
}

/// For the [`Tables`] of [`take_tables`] alone.
fn give_tables(first: Pa, count: usize) {
    if let Some(layout) = layout(count) {
        let first = core::ptr::with_exposed_provenance_mut(first.0 as usize);
        // SAFETY: it came from `alloc_zeroed` with this layout, and nobody refers to it any more.
        unsafe { alloc::alloc::dealloc(first, layout) };
    }
}

/// Whether there was once too little for what was asked; `false` also while somebody has the heap.
pub fn is_exhausted() -> bool {
    POOL.0.try_lock().is_some_and(|memory| memory.exhausted)
}

/// Bytes that are free.
pub fn free() -> usize {
    let (used, _, total) = used();
    total.saturating_sub(used)
}

/// Bytes in use, the most that ever were, and bytes in all, rounded as the allocator rounds.
pub fn used() -> (usize, usize, usize) {
    let memory = POOL.0.lock();
    (memory.heap.stats_alloc_actual(), memory.peak, memory.heap.stats_total_bytes())
}
