//! Which nodes a node refers to by phandle. A property does not say that it holds phandles; its name does, by the
//! bindings (Devicetree Specification 2.3 and 2.4, and the bindings of the subsystems).

use alloc::vec::Vec;

use crate::tree::{Cells, Node, NodeId, Prop, Tree};

/// Lists of a phandle and as many cells as the node behind it says in this property of its own.
const WITH_ARGUMENTS: [(&str, &str); 21] = [
    ("access-controllers", "#access-controller-cells"),
    ("assigned-clock-parents", "#clock-cells"),
    ("assigned-clocks", "#clock-cells"),
    ("clocks", "#clock-cells"),
    ("dmas", "#dma-cells"),
    ("gpio", "#gpio-cells"),
    ("gpios", "#gpio-cells"),
    ("hwlocks", "#hwlock-cells"),
    ("interconnects", "#interconnect-cells"),
    ("interrupts-extended", "#interrupt-cells"),
    ("io-channels", "#io-channel-cells"),
    ("mboxes", "#mbox-cells"),
    ("mux-controls", "#mux-control-cells"),
    ("nvmem-cells", "#nvmem-cell-cells"),
    ("phys", "#phy-cells"),
    ("power-domains", "#power-domain-cells"),
    ("pwms", "#pwm-cells"),
    ("resets", "#reset-cells"),
    ("sound-dai", "#sound-dai-cells"),
    ("thermal-sensors", "#thermal-sensor-cells"),
    ("trigger-sources", "#trigger-source-cells"),
];

/// Lists of nothing but phandles; those that end in `-supply` and those of the form `pinctrl-0` are too.
const PLAIN: [&str; 13] = [
    "backlight",
    "ddc-i2c-bus",
    "i2c-parent",
    "interrupt-parent",
    "memory-region",
    "next-level-cache",
    "operating-points-v2",
    "panel",
    "phy-handle",
    "power-supplies",
    "remote-endpoint",
    "required-opps",
    "syscon",
];

/// The nodes that a node's properties refer to, in order, with repetitions.
pub(super) fn references(tree: &Tree<'_>, node: Node<'_, '_>) -> Vec<NodeId> {
    let mut found = Vec::new();
    if !tree.spend(node.props().len()) {
        return found;
    }
    // Most properties hold no phandles, and most of those can be told by their size.
    for prop in node.props().iter().filter(|p| !p.bytes().is_empty() && p.bytes().len().is_multiple_of(4)) {
        if let Some(cells) = arguments_of(prop.name()) {
            for target in targets(tree, prop, cells) {
                found.push(target.id());
            }
        }
    }
    found
}

/// How a property's phandles are followed by arguments: the name of the property that counts them, "" for none.
fn arguments_of(name: &str) -> Option<&'static str> {
    if matches!(name, "compatible" | "interrupts" | "phandle" | "ranges" | "reg") || name.starts_with('#') {
        return None;
    }
    if let Ok(at) = WITH_ARGUMENTS.binary_search_by_key(&name, |(name, _)| name) {
        return WITH_ARGUMENTS.get(at).map(|(_, cells)| *cells);
    }
    let pinctrl = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
    if name.ends_with("-gpios") || name.ends_with("-gpio") {
        Some("#gpio-cells")
    } else if PLAIN.contains(&name)
        || name.ends_with("-supply")
        || name.strip_prefix("pinctrl-").is_some_and(pinctrl)
    {
        Some("")
    } else {
        None
    }
}

/// The nodes in a list of phandles, each followed by the arguments that the node's property `cells` counts. Ends at
/// the first phandle that names no node.
pub(super) fn targets<'t, 'a>(tree: &'t Tree<'a>, prop: &Prop<'a>, cells: &'static str) -> Targets<'t, 'a> {
    Targets { tree, left: prop.cells(), cells }
}

/// See [`targets`].
pub(super) struct Targets<'t, 'a> {
    tree: &'t Tree<'a>,
    left: Cells<'a>,
    cells: &'static str,
}

impl<'t, 'a> Iterator for Targets<'t, 'a> {
    type Item = Node<'t, 'a>;

    #[inline(never)]
    fn next(&mut self) -> Option<Node<'t, 'a>> {
        loop {
            // 0 and all ones hold the place of an entry that is not there.
            let phandle = self.left.next()?;
            if matches!(phandle, 0 | u32::MAX) {
                continue;
            }
            let node = self.tree.phandle(phandle)?;
            let arguments = if self.cells.is_empty() { 0 } else { node.number(self.cells).unwrap_or(0) };
            // Where there are fewer, there is nothing behind them.
            if self.left.take_bytes(arguments).is_none() {
                self.left = Cells(&[]);
            }
            return Some(node);
        }
    }
}
