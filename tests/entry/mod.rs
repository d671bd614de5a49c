//! What boot does with the bytes that a loader brings, in its order and by its entry points, up to where a machine is
//! needed. The mutation tests and the fuzz targets come in here.

use bulkhead::addr::{Pa, Span};
use bulkhead::archive;
use bulkhead::boot::Survey;
use bulkhead::guest_tree;
use bulkhead::plan::{Boot, pool};
use bulkhead::tree::{self, early};

/// Where a loader put the hypervisor and the board's tree.
#[derive(Clone, Copy, Debug)]
pub struct Loaded {
    /// The image.
    pub image: Span<Pa>,
    /// The tree.
    pub tree: Span<Pa>,
}

/// How far boot came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// There is no console to say so on.
    NoTree,
    /// Nothing was read but the tree: EL2 has no heap.
    Early,
    /// Refused, with a reason.
    Refused,
    /// There is a plan.
    Planned,
}

impl Loaded {
    /// The image 2 MiB above `start`, the tree 192 MiB.
    pub fn above(start: u64) -> Self {
        let span = |at: u64, size| Span::new(Pa(start + at), size);
        let (Some(image), Some(tree)) = (span(2 << 20, 0x4_0000), span(192 << 20, 2 << 20)) else {
            unreachable!("small numbers")
        };
        Self { image, tree }
    }

    /// Boots with these bytes.
    pub fn boot(self, board: &[u8], archive: &[u8]) -> Reached {
        let size = tree::total_size(board.get(..8).unwrap_or_default());
        if size.is_err() || size.is_ok_and(|size| size > tree::MAX_SIZE) {
            return Reached::NoTree;
        }
        let checked = tree::check(board);
        let Ok(early) = early::read(board) else { return Reached::Early };
        let _ = early.stdout.map(|stdout| stdout.compatibles().count());
        let _ = pool::find_archive(&early, self.image, self.tree);
        let cells = archive::description(archive).map(early::count_children);
        let placed = cells.ok().and_then(|cells| pool::place(&early, self.image, self.tree, cells).ok());
        let Some(placed) = placed else { return Reached::Early };
        // What lies where the tree says is what there is.
        let size = archive.len().min(placed.archive.size() as usize);
        let archive = archive.get(..size).unwrap_or_default();
        let boot = Boot { image: self.image, tree: self.tree, pool: placed.pool, archive: placed.archive };
        match Survey::new(board, archive, boot) {
            Err(errors) => {
                assert!(!errors.is_empty(), "refused without a reason");
                if std::env::var_os("BULKHEAD_CASE").is_some() {
                    errors.iter().for_each(|error| eprintln!("{error}"));
                }
                assert!(errors.iter().all(|error| !error.to_string().is_empty()));
                Reached::Refused
            }
            Ok(survey) => {
                assert!(checked.is_ok(), "a tree is read that the check refuses");
                let _ = survey.seed();
                for cell in &survey.plan.cells {
                    let (tree, hardware) = (&survey.tree, &survey.hardware);
                    let made = guest_tree::planned(tree, hardware, &survey.plan, cell, archive);
                    let _ = made.map(|tree| tree.bytes.len());
                }
                Reached::Planned
            }
        }
    }
}

/// An archive, whose first file is the description, with another one.
pub fn with_description(archive: &[u8], description: &[u8]) -> Vec<u8> {
    const SIZE: core::ops::Range<usize> = 54..62;
    let head = 110 + "cells.dtb\0".len();
    let old = archive::description(archive).map_or(0, |old| old.len().next_multiple_of(4));
    let mut bytes = archive[..head].to_vec();
    bytes[SIZE].copy_from_slice(format!("{:08x}", description.len()).as_bytes());
    bytes.extend(description);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(&archive[head + old..]);
    bytes
}
