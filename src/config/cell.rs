//! One cell of a description.

use alloc::string::String;

use super::reader::Reader;
use super::{CellConfig, CellConsole, ConsoleChoice, CpuChoice, HypervisorConfig, Mistake, Payload, names};

/// Reads a cell; `None` if it has mistakes that leave nothing to go on with. They are all on the reader's list.
pub(super) fn parse(cell: &mut Reader<'_, '_, '_>, hypervisor: &HypervisorConfig) -> Option<CellConfig> {
    if cell.node().unit().is_some() {
        cell.fail(None, Mistake::CellName);
    }
    cell.check_names(names::of_cell);
    for child in cell.node().children() {
        cell.below(child).fail(None, Mistake::UnknownNode);
    }
    let root = cell.flag("root");
    let cpus = cpus(cell, root);
    let memory = memory(cell, root);
    let payload = payload(cell);
    let devices = cell.list("devices").unwrap_or_default();
    let unprotected_dma = cell.word("unprotected-dma", &["accept"], &[], "\"accept\"");
    let console = console(cell, root, hypervisor);
    cell.word("interrupt-mode", &["virtual"], &["direct"], "\"virtual\"");
    Some(CellConfig {
        name: String::from(cell.node().name()),
        root,
        cpus: cpus?,
        memory,
        payload: payload?,
        devices,
        console,
        unprotected_dma,
    })
}

fn console(cell: &mut Reader<'_, '_, '_>, root: bool, hypervisor: &HypervisorConfig) -> CellConsole {
    match cell.name("console").as_deref() {
        None if root => CellConsole::Virtual,
        None | Some("none") => CellConsole::None,
        Some("virtual") => {
            if hypervisor.console == ConsoleChoice::None {
                cell.fail(Some("console"), Mistake::NoConsole);
            }
            CellConsole::Virtual
        }
        Some(name) => CellConsole::Device(name.into()),
    }
}

fn cpus(cell: &mut Reader<'_, '_, '_>, root: bool) -> Option<CpuChoice> {
    match cell.list_or_count("cpus") {
        Some(Ok(names)) => Some(CpuChoice::Names(names)),
        Some(Err(count)) => Some(CpuChoice::Count(count)),
        None if root => Some(CpuChoice::Rest),
        None => {
            cell.need("cpus", "name this cell's CPUs, or say how many");
            None
        }
    }
}

fn memory(cell: &mut Reader<'_, '_, '_>, root: bool) -> Option<u64> {
    let memory = cell.memory("memory");
    if !root {
        cell.need("memory", "say how much this cell gets, like \"16M\"");
    } else if memory.is_some() {
        cell.fail(Some("memory"), Mistake::NotInRoot);
    }
    memory
}

fn payload(cell: &mut Reader<'_, '_, '_>) -> Option<Payload> {
    let (kernel, initrd, image) = (cell.file("kernel"), cell.file("initrd"), cell.file("image"));
    let bootargs = cell.text("bootargs");
    let has = |name| cell.node().prop(name).is_some();
    match (has("kernel"), has("image"), has("initrd")) {
        (true, true, _) => cell.fail(Some("image"), Mistake::Conflict { with: "kernel" }),
        (false, true, true) => cell.fail(Some("initrd"), Mistake::Conflict { with: "image" }),
        (false, false, _) => cell.need("kernel", "name a Linux kernel, or any other program as `image`"),
        _ => {}
    }
    match (kernel, image) {
        (Some(kernel), None) => Some(Payload::Linux { kernel, initrd, bootargs }),
        (None, Some(file)) => Some(Payload::Image { file, bootargs }),
        _ => None,
    }
}
