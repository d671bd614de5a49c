//! EL2's memory, counted: a test says how often it is there, and sees what of the translation tables came back.

use std::cell::Cell;

use crate::addr::PAGE;
use crate::paging::{Table, Tables};

thread_local! {
    /// Tables that this thread has taken and not given back.
    static TAKEN: Cell<usize> = const { Cell::new(0) };
    /// How often this thread may still take memory.
    static TAKES: Cell<usize> = const { Cell::new(usize::MAX) };
    /// After how many times more it may not, once.
    static REFUSE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Tables aligned as `arch` aligns them (see [`crate::paging::TakeTables`]). Their memory is never used again.
pub fn take_tables(count: usize) -> Option<Tables> {
    take()?;
    let tables: &'static [Table] =
        Vec::leak((0..count.next_power_of_two() * 2).map(|_| Table::new()).collect());
    let align = count.next_power_of_two() as u64 * PAGE;
    let first = tables.iter().position(|t| t.pa().0.is_multiple_of(align))?;
    TAKEN.set(TAKEN.get() + count);
    Some(Tables::new(tables.get(first..)?.get(..count)?, |_, count| TAKEN.set(TAKEN.get() - count)))
}

/// Takes memory of whatever kind, if this thread may.
pub fn take() -> Option<()> {
    TAKES.set(TAKES.get().checked_sub(1)?);
    let refused = REFUSE.get() == 0;
    REFUSE.set(REFUSE.get().checked_sub(1).unwrap_or(usize::MAX));
    (!refused).then_some(())
}

/// The tables that this thread has taken and not given back.
pub fn tables_taken() -> usize {
    TAKEN.get()
}

/// This thread takes memory so often, then once in vain, then again.
pub fn refuse_take(after: usize) {
    REFUSE.set(after);
}

/// From now on this thread may take memory so often.
pub fn allow_takes(count: usize) {
    TAKES.set(count);
}
