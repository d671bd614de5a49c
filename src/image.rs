//! Formats of guest images: arm64 Image, ELF64, and anything else as it is.

mod elf64;
#[cfg(test)]
pub(crate) mod sample;

use arrayvec::ArrayVec;

use crate::refusal::{Code, code};

/// The most segments of an ELF file that are loaded.
pub const MAX_SEGMENTS: usize = 16;

/// What a file is, as far as loading it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack, for as long as it takes to plan a cell"
)]
pub enum Image {
    /// An arm64 Linux `Image` (Linux's arm64 booting.rst, section 4). Its first byte is its entry.
    Linux {
        /// How far behind a multiple of 2 MiB it wants to lie.
        text_offset: u64,
        /// How much memory it needs from there on, the file's own size or more.
        image_size: u64,
    },
    /// An AArch64 ELF executable.
    Elf {
        /// The physical address of the first instruction, inside one of the segments.
        entry: u64,
        /// What to load, in the file's order; they do not overlap.
        segments: ArrayVec<Segment, MAX_SEGMENTS>,
    },
    /// Anything else: loaded as it is, entered at its first byte.
    Raw,
}

/// A part of an ELF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where in the file.
    pub offset: u64,
    /// Bytes in the file.
    pub file_size: u64,
    /// The physical address that it wants (`p_paddr`).
    pub to: u64,
    /// Bytes in memory, `file_size` or more; the rest is zero.
    pub mem_size: u64,
}

/// Why a file cannot be a guest's image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,
    /// It is compressed.
    #[error("the file is compressed with {with}; unpack it first (`bulkhead pack` does)")]
    Compressed {
        /// The program that did it.
        with: &'static str,
    },
    /// A kernel in an envelope that only EFI opens.
    #[error("the file is an EFI zboot image; take the plain `Image` that is inside")]
    EfiZboot,
    /// Another envelope.
    #[error("the file is {kind}; take the image that is inside")]
    Wrapped {
        /// What it is.
        kind: &'static str,
    },
    /// Code for another byte order, word size or machine.
    #[error("the file is for another machine: it is {found}, not little-endian AArch64")]
    Machine {
        /// What it is.
        found: &'static str,
    },
    /// An `Image` without `image_size`: Linux before 3.17.
    #[error("the kernel is older than Linux 3.17 and does not say how much memory it needs")]
    TooOld,
    /// An ELF file that is no executable, or needs a dynamic linker.
    #[error("the ELF file is no static executable")]
    NotExecutable,
    /// Headers or segments lie outside of the file.
    #[error("the file is cut off or damaged")]
    Truncated,
    /// A segment wraps around, is smaller in memory than in the file, or overlaps another.
    #[error("the ELF segment at {to:#x} is impossible, or overlaps another")]
    Segment {
        /// Its physical address.
        to: u64,
    },
    /// Nothing to load, or more than [`MAX_SEGMENTS`] segments.
    #[error("the ELF file has {found} segments to load; 1 to {} can be", MAX_SEGMENTS)]
    Segments {
        /// How many.
        found: usize,
    },
    /// The entry lies in no segment.
    #[error("the ELF file's entry {entry:#x} lies in none of its segments")]
    Entry {
        /// The entry as the file has it.
        entry: u64,
    },
}

impl ImageError {
    /// Its number.
    pub fn code(&self) -> Code {
        match self {
            Self::Empty => code::IMAGE_EMPTY,
            Self::Compressed { .. } => code::IMAGE_COMPRESSED,
            Self::EfiZboot | Self::Wrapped { .. } => code::IMAGE_WRAPPED,
            Self::Machine { .. } => code::IMAGE_MACHINE,
            Self::TooOld => code::KERNEL_TOO_OLD,
            Self::NotExecutable => code::NOT_EXECUTABLE,
            Self::Truncated => code::IMAGE_TRUNCATED,
            Self::Segment { .. } | Self::Segments { .. } => code::ELF_SEGMENTS,
            Self::Entry { .. } => code::ENTRY,
        }
    }
}

impl Image {
    /// Finds out what a file is, and checks what it says about itself.
    ///
    /// # Errors
    /// [`ImageError`] if it is damaged, or nothing that a CPU can run.
    pub fn inspect(bytes: &[u8]) -> Result<Self, ImageError> {
        refuse_envelopes(bytes)?;
        if bytes.starts_with(b"\x7fELF") {
            return elf64::inspect(bytes);
        }
        // Offset 56: "ARM\x64". The others are of Linux's arm `zImage` and RISC-V's `Image`.
        match (bytes.get(36..40), bytes.get(56..60)) {
            (_, Some(b"ARM\x64")) => linux(bytes),
            (_, Some(b"RSC\x05")) => Err(ImageError::Machine { found: "a RISC-V kernel" }),
            (Some([0x18, 0x28, 0x6f, 0x01] | [0x01, 0x6f, 0x28, 0x18]), _) => {
                Err(ImageError::Machine { found: "a 32-bit Arm kernel" })
            }
            _ => Ok(Self::Raw),
        }
    }
}

/// Refuses what would be taken for a raw image, and surely is none.
fn refuse_envelopes(bytes: &[u8]) -> Result<(), ImageError> {
    let compressed = |with| Err(ImageError::Compressed { with });
    match bytes {
        [] => Err(ImageError::Empty),
        [0x1f, 0x8b, ..] => compressed("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => compressed("zstd"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => compressed("xz"),
        [b'B', b'Z', b'h', ..] => compressed("bzip2"),
        [0x02, 0x21, 0x4c, 0x18, ..] | [0x04, 0x22, 0x4d, 0x18, ..] => compressed("lz4"),
        [0x89, b'L', b'Z', b'O', ..] => compressed("lzop"),
        [b'M', b'Z', _, _, b'z', b'i', b'm', b'g', ..] => Err(ImageError::EfiZboot),
        [0x27, 0x05, 0x19, 0x56, ..] => Err(ImageError::Wrapped { kind: "a U-Boot legacy image" }),
        [0xd0, 0x0d, 0xfe, 0xed, ..] => Err(ImageError::Wrapped { kind: "a device tree or a FIT image" }),
        _ => Ok(()),
    }
}

fn linux(bytes: &[u8]) -> Result<Image, ImageError> {
    let field = |at: usize| {
        let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk());
        bytes.copied().map(u64::from_le_bytes).ok_or(ImageError::Truncated)
    };
    let (text_offset, image_size, flags) = (field(8)?, field(16)?, field(24)?);
    if image_size == 0 {
        return Err(ImageError::TooOld);
    }
    if flags & 1 != 0 {
        return Err(ImageError::Machine { found: "a big-endian kernel" });
    }
    if bytes.starts_with(b"MZ") && !is_whole(bytes) {
        return Err(ImageError::Truncated);
    }
    // A signature may have made the file longer than its kernel.
    let image_size = image_size.max(bytes.len() as u64);
    text_offset.checked_add(image_size).ok_or(ImageError::Truncated)?;
    Ok(Image::Linux { text_offset, image_size })
}

/// Whether a kernel's file has all of its sections. The header that it has for EFI tells where they are (PE/COFF
/// specification, sections 3.3 and 4).
fn is_whole(bytes: &[u8]) -> bool {
    sections_end(bytes).is_some_and(|end| end <= bytes.len())
}

/// Where the last section ends; `None` if the headers end too early.
fn sections_end(bytes: &[u8]) -> Option<usize> {
    let half = |at: usize| bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes).map(usize::from);
    let word = |at: usize| bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes);
    let header = word(60)? as usize;
    if word(header)? != u32::from_le_bytes(*b"PE\0\0") {
        return Some(0);
    }
    let first = header.checked_add(24)?.checked_add(half(header.checked_add(20)?)?)?;
    let mut end = 0;
    for section in 0..half(header.checked_add(6)?)? {
        let at = first.checked_add(section.checked_mul(40)?)?;
        let size = word(at.checked_add(16)?)?;
        end = end.max(word(at.checked_add(20)?)?.checked_add(size)? as usize);
    }
    Some(end)
}

#[cfg(test)]
mod tests;
