//! Loaders beside QEMU's own: Debian's U-Boot, and the places where loaders may put things.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use bulkhead_cli::pack;
use bulkhead_cli::pack::boot::{BootBoard, Parts};
use bulkhead_cli::qemu::{Boot, Disk, Emulated, Loader, Machine, board_tree, entering};

use crate::boards::{check, demo, machine};
use crate::list::{cells, control, scenario, see};
use crate::scenario::Boots::Loaded;
use crate::scenario::Step::{Order, Raw, Seconds};
use crate::scenario::{Scenario, Step, file, made, top};
use Place::{At, BehindTheArchive, UnderTheArchive};

/// Where the program lies that enters what is placed: behind the tree that QEMU leaves at the beginning of RAM.
const ENTRY: u64 = 0x4018_0000;

/// How things come into memory. Debian's U-Boot, and how it comes to its files.
#[derive(Clone, Copy)]
pub enum By {
    /// On `virt`: by QEMU's fw_cfg.
    FwCfg,
    /// No U-Boot: where image, archive and tree lie on `virt`.
    Placed([Place; 3]),
    /// By a partition with what `bulkhead pack --board` writes for this board, whose tree is that of the machine.
    Card(BootBoard),
}

/// A place in RAM.
#[derive(Clone, Copy)]
pub enum Place {
    /// From here on.
    At(u64),
    /// Ends where the archive begins, but for what makes its start a multiple of 8.
    UnderTheArchive,
    /// Begins where the archive ends, but for what makes its start a multiple of 8.
    BehindTheArchive,
}

impl Place {
    fn address(self, size: u64, archive: Range<u64>) -> u64 {
        match self {
            Self::At(at) => at,
            Self::UnderTheArchive => (archive.start - size) & !7,
            Self::BehindTheArchive => archive.end.next_multiple_of(8),
        }
    }
}

/// The tree of this machine with the archive's place in /chosen, as short as it can be.
fn tree_with(name: &str, machine: &Machine, archive: &Range<u64>) -> Result<PathBuf, String> {
    let tree = board_tree(machine).map_err(|error| error.to_string())?;
    let path = made(&format!("{name}.dtb"), &tree)?;
    let run = |program: &str, arguments: &[&str]| {
        let done = Command::new(program).args(arguments).arg(&path).output();
        let done = done.map_err(|error| format!("{program} does not start: {error}"))?;
        if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
    };
    for (property, at) in [("linux,initrd-start", archive.start), ("linux,initrd-end", archive.end)] {
        let words = [format!("{:x}", at >> 32), format!("{:x}", at & 0xffff_ffff)];
        let done = Command::new("fdtput")
            .args(["-t", "x"])
            .arg(&path)
            .args(["/chosen", property, &words[0], &words[1]])
            .status();
        if !done.is_ok_and(|status| status.success()) {
            return Err("fdtput does not do its work".into());
        }
    }
    let short = path.with_extension("short");
    run("dtc", &["-q", "-I", "dtb", "-O", "dtb", "-o", &short.display().to_string()])?;
    Ok(short)
}

impl By {
    /// What to tell QEMU, once the files are written.
    pub fn loader(self, name: &str, machine: &Machine, boot: &Boot) -> Result<Loader, String> {
        let board = match self {
            Self::FwCfg => return Ok(Loader::FwCfg(machine.board.u_boot(&top().join("target")))),
            Self::Card(board) => board,
            Self::Placed(places) => return placed(name, machine, boot, places),
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

fn placed(name: &str, machine: &Machine, boot: &Boot, places: [Place; 3]) -> Result<Loader, String> {
    let size = |path: &Path| fs::metadata(path).map(|data| data.len()).map_err(|error| error.to_string());
    let [image, archive, tree] = places;
    let start = archive.address(0, 0..0);
    let archive = start..start + size(&boot.initrd)?;
    let file = tree_with(name, machine, &archive)?;
    let tree = tree.address(size(&file)?, archive.clone());
    let image = image.address(size(&boot.kernel)?, archive);
    let entry = made(&format!("{name}.entry"), &entering(image, tree))?;
    Ok(Loader::Placed { tree: file, at: [image, start, tree], entry: (entry, ENTRY) })
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

const MIB: u64 = 1 << 20;

/// Image, archive and tree at such places: what must be seen of the control cell.
fn at_places(name: &'static str, memory: &'static str, places: [Place; 3], steps: Vec<Step>) -> Scenario {
    Scenario {
        machine: Machine { disk: Disk::None, memory: memory.into(), ..Machine::DEMO },
        consoles: vec!["bulkhead", "control"],
        ..scenario(name, Loaded(By::Placed(places), cells(&[control("cpu@3", "serial1")])), steps)
    }
}

/// Where loaders may put things, and where they may not.
fn places() -> Vec<Scenario> {
    let runs = || vec![Seconds("control", 2)];
    let says = |text: &str| vec![see("bulkhead", text)];
    let low = 0x4000_0000;
    vec![
        // In three GiB, across borders of 2 MiB and of 1 GiB, at no multiple of a page.
        at_places(
            "loader_places_far_apart",
            "8G",
            [At(low + 1022 * MIB), At(0x1_4000_0000 - 0x4_0404), At(0x2_0020_0000 - 8 * 0x123)],
            runs(),
        ),
        at_places(
            "loader_tree_shares_a_page_under_the_archive",
            "1G",
            [At(low + 2 * MIB), At(low + 64 * MIB + 0x404), UnderTheArchive],
            runs(),
        ),
        at_places(
            "loader_tree_shares_a_page_behind_the_archive",
            "1G",
            [At(low + 16 * MIB), At(low + 64 * MIB + 0x404), BehindTheArchive],
            runs(),
        ),
        // The archive on the page behind the image's memory, so that the pool has to go elsewhere.
        at_places(
            "loader_archive_right_behind_the_image",
            "1G",
            [At(low + 6 * MIB), At(low + 6 * MIB + 0x6_8000), At(low + 512 * MIB)],
            runs(),
        ),
        at_places(
            "loader_archive_over_the_image",
            "1G",
            [At(low + 2 * MIB), At(low + 2 * MIB + 0x5_8000), At(low + 64 * MIB)],
            says("BH0504: the archive at"),
        ),
        at_places(
            "loader_tree_in_the_image",
            "1G",
            [At(low + 2 * MIB), At(low + 64 * MIB), At(low + 2 * MIB + 0x5_8000)],
            says("BH0504: the board's tree at"),
        ),
    ]
}

/// U-Boot, told by hand: Linux's archive above 4 GiB, the tree on no page's border, the image at no loader's usual place.
fn by_hand() -> Scenario {
    const LINES: [&str; 4] = [
        "setenv fdt_high 0xffffffffffffffff; setenv initrd_high 0xffffffffffffffff\n",
        "fdt addr ${fdtcontroladdr}; fdt move ${fdtcontroladdr} 0x5ffff008 0x120000\n",
        "qfw load 0x7ca00000 0x140200404\n",
        "booti 0x7ca00000 0x140200404:${filesize} 0x5ffff008\n",
    ];
    let mut steps = vec![Raw("linux", "stop autoboot"), Order("linux", " ")];
    steps.extend(LINES.into_iter().flat_map(|line| [Raw("linux", "=> "), Order("linux", line)]));
    steps.push(see("linux", "at 0x7ca00000"));
    steps.extend(check(3));
    Scenario {
        long: true,
        machine: Machine { disk: Disk::None, memory: "8G".into(), ..Machine::DEMO },
        ..scenario("loader_uboot_by_hand", Loaded(By::FwCfg, file("dts/qemu-virt/demo.dts")), steps)
    }
}

/// U-Boot as QEMU starts it with a kernel: it boots by itself, on a GICv2.
fn by_fw_cfg() -> Scenario {
    Scenario {
        long: true,
        machine: Machine { disk: Disk::None, gic: 2, its: false, ..Machine::DEMO },
        ..scenario("loader_uboot_fw_cfg_gicv2", Loaded(By::FwCfg, file("dts/qemu-virt/demo.dts")), check(3))
    }
}

/// Them all.
pub fn scenarios() -> Vec<Scenario> {
    partitions().into_iter().chain(places()).chain([by_hand(), by_fw_cfg()]).collect()
}
