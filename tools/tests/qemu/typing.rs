//! The receive interrupt of each UART that a machine of QEMU's has: what is typed is answered while nobody prints, and no CPU looks.

use std::process::Command;

use bulkhead_cli::board::Board;
use bulkhead_cli::qemu::{Disk, Emulated, Machine};

use crate::boards::machine;
use crate::list::{cells, see};
use crate::scenario::Boots::Cells;
use crate::scenario::Scenario;
use crate::scenario::Step::{Order, Silence};

/// One cell, which prints nothing: its interrupts are virtual, so whatever its CPU is asked for comes by an interrupt to EL2. A byte
/// that is typed is read by that interrupt alone (`console::orders`); the transmitter's is off while there is nothing to send.
fn typing(name: &'static str, long: bool, machine: Machine) -> Scenario {
    let mute = "    mute { cpus = <1>; memory = \"16M\"; image = \"control.elf\"; };\n".to_string();
    let alive = "bulkhead: 1 mute: running, life 1";
    let asked = [Silence("mute"), Order("mute", "\x1ei"), see("mute", alive)];
    let mut steps = vec![see("mute", "bulkhead: cell mute: 1 CPUs")];
    // The second time nothing is left of what the boot had to send; the answer's own end is behind the silence.
    steps.extend(asked.clone().into_iter().chain(asked));
    Scenario { name, long, machine, boots: Cells(cells(&[mute])), consoles: vec!["mute"], steps }
}

/// PL011 on `virt`, Cadence's, the mini-UART, i.MX. QEMU's i.MX 8M Plus has no virtual interrupts, which this cell never misses.
pub fn scenarios() -> Vec<Scenario> {
    let small = Machine { smp: 1, its: false, disk: Disk::None, ..Machine::DEMO };
    vec![
        typing("typed_pl011", true, small),
        typing("typed_versal", true, machine(Emulated::Versal, 2, "2G")),
        typing("typed_cadence", true, machine(Emulated::Zcu102, 4, "2G")),
        typing("typed_mini_uart", false, machine(Emulated::RaspberryPi4, 4, "2G")),
        typing("typed_imx", false, machine(Emulated::Imx8mp, 4, "1G")),
    ]
}

/// The same for SBSA's generic UART, which `virt`'s PL011 is if its tree says so: what SBSA leaves out is then not written.
pub fn sbsa() -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let machine = Machine { smp: 1, its: false, disk: Disk::None, ..Machine::DEMO };
    let blob = Board::Virt(machine.clone()).blob().map_err(|error| said(&error))?;
    let tree = crate::scenario::made("typed_sbsa.board.dtb", &blob)?;
    let mut fdtput = Command::new("fdtput");
    let put = fdtput.args(["-t", "s"]).arg(&tree).args(["/pl011@9000000", "compatible", "arm,sbsa-uart"]);
    if !put.status().map_err(|error| said(&error))?.success() {
        return Err("fdtput does not know /pl011@9000000".into());
    }
    typing("typed_sbsa", false, Machine { tree: Some(tree), ..machine }).run()
}
