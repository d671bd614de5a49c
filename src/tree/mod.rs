//! A device tree, read (Devicetree Specification 0.4).
//!
//! A [`Walk`] over a [`Blob`] proves each token before it hands it out; [`check`] walks to the end. [`Tree::parse`]
//! lays the same tokens out as flat lists in tree order, so that parents, phandles and paths cost little.

mod blob;
mod check;
mod name;
mod nearest;
mod node;
mod resolve;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
mod twice;
mod values;
mod work;

pub mod early;
pub mod ranges;

use alloc::vec::Vec;

use arrayvec::ArrayVec;

pub use blob::{Blob, Token, Walk};
pub use check::{
    MAX_DEPTH, MAX_NAME, MAX_NODES, MAX_PROPS, MAX_SIZE, TreeError, check, total_size, used_size,
};
pub use nearest::{Guess, nearest};
pub use node::{Ancestors, Node, Nodes, Prop};
pub use resolve::ResolveError;
pub use values::{Cells, Strings, has_part};

use crate::addr::{Pa, Span};
use values::up_to;

/// A node's place in tree order; the root is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// As a place in a list of all nodes.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

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
    /// Phandle in the upper half, its node in the lower, sorted.
    phandles: Vec<u64>,
    reservations: Vec<Span<Pa>>,
    work: work::Work,
}

impl<'a> Tree<'a> {
    /// Reads a blob; bytes behind its `totalsize` do not matter. It need not have been checked before.
    ///
    /// # Errors
    /// What [`check`] finds, and names or phandles that are there twice.
    pub fn parse(blob: &'a [u8]) -> Result<Self, TreeError> {
        let blob = Blob::open(blob)?;
        let mut tree = Self {
            nodes: Vec::new(),
            props: Vec::new(),
            phandles: Vec::new(),
            reservations: Vec::new(),
            work: work::Work::new(),
        };
        let mut reservations = blob.reservations();
        while let Some(span) = reservations.next()? {
            tree.reservations.push(span);
        }
        let (nodes, props) = check::count(&blob)?;
        tree.nodes.reserve_exact(nodes);
        tree.props.reserve_exact(props);
        tree.read(blob.walk())?;
        twice::check_names(&tree)?;
        tree.phandles = twice::sorted_phandles(&tree)?;
        Ok(tree)
    }

    fn read(&mut self, mut walk: Walk<'a>) -> Result<(), TreeError> {
        let mut open = ArrayVec::<NodeId, MAX_DEPTH>::new();
        while let Some(token) = walk.step()? {
            match token {
                Token::Begin(name) => {
                    let id = NodeId(self.nodes.len() as u32);
                    let props = self.props.len() as u32;
                    let parent = open.last().copied();
                    self.nodes.push(NodeData { name, parent, end: 0, props: props..props });
                    // The walk is no deeper than that.
                    let _ = open.try_push(id);
                }
                Token::Prop(prop) => {
                    self.props.push(prop);
                    if let Some(node) = self.nodes.last_mut() {
                        node.props.end = self.props.len() as u32;
                    }
                }
                Token::End => {
                    let end = self.nodes.len() as u32;
                    if let Some(node) = open.pop().and_then(|id| self.nodes.get_mut(id.0 as usize)) {
                        node.end = end;
                    }
                }
            }
        }
        Ok(())
    }

    /// The root node.
    pub fn root(&self) -> Node<'_, 'a> {
        self.node(NodeId(0))
    }

    /// The node with this number, which came from this tree.
    pub fn node(&self, id: NodeId) -> Node<'_, 'a> {
        Node::new(self, id)
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// All nodes in tree order.
    pub fn nodes(&self) -> Nodes<'_, 'a> {
        Nodes { tree: self, at: 0, end: self.nodes.len() as u32, below: false }
    }

    /// The node that comes after this one in tree order, or after all its descendants.
    pub fn after(&self, node: &Node<'_, '_>, descendants: bool) -> Option<Node<'_, 'a>> {
        let next = if descendants { node.end().0 } else { node.id().0.saturating_add(1) };
        ((next as usize) < self.nodes.len()).then(|| self.node(NodeId(next)))
    }

    /// The node that a phandle names.
    pub fn phandle(&self, phandle: u32) -> Option<Node<'_, 'a>> {
        let at = self.phandles.partition_point(|entry| *entry < u64::from(phandle) << 32);
        let entry = self.phandles.get(at).filter(|entry| **entry >> 32 == u64::from(phandle))?;
        Some(self.node(NodeId(*entry as u32)))
    }

    /// The node at a full path, unit addresses included: `/soc/serial@30890000`.
    pub fn at(&self, path: &str) -> Option<Node<'_, 'a>> {
        let mut node = self.root();
        let mut rest = path.as_bytes().strip_prefix(b"/")?;
        while !rest.is_empty() {
            let (name, behind) = rest.split_at_checked(up_to(rest, b'/'))?;
            rest = behind.get(1..).unwrap_or(&[]);
            if !name.is_empty() {
                node = node.child(name)?;
            }
        }
        Some(node)
    }

    /// The children of the node at a path; none where there is no such node.
    pub fn below(&self, path: &str) -> Nodes<'_, 'a> {
        self.at(path).map_or(Nodes { tree: self, at: 0, end: 0, below: true }, |node| node.children())
    }

    /// What an alias stands for.
    pub fn alias(&self, name: &str) -> Option<Node<'_, 'a>> {
        self.at(self.at("/aliases")?.prop(name)?.str()?)
    }

    /// The memory reservation block (Devicetree Specification 5.3): RAM that firmware keeps.
    pub fn reservations(&self) -> &[Span<Pa>] {
        &self.reservations
    }

    /// Counts steps of work; false when there have been too many, and the rest is not worth doing.
    pub(crate) fn spend(&self, steps: usize) -> bool {
        self.work.spend(steps)
    }

    #[cfg(test)]
    pub(crate) fn spent(&self) -> u32 {
        self.work.spent()
    }

    /// Whether it asked for more work than any board needs: then not all of it was read, and what was is worth nothing.
    pub fn is_exhausted(&self) -> bool {
        self.work.is_exhausted()
    }

    fn data(&self, id: NodeId) -> Option<&NodeData<'a>> {
        self.nodes.get(id.0 as usize)
    }
}
