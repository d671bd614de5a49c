//! ELF64 (System V ABI, chapters 4 and 5).

use arrayvec::ArrayVec;
use elf::abi::{
    EI_CLASS, EI_DATA, EI_NIDENT, ELFCLASS64, ELFDATA2LSB, EM_AARCH64, ET_DYN, ET_EXEC, PF_X, PT_INTERP,
    PT_LOAD,
};
use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader, parse_ident};
use elf::parse::{ParseAt, ParseError};
use elf::segment::{ProgramHeader, SegmentTable};

use super::{Image, ImageError, MAX_SEGMENTS, Segment};

/// Reads an ELF file.
pub(super) fn inspect(bytes: &[u8]) -> Result<Image, ImageError> {
    check_ident(bytes)?;
    let file = file_header(bytes).map_err(|_| ImageError::Truncated)?;
    if file.e_machine != EM_AARCH64 {
        return Err(ImageError::Machine { found: "an ELF file for another CPU" });
    }
    let table = program_headers(&file, bytes).ok_or(ImageError::Truncated)?;
    let headers = || SegmentTable::new(LittleEndian, Class::ELF64, table).iter();
    if !matches!(file.e_type, ET_EXEC | ET_DYN) || headers().any(|h| h.p_type == PT_INTERP) {
        return Err(ImageError::NotExecutable);
    }
    let mut segments = ArrayVec::<_, MAX_SEGMENTS>::new();
    let loaded = || headers().filter(|header| header.p_type == PT_LOAD && header.p_memsz != 0);
    for header in loaded() {
        let segment = segment(&header, bytes.len() as u64)?;
        if segments.iter().any(|other| overlap(other, &segment)) {
            return Err(ImageError::Segment { to: segment.to });
        }
        segments.try_push(segment).map_err(|_| ImageError::Segments { found: loaded().count() })?;
    }
    if segments.is_empty() {
        return Err(ImageError::Segments { found: 0 });
    }
    let entry = file.e_entry;
    let entry = physical_entry(entry, loaded).ok_or(ImageError::Entry { entry })?;
    Ok(Image::Elf { entry, segments })
}

fn check_ident(bytes: &[u8]) -> Result<(), ImageError> {
    match (bytes.get(EI_CLASS), bytes.get(EI_DATA)) {
        (Some(&ELFCLASS64), Some(&ELFDATA2LSB)) => Ok(()),
        (Some(&ELFCLASS64), Some(_)) => Err(ImageError::Machine { found: "a big-endian ELF file" }),
        (Some(_), Some(_)) => Err(ImageError::Machine { found: "a 32-bit ELF file" }),
        _ => Err(ImageError::Truncated),
    }
}

/// The file's header alone: `ElfBytes` would read the sections too, which no loader looks at.
fn file_header(bytes: &[u8]) -> Result<FileHeader<LittleEndian>, ParseError> {
    let short = ParseError::SliceReadError((0, EI_NIDENT));
    let (ident, tail) = bytes.split_at_checked(EI_NIDENT).ok_or(short)?;
    FileHeader::parse_tail(parse_ident(ident)?, tail)
}

fn program_headers<'a>(file: &FileHeader<LittleEndian>, bytes: &'a [u8]) -> Option<&'a [u8]> {
    if file.e_phoff == 0 {
        return Some(&[]);
    }
    let each = ProgramHeader::validate_entsize(Class::ELF64, file.e_phentsize.into()).ok()?;
    let size = each.checked_mul(file.e_phnum.into())?;
    bytes.get(usize::try_from(file.e_phoff).ok()?..)?.get(..size)
}

fn segment(header: &ProgramHeader, file_size: u64) -> Result<Segment, ImageError> {
    let segment = Segment {
        offset: header.p_offset,
        file_size: header.p_filesz,
        to: header.p_paddr,
        mem_size: header.p_memsz,
    };
    if header.p_offset.checked_add(header.p_filesz).is_none_or(|end| end > file_size) {
        return Err(ImageError::Truncated);
    }
    if header.p_filesz > header.p_memsz || header.p_paddr.checked_add(header.p_memsz).is_none() {
        return Err(ImageError::Segment { to: header.p_paddr });
    }
    Ok(segment)
}

fn overlap(a: &Segment, b: &Segment) -> bool {
    a.to < b.to.saturating_add(b.mem_size) && b.to < a.to.saturating_add(a.mem_size)
}

/// `e_entry` is a virtual address. The guest starts with its MMU off, so what counts is where the segment around it
/// lies physically. Some programs put the physical address there themselves.
fn physical_entry<I: Iterator<Item = ProgramHeader>>(entry: u64, segments: impl Fn() -> I) -> Option<u64> {
    let code = || segments().filter(|header| header.p_flags & PF_X != 0);
    let inside = |start: u64, size: u64| entry.checked_sub(start).filter(|offset| *offset < size);
    let by_virtual = code().find_map(|h| h.p_paddr.checked_add(inside(h.p_vaddr, h.p_memsz)?));
    by_virtual.or_else(|| code().any(|h| inside(h.p_paddr, h.p_memsz).is_some()).then_some(entry))
}
