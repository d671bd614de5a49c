//! Filling a cell's memory at the beginning of each life.

use alloc::boxed::Box;

use crate::addr::{Ipa, Pa, Span};
use crate::plan::spans::SpanSet;
use crate::plan::{Load, Region};
use crate::ports::{Memory, NoWindow};

#[cfg(test)]
mod tests;

/// The physical spans behind `size` bytes from `at`, each with its distance from `at`: split where regions meet. What no
/// region covers is left out; a checked plan has no such load.
pub fn behind(ram: &[Region], at: Ipa, size: u64) -> impl Iterator<Item = (u64, Span<Pa>)> + '_ {
    let wanted = Span::new(at, size);
    ram.iter().filter_map(move |region| {
        let wanted = wanted?;
        let part = Span::new(region.ipa, region.size)?.intersection(&wanted)?;
        let start = region.pa.checked_add(part.start().0.checked_sub(region.ipa.0)?)?;
        Some((part.start().0.checked_sub(at.0)?, Span::new(start, part.size())?))
    })
}

/// Whether the guest's address `at` is in its RAM.
pub fn is_ram(ram: &[Region], at: Ipa) -> bool {
    ram.iter().any(|region| at.0.wrapping_sub(region.ipa.0) < region.size)
}

/// What stands behind all RAM, less the `kept` memory whose content is none of a life's business.
pub fn scrubbed(ram: &[Region], kept: &[Span<Pa>]) -> Box<[Span<Pa>]> {
    let mut spans: SpanSet<Pa> = all(ram).collect();
    kept.iter().for_each(|span| spans.remove(*span));
    spans.iter().collect()
}

/// The whole of each region.
fn all(ram: &[Region]) -> impl Iterator<Item = Span<Pa>> + '_ {
    ram.iter().filter_map(Region::backing)
}

/// Loads a cell: zeroes `scrub`, if it is not the first life of root, or else what the image wants zeroed; then come the
/// pieces from `archive` and the tree.
///
/// All of this goes through EL2's caches, while the guest starts with its own off and reads memory itself; so whatever was
/// written is cleaned to the point of coherency, and since it holds instructions that other CPUs may have fetched in a
/// former life, instruction caches are invalidated (Arm ARM B2.7.4.2, D7.5.9). Cleaned *and*
/// invalidated: a guest that writes with caches off must not have a clean line of EL2's hide what it wrote.
///
/// # Errors
/// [`NoWindow`]: it is loaded in part.
pub fn load(
    ram: &[Region],
    load: &Load,
    tree: &[u8],
    archive: Span<Pa>,
    scrub: Option<&[Span<Pa>]>,
    memory: &mut impl Memory,
) -> Result<(), NoWindow> {
    // A checked plan's pieces lie inside the archive.
    let source = |offset: u64, to: Span<Pa>| {
        let from = Span::new(archive.start().checked_add(offset)?, to.size())?;
        archive.covers(&from).then_some(from.start())
    };
    let zeroed =
        || load.zeroed.iter().flat_map(|span| behind(ram, span.start(), span.size())).map(|(_, pa)| pa);
    match scrub {
        Some(scrub) => scrub.iter().try_for_each(|span| memory.zero(*span))?,
        None => zeroed().try_for_each(|span| memory.zero(span))?,
    }
    for piece in &load.pieces {
        for (offset, to) in behind(ram, piece.to, piece.size) {
            if let Some(from) = piece.offset.checked_add(offset).and_then(|offset| source(offset, to)) {
                memory.copy(to.start(), from, to.size())?;
            }
        }
    }
    for (offset, to) in behind(ram, load.tree.start(), tree.len() as u64) {
        let bytes = usize::try_from(offset).ok().zip(usize::try_from(to.size()).ok());
        if let Some(bytes) = bytes.and_then(|(at, size)| tree.get(at..)?.get(..size)) {
            memory.write(to.start(), bytes)?;
        }
    }
    if let Some(scrub) = scrub {
        return scrub.iter().try_for_each(|span| memory.clean_invalidate(*span, true));
    }
    zeroed().try_for_each(|span| memory.clean_invalidate(span, true))?;
    let pieces = load.pieces.iter().flat_map(|piece| behind(ram, piece.to, piece.size));
    pieces.map(|(_, span)| span).try_for_each(|span| memory.clean_invalidate(span, true))?;
    let mut tree = behind(ram, load.tree.start(), tree.len() as u64);
    tree.try_for_each(|(_, span)| memory.clean_invalidate(span, false))
}

/// A position in a cell's RAM, for work done in steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress(u64);

impl Progress {
    /// Cleans and invalidates the next `step` bytes of RAM at most; `None` when that was the last of it. Without memory for a
    /// window it stays where it is.
    pub fn clean(self, ram: &[Region], step: u64, memory: &mut impl Memory) -> Option<Self> {
        let mut skip = self.0;
        for span in all(ram) {
            if let Some(rest) = span.size().checked_sub(skip).filter(|rest| *rest > 0) {
                let start = span.start().checked_add(skip)?;
                if memory.clean_invalidate(Span::new(start, rest.min(step))?, false).is_err() {
                    return Some(self);
                }
                let next = Self(self.0.saturating_add(rest.min(step)));
                return (rest > step || Some(span) != all(ram).last()).then_some(next);
            }
            skip = skip.saturating_sub(span.size());
        }
        None
    }
}
