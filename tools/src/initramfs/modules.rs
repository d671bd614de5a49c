//! A kernel's modules and what they need of each other. Debian's packages hold no `modules.dep` (depmod writes it when
//! a package is installed), so each module's own `.modinfo` section is asked.

use std::path::{Path, PathBuf};

use elf::ElfBytes;
use elf::endian::LittleEndian;

use super::InitramfsError;
use crate::gzip;

/// A module, unpacked.
#[derive(Debug)]
pub struct Module {
    /// Its name, with `_` where file names may have `-`.
    pub name: String,
    /// The ELF file.
    pub bytes: Vec<u8>,
}

/// These modules and all they need, in the order in which they can be loaded. A name the folder does not have is left
/// out: the kernel has that driver built in.
pub fn needed(folder: &Path, names: &[&str]) -> Result<Vec<Module>, InitramfsError> {
    let mut files = Vec::new();
    find(folder, &mut files)?;
    let mut loaded = Vec::new();
    for name in names {
        if let Some(file) = files.iter().find(|file| name_of(file) == *name) {
            load(file, &files, &mut loaded)?;
        }
    }
    Ok(loaded)
}

fn load(file: &Path, files: &[PathBuf], loaded: &mut Vec<Module>) -> Result<(), InitramfsError> {
    let name = name_of(file);
    if loaded.iter().any(|module| module.name == name) {
        return Ok(());
    }
    let damaged = |why: String| InitramfsError::Module { path: file.into(), why };
    let bytes = std::fs::read(file).map_err(|source| InitramfsError::Read { path: file.into(), source })?;
    let bytes = match file.extension() {
        Some(ext) if ext == "xz" => gzip::unpack_xz(&bytes).map_err(|error| damaged(error.to_string()))?,
        _ => bytes,
    };
    for needed in depends(&bytes).map_err(|error| damaged(error.to_string()))? {
        let file = files
            .iter()
            .find(|file| name_of(file) == needed)
            .ok_or_else(|| InitramfsError::Missing { needed: needed.clone(), by: name.clone() })?;
        load(file, files, loaded)?;
    }
    loaded.push(Module { name, bytes });
    Ok(())
}

/// The names behind `depends=` in `.modinfo`, a section of NUL-terminated `key=value` strings.
fn depends(module: &[u8]) -> Result<Vec<String>, elf::ParseError> {
    let elf = ElfBytes::<LittleEndian>::minimal_parse(module)?;
    let Some(section) = elf.section_header_by_name(".modinfo")? else { return Ok(Vec::new()) };
    let (data, _) = elf.section_data(&section)?;
    let list = data.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"depends="));
    Ok(String::from_utf8_lossy(list.unwrap_or_default())
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect())
}

fn name_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.split(".ko").next().unwrap_or_default().replace('-', "_")
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), InitramfsError> {
    let read = |source| InitramfsError::Read { path: folder.into(), source };
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.to_string_lossy().contains(".ko") {
            files.push(path);
        }
    }
    Ok(())
}
