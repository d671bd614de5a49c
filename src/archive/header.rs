//! One entry of a cpio file.

use super::{ArchiveError, File};

/// Bytes of a header: a magic of 6 and 13 fields of 8.
const SIZE: usize = 110;
/// The type's bits in a mode, and two types.
const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    pub(super) file: File<'a>,
    /// Device and inode, where there is more than one link.
    pub(super) link: Option<[u32; 3]>,
    /// Where the next entry begins.
    pub(super) end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Trailer,
}

/// Reads the entry at an offset.
pub(super) fn read(bytes: &[u8], at: usize) -> Result<Entry<'_>, ArchiveError> {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest {
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [0xfd, b'7', b'z', b'X', b'Z', ..] if at == 0 => {
            return Err(ArchiveError::Compressed);
        }
        _ if rest.is_empty() && at != 0 => return Err(ArchiveError::Truncated { at }),
        _ if !rest.starts_with(b"070701") => return Err(ArchiveError::Magic { at }),
        _ => {}
    }
    let header = rest.get(..SIZE).ok_or(ArchiveError::Truncated { at })?;
    let [ino, mode, _uid, _gid, nlink, _mtime, size, major, minor, _rmajor, _rminor, name_size, _check] =
        fields(header).ok_or(ArchiveError::Header { at })?;

    let cut_off = || ArchiveError::Truncated { at };
    let name_at = at.saturating_add(SIZE);
    let name_end = name_at.checked_add(name_size as usize).ok_or_else(cut_off)?;
    let name = bytes.get(name_at..name_end).ok_or_else(cut_off)?;
    let name = self::name(name).ok_or(ArchiveError::Name { at })?;
    let data_at = aligned(name_end);
    let data_end = data_at.checked_add(size as usize).ok_or_else(cut_off)?;
    // Padding may be missing behind the very last name.
    let data = bytes.get(data_at.min(bytes.len())..data_end.min(bytes.len())).unwrap_or_default();
    if data.len() != size as usize {
        return Err(cut_off());
    }
    let kind = match mode & S_IFMT {
        _ if name == "TRAILER!!!" => Kind::Trailer,
        S_IFREG => Kind::File,
        S_IFDIR => Kind::Directory,
        _ => return Err(ArchiveError::Kind { at }),
    };
    if kind == Kind::File && !is_plain(name) {
        return Err(ArchiveError::Name { at });
    }
    let file = File { offset: data_at as u64, data };
    let link = (nlink > 1).then_some([major, minor, ino]);
    Ok(Entry { name, kind, file, link, end: aligned(data_end) })
}

/// Rounded up to 4 bytes of the archive. What would wrap stays outside of any archive.
fn aligned(at: usize) -> usize {
    at.saturating_add(3) & !3
}

fn fields(header: &[u8]) -> Option<[u32; 13]> {
    let mut fields = [0; 13];
    for (field, digits) in fields.iter_mut().zip(header.get(6..)?.as_chunks::<8>().0) {
        for digit in digits {
            *field = *field << 4 | char::from(*digit).to_digit(16)?;
        }
    }
    Some(fields)
}

/// The name in a field that ends with one or more zeros: whoever wants data aligned lengthens the field.
fn name(field: &[u8]) -> Option<&str> {
    let size = field.iter().position(|byte| *byte == 0)?;
    let (name, zeros) = field.split_at_checked(size)?;
    let name = core::str::from_utf8(name).ok()?;
    let name = name.strip_prefix("./").unwrap_or(name);
    zeros.iter().all(|byte| *byte == 0).then_some(name)
}

/// Whether a name is one that a description can say: relative, without detours.
fn is_plain(name: &str) -> bool {
    name.split('/').all(|part| !matches!(part, "" | "." | "..")) && !name.chars().any(char::is_control)
}
