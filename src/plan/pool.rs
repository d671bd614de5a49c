//! Where EL2's own memory goes: found with nothing but the tree's bytes, because it becomes the heap.

use alloc::vec::Vec;

use arrayvec::ArrayVec;

use super::spans::{fit_high, fit_low};
use crate::addr::{BLOCK_2M, PAGE, Pa, Span};
use crate::refusal::{Code, Place, Refusal, code};
use crate::tree::early::{Early, EarlyError, MAX_RESERVED};

/// For the boot CPU's work and what is there once, and for the gaps between what stays: a stack must lie at a multiple of its size.
const BASE: u64 = 24 << 10;
/// For each other CPU: 16 KiB of stack, and what is kept of it and its vCPU. The boot CPU's stack is in the image.
const PER_CPU: u64 = 20 << 10;
/// For each cell: stage 2 tables, distributor, plan.
const PER_CELL: u64 = 24 << 10;
/// For each byte that the board's tree uses: the tree and the hardware, read; the root cell's own tree, and its tables, which grow
/// with the board's devices. On an i.MX8MP with its tree of 75 kB it comes to 4.2 in all, at the worst moment.
const PER_TREE_BYTE: u64 = 5;
/// A larger board's devices lie further apart, and each 2 MiB that holds some costs a table: what is beyond this counts twice.
const SMALL_TREE: usize = 10 << 10;
/// The pool's size is a multiple of this.
const UNIT: u64 = 16 << 10;
/// Its place is a multiple of this, as the tables of the largest root want to lie.
const ALIGN: u64 = 64 << 10;

/// Bytes that EL2 needs. Nothing overflows: a tree has thousands of nodes and megabytes at most.
pub fn size(cpus: usize, cells: usize, tree: usize) -> u64 {
    let part = |n: usize, each: u64| (n as u64).wrapping_mul(each);
    let beyond = tree.saturating_sub(SMALL_TREE);
    // With one CPU there are no stacks, but the root cell's tree still wants as much in one piece while it is made; with two, that
    // and the tables of a board like Versal, whose small tree has devices far apart, leave no room for the stack.
    let all = BASE
        .wrapping_add(part(cpus.max(3).wrapping_sub(1), PER_CPU))
        .wrapping_add(part(cells, PER_CELL))
        .wrapping_add(part(tree.wrapping_add(beyond), PER_TREE_BYTE));
    all.next_multiple_of(UNIT)
}

/// Makes room for so many bytes more, if EL2's memory has them.
pub fn reserve(piece: &mut Vec<u8>, bytes: usize) -> bool {
    #[cfg(test)]
    if piece.capacity().saturating_sub(piece.len()) < bytes && crate::fake::take().is_none() {
        return false;
    }
    piece.try_reserve(bytes).is_ok()
}

/// Whether so many bytes of EL2's memory are there in one piece: then smaller ones are there as well, together half as many at
/// least, because the heap hands out powers of two.
#[inline(never)]
pub fn has_room(bytes: usize) -> bool {
    let mut piece = Vec::new();
    let found = reserve(&mut piece, bytes);
    // A compiler may leave out what is allocated and not used.
    core::hint::black_box(piece.as_ptr());
    found
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The archive, as /chosen has it.
    pub archive: Span<Pa>,
    /// EL2's memory.
    pub pool: Span<Pa>,
}

/// Why EL2 has no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The tree has too much of something.
    #[error("{0}")]
    Early(EarlyError),
    /// No initramfs was loaded.
    #[error(
        "the board's tree has no /chosen/linux,initrd-start and -end: give the archive to the loader as initramfs"
    )]
    NoArchive,
    /// /chosen makes no sense.
    #[error("/chosen/linux,initrd-start is {start:#x}, -end {end:#x}: that holds nothing")]
    EmptyArchive {
        /// As it stands there.
        start: u64,
        /// As it stands there.
        end: u64,
    },
    /// Something was loaded where there is no memory.
    #[error(
        "the {what} at {span} does not lie in the memory that the board's tree describes: load it elsewhere"
    )]
    OutsideMemory {
        /// What.
        what: &'static str,
        /// Where.
        span: Span<Pa>,
    },
    /// The loader put one thing over another, or over what firmware keeps.
    #[error("the {what} at {span} overlaps the {other} at {over}: load one of them elsewhere")]
    Overlap {
        /// What.
        what: &'static str,
        /// Where.
        span: Span<Pa>,
        /// With what.
        other: &'static str,
        /// Where that is.
        over: Span<Pa>,
    },
    /// Nothing is free.
    #[error(
        "no free memory for the hypervisor's {size:#x} bytes: what the loader put there leaves no such stretch"
    )]
    NoRoom {
        /// Bytes needed.
        size: u64,
    },
}

impl Refusal for PoolError {
    fn code(&self) -> Code {
        match self {
            Self::Early(error) => error.code(),
            Self::NoArchive | Self::EmptyArchive { .. } => code::NO_ARCHIVE,
            Self::OutsideMemory { .. } => code::LOADED_OUTSIDE,
            Self::Overlap { .. } => code::LOADED_OVER,
            Self::NoRoom { .. } => code::NO_POOL,
        }
    }

    fn places(&self) -> Vec<Place> {
        match self {
            Self::Early(error) => error.places(),
            Self::NoArchive | Self::EmptyArchive { .. } => Vec::from([Place::board("/chosen")]),
            _ => Vec::new(),
        }
    }
}

/// Where the loader put the archive (Devicetree Specification has no word on it; Linux `booting.rst` and
/// `of/fdt.c` name the properties), beside the image and the board's tree.
///
/// # Errors
/// When it gave none, or nonsense; when the archive, the image or the tree lie wrongly.
pub fn find_archive(early: &Early<'_>, image: Span<Pa>, tree: Span<Pa>) -> Result<Span<Pa>, PoolError> {
    if let Some(left_out) = early.left_out {
        return Err(PoolError::Early(left_out));
    }
    let (start, end) = early.initrd.ok_or(PoolError::NoArchive)?;
    let archive = Span::between(Pa(start), Pa(end)).ok_or(PoolError::EmptyArchive { start, end })?;
    let loaded = [("hypervisor's image", image), ("archive", archive), ("board's tree", tree)];
    for (at, (what, span)) in loaded.iter().enumerate() {
        // Banks may touch; a thing that crosses from one to the next lies in memory all the same.
        if outside(early, *span) {
            return Err(PoolError::OutsideMemory { what, span: *span });
        }
        if let Some((other, over)) = loaded.iter().take(at).find(|(_, s)| s.overlaps(span)) {
            return Err(PoolError::Overlap { what, span: *span, other, over: *over });
        }
    }
    // Loaders reserve the archive and the tree themselves, so these may lie in what is reserved.
    if let Some(over) = early.reserved.iter().find(|kept| kept.overlaps(&image)) {
        let (what, other) = ("hypervisor's image", "memory that firmware reserves");
        return Err(PoolError::Overlap { what, span: image, other, over: *over });
    }
    Ok(archive)
}

/// Finds EL2's memory, for a machine that will have `cells` cells. The board's tree lies at `tree`.
///
/// The pool goes into the 2 MiB block of the image where it can, so that the two make one hole and the root
/// cell's stage 2 is split once; else as high as it can.
///
/// # Errors
/// Those of [`find_archive`], or nothing is free.
pub fn place(early: &Early<'_>, image: Span<Pa>, tree: Span<Pa>, cells: usize) -> Result<Placed, PoolError> {
    let archive = find_archive(early, image, tree)?;
    let mut taken: ArrayVec<Span<Pa>, { MAX_RESERVED + 3 }> = early.reserved.iter().copied().collect();
    taken.extend([image, archive, tree]);
    let taken: ArrayVec<_, { MAX_RESERVED + 3 }> = taken.iter().filter_map(|s| s.widened_to(PAGE)).collect();
    let size = size(early.cpus, cells, early.used);
    let pool = beside(early, image, size, &taken)
        .or_else(|| highest(early, size, &taken))
        .ok_or(PoolError::NoRoom { size })?;
    Ok(Placed { archive, pool })
}

fn outside(early: &Early<'_>, span: Span<Pa>) -> bool {
    let mut at = span.start();
    while let Some(bank) = early.memory.iter().find(|bank| bank.contains(at)) {
        if bank.last() >= span.last() {
            return false;
        }
        at = bank.end();
    }
    true
}

/// The lowest free place behind the image in its last 2 MiB block.
fn beside(early: &Early<'_>, image: Span<Pa>, size: u64, taken: &[Span<Pa>]) -> Option<Span<Pa>> {
    let block = Span::between(image.end(), image.widened_to(BLOCK_2M)?.end())?;
    let mut room = early.memory.iter().find_map(|bank| bank.intersection(&block))?;
    loop {
        let place = fit_low(&room, size, ALIGN)?;
        match taken.iter().find(|t| t.overlaps(&place)) {
            Some(taken) => room = Span::between(taken.end(), room.end())?,
            None => return Some(place),
        }
    }
}

/// The highest free place in any bank.
fn highest(early: &Early<'_>, size: u64, taken: &[Span<Pa>]) -> Option<Span<Pa>> {
    let best = early.memory.iter().filter_map(|bank| {
        let mut room = *bank;
        loop {
            let place = fit_high(&room, size, ALIGN)?;
            match taken.iter().find(|t| t.overlaps(&place)) {
                Some(taken) => room = Span::between(room.start(), taken.start())?,
                None => return Some(place),
            }
        }
    });
    best.max()
}

#[cfg(test)]
mod tests;
