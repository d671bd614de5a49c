//! Cells' memory, through windows in EL2's map.

use core::arch::asm;

use bulkhead::addr::{Pa, Span};
use bulkhead::paging::Window;
use bulkhead::ports::{Memory, NoWindow};

use crate::cpu::Cpu;
use crate::{cache, mmu};

impl<K> Cpu<K> {
    fn through_window(&self, span: Option<Span<Pa>>, work: &mut dyn FnMut()) -> Result<(), NoWindow> {
        // An empty span needs no window.
        let Some(span) = span else { return Ok(()) };
        mmu::window(self.space, span, Window::Data, work)
    }
}

impl<K> Memory for Cpu<K> {
    /// `from` is part of the archive, which is always mapped.
    fn copy(&mut self, to: Pa, from: Pa, size: u64) -> Result<(), NoWindow> {
        self.through_window(Span::new(to, size), &mut || {
            // SAFETY: the window covers the target, and `from` is mapped; policy has checked both spans, which do not overlap,
            // and no guest runs in the memory of a cell that is being loaded.
            unsafe { copy(to.0, from.0, size) }
        })
    }

    fn write(&mut self, to: Pa, bytes: &[u8]) -> Result<(), NoWindow> {
        self.copy(to, Pa(bytes.as_ptr().addr() as u64), bytes.len() as u64)
    }

    fn read(&mut self, from: Pa) -> Result<u64, NoWindow> {
        let span = Span::new(from, 8);
        let value = core::cell::Cell::new(0u64);
        self.through_window(span, &mut || {
            let word;
            // SAFETY: the window covers the 8 bytes; what a guest writes there meanwhile makes it another number.
            unsafe { asm!("ldr {}, [{}]", out(reg) word, in(reg) from.0, options(nostack, readonly, preserves_flags)) };
            value.set(word);
            // The guest may use this memory with its caches off.
            if let Some(span) = span {
                cache::clean_invalidate(span);
            }
        })?;
        Ok(value.get())
    }

    fn zero(&mut self, span: Span<Pa>) -> Result<(), NoWindow> {
        self.through_window(Some(span), &mut || {
            // SAFETY: the window covers the span, which no guest uses now.
            unsafe { zero(span.start().0, span.size()) }
        })
    }

    fn clean_invalidate(&mut self, span: Span<Pa>, instructions: bool) -> Result<(), NoWindow> {
        self.through_window(Some(span), &mut || cache::clean_invalidate(span))?;
        if instructions {
            cache::invalidate_instructions();
        }
        Ok(())
    }
}

/// Copies with the widest general registers: 64 bytes a round, then bytes.
///
/// # Safety
/// Both spans are mapped, the target for writing; they do not overlap.
unsafe fn copy(to: u64, from: u64, size: u64) {
    // SAFETY: the caller's promise. Normal memory allows every alignment (SCTLR_EL2.A is 0).
    unsafe {
        asm!(
            "2: subs {n}, {n}, #64",
            "b.lo 3f",
            "ldp {a}, {b}, [{from}], #16",
            "ldp {c}, {d}, [{from}], #16",
            "stp {a}, {b}, [{to}], #16",
            "stp {c}, {d}, [{to}], #16",
            "ldp {a}, {b}, [{from}], #16",
            "ldp {c}, {d}, [{from}], #16",
            "stp {a}, {b}, [{to}], #16",
            "stp {c}, {d}, [{to}], #16",
            "b 2b",
            "3: adds {n}, {n}, #64",
            "b.eq 5f",
            "4: ldrb {a:w}, [{from}], #1",
            "strb {a:w}, [{to}], #1",
            "subs {n}, {n}, #1",
            "b.ne 4b",
            "5:",
            n = inout(reg) size => _, from = inout(reg) from => _, to = inout(reg) to => _,
            a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
            options(nostack),
        )
    };
}

/// Zeroes: DC ZVA for whole blocks, stores for the rest.
///
/// # Safety
/// The span is mapped for writing.
unsafe fn zero(start: u64, size: u64) {
    let end = start.wrapping_add(size);
    let block = cache::zva_block().unwrap_or(u64::MAX);
    let first = start.checked_next_multiple_of(block).filter(|first| *first <= end).unwrap_or(end);
    let last = if block == u64::MAX { first } else { end & !block.wrapping_sub(1) };
    // SAFETY: part of the caller's span.
    unsafe { zero_bytes(start, first.wrapping_sub(start)) };
    let mut at = first;
    while at < last {
        // SAFETY: a whole, aligned block inside the caller's span of Normal memory (DC ZVA faults on Device memory only).
        unsafe { asm!("dc zva, {}", in(reg) at, options(nostack, preserves_flags)) };
        at = at.wrapping_add(block);
    }
    // SAFETY: part of the caller's span.
    unsafe { zero_bytes(last, end.wrapping_sub(last)) };
}

/// # Safety
/// The span is mapped for writing.
unsafe fn zero_bytes(start: u64, size: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "2: subs {n}, {n}, #16",
            "b.lo 3f",
            "stp xzr, xzr, [{to}], #16",
            "b 2b",
            "3: adds {n}, {n}, #16",
            "b.eq 5f",
            "4: strb wzr, [{to}], #1",
            "subs {n}, {n}, #1",
            "b.ne 4b",
            "5:",
            n = inout(reg) size => _, to = inout(reg) start => _,
            options(nostack),
        )
    };
}
