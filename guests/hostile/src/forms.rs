//! Every way to touch an address that is not a plain load or store of one register, and those too.

use core::arch::global_asm;

global_asm!(".arch_extension fp", ".arch_extension simd", include_str!("forms.s"));

unsafe extern "C" {
    static hostile_forms: u32;
    static hostile_forms_end: u32;
}

/// How many there are.
pub fn count() -> usize {
    ((&raw const hostile_forms_end).addr() - (&raw const hostile_forms).addr()) / 4
}

/// The word of one.
pub fn word(n: usize) -> u32 {
    if n >= count() {
        return crate::shot::NOP;
    }
    // SAFETY: inside the table, by the line above.
    let at = unsafe { (&raw const hostile_forms).add(n) };
    // SAFETY: a word of .rodata.
    unsafe { at.read() }
}
