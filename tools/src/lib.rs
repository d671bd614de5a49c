//! What runs at the desk. In reading order:
//! - [`cpio`], [`gzip`], [`dtc`]: formats and programs that the rest uses.
//! - [`source`], [`report`]: mistakes, with the lines that are to blame. [`explain`]: the pages on them.
//! - [`pack`]: a description and its images become one archive.
//! - [`board`], [`plan`]: a description held against a board's tree; who owns what as a table and as a picture.
//! - [`new`]: a first description. [`zephyr`]: what an RTOS build must know of a cell.
//! - [`initramfs`]: what a Linux guest starts with.
//! - [`qemu`]: the emulated machine, and talking to what runs there. [`run`]: which one a description wants.
//! - [`demo`]: the demo, watched without a person.
//! - [`bench`]: figures of size, memory and traps.
//! - [`arguments`]: the command line.

pub mod arguments;
pub mod bench;
pub mod board;
pub mod cpio;
pub mod demo;
pub mod dtc;
pub mod explain;
pub mod gzip;
pub mod initramfs;
pub mod new;
pub mod pack;
pub mod plan;
pub mod qemu;
pub mod report;
pub mod run;
pub mod source;
pub mod zephyr;
