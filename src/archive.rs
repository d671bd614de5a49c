//! The archive: a cpio file that holds the description and the guests' images.
//!
//! The format is what Linux calls newc (its `buffer-format.rst` for the initramfs): a header of 14 fields in ASCII
//! hexadecimal before each name, names and data padded to 4 bytes, a `TRAILER!!!` at the end. Nothing is copied.

mod error;
mod header;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;

pub use error::ArchiveError;
use header::{Entry, Kind};

/// The most files.
pub const MAX_ENTRIES: usize = 64;
/// The name of the description: the first entry.
pub const DESCRIPTION: &str = "cells.dtb";

/// An archive in memory.
#[derive(Clone, Debug)]
pub struct Archive<'a> {
    entries: Vec<Entry<'a>>,
    starts_with_description: bool,
}

/// A file of an archive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct File<'a> {
    /// Where its data begins, in bytes from the archive's start.
    pub offset: u64,
    /// Its data.
    pub data: &'a [u8],
}

/// The compiled description of an archive that nobody has read yet: without a heap, for early boot.
///
/// # Errors
/// What is wrong with the first entry; nothing is allocated for it.
pub fn description(bytes: &[u8]) -> Result<&[u8], ArchiveError> {
    let first = header::read(bytes, 0)?;
    if first.kind == Kind::File && first.name == DESCRIPTION {
        Ok(first.file.data)
    } else {
        Err(ArchiveError::NoDescription)
    }
}

impl<'a> Archive<'a> {
    /// Reads the table of contents. Directories are passed over; zeros may follow the end.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ArchiveError> {
        let mut archive = Self { entries: Vec::new(), starts_with_description: false };
        let mut at = 0;
        loop {
            let entry = header::read(bytes, at)?;
            match entry.kind {
                Kind::Trailer => break check_end(bytes, entry.end)?,
                Kind::Directory => {}
                Kind::File if archive.entry(entry.name).is_some() => {
                    return Err(ArchiveError::Twice { name: entry.name.into() });
                }
                Kind::File if archive.entries.len() >= MAX_ENTRIES => return Err(ArchiveError::TooMany),
                Kind::File => {
                    archive.starts_with_description |= at == 0 && entry.name == DESCRIPTION;
                    archive.entries.push(entry);
                }
            }
            at = entry.end;
        }
        archive.share_links();
        Ok(archive)
    }

    /// A file by name.
    pub fn file(&self, name: &str) -> Option<File<'a>> {
        self.entry(name).map(|entry| entry.file)
    }

    /// The names of all files, in order.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.entries.iter().map(|entry| entry.name)
    }

    /// The compiled description, which is the first entry.
    ///
    /// # Errors
    /// [`ArchiveError::NoDescription`] if something else is.
    pub fn description(&self) -> Result<&'a [u8], ArchiveError> {
        let first = self.entries.first().filter(|_| self.starts_with_description);
        first.map(|entry| entry.file.data).ok_or(ArchiveError::NoDescription)
    }

    fn entry(&self, name: &str) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Of hard links to one file, one has the data (the last, from most programs); the others get it too.
    fn share_links(&mut self) {
        let full: Vec<_> = self.entries.iter().filter(|entry| !entry.file.data.is_empty()).copied().collect();
        for entry in self.entries.iter_mut().filter(|entry| entry.file.data.is_empty()) {
            if let Some(other) = full.iter().find(|full| full.link.is_some() && full.link == entry.link) {
                entry.file = other.file;
            }
        }
    }
}

fn check_end(bytes: &[u8], end: usize) -> Result<(), ArchiveError> {
    let rest = bytes.get(end..).unwrap_or_default();
    match rest.iter().position(|byte| *byte != 0) {
        None => Ok(()),
        Some(at) => Err(ArchiveError::Trailing { at: end.saturating_add(at) }),
    }
}

impl File<'_> {
    /// Where in the archive its data is, and how many bytes.
    pub fn place(&self) -> (u64, u64) {
        (self.offset, self.data.len() as u64)
    }
}

impl fmt::Debug for File<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {:#x}", self.data.len(), self.offset)
    }
}
