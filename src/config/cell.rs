//! One cell of a description.

use alloc::string::String;
use alloc::vec::Vec;

use super::reader::Reader;
use super::{
    Bootargs, CellConfig, CellConsole, CellTree, ConsoleChoice, CpuChoice, HypervisorConfig, Payload,
};
use super::{error, names};
use crate::addr::BLOCK_2M;
use crate::crash::{Limit, OnCrash};
use crate::smccc;
use crate::vcpu::InterruptMode;

/// Behind this no cell sees anything: what the tables of the largest CPU translate.
const ADDRESS_END: u64 = 1 << 48;
const CPUS: &str = "one or more CPUs, or how many as a number from 1";

/// Reads a cell; `None` if it has mistakes that leave nothing to go on with. They are all on the reader's list.
pub(super) fn parse(mut cell: Reader<'_, '_, '_>, hypervisor: &HypervisorConfig) -> Option<CellConfig> {
    let cell = &mut cell;
    if cell.node().unit().is_some() {
        cell.fail(None, &error::CELL_NAME);
    }
    cell.check_names(&names::CELL);
    cell.no_children();
    let root = cell.flag("root");
    let cpus = cpus(cell, root);
    let memory = cell.memory("memory");
    let ram_base = ram_base(cell, memory);
    if root {
        for name in ["memory", "ram-base", "dtb"] {
            if cell.has(name) {
                cell.fail(Some(name), &error::NOT_IN_ROOT);
            }
        }
    } else if !cell.has("memory") {
        cell.missing("memory", "say how much this cell gets, like \"16M\"");
    }
    let payload = payload(cell);
    let config = CellConfig {
        name: String::from(cell.node().name()),
        root,
        cpus: cpus.unwrap_or(CpuChoice::Rest),
        memory,
        ram_base,
        payload: payload?,
        bootargs: bootargs(cell),
        tree: tree(cell),
        devices: cell.list("devices", "one or more names, 256 at most"),
        console: console(cell, root, hypervisor),
        unprotected_dma: cell.accept("unprotected-dma"),
        foreign_dependencies: cell.accept("foreign-dependencies"),
        watchdog: cell.flag("watchdog"),
        on_crash: on_crash(cell),
        interrupts: interrupts(cell),
        smc_allow: smc_allow(cell),
    };
    Some(config)
}

fn interrupts(cell: &mut Reader<'_, '_, '_>) -> InterruptMode {
    const MODES: &str = "\"virtual\" or \"direct\"";
    let direct = match cell.word("interrupt-mode", MODES) {
        None | Some("virtual") => false,
        Some("direct") => true,
        Some(_) => {
            cell.expected("interrupt-mode", MODES);
            return InterruptMode::Virtual;
        }
    };
    let own_wfi = match cell.word("wfi", "\"own\"") {
        None => false,
        Some("own") => true,
        Some(_) => {
            cell.expected("wfi", "\"own\"");
            false
        }
    };
    if own_wfi && !direct {
        cell.fail(Some("wfi"), &error::WFI_OF_VIRTUAL);
    }
    if own_wfi {
        // EL2 may have no way to take such a CPU back.
        for name in ["watchdog", "restart-limit"] {
            cell.exclude("wfi", name);
        }
        if cell.node().prop("on-crash").is_some_and(|prop| prop.str() == Some("restart")) {
            cell.exclude("wfi", "on-crash");
        }
    }
    if direct { InterruptMode::Direct { own_wfi } } else { InterruptMode::Virtual }
}

/// Calls that firmware may answer the cell.
fn smc_allow(cell: &mut Reader<'_, '_, '_>) -> Vec<u32> {
    const MOST: usize = 32;
    let Some(prop) = cell.node().prop("smc-allow") else { return Vec::new() };
    let mut allowed: Vec<u32> = Vec::new();
    for id in prop.cells().take(MOST.saturating_add(1)) {
        if !smccc::is_service_of_board(id) {
            cell.fail(Some("smc-allow"), &error::SMC_KEPT).address(id.into());
        } else if !allowed.contains(&id) {
            allowed.push(id);
        }
    }
    let bytes = prop.bytes().len();
    if bytes == 0 || !bytes.is_multiple_of(4) || bytes / 4 > MOST {
        cell.expected("smc-allow", "1 to 32 function IDs, like <0xc2000001>");
    }
    allowed
}

fn cpus(cell: &mut Reader<'_, '_, '_>, root: bool) -> Option<CpuChoice> {
    let Some(prop) = cell.node().prop("cpus") else {
        if !root {
            cell.missing("cpus", "name this cell's CPUs, or say how many");
        }
        return None;
    };
    match prop.u32() {
        // Four bytes may be a name, too; a number that begins with a letter is larger than any board.
        Some(count @ 1..0x0100_0000) => Some(CpuChoice::Count(count)),
        _ => Some(CpuChoice::Names(cell.list("cpus", CPUS))),
    }
}

fn ram_base(cell: &mut Reader<'_, '_, '_>, memory: Option<u64>) -> Option<u64> {
    const EXPECTED: &str = "an address in whole blocks of 2 MiB, like <0x80000000>, with room for the cell's `memory` below 2^48";
    let base = cell.address("ram-base", BLOCK_2M, EXPECTED)?;
    let end = base.checked_add(memory.unwrap_or(0));
    if end.is_none_or(|end| end > ADDRESS_END) {
        cell.expected("ram-base", EXPECTED);
        return None;
    }
    Some(base)
}

fn payload(cell: &mut Reader<'_, '_, '_>) -> Option<Payload> {
    const EXPECTED: &str = "an address at a multiple of 4, like <0x40080000>";
    let (kernel, initrd, image) = (cell.file("kernel"), cell.file("initrd"), cell.file("image"));
    let load_address = cell.address("load-address", 4, EXPECTED);
    let entry = cell.address("entry", 4, EXPECTED);
    if !cell.has("kernel") && !cell.has("image") {
        cell.missing("kernel", "name a Linux kernel, or any other program as `image`");
    }
    cell.exclude("image", "kernel");
    if !cell.has("kernel") {
        cell.exclude("initrd", "image");
    }
    cell.exclude("load-address", "kernel");
    cell.exclude("entry", "kernel");
    match (kernel, image) {
        (Some(kernel), None) => Some(Payload::Linux { kernel, initrd }),
        (None, Some(file)) => Some(Payload::Image { file, load_address, entry }),
        _ => None,
    }
}

fn bootargs(cell: &mut Reader<'_, '_, '_>) -> Bootargs {
    cell.exclude("bootargs-append", "bootargs");
    match (cell.text("bootargs"), cell.text("bootargs-append")) {
        (Some(own), _) => Bootargs::Own(own),
        (None, Some(more)) => Bootargs::BoardsAnd(more),
        (None, None) => Bootargs::None,
    }
}

/// Into a tree that is given Bulkhead writes nothing, so what it would have to say there has no place.
fn tree(cell: &mut Reader<'_, '_, '_>) -> CellTree {
    for name in ["bootargs", "bootargs-append", "initrd", "dtb-overlay"] {
        cell.exclude(name, "dtb");
    }
    match (cell.file("dtb"), cell.file("dtb-overlay")) {
        (Some(file), _) => CellTree::Given(file),
        (None, Some(file)) => CellTree::Overlaid(file),
        (None, None) => CellTree::Derived,
    }
}

fn console(cell: &mut Reader<'_, '_, '_>, root: bool, hypervisor: &HypervisorConfig) -> CellConsole {
    let node = cell.node();
    match cell.word("console", "one name") {
        None if root => CellConsole::Virtual,
        None | Some("none") => CellConsole::None,
        Some("virtual") => {
            if hypervisor.console == ConsoleChoice::None {
                let refused = cell.fail(Some("console"), &error::NO_CONSOLE);
                if let Some(node) = node.tree().at("/hypervisor") {
                    refused.description(&node, Some("console"));
                }
            }
            CellConsole::Virtual
        }
        Some(name) => CellConsole::Device(name.into()),
    }
}

fn on_crash(cell: &mut Reader<'_, '_, '_>) -> OnCrash {
    const EXPECTED: &str = "\"stop\", \"restart\" or \"halt-machine\"";
    let wanted = cell.word("on-crash", EXPECTED);
    let limit = cell.pair("restart-limit", "how many restarts in how many seconds, each from 1, like <5 60>");
    match wanted {
        Some("restart") => {
            let limit = limit.map(|(restarts, seconds)| Limit { restarts, seconds });
            return OnCrash::Restart(limit.unwrap_or_default());
        }
        Some("halt-machine" | "stop") | None if cell.has("restart-limit") => {
            cell.expected("on-crash", "\"restart\" where there is a `restart-limit`");
        }
        Some("halt-machine") => return OnCrash::HaltMachine,
        Some("stop") | None => {}
        Some(_) => cell.expected("on-crash", EXPECTED),
    }
    OnCrash::Stop
}
