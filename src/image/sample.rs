//! Small images for tests. It uses nothing of the crate, so that tests of other crates can take it by its path.

/// Of a program header: type, flags, offset, vaddr, paddr, filesz, memsz.
pub type Header = (u32, u32, u64, u64, u64, u64, u64);

/// PT_LOAD.
pub const LOAD: u32 = 1;

/// A segment that is loaded where it is linked for: address, bytes in the file (from 0x100 on) and in memory.
pub fn segment((at, file, memory): (u64, u64, u64)) -> Header {
    (LOAD, 7, 0x100, at, at, file, memory)
}

/// The header of an arm64 Image that takes this much memory, with some bytes behind it.
pub fn kernel(text_offset: u64, image_size: u64, flags: u64) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    for (at, field) in [(8, text_offset), (16, image_size), (24, flags)] {
        bytes[at..at + 8].copy_from_slice(&field.to_le_bytes());
    }
    bytes[56..60].copy_from_slice(b"ARM\x64");
    bytes
}

/// A static ELF64 file of 4 KiB.
pub fn elf(entry: u64, headers: &[Header]) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend([2, 0, 183, 0, 1, 0, 0, 0]);
    for word in [entry, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend([0; 4]);
    for half in [64, 56, headers.len() as u16, 0, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    for (kind, flags, offset, vaddr, paddr, file_size, mem_size) in headers {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        for word in [offset, vaddr, paddr, file_size, mem_size, &4] {
            bytes.extend(word.to_le_bytes());
        }
    }
    bytes.resize(0x1000, 0xaa);
    bytes
}
