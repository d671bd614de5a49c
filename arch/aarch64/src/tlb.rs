//! TLB maintenance (Arm ARM D8.17). Every call waits until it is complete: on this CPU for [`invalidate_local_guest`], on all
//! CPUs of the inner shareable domain for the others.
//!
//! On many CPUs the first TLBI to all, and the DSB behind it, may be complete before a remote CPU's accesses by the old
//! translation are (Cortex-A76 1286807, Cortex-A55 2441007, Cortex-A510 2441009, and CVE-2025-10263 on most since the Cortex-A76).
//! A second TLBI and DSB wait for them. Nothing here is on the way of a trap, and the CPU at fault may be another than the one
//! that asks: so it is done twice everywhere.

use core::arch::asm;

use aarch64_cpu::asm::barrier::{ISH, ISHST, SY, dsb, isb};
use aarch64_cpu::registers::{Readable, VTTBR_EL2, Writeable};
use bulkhead::addr::Ipa;

/// Forgets one page of a cell: first the stage 2 entry, then, because a TLB may hold the two stages combined,
/// all stage 1 entries of the VMID (D8.17.5).
pub fn invalidate_ipa(vttbr: u64, ipa: Ipa) {
    with_vmid(vttbr, || {
        // SAFETY: only forgets cached translations; the tables were changed before, and `with_vmid` put a DSB between.
        unsafe { asm!("tlbi ipas2e1is, {}", in(reg) ipa.0 >> 12, options(nostack, preserves_flags)) };
        dsb(ISH);
        // SAFETY: as above.
        unsafe { asm!("tlbi vmalle1is", options(nostack, preserves_flags)) };
    });
}

/// Forgets all of a cell.
pub fn invalidate_vmid(vttbr: u64) {
    with_vmid(vttbr, || {
        // SAFETY: only forgets cached translations.
        unsafe { asm!("tlbi vmalls12e1is", options(nostack, preserves_flags)) };
    });
}

/// Forgets what EL2 itself has cached for one page.
pub fn invalidate_el2(va: u64) {
    dsb(ISHST);
    twice(|| {
        // SAFETY: only forgets cached translations; the entry was cleared before the barrier.
        unsafe { asm!("tlbi vae2is, {}", in(reg) va >> 12, options(nostack, preserves_flags)) };
    });
}

/// Forgets all that this CPU has cached for EL1 and EL0, whatever the VMID, and its instruction cache.
pub fn invalidate_local_guest() {
    dsb(ISHST);
    // SAFETY: only forgets cached translations, of no guest that runs here now.
    unsafe { asm!("tlbi alle1", options(nostack, preserves_flags)) };
    // SAFETY: only forgets cached instructions.
    unsafe { asm!("ic iallu", options(nostack, preserves_flags)) };
    dsb(ISH);
    isb(SY);
}

/// Runs `operation` with the cell's VMID in VTTBR_EL2, as the maintenance of its entries asks, and
/// waits for it.
fn with_vmid(vttbr: u64, operation: impl Fn()) {
    let before = VTTBR_EL2.get();
    if before != vttbr {
        VTTBR_EL2.set(vttbr);
        isb(SY);
    }
    dsb(ISHST);
    twice(operation);
    if before != vttbr {
        VTTBR_EL2.set(before);
        isb(SY);
    }
}

/// Forgets all that any CPU has cached for EL2.
pub fn invalidate_el2_all() {
    dsb(ISHST);
    twice(|| {
        // SAFETY: only forgets cached translations.
        unsafe { asm!("tlbi alle2is", options(nostack, preserves_flags)) };
    });
}

/// Runs a TLBI to all CPUs and waits for it, twice: see above.
fn twice(operation: impl Fn()) {
    for _ in 0..2 {
        operation();
        dsb(ISH);
    }
    isb(SY);
}
