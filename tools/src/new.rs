//! A first description for a board, from flags or from answers. What it writes passes `check`.

mod ask;
mod wish;
mod write;

use std::io::{self, BufRead, Write};

use bulkhead::config::Config;
use bulkhead::hardware::Hardware;
use bulkhead::plan::PlanError;
use bulkhead::refusal::{Code, Place, Refusal, code};
use bulkhead::tree::Tree;

pub use wish::{CellWish, WishError};

use crate::board::{Board, BoardError};
use crate::plan::decide::{self, Given, Undecided, decide};
use crate::plan::loaded;
use crate::report::Mistake;
use crate::{cpio, dtc};

/// Why there is no description.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum NewError {
    /// There is no tree of the board.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Board(#[from] BoardError),
    /// The compiler is not there, or no temporary file can be written.
    #[error("the description cannot be tried")]
    Try(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The board cannot be used, or the wishes do not fit it.
    #[error("{}", listed(.0))]
    Refused(Vec<Mistake>),
    /// Nobody answers.
    #[error("there was no answer: give --root and --cell instead")]
    NoAnswer,
    /// The terminal.
    #[error("the terminal cannot be used")]
    Terminal(#[from] io::Error),
}

fn listed(mistakes: &[Mistake]) -> String {
    let line = |mistake: &Mistake| {
        let code = mistake.code.map_or_else(String::new, |code| format!("{code}: "));
        format!("{code}{}", mistake.message)
    };
    mistakes.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Writes a description; asks on the terminal if there are no wishes.
///
/// # Errors
/// See [`NewError`].
pub fn new(board: &Board, root: Option<CellWish>, cells: Vec<CellWish>) -> Result<String, NewError> {
    new_with(board, root, cells, &mut io::stdin().lock(), &mut io::stderr())
}

/// [`new`] with the terminal named.
///
/// # Errors
/// See [`NewError`].
pub fn new_with(
    board: &Board,
    root: Option<CellWish>,
    cells: Vec<CellWish>,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> Result<String, NewError> {
    let (blob, _) = decide::board(board)?;
    let tree = Tree::parse(&blob).map_err(|error| NewError::Refused(vec![Mistake::of(&error)]))?;
    let hardware = Hardware::read(&tree).map_err(|errors| NewError::Refused(Mistake::all(&errors)))?;
    let mut wishes: Vec<CellWish> =
        root.map(|root| CellWish { root: true, ..root }).into_iter().chain(cells).collect();
    if wishes.is_empty() {
        wishes = ask::cells(&tree, &hardware, input, output)?;
    }
    let name = board.origin().name;
    let tried = |wishes: &[CellWish]| try_out(&write::source(wishes, &name), &blob, &tree, &hardware);
    match tried(&wishes) {
        Ok(()) => {}
        Err(NotYet::Accepted(hazards)) => {
            // Whoever gets the text gets the sentence, too: it stands beside the property.
            for (code, cell, nodes) in hazards {
                for wish in wishes.iter_mut().filter(|wish| wish.name == cell) {
                    wish.accepts.push((code, nodes.clone()));
                }
            }
            tried(&wishes).map_err(NotYet::into_error)?;
        }
        Err(other) => return Err(other.into_error()),
    }
    Ok(write::source(&wishes, &name))
}

/// A refusal that a cell can accept: its number, the cell, the nodes.
type Hazard = (Code, String, Vec<String>);

/// Why a text does not pass.
enum NotYet {
    /// These cells must accept something about these nodes, and that is all that is wrong.
    Accepted(Vec<Hazard>),
    Other(NewError),
}

impl NotYet {
    fn into_error(self) -> NewError {
        match self {
            Self::Accepted(cells) => NewError::Try(format!("{cells:?} is refused twice").into()),
            Self::Other(error) => error,
        }
    }
}

/// Checks a text, with files in place of images that need not be there yet.
fn try_out(source: &str, blob: &[u8], board: &Tree<'_>, hardware: &Hardware) -> Result<(), NotYet> {
    let refused = |mistakes| NotYet::Other(NewError::Refused(mistakes));
    let description = dtc::compile(source).map_err(|error| NotYet::Other(NewError::Try(error.into())))?;
    let tree = Tree::parse(&description).map_err(|error| refused(vec![Mistake::of(&error)]))?;
    let config = Config::parse(&tree).map_err(|errors| refused(Mistake::all(&errors)))?;
    let packed =
        with_stand_ins(&description, &config).map_err(|error| NotYet::Other(NewError::Try(error.into())))?;
    let given = Given { config: &config, tree: board, blob, hardware, archive: &packed };
    let errors = match decide(&given, loaded::guess) {
        Ok(_) => return Ok(()),
        Err(Undecided::Description(mistakes) | Undecided::Board(mistakes)) => return Err(refused(mistakes)),
        Err(Undecided::Plan(errors)) => errors,
    };
    if let Some(hazards) = errors.iter().map(hazard).collect() {
        return Err(NotYet::Accepted(hazards));
    }
    let others =
        errors.iter().filter(|error| hazard(error).is_none()).map(|error| Mistake::of(error as &dyn Refusal));
    Err(refused(others.collect()))
}

/// What a cell would have to accept, if that is what a refusal is about.
fn hazard(error: &PlanError) -> Option<Hazard> {
    let code = error.code();
    if ![code::UNPROTECTED_DMA, code::FOREIGN_DEPENDENCY].contains(&code) {
        return None;
    }
    let places = error.places();
    let cell = places.iter().find_map(|place| match place {
        Place::Description { node, .. } => Some(node.trim_start_matches('/').to_string()),
        _ => None,
    });
    let nodes = places.into_iter().filter_map(|place| match place {
        Place::Board { node } => Some(node),
        _ => None,
    });
    Some((code, cell?, nodes.collect()))
}

/// An archive in which each image is the smallest of its kind.
fn with_stand_ins(blob: &[u8], config: &Config) -> Result<Vec<u8>, crate::pack::PackError> {
    let mut archive = cpio::Archive::new();
    archive.add_linked(&[bulkhead::archive::DESCRIPTION], blob, 4096);
    let mut known: Vec<String> = Vec::new();
    for image in crate::pack::named_by(config)? {
        if !known.contains(&image.name) {
            archive.add_linked(&[&image.name], &stand_in(image.role), 4096);
            known.push(image.name);
        }
    }
    Ok(archive.finish())
}

fn stand_in(role: crate::pack::ImageRole) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    if role == crate::pack::ImageRole::Kernel {
        // An arm64 Image (Linux, Documentation/arch/arm64/booting.rst): its size, little-endian, the magic.
        bytes[16..24].copy_from_slice(&4096_u64.to_le_bytes());
        bytes[24] = 0b1010;
        bytes[56..60].copy_from_slice(b"ARM\x64");
    }
    bytes
}

#[cfg(test)]
mod tests;
