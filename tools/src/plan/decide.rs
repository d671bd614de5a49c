//! From a description, its archive and a board's tree to a plan: the steps that boot takes, with what the desk adds.

use bulkhead::archive::Archive;
use bulkhead::config::Config;
use bulkhead::guest_tree;
use bulkhead::hardware::Hardware;
use bulkhead::plan::{Boot, Checked, Plan, PlanError, pool};
use bulkhead::refusal::{Place, Refusal};
use bulkhead::tree::{Tree, early, used_size};

use super::assumed;
use crate::board::{Board, BoardError};
use crate::report::Mistake;

/// A board's tree as a blob, with what its firmware would fill in; what was assumed is said.
///
/// # Errors
/// There is no tree of the board.
pub(crate) fn board(board: &Board) -> Result<(Vec<u8>, Vec<String>), BoardError> {
    let mut blob = board.blob()?;
    let notes = assumed::memory(&mut blob).into_iter().collect();
    Ok((blob, notes))
}

/// All that a plan is made of.
pub(crate) struct Given<'g> {
    /// The description.
    pub config: &'g Config,
    /// The board's tree.
    pub tree: &'g Tree<'g>,
    /// The same as a blob.
    pub blob: &'g [u8],
    /// What of it Bulkhead uses.
    pub hardware: &'g Hardware,
    /// The images.
    pub archive: &'g [u8],
}

/// Why there is no plan.
pub(crate) enum Undecided {
    /// The archive, or what a cell is to be given.
    Description(Vec<Mistake>),
    /// The board.
    Board(Vec<Mistake>),
    /// Both together.
    Plan(Vec<PlanError>),
}

impl Undecided {
    fn board(refusal: &dyn Refusal) -> Self {
        Self::Board(vec![Mistake::of(refusal)])
    }
}

/// The plan, with the places that `boot` gives: what of the board, how large the archive, how large the pool.
///
/// # Errors
/// Every mistake of the first step that finds one.
pub(crate) fn decide(
    given: &Given<'_>,
    boot: impl FnOnce(&Hardware, u64, u64) -> Option<Boot>,
) -> Result<Plan<Checked>, Undecided> {
    let Given { config, tree, blob, hardware, archive } = *given;
    let files = Archive::parse(archive).map_err(|error| Undecided::Description(vec![Mistake::of(&error)]))?;
    let used = used_size(blob).map_err(|error| Undecided::board(&error))?;
    // What boot has no room for, before it has a heap.
    let early = early::read(blob).map_err(|error| Undecided::board(&error))?;
    if let Some(left_out) = early.left_out {
        return Err(Undecided::board(&left_out));
    }
    let pool = pool::size(hardware.cpus.len(), config.cells.len(), used);
    let Some(boot) = boot(hardware, archive.len() as u64, pool) else {
        let message =
            "its memory is too small for the archive: the first bank must hold it beside the hypervisor";
        return Err(Undecided::Board(vec![Mistake::in_words(message.into())]));
    };
    let plan = Plan::draft(config, tree, hardware, &files, boot)
        .and_then(|draft| draft.check(hardware))
        .map_err(Undecided::Plan)?;
    let trees = plan.cells.iter().filter_map(|cell| {
        let error = guest_tree::planned(tree, hardware, &plan, cell, archive).err()?;
        let place = Place::Description { node: format!("/{}", cell.name), property: None };
        Some(Mistake {
            code: Some(error.code()),
            places: vec![place],
            ..Mistake::in_words(error.to_string())
        })
    });
    let trees: Vec<_> = trees.collect();
    if trees.is_empty() { Ok(plan) } else { Err(Undecided::Description(trees)) }
}
