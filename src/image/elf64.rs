//! ELF64 (System V ABI, chapters 4 and 5). Sections are not looked at: no loader does.

use arrayvec::ArrayVec;

use super::{Image, ImageError, MAX_SEGMENTS, Segment};

const ELFCLASS64: u8 = 2;
const ELFDATA2LSB: u8 = 1;
const EM_AARCH64: u16 = 183;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PF_X: u32 = 1;

/// Bytes of the file's header, and of a program header.
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;

/// Reads an ELF file.
pub(super) fn inspect(bytes: &[u8]) -> Result<Image, ImageError> {
    check_ident(bytes)?;
    let header = bytes.get(..HEADER).ok_or(ImageError::Truncated)?;
    if half(header, 18) != EM_AARCH64 {
        return Err(ImageError::Machine { found: "an ELF file for another CPU" });
    }
    let programs = programs(header, bytes).ok_or(ImageError::Truncated)?;
    let interpreted = programs.iter().any(|program| word(program, 0) == PT_INTERP);
    if !matches!(half(header, 16), ET_EXEC | ET_DYN) || interpreted {
        return Err(ImageError::NotExecutable);
    }
    let mut segments = ArrayVec::<_, MAX_SEGMENTS>::new();
    let mut found = 0_usize;
    for program in loaded(programs) {
        found = found.saturating_add(1);
        let segment = segment(program, bytes.len() as u64)?;
        if segments.iter().any(|other| overlap(other, &segment)) {
            return Err(ImageError::Segment { to: segment.to });
        }
        // What has no place is counted.
        let _ = segments.try_push(segment);
    }
    if found != segments.len() || found == 0 {
        return Err(ImageError::Segments { found });
    }
    let entry = double(header, 24);
    let entry = physical_entry(entry, programs).ok_or(ImageError::Entry { entry })?;
    Ok(Image::Elf { entry, segments })
}

fn check_ident(bytes: &[u8]) -> Result<(), ImageError> {
    match bytes.get(4..6) {
        Some([ELFCLASS64, ELFDATA2LSB]) => Ok(()),
        Some([ELFCLASS64, _]) => Err(ImageError::Machine { found: "a big-endian ELF file" }),
        Some(_) => Err(ImageError::Machine { found: "a 32-bit ELF file" }),
        None => Err(ImageError::Truncated),
    }
}

/// The program headers.
fn programs<'a>(header: &[u8], bytes: &'a [u8]) -> Option<&'a [[u8; PROGRAM_HEADER]]> {
    let (at, each, count) = (double(header, 32), half(header, 54), half(header, 56));
    if at == 0 {
        return Some(&[]);
    }
    if usize::from(each) != PROGRAM_HEADER {
        return None;
    }
    let size = PROGRAM_HEADER.checked_mul(count.into())?;
    Some(bytes.get(usize::try_from(at).ok()?..)?.get(..size)?.as_chunks().0)
}

/// Those that take memory.
fn loaded(programs: &[[u8; PROGRAM_HEADER]]) -> impl Iterator<Item = &[u8; PROGRAM_HEADER]> {
    programs.iter().filter(|program| word(*program, 0) == PT_LOAD && double(*program, 40) != 0)
}

fn segment(program: &[u8], file_size: u64) -> Result<Segment, ImageError> {
    let (offset, to) = (double(program, 8), double(program, 24));
    let segment = Segment { offset, file_size: double(program, 32), to, mem_size: double(program, 40) };
    if offset.checked_add(segment.file_size).is_none_or(|end| end > file_size) {
        return Err(ImageError::Truncated);
    }
    if segment.file_size > segment.mem_size || to.checked_add(segment.mem_size).is_none() {
        return Err(ImageError::Segment { to });
    }
    Ok(segment)
}

fn overlap(a: &Segment, b: &Segment) -> bool {
    a.to < b.to.saturating_add(b.mem_size) && b.to < a.to.saturating_add(a.mem_size)
}

/// `e_entry` is a virtual address. The guest starts with its MMU off, so what counts is where the segment around it
/// lies physically. Some programs put the physical address there themselves.
fn physical_entry(entry: u64, programs: &[[u8; PROGRAM_HEADER]]) -> Option<u64> {
    let mut physical = None;
    for program in loaded(programs).filter(|program| word(*program, 4) & PF_X != 0) {
        let (virt, phys, size) = (double(program, 16), double(program, 24), double(program, 40));
        let inside = |start: u64| entry.checked_sub(start).filter(|offset| *offset < size);
        if let Some(offset) = inside(virt) {
            return phys.checked_add(offset);
        }
        physical = physical.or(inside(phys).map(|_| entry));
    }
    physical
}

/// Little-endian fields; 0 where there is none.
fn half(bytes: &[u8], at: usize) -> u16 {
    word(bytes, at) as u16
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |field| u32::from_le_bytes(*field))
}

fn double(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at.saturating_add(4))) << 32
}
