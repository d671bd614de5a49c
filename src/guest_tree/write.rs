//! Writing: the frame of the tree and the copies of the board's nodes.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::GuestTreeError;
use super::fdt::Fdt;
use super::gic;
use super::keep::{Fate, Kept, Sources};
use super::refs::targets;
use super::role::Role;
use crate::addr::{Ipa, Span};
use crate::plan::CellPlan;
use crate::tree::{Node, NodeId, Tree};
use crate::vcpu::InterruptMode;

/// What a bus needs to hand on addresses, DMA and interrupts. Its `reg`, if it has one, goes with its name.
const BUS: [&str; 12] = [
    "#address-cells",
    "#interrupt-cells",
    "#size-cells",
    "dma-coherent",
    "dma-noncoherent",
    "dma-ranges",
    "interrupt-map",
    "interrupt-map-mask",
    "interrupt-parent",
    "phandle",
    "ranges",
    "reg",
];

/// What lets others refer to a node, beside the properties that begin with `#`.
const STUB: [&str; 7] =
    ["compatible", "gpio-controller", "interrupt-controller", "phandle", "ranges", "reg", "remote-endpoint"];

pub(super) struct Writer<'w, 't, 'a> {
    pub(super) fdt: Fdt<'a>,
    pub(super) tree: &'t Tree<'a>,
    pub(super) cell: &'w CellPlan,
    pub(super) sources: &'w Sources<'w>,
    pub(super) kept: &'w Kept<'w, 't, 'a>,
    /// `reg` of the cell's interrupt controller.
    pub(super) gic_reg: Vec<u8>,
}

impl<'w, 't, 'a> Writer<'w, 't, 'a> {
    pub(super) fn new(
        tree: &'t Tree<'a>,
        cell: &'w CellPlan,
        sources: &'w Sources<'w>,
        kept: &'w Kept<'w, 't, 'a>,
    ) -> Result<Self, GuestTreeError> {
        let gic_reg = gic::frames(tree.node(sources.gic), tree.root(), cell)?;
        Ok(Self { fdt: Fdt::new(), tree, cell, sources, kept, gic_reg })
    }

    pub(super) fn write(mut self) -> Result<Vec<u8>, GuestTreeError> {
        let root = self.tree.root();
        self.fdt.begin_node("");
        if self.cell.root {
            for prop in root.props() {
                self.fdt.property(prop.name(), prop.bytes());
            }
        } else {
            self.cell_root(root);
        }
        self.chosen();
        self.aliases();
        self.memory()?;
        self.psci();
        self.cpus();
        if !self.cell.root {
            self.parts_of_every_cell();
        }
        self.virtual_uart()?;
        self.watchdog()?;
        self.children(root);
        self.fdt.end_node();
        self.fdt.finish().ok_or(GuestTreeError::NoMemory)
    }

    /// The properties of the root node of a cell that does not see the whole board.
    fn cell_root(&mut self, root: Node<'t, 'a>) {
        self.fdt.property("compatible", b"bulkhead,cell-v1\0");
        self.fdt.string("model", &format!("Bulkhead cell {}", self.cell.name));
        self.fdt.property("#address-cells", &root.address_cells().to_be_bytes());
        self.fdt.property("#size-cells", &root.size_cells().to_be_bytes());
        if let Some(gic) = self.tree.node(self.sources.gic).prop("phandle") {
            self.fdt.property("interrupt-parent", gic.bytes());
        }
        if let Some(prop) = root.prop("dma-coherent") {
            self.fdt.property(prop.name(), prop.bytes());
        }
    }

    fn children(&mut self, node: Node<'t, 'a>) {
        for child in node.children() {
            self.copy(child);
        }
    }

    /// Copies a node as its fate says, and what is kept below it.
    fn copy(&mut self, node: Node<'t, 'a>) {
        let Some(fate) = self.kept.fate(node.id()) else { return };
        self.fdt.begin_node(node.name());
        match (fate, self.role(node)) {
            (Fate::Whole, Role::Gic) => self.gic_properties(node),
            (Fate::Whole, Role::Timer) => self.timer_properties(node),
            (Fate::Whole, _) if let Some(uart) = self.replaced(node) => self.in_its_place(node, uart),
            (Fate::Whole, _) => self.whole(node),
            (Fate::Bus, _) => self.bus(node),
            (Fate::Stub, _) => self.stub(node),
        }
        self.children(node);
        self.fdt.end_node();
    }

    pub(super) fn role(&self, node: Node<'_, '_>) -> Role {
        self.kept.role(node.id())
    }

    /// All properties but those that lead to nodes which are not there.
    pub(super) fn whole(&mut self, node: Node<'t, 'a>) {
        let cut = self.per_cpu_lines(node);
        let moved = self.cell.uart.filter(|uart| uart.node == Some(node.id()));
        let moved = moved.filter(|_| self.cell.interrupts != InterruptMode::Virtual);
        for prop in node.props() {
            match (prop.name(), &cut) {
                // That of the hardware is the hypervisor's, and the cell takes none but from hardware.
                ("interrupts" | "interrupts-extended", _) if let Some(uart) = moved => {
                    self.moved_line(uart.spi);
                }
                ("interrupts", Some(lines)) => self.fdt.property(prop.name(), &lines.interrupts),
                ("interrupt-affinity", Some(lines)) => {
                    self.fdt.property(prop.name(), &lines.affinity);
                }
                (name, _) if self.leads_nowhere(node, name) => {}
                (name, _) => self.fdt.property(name, prop.bytes()),
            }
        }
    }

    fn bus(&mut self, node: Node<'t, 'a>) {
        if node.has("ranges") {
            self.fdt.property("compatible", b"simple-bus\0");
        }
        for prop in node.props().iter().filter(|p| BUS.contains(&p.name())) {
            if !self.leads_nowhere(node, prop.name()) {
                self.fdt.property(prop.name(), prop.bytes());
            }
        }
    }

    fn stub(&mut self, node: Node<'t, 'a>) {
        for prop in node.props().iter().filter(|p| p.name().starts_with('#') || STUB.contains(&p.name())) {
            self.fdt.property(prop.name(), prop.bytes());
        }
        self.fdt.string("status", "disabled");
    }

    /// Whether a property must go because what it refers to is not in the tree: MSI controllers and IOMMUs that no
    /// cell has, reserved memory of another cell. What a device cannot do without (clocks and the like) is there as
    /// a disabled node instead.
    fn leads_nowhere(&self, node: Node<'t, 'a>, name: &str) -> bool {
        let (list, cells) = match name {
            "name" => return true,
            // A virtual UART has no DMA.
            "dmas" | "dma-names" => return self.cell.uart.is_some_and(|uart| uart.node == Some(node.id())),
            "msi-map" | "msi-map-mask" => return self.map_leads_nowhere(node, "msi-map"),
            "iommu-map" | "iommu-map-mask" => return self.map_leads_nowhere(node, "iommu-map"),
            "msi-parent" => ("msi-parent", "#msi-cells"),
            "iommus" => ("iommus", "#iommu-cells"),
            "interrupt-parent" => ("interrupt-parent", ""),
            "memory-region" | "memory-region-names" => ("memory-region", ""),
            "power-domains" | "power-domain-names" => ("power-domains", "#power-domain-cells"),
            _ => return false,
        };
        let Some(prop) = node.prop(list) else { return false };
        targets(self.tree, &prop, cells).any(|target| match list {
            // Firmware's power domains for CPUs and clusters go with the idle states.
            "power-domains" => self.role(target) == Role::Ours,
            _ => self.is_missing(target.id()),
        })
    }

    /// The same for rows of input, phandle, output and length.
    fn map_leads_nowhere(&self, node: Node<'t, 'a>, map: &str) -> bool {
        let (rows, _) = node.bytes(map).as_chunks::<16>();
        rows.iter().any(|[_, _, _, _, a, b, c, d, ..]| {
            let target = self.tree.phandle(u32::from_be_bytes([*a, *b, *c, *d]));
            target.is_none_or(|target| self.is_missing(target.id()))
        })
    }

    fn is_missing(&self, id: NodeId) -> bool {
        !self.kept.is_whole(id) && id != self.sources.gic
    }
}

/// Spans as `reg` has them on a bus with these cells.
pub(super) fn reg(
    node: &str,
    (address_cells, size_cells): (u32, u32),
    spans: &[Span<Ipa>],
) -> Result<Vec<u8>, GuestTreeError> {
    let mut value = Vec::new();
    for span in spans {
        let fits = cells(&mut value, address_cells, span.start().0)
            .and_then(|()| cells(&mut value, size_cells, span.size()));
        if fits.is_none() {
            return Err(GuestTreeError::Cells { node: String::from(node), span: format!("{span}") });
        }
    }
    Ok(value)
}

/// Appends a number in as many cells.
pub(super) fn cells(value: &mut Vec<u8>, count: u32, number: u64) -> Option<()> {
    match count {
        1 => value.extend(u32::try_from(number).ok()?.to_be_bytes()),
        2 => value.extend(number.to_be_bytes()),
        _ => return None,
    }
    Some(())
}
