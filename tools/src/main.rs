//! `bulkhead`: the tools of the Bulkhead partitioning hypervisor.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bulkhead_cli::qemu::{self, Boot, Disk, Machine};
use bulkhead_cli::{bench, demo, initramfs, pack, plan};
use clap::{Parser, Subcommand};
use miette::{Context, IntoDiagnostic, Result};

/// Divides one Arm machine into cells: describe, check, pack, run.
#[derive(Debug, Parser)]
#[command(version, infer_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find every mistake in a cell description
    Check(OnBoard),
    /// Print who owns what
    Plan(OnBoard),
    /// Write the device tree of QEMU's virt machine, for `check` and `plan`
    Board {
        /// The file to write
        #[arg(short, long)]
        output: PathBuf,
        #[command(flatten)]
        machine: MachineArguments,
    },
    /// Pack a description and the images it names into the archive that the loader passes as the initramfs
    Pack {
        /// The description: device-tree source, or a blob (.dtb)
        cells: PathBuf,
        /// The archive to write
        #[arg(short, long)]
        output: PathBuf,
        /// The folder of the images; the description's own if left out
        #[arg(long, value_name = "IMAGES")]
        dir: Option<PathBuf>,
    },
    /// Build what a Linux guest starts with, from unpacked Debian packages
    Initramfs {
        /// The unpacked kernel package
        kernel: PathBuf,
        /// The unpacked busybox-static package
        #[arg(long)]
        busybox: PathBuf,
        /// The folder that gets `Image` and `initrd.cpio`
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Measure the hypervisor in QEMU
    Bench {
        /// What to measure
        #[arg(value_enum)]
        what: Figures,
        /// The build's folder
        #[arg(long, default_value = "target")]
        target: PathBuf,
    },
    /// Run an archive on QEMU's virt machine; Ctrl-a x ends it
    Run {
        /// The archive that `pack` wrote
        archive: PathBuf,
        /// The hypervisor
        #[arg(long)]
        image: PathBuf,
        #[command(flatten)]
        machine: MachineArguments,
        /// A raw disk image for the PCI bus; an empty disk of 64 MiB if left out
        #[arg(long)]
        disk: Option<PathBuf>,
        /// Watch the demo without a person: the last line begins with `ok:` if it holds
        #[arg(long)]
        check: bool,
    },
}

/// A description and the board that it is for.
#[derive(Debug, clap::Args)]
struct OnBoard {
    /// The description: device-tree source, or a blob (.dtb)
    cells: PathBuf,
    /// The board's device tree
    #[arg(long)]
    board: PathBuf,
    /// The folder of the images; the description's own if left out
    #[arg(long, value_name = "IMAGES")]
    dir: Option<PathBuf>,
}

impl OnBoard {
    fn check(&self) -> Result<plan::Desk, plan::CheckError> {
        let desk = plan::check(&self.cells, &self.board, &images(&self.cells, self.dir.as_deref()))?;
        desk.notes.iter().for_each(|note| eprintln!("note: {note}"));
        Ok(desk)
    }
}

/// QEMU's machine.
#[derive(Debug, clap::Args)]
struct MachineArguments {
    /// The CPU's model
    #[arg(long, default_value = "cortex-a57")]
    cpu: String,
    /// How many CPUs
    #[arg(long, default_value_t = 4)]
    cpus: u32,
    /// RAM
    #[arg(long, default_value = "1G")]
    memory: String,
}

impl MachineArguments {
    fn machine(self) -> Machine {
        Machine { cpu: self.cpu.into(), smp: self.cpus, memory: self.memory.into(), ..Machine::DEMO }
    }
}

/// Where a description's images are.
fn images(cells: &Path, dir: Option<&Path>) -> PathBuf {
    dir.or(cells.parent()).unwrap_or(Path::new(".")).to_path_buf()
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Figures {
    /// Image, memory, entry
    Size,
    /// Instructions of each trap
    Traps,
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().command {
        Command::Check(on_board) => {
            on_board.check()?;
            println!("{}: no mistakes", on_board.cells.display());
        }
        Command::Plan(on_board) => {
            let desk = on_board.check()?;
            print!("{}", plan::table(&desk.plan, &desk.devices));
        }
        Command::Board { output, machine } => {
            write(&output, &qemu::board_tree(&machine.machine()).into_diagnostic()?)?;
        }
        Command::Pack { cells, output, dir } => {
            write(&output, &pack::pack(&cells, &images(&cells, dir.as_deref()))?)?;
        }
        Command::Initramfs { kernel, busybox, output } => {
            let kernel = initramfs::Kernel::unpacked_at(&kernel)?;
            write(&output.join("initrd.cpio"), &initramfs::build(&kernel, &busybox.join("bin/busybox"))?)?;
            let image = std::fs::read(&kernel.image)
                .into_diagnostic()
                .wrap_err_with(|| format!("{} cannot be read", kernel.image.display()))?;
            write(&output.join("Image"), &image)?;
        }
        Command::Bench { what, target } => {
            let subject = bench::Subject {
                image: target.join("bulkhead.bin"),
                elf: target.join("aarch64-unknown-none-softfloat/release/bulkhead-image"),
                demo: target.join("demo.cells"),
                images: target.join("images"),
            };
            match what {
                Figures::Size => bench::size(&subject),
                Figures::Traps => bench::traps(&subject),
            }
            .into_diagnostic()?;
        }
        Command::Run { archive, image, check: true, .. } => {
            match demo::check(image, archive, &|step| println!("check: {step}")) {
                Ok(line) => println!("{line}"),
                Err(error) => {
                    println!("check: failed: {error}");
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
        Command::Run { archive, image, machine, disk, check: false } => {
            let disk = disk.map_or(Disk::Scratch, Disk::File);
            let machine = Machine { disk, ..machine.machine() };
            let boot = Boot { kernel: image, initrd: archive, append: None };
            println!(
                "The terminal is the first serial line; the second one's lines begin with [serial1]. Ctrl-a x ends QEMU."
            );
            let status = qemu::live(&machine, &boot, &["serial1"]).into_diagnostic()?;
            return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a file whole or not at all, its folder made where it is missing.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("part");
    path.parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(&partial, bytes))
        .and_then(|()| std::fs::rename(&partial, path))
        .into_diagnostic()
        .wrap_err_with(|| format!("{} cannot be written", path.display()))
}
