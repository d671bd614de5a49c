//! Packing: the compiled description and the images it names become one archive, which the loader passes as the
//! initramfs. `cells.dtb` comes first, then the images in the description's order, each starting at a multiple of
//! 4 KiB, equal ones stored once. The same input gives the same bytes on every machine.

mod images;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

pub use images::{Image, ImageRole, named_by};

use crate::{cpio, dtc, gzip};

/// The description's name in the archive.
pub const DESCRIPTION: &str = "cells.dtb";

/// Data in the archive starts at a multiple of this.
const ALIGN: usize = 4096;

/// Why there is no archive.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum PackError {
    /// The description itself.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Dtc(#[from] dtc::DtcError),
    /// The blob is no device tree.
    #[error("{} is no valid device-tree blob: {why}", path.display())]
    Blob {
        /// Which file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// An image's name would leave the image folder, or takes a name that has a meaning.
    #[error("{node}: {property} = \"{name}\": {why}")]
    Name {
        /// The cell's node.
        node: String,
        /// kernel, initrd or image.
        property: &'static str,
        /// What it says.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An image is not there.
    #[error("{node}: {property} = \"{name}\": {} cannot be read", path.display())]
    #[diagnostic(help(
        "images are looked for in the description's own folder, or in the one that --dir names"
    ))]
    Read {
        /// The cell's node.
        node: String,
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
}

/// Packs the description at `cells` (source or blob) with the images it names, which lie under `folder`.
///
/// # Errors
/// See [`PackError`].
pub fn pack(cells: &Path, folder: &Path) -> Result<Vec<u8>, PackError> {
    let blob = dtc::blob(cells)?;
    let images = named_by(&blob, cells)?;
    let mut files: Vec<(Vec<&str>, Vec<u8>)> = Vec::new();
    for image in &images {
        if files.iter().any(|(names, _)| names.contains(&image.name.as_str())) {
            continue;
        }
        let data = image.read(folder)?;
        match files.iter_mut().find(|(_, known)| *known == data) {
            Some((names, _)) => names.push(&image.name),
            None => files.push((vec![&image.name], data)),
        }
    }
    let mut archive = cpio::Archive::new();
    archive.add_linked(&[DESCRIPTION], &blob, ALIGN);
    for (names, data) in &files {
        archive.add_linked(names, data, ALIGN);
    }
    Ok(archive.finish())
}

impl Image {
    /// The image's bytes as the archive holds them: unpacked where they are gzip.
    fn read(&self, folder: &Path) -> Result<Vec<u8>, PackError> {
        let path = folder.join(&self.name);
        let data = std::fs::read(&path).map_err(|source| PackError::Read {
            node: self.node.clone(),
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
