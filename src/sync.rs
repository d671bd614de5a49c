//! Atomics and locks, for what several CPUs use.
//!
//! In the models of `tests/loom` they are loom's, which tries every order of the CPUs' steps, and every value that the memory
//! model lets each of them see.

#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
#[cfg(not(loom))]
pub use spin::{Mutex, MutexGuard};

#[cfg(loom)]
#[path = "../tests/loom/sync.rs"]
mod model;
#[cfg(loom)]
pub use model::*;
