//! Why nothing was started, or a cell was not made.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::archive::{ArchiveError, DESCRIPTION};
use crate::config::ConfigError;
use crate::guest_tree::GuestTreeError;
use crate::hardware::HardwareError;
use crate::paging::{GeometryError, MapError};
use crate::plan::PlanError;
use crate::refusal::{Code, Place, Refusal, code};
use crate::tree::TreeError;

/// Why nothing was started. It prints with its number.
#[derive(Debug)]
pub enum BootError {
    /// The board's tree is damaged.
    Board(TreeError),
    /// The archive is damaged.
    Archive(ArchiveError),
    /// The description is damaged.
    Description(TreeError),
    /// The description says something wrong.
    Config(ConfigError),
    /// The board cannot be understood.
    Hardware(HardwareError),
    /// The two do not go together.
    Plan(PlanError),
    /// A cell cannot be made.
    Cell {
        /// The cell.
        cell: String,
        /// Why.
        error: CellError,
    },
}

/// Why a cell cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// Its addresses are beyond the CPU's reach.
    #[error("{0}")]
    Geometry(GeometryError),
    /// Its stage 2 cannot be made.
    #[error("{0}")]
    Map(MapError),
    /// Its tree cannot be made.
    #[error("its device tree: {0}")]
    GuestTree(GuestTreeError),
    /// EL2's memory does not suffice.
    #[error("EL2's memory does not suffice")]
    NoMemory,
    /// A GICv2 without the virtual interface.
    #[error(
        "the board's GICv2 has no virtualization (no GICH and GICV in its `reg`): only cells with `interrupt-mode = \"direct\"` can run there"
    )]
    NoVirtualInterface,
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (of, error): (&str, &dyn fmt::Display) = match self {
            Self::Board(error) => ("the board's device tree: ", error),
            Self::Hardware(error) => ("the board's device tree: ", error),
            Self::Archive(error) => ("", error),
            Self::Description(error) => ("cells.dtb: ", error),
            Self::Config(error) => ("cells.dtb: ", error),
            Self::Plan(error) => ("", error),
            Self::Cell { cell, error } => return write!(f, "{}: cell `{cell}`: {error}", self.code()),
        };
        write!(f, "{}: {of}{error}", self.code())
    }
}

impl Refusal for BootError {
    fn code(&self) -> Code {
        match self {
            Self::Board(error) | Self::Description(error) => error.code(),
            Self::Archive(error) => error.code(),
            Self::Config(error) => error.code(),
            Self::Hardware(error) => error.code(),
            Self::Plan(error) => error.code(),
            Self::Cell { error, .. } => match error {
                CellError::Geometry(_) => code::TOO_HIGH,
                CellError::Map(error) => error.code(),
                CellError::GuestTree(error) => error.code(),
                CellError::NoMemory => code::POOL_TOO_SMALL,
                CellError::NoVirtualInterface => code::NO_GICV,
            },
        }
    }

    fn places(&self) -> Vec<Place> {
        match self {
            Self::Board(error) => error.places(),
            Self::Archive(error) => error.places(),
            Self::Description(_) => Vec::from([Place::file(DESCRIPTION)]),
            Self::Config(error) => error.places(),
            Self::Hardware(error) => error.places(),
            Self::Plan(error) => error.places(),
            Self::Cell { cell, .. } => Vec::from([Place::cell(cell, None)]),
        }
    }
}
