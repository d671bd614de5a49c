//! The image's assembly entry, and what the link script knows.

use core::arch::global_asm;

use bulkhead::addr::{Address, Pa, Span};
use bulkhead::paging::Window;

global_asm!(include_str!("entry.S"));

unsafe extern "C" {
    static bulkhead_head: u8;
    static bulkhead_text_end: u8;
    static bulkhead_written_start: u8;
    static bulkhead_rodata_end: u8;
    static bulkhead_image_end: u8;
    static bulkhead_boot_guard: u8;
    static bulkhead_emergency_guard: u8;
    static bulkhead_boot_stack_end: u8;
    static bulkhead_secondary_entry: u8;

    fn bulkhead_enable_mmu(ttbr: u64, tcr: u64, mair: u64, sctlr: u64, hcr: u64, start: u64, end: u64);
    fn bulkhead_load_mmu(ttbr: u64, tcr: u64, mair: u64, sctlr: u64, hcr: u64);
}

fn at(symbol: *const u8) -> Pa {
    Pa(symbol.addr() as u64)
}

/// Where the image lies: what it was linked at 0 for.
pub fn base() -> u64 {
    at(&raw const bulkhead_head).0
}

/// All of the image, its bss and boot stack included.
pub fn image() -> Option<Span<Pa>> {
    Span::between(at(&raw const bulkhead_head), at(&raw const bulkhead_image_end))
}

/// The image's parts and what each may be used for; the guard pages under the boot CPU's two stacks are left out.
pub fn sections() -> [Option<(Span<Pa>, Window)>; 5] {
    let between = |start, end, window| Span::between(start, end).map(|span| (span, window));
    let behind = |guard: Pa| Pa(guard.0.wrapping_add(bulkhead::addr::PAGE));
    let (guard, emergency) = (at(&raw const bulkhead_boot_guard), at(&raw const bulkhead_emergency_guard));
    [
        between(at(&raw const bulkhead_head), at(&raw const bulkhead_text_end), Window::Code),
        between(at(&raw const bulkhead_text_end), at(&raw const bulkhead_rodata_end), Window::ReadOnly),
        between(at(&raw const bulkhead_rodata_end), guard, Window::Data),
        between(behind(guard), emergency, Window::Data),
        between(behind(emergency), at(&raw const bulkhead_image_end), Window::Data),
    ]
}

/// Where firmware is to start another CPU.
pub fn secondary() -> Pa {
    at(&raw const bulkhead_secondary_entry)
}

/// Registers that turn EL2's MMU on.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MmuRegisters {
    /// TTBR0_EL2.
    pub ttbr: u64,
    /// TCR_EL2.
    pub tcr: u64,
    /// MAIR_EL2.
    pub mair: u64,
    /// SCTLR_EL2.
    pub sctlr: u64,
    /// HCR_EL2 until [`crate::el2::init`]: it says whose translation regime the others are for.
    pub hcr: u64,
}

/// Turns MMU and caches on.
///
/// # Safety
/// The tables map the running code, its stack and its data one to one; nothing but this CPU's writes with caches off
/// has changed the image's data.
pub unsafe fn enable_mmu(registers: &MmuRegisters) {
    let (start, end) = (at(&raw const bulkhead_written_start).get(), at(&raw const bulkhead_image_end).get());
    // SAFETY: the caller's promise.
    unsafe {
        bulkhead_enable_mmu(
            registers.ttbr,
            registers.tcr,
            registers.mair,
            registers.sctlr,
            registers.hcr,
            start,
            end,
        )
    };
}

/// Turns MMU and caches off, and on again with these registers.
///
/// # Safety
/// As for [`enable_mmu`]; and the code is in memory, not only in a cache.
pub unsafe fn reload_mmu(registers: &MmuRegisters) {
    // SAFETY: the caller's promise; meanwhile the assembly fetches instructions, and accesses no data.
    unsafe {
        bulkhead_load_mmu(registers.ttbr, registers.tcr, registers.mair, registers.sctlr, registers.hcr)
    };
}

/// A frame record (AAPCS64 6.4.6): the caller's record and the return address, if `at` may be one.
pub fn stack_frame(at: u64) -> Option<(u64, u64)> {
    let image = image()?;
    let last = at.checked_add(8)?;
    let boot_stack = image.contains(Pa(at)) && last <= (&raw const bulkhead_boot_stack_end).addr() as u64;
    let near = crate::mmu::near_stack_pointer(at);
    if !at.is_multiple_of(16) || !(boot_stack || near) {
        return None;
    }
    let record = core::ptr::with_exposed_provenance::<u64>(at as usize);
    // SAFETY: the address is aligned and lies on this CPU's stack.
    let next = unsafe { record.read_volatile() };
    // SAFETY: `last`, 8 bytes behind it, lies on the same stack.
    let caller = unsafe { record.wrapping_add(1).read_volatile() };
    image.contains(Pa(caller)).then_some((next, caller))
}
