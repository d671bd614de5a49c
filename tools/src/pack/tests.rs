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

/// A description of cells that differ in their images only.
fn description(cells: &[(&str, &str)]) -> String {
    let cell =
        |(name, images): &(&str, &str)| format!("{name} {{ cpus = <1>; memory = \"16M\"; {images} }};");
    let cells: String = cells.iter().map(cell).collect();
    format!("/dts-v1/; / {{ compatible = \"bulkhead,cells-v1\"; {cells} }};")
}

#[test]
fn the_hypervisor_finds_everything_where_it_should_be() {
    let cells = description(&[
        ("linux", r#"kernel = "linux/Image"; initrd = "linux/initrd";"#),
        ("rt", r#"image = "rt.elf";"#),
    ]);
    let images: [(&str, &[u8]); 3] =
        [("linux/Image", b"kernel"), ("linux/initrd", b"initrd"), ("rt.elf", b"elf")];
    let bytes = Bench::new("order", &cells, &images).pack().unwrap();
    let archive = Archive::parse(&bytes).unwrap();
    let names: Vec<_> = archive.names().collect();
    assert_eq!(names, ["cells.dtb", "linux/Image", "linux/initrd", "rt.elf"]);
    assert!(names.iter().all(|name| archive.file(name).unwrap().offset.is_multiple_of(4096)));
    for (name, data) in images {
        assert_eq!(archive.file(name).unwrap().data, data);
    }
    let tree = Tree::parse(archive.description().unwrap()).unwrap();
    assert_eq!(Config::parse(&tree).unwrap().cells.len(), 2);
}

#[test]
fn equal_files_are_stored_once() {
    let cells = description(&[
        ("a", r#"kernel = "a/Image";"#),
        ("b", r#"kernel = "b/Image";"#),
        ("c", r#"kernel = "a/Image";"#),
        ("d", r#"image = "d";"#),
    ]);
    let same = [7; 10_000];
    let images: [(&str, &[u8]); 3] = [("a/Image", &same), ("b/Image", &same), ("d", b"other")];
    let bytes = Bench::new("once", &cells, &images).pack().unwrap();
    let archive = Archive::parse(&bytes).unwrap();
    let [a, b, d] = ["a/Image", "b/Image", "d"].map(|name| archive.file(name).unwrap());
    assert_eq!((a.offset, a.data), (b.offset, same.as_slice()));
    assert_eq!(d.data, b"other");
    assert_eq!(archive.names().count(), 4);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let cells = description(&[("a", r#"image = "a";"#)]);
    let pack = |name| Bench::new(name, &cells, &[("a", b"image")]).pack().unwrap();
    assert_eq!(pack("same1"), pack("same2"));
}

#[test]
fn gzip_is_unpacked() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"the kernel").unwrap();
    let gzip = gzip.finish().unwrap();
    let cells = description(&[("a", r#"kernel = "k.gz"; initrd = "i";"#)]);
    // An initrd of several archives, of which only the first is packed, is Linux's to unpack.
    let initrd = [gzip.as_slice(), b"070701"].concat();
    let bytes = Bench::new("gzip", &cells, &[("k.gz", &gzip), ("i", &initrd)]).pack().unwrap();
    let archive = Archive::parse(&bytes).unwrap();
    assert_eq!(archive.file("k.gz").unwrap().data, b"the kernel");
    assert_eq!(archive.file("i").unwrap().data, initrd);
}

#[test]
fn a_damaged_kernel_is_refused() {
    let cells = description(&[("a", r#"kernel = "k.gz";"#)]);
    let bench = Bench::new("damaged", &cells, &[("k.gz", &[0x1f, 0x8b, 8, 0, 1, 2, 3])]);
    assert!(matches!(bench.pack(), Err(PackError::Gzip { .. })));
}

#[test]
fn names_stay_below_the_folder() {
    for name in ["../passwd", "/etc/passwd", "a//b", "./a", "cells.dtb", "TRAILER!!!"] {
        let bench = Bench::new("names", &description(&[("a", &format!("image = \"{name}\";"))]), &[]);
        let refused = matches!(bench.pack(), Err(PackError::Name { .. } | PackError::Mistakes { .. }));
        assert!(refused, "{name}");
    }
}

#[test]
fn a_missing_image_is_named_with_its_cell() {
    let error =
        Bench::new("missing", &description(&[("rt", r#"image = "rt.elf";"#)]), &[]).pack().unwrap_err();
    let said = error.to_string();
    assert!(said.contains("rt: image = \"rt.elf\""), "{said}");
}

#[test]
fn a_mistake_in_the_source_is_named_with_its_line() {
    let error = Bench::new("syntax", "/dts-v1/;\n/ {\n  a = ;\n};", &[]).pack().unwrap_err();
    assert!(error.to_string().contains("cells.dts:3"), "{error}");
}

#[test]
fn all_mistakes_in_a_description_are_listed() {
    let cells = description(&[("a", "image = <1>; colour = \"red\";")]);
    let said = Bench::new("mistakes", &cells, &[]).pack().unwrap_err().to_string();
    assert!(said.contains("image") && said.contains("colour"), "{said}");
}
