use std::fs;
use std::io::Write;

use super::*;

/// A folder with a description and images, gone at the end.
struct Bench(PathBuf);

impl Bench {
    fn new(name: &str, description: &str, images: &[(&str, &[u8])]) -> Self {
        let folder = std::env::temp_dir().join(format!("bulkhead-pack-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("cells.dts"), description).unwrap();
        for (name, data) in images {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, data).unwrap();
        }
        Self(folder)
    }

    fn pack(&self) -> Result<Vec<u8>, PackError> {
        pack(&self.0.join("cells.dts"), &self.0)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn description(cells: &str) -> String {
    format!("/dts-v1/; / {{ compatible = \"bulkhead,cells-v1\"; {cells} }};")
}

/// Entries as (name, inode, where the data starts, data), read by the format's own rules.
fn entries(archive: &[u8]) -> Vec<(String, u32, usize, Vec<u8>)> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        assert_eq!(&archive[at..at + 6], b"070701");
        let field = |n: usize| {
            let hex = std::str::from_utf8(&archive[at + 6 + 8 * n..at + 14 + 8 * n]).unwrap();
            u32::from_str_radix(hex, 16).unwrap()
        };
        let (inode, size, name_size) = (field(0), field(6) as usize, field(11) as usize);
        let name = archive[at + 110..at + 110 + name_size].split(|b| *b == 0).next().unwrap();
        let name = String::from_utf8(name.to_vec()).unwrap();
        let data = (at + 110 + name_size).next_multiple_of(4);
        if name == "TRAILER!!!" {
            return found;
        }
        found.push((name, inode, data, archive[data..data + size].to_vec()));
        at = (data + size).next_multiple_of(4);
    }
}

#[test]
fn the_description_comes_first_and_everything_is_aligned() {
    let cells = description(
        r#"linux { root; kernel = "linux/Image"; initrd = "linux/initrd"; }; rt { image = "rt.elf"; };"#,
    );
    let images: [(&str, &[u8]); 3] =
        [("linux/Image", b"kernel"), ("linux/initrd", b"initrd"), ("rt.elf", b"elf")];
    let archive = Bench::new("order", &cells, &images).pack().unwrap();
    let entries = entries(&archive);
    let names: Vec<_> = entries.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["cells.dtb", "linux/Image", "linux/initrd", "rt.elf"]);
    assert!(entries.iter().all(|(_, _, at, _)| at % 4096 == 0));
    assert_eq!(entries[0].3[..4], [0xd0, 0x0d, 0xfe, 0xed]);
    assert_eq!(entries[2].3, b"initrd");
}

#[test]
fn equal_files_are_stored_once() {
    let cells = description(
        r#"a { kernel = "a/Image"; }; b { kernel = "b/Image"; }; c { kernel = "a/Image"; }; d { image = "d"; };"#,
    );
    let same = [7; 10_000];
    let images: [(&str, &[u8]); 3] = [("a/Image", &same), ("b/Image", &same), ("d", b"other")];
    let archive = Bench::new("once", &cells, &images).pack().unwrap();
    let entries = entries(&archive);
    assert_eq!(entries.len(), 4);
    let (first, last) = (&entries[1], &entries[2]);
    assert_eq!((first.1, first.3.len()), (last.1, 0));
    assert_eq!(last.3, same);
    assert_ne!(entries[3].1, last.1);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let cells = description(r#"a { image = "a"; };"#);
    let pack = |name| Bench::new(name, &cells, &[("a", b"image")]).pack().unwrap();
    assert_eq!(pack("same1"), pack("same2"));
}

#[test]
fn gzip_is_unpacked() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"the kernel").unwrap();
    let gzip = gzip.finish().unwrap();
    let cells = description(r#"a { kernel = "k.gz"; initrd = "i"; };"#);
    // An initrd of several archives, of which only the first is packed, is Linux's to unpack.
    let initrd = [gzip.as_slice(), b"070701"].concat();
    let archive = Bench::new("gzip", &cells, &[("k.gz", &gzip), ("i", &initrd)]).pack().unwrap();
    let entries = entries(&archive);
    assert_eq!(entries[1].3, b"the kernel");
    assert_eq!(entries[2].3, initrd);
}

#[test]
fn a_damaged_kernel_is_refused() {
    let cells = description(r#"a { kernel = "k.gz"; };"#);
    let bench = Bench::new("damaged", &cells, &[("k.gz", &[0x1f, 0x8b, 8, 0, 1, 2, 3])]);
    assert!(matches!(bench.pack(), Err(PackError::Gzip { .. })));
}

#[test]
fn names_stay_below_the_folder() {
    for name in ["../passwd", "/etc/passwd", "a//b", "./a", "cells.dtb", "TRAILER!!!"] {
        let bench = Bench::new("names", &description(&format!("a {{ image = \"{name}\"; }};")), &[]);
        assert!(matches!(bench.pack(), Err(PackError::Name { .. })), "{name}");
    }
}

#[test]
fn a_missing_image_is_named_with_its_cell() {
    let error = Bench::new("missing", &description(r#"rt { image = "rt.elf"; };"#), &[]).pack().unwrap_err();
    let said = error.to_string();
    assert!(said.contains("/rt: image = \"rt.elf\""), "{said}");
}

#[test]
fn a_mistake_in_the_source_is_named_with_its_line() {
    let error = Bench::new("syntax", "/dts-v1/;\n/ {\n  a = ;\n};", &[]).pack().unwrap_err();
    assert!(error.to_string().contains("cells.dts:3"), "{error}");
}
