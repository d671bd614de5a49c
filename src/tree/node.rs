//! Nodes and properties of a [`Tree`].

use alloc::string::String;
use core::fmt;

use super::values::{Cells, Strings, up_to};
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
        let name = self.name();
        name.get(..up_to(name.as_bytes(), b'@')).unwrap_or(name)
    }

    /// Its unit address.
    pub fn unit(&self) -> Option<&'a str> {
        self.name().split_once('@').map(|(_, unit)| unit)
    }

    /// Its full path.
    pub fn path(&self) -> String {
        let mut path = String::new();
        self.write_path(&mut path);
        if path.is_empty() {
            path.push('/');
        }
        path
    }

    /// As deep as a tree nests.
    fn write_path(&self, path: &mut String) {
        if let Some(parent) = self.parent() {
            parent.write_path(path);
            path.push('/');
            path.push_str(self.name());
        }
    }

    /// Its parent; the root has none.
    pub fn parent(&self) -> Option<Self> {
        self.tree.data(self.id)?.parent.map(|id| self.tree.node(id))
    }

    /// Its parent, its parent's parent and so on up to the root.
    pub fn ancestors(&self) -> Ancestors<'t, 'a> {
        Ancestors(*self)
    }

    /// Itself and everything below it, in tree order.
    pub fn and_below(&self) -> Nodes<'t, 'a> {
        Nodes { at: self.id.0, ..self.descendants() }
    }

    /// Its children in order.
    pub fn children(&self) -> Nodes<'t, 'a> {
        Nodes { below: true, ..self.descendants() }
    }

    /// The child of this name.
    pub(super) fn child(&self, name: &[u8]) -> Option<Self> {
        self.children().find(|child| self.tree.spend(0) && child.name().as_bytes() == name)
    }

    /// Everything below it, in tree order, itself left out.
    pub fn descendants(&self) -> Nodes<'t, 'a> {
        Nodes { tree: self.tree, at: self.id.0.saturating_add(1), end: self.end().0, below: false }
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

    /// Whether it has a property.
    pub fn has(&self, name: &str) -> bool {
        self.prop(name).is_some()
    }

    /// The value of a property that is one cell.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.prop(name)?.u32()
    }

    /// Whether a property is this one string.
    pub fn says(&self, name: &str, text: &str) -> bool {
        self.prop(name).is_some_and(|p| p.str() == Some(text))
    }

    /// The value of a property; nothing where it is missing.
    pub fn bytes(&self, name: &str) -> &'a [u8] {
        self.prop(name).map_or(&[], |p| p.bytes())
    }

    /// Whether `compatible` has this string.
    pub fn is_compatible(&self, with: &str) -> bool {
        self.is_any(&[with])
    }

    /// Whether `compatible` has one of these strings.
    pub fn is_any(&self, of: &[&str]) -> bool {
        self.compatibles().any(|c| of.contains(&c))
    }

    /// The strings of `compatible`, most specific first.
    pub fn compatibles(&self) -> Strings<'a> {
        Strings(self.bytes("compatible"))
    }

    /// Whether `status` is absent, `okay` or `ok` (Devicetree Specification 2.3.4). Ancestors are not asked.
    pub fn is_available(&self) -> bool {
        self.prop("status").is_none_or(|p| matches!(p.str(), Some("okay" | "ok")))
    }

    /// `#address-cells` for its children; 2 where it is left out.
    pub fn address_cells(&self) -> u32 {
        self.number("#address-cells").unwrap_or(2)
    }

    /// `#size-cells` for its children; 1 where it is left out.
    pub fn size_cells(&self) -> u32 {
        self.number("#size-cells").unwrap_or(1)
    }
}

/// See [`Node::ancestors`].
#[derive(Clone, Debug)]
pub struct Ancestors<'t, 'a>(Node<'t, 'a>);

impl<'t, 'a> Iterator for Ancestors<'t, 'a> {
    type Item = Node<'t, 'a>;

    fn next(&mut self) -> Option<Node<'t, 'a>> {
        self.0 = self.0.parent()?;
        Some(self.0)
    }
}

/// See [`Node::children`], [`Node::descendants`].
#[derive(Clone, Debug)]
pub struct Nodes<'t, 'a> {
    pub(super) tree: &'t Tree<'a>,
    pub(super) at: u32,
    pub(super) end: u32,
    /// Whether what is below each of them is left out.
    pub(super) below: bool,
}

impl<'t, 'a> Iterator for Nodes<'t, 'a> {
    type Item = Node<'t, 'a>;

    #[inline(never)]
    fn next(&mut self) -> Option<Node<'t, 'a>> {
        let node = self.tree.node(NodeId(self.at));
        if self.at >= self.end {
            return None;
        }
        self.at = if self.below { node.end().0 } else { self.at.saturating_add(1) };
        Some(node)
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
    pub fn cells(&self) -> Cells<'a> {
        Cells(self.bytes)
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
    pub fn strings(&self) -> Strings<'a> {
        Strings(self.bytes)
    }
}
