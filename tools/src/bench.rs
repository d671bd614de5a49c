//! Figures: how large the hypervisor is, how much memory it takes, how many instructions its traps cost. Instructions are
//! counted by QEMU's `icount`, so they are the same in every run and on every machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

mod chart;
mod figures;
mod linux;
mod machines;
mod profile;
mod scale;

use elf::ElfBytes;
use elf::abi::PT_LOAD;
use elf::endian::LittleEndian;

use self::figures::Figures;
use self::machines::Below;
use crate::dtc::DtcError;
use crate::pack::{self, PackError};
use crate::qemu::{Boot, Disk, Lost, Machine, Qemu, QemuError};

/// Real time for one run.
const LIMIT: Duration = Duration::from_secs(300);

/// A cell with one CPU and nothing beside it.
const ONE_CELL: &str = "/dts-v1/;\n/ {\n    compatible = \"bulkhead,cells-v1\";\n    bench { cpus = <1>; memory = \"16M\"; \
                        image = \"bench.elf\"; console = \"virtual\"; };\n};\n";

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
    /// A tree for Xen.
    #[error(transparent)]
    Dtc(#[from] DtcError),
    /// The benchmark guest.
    #[error("the benchmark guest did not come to its end; it said:\n{said}")]
    Unfinished {
        /// All that it said.
        said: String,
    },
    /// Paths have grown.
    #[error("these paths have grown by more than 2 % since {}:\n  {}", baseline.display(), grown.join("\n  "))]
    Grown {
        /// The figures of before.
        baseline: PathBuf,
        /// Which.
        grown: Vec<String>,
    },
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
    /// Debian's Xen; where there is none it is left out.
    pub xen: PathBuf,
    /// Another CPU than the demo's for the figures of traps; then they are not Xen's.
    pub cpu: Option<String>,
    /// What the description of their cell says of `vhe`, if anything.
    pub vhe: Option<String>,
}

/// How the figures of traps are shown.
#[derive(Clone, Debug, Default)]
pub struct Show {
    /// As JSON instead of a table.
    pub json: bool,
    /// Also as a picture, in this file.
    pub svg: Option<PathBuf>,
    /// Held against this file of before.
    pub baseline: Option<PathBuf>,
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

    let boot = Boot::new(subject.image.clone(), subject.demo.clone());
    let mut qemu = Qemu::start(&Machine::DEMO, &boot, &["linux", "control"], LIMIT)?;
    for console in qemu.consoles.iter_mut().take(1) {
        println!("demo: {}", said(&console.expect("memory:")?));
    }
    drop(qemu);

    for line in one_cell(subject)?.iter().filter(|line| line.contains("after entry")) {
        println!("one cell, one CPU: {}", said(line));
    }
    Ok(())
}

/// Prints what each trap costs, in instructions, on all machines at once.
///
/// # Errors
/// See [`BenchError`]; [`BenchError::Grown`] where there is a baseline.
pub fn traps(subject: &Subject, show: &Show) -> Result<(), BenchError> {
    let mut figures = Figures::default();
    for below in Below::ALL {
        if below != Below::Xen || subject.xen.exists() && subject.cpu.is_none() {
            figures.0.insert(below, machines::run(subject, below, None)?);
        }
    }
    print!("{}", if show.json { figures.json() } else { figures.table() });
    if let Some(svg) = &show.svg {
        write(svg, chart::draw(&figures).as_bytes())?;
    }
    let Some(baseline) = &show.baseline else { return Ok(()) };
    let before = std::fs::read_to_string(baseline)
        .map_err(|source| BenchError::Read { path: baseline.clone(), source })?;
    let grown = figures.grown_since(&before);
    if grown.is_empty() { Ok(()) } else { Err(BenchError::Grown { baseline: baseline.clone(), grown }) }
}

/// Prints what traps cost with more cells, CPUs and devices.
///
/// # Errors
/// See [`BenchError`].
pub fn scale(subject: &Subject) -> Result<(), BenchError> {
    print!("{}", scale::table(&scale::measure(subject)?));
    Ok(())
}

/// Prints what the same work costs Linux with nothing below it and in the root cell, and why it left its cell meanwhile.
///
/// # Errors
/// See [`BenchError`].
pub fn linux(subject: &Subject) -> Result<(), BenchError> {
    print!("{}", linux::table(&linux::measure(subject)?));
    Ok(())
}

/// Prints where the instructions of a case go, by function.
///
/// # Errors
/// See [`BenchError`].
pub fn profile(subject: &Subject, case: &str) -> Result<(), BenchError> {
    print!("{}", profile::profile(subject, case)?);
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), BenchError> {
    std::fs::write(path, bytes).map_err(|source| BenchError::Read { path: path.into(), source })
}

/// Runs the benchmark guest alone, one instruction a nanosecond, and gives all that was printed.
fn one_cell(subject: &Subject) -> Result<Vec<String>, BenchError> {
    let archive = subject.image.with_file_name("bench.cells");
    let source = archive.with_extension("dts");
    write(&source, ONE_CELL.as_bytes())?;
    write(&archive, &pack::pack(&source, &subject.images)?)?;
    let machine = Machine { smp: 1, memory: "512M".into(), disk: Disk::None, icount: true, ..Machine::DEMO };
    let boot = Boot::new(subject.image.clone(), archive);
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
