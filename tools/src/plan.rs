//! A description held against a board's tree, by the same code that decides at boot.

mod assumed;
pub(crate) mod decide;
pub mod loaded;
pub mod regions;
mod svg;
mod table;

use std::path::Path;

use bulkhead::archive::{self, Archive, ArchiveError};
use bulkhead::config::Config;
use bulkhead::hardware::Hardware;
use bulkhead::plan::{Boot, Checked, Plan, json, no_file};
use bulkhead::refusal::{Place, code};
use bulkhead::tree::{Tree, TreeError};

use decide::Undecided;
pub use svg::Subject;

use crate::board::{Board, BoardError};
use crate::dtc::{self, DtcError};
use crate::pack::{self, PackError};
use crate::report::{Mistake, Origin, Report};

/// Why a description does not fit its board.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum CheckError {
    /// The compiler cannot be asked, or the description cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Dtc(#[from] DtcError),
    /// There is no tree of the board.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Board(#[from] BoardError),
    /// The images cannot be packed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Pack(#[from] PackError),
    /// Mistakes, all of one step.
    #[error("{}", anstream::adapter::strip_str(&.0.render()))]
    Refused(Box<Report>),
}

/// A description that fits its board.
#[derive(Debug)]
pub struct Fit {
    /// Who owns what.
    pub plan: Plan<Checked>,
    /// The description.
    pub config: Config,
    /// The board.
    pub hardware: Hardware,
    /// The board's tree, as a blob.
    pub board: Vec<u8>,
    /// The description's name.
    pub name: String,
    /// What was assumed of the board, and what keeps this version from booting there.
    pub notes: Vec<String>,
}

/// Divides the board as the description says, with the images of `folder`.
///
/// Where a loader will put the hypervisor, the archive and the tree is not known at the desk; what is assumed is what
/// QEMU and most boards do. The boot checks again with the real places.
///
/// # Errors
/// Every mistake of the first step that finds one; the steps are the description and the board each by itself, then both
/// together.
pub fn check(cells: &Path, board: &Board, folder: &Path) -> Result<Fit, CheckError> {
    check_as_loaded(cells, board, folder, loaded::guess)
}

/// [`check`] with the places that `boot` gives: what of the board, how large the archive, how large the pool.
///
/// # Errors
/// See [`check`].
pub fn check_as_loaded(
    cells: &Path,
    board: &Board,
    folder: &Path,
    boot: impl FnOnce(&Hardware, u64, u64) -> Option<Boot>,
) -> Result<Fit, CheckError> {
    let desk = Desk { cells, board };
    let given = Given::read(cells).or_else(|error| desk.source(error))?;
    let blob = given.description().map_err(|error| desk.refuse(vec![Mistake::of(&error)], vec![]))?;
    let (board_blob, mut notes) = decide::board(board).or_else(|error| match error {
        BoardError::Dtc(error) => desk.source(error),
        other => Err(other.into()),
    })?;

    // Both are read before either is refused, so that the mistakes of both come at once.
    let config = read_description(blob);
    let tree = Tree::parse(&board_blob);
    let hardware = match &tree {
        Ok(tree) => Hardware::read(tree).map_err(|errors| Mistake::all(&errors)),
        Err(error) => Err(vec![Mistake::of(error)]),
    };
    let (config, tree, hardware) = match (config, tree, hardware) {
        (Ok(config), Ok(tree), Ok(hardware)) => (config, tree, hardware),
        (config, _, hardware) => {
            return Err(desk.refuse(config.err().unwrap_or_default(), hardware.err().unwrap_or_default()));
        }
    };

    let (packed, missing) = match given {
        Given::Description(blob) => pack::pack_what_is_there(&blob, &config, folder)?,
        Given::Archive(bytes) => (bytes, Vec::new()),
    };
    let given = decide::Given {
        config: &config,
        tree: &tree,
        blob: &board_blob,
        hardware: &hardware,
        archive: &packed,
    };
    let plan = decide::decide(&given, boot).map_err(|error| match error {
        Undecided::Description(mistakes) => desk.refuse(mistakes, vec![]),
        Undecided::Board(mistakes) => desk.refuse(vec![], mistakes),
        Undecided::Plan(errors) => desk.refuse(with_notes(Mistake::all(&errors), &missing), vec![]),
    })?;
    notes.extend(assumed::not_startable(&hardware, &tree));
    if matches!(board, Board::File(_)) {
        notes.extend(assumed::deadlock(&hardware, &tree));
    }
    let left_out = assumed::left_out(&hardware, &plan);
    // Boot starts nothing only if nothing is left.
    if left_out.len() == plan.cells.len() {
        return Err(desk.refuse(left_out.iter().map(Mistake::of_boot).collect(), vec![]));
    }
    notes.extend(left_out.iter().map(|error| format!("{error}; boot leaves it out")));
    let name = cells.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Fit { plan, config, hardware, board: board_blob, name, notes })
}

/// A description by itself.
///
/// # Errors
/// Its mistakes.
pub fn description(cells: &Path) -> Result<Config, CheckError> {
    // No board has a say, so no place is on one.
    let board = Board::File("board.dtb".into());
    let desk = Desk { cells, board: &board };
    let blob = dtc::blob(cells).or_else(|error| desk.source(error))?;
    read_description(&blob).map_err(|mistakes| desk.refuse(mistakes, vec![]))
}

/// A description's cells, or its mistakes.
fn read_description(blob: &[u8]) -> Result<Config, Vec<Mistake>> {
    // A damaged tree takes itself for the board's.
    let damaged = |error| vec![Mistake { places: Vec::new(), ..Mistake::of(&error) }];
    let tree = Tree::parse(blob).map_err(|error: TreeError| damaged(error))?;
    Config::parse(&tree).map_err(|errors| Mistake::all(&errors))
}

/// Says of files that are not there where they were looked for; each file comes to word, though a cell's plan ends at
/// its first.
fn with_notes(mut mistakes: Vec<Mistake>, missing: &[pack::Missing]) -> Vec<Mistake> {
    for pack::Missing { cell, property, name, path } in missing {
        let place = Place::Description { node: format!("/{cell}"), property: Some((*property).to_string()) };
        let note = format!("there is no {}; `--dir` names the folder of the images", path.display());
        let told = |mistake: &&mut Mistake| {
            mistake.code == Some(code::NO_FILE) && mistake.places.first() == Some(&place)
        };
        match mistakes.iter_mut().find(told) {
            Some(mistake) => mistake.note = Some(note),
            None => {
                let error = no_file(cell, property, name);
                mistakes.push(Mistake { note: Some(note), ..Mistake::of(&error) });
            }
        }
    }
    mistakes
}

/// What is to be checked.
enum Given {
    /// A compiled description; its images lie in a folder.
    Description(Vec<u8>),
    /// An archive that has it all.
    Archive(Vec<u8>),
}

impl Given {
    fn read(path: &Path) -> Result<Self, DtcError> {
        let tree = path.extension().is_some_and(|ext| ext == "dts" || ext == "dtb");
        let bytes = std::fs::read(path).map_err(|source| DtcError::Read { path: path.into(), source })?;
        // Device-tree source is text, an archive begins with cpio's magic or a compressor's.
        let text = bytes
            .iter()
            .take(256)
            .all(|byte| byte.is_ascii() && (*byte >= b' ' || byte.is_ascii_whitespace()));
        if tree || text && !bytes.starts_with(b"0707") {
            return dtc::blob(path).map(Self::Description);
        }
        Ok(Self::Archive(bytes))
    }

    fn description(&self) -> Result<&[u8], ArchiveError> {
        match self {
            Self::Description(blob) => Ok(blob),
            Self::Archive(bytes) => {
                Archive::parse(bytes)?;
                archive::description(bytes)
            }
        }
    }
}

/// What is on the desk, for messages.
struct Desk<'d> {
    cells: &'d Path,
    board: &'d Board,
}

impl Desk<'_> {
    fn refuse(&self, cells: Vec<Mistake>, board: Vec<Mistake>) -> CheckError {
        let (cells_origin, board_origin) = (Origin::of(self.cells), self.board.origin());
        let subject = match (cells.is_empty(), board.is_empty()) {
            (false, true) => cells_origin.name.clone(),
            (true, _) => board_origin.name.clone(),
            (false, false) => format!("{} and {}", cells_origin.name, board_origin.name),
        };
        let mistakes = cells.into_iter().chain(board).collect();
        CheckError::Refused(Box::new(Report { cells: cells_origin, board: board_origin, subject, mistakes }))
    }

    /// What dtc refuses is a mistake like any other; all else that goes wrong with it is not the description's fault.
    fn source<T>(&self, error: DtcError) -> Result<T, CheckError> {
        let DtcError::Source { path, said } = error else { return Err(error.into()) };
        let origin = |path: &Path| Origin { name: path.display().to_string(), source: Default::default() };
        Err(CheckError::Refused(Box::new(Report {
            cells: origin(&path),
            board: self.board.origin(),
            subject: path.display().to_string(),
            mistakes: Mistake::of_compiler(&said),
        })))
    }
}

impl Fit {
    /// The board's tree.
    ///
    /// # Errors
    /// None: it was read before.
    pub fn tree(&self) -> Result<Tree<'_>, TreeError> {
        Tree::parse(&self.board)
    }

    /// Who owns what, as a table.
    ///
    /// # Errors
    /// See [`Fit::tree`].
    pub fn table(&self) -> Result<String, TreeError> {
        Ok(table::table(&self.plan, &self.config, &self.hardware, &self.tree()?))
    }

    /// Who owns what, as the image writes it.
    ///
    /// # Errors
    /// See [`Fit::tree`].
    pub fn json(&self) -> Result<String, TreeError> {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = json::write(&self.plan, &self.tree()?, &mut text);
        Ok(text)
    }

    /// Who owns what, as a picture.
    ///
    /// # Errors
    /// See [`Fit::tree`].
    pub fn svg(&self) -> Result<String, TreeError> {
        let board = &self.tree()?;
        let Self { plan, hardware, config, name, .. } = self;
        Ok(svg::svg(&Subject { plan, hardware, config, board, description: name }))
    }

    /// What was assumed of the board, and what the cells' owners should know.
    pub fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        let of = |cell: &bulkhead::plan::CellPlan| {
            let name = cell.name.clone();
            cell.warnings.clone().into_iter().map(move |warning| format!("cell `{name}`: {warning}"))
        };
        self.notes.iter().cloned().chain(self.plan.cells.iter().flat_map(of))
    }
}
