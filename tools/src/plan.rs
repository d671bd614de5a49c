//! A description held against a board's tree, by the same code that decides at boot.

mod assumed;
mod table;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use bulkhead::addr::{Pa, Span};
use bulkhead::archive::Archive;
use bulkhead::config::Config;
use bulkhead::hardware::Hardware;
use bulkhead::plan::{Boot, Checked, Plan, pool};
use bulkhead::tree::{Tree, used_size};

pub use table::table;

use crate::{dtc, pack};

/// Why a description does not fit its board.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum CheckError {
    /// A source does not compile.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Dtc(#[from] dtc::DtcError),
    /// The images cannot be packed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Pack(#[from] pack::PackError),
    /// Mistakes, all of one step.
    #[error("{}", pack::listed(path, mistakes))]
    Mistakes {
        /// The file that has them.
        path: PathBuf,
        /// In words.
        mistakes: Vec<String>,
    },
}

/// What the desk found out.
#[derive(Debug)]
pub struct Desk {
    /// Who owns what.
    pub plan: Plan<Checked>,
    /// Each cell's devices in words.
    pub devices: Vec<String>,
    /// What was assumed of the board, and what keeps this version from booting there.
    pub notes: Vec<String>,
}

/// Divides the board as the description says, with the images of `folder`.
///
/// Where a loader will put the hypervisor, the archive and the tree is not known at the desk; what is assumed is what
/// QEMU and most boards do (see [`loaded`]). The boot checks again with the real places.
///
/// # Errors
/// Every mistake of the first step that finds one.
pub fn check(cells: &Path, board: &Path, folder: &Path) -> Result<Desk, CheckError> {
    let mistakes = |path: &Path, errors: &[&dyn Display]| CheckError::Mistakes {
        path: path.into(),
        mistakes: errors.iter().map(ToString::to_string).collect(),
    };
    fn all<E: Display>(errors: &[E]) -> Vec<&dyn Display> {
        errors.iter().map(|error| error as &dyn Display).collect()
    }

    let blob = dtc::blob(cells)?;
    let description = Tree::parse(&blob).map_err(|error| mistakes(cells, &[&error]))?;
    let config = Config::parse(&description).map_err(|errors| mistakes(cells, &all(&errors)))?;

    let mut board_blob = dtc::blob(board)?;
    let mut notes: Vec<String> = assumed::memory(&mut board_blob).into_iter().collect();
    let tree = Tree::parse(&board_blob).map_err(|error| mistakes(board, &[&error]))?;
    let hardware = Hardware::read(&tree).map_err(|errors| mistakes(board, &all(&errors)))?;
    notes.extend(assumed::not_bootable(&hardware, &tree));
    let used = used_size(&board_blob).map_err(|error| mistakes(board, &[&error]))?;

    let packed = pack::pack(cells, folder)?;
    let archive = Archive::parse(&packed).map_err(|error| mistakes(cells, &[&error]))?;
    let pool = pool::size(hardware.cpus.len(), config.cells.len(), used);
    let boot = loaded(&hardware, packed.len() as u64, pool)
        .ok_or_else(|| mistakes(board, &[&"its memory is too small for the archive"]))?;
    let plan = Plan::draft(&config, &tree, &hardware, &archive, boot)
        .and_then(|draft| draft.check(&hardware))
        .map_err(|errors| mistakes(cells, &all(&errors)))?;
    let devices = plan
        .cells
        .iter()
        .map(|cell| cell.devices.iter().map(|node| tree.node(*node).path()).collect::<Vec<_>>().join(" "));
    let devices = devices.collect();
    Ok(Desk { plan, devices, notes })
}

/// Bytes of the hypervisor's image and bss, at most.
const IMAGE: u64 = 512 << 10;
/// A loader's alignment.
const BLOCK: u64 = 2 << 20;

/// Where things lie after loading, as QEMU's loader does it: the image 2 MiB into the first bank, the archive 128 MiB
/// into it (half way in a smaller bank), the board's tree behind that; the hypervisor's pool stands beside its image.
fn loaded(hardware: &Hardware, archive: u64, pool: u64) -> Option<Boot> {
    let bank = hardware.memory.first()?;
    let start = bank.start().0;
    let image = Span::new(Pa(start + BLOCK), IMAGE)?;
    let archive = Span::new(Pa(start + (bank.size() / 2).min(128 << 20)), archive)?;
    let boot = Boot {
        image,
        pool: Span::new(image.end(), pool)?,
        archive,
        tree: Span::new(Pa(archive.end().0.next_multiple_of(BLOCK)), BLOCK)?,
    };
    bank.covers(&boot.tree).then_some(boot)
}
