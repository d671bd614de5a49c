//! Which images a description names.

use bulkhead::config::Config;

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
    /// A device tree.
    Tree,
    /// An overlay for one.
    Overlay,
}

impl ImageRole {
    /// The property that names it.
    pub fn property(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Initrd => "initrd",
            Self::Image => "image",
            Self::Tree => "dtb",
            Self::Overlay => "dtb-overlay",
        }
    }

    fn of(property: &str) -> Option<Self> {
        [Self::Kernel, Self::Initrd, Self::Image, Self::Tree, Self::Overlay]
            .into_iter()
            .find(|role| role.property() == property)
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
        for (property, name) in cell.files() {
            let Some(role) = ImageRole::of(property) else { continue };
            if let Some(why) = objection(name) {
                return Err(PackError::Name {
                    cell: cell.name.clone(),
                    property: role.property(),
                    name: name.into(),
                    why,
                });
            }
            images.push(Image { cell: cell.name.clone(), role, name: name.into() });
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
