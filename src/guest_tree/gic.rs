//! What every cell has of its own beside CPUs and memory: interrupt controller, timer, performance monitor.

use alloc::format;
use alloc::vec::Vec;

use super::GuestTreeError;
use super::role::Role;
use super::write::{Writer, cells, reg};
use crate::plan::CellPlan;
use crate::tree::{Node, Prop};

/// What is copied of the interrupt controller's node: no maintenance interrupt, no MSIs, one redistributor region.
const GIC: [&str; 8] = [
    "#address-cells",
    "#interrupt-cells",
    "#size-cells",
    "compatible",
    "interrupt-controller",
    "interrupt-parent",
    "linux,phandle",
    "phandle",
];

/// The timer's interrupts that belong to EL1, by name; without names they are the first three (Linux
/// `arm,arch_timer.yaml`).
const TIMER: [&str; 3] = ["sec-phys", "phys", "virt"];

/// Lists of one entry for each CPU, with the entries of other cells' CPUs cut out.
pub(super) struct Lines {
    pub(super) interrupts: Vec<u8>,
    pub(super) affinity: Vec<u8>,
}

impl<'t, 'a> Writer<'_, 't, 'a> {
    /// Interrupt controller, timer and performance monitor at the top of the tree.
    pub(super) fn parts_of_every_cell(&mut self) {
        let gic = self.tree.node(self.sources.gic);
        let name = format!("interrupt-controller@{:x}", self.cell.gicd.start().0);
        self.fdt.begin_node(&name);
        self.gic_properties(gic);
        self.fdt.end_node();
        for node in self.tree.nodes().filter(|n| n.is_available()) {
            let role = self.role(node);
            if matches!(role, Role::Timer | Role::Pmu) {
                self.fdt.begin_node(node.base_name());
                if role == Role::Timer {
                    self.timer_properties(node)
                } else {
                    self.whole(node)
                }
                self.fdt.end_node();
            }
        }
    }

    pub(super) fn gic_properties(&mut self, node: Node<'t, 'a>) {
        for prop in node.props().iter().filter(|p| GIC.contains(&p.name())) {
            self.fdt.property(prop.name(), prop.bytes());
        }
        if !self.cell.root && !node.has("#address-cells") {
            // What its absence means to `interrupt-map` (Devicetree Specification 2.4.3.1).
            self.fdt.property("#address-cells", &0u32.to_be_bytes());
        }
        self.fdt.property("reg", &self.gic_reg);
    }

    pub(super) fn timer_properties(&mut self, node: Node<'t, 'a>) {
        let names: Option<Vec<&str>> = node.prop("interrupt-names").map(|p| p.strings().collect());
        let keep = |at: usize| match &names {
            Some(names) => names.get(at).is_some_and(|name| TIMER.contains(name)),
            None => at < TIMER.len(),
        };
        let cells = self.tree.node(self.sources.gic).number("#interrupt-cells").unwrap_or(3);
        for prop in node.props() {
            let value = match prop.name() {
                "interrupts" => entries(prop, cells, &keep),
                "interrupts-extended" => entries(prop, cells.saturating_add(1), &keep),
                "interrupt-names" => {
                    let mut kept = Vec::new();
                    for name in prop.strings().filter(|name| TIMER.contains(name)) {
                        kept.extend_from_slice(name.as_bytes());
                        kept.push(0);
                    }
                    kept
                }
                _ => prop.bytes().to_vec(),
            };
            self.fdt.property(prop.name(), &value);
        }
    }

    /// The interrupts of a device that has one for each CPU, if some of the CPUs are not the cell's.
    pub(super) fn per_cpu_lines(&self, node: Node<'t, 'a>) -> Option<Lines> {
        let affinity = node.prop("interrupt-affinity")?;
        let interrupts = node.prop("interrupts")?;
        let mut ours = Vec::new();
        for phandle in affinity.cells() {
            let cpu = self.tree.phandle(phandle);
            ours.push(cpu.is_some_and(|cpu| self.sources.cpus.contains(&cpu.id())));
        }
        let each = (interrupts.bytes().len() / 4).checked_div(ours.len())?;
        let keep = |at: usize| ours.get(at) == Some(&true);
        Some(Lines {
            interrupts: entries(&interrupts, each as u32, &keep),
            affinity: entries(&affinity, 1, &keep),
        })
    }
}

/// `reg` of a cell's interrupt controller: in the root cell the board's own first two entries as its bus has them, with
/// as many redistributors as the cell has; at the top of the tree in other cells.
pub(super) fn frames(
    gic: Node<'_, '_>,
    root: Node<'_, '_>,
    cell: &CellPlan,
) -> Result<Vec<u8>, GuestTreeError> {
    match cell.root.then(|| in_place(gic, cell)).flatten() {
        Some(frames) => Ok(frames),
        None => reg(gic.name(), (root.address_cells(), root.size_cells()), &[cell.gicd, cell.gicr]),
    }
}

fn in_place(gic: Node<'_, '_>, cell: &CellPlan) -> Option<Vec<u8>> {
    let bus = gic.parent()?;
    let address = bus.address_cells() as usize;
    let entry = address.checked_add(bus.size_cells() as usize)?.checked_mul(4)?;
    let kept = entry.checked_add(address.checked_mul(4)?)?;
    let mut value = gic.prop("reg")?.bytes().get(..kept)?.to_vec();
    cells(&mut value, bus.size_cells(), cell.gicr.size())?;
    Some(value)
}

/// The entries of `cells` cells each whose place is to be kept.
fn entries(prop: &Prop<'_>, cells: u32, keep: &dyn Fn(usize) -> bool) -> Vec<u8> {
    let (mut left, mut kept, mut at) = (prop.cells(), Vec::new(), 0_usize);
    while let Some(entry) = left.take_bytes(cells.max(1)) {
        if keep(at) {
            kept.extend_from_slice(entry);
        }
        at = at.saturating_add(1);
    }
    kept
}
