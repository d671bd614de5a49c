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
    let mut banks = SpanSet::default();
    for node in tree.below("/") {
        if is_memory(&node) && node.is_available() {
            // Loaders leave entries of no size behind when they fill in what there is.
            node.reg().flatten().for_each(|span| banks.insert(span));
        }
    }
    if banks.is_empty() {
        errors.push(HardwareError::NoMemory);
    }
    banks.iter().collect()
}

pub(super) fn reserved(tree: &Tree<'_>) -> Vec<Reserved> {
    let mut reserved = Vec::new();
    for node in tree.below("/reserved-memory") {
        if node.is_available() {
            node.reg().flatten().for_each(|span| reserved.push(Reserved { node: node.id(), span }));
        }
    }
    reserved
}
