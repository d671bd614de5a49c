//! What a Linux guest starts with: busybox, the modules it needs for its disk and console, and our `init`.
//! Built from unpacked Debian packages; the same packages give the same bytes.

mod modules;

use std::io;
use std::path::{Path, PathBuf};

use crate::cpio::{Archive, Kind};

/// The modules asked for, where the kernel has them as modules; what they need comes along.
const MODULES: [&str; 5] = ["virtio_pci", "virtio_mmio", "virtio_blk", "virtio_console", "sbsa_gwdt"];

const INIT: &str = include_str!("init.sh");

/// Why there is no initramfs.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum InitramfsError {
    /// A file of a package.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folder is no unpacked kernel package.
    #[error("{} does not hold {what}", path.display())]
    #[diagnostic(help("scripts/setup --all unpacks Debian's packages under target/debian"))]
    NotThere {
        /// The folder.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// A module is damaged.
    #[error("{} is no kernel module: {why}", path.display())]
    Module {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A module needs one that the package does not have.
    #[error("the module {needed} is needed by {by} and not unpacked")]
    Missing {
        /// Which is missing.
        needed: String,
        /// Which wants it.
        by: String,
    },
}

/// An unpacked Debian kernel package.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The kernel: a raw arm64 `Image`.
    pub image: PathBuf,
    /// Its modules' folder.
    pub modules: PathBuf,
}

impl Kernel {
    /// Looks into an unpacked package.
    ///
    /// # Errors
    /// It holds no kernel.
    pub fn unpacked_at(package: &Path) -> Result<Self, InitramfsError> {
        let only = |folder: &Path, prefix: &str, what| {
            let entries = std::fs::read_dir(folder)
                .map_err(|source| InitramfsError::Read { path: folder.into(), source })?;
            entries
                .flatten()
                .map(|entry| entry.path())
                .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
                .ok_or(InitramfsError::NotThere { path: folder.into(), what })
        };
        // Since Debian 13, /lib is a link to /usr/lib and packages hold the latter.
        let lib = ["lib/modules", "usr/lib/modules"].map(|lib| package.join(lib));
        let lib = lib.iter().find(|lib| lib.is_dir());
        let lib = lib.ok_or(InitramfsError::NotThere { path: package.into(), what: "lib/modules" })?;
        Ok(Self {
            image: only(&package.join("boot"), "vmlinuz-", "a kernel, vmlinuz-*")?,
            modules: only(lib, "", "a kernel's modules")?,
        })
    }
}

/// Builds the initramfs for a kernel.
///
/// # Errors
/// See [`InitramfsError`].
pub fn build(kernel: &Kernel, busybox: &Path) -> Result<Vec<u8>, InitramfsError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| InitramfsError::Read { path: path.into(), source })
    };
    let busybox = read(busybox)?;
    let modules = modules::needed(&kernel.modules, &MODULES)?;

    let mut archive = Archive::new();
    for folder in ["bin", "dev", "proc", "sys", "tmp", "modules"] {
        archive.add(folder, Kind::Folder, &[]);
    }
    // The kernel opens these for init before init can mount anything.
    archive.add("dev/console", Kind::CharDevice { major: 5, minor: 1 }, &[]);
    archive.add("dev/null", Kind::CharDevice { major: 1, minor: 3 }, &[]);
    archive.add("bin/busybox", Kind::Program, &busybox);
    archive.add("bin/sh", Kind::Link, b"busybox");
    archive.add("init", Kind::Program, INIT.as_bytes());
    for module in &modules {
        archive.add(&format!("modules/{}.ko", module.name), Kind::File, &module.bytes);
    }
    let order: String = modules.iter().map(|module| format!("{}\n", module.name)).collect();
    archive.add("modules/order", Kind::File, order.as_bytes());
    Ok(archive.finish())
}
