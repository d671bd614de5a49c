//! Packing: the compiled description and the images it names become one archive, which the loader passes as the
//! initramfs. `cells.dtb` comes first, then the images in the description's order, each starting at a multiple of
//! 4 KiB, equal ones stored once. The same input gives the same bytes on every machine.

pub mod boot;
mod images;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

pub use images::{Image, ImageRole, named_by};

use bulkhead::archive::{Archive, ArchiveError, DESCRIPTION};
use bulkhead::config::Config;
use bulkhead::tree::Tree;

use crate::{cpio, dtc, gzip};

/// Data in the archive starts at a multiple of this.
const ALIGN: usize = 4096;

/// Why there is no archive.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum PackError {
    /// The description itself.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Dtc(#[from] dtc::DtcError),
    /// The description has mistakes.
    #[error("{}", listed(path, mistakes))]
    Mistakes {
        /// Which file.
        path: PathBuf,
        /// All of them, in words.
        mistakes: Vec<String>,
    },
    /// An image's name would leave the image folder, or takes a name that has a meaning.
    #[error("{cell}: {property} = \"{name}\": {why}")]
    Name {
        /// The cell.
        cell: String,
        /// kernel, initrd or image.
        property: &'static str,
        /// What it says.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An image is not there.
    #[error("{cell}: {property} = \"{name}\": {} cannot be read", path.display())]
    #[diagnostic(help(
        "images are looked for in the description's own folder, or in the one that --dir names"
    ))]
    Read {
        /// The cell.
        cell: String,
        /// kernel, initrd or image.
        property: &'static str,
        /// What it says.
        name: String,
        /// Where that is.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A gzip file is damaged.
    #[error("{} begins like gzip but does not unpack", path.display())]
    Gzip {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// More than the format's 32-bit size can say.
    #[error("{} is larger than 4 GiB, which the archive cannot hold", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// The archive would not be one that the hypervisor reads.
    #[error("the hypervisor would not read this archive: {0}")]
    Archive(ArchiveError),
}

/// One line for each mistake, with the file before it.
pub(crate) fn listed(path: &Path, mistakes: &[String]) -> String {
    let lines = mistakes.iter().map(|mistake| format!("{}: {mistake}", path.display()));
    lines.collect::<Vec<_>>().join("\n")
}

/// Packs the description at `cells` (source or blob) with the images it names, which lie under `folder`.
///
/// # Errors
/// See [`PackError`].
pub fn pack(cells: &Path, folder: &Path) -> Result<Vec<u8>, PackError> {
    let blob = dtc::blob(cells)?;
    let mistakes = |mistakes| PackError::Mistakes { path: cells.into(), mistakes };
    let tree = Tree::parse(&blob).map_err(|error| mistakes(vec![error.to_string()]))?;
    let config =
        Config::parse(&tree).map_err(|errors| mistakes(errors.iter().map(ToString::to_string).collect()))?;
    let (archive, missing) = pack_what_is_there(&blob, &config, folder)?;
    if let Some(Missing { cell, property, name, path }) = missing.into_iter().next() {
        let source = io::ErrorKind::NotFound.into();
        return Err(PackError::Read { cell, property, name, path, source });
    }
    Archive::parse(&archive).map_err(PackError::Archive)?;
    Ok(archive)
}

/// An image that is not there.
#[derive(Clone, Debug)]
pub struct Missing {
    /// The cell that names it.
    pub cell: String,
    /// kernel, initrd or image.
    pub property: &'static str,
    /// What it says.
    pub name: String,
    /// Where it was looked for.
    pub path: PathBuf,
}

/// Packs a compiled description with those of its images that are there; names the others.
///
/// # Errors
/// An image is there and cannot be packed.
pub fn pack_what_is_there(
    blob: &[u8],
    config: &Config,
    folder: &Path,
) -> Result<(Vec<u8>, Vec<Missing>), PackError> {
    let images = named_by(config)?;
    let mut files: Vec<(Vec<&str>, Vec<u8>)> = Vec::new();
    let mut missing = Vec::new();
    for image in &images {
        if files.iter().any(|(names, _)| names.contains(&image.name.as_str())) {
            continue;
        }
        let data = match image.read(folder) {
            Err(PackError::Read { cell, property, name, path, source })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                missing.push(Missing { cell, property, name, path });
                continue;
            }
            other => other?,
        };
        match files.iter_mut().find(|(_, known)| *known == data) {
            Some((names, _)) => names.push(&image.name),
            None => files.push((vec![&image.name], data)),
        }
    }
    let mut archive = cpio::Archive::new();
    archive.add_linked(&[DESCRIPTION], blob, ALIGN);
    for (names, data) in &files {
        archive.add_linked(names, data, ALIGN);
    }
    Ok((archive.finish(), missing))
}

impl Image {
    /// The image's bytes as the archive holds them: unpacked where they are gzip.
    fn read(&self, folder: &Path) -> Result<Vec<u8>, PackError> {
        let path = folder.join(&self.name);
        let data = std::fs::read(&path).map_err(|source| PackError::Read {
            cell: self.cell.clone(),
            property: self.role.property(),
            name: self.name.clone(),
            path: path.clone(),
            source,
        })?;
        let data = if gzip::is_gzip(&data) {
            match gzip::unpack(&data) {
                Ok(unpacked) => unpacked,
                // Linux takes initrds of several archives one after the other, packed and plain: it unpacks them itself.
                Err(_) if self.role == ImageRole::Initrd => data,
                Err(source) => return Err(PackError::Gzip { path, source }),
            }
        } else {
            data
        };
        if u32::try_from(data.len()).is_err() {
            return Err(PackError::TooLarge { path });
        }
        Ok(data)
    }
}
