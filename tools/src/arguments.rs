//! The command line, and what `--help` teaches.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

use crate::board::{Board, BoardError};
use crate::new::CellWish;
use crate::qemu::Machine;

/// Divides one Arm machine into cells: describe, check, look, pack, run
///
/// A description (cells.dts) says which cells there are and what each has. It names the board's own devices and holds no
/// address. The board's tree tells the rest.
#[derive(Debug, Parser)]
#[command(
    version,
    infer_subcommands = true,
    after_long_help = "\
The first ten minutes:
  bulkhead new --board virt -o cells.dts      asks what there shall be, writes it down
  bulkhead check cells.dts --board virt       finds every mistake
  bulkhead plan cells.dts --board virt        shows who owns what
  bulkhead pack cells.dts -o my.cells         puts it into one file with the images
  bulkhead run my.cells                       boots it in QEMU

`bulkhead help COMMAND` says more about each. Exit status: 0 all is well, 1 refused, 2 wrong usage or a file that cannot \
be read or written. NO_COLOR=1 turns colours off; so does a pipe."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find every mistake in a description
    ///
    /// The same code decides at boot: given the same tree, what passes at the desk passes on the board. Each mistake comes
    /// with its number (`bulkhead explain` has a page on each), the lines that are to blame, and what to do.
    #[command(after_long_help = "\
Examples:
  bulkhead check cells.dts --board virt
  bulkhead check cells.dts --board virt --cpus 8 --memory 2G
  bulkhead check cells.dts --board imx8mp-evk.dtb --dir images

On a board that runs Linux, `dtc -I fs -O dts /proc/device-tree` or the file /sys/firmware/fdt is its tree.")]
    Check(OnBoard),
    /// Show who owns what: a table, JSON or a picture
    #[command(after_long_help = "\
Examples:
  bulkhead plan cells.dts --board virt
  bulkhead plan cells.dts --board virt --json | jq '.cells[].name'
  bulkhead plan cells.dts --board virt --svg plan.svg")]
    Plan {
        /// A description and its board
        #[command(flatten)]
        on_board: OnBoard,
        /// Print JSON: the same bytes that the image prints where the description says `print-plan`
        #[arg(long)]
        json: bool,
        /// Draw a picture into this file
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// Say more about a refusal: cause, example, fix
    #[command(after_long_help = "\
Examples:
  bulkhead explain BH0104
  bulkhead explain             lists all")]
    Explain {
        /// Its number; without one, all are listed
        code: Option<String>,
    },
    /// Write a first description for a board, by asking or from flags
    ///
    /// Without --root and --cell it asks. What it writes passes `bulkhead check`; images need not be there yet.
    #[command(after_long_help = "\
Examples:
  bulkhead new --board virt -o cells.dts
  bulkhead new --board virt --root linux:kernel=linux/Image,initrd=linux/initrd.cpio,bootargs=console=ttyAMA0 \\
      --cell control:cpus=cpu@3,memory=16M,device=serial1,image=control.elf -o cells.dts

Keys: cpus (how many, or a name), memory, device, image, kernel, initrd, bootargs. cpus and device may come again.")]
    New {
        /// The board
        #[command(flatten)]
        board: BoardArguments,
        /// The root cell: it gets all that no other cell has
        #[arg(long, value_name = "NAME[:KEY=VALUE,...]")]
        root: Option<CellWish>,
        /// Another cell; may come again
        #[arg(long = "cell", value_name = "NAME[:KEY=VALUE,...]")]
        cells: Vec<CellWish>,
        /// The file to write; printed if left out
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Pack a description and the images it names into one archive, which the loader passes as the initramfs
    #[command(after_long_help = "\
Examples:
  bulkhead pack cells.dts -o my.cells
  bulkhead pack cells.dts --dir images -o my.cells

Images that are packed with gzip are unpacked. Equal ones are stored once.")]
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
    /// Boot an archive or a description on QEMU's virt machine; Ctrl-a x ends it
    ///
    /// The machine has as many CPUs and as much memory as the description asks for, and at least 4 and 1 GiB. The terminal is
    /// the board's first serial line; lines of the second one begin with the name of the cell that has it.
    #[command(after_long_help = "\
Examples:
  bulkhead run my.cells
  bulkhead run cells.dts --dir images --cpus 8 --memory 2G")]
    Run {
        /// The archive that `pack` wrote, or a description (.dts), which is packed first
        archive: PathBuf,
        /// The hypervisor
        #[arg(long, default_value = "target/bulkhead.bin")]
        image: PathBuf,
        /// The folder of a description's images; its own if left out
        #[arg(long, value_name = "IMAGES")]
        dir: Option<PathBuf>,
        /// The machine
        #[command(flatten)]
        machine: MachineArguments,
        /// A raw disk image for the PCI bus; an empty disk of 64 MiB if left out
        #[arg(long)]
        disk: Option<PathBuf>,
        /// Watch the demo without a person: the last line begins with `ok:` if it holds
        #[arg(long)]
        check: bool,
    },
    /// Write the device tree of QEMU's virt machine
    Board {
        /// The file to write
        #[arg(short, long)]
        output: PathBuf,
        /// The machine
        #[command(flatten)]
        machine: MachineArguments,
    },
    /// Write what a Zephyr build needs to run in a cell: a devicetree overlay and, as remarks in it, Kconfig lines
    ///
    /// Memory, UART, GIC, timer and CPUs as the cell sees them, for Zephyr's board qemu_cortex_a53. The values serve for any
    /// other RTOS.
    #[command(after_long_help = "\
Examples:
  bulkhead zephyr-overlay control cells.dts --board virt > app.overlay
  west build -b qemu_cortex_a53 -- -DDTC_OVERLAY_FILE=app.overlay")]
    ZephyrOverlay {
        /// The cell
        cell: String,
        /// A description and its board
        #[command(flatten)]
        on_board: OnBoard,
    },
    /// Write what a shell needs to complete these commands
    #[command(after_long_help = "\
Examples:
  bulkhead completions bash > ~/.local/share/bash-completion/completions/bulkhead
  bulkhead completions zsh > ~/.zfunc/_bulkhead
  bulkhead completions fish > ~/.config/fish/completions/bulkhead.fish")]
    Completions {
        /// Which
        shell: clap_complete::Shell,
    },
    /// For work on Bulkhead: build what a Linux guest starts with, from unpacked Debian packages
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
    /// For work on Bulkhead: measure the hypervisor in QEMU
    Bench {
        /// What to measure
        #[arg(value_enum)]
        what: Figures,
        /// The build's folder
        #[arg(long, default_value = "target")]
        target: PathBuf,
        /// Traps as JSON: the medians
        #[arg(long)]
        json: bool,
        /// Traps also as a picture, in this file
        #[arg(long)]
        svg: Option<PathBuf>,
        /// Fail if a trap takes over 2 % more than in this file, which --json printed
        #[arg(long)]
        baseline: Option<PathBuf>,
        /// Where the instructions of this case go, by function
        #[arg(long, value_name = "CASE")]
        profile: Option<String>,
        /// Traps on another CPU of QEMU's, without Xen
        #[arg(long)]
        cpu: Option<String>,
        /// `vhe` of the description whose traps are counted
        #[arg(long, value_parser = ["auto", "on", "off"])]
        vhe: Option<String>,
    },
}

/// A description and the board that it is for.
#[derive(Debug, clap::Args)]
pub struct OnBoard {
    /// The description: device-tree source, a blob (.dtb), or an archive that `pack` wrote
    pub cells: PathBuf,
    #[command(flatten)]
    board: BoardArguments,
    /// The folder of the images; the description's own if left out
    #[arg(long, value_name = "IMAGES")]
    dir: Option<PathBuf>,
}

impl OnBoard {
    /// The board.
    ///
    /// # Errors
    /// See [`BoardArguments::board`].
    pub fn board(&self) -> Result<Board, BoardError> {
        self.board.board()
    }

    /// The folder of the images.
    pub fn images(&self) -> PathBuf {
        images(&self.cells, self.dir.as_deref())
    }
}

/// A board.
#[derive(Debug, clap::Args)]
pub struct BoardArguments {
    /// The board's device tree (.dtb or .dts), or `virt`: QEMU is asked for that of its virt machine
    #[arg(long)]
    board: PathBuf,
    #[command(flatten)]
    machine: MachineArguments,
}

impl BoardArguments {
    /// The board.
    ///
    /// # Errors
    /// It is a file, and QEMU's machine was described beside it.
    pub fn board(&self) -> Result<Board, BoardError> {
        let MachineArguments { cpu, cpus, memory, gic } = &self.machine;
        let described = cpu.is_some() || cpus.is_some() || memory.is_some() || gic.is_some();
        match Board::named(&self.board, self.machine.machine()) {
            Board::File(path) if described => Err(BoardError::NoMachine { path }),
            board => Ok(board),
        }
    }
}

/// QEMU's machine.
#[derive(Clone, Debug, clap::Args)]
pub struct MachineArguments {
    /// QEMU's machine: the CPUs' model [default: cortex-a57]
    #[arg(long)]
    pub cpu: Option<String>,
    /// QEMU's machine: how many CPUs [default: 4]
    #[arg(long)]
    pub cpus: Option<u32>,
    /// QEMU's machine: RAM [default: 1G]
    #[arg(long)]
    pub memory: Option<String>,
    /// QEMU's machine: the version of its GIC, 2 or 3 [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=3))]
    pub gic: Option<u32>,
}

impl MachineArguments {
    /// The demo's machine with what was given.
    pub fn machine(&self) -> Machine {
        let demo = Machine::DEMO;
        Machine {
            cpu: self.cpu.clone().map_or(demo.cpu, Into::into),
            smp: self.cpus.unwrap_or(demo.smp),
            memory: self.memory.clone().map_or(demo.memory, Into::into),
            gic: self.gic.unwrap_or(demo.gic),
            ..Machine::DEMO
        }
    }
}

/// Where a description's images are.
pub fn images(cells: &Path, dir: Option<&Path>) -> PathBuf {
    dir.or(cells.parent()).unwrap_or(Path::new("")).to_path_buf()
}

/// What `bench` can measure.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Figures {
    /// Image, memory, entry
    Size,
    /// Instructions of each trap
    Traps,
    /// The same with more cells, CPUs and devices
    Scale,
    /// Instructions of the same work in Linux with no hypervisor and in the root cell
    Linux,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_command_teaches() {
        let command = Arguments::command();
        command.clone().debug_assert();
        for sub in
            command.get_subcommands().filter(|sub| !["board", "initramfs", "bench"].contains(&sub.get_name()))
        {
            let help = sub.clone().render_long_help().to_string();
            assert!(help.contains("Example"), "{} has no example:\n{help}", sub.get_name());
            let name = format!("bulkhead {}", sub.get_name());
            assert!(
                help.contains(&name),
                "the examples of {} are of something else:\n{help}",
                sub.get_name()
            );
        }
    }

    #[test]
    fn images_lie_beside_the_description() {
        assert_eq!(images(Path::new("a/cells.dts"), None), Path::new("a"));
        assert_eq!(images(Path::new("cells.dts"), None).join("x"), Path::new("x"));
        assert_eq!(images(Path::new("a/cells.dts"), Some(Path::new("b"))), Path::new("b"));
    }
}
