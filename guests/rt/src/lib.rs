//! A small runtime for bare-metal guests of a Bulkhead cell: everything that a program at EL1 needs and none of its
//! policy. All that depends on the machine comes from the device tree in x0; no address is built in.
//!
//! In reading order: [`entry`] (from the first instruction to `main`), [`tree`] (what the device tree tells), [`regs`]
//! (system registers), [`mmio`], [`console`] (PL011), [`exception`], [`excursion`] (code in another state of the CPU), [`gic`],
//! [`timer`], [`watchdog`], [`psci`], [`smp`] (other CPUs),
//! [`measure`] (instruction counts for the benchmark guest).
//!
//! A guest is a crate with `rt::entry!(main, irq)`: `main` runs once on the first CPU with interrupts masked, `irq`
//! whenever one is taken. All `unsafe` of the guests is in this crate.

#![no_std]

mod asm;
pub mod console;
pub mod entry;
pub mod exception;
pub mod excursion;
pub mod gic;
pub mod measure;
pub mod mmio;
pub mod psci;
pub mod regs;
pub mod smp;
pub mod timer;
pub mod tree;
pub mod watchdog;

/// The most vCPUs that a guest uses.
pub const MAX_CPUS: usize = 16;

/// Names a guest's `fn main() -> !` and its `fn irq()`.
#[macro_export]
macro_rules! entry {
    ($main:path, $irq:path) => {
        #[unsafe(no_mangle)]
        extern "Rust" fn guest_main() -> ! {
            $main()
        }

        #[unsafe(no_mangle)]
        extern "Rust" fn guest_irq() {
            $irq()
        }
    };
}
