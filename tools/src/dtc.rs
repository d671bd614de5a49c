//! The device-tree compiler.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a description could not be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum DtcError {
    /// The file itself.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// dtc is not there.
    #[error("dtc does not start: install the package device-tree-compiler")]
    NoDtc(#[source] io::Error),
    /// dtc found mistakes.
    #[error("{} is no valid device-tree source\n{said}", path.display())]
    Source {
        /// Which file.
        path: PathBuf,
        /// What dtc said: file, line and reason.
        said: String,
    },
}

/// The blob of a description: `.dtb` files as they are, everything else compiled.
///
/// # Errors
/// The file cannot be read, or dtc finds mistakes in it.
pub fn blob(path: &Path) -> Result<Vec<u8>, DtcError> {
    if path.extension().is_some_and(|ext| ext == "dtb") {
        return std::fs::read(path).map_err(|source| DtcError::Read { path: path.into(), source });
    }
    std::fs::metadata(path).map_err(|source| DtcError::Read { path: path.into(), source })?;
    // A description is a tree of its own, not a board's: dtc's checks of boards' bindings do not apply.
    let out = Command::new("dtc")
        .args(["-q", "-I", "dts", "-O", "dtb", "-o", "-"])
        .arg(path)
        .output()
        .map_err(DtcError::NoDtc)?;
    if out.status.success() {
        Ok(out.stdout)
    } else {
        Err(DtcError::Source { path: path.into(), said: String::from_utf8_lossy(&out.stderr).into_owned() })
    }
}

/// The blob of a source that is in no file.
///
/// # Errors
/// See [`blob`].
pub fn compile(source: &str) -> Result<Vec<u8>, DtcError> {
    through(&["-q", "-I", "dts", "-O", "dtb"], source.as_bytes())
}

/// The source of a blob.
///
/// # Errors
/// See [`blob`].
pub fn source(blob: &[u8]) -> Result<String, DtcError> {
    Ok(String::from_utf8_lossy(&through(&["-q", "-I", "dtb", "-O", "dts"], blob)?).into_owned())
}

/// What dtc makes of its input.
fn through(args: &[&str], input: &[u8]) -> Result<Vec<u8>, DtcError> {
    let mut child = Command::new("dtc")
        .args(args)
        .args(["-o", "-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(DtcError::NoDtc)?;
    // dtc reads its input to the end before it writes.
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(input).map_err(DtcError::NoDtc)?;
    }
    let out = child.wait_with_output().map_err(DtcError::NoDtc)?;
    if out.status.success() {
        Ok(out.stdout)
    } else {
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        Err(DtcError::Source { path: "a description".into(), said })
    }
}
