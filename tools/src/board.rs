//! A board's tree: a file's, or that of QEMU's virt machine.

use std::path::{Path, PathBuf};

use crate::dtc::{self, DtcError};
use crate::qemu::{self, Machine, QemuError};
use crate::report::Origin;
use crate::source::Source;

/// Where a board's tree comes from.
#[derive(Clone, Debug)]
pub enum Board {
    /// A file: a blob (.dtb), or device-tree source.
    File(PathBuf),
    /// QEMU's virt machine, which is asked for its tree.
    Virt(Machine),
}

/// Why there is no tree.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum BoardError {
    /// The file.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Dtc(#[from] DtcError),
    /// The machine.
    #[error(transparent)]
    Qemu(#[from] QemuError),
    /// A machine is described, but not asked.
    #[error("--cpu, --cpus, --memory and --gic describe QEMU's machine, but the board is the file {}", path.display())]
    #[diagnostic(help("a board's tree says itself what there is; `--board virt` asks QEMU"))]
    NoMachine {
        /// The file.
        path: PathBuf,
    },
}

impl Board {
    /// What a command line names: `virt`, unless there is such a file, or a file.
    pub fn named(name: &Path, machine: Machine) -> Self {
        if name == Path::new("virt") && !name.exists() {
            Self::Virt(machine)
        } else {
            Self::File(name.into())
        }
    }

    /// Its tree's blob.
    ///
    /// # Errors
    /// See [`BoardError`].
    pub fn blob(&self) -> Result<Vec<u8>, BoardError> {
        match self {
            Self::File(path) => Ok(dtc::blob(path)?),
            Self::Virt(machine) => Ok(qemu::board_tree(machine)?),
        }
    }

    /// For messages.
    pub fn origin(&self) -> Origin {
        match self {
            Self::File(path) => Origin::of(path),
            Self::Virt(_) => Origin { name: "virt".into(), source: Source::default() },
        }
    }
}
