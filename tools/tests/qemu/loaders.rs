//! Loaders beside QEMU's own: Debian's U-Boot, and the places where loaders may put things.

use std::fs;

use bulkhead_cli::pack;
use bulkhead_cli::pack::boot::{BootBoard, Parts};
use bulkhead_cli::qemu::{Boot, Disk, Emulated, Loader, Machine, board_tree};

use crate::boards::{check, demo, machine};
use crate::list::{cells, control, scenario};
use crate::scenario::Boots::Loaded;
use crate::scenario::Step::{Raw, Seconds};
use crate::scenario::{Scenario, Step, file, made, top};

/// Debian's U-Boot, and how it comes to its files.
#[derive(Clone, Copy)]
pub enum By {
    /// On `virt`: by QEMU's fw_cfg.
    FwCfg,
    /// By a partition with what `bulkhead pack --board` writes for this board, whose tree is that of the machine.
    Card(BootBoard),
}

impl By {
    /// What to tell QEMU, once the files are written.
    pub fn loader(self, name: &str, machine: &Machine, boot: &Boot) -> Result<Loader, String> {
        let board = match self {
            Self::FwCfg => return Ok(Loader::FwCfg(machine.board.u_boot(&top().join("target")))),
            Self::Card(board) => board,
        };
        let tree = board_tree(machine).map_err(|error| error.to_string())?;
        let tree = made(&format!("{name}.dtb"), &tree)?;
        let folder = tree.with_extension("card");
        let archive = fs::read(&boot.initrd).map_err(|error| error.to_string())?;
        let parts = Parts { image: &boot.kernel, tree: &tree, archive: &archive };
        pack::boot::write(board, &folder, parts).map_err(|error| error.to_string())?;
        Ok(Loader::Card { firmware: machine.board.u_boot(&top().join("target")), folder })
    }
}

/// What U-Boot says on the way: it runs the script, and the script starts what it loaded. Nobody types.
fn by_itself(cell: &'static str, mut steps: Vec<Step>) -> Vec<Step> {
    steps.splice(0..0, [Raw(cell, "## Executing script"), Raw(cell, "Starting kernel")]);
    steps
}

/// The boot partitions of `bulkhead pack --board`.
fn partitions() -> Vec<Scenario> {
    let pi = machine(Emulated::RaspberryPi4, 4, "2G");
    let alone = cells(&[control("cpu@3", "virtual")]);
    vec![
        // The addresses are those of the board's, which has its RAM where `virt` has it.
        Scenario {
            machine: Machine { disk: Disk::None, ..Machine::DEMO },
            ..scenario(
                "loader_uboot_virt",
                Loaded(By::Card(BootBoard::Imx8mp), file("dts/qemu-virt/demo.dts")),
                by_itself("linux", check(3)),
            )
        },
        // U-Boot reads some 400 KiB a second from QEMU's card.
        Scenario {
            machine: pi.clone(),
            consoles: vec!["control=1"],
            ..scenario(
                "loader_uboot_raspi4b",
                Loaded(By::Card(BootBoard::Rpi4), alone),
                by_itself("control", vec![Seconds("control", 3)]),
            )
        },
        Scenario {
            long: true,
            machine: pi,
            consoles: vec!["linux=1|control=2"],
            ..scenario(
                "loader_uboot_raspi4b_linux",
                Loaded(By::Card(BootBoard::Rpi4), demo(4, "clk_ignore_unused", "")),
                by_itself("linux", check(3)),
            )
        },
    ]
}

/// Them all.
pub fn scenarios() -> Vec<Scenario> {
    partitions()
}
