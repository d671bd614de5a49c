use super::sample::{FILE, Member, members as archive};
use super::*;

const DIRECTORY: u32 = 0o040_755;

fn error(bytes: &[u8]) -> ArchiveError {
    Archive::parse(bytes).unwrap_err()
}

const DTB: Member<'_> = (1, FILE, 1, "cells.dtb", b"tree");

#[test]
fn files_are_found_by_name() {
    let members = [
        DTB,
        (2, DIRECTORY, 2, "linux", b""),
        (3, FILE, 1, "./linux/Image", b"kernel"),
        (4, FILE, 1, "empty", b""),
    ];
    let mut bytes = archive(&members);
    bytes.extend([0; 512]);
    let archive = Archive::parse(&bytes).unwrap();
    assert_eq!(archive.description(), Ok(&b"tree"[..]));
    let kernel = archive.file("linux/Image").unwrap();
    assert_eq!(kernel.data, b"kernel");
    assert_eq!(&bytes[kernel.offset as usize..][..6], b"kernel");
    assert_eq!(archive.file("empty").unwrap().data, b"");
    assert!(archive.file("linux").is_none() && archive.file("TRAILER!!!").is_none());
    assert_eq!(archive.names().collect::<Vec<_>>(), ["cells.dtb", "linux/Image", "empty"]);
}

#[test]
fn a_long_name_field_aligns_the_data() {
    let name = "cells.dtb".to_owned() + &"\0".repeat(4096 - 110 - 10);
    let bytes = archive(&[(1, FILE, 1, &name, b"tree")]);
    let archive = Archive::parse(&bytes).unwrap();
    assert_eq!(archive.file("cells.dtb"), Some(File { offset: 4096, data: b"tree" }));
    assert_eq!(archive.description(), Ok(&b"tree"[..]));
}

#[test]
fn hard_links_share_their_data() {
    let bytes = archive(&[
        DTB,
        (7, FILE, 2, "a", b""),
        (8, FILE, 2, "other", b""),
        (7, FILE, 2, "b", b"same"),
        (7, FILE, 1, "empty", b""),
    ]);
    let archive = Archive::parse(&bytes).unwrap();
    assert_eq!(archive.file("a"), archive.file("b"));
    assert_eq!(archive.file("a").unwrap().data, b"same");
    assert_eq!(archive.file("other").unwrap().data, b"");
    assert_eq!(archive.file("empty").unwrap().data, b"");
}

#[test]
fn the_description_comes_first() {
    let no_description = |members: &[Member<'_>]| {
        let bytes = archive(members);
        Archive::parse(&bytes).unwrap().description().unwrap_err()
    };
    assert_eq!(no_description(&[]), ArchiveError::NoDescription);
    assert_eq!(no_description(&[(2, FILE, 1, "Image", b""), DTB]), ArchiveError::NoDescription);
    assert_eq!(no_description(&[(2, DIRECTORY, 1, ".", b""), DTB]), ArchiveError::NoDescription);
}

#[test]
fn what_is_no_archive_is_refused() {
    assert_eq!(error(b""), ArchiveError::Magic { at: 0 });
    assert_eq!(error(b"070702"), ArchiveError::Magic { at: 0 });
    assert_eq!(error(b"\x1f\x8b\x08\0"), ArchiveError::Compressed);
    assert_eq!(error(b"\x28\xb5\x2f\xfd"), ArchiveError::Compressed);
    let good = archive(&[DTB]);
    let first = good.len() - 124;
    for cut in 6..good.len() - 3 {
        let at = if cut < first { 0 } else { first };
        // Cut off inside of a magic, there is no header.
        let magic = (first + 1..first + 6).contains(&cut);
        let expected = if magic { ArchiveError::Magic { at } } else { ArchiveError::Truncated { at } };
        assert_eq!(error(&good[..cut]), expected, "{cut}");
    }
    assert!(Archive::parse(&good[..good.len() - 3]).is_ok(), "only padding is missing");
    let mut bad = good.clone();
    bad[20] = b'g';
    assert_eq!(error(&bad), ArchiveError::Header { at: 0 });
    let mut bad = good.clone();
    bad.extend(b"\0\0x");
    assert_eq!(error(&bad), ArchiveError::Trailing { at: good.len() + 2 });
    // No number in a header runs out of the archive.
    for field in [6, 11] {
        let mut bad = good.clone();
        bad[6 + 8 * field..][..8].copy_from_slice(b"ffffffff");
        assert_eq!(error(&bad), ArchiveError::Truncated { at: 0 });
    }
}

#[test]
fn odd_members_are_refused() {
    for name in ["", "/abs", "a//b", "a/../b", "..", "a/", "a\nb", "./", "a\0b"] {
        assert_eq!(error(&archive(&[(1, FILE, 1, name, b"")])), ArchiveError::Name { at: 0 }, "{name:?}");
    }
    let link = (1, 0o120_777, 1, "link", &b"target"[..]);
    assert_eq!(
        error(&archive(&[DTB, link])),
        ArchiveError::Kind { at: archive(&[DTB]).len() - archive(&[]).len() }
    );
    assert_eq!(error(&archive(&[DTB, DTB])), ArchiveError::Twice { name: "cells.dtb".into() });
    let names: Vec<_> = (0..=MAX_ENTRIES).map(|n| n.to_string()).collect();
    let members: Vec<Member<'_>> = names.iter().map(|name| (1, FILE, 1, name.as_str(), &b""[..])).collect();
    assert!(Archive::parse(&archive(&members[1..])).is_ok());
    assert_eq!(error(&archive(&members)), ArchiveError::TooMany);
    let mut bad = archive(&[DTB]);
    bad[110] = 0xff;
    assert_eq!(error(&bad), ArchiveError::Name { at: 0 });
    bad[110..120].fill(b'x');
    assert_eq!(error(&bad), ArchiveError::Name { at: 0 });
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(at in 0_usize..400, bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
        let mut archive = archive(&[DTB, (2, FILE, 2, "a", b"data"), (2, FILE, 2, "b", b"")]);
        archive.splice(at.min(archive.len()).., bytes.iter().copied());
        let _ = Archive::parse(&archive).map(|archive| archive.names().count());
        let _ = Archive::parse(&bytes).map(|archive| archive.description().is_ok());
    }
}
