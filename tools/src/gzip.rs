//! Unpacking images. EL2 has no unpacker: what the archive holds is copied as it is.

use std::io::{self, Read};

/// Whether these bytes begin like gzip (RFC 1952 2.3.1).
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b, 0x08])
}

/// Unpacks all gzip members.
///
/// # Errors
/// Where the data is damaged or something else follows it.
pub fn unpack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out)?;
    Ok(out)
}

/// Unpacks xz, which Debian packs kernel modules with.
///
/// # Errors
/// Where the data is damaged.
pub fn unpack_xz(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    lzma_rs::xz_decompress(&mut io::BufReader::new(bytes), &mut out).map_err(io::Error::other)?;
    Ok(out)
}
