//! What particular CPUs ask for; [`bulkhead::errata`] says which.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};

use aarch64_cpu::asm::barrier::{ISH, SY, dsb, isb};
use aarch64_cpu::registers::{FAR_EL2, MIDR_EL1, PAR_EL1, Readable, Writeable};
use bulkhead::errata::{Errata, deadlocks};
use bulkhead::refusal::code::CPU_DEADLOCK;

/// This CPU's.
fn own() -> Errata {
    Errata::of_midr(MIDR_EL1.get())
}

/// Says, once on a machine, that it is only as safe as its guests are.
pub fn tell() {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if deadlocks(MIDR_EL1.get()) && !TOLD.swap(true, Ordering::Relaxed) {
        log::warn!(
            "{CPU_DEADLOCK}: by an erratum of this CPU a guest can stop the machine: run trusted cells only"
        );
    }
}

/// Called between switching EL1's stage 1 off and loading another stage 2. Stage 1 being off, a speculative walk goes
/// through stage 2 alone; the barriers make sure that none is under way with the old registers.
pub fn before_new_stage2() {
    if own().speculative_at {
        dsb(ISH);
        isb(SY);
    }
}

/// Whether the stage 2 fault that was just taken is one of stage 1 (Cortex-A57 834220: the access crosses a page, and stage 1
/// refuses it). The guest's translation registers are still loaded.
#[cold]
pub fn is_false_report() -> bool {
    if !own().false_stage2_fault {
        return false;
    }
    // PAR_EL1 is the guest's.
    let guests = PAR_EL1.get();
    // SAFETY: only walks the guest's tables, and changes nothing but PAR_EL1.
    unsafe { asm!("at s1e1r, {}", in(reg) FAR_EL2.get(), options(nostack, preserves_flags)) };
    isb(SY);
    let result = PAR_EL1.get();
    PAR_EL1.set(guests);
    // F without S (Arm ARM D24.2.125): the walk met a fault, and it was not one of stage 2.
    const F: u64 = 1;
    const S: u64 = 1 << 9;
    result & (F | S) == F
}
