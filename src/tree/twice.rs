//! Things that a tree must not have twice: otherwise a name could mean one thing to Bulkhead and another to a guest.

use alloc::vec::Vec;

use super::{NodeId, Tree, TreeError};
use crate::sort;

/// The most names of a node that are compared with each other.
const MAX_TWINS: usize = 64;

/// Looks for siblings and properties of one name.
pub(super) fn check_names(tree: &Tree<'_>) -> Result<(), TreeError> {
    let mut hashes = Vec::new();
    for node in tree.nodes() {
        let name = find(&mut hashes, || node.props().iter().map(|prop| prop.name()))
            .or_else(|| find(&mut hashes, || node.children().map(|child| child.name())));
        if let Some(name) = name {
            return Err(TreeError::Twice {
                path: alloc::format!("{}/{name}", node.path().trim_end_matches('/')),
            });
        }
    }
    Ok(())
}

/// A name that comes twice. Sorted hashes show whether there is one, without comparing each with each.
fn find<'a, I: Iterator<Item = &'a str>>(hashes: &mut Vec<u64>, names: impl Fn() -> I) -> Option<&'a str> {
    hashes.clear();
    hashes.extend(names().map(hash));
    sort::numbers(hashes);
    if !has_equal_neighbours(hashes) {
        return None;
    }
    // Equal hashes can be made for names that differ, so each name is compared with those of its hash only, and these
    // are few or the tree is refused for it.
    let twins: Vec<u64> =
        hashes.iter().zip(hashes.iter().skip(1)).filter(|(a, b)| a == b).map(|(a, _)| *a).collect();
    let suspects = || names().filter(|name| twins.binary_search(&hash(name)).is_ok());
    let same = suspects().take(MAX_TWINS).enumerate();
    let same = same.filter(|(at, name)| suspects().take(*at).any(|other| other == *name));
    same.map(|(_, name)| name).next().or_else(|| suspects().nth(MAX_TWINS))
}

fn has_equal_neighbours(hashes: &[u64]) -> bool {
    hashes.iter().zip(hashes.iter().skip(1)).any(|(a, b)| a == b)
}

/// FNV-1a.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// All phandles, each with its node in the lower half. 0 and -1 are none (Devicetree Specification 2.3.3).
pub(super) fn sorted_phandles(tree: &Tree<'_>) -> Result<Vec<u64>, TreeError> {
    let mut phandles = Vec::new();
    for node in tree.nodes() {
        let named = node.props().iter().filter(|prop| matches!(prop.name(), "phandle" | "linux,phandle"));
        for phandle in named.filter_map(|prop| prop.u32()).filter(|phandle| !matches!(*phandle, 0 | u32::MAX))
        {
            phandles.push(u64::from(phandle) << 32 | u64::from(node.id().0));
        }
    }
    sort::numbers(&mut phandles);
    phandles.dedup();
    let same = phandles.iter().zip(phandles.iter().skip(1)).find(|(a, b)| *a >> 32 == *b >> 32);
    match same {
        None => Ok(phandles),
        Some((a, b)) => Err(TreeError::PhandleTwice {
            phandle: (*a >> 32) as u32,
            nodes: [*a, *b].map(|entry| tree.node(NodeId(entry as u32)).path()),
        }),
    }
}
