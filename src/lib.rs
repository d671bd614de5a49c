//! Bulkhead's policy: everything that decides. It touches no hardware; [`ports`] says what it asks of it.
//!
//! In reading order:
//! - [`addr`], [`intid`], [`cpu`]: a type for each space of numbers.
//! - [`tree`]: device-tree bytes, checked and laid out. [`archive`], [`image`]: what the loader brings.
//! - [`config`]: the description. [`hardware`]: the board. [`plan`]: the two together, who owns what.
//! - [`paging`], [`guest_tree`], [`vgic`]: what each cell is given: address space, device tree, interrupts.
//! - [`vcpu`], [`trap`], [`mmio`], [`psci`], [`smccc`]: what its CPUs do and are answered.
//! - [`sync`]: atomics and locks. [`console`], [`uart`], [`log`](mod@log): many cells on one UART, and Bulkhead's own lines. [`watchdog`]:
//!   cells that fall silent; [`alarm`]: EL2's timer.
//! - [`errata`]: what particular CPUs get wrong. [`refusal`]: what all refusals have in common.
//! - [`quiesce`]: how the DMA of a cell's devices is stopped.
//! - [`cell`], [`inbox`], [`crash`], [`run`], [`boot`]: life, death, and the loop on each CPU. [`exits`]: why it left guests, counted.
#![cfg_attr(not(any(test, fuzzing)), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a test may stop at the first surprise"
    )
)]

extern crate alloc;

pub mod addr;
pub mod alarm;
pub mod archive;
pub mod boot;
pub mod cell;
pub mod config;
pub mod console;
pub mod cpu;
pub mod crash;
pub mod errata;
pub mod exits;
#[cfg(any(test, fuzzing))]
#[cfg_attr(fuzzing, allow(dead_code, unused_imports, reason = "the tests use the rest"))]
mod fake;
#[cfg(fuzzing)]
pub use fake::streams;
pub mod guest_tree;
pub mod hardware;
pub mod image;
pub mod inbox;
pub mod intid;
pub mod log;
pub mod mmio;
pub mod paging;
pub mod plan;
pub mod ports;
pub mod psci;
pub mod quiesce;
pub mod refusal;
pub mod run;
pub mod smccc;
mod sort;
pub mod sync;
pub mod trap;
pub mod tree;
pub mod uart;
pub mod vcpu;
pub mod vgic;
pub mod watchdog;
