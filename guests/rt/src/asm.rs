//! The assembly files and the names they share with Rust.

use core::arch::global_asm;

use crate::entry::{self, Record};
use crate::exception;

const LINK_BASE: u64 = 0x4000_0000;

global_asm!(
    include_str!("entry.s"),
    records = sym entry::RECORDS,
    table = sym entry::TABLE,
    stacks = sym entry::STACKS,
    vectors = sym vectors,
    rt_primary = sym entry::rt_primary,
    rt_secondary = sym entry::rt_secondary,
    link_base = const LINK_BASE,
    stack_size = const entry::STACK_SIZE,
    record_size = const size_of::<Record>(),
    record_stack = const core::mem::offset_of!(Record, stack),
    record_cpu = const core::mem::offset_of!(Record, cpu),
);

global_asm!(include_str!("vectors.s"), rt_exception = sym exception::rt_exception);

unsafe extern "C" {
    /// The vector table of vectors.s.
    pub fn vectors();
    /// Where CPU_ON lets a vCPU start, in entry.s.
    pub fn secondary();
}
