//! What can be wrong with an archive.

use alloc::string::String;
use alloc::vec::Vec;

use crate::refusal::{Code, Place, Refusal, code};

/// What is wrong with an archive. `at` counts bytes from its start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// It is compressed.
    #[error("the archive is compressed; pass it as it is, its files may be compressed by themselves")]
    Compressed,
    /// No header of the `newc` format.
    #[error("the archive is no cpio file of the newc format: there is no header at offset {at:#x}")]
    Magic {
        /// Where.
        at: usize,
    },
    /// A header field that is no hexadecimal number.
    #[error("the archive's header at offset {at:#x} is damaged")]
    Header {
        /// Where.
        at: usize,
    },
    /// It ends before its trailer.
    #[error("the archive is cut off in its entry at offset {at:#x}")]
    Truncated {
        /// Where the last entry begins.
        at: usize,
    },
    /// A name that is empty, absolute, not UTF-8, has control characters, or a part like `..`.
    #[error("the archive's entry at offset {at:#x} has no proper name")]
    Name {
        /// Where.
        at: usize,
    },
    /// A link, a device or something else that is neither file nor directory.
    #[error("the archive's entry at offset {at:#x} is neither a file nor a directory")]
    Kind {
        /// Where.
        at: usize,
    },
    /// Two files of one name.
    #[error("the archive has two files `{name}`")]
    Twice {
        /// The name.
        name: String,
    },
    /// More than [`super::MAX_ENTRIES`] files.
    #[error("the archive has more than {} files", super::MAX_ENTRIES)]
    TooMany,
    /// Something follows the trailer.
    #[error("the archive has ended, but something follows it at offset {at:#x}")]
    Trailing {
        /// Where.
        at: usize,
    },
    /// The first entry is not the description.
    #[error("the archive's first entry is not `{}`", super::DESCRIPTION)]
    NoDescription,
}

impl Refusal for ArchiveError {
    fn code(&self) -> Code {
        match self {
            Self::Compressed => code::ARCHIVE_COMPRESSED,
            Self::Twice { .. } => code::FILE_TWICE,
            Self::TooMany => code::TOO_MANY_FILES,
            Self::NoDescription => code::NO_DESCRIPTION,
            _ => code::ARCHIVE_DAMAGED,
        }
    }

    fn places(&self) -> Vec<Place> {
        match self {
            Self::Twice { name } => Vec::from([Place::file(name)]),
            _ => Vec::new(),
        }
    }
}
