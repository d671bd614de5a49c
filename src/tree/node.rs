//! Nodes and properties of a [`Tree`].

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{NodeId, Tree};

/// A node of a tree.
#[derive(Clone, Copy)]
pub struct Node<'t, 'a> {
    tree: &'t Tree<'a>,
    id: NodeId,
}

impl<'t, 'a> Node<'t, 'a> {
    pub(super) fn new(tree: &'t Tree<'a>, id: NodeId) -> Self {
        Self { tree, id }
    }

    /// Its number.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The tree that it is in.
    pub fn tree(&self) -> &'t Tree<'a> {
        self.tree
    }

    /// The number behind those of all its descendants.
    pub fn end(&self) -> NodeId {
        NodeId(self.tree.data(self.id).map_or(0, |d| d.end))
    }

    /// Its name with the unit address; the root's is empty or `/`.
    pub fn name(&self) -> &'a str {
        self.tree.data(self.id).map_or("", |d| d.name)
    }

    /// Its name without the unit address.
    pub fn base_name(&self) -> &'a str {
        self.name().split('@').next().unwrap_or("")
    }

    /// Its unit address.
    pub fn unit(&self) -> Option<&'a str> {
        self.name().split_once('@').map(|(_, unit)| unit)
    }

    /// Its full path.
    pub fn path(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        let mut at = *self;
        while let Some(parent) = at.parent() {
            names.push(at.name());
            at = parent;
        }
        if names.is_empty() {
            return String::from("/");
        }
        names.iter().rev().flat_map(|name| ["/", name]).collect()
    }

    /// Its parent; the root has none.
    pub fn parent(&self) -> Option<Self> {
        self.tree.data(self.id)?.parent.map(|id| self.tree.node(id))
    }

    /// Its parent, its parent's parent and so on up to the root.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + use<'t, 'a> {
        core::iter::successors(self.parent(), |node| node.parent())
    }

    /// Its children in order.
    pub fn children(&self) -> impl Iterator<Item = Self> + use<'t, 'a> {
        let tree = self.tree;
        let end = tree.data(self.id).map_or(0, |d| d.end);
        let first = self.id.0.saturating_add(1);
        let next = move |id: u32| (id < end).then(|| tree.node(NodeId(id)));
        core::iter::successors(next(first), move |node| next(tree.data(node.id)?.end))
    }

    /// Everything below it, in tree order, itself left out.
    pub fn descendants(&self) -> impl Iterator<Item = Self> + use<'t, 'a> {
        let tree = self.tree;
        let end = tree.data(self.id).map_or(0, |d| d.end);
        (self.id.0.saturating_add(1)..end).map(move |id| tree.node(NodeId(id)))
    }

    /// Its properties in order.
    pub fn props(&self) -> &'t [Prop<'a>] {
        let range = self.tree.data(self.id).map_or(0..0, |d| d.props.start as usize..d.props.end as usize);
        self.tree.props.get(range).unwrap_or(&[])
    }

    /// A property by name.
    pub fn prop(&self, name: &str) -> Option<Prop<'a>> {
        let props = self.props();
        if !self.tree.spend(props.len() / 8) {
            return None;
        }
        props.iter().find(|p| p.name() == name).copied()
    }

    /// Whether `compatible` has this string.
    pub fn is_compatible(&self, with: &str) -> bool {
        self.compatibles().any(|c| c == with)
    }

    /// The strings of `compatible`, most specific first.
    pub fn compatibles(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.prop("compatible").into_iter().flat_map(|p| p.strings())
    }

    /// Whether `status` is absent, `okay` or `ok` (Devicetree Specification 2.3.4). Ancestors are not asked.
    pub fn is_available(&self) -> bool {
        self.prop("status").is_none_or(|p| matches!(p.str(), Some("okay" | "ok")))
    }

    /// `#address-cells` for its children; 2 where it is left out.
    pub fn address_cells(&self) -> u32 {
        self.prop("#address-cells").and_then(|p| p.u32()).unwrap_or(2)
    }

    /// `#size-cells` for its children; 1 where it is left out.
    pub fn size_cells(&self) -> u32 {
        self.prop("#size-cells").and_then(|p| p.u32()).unwrap_or(1)
    }
}

impl fmt::Debug for Node<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

/// A property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prop<'a> {
    name: &'a str,
    bytes: &'a [u8],
}

impl<'a> Prop<'a> {
    pub(super) fn new(name: &'a str, bytes: &'a [u8]) -> Self {
        Self { name, bytes }
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Its value.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its value as 32-bit cells; bytes behind the last whole cell are left out.
    pub fn cells(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.bytes.as_chunks::<4>().0.iter().map(|cell| u32::from_be_bytes(*cell))
    }

    /// Its value as one cell.
    pub fn u32(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.bytes.try_into().ok()?))
    }

    /// Its value as one or two cells.
    pub fn u64(&self) -> Option<u64> {
        match self.bytes.len() {
            4 => self.u32().map(u64::from),
            _ => Some(u64::from_be_bytes(self.bytes.try_into().ok()?)),
        }
    }

    /// Its value as one string: NUL at the end, none before it, UTF-8.
    pub fn str(&self) -> Option<&'a str> {
        let (last, text) = self.bytes.split_last()?;
        (*last == 0 && !text.contains(&0)).then(|| core::str::from_utf8(text).ok())?
    }

    /// Its value as a list of strings; those that are not UTF-8 are left out.
    pub fn strings(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let text = self.bytes.strip_suffix(&[0]).unwrap_or(self.bytes);
        text.split(|byte| *byte == 0).filter_map(|s| core::str::from_utf8(s).ok()).filter(|s| !s.is_empty())
    }
}
