//! A description held against a board's tree, by the same code that decides at boot.

use std::path::{Path, PathBuf};

use bulkhead::hardware::Hardware;
use bulkhead::tree::Tree;

use crate::{dtc, pack};

/// Why a description does not fit its board.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum CheckError {
    /// The description or the board's tree cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Dtc(#[from] dtc::DtcError),
    /// The description's images.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Pack(#[from] pack::PackError),
    /// A blob is no device tree.
    #[error("{} is no valid device-tree blob: {why}", path.display())]
    Blob {
        /// Which file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Mistakes, all of them.
    #[error("{} has {} mistake(s):\n{}", path.display(), mistakes.len(), mistakes.join("\n"))]
    Mistakes {
        /// Whose they are.
        path: PathBuf,
        /// In words.
        mistakes: Vec<String>,
    },
}

/// Finds every mistake in a description, given its board's tree.
///
/// # Errors
/// See [`CheckError`].
pub fn check(cells: &Path, board: &Path) -> Result<(), CheckError> {
    let blob = dtc::blob(cells)?;
    pack::named_by(&blob, cells)?;
    let board_blob = dtc::blob(board)?;
    let tree = Tree::parse(&board_blob)
        .map_err(|error| CheckError::Blob { path: board.into(), why: error.to_string() })?;
    Hardware::read(&tree).map_err(|errors| CheckError::Mistakes {
        path: board.into(),
        mistakes: errors.iter().map(ToString::to_string).collect(),
    })?;
    Ok(())
}
