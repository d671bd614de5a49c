//! What the nodes of a board's tree are for.

use crate::tree::{Node, NodeId};

/// What becomes of a node before anybody asks who owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The interrupt controller: every cell has one, with frames of its own.
    Gic,
    /// The architected timer: every cell has it.
    Timer,
    /// A performance monitor with private interrupts only: it comes with the CPUs.
    Pmu,
    /// RAM that the board sets aside: the root cell's.
    Reserved,
    /// Not copied: written anew (CPUs, memory, psci, chosen, aliases), or of no use to a guest.
    Ours,
    /// A device or a part of one, a bus, a clock: as ownership says.
    Ordinary,
}

/// Subtrees at the top that are written anew or were meant for a loader.
const OURS: [&str; 9] = [
    "__fixups__",
    "__local_fixups__",
    "__overrides__",
    "__symbols__",
    "aliases",
    "chosen",
    "cpus",
    "domain-idle-states",
    "idle-states",
];

/// Firmware that is spoken to by SMC: the calls are not forwarded, so the drivers would only complain.
const FIRMWARE: [&str; 6] =
    ["arm,ffa", "arm,scmi-smc", "arm,scmi-smc-param", "arm,sdei-1.0", "linaro,optee-tz", "linaro,scmi-optee"];

/// The role of a node on a board with this interrupt controller.
pub(super) fn role(gic: NodeId, node: Node<'_, '_>) -> Role {
    if node.id() == gic {
        return Role::Gic;
    }
    let own = match node.compatibles().find_map(role_of_compatible) {
        // CPU frequencies are not a guest's to change, so CPUs do not cool.
        None if node.base_name() == "cooling-maps" => Some(Role::Ours),
        Some(Role::Pmu) if !has_private_interrupts(node) => None,
        other => other,
    };
    if let Some(role) = own {
        return role;
    }
    let mut top = node;
    for above in node.ancestors() {
        let rewritten = above.compatibles().find_map(role_of_compatible) == Some(Role::Ours);
        if above.id() == gic || rewritten || above.base_name() == "cooling-maps" {
            return Role::Ours;
        }
        if above.parent().is_some() {
            top = above;
        }
    }
    let memory = top.prop("device_type").and_then(|p| p.str()) == Some("memory");
    match top.base_name() {
        "reserved-memory" => Role::Reserved,
        name if memory || OURS.contains(&name) => Role::Ours,
        _ => Role::Ordinary,
    }
}

fn role_of_compatible(name: &str) -> Option<Role> {
    match name {
        "arm,armv8-timer" | "arm,armv7-timer" => Some(Role::Timer),
        "arm,armv8-pmuv3" => Some(Role::Pmu),
        _ if name.starts_with("arm,") && name.ends_with("-pmu") => Some(Role::Pmu),
        _ if name.starts_with("arm,psci") || FIRMWARE.contains(&name) => Some(Role::Ours),
        _ => None,
    }
}

/// Whether the GIC specifiers in `interrupts` all say PPI (type 1, in specifiers of three cells).
fn has_private_interrupts(node: Node<'_, '_>) -> bool {
    let Some(prop) = node.prop("interrupts") else { return false };
    let mut kinds = prop.cells().step_by(3);
    kinds.all(|kind| kind == 1)
}

/// Whether `reg` is in the physical address space: every bus above hands addresses on.
pub(super) fn is_mmio(node: Node<'_, '_>) -> bool {
    let hands_on = |bus: Node<'_, '_>| {
        bus.parent().is_none()
            || bus.prop("ranges").is_some() && bus.prop("device_type").and_then(|p| p.str()) != Some("pci")
    };
    node.prop("reg").is_some() && node.ancestors().all(hands_on)
}

/// Whether it has an interrupt line.
pub(super) fn has_interrupts(node: Node<'_, '_>) -> bool {
    node.prop("interrupts").is_some() || node.prop("interrupts-extended").is_some()
}
