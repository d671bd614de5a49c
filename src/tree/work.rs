//! A bound on the work that reading a tree can cost.
//!
//! A tree is small, but what it says need not be cheap: each of ten thousand addresses can pass thirty buses of a thousand
//! ranges. So whatever looks for something in a tree counts its steps. Behind the bound nothing is found any more, and
//! who read the tree refuses it. No board that exists comes near: an i.MX 8M Plus costs a hundredth.

use core::cell::Cell;

/// Steps, of some nanoseconds each; fewer in tests, which are not optimized.
const MAX_STEPS: u32 = if cfg!(test) { 1 << 20 } else { 1 << 25 };

/// What is left.
#[derive(Debug)]
pub(super) struct Work(Cell<u32>);

impl Work {
    pub(super) fn new() -> Self {
        Self(Cell::new(MAX_STEPS))
    }

    /// Takes steps; tells whether there were so many.
    pub(super) fn spend(&self, steps: usize) -> bool {
        let left = usize::try_from(self.0.get()).unwrap_or(0).saturating_sub(steps.saturating_add(1));
        self.0.set(u32::try_from(left).unwrap_or(0));
        left != 0
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.0.get() == 0
    }

    #[cfg(test)]
    pub(super) fn spent(&self) -> u32 {
        MAX_STEPS.saturating_sub(self.0.get())
    }
}
