//! Figures: how large the hypervisor is, how much memory it takes, how many instructions its traps cost. Instructions are
//! counted by QEMU's `icount`, so they are the same in every run and on every machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use elf::ElfBytes;
use elf::abi::PT_LOAD;
use elf::endian::LittleEndian;

use crate::pack::{self, PackError};
use crate::qemu::{Boot, Disk, Lost, Machine, Qemu, QemuError};

/// Real time for one run.
const LIMIT: Duration = Duration::from_secs(300);

/// A cell with one CPU and nothing beside it. Where traps are counted the UART is its own, so that printing costs no exit.
fn one_cell_source(own_uart: bool) -> String {
    let (hypervisor, console) = match own_uart {
        true => ("hypervisor { console = \"none\"; };", "devices = \"serial0\""),
        false => ("", "console = \"virtual\""),
    };
    format!(
        "/dts-v1/;\n/ {{\n    compatible = \"bulkhead,cells-v1\";\n    {hypervisor}\n    \
         bench {{ cpus = <1>; memory = \"16M\"; image = \"bench.elf\"; {console}; }};\n}};\n"
    )
}

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A file.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The image's ELF file.
    #[error("{} is no ELF file", path.display())]
    Elf {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: elf::ParseError,
    },
    /// The archive.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The machine.
    #[error(transparent)]
    Qemu(#[from] QemuError),
    /// What runs there.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// What is measured: the hypervisor and what boots on it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The hypervisor's raw image.
    pub image: PathBuf,
    /// The ELF file that it was made of.
    pub elf: PathBuf,
    /// The demo's archive.
    pub demo: PathBuf,
    /// The folder of the guests' images.
    pub images: PathBuf,
}

/// Prints the size of the image, the memory of the demo, and what boot says of itself with one cell on one CPU.
///
/// # Errors
/// See [`BenchError`].
pub fn size(subject: &Subject) -> Result<(), BenchError> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|source| BenchError::Read { path: path.into(), source });
    let file = read(&subject.image)?.len();
    let loaded = loaded_size(&read(&subject.elf)?)
        .map_err(|source| BenchError::Elf { path: subject.elf.clone(), source })?;
    println!("image: {} loaded, {} of it in the file", kib(loaded), kib(file as u64));

    let boot = Boot { kernel: subject.image.clone(), initrd: subject.demo.clone(), append: None };
    let mut qemu = Qemu::start(&Machine::DEMO, &boot, &["linux", "control"], LIMIT)?;
    for console in qemu.consoles.iter_mut().take(1) {
        println!("demo: {}", said(&console.expect("memory:")?));
    }
    drop(qemu);

    for line in one_cell(subject, false)?.iter().filter(|line| line.contains("after entry")) {
        println!("one cell, one CPU: {}", said(line));
    }
    Ok(())
}

/// Prints what each trap costs, in instructions.
///
/// # Errors
/// See [`BenchError`].
pub fn traps(subject: &Subject) -> Result<(), BenchError> {
    println!("{:24} {:>8} {:>8} {:>8}   instructions", "case", "least", "median", "most");
    for line in one_cell(subject, true)? {
        let Some(figures) = line.strip_prefix("bench: ") else { continue };
        let words: Vec<_> = figures.split_whitespace().collect();
        if let [name, least, median, most] = words.as_slice() {
            println!("{name:24} {least:>8} {median:>8} {most:>8}");
        }
    }
    Ok(())
}

/// Runs the benchmark guest alone, one instruction a nanosecond, and gives all that was printed.
fn one_cell(subject: &Subject, own_uart: bool) -> Result<Vec<String>, BenchError> {
    let archive = subject.image.with_file_name("bench.cells");
    let source = archive.with_extension("dts");
    let write = |path: &Path, bytes: &[u8]| {
        std::fs::write(path, bytes).map_err(|source| BenchError::Read { path: path.into(), source })
    };
    write(&source, one_cell_source(own_uart).as_bytes())?;
    write(&archive, &pack::pack(&source, &subject.images)?)?;
    let machine = Machine { smp: 1, memory: "512M".into(), disk: Disk::None, icount: true, ..Machine::DEMO };
    let boot = Boot { kernel: subject.image.clone(), initrd: archive, append: None };
    let mut qemu = Qemu::start(&machine, &boot, &["bench"], LIMIT)?;
    let mut lines = Vec::new();
    for console in &mut qemu.consoles {
        console.expect("bench: done")?;
        lines.extend(console.all().lines().map(|line| line.trim_end().to_string()));
    }
    Ok(lines)
}

/// Bytes from the first to behind the last that is loaded, what starts as zeros included.
fn loaded_size(file: &[u8]) -> Result<u64, elf::ParseError> {
    let elf = ElfBytes::<LittleEndian>::minimal_parse(file)?;
    let loads = || elf.segments().into_iter().flatten().filter(|segment| segment.p_type == PT_LOAD);
    let start = loads().map(|segment| segment.p_vaddr).min().unwrap_or(0);
    let end = loads().map(|segment| segment.p_vaddr + segment.p_memsz).max().unwrap_or(0);
    Ok(end - start)
}

/// A line without what the logger puts before it.
fn said(line: &str) -> &str {
    ["memory:", "runs "].iter().find_map(|word| line.find(word).and_then(|at| line.get(at..))).unwrap_or(line)
}

fn kib(bytes: u64) -> String {
    format!("{}.{} KiB", bytes / 1024, bytes % 1024 * 10 / 1024)
}
