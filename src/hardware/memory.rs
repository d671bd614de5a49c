//! Memory, and what of it is spoken for (Devicetree Specification 3.4 and 3.5).

use alloc::vec::Vec;

use super::HardwareError;
use crate::addr::{Pa, Span};
use crate::plan::spans::SpanSet;
use crate::tree::{Node, NodeId, Tree};

/// A static region of /reserved-memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// Its node.
    pub node: NodeId,
    /// One entry of its `reg`.
    pub span: Span<Pa>,
}

pub(super) fn is_memory(node: &Node<'_, '_>) -> bool {
    node.base_name() == "memory" || node.says("device_type", "memory")
}

pub(super) fn banks(tree: &Tree<'_>, errors: &mut Vec<HardwareError>) -> Vec<Span<Pa>> {
    let mut banks = Vec::new();
    for node in tree.root().children().filter(|n| is_memory(n) && n.is_available()) {
        for entry in node.reg() {
            // Loaders leave entries of no size behind when they fill in what there is.
            banks.extend(entry);
        }
    }
    if banks.is_empty() {
        errors.push(HardwareError::NoMemory);
    }
    SpanSet::from_iter(banks).iter().collect()
}

pub(super) fn reserved(tree: &Tree<'_>) -> Vec<Reserved> {
    let parent = tree.at("/reserved-memory");
    let nodes = parent.iter().flat_map(Node::children).filter(Node::is_available);
    nodes.flat_map(|n| n.reg().flatten().map(move |span| Reserved { node: n.id(), span })).collect()
}
