//! The demo's check on other boards than `virt`, with the same image.

use std::path::Path;

use bulkhead_cli::qemu::{Disk, Emulated, Machine};

use crate::list::{cells, see};
use crate::scenario::Boots::Cells;
use crate::scenario::Step::{Off, Prompt, Seconds, Type};
use crate::scenario::{Scenario, Step};

/// A board with this many CPUs and its memory.
pub fn machine(board: Emulated, smp: u32, memory: &'static str) -> Machine {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    Machine {
        board,
        tree: board.tree(&target),
        smp,
        memory: memory.into(),
        disk: Disk::None,
        ..Machine::DEMO
    }
}

/// Linux with all but the last CPU, the control cell on that one, both on the hypervisor's console.
pub fn demo(cpus: u32, bootargs: &str, each: &str) -> String {
    let linux = format!(
        "    linux {{ root; kernel = \"linux/Image\"; initrd = \"linux/initrd.cpio\"; bootargs = \"{bootargs}\"; \
         unprotected-dma = \"accept\"; {each} }};\n"
    );
    let control = format!(
        "    control {{ cpus = \"cpu@{}\"; memory = \"16M\"; image = \"control.elf\"; console = \"virtual\"; {each} }};\n",
        cpus - 1
    );
    cells(&[linux, control])
}

/// What `bulkhead run --check` wants.
pub fn check(cpus: u32) -> Vec<Step> {
    vec![
        see("linux", format!("bulkhead: linux up, {cpus} cpus")),
        Prompt("linux"),
        Type("linux", "echo sees $(nproc)"),
        see("linux", format!("sees {cpus}")),
        Seconds("control", 5),
        Type("linux", "poweroff -f"),
        see("linux", "reboot: Power down"),
        Seconds("control", 3),
    ]
}

fn demo_on(name: &'static str, long: bool, machine: Machine, bootargs: &str, each: &str) -> Scenario {
    let cpus = machine.smp;
    Scenario {
        name,
        long,
        machine,
        boots: Cells(demo(cpus, bootargs, each)),
        consoles: vec!["linux=1|control=2"],
        steps: check(cpus - 1),
    }
}

const DIRECT: &str = "interrupt-mode = \"direct\";";

/// The Raspberry Pi whose tree lacks something (`scripts/build`), with these cells beside Linux: what is said, and what runs.
fn without(name: &'static str, lack: &str, cells: String, steps: Vec<Step>) -> Scenario {
    let machine = machine(Emulated::RaspberryPi4, 4, "2G");
    let tree = machine.tree.map(|tree| tree.with_file_name(format!("bcm2711-rpi-4-b-no-{lack}.dtb")));
    Scenario {
        name,
        long: false,
        machine: Machine { tree, ..machine },
        boots: Cells(cells),
        consoles: vec!["linux=1|control=2"],
        steps,
    }
}

/// Boards that lack something: each with a message, and the cells that can run do.
fn lacking() -> Vec<Scenario> {
    let linux_runs = |cpus: u32| [see("linux", format!("bulkhead: linux up, {cpus} cpus")), Prompt("linux")];
    let one = demo(4, "clk_ignore_unused", "");
    let direct_control = one.replace("console = \"virtual\";", &format!("console = \"virtual\"; {DIRECT}"));
    let mut no_cpu = vec![see("linux", "CPU 3 was started and did not arrive within a second")];
    no_cpu.extend(linux_runs(3));
    let mut no_start = vec![see("linux", "BH0514")];
    no_start.extend(linux_runs(1));
    // No other cell ever ran, so the machine goes off with this one: by the power manager, for there is no PSCI.
    no_start.extend([Type("linux", "poweroff -f"), Off]);
    let no_gicv = vec![see("linux", "BH0520: cell `linux`"), Seconds("control", 5)];
    vec![
        without("board_raspi4b_where_a_cpu_never_comes", "cpu", one.clone(), no_cpu),
        without("board_raspi4b_where_nothing_starts_cpus", "start", one, no_start),
        without("board_raspi4b_without_virtual_interface", "gicv", direct_control, no_gicv),
    ]
}

/// Them all.
pub fn scenarios() -> Vec<Scenario> {
    let mut all = lacking();
    all.extend(vec![
        demo_on("board_imx8mp_evk", false, machine(Emulated::Imx8mp, 4, "1G"), "clk_ignore_unused", DIRECT),
        demo_on("board_raspi4b", false, machine(Emulated::RaspberryPi4, 4, "2G"), "clk_ignore_unused", ""),
        demo_on(
            "board_raspi4b_direct",
            false,
            machine(Emulated::RaspberryPi4, 4, "2G"),
            "clk_ignore_unused",
            DIRECT,
        ),
        demo_on("board_zcu102", false, machine(Emulated::Zcu102, 4, "2G"), "clk_ignore_unused", ""),
        demo_on("board_versal", false, machine(Emulated::Versal, 2, "2G"), "", ""),
    ]);
    all
}
