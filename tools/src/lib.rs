//! What runs at the desk. In reading order:
//! - [`cpio`], [`gzip`], [`dtc`]: formats and programs that the rest uses.
//! - [`pack`]: a description and its images become one archive.
//! - [`initramfs`]: what a Linux guest starts with.
//! - [`qemu`]: the emulated machine, and talking to what runs there.
//! - [`demo`]: the demo, watched without a person.
//! - [`plan`]: a description held against a board's tree.
//! - [`bench`]: figures of size, memory and traps.

pub mod bench;
pub mod cpio;
pub mod demo;
pub mod dtc;
pub mod gzip;
pub mod initramfs;
pub mod pack;
pub mod plan;
pub mod qemu;
