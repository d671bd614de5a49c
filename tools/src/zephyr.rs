//! What a Zephyr build needs to know of a cell: a devicetree overlay for its board `qemu_cortex_a53`, and Kconfig lines.
//!
//! Values only, no preprocessor: any other build system can read them too.

use std::fmt::Write as _;

use bulkhead::guest_tree;
use bulkhead::plan::CellPlan;
use bulkhead::ports::GicVersion;
use bulkhead::tree::{Node, Tree};

use crate::plan::Fit;

/// Why there is no overlay.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum OverlayError {
    /// No such cell.
    #[error("the description has no cell `{name}`; it has {}", .known.join(", "))]
    NoCell {
        /// What was asked for.
        name: String,
        /// All there are.
        known: Vec<String>,
    },
    /// The cell's tree cannot be made or read, though the plan was checked.
    #[error("the tree of cell `{name}` cannot be made: {why}")]
    Tree {
        /// The cell.
        name: String,
        /// Why.
        why: String,
    },
}

/// UARTs that Zephyr has drivers for, by their `compatible` in a board's tree, and what Zephyr calls them.
const UARTS: &[(&str, &str)] = &[
    ("arm,pl011", "arm,pl011"),
    ("ns16550a", "ns16550"),
    ("snps,dw-apb-uart", "ns16550"),
    ("fsl,imx6q-uart", "nxp,imx-iuart"),
    ("cdns,uart-r1p12", "xlnx,xuartps"),
];
/// The priority that Zephyr gives an interrupt if none is said.
const PRIORITY: u32 = 0xa0;

/// Writes it. All values are those of the very tree that the cell gets at boot.
///
/// # Errors
/// See [`OverlayError`].
pub fn overlay(fit: &Fit, name: &str) -> Result<String, OverlayError> {
    let cells = &fit.plan.cells;
    let Some(cell) = cells.iter().find(|cell| cell.name == name) else {
        let known = cells.iter().map(|cell| format!("`{}`", cell.name)).collect();
        return Err(OverlayError::NoCell { name: name.into(), known });
    };
    let why = |why: &dyn ToString| OverlayError::Tree { name: name.into(), why: why.to_string() };
    let board = fit.tree().map_err(|error| why(&error))?;
    let guest = guest_tree::build(&board, &fit.hardware, &fit.plan, cell.id).map_err(|error| why(&error))?;
    let tree = Tree::parse(&guest.bytes).map_err(|error| why(&error))?;

    let mut out = format!(
        "/*\n * Zephyr in the cell `{name}`, for the board qemu_cortex_a53; `bulkhead zephyr-overlay` wrote it.\n *\n * Into prj.conf:\n"
    );
    kconfig(cell).iter().for_each(|line| out += &format!(" *   {line}\n"));
    out += " */\n\n";
    out += "/delete-node/ &sram0;\n/delete-node/ &uart0;\n/ { /delete-node/ cpus; /delete-node/ timer; };\n\n/ {\n";
    cpus(&tree, cell.cpus.len(), &mut out);
    timer(&tree, &mut out);
    out += "\tsoc {\n";
    // Zephyr knows one stretch of memory as its own: the first.
    if let Some(ram) = cell.ram.first() {
        let _ = writeln!(out, "\t\tsram0: memory@{:x} {{", ram.ipa.0);
        out += "\t\t\tcompatible = \"mmio-sram\";\n";
        let _ = writeln!(out, "\t\t\treg = <{} {}>;\n\t\t}};", cells_of(ram.ipa.0), cells_of(ram.size));
    }
    uart(&tree, &mut out);
    out += "\t};\n};\n\n";
    let (gicd, gicr) = (&cell.gicd, &cell.gicr);
    let frame = |at: u64, size: u64| format!("<{} {}>", cells_of(at), cells_of(size));
    // Zephyr's board has a GICv3, and Kconfig takes the driver by the first `compatible` (Zephyr's binding arm,gic-v2.yaml).
    let compatible = match fit.hardware.gic.version() {
        GicVersion::V2 => "\tcompatible = \"arm,gic-v2\", \"arm,gic\";\n",
        GicVersion::V3 => "",
    };
    let _ = writeln!(
        out,
        "&gic {{\n{compatible}\treg = {},\n\t      {};\n}};",
        frame(gicd.start().0, gicd.size()),
        frame(gicr.start().0, gicr.size())
    );
    Ok(out)
}

fn kconfig(cell: &CellPlan) -> Vec<String> {
    let count = cell.cpus.len();
    let mut lines: Vec<String> = [
        "CONFIG_ARMV8_A_NS=y       # a cell runs in the Non-secure state",
        "CONFIG_XIP=n              # Bulkhead loads the image into RAM",
        "CONFIG_PM_CPU_OPS=y       # power by PSCI",
    ]
    .map(String::from)
    .into();
    lines.push(if count > 1 { "CONFIG_SMP=y".into() } else { "CONFIG_SMP=n".into() });
    lines.push(format!("CONFIG_MP_MAX_NUM_CPUS={count}"));
    lines
}

fn cpus(tree: &Tree<'_>, count: usize, out: &mut String) {
    *out += "\tcpus {\n\t\t#address-cells = <1>;\n\t\t#size-cells = <0>;\n\n";
    let nodes = tree.at("/cpus").into_iter().flat_map(|cpus| cpus.children().collect::<Vec<_>>());
    let model = nodes.filter(|node| node.base_name() == "cpu").filter_map(|node| node.compatibles().next());
    // Zephyr's bindings know cores by name; one that is newer than they are is described as the board's own.
    let model = model.into_iter().next().unwrap_or("arm,cortex-a53");
    for vcpu in 0..count as u8 {
        let affinity = bulkhead::cpu::VcpuId(vcpu).affinity().get();
        let _ = writeln!(out, "\t\tcpu@{affinity:x} {{");
        let _ = writeln!(out, "\t\t\tdevice_type = \"cpu\";\n\t\t\tcompatible = \"{model}\";");
        let _ = writeln!(out, "\t\t\treg = <{affinity:#x}>;\n\t\t}};");
    }
    *out += "\t};\n";
}

fn timer(tree: &Tree<'_>, out: &mut String) {
    let Some(timer) = tree.nodes().find(|node| node.is_compatible("arm,armv8-timer")) else { return };
    *out += "\ttimer {\n\t\tcompatible = \"arm,armv8-timer\";\n\t\tinterrupt-parent = <&gic>;\n";
    let _ = writeln!(out, "\t\tinterrupts = {};\n\t}};", interrupts(&timer));
}

fn uart(tree: &Tree<'_>, out: &mut String) {
    let known = |node: &Node<'_, '_>| {
        UARTS
            .iter()
            .find(|(theirs, _)| node.is_available() && node.is_compatible(theirs))
            .map(|(_, zephyr)| *zephyr)
    };
    // Its console is the one it has most use for.
    let console = tree.at("/chosen").and_then(|chosen| chosen.prop("stdout-path")?.str());
    let console =
        console.and_then(|path| tree.at(path.split(':').next()?)).filter(|node| known(node).is_some());
    let found = console.or_else(|| tree.nodes().find(|node| known(node).is_some()));
    let Some((node, compatible)) = found.and_then(|node| Some((node, known(&node)?))) else {
        *out += "\t\t/* no UART that Zephyr drives: set CONFIG_SERIAL=n, or give the cell one */\n";
        return;
    };
    let Some(span) = node.reg().flatten().next() else { return };
    let (at, size) = (span.start().0, span.size());
    let _ = writeln!(out, "\t\tuart0: uart@{at:x} {{\n\t\t\tcompatible = \"{compatible}\";");
    let _ = writeln!(out, "\t\t\treg = <{} {}>;", cells_of(at), cells_of(size));
    let _ = writeln!(out, "\t\t\tinterrupt-parent = <&gic>;\n\t\t\tinterrupts = {};", interrupts(&node));
    if compatible == "ns16550" {
        *out += "\t\t\treg-shift = <2>;\n";
    }
    *out +=
        "\t\t\tinterrupt-names = \"irq_0\";\n\t\t\tclocks = <&uartclk>;\n\t\t\tcurrent-speed = <115200>;\n";
    *out += "\t\t\tstatus = \"okay\";\n\t\t};\n";
}

/// `interrupts` of a node behind the GIC, in Zephyr's four cells: kind, number, trigger, priority.
fn interrupts(node: &Node<'_, '_>) -> String {
    let cells: Vec<u32> = node.prop("interrupts").into_iter().flat_map(|prop| prop.cells()).collect();
    let each = cells.chunks_exact(3).map(|line| {
        // Zephyr's flags: 2 is level, 4 is edge; the tree's: 4 is level, 1 is edge.
        let flags = if line[2] & 0xf == 1 { 4 } else { 2 };
        format!("<{} {} {flags} {PRIORITY:#x}>", line[0], line[1])
    });
    each.collect::<Vec<_>>().join(", ")
}

/// A number in two cells.
fn cells_of(number: u64) -> String {
    format!("{:#x} {:#x}", number >> 32, number & 0xffff_ffff)
}

#[cfg(test)]
mod tests;
