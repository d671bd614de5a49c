//! Device-tree overlays, as far as a cell's tree takes them: each fragment names its target by path, and what it holds is
//! laid over the node there. What the path names and is not there is made; what both have, the overlay says.
//!
//! `dtc` writes such fragments for `&{/path} { ... };` behind `/plugin/;`. References to labels would have to be resolved
//! against a tree that has none, so they are refused.

use alloc::vec::Vec;

use super::GuestTreeError;
use super::fdt::Fdt;
use crate::tree::{Node, Tree};

/// The most fragments.
pub const MAX_FRAGMENTS: usize = 16;
/// The most names in a target's path.
const MAX_NAMES: usize = 16;

/// Why a tree is no overlay that can be used, and what to do.
pub fn objection(overlay: &Tree<'_>) -> Option<&'static str> {
    let mut number = 0_usize;
    for node in overlay.root().children() {
        match node.name() {
            "__symbols__" => continue,
            "__fixups__" | "__local_fixups__" => {
                return Some("it refers to labels; name its targets as &{/path} and use no references");
            }
            _ => {}
        }
        number = number.saturating_add(1);
        let Some((target, _)) = fragment(&node) else {
            return Some("a fragment has no `target-path` or no `__overlay__`; name its target as &{/path}");
        };
        let names = || target.split('/').skip(1);
        let fine = target == "/" || target.starts_with('/') && names().all(|name| !name.is_empty());
        if !fine || names().count() > MAX_NAMES {
            return Some("a `target-path` is no path of 1 to 16 names, like \"/chosen\"");
        }
    }
    match number {
        0 => Some("it has no fragment; write /plugin/; and then &{/path} { ... };"),
        1..=MAX_FRAGMENTS => None,
        _ => Some("it has more than 16 fragments; put what has the same target into one"),
    }
}

/// A tree with an overlay that nobody objects to, unless the two together are no tree.
pub(super) fn apply(tree: &[u8], overlay: &Tree<'_>) -> Result<Vec<u8>, GuestTreeError> {
    let mut bytes = tree.to_vec();
    for node in overlay.root().children() {
        let Some((target, overlay)) = fragment(&node) else { continue };
        let tree = Tree::parse(&bytes).map_err(|_| GuestTreeError::Overlay)?;
        let mut fdt = Fdt::new();
        merge(&mut fdt, "", Some(tree.root()), Some((overlay, target.trim_start_matches('/'))));
        bytes = fdt.finish().ok_or(GuestTreeError::NoMemory)?;
    }
    Tree::parse(&bytes).map_err(|_| GuestTreeError::Overlay)?;
    Ok(bytes)
}

/// A fragment's target and what is to be laid over it.
fn fragment<'t, 'a>(node: &Node<'t, 'a>) -> Option<(&'a str, Node<'t, 'a>)> {
    let target = node.prop("target-path")?.str()?;
    Some((target, node.children().find(|child| child.name() == "__overlay__")?))
}

/// Writes a node: what is there, and what is to be laid over the node that the path leads to from here. The depth is that of
/// two trees and a path.
fn merge<'n>(
    fdt: &mut Fdt<'n>,
    name: &str,
    base: Option<Node<'n, 'n>>,
    over: Option<(Node<'n, 'n>, &'n str)>,
) {
    let here = over.filter(|(_, path)| path.is_empty()).map(|(node, _)| node);
    let of_child = |name: &str| match (here, over) {
        (Some(here), _) => here.children().find(|child| child.name() == name).map(|child| (child, "")),
        (None, Some((node, path))) => {
            let (next, rest) = path.split_once('/').unwrap_or((path, ""));
            (next == name).then_some((node, rest))
        }
        (None, None) => None,
    };
    fdt.begin_node(name);
    for prop in base.map_or(&[][..], |base| base.props()) {
        if here.is_none_or(|here| !replaces(&here, prop.name())) {
            fdt.property(prop.name(), prop.bytes());
        }
    }
    for prop in here.map_or(&[][..], |here| here.props()) {
        if !is_phandle(prop.name()) {
            fdt.property(prop.name(), prop.bytes());
        }
    }
    for child in base.iter().flat_map(|base| base.children()) {
        merge(fdt, child.name(), Some(child), of_child(child.name()));
    }
    let is_new = |name: &str| base.is_none_or(|base| base.children().all(|child| child.name() != name));
    match (here, over) {
        (Some(here), _) => {
            for child in here.children().filter(|child| is_new(child.name())) {
                merge(fdt, child.name(), None, Some((child, "")));
            }
        }
        (None, Some((_, path))) => {
            let next = path.split('/').next().unwrap_or(path);
            if is_new(next) {
                merge(fdt, next, None, of_child(next));
            }
        }
        (None, None) => {}
    }
    fdt.end_node();
}

fn replaces(over: &Node<'_, '_>, name: &str) -> bool {
    !is_phandle(name) && over.prop(name).is_some()
}

/// Phandles are the tree's own; an overlay has its own where its nodes have labels, and nobody refers to them.
fn is_phandle(name: &str) -> bool {
    matches!(name, "phandle" | "linux,phandle")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::sample::{Sample, node};

    fn fragment(target: &str, over: Sample) -> Sample {
        node(&format!("fragment@{}", target.len())).text("target-path", [target]).child(over)
    }

    fn overlay() -> Sample {
        node("__overlay__")
    }

    fn objection_to(root: Sample) -> Option<&'static str> {
        objection(&Tree::parse(&root.blob()).unwrap())
    }

    #[test]
    fn nodes_and_properties_are_added_and_replaced() {
        let base = node("")
            .text("model", ["a"])
            .child(node("chosen").text("bootargs", ["quiet"]).cells("phandle", [1]))
            .child(node("soc").child(node("uart@0").text("status", ["okay"])));
        let chosen = overlay().text("bootargs", ["loud"]).cells("phandle", [9]).flag("new");
        let uart = overlay().text("status", ["disabled"]).child(node("below").flag("x"));
        let over = node("")
            .child(fragment("/chosen", chosen))
            .child(fragment("/soc/uart@0", uart))
            .child(fragment("/", overlay().child(node("soc").flag("y")).child(node("z"))))
            .child(fragment("/a/b", overlay().flag("c")))
            .blob();
        let over = Tree::parse(&over).unwrap();
        assert_eq!(objection(&over), None);
        let bytes = apply(&base.blob(), &over).unwrap();
        let tree = Tree::parse(&bytes).unwrap();
        let paths: Vec<_> = tree.nodes().map(|node| node.path()).collect();
        assert_eq!(paths, ["/", "/chosen", "/soc", "/soc/uart@0", "/soc/uart@0/below", "/z", "/a", "/a/b"]);
        let text = |path: &str, name: &str| tree.at(path).unwrap().prop(name).unwrap().str();
        assert_eq!(text("/", "model"), Some("a"));
        assert_eq!(text("/chosen", "bootargs"), Some("loud"));
        assert_eq!(text("/soc/uart@0", "status"), Some("disabled"));
        assert_eq!(tree.at("/chosen").unwrap().prop("phandle").unwrap().u32(), Some(1));
        assert!(tree.at("/soc").unwrap().prop("y").is_some() && tree.at("/a/b").unwrap().prop("c").is_some());
        assert!(tree.at("/chosen").unwrap().prop("new").is_some());
    }

    #[test]
    fn what_cannot_be_laid_over_is_refused() {
        let says = |root, what: &str| assert!(objection_to(root).unwrap().contains(what), "{what}");
        says(node(""), "no fragment");
        says(node("").child(node("chosen").flag("x")), "no `target-path`");
        says(node("").child(node("fragment@0").text("target-path", ["/"])), "no `__overlay__`");
        says(node("").child(fragment("chosen", overlay())), "no path");
        says(node("").child(fragment("/a//b", overlay())), "no path");
        says(node("").child(fragment(&"/a".repeat(17), overlay())), "no path");
        assert_eq!(objection_to(node("").child(fragment(&"/a".repeat(16), overlay()))), None);
        let many = (0..=MAX_FRAGMENTS).fold(node(""), |root, n| {
            root.child(node(&format!("f{n}")).text("target-path", ["/"]).child(overlay()))
        });
        says(many, "more than 16");
    }

    #[test]
    fn a_tree_that_would_be_too_deep_is_none() {
        let deep = |n: usize| (0..n).fold(node("leaf"), |below, _| node("n").child(below));
        let base = node("").child(deep(28)).blob();
        let over = node("").child(fragment("/a/b/c/d/e/f", overlay().child(deep(28)))).blob();
        assert_eq!(apply(&base, &Tree::parse(&over).unwrap()), Err(GuestTreeError::Overlay));
    }
}
