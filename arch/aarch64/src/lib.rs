//! Bulkhead's mechanism on AArch64 EL2: everything that touches the machine.
//!
//! In reading order:
//! - `entry`: the image's head, relocation, the way of each CPU into Rust. `start`: from there to the policy's boot.
//!   `secondary`: the other CPUs.
//! - `sysreg`, `el2`, `el1`, `debug`: registers that `aarch64-cpu` lacks; EL2's controls; the guest's registers at the start of a life.
//! - `world`: into the guest and back; EL2's vectors.
//! - `regime`: with FEAT_VHE or without.
//! - `mmu`, `cache`, `tlb`, `memory`, `heap`: EL2's own memory and the cells'.
//! - `gic`, `interface`, `gicv2`, `either`, `device`, `time`, `firmware`, `uart`, `entropy`: devices and firmware.
//! - `errata`: what particular CPUs ask for. `cpu`: all of it as the policy's ports. `stop`: the last words.
//!
//! Unsafe code is denied but for the modules marked below; each of them is small, and argues at each block.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

mod either;
mod el2;
mod interface;
mod mmu;
mod time;

#[expect(unsafe_code, reason = "cache maintenance instructions")]
mod cache;
#[expect(unsafe_code, reason = "a CPU of which more is known is the same CPU")]
mod cpu;
#[expect(unsafe_code, reason = "the guest's debug and PMU registers, written while no guest runs")]
mod debug;
#[expect(
    unsafe_code,
    reason = "memory-mapped registers of cells' devices, through windows, while no guest runs"
)]
mod device;
#[expect(unsafe_code, reason = "the guest's system registers, written while no guest runs")]
mod el1;
#[expect(unsafe_code, reason = "FEAT_RNG's register")]
mod entropy;
#[expect(unsafe_code, reason = "the image's entry points are assembly, and linker symbols are read")]
mod entry;
#[expect(unsafe_code, reason = "AT, to ask the MMU about a fault")]
mod errata;
#[expect(unsafe_code, reason = "SMC")]
mod firmware;
#[expect(unsafe_code, reason = "memory-mapped registers of the GIC and its system registers")]
mod gic;
#[expect(unsafe_code, reason = "memory-mapped registers of the GIC")]
mod gicv2;
#[expect(unsafe_code, reason = "the global allocator's interface is unsafe")]
mod heap;
#[expect(unsafe_code, reason = "physical memory of cells, through windows")]
mod memory;
#[expect(unsafe_code, reason = "the MMU is turned off and on again under the code that runs")]
mod regime;
#[expect(unsafe_code, reason = "the other CPUs' entry points, and the store that a spin table waits for")]
mod secondary;
#[expect(unsafe_code, reason = "boot hands raw memory to safe code, once")]
mod start;
#[expect(unsafe_code, reason = "the panic printer walks frame pointers")]
mod stop;
#[expect(unsafe_code, reason = "system registers that aarch64-cpu does not have")]
mod sysreg;
#[expect(unsafe_code, reason = "TLB maintenance instructions")]
mod tlb;
#[expect(unsafe_code, reason = "memory-mapped registers of the console UART")]
mod uart;
#[expect(unsafe_code, reason = "ERET and the exception vectors are assembly")]
mod world;
