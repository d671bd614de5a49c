//! Things that a tree must not have twice: otherwise a name could mean one thing to Bulkhead and another to a guest.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{NodeId, Tree, TreeError};
use crate::sort;

/// The most names of a node that are compared with each other; more are refused as if they were the same.
const MAX_TWINS: usize = 64;

/// Looks for siblings and properties of one name.
pub(super) fn check_names(tree: &Tree<'_>) -> Result<(), TreeError> {
    let mut names = Vec::new();
    let mut hashes = Vec::new();
    for node in tree.nodes() {
        let mut twice = None;
        for list in [List::Props, List::Children] {
            names.clear();
            match list {
                List::Props => names.extend(node.props().iter().map(|prop| prop.name())),
                List::Children => names.extend(node.children().map(|child| child.name())),
            }
            twice = twice.or(find(&names, &mut hashes));
        }
        if let Some(name) = twice {
            let mut path = node.path();
            if !path.ends_with('/') {
                path.push('/');
            }
            path.push_str(name);
            return Err(TreeError::Twice { path });
        }
    }
    Ok(())
}

/// What a node has that have names.
enum List {
    Props,
    Children,
}

/// A name that comes twice. Sorted hashes show whether there is one, without comparing each with each.
fn find<'a>(names: &[&'a str], hashes: &mut Vec<u64>) -> Option<&'a str> {
    hashes.clear();
    hashes.extend(names.iter().map(|name| hash(name)));
    sort::numbers(hashes);
    if !has_equal_neighbours(hashes) {
        return None;
    }
    // Only what shares its hash is compared. Names that differ can be made to, but not by chance.
    let mut suspects: Vec<&str> = Vec::new();
    for name in names {
        let hash = hash(name);
        let first = hashes.partition_point(|other| *other < hash);
        if hashes.get(first.saturating_add(1)) != Some(&hash) {
            continue;
        }
        if suspects.contains(name) || suspects.len() >= MAX_TWINS {
            return Some(name);
        }
        suspects.push(name);
    }
    None
}

fn has_equal_neighbours(hashes: &[u64]) -> bool {
    hashes.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
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
        for prop in node.props() {
            if matches!(prop.name(), "phandle" | "linux,phandle")
                && let Some(phandle) = prop.u32().filter(|phandle| !matches!(*phandle, 0 | u32::MAX))
            {
                phandles.push(u64::from(phandle) << 32 | u64::from(node.id().0));
            }
        }
    }
    sort::numbers(&mut phandles);
    phandles.dedup();
    for pair in phandles.windows(2) {
        if let [a, b] = pair
            && a >> 32 == b >> 32
        {
            let path = |entry: &u64| tree.node(NodeId(*entry as u32)).path();
            return Err(TreeError::PhandleTwice {
                phandle: (a >> 32) as u32,
                nodes: Box::new((path(a), path(b))),
            });
        }
    }
    Ok(phandles)
}
