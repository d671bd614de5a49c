//! What the mutations begin with.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::entry::Loaded;
use super::files::archive;
use super::images::{elf, kernel, segment};

/// A board's tree and the archive beside it.
pub struct Seed {
    pub loaded: Loaded,
    pub board: Vec<u8>,
    pub archive: Vec<u8>,
}

fn top(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Compiles source, or takes a blob apart.
fn dtc(from: &str, to: &str, input: &[u8]) -> Vec<u8> {
    let mut dtc = Command::new("dtc")
        .args(["-q", "-q", "-I", from, "-O", to, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("dtc is needed: scripts/setup installs it");
    dtc.stdin.take().unwrap().write_all(input).unwrap();
    let output = dtc.wait_with_output().unwrap();
    assert!(output.status.success(), "dtc does not take a seed");
    output.stdout
}

/// The tree that QEMU gives its virt machine.
fn virt() -> Vec<u8> {
    let file = std::env::temp_dir().join(format!("bulkhead-mutations-{}.dtb", std::process::id()));
    let status = Command::new("qemu-system-aarch64")
        .arg("-nodefaults")
        .args(["-serial", "null", "-serial", "null"])
        .args(["-display", "none", "-cpu", "cortex-a57", "-smp", "4", "-m", "1G", "-M"])
        .arg(format!("virt,virtualization=on,gic-version=3,dumpdtb={}", file.display()))
        .stderr(Stdio::null())
        .status()
        .expect("qemu-system-aarch64 is needed: scripts/setup installs it");
    assert!(status.success());
    let blob = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    blob
}

/// The loader's part: the archive's place in /chosen.
fn loaded(board: &[u8], start: u64, size: usize) -> Vec<u8> {
    let source = String::from_utf8(dtc("dtb", "dts", board)).unwrap();
    let initrd = start + (128 << 20);
    let chosen = format!(
        "\tchosen {{\nlinux,initrd-start = <{initrd:#x}>; linux,initrd-end = <{:#x}>;\n",
        initrd + size as u64
    );
    let source = source.replacen("\tchosen {\n", &chosen, 1);
    // Firmware of the Raspberry Pi fills this in.
    let source = source.replacen("reg = <0x00 0x00 0x00>;\n\t};", "reg = <0x00 0x00 0x3b400000>;\n\t};", 1);
    dtc("dts", "dtb", source.as_bytes())
}

/// Every seed: the demos of all boards whose trees are there, the first is virt's.
pub fn all() -> Vec<Seed> {
    let dtb = |name: &str| std::fs::read(top("target/debian/dtbs").join(name)).ok();
    let boards = [
        ("dts/qemu-virt/demo.dts", 0x4000_0000, Some(virt())),
        ("dts/imx8mp-evk/demo.dts", 0x4000_0000, dtb("imx8mp-evk.dtb")),
        ("dts/rpi4/demo.dts", 0, dtb("bcm2711-rpi-4-b.dtb")),
    ];
    let segments = [0x4000_0000, 0x4000_1000].map(|at| segment((at, 0x50, 0x800)));
    let seed = |(cells, start, board): (&str, u64, Option<Vec<u8>>)| {
        let files = [
            ("cells.dtb", dtc("dts", "dtb", &std::fs::read(top(cells)).unwrap())),
            ("linux/Image", kernel(0, 32 << 20, 0b1010)),
            ("linux/initrd.cpio", vec![1; 20]),
            ("control.elf", elf(0x4000_0000, &segments)),
        ];
        let archive = archive(&files);
        let Some(board) = board else {
            eprintln!("{cells}: left out, its board's tree is missing: scripts/setup --all fetches it");
            return None;
        };
        let board = loaded(&board, start, archive.len());
        Some(Seed { loaded: Loaded::above(start), board, archive })
    };
    boards.into_iter().filter_map(seed).collect()
}

impl Seed {
    /// The description.
    pub fn description(&self) -> &[u8] {
        bulkhead::archive::description(&self.archive).unwrap()
    }

    /// The archive with another description.
    pub fn with_description(&self, description: &[u8]) -> Vec<u8> {
        super::entry::with_description(&self.archive, description)
    }
}
