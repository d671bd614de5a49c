//! Which images a description names.

use std::path::Path;

use bulkhead::tree::Tree;

use super::{DESCRIPTION, PackError};

/// What an image is to its cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageRole {
    /// An arm64 Linux `Image`.
    Kernel,
    /// What Linux starts from.
    Initrd,
    /// A bare-metal program.
    Image,
}

impl ImageRole {
    const ALL: [Self; 3] = [Self::Kernel, Self::Initrd, Self::Image];

    /// The property that names it.
    pub fn property(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Initrd => "initrd",
            Self::Image => "image",
        }
    }
}

/// An image that a description names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The cell's node.
    pub node: String,
    /// What it is there.
    pub role: ImageRole,
    /// Its name: a path below the image folder.
    pub name: String,
}

/// The images that a description names, in its order, each as often as it is named.
///
/// # Errors
/// The blob is damaged, or a name is no plain path below the image folder.
pub fn named_by(blob: &[u8], path: &Path) -> Result<Vec<Image>, PackError> {
    let tree =
        Tree::parse(blob).map_err(|error| PackError::Blob { path: path.into(), why: error.to_string() })?;
    let mut images = Vec::new();
    for cell in tree.root().children() {
        for role in ImageRole::ALL {
            let Some(name) = cell.prop(role.property()).and_then(|prop| prop.str()) else { continue };
            if let Some(why) = objection(name) {
                return Err(PackError::Name {
                    node: cell.path(),
                    property: role.property(),
                    name: name.into(),
                    why,
                });
            }
            images.push(Image { node: cell.path(), role, name: name.into() });
        }
    }
    Ok(images)
}

fn objection(name: &str) -> Option<&'static str> {
    if name == DESCRIPTION {
        return Some("this name is the description's own");
    }
    if name.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Some("a plain path below the image folder is wanted");
    }
    (name == "TRAILER!!!").then_some("this name ends a cpio archive")
}
