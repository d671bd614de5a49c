//! System registers, barriers and the state of the CPU that runs.

use core::arch::asm;

/// Reads a system register by its name in the Arm ARM, or as `S<op0>_<op1>_C<n>_C<m>_<op2>`.
#[macro_export]
macro_rules! read_reg {
    ($name:literal) => {
        $crate::regs::reader!($name)()
    };
}

/// A function that reads one system register; `unsafe` stays in this crate's macro.
#[macro_export]
#[doc(hidden)]
macro_rules! reader_of {
    ($($name:literal)+) => {{
        fn read() -> u64 {
            let value: u64;
            // SAFETY: reading a system register leaves memory alone; where it is undefined it traps.
            unsafe {
                core::arch::asm!(concat!("mrs {}, " $(, $name)+), out(reg) value, options(nostack));
            }
            value
        }
        read
    }};
}

pub use crate::reader_of as reader;

/// A function that writes one system register, on which neither the program nor its translation may depend; `unsafe` stays in
/// this crate's macro.
#[macro_export]
#[doc(hidden)]
macro_rules! writer_of {
    ($name:literal) => {{
        fn write(value: u64) {
            // SAFETY: a register that neither the program nor its translation depends on.
            unsafe { core::arch::asm!(concat!("msr ", $name, ", {}"), in(reg) value, options(nostack)) }
        }
        write
    }};
}

pub use crate::writer_of as writer;

macro_rules! write_reg {
    ($name:literal, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: each use in this crate writes a register that leaves the memory map and the stack alone.
        unsafe { core::arch::asm!(concat!("msr ", $name, ", {}"), in(reg) value, options(nostack)) }
    }};
}
pub(crate) use write_reg;

/// The affinity fields of this CPU's MPIDR_EL1, as the tree and PSCI have them.
pub fn affinity() -> u64 {
    read_reg!("mpidr_el1") & 0xff_00ff_ffff
}

/// The CPU's number: its place among the tree's CPU nodes.
pub fn cpu_index() -> usize {
    read_reg!("tpidr_el1") as usize
}

pub(crate) fn set_cpu_index(cpu: usize) {
    write_reg!("tpidr_el1", cpu as u64);
}

/// Lets IRQs, and SErrors, be taken.
pub fn unmask_interrupts() {
    // SAFETY: the vectors are in place since entry.s.
    unsafe { asm!("msr daifclr, #6", options(nostack)) }
}

/// Masks IRQs.
pub fn mask_interrupts() {
    // SAFETY: masking is always allowed.
    unsafe { asm!("msr daifset, #2", options(nostack)) }
}

/// Whether IRQs are masked (DAIF.I).
pub fn interrupts_masked() -> bool {
    read_reg!("daif") & 1 << 7 != 0
}

/// Runs `f` with IRQs masked.
pub fn masked<T>(f: impl FnOnce() -> T) -> T {
    let before = interrupts_masked();
    mask_interrupts();
    let result = f();
    if !before {
        unmask_interrupts();
    }
    result
}

/// Sleeps until an interrupt is pending, masked or not (WFI).
pub fn wait_for_interrupt() {
    // SAFETY: WFI changes nothing.
    unsafe { asm!("dsb sy", "wfi", options(nostack)) }
}

/// Gives another CPU a chance while this one polls. YIELD, not WFE: under QEMU's icount a CPU that polls must end its turn.
pub fn relax() {
    // SAFETY: a hint.
    unsafe { asm!("yield", options(nostack)) }
}

/// Instruction synchronization barrier.
pub fn isb() {
    // SAFETY: a barrier.
    unsafe { asm!("isb", options(nostack)) }
}

/// Data synchronization barrier over the full system.
pub fn dsb_sy() {
    // SAFETY: a barrier.
    unsafe { asm!("dsb sy", options(nostack)) }
}

/// Cleans and invalidates the data cache line of an address to the point of coherency.
pub(crate) fn clean_invalidate(address: u64) {
    // SAFETY: cleaning changes no memory as this CPU sees it.
    unsafe { asm!("dc civac, {}", in(reg) address, options(nostack)) }
}

/// Cleans set 0, way 0 of the first data cache (DC CSW): what a hypervisor traps, without effect on what memory holds.
pub fn clean_set_way() {
    // SAFETY: cleaning changes no memory as this CPU sees it.
    unsafe { asm!("dc csw, xzr", options(nostack)) }
}

/// Whether a vector register keeps its value while `f` runs. This program uses none itself.
pub fn floating_point_across(f: impl FnOnce()) -> bool {
    const MARK: u64 = 0x0123_4567_89ab_cdef;
    write_reg!("cpacr_el1", read_reg!("cpacr_el1") | 3 << 20);
    isb();
    // SAFETY: the target is softfloat: no Rust code holds anything in a vector register.
    unsafe { asm!(".arch_extension fp", "fmov d8, {}", in(reg) MARK, options(nostack)) }
    f();
    let after: u64;
    // SAFETY: as above.
    unsafe { asm!(".arch_extension fp", "fmov {}, d8", out(reg) after, options(nostack)) }
    after == MARK
}
