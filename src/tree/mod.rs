//! A device tree, read (Devicetree Specification 0.4). The only place that sees the `fdt` crate.
//!
//! [`check`] proves the blob's structure first, because `fdt` panics on malformed ones; then the tree is laid
//! out as flat lists in tree order, so that parents, phandles and paths cost little.

mod check;
pub mod early;
mod node;
pub mod ranges;

use alloc::vec::Vec;

pub use check::{TreeError, check, total_size};
pub use node::{Node, Prop};

use crate::addr::{Pa, Span};

/// A node's place in tree order; the root is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

#[derive(Debug)]
struct NodeData<'a> {
    name: &'a str,
    parent: Option<NodeId>,
    /// The first node in tree order that is no descendant.
    end: u32,
    props: core::ops::Range<u32>,
}

/// A whole tree.
#[derive(Debug)]
pub struct Tree<'a> {
    nodes: Vec<NodeData<'a>>,
    props: Vec<Prop<'a>>,
    phandles: Vec<(u32, NodeId)>,
    reservations: Vec<Span<Pa>>,
}

impl<'a> Tree<'a> {
    /// Reads a blob; bytes behind its `totalsize` do not matter.
    ///
    /// # Errors
    /// What [`check`] finds.
    pub fn parse(blob: &'a [u8]) -> Result<Self, TreeError> {
        check(blob)?;
        let fdt = fdt::Fdt::new(blob).map_err(|_| TreeError::Header)?;
        let root = fdt.find_node("/").ok_or(TreeError::NoRoot)?;
        let mut tree =
            Self { nodes: Vec::new(), props: Vec::new(), phandles: Vec::new(), reservations: Vec::new() };
        tree.add(root, None);
        tree.phandles.sort_unstable();
        tree.reservations = fdt
            .memory_reservations()
            .filter_map(|r| Span::new(Pa(r.address() as usize as u64), r.size() as u64))
            .collect();
        Ok(tree)
    }

    fn add(&mut self, node: fdt::node::FdtNode<'_, 'a>, parent: Option<NodeId>) {
        let id = NodeId(self.nodes.len() as u32);
        let first = self.props.len() as u32;
        for p in node.properties() {
            let prop = Prop::new(p.name, p.value);
            if matches!(p.name, "phandle" | "linux,phandle")
                && let Some(phandle) = prop.u32()
            {
                self.phandles.push((phandle, id));
            }
            self.props.push(prop);
        }
        let props = first..self.props.len() as u32;
        self.nodes.push(NodeData { name: node.name, parent, end: 0, props });
        for child in node.children() {
            self.add(child, Some(id));
        }
        let end = self.nodes.len() as u32;
        if let Some(data) = self.nodes.get_mut(id.0 as usize) {
            data.end = end;
        }
    }

    /// The root node.
    pub fn root(&self) -> Node<'_, 'a> {
        self.node(NodeId(0))
    }

    /// The node with this number, which came from this tree.
    pub fn node(&self, id: NodeId) -> Node<'_, 'a> {
        Node::new(self, id)
    }

    /// All nodes in tree order.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_, 'a>> {
        (0..self.nodes.len() as u32).map(|id| self.node(NodeId(id)))
    }

    /// The node that comes after this one in tree order, or after all its descendants.
    pub fn after(&self, node: &Node<'_, '_>, descendants: bool) -> Option<Node<'_, 'a>> {
        let next = if descendants { node.end().0 } else { node.id().0.saturating_add(1) };
        ((next as usize) < self.nodes.len()).then(|| self.node(NodeId(next)))
    }

    /// The node that a phandle names.
    pub fn phandle(&self, phandle: u32) -> Option<Node<'_, 'a>> {
        let at = self.phandles.partition_point(|(p, _)| *p < phandle);
        self.phandles.get(at).filter(|(p, _)| *p == phandle).map(|(_, id)| self.node(*id))
    }

    /// The node at a full path, unit addresses included: `/soc/serial@30890000`.
    pub fn at(&self, path: &str) -> Option<Node<'_, 'a>> {
        let mut node = self.root();
        for name in path.strip_prefix('/')?.split('/').filter(|name| !name.is_empty()) {
            node = node.children().find(|child| child.name() == name)?;
        }
        Some(node)
    }

    /// What an alias stands for.
    pub fn alias(&self, name: &str) -> Option<Node<'_, 'a>> {
        self.at(self.at("/aliases")?.prop(name)?.str()?)
    }

    /// The memory reservation block (Devicetree Specification 5.3): RAM that firmware keeps.
    pub fn reservations(&self) -> &[Span<Pa>] {
        &self.reservations
    }

    fn data(&self, id: NodeId) -> Option<&NodeData<'a>> {
        self.nodes.get(id.0 as usize)
    }
}
