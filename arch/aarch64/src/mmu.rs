//! EL2's own map: one to one, only what is needed, never writable and executable at once.

use aarch64_cpu::asm::barrier::{ISHST, SY, dsb, isb};
use aarch64_cpu::registers::{Readable, SP};
use bulkhead::addr::{PAGE, Pa, Span};
use bulkhead::paging::{Geometry, HeapStore, MAIR_EL2, MapError, Regime, Stale, Table, Tables, Window};
use bulkhead::ports::NoWindow;
use spin::Mutex;

use crate::entry::MmuRegisters;
use crate::regime::E2H;
use crate::{heap, stop, tlb};

/// EL2's address space. The first tables are part of the image, more come from the heap.
pub type Space = bulkhead::paging::El2Space<HeapStore>;

/// Tables in the image: a root, and a path for each of RAM, the image, the tree, the console, the GIC's frames, the
/// archive and the pool.
pub const BOOT_TABLES: usize = 12;

/// SCTLR_EL2: RES1 bits, and M, C, SA, I, WXN (Arm ARM D24.2.176).
const SCTLR_ON: u64 = 0x30c5_0830 | 1 | 1 << 2 | 1 << 3 | 1 << 12 | 1 << 19;

/// HCR_EL2.RW: EL1 is AArch64.
const RW: u64 = 1 << 31;

/// An empty space over the image's tables, as wide as the CPU's physical addresses; `None` if the tables do not suffice.
pub fn new_space(pa_range: u8, regime: Regime, tables: &'static [Table]) -> Option<Space> {
    let widest = Geometry::for_el2(pa_range, 0, regime).ok()?.output_bits();
    let geometry = Geometry::for_el2(pa_range, (1 << widest) - 1, regime).ok()?;
    Space::new(geometry, HeapStore::over(&geometry, Tables::forever(tables), heap::take_tables)?)
}

/// What turns this space on.
pub fn registers(space: &Space) -> MmuRegisters {
    let geometry = space.geometry();
    let e2h = if geometry.regime() == Regime::El2And0 { E2H } else { 0 };
    MmuRegisters {
        ttbr: space.root().0,
        tcr: geometry.tcr_el2(),
        mair: MAIR_EL2,
        sctlr: SCTLR_ON,
        hcr: RW | e2h,
    }
}

/// Maps whole pages around `span`; visible to this CPU when it returns, to others by the next barrier of theirs.
///
/// # Errors
/// See [`MapError`].
pub fn map(space: &mut Space, span: Span<Pa>, window: Window) -> Result<(), MapError> {
    let Some(pages) = span.widened_to(PAGE) else { return Ok(()) };
    space.map_identity(pages, window)?;
    // The walker sees the new entries (Arm ARM D8.17.7): no TLBI, they were invalid before.
    dsb(ISHST);
    isb(SY);
    Ok(())
}

/// Takes whole pages away.
///
/// # Errors
/// See [`MapError`].
pub fn unmap(space: &mut Space, span: Span<Pa>) -> Result<(), MapError> {
    let Some(pages) = span.widened_to(PAGE) else { return Ok(()) };
    space.unmap_identity(pages, &mut |stale| match stale {
        Stale::At(va) => tlb::invalidate_el2(va.0),
        Stale::All => tlb::invalidate_el2_all(),
    })
}

/// A window onto physical memory or registers for the time of `work`. Windows of different CPUs never overlap: each lies in the
/// RAM, or in a device, of the cell whose life the CPU is preparing or has ended, or in the RAM of the running cell for which the CPU
/// holds `Cell::cleaner`.
///
/// # Errors
/// There is no memory for its tables; `work` was not run.
pub fn window(
    space: &Mutex<Space>,
    span: Span<Pa>,
    window: Window,
    work: &mut dyn FnMut(),
) -> Result<(), NoWindow> {
    let opened = map(&mut space.lock(), span, window);
    match opened {
        Ok(()) => work(),
        // A part of it may be mapped.
        Err(MapError::NoTable { .. }) => {}
        Err(error) => stop::fatal(format_args!("no window onto {span}: {error}")),
    }
    if let Err(error) = unmap(&mut space.lock(), span) {
        stop::fatal(format_args!("the window onto {span} stays: {error}"));
    }
    opened.map_err(|_| NoWindow)
}

/// Whether `at` lies in the 8 KiB above this CPU's stack pointer: a guess good enough for a backtrace, since a stack
/// ends with a page that is mapped.
pub fn near_stack_pointer(at: u64) -> bool {
    let sp = SP.get();
    at >= sp && at - sp < 0x2000
}
