//! Writing: the frame of the tree and the copies of the board's nodes.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use vm_fdt::{FdtWriter, FdtWriterNode};

use super::GuestTreeError;
use super::keep::{Fate, Kept, Sources};
use super::refs::targets;
use super::role::{Role, role};
use crate::addr::{Address, Span};
use crate::plan::CellPlan;
use crate::tree::{Node, NodeId, Prop, Tree};

/// What a bus needs to hand on addresses, DMA and interrupts.
const BUS: [&str; 8] = [
    "#address-cells",
    "#size-cells",
    "dma-coherent",
    "dma-noncoherent",
    "dma-ranges",
    "interrupt-parent",
    "phandle",
    "ranges",
];

pub(super) struct Writer<'w, 't, 'a> {
    pub(super) fdt: FdtWriter,
    pub(super) tree: &'t Tree<'a>,
    pub(super) cell: &'w CellPlan,
    pub(super) sources: &'w Sources<'w>,
    pub(super) kept: &'w Kept<'w, 't, 'a>,
}

impl<'w, 't, 'a> Writer<'w, 't, 'a> {
    pub(super) fn new(
        tree: &'t Tree<'a>,
        cell: &'w CellPlan,
        sources: &'w Sources<'w>,
        kept: &'w Kept<'w, 't, 'a>,
    ) -> Result<Self, GuestTreeError> {
        let fdt =
            FdtWriter::new().map_err(|error| GuestTreeError::Write { node: String::from("/"), error })?;
        Ok(Self { fdt, tree, cell, sources, kept })
    }

    pub(super) fn write(mut self) -> Result<Vec<u8>, GuestTreeError> {
        let root = self.tree.root();
        let begin = self.begin("")?;
        if self.cell.root {
            for prop in root.props() {
                self.property("/", prop.name(), prop.bytes())?;
            }
        } else {
            self.cell_root(root)?;
        }
        self.chosen()?;
        self.aliases()?;
        self.memory()?;
        self.psci()?;
        self.cpus()?;
        if !self.cell.root {
            self.parts_of_every_cell()?;
        }
        self.children(root)?;
        self.end("/", begin)?;
        self.fdt.finish().map_err(|error| GuestTreeError::Write { node: String::from("/"), error })
    }

    /// The properties of the root node of a cell that does not see the whole board.
    fn cell_root(&mut self, root: Node<'t, 'a>) -> Result<(), GuestTreeError> {
        self.property("/", "compatible", b"bulkhead,cell-v1\0")?;
        self.string("/", "model", &format!("Bulkhead cell {}", self.cell.name))?;
        self.property("/", "#address-cells", &root.address_cells().to_be_bytes())?;
        self.property("/", "#size-cells", &root.size_cells().to_be_bytes())?;
        if let Some(gic) = self.tree.node(self.sources.gic).prop("phandle") {
            self.property("/", "interrupt-parent", gic.bytes())?;
        }
        match root.prop("dma-coherent") {
            Some(prop) => self.property("/", prop.name(), prop.bytes()),
            None => Ok(()),
        }
    }

    fn children(&mut self, node: Node<'t, 'a>) -> Result<(), GuestTreeError> {
        node.children().try_for_each(|child| self.copy(child))
    }

    /// Copies a node as its fate says, and what is kept below it.
    fn copy(&mut self, node: Node<'t, 'a>) -> Result<(), GuestTreeError> {
        let Some(fate) = self.kept.fate(node.id()) else { return Ok(()) };
        let begin = self.begin(node.name())?;
        match (fate, self.role(node)) {
            (Fate::Whole, Role::Gic) => self.gic_properties(node)?,
            (Fate::Whole, Role::Timer) => self.timer_properties(node)?,
            (Fate::Whole, _) => self.whole(node)?,
            (Fate::Bus, _) => self.bus(node)?,
            (Fate::Stub, _) => self.stub(node)?,
        }
        self.children(node)?;
        self.end(node.name(), begin)
    }

    pub(super) fn role(&self, node: Node<'_, '_>) -> Role {
        role(self.sources.gic, node)
    }

    /// All properties but those that lead to nodes which are not there.
    pub(super) fn whole(&mut self, node: Node<'t, 'a>) -> Result<(), GuestTreeError> {
        let cut = self.per_cpu_lines(node);
        for prop in node.props() {
            match (prop.name(), &cut) {
                ("interrupts", Some(lines)) => self.property(node.name(), prop.name(), &lines.interrupts)?,
                ("interrupt-affinity", Some(lines)) => {
                    self.property(node.name(), prop.name(), &lines.affinity)?;
                }
                (name, _) if self.leads_nowhere(node, name) => {}
                (name, _) => self.property(node.name(), name, prop.bytes())?,
            }
        }
        Ok(())
    }

    fn bus(&mut self, node: Node<'t, 'a>) -> Result<(), GuestTreeError> {
        if node.prop("ranges").is_some() {
            self.property(node.name(), "compatible", b"simple-bus\0")?;
        }
        for prop in node.props().iter().filter(|p| BUS.contains(&p.name())) {
            if !self.leads_nowhere(node, prop.name()) {
                self.property(node.name(), prop.name(), prop.bytes())?;
            }
        }
        Ok(())
    }

    fn stub(&mut self, node: Node<'t, 'a>) -> Result<(), GuestTreeError> {
        let marks = ["compatible", "gpio-controller", "interrupt-controller", "phandle", "ranges", "reg"];
        for prop in node.props().iter().filter(|p| p.name().starts_with('#') || marks.contains(&p.name())) {
            self.property(node.name(), prop.name(), prop.bytes())?;
        }
        self.string(node.name(), "status", "disabled")
    }

    /// Whether a property must go because what it refers to is not in the tree: MSI controllers and IOMMUs that no
    /// cell has, reserved memory of another cell. What a device cannot do without (clocks and the like) is there as
    /// a disabled node instead.
    fn leads_nowhere(&self, node: Node<'t, 'a>, name: &str) -> bool {
        let missing = |id: NodeId| !self.kept.is_whole(id) && id != self.sources.gic;
        let list = |name: &str, cells| {
            node.prop(name).is_some_and(|prop| targets(self.tree, &prop, cells).any(|t| missing(t.id())))
        };
        // Rows of (input, phandle, output, length).
        let map = |name: &str| {
            let row = |phandle| self.tree.phandle(phandle).is_none_or(|t| missing(t.id()));
            node.prop(name).is_some_and(|prop: Prop<'a>| prop.cells().skip(1).step_by(4).any(row))
        };
        match name {
            "name" => true,
            "msi-parent" => list(name, "#msi-cells"),
            "iommus" => list(name, "#iommu-cells"),
            "interrupt-parent" => list(name, ""),
            "memory-region" | "memory-region-names" => list("memory-region", ""),
            "msi-map" | "msi-map-mask" => map("msi-map"),
            "iommu-map" | "iommu-map-mask" => map("iommu-map"),
            _ => false,
        }
    }

    pub(super) fn begin(&mut self, name: &str) -> Result<FdtWriterNode, GuestTreeError> {
        self.fdt.begin_node(name).map_err(|error| GuestTreeError::Write { node: String::from(name), error })
    }

    pub(super) fn end(&mut self, name: &str, node: FdtWriterNode) -> Result<(), GuestTreeError> {
        self.fdt.end_node(node).map_err(|error| GuestTreeError::Write { node: String::from(name), error })
    }

    pub(super) fn property(&mut self, node: &str, name: &str, value: &[u8]) -> Result<(), GuestTreeError> {
        let wrong = |error| GuestTreeError::Write { node: format!("{node}: {name}"), error };
        self.fdt.property(name, value).map_err(wrong)
    }

    pub(super) fn string(&mut self, node: &str, name: &str, value: &str) -> Result<(), GuestTreeError> {
        let wrong = |error| GuestTreeError::Write { node: format!("{node}: {name}"), error };
        self.fdt.property_string(name, value).map_err(wrong)
    }
}

/// Spans as `reg` has them on a bus with these cells.
pub(super) fn reg<A: Address>(
    node: &str,
    (address_cells, size_cells): (u32, u32),
    spans: &[Span<A>],
) -> Result<Vec<u8>, GuestTreeError> {
    let mut value = Vec::new();
    for span in spans {
        let fits = cells(&mut value, address_cells, span.start().get())
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
