//! A case: what its first lines ask for, and what is then said.
//!
//! ```text
//! // board: FILE.dts                 the board, NAME.board.dts; board.dts if left out, `virt` asks QEMU
//! // board: FILE.dts DAMAGE          compiled to a blob first, then damaged
//! // blob: DAMAGE                    the description, compiled and damaged
//! // file: NAME KIND ...             an image in the image folder (see `files`)
//! // archive: NAME ... [; DAMAGE]    an archive of these files instead of the description; `cells.dtb` is the description
//! ```
//! DAMAGE is `truncated BYTES`, `poke OFFSET HEX` or `tail HEX`; numbers are decimal, or hexadecimal after 0x.

use std::path::{Path, PathBuf};
use std::process::Command;

use bulkhead_cli::qemu::Scratch;
use bulkhead_cli::{cpio, dtc};

use crate::files;

/// A case.
pub struct Case {
    /// Its source.
    path: PathBuf,
    /// What its first lines say: word and rest.
    asks: Vec<(String, String)>,
}

/// Sources in a folder without an expectation beside them; a board is none.
pub fn without_expectation(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let board = name == "board.dts" || name.ends_with(".board.dts");
            name.ends_with(".dts") && !board && !path.with_extension("expected").exists()
        })
        .collect();
    found.sort();
    found
}

impl Case {
    /// Reads what a source asks for.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let remarks = text.lines().map_while(|line| line.strip_prefix("//"));
        let asks = remarks.filter_map(|line| line.trim().split_once(": "));
        let known = ["board", "blob", "file", "archive"];
        let asks = asks
            .filter(|(word, _)| known.contains(word))
            .map(|(word, rest)| (word.into(), rest.trim().into()));
        Ok(Self { path: path.into(), asks: asks.collect() })
    }

    fn asked(&self, word: &str) -> Option<&str> {
        self.asks.iter().find(|(asked, _)| asked == word).map(|(_, rest)| rest.as_str())
    }

    /// Checks it and compares, or writes what was said.
    pub fn run(&self, update: bool) -> Result<(), String> {
        let said = self.said()?;
        let file = self.path.with_extension("expected");
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        if said == expected {
            return Ok(());
        }
        if update {
            return std::fs::write(&file, said).map_err(|error| error.to_string());
        }
        Err(format!("{} is not what is said:\n--- expected\n{expected}\n--- said\n{said}", file.display()))
    }

    /// Exit status and output, with what differs from run to run taken out.
    fn said(&self) -> Result<String, String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let scratch = Scratch::new().map_err(|error| words(&error))?;
        let images = scratch.path();
        for (_, ask) in self.asks.iter().filter(|(word, _)| word == "file") {
            let (name, kind) = ask.split_once(' ').ok_or("file: NAME KIND")?;
            write(&images.join(name), &files::make(kind)?)?;
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut cells = name.clone();
        if let Some(ask) = self.asked("archive") {
            cells = images.join(name.replace(".dts", ".cells")).display().to_string();
            write(Path::new(&cells), &self.archive(ask, images)?)?;
        } else if let Some(damage) = self.asked("blob") {
            cells = images.join(name.replace(".dts", ".dtb")).display().to_string();
            let blob = dtc::blob(&self.path).map_err(|error| words(&error))?;
            write(Path::new(&cells), &damaged(blob, damage)?)?;
        }
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let (board, damage) =
            self.asked("board").map_or(("board.dts", None), |ask| match ask.split_once(' ') {
                Some((board, damage)) => (board, Some(damage)),
                None => (ask, None),
            });
        let mut board = board.to_string();
        if let Some(damage) = damage {
            let blob = dtc::blob(&folder.join(&board)).map_err(|error| words(&error))?;
            board = images.join(board.replace(".dts", ".dtb")).display().to_string();
            write(Path::new(&board), &damaged(blob, damage)?)?;
        }
        let out = Command::new(env!("CARGO_BIN_EXE_bulkhead"))
            .current_dir(folder)
            .args(["check", &cells, "--board", &board, "--dir"])
            .arg(images)
            .env_remove("CLICOLOR_FORCE")
            .output()
            .map_err(|error| words(&error))?;
        let status = out.status.code().map_or_else(|| out.status.to_string(), |code| code.to_string());
        let text =
            format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        // Where the images lie differs from run to run.
        let text = text.replace(&format!("{}/", images.display()), "");
        Ok(format!("exit {status}\n{text}"))
    }

    /// An archive of files that were made before, and the description.
    fn archive(&self, ask: &str, images: &Path) -> Result<Vec<u8>, String> {
        let (names, damage) = ask.split_once(';').unwrap_or((ask, ""));
        let mut archive = cpio::Archive::new();
        for name in names.split_whitespace() {
            let data = if name == bulkhead::archive::DESCRIPTION {
                dtc::blob(&self.path).map_err(|error| error.to_string())?
            } else {
                std::fs::read(images.join(name)).unwrap_or_default()
            };
            archive.add_linked(&[name], &data, 4096);
        }
        damaged(archive.finish(), damage.trim())
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder.and_then(|()| std::fs::write(path, bytes)).map_err(|error| format!("{}: {error}", path.display()))
}

fn damaged(mut bytes: Vec<u8>, how: &str) -> Result<Vec<u8>, String> {
    let words: Vec<&str> = how.split_whitespace().collect();
    match words.as_slice() {
        [] => {}
        ["truncated", count] => bytes.truncate(files::number(count)? as usize),
        ["tail", hex] => bytes.extend(files::hex(hex)?),
        ["poke", at, hex] => {
            let (at, hex) = (files::number(at)? as usize, files::hex(hex)?);
            let place = bytes.get_mut(at..at + hex.len()).ok_or("poke: behind the end")?;
            place.copy_from_slice(&hex);
        }
        _ => return Err(format!("what is `{how}`?")),
    }
    Ok(bytes)
}
