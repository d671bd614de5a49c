use super::sample::{Header, LOAD, elf, kernel};
use super::*;

const INTERP: u32 = 3;
const RX: u32 = 5;
const RW: u32 = 6;

const CODE: Header = (LOAD, RX, 0x100, 0x4000_0000, 0x4000_0000, 0x100, 0x100);
const DATA: Header = (LOAD, RW, 0x200, 0x4000_1000, 0x4000_1000, 0x10, 0x2000);

fn error(bytes: &[u8]) -> ImageError {
    Image::inspect(bytes).unwrap_err()
}

#[test]
fn a_linux_kernel_says_what_it_needs() {
    let image = Image::inspect(&kernel(0, 0x20_0000, 0b1010));
    assert_eq!(image, Ok(Image::Linux { text_offset: 0, image_size: 0x20_0000 }));
    let signed = Image::inspect(&kernel(0x8_0000, 5, 0b1010));
    assert_eq!(signed, Ok(Image::Linux { text_offset: 0x8_0000, image_size: 128 }));
    assert_eq!(error(&kernel(0, 0, 0)), ImageError::TooOld);
    assert_eq!(error(&kernel(0, 1, 1)), ImageError::Machine { found: "a big-endian kernel" });
    assert_eq!(error(&kernel(u64::MAX, 1, 0)), ImageError::Truncated);
    assert!(Image::inspect(&kernel(0, 1, 0)[..60]).is_ok());
    assert_eq!(Image::inspect(&kernel(0, 1, 0)[..59]), Ok(Image::Raw));
}

#[test]
fn envelopes_are_named() {
    for (start, text) in [
        (&b""[..], "the file is empty"),
        (b"\x1f\x8b\x08", "the file is compressed with gzip; unpack it first (`bulkhead pack` does)"),
        (b"MZ\0\0zimg", "the file is an EFI zboot image; take the plain `Image` that is inside"),
        (b"\xd0\x0d\xfe\xed", "the file is a device tree or a FIT image; take the image that is inside"),
        (b"\x27\x05\x19\x56", "the file is a U-Boot legacy image; take the image that is inside"),
    ] {
        assert_eq!(error(start).to_string(), text);
    }
    for start in [
        &b"\x28\xb5\x2f\xfd"[..],
        b"\xfd7zXZ\0",
        b"BZh9",
        b"\x04\x22\x4d\x18",
        b"\x02\x21\x4c\x18",
        b"\x89LZO",
    ] {
        assert!(matches!(error(start), ImageError::Compressed { .. }));
    }
    assert_eq!(Image::inspect(b"\xd5\x03\x20\x1f"), Ok(Image::Raw));
}

#[test]
fn an_elf_file_is_its_segments() {
    let note = (4, 4, 0x900, 0, 0, 8, 8);
    let empty = (LOAD, RW, 0x900, 0x4000_0000, 0x4000_0000, 0, 0);
    let Ok(Image::Elf { entry, segments }) = Image::inspect(&elf(0x4000_0004, &[note, CODE, DATA, empty]))
    else {
        panic!("no ELF")
    };
    assert_eq!(entry, 0x4000_0004);
    assert_eq!(
        segments.as_slice(),
        [
            Segment { offset: 0x100, file_size: 0x100, to: 0x4000_0000, mem_size: 0x100 },
            Segment { offset: 0x200, file_size: 0x10, to: 0x4000_1000, mem_size: 0x2000 },
        ]
    );
}

#[test]
fn the_entry_is_physical() {
    let high = (LOAD, RX, 0x100, 0xffff_0000_0000_0000, 0x4000_0000, 0x100, 0x100);
    let entry = |entry, headers: &[Header]| match Image::inspect(&elf(entry, headers)) {
        Ok(Image::Elf { entry, .. }) => Ok(entry),
        other => Err(other.unwrap_err()),
    };
    assert_eq!(entry(0xffff_0000_0000_0010, &[high]), Ok(0x4000_0010));
    assert_eq!(entry(0x4000_0010, &[high]), Ok(0x4000_0010));
    assert_eq!(entry(0x4000_0100, &[high]), Err(ImageError::Entry { entry: 0x4000_0100 }));
    assert_eq!(entry(0x4000_1000, &[CODE, DATA]), Err(ImageError::Entry { entry: 0x4000_1000 }));
}

#[test]
fn a_damaged_elf_file_is_refused() {
    let with = |at: usize, byte: u8| {
        let mut bytes = elf(0x4000_0000, &[CODE]);
        bytes[at] = byte;
        error(&bytes)
    };
    assert_eq!(with(4, 1), ImageError::Machine { found: "a 32-bit ELF file" });
    assert_eq!(with(5, 2), ImageError::Machine { found: "a big-endian ELF file" });
    assert_eq!(with(18, 62), ImageError::Machine { found: "an ELF file for another CPU" });
    assert_eq!(with(16, 1), ImageError::NotExecutable);
    assert_eq!(with(39, 0xff), ImageError::Truncated);
    assert_eq!(error(b"\x7fELF"), ImageError::Truncated);
    assert_eq!(error(&elf(0x4000_0000, &[CODE])[..100]), ImageError::Truncated);
    assert_eq!(error(&elf(0x4000_0000, &[CODE])[..0x180]), ImageError::Truncated);
    assert_eq!(error(&elf(0, &[])), ImageError::Segments { found: 0 });
    assert_eq!(error(&elf(0, &[(INTERP, 4, 0, 0, 0, 0, 0), CODE])), ImageError::NotExecutable);
    let page = |n: u64| (LOAD, RX, 0x900, n << 12, n << 12, 8, 8);
    let pages = |n| (0..n).map(page).collect::<Vec<_>>();
    assert!(Image::inspect(&elf(0, &pages(MAX_SEGMENTS as u64))).is_ok());
    assert_eq!(error(&elf(0, &pages(20))), ImageError::Segments { found: 20 });
}

#[test]
fn an_impossible_segment_is_refused() {
    let one = |header: Header| error(&elf(0x4000_0000, &[header]));
    assert_eq!(one((LOAD, RX, 0xfff, 0, 0, 2, 2)), ImageError::Truncated);
    assert_eq!(one((LOAD, RX, u64::MAX, 0, 0, 2, 2)), ImageError::Truncated);
    assert_eq!(one((LOAD, RX, 0, 0, 7, 2, 1)), ImageError::Segment { to: 7 });
    assert_eq!(one((LOAD, RX, 0, 0, u64::MAX, 0, 2)), ImageError::Segment { to: u64::MAX });
    let over = (LOAD, RW, 0x200, 0x4000_00ff, 0x4000_00ff, 1, 1);
    assert_eq!(error(&elf(0x4000_0000, &[CODE, over])), ImageError::Segment { to: 0x4000_00ff });
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(at in 0_usize..180, bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..20)) {
        let mut file = elf(0x4000_0000, &[CODE, DATA]);
        file.splice(at..at + bytes.len(), bytes.iter().copied());
        let _ = Image::inspect(&file);
        let mut file = kernel(0, 0x20_0000, 0);
        file.splice(at.min(128).., bytes.iter().copied());
        let _ = Image::inspect(&file);
    }
}

#[test]
fn a_kernel_that_is_cut_off_is_refused() {
    // "MZ", a PE header at 64 with one section of 0x100 bytes at 0x200 (PE/COFF, 3.3 and 4).
    let mut bytes = kernel(0, 0x10_0000, 0);
    bytes[0..2].copy_from_slice(b"MZ");
    bytes.resize(0x300, 0);
    bytes[60] = 64;
    bytes[64..68].copy_from_slice(b"PE\0\0");
    bytes[70] = 1;
    let section = 64 + 24;
    bytes[section + 16..section + 20].copy_from_slice(&0x100_u32.to_le_bytes());
    bytes[section + 20..section + 24].copy_from_slice(&0x200_u32.to_le_bytes());
    assert!(matches!(Image::inspect(&bytes), Ok(Image::Linux { .. })));
    for size in [0x2ff, 0x200, section + 30, section, 80] {
        assert_eq!(error(&bytes[..size]), ImageError::Truncated, "{size}");
    }
    // A header that promises what cannot be.
    bytes[section + 16..section + 20].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(error(&bytes), ImageError::Truncated);
}

#[test]
fn kernels_of_other_machines_are_named() {
    let mut arm = vec![0; 64];
    arm[36..40].copy_from_slice(&0x016f_2818_u32.to_le_bytes());
    assert_eq!(error(&arm), ImageError::Machine { found: "a 32-bit Arm kernel" });
    arm[36..40].reverse();
    assert_eq!(error(&arm), ImageError::Machine { found: "a 32-bit Arm kernel" });
    let mut riscv = vec![0; 64];
    riscv[56..60].copy_from_slice(b"RSC\x05");
    assert_eq!(error(&riscv), ImageError::Machine { found: "a RISC-V kernel" });
}
