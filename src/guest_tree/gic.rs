//! What every cell has of its own beside CPUs and memory: interrupt controller, timer, performance monitor.

use alloc::format;
use alloc::vec::Vec;

use super::GuestTreeError;
use super::role::Role;
use super::write::{Writer, cells, reg};
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
    pub(super) fn parts_of_every_cell(&mut self) -> Result<(), GuestTreeError> {
        let gic = self.tree.node(self.sources.gic);
        let name = format!("interrupt-controller@{:x}", self.cell.gicd.start().0);
        let begin = self.begin(&name)?;
        self.gic_properties(gic)?;
        self.end(&name, begin)?;
        for node in self.tree.nodes().filter(|n| n.is_available()) {
            let role = self.role(node);
            if matches!(role, Role::Timer | Role::Pmu) {
                let begin = self.begin(node.base_name())?;
                if role == Role::Timer { self.timer_properties(node) } else { self.whole(node) }?;
                self.end(node.base_name(), begin)?;
            }
        }
        Ok(())
    }

    pub(super) fn gic_properties(&mut self, node: Node<'t, 'a>) -> Result<(), GuestTreeError> {
        for prop in node.props().iter().filter(|p| GIC.contains(&p.name())) {
            self.property(node.name(), prop.name(), prop.bytes())?;
        }
        let frames = if self.cell.root { self.gic_in_place(node) } else { None };
        let frames = match frames {
            Some(frames) => frames,
            None => {
                let root = self.tree.root();
                let cells = (root.address_cells(), root.size_cells());
                reg(node.name(), cells, &[self.cell.gicd, self.cell.gicr])?
            }
        };
        self.property(node.name(), "reg", &frames)
    }

    /// The board's own first two entries of `reg`, as its bus has them; the redistributors are as many as the cell has.
    fn gic_in_place(&self, node: Node<'t, 'a>) -> Option<Vec<u8>> {
        let bus = node.parent()?;
        let address = bus.address_cells() as usize;
        let entry = address.checked_add(bus.size_cells() as usize)?.checked_mul(4)?;
        let kept = entry.checked_add(address.checked_mul(4)?)?;
        let mut value = node.prop("reg")?.bytes().get(..kept)?.to_vec();
        cells(&mut value, bus.size_cells(), self.cell.gicr.size())?;
        Some(value)
    }

    pub(super) fn timer_properties(&mut self, node: Node<'t, 'a>) -> Result<(), GuestTreeError> {
        let names: Option<Vec<&str>> = node.prop("interrupt-names").map(|p| p.strings().collect());
        let keep = |at: usize| match &names {
            Some(names) => names.get(at).is_some_and(|name| TIMER.contains(name)),
            None => at < TIMER.len(),
        };
        let cells =
            self.tree.node(self.sources.gic).prop("#interrupt-cells").and_then(|p| p.u32()).unwrap_or(3);
        for prop in node.props() {
            let value = match prop.name() {
                "interrupts" => entries(prop, cells, keep),
                "interrupts-extended" => entries(prop, cells.saturating_add(1), keep),
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
            self.property(node.name(), prop.name(), &value)?;
        }
        Ok(())
    }

    /// The interrupts of a device that has one for each CPU, if some of the CPUs are not the cell's.
    pub(super) fn per_cpu_lines(&self, node: Node<'t, 'a>) -> Option<Lines> {
        let affinity = node.prop("interrupt-affinity")?;
        let interrupts = node.prop("interrupts")?;
        let ours: Vec<bool> = affinity
            .cells()
            .map(|phandle| {
                self.tree.phandle(phandle).is_some_and(|cpu| self.sources.cpus.contains(&cpu.id()))
            })
            .collect();
        let each = interrupts.cells().count().checked_div(ours.len())?;
        let keep = |at: usize| ours.get(at) == Some(&true);
        Some(Lines {
            interrupts: entries(&interrupts, each as u32, keep),
            affinity: entries(&affinity, 1, keep),
        })
    }
}

/// The entries of `cells` cells each whose place is to be kept.
fn entries(prop: &Prop<'_>, cells: u32, keep: impl Fn(usize) -> bool) -> Vec<u8> {
    let size = (cells as usize).saturating_mul(4).max(4);
    let all = prop.bytes().chunks_exact(size).enumerate();
    all.filter(|(at, _)| keep(*at)).flat_map(|(_, entry)| entry).copied().collect()
}
