//! Cache maintenance by address (Arm ARM D7.5). QEMU models no caches: the reasons stand at the callers.

use core::arch::asm;

use aarch64_cpu::asm::barrier::{ISH, SY, dsb, isb};
use bulkhead::addr::{Pa, Span};

/// Bytes in the smallest data cache line of the system (CTR_EL0.DminLine).
fn line() -> u64 {
    4 << (ctr() >> 16 & 0xf)
}

fn ctr() -> u64 {
    let value: u64;
    // SAFETY: CTR_EL0 exists on every CPU and reading it changes nothing.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Cleans and invalidates a span to the point of coherency. It must be mapped at EL2.
pub fn clean_invalidate(span: Span<Pa>) {
    let line = line();
    let mut at = span.start().0 & !(line - 1);
    while at < span.end().0 {
        // SAFETY: writes back and drops a line: memory keeps its contents. The caller has the span mapped.
        unsafe { asm!("dc civac, {}", in(reg) at, options(nostack, preserves_flags)) };
        at = at.wrapping_add(line);
    }
    dsb(SY);
}

/// Cleans a value to the point of coherency, for a CPU whose caches are still off. Lines are invalidated, too: on the first Cortex-A53 a
/// clean alone may lose data (errata 819472, 824069, 826319, 827319).
pub fn clean_value<T>(value: &T) {
    let start = Pa(core::ptr::from_ref(value).addr() as u64);
    if let Some(span) = Span::new(start, size_of::<T>() as u64) {
        clean_invalidate(span);
    }
}

/// Invalidates the instruction caches of all CPUs, behind data that was cleaned (Arm ARM B2.4.4).
pub fn invalidate_instructions() {
    dsb(ISH);
    // SAFETY: only forgets cached instructions.
    unsafe { asm!("ic ialluis", options(nostack, preserves_flags)) };
    dsb(ISH);
    isb(SY);
}

/// Bytes that DC ZVA zeroes; `None` where it may not be used (DCZID_EL0).
pub fn zva_block() -> Option<u64> {
    let value: u64;
    // SAFETY: DCZID_EL0 exists on every CPU and reading it changes nothing.
    unsafe { asm!("mrs {}, dczid_el0", out(reg) value, options(nomem, nostack, preserves_flags)) };
    (value & 0x10 == 0).then(|| 4 << (value & 0xf))
}
