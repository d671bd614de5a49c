//! Which images a description names.

use bulkhead::config::{Config, Payload};

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
    /// The cell.
    pub cell: String,
    /// What it is there.
    pub role: ImageRole,
    /// Its name: a path below the image folder.
    pub name: String,
}

/// The images that a description names, in its order, each as often as it is named.
///
/// # Errors
/// A name is no plain path below the image folder.
pub fn named_by(config: &Config) -> Result<Vec<Image>, PackError> {
    let mut images = Vec::new();
    for cell in &config.cells {
        let named = match &cell.payload {
            Payload::Linux { kernel, initrd, .. } => {
                [Some((ImageRole::Kernel, kernel)), initrd.as_ref().map(|name| (ImageRole::Initrd, name))]
            }
            Payload::Image { file, .. } => [Some((ImageRole::Image, file)), None],
        };
        for (role, name) in named.into_iter().flatten() {
            if let Some(why) = objection(name) {
                return Err(PackError::Name {
                    cell: cell.name.clone(),
                    property: role.property(),
                    name: name.clone(),
                    why,
                });
            }
            images.push(Image { cell: cell.name.clone(), role, name: name.clone() });
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
