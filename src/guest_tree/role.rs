//! What the nodes of a board's tree are for.

use super::keep::{Owner, Sources};
use crate::hardware::is_passive;
use crate::tree::Node;

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

/// What is to be known of a node. Each follows from the node itself and its parent's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traits {
    pub(super) role: Role,
    /// Neither it nor a node above it is disabled.
    pub(super) available: bool,
    /// Its children's addresses are in the physical address space.
    hands_on: bool,
    /// It has registers in the physical address space, and is not just a bus.
    pub(super) registers: bool,
    /// It has an interrupt line.
    pub(super) interrupts: bool,
    /// The cell's own device, or a part of one.
    pub(super) own: bool,
    /// Another cell's device, or a part of one.
    pub(super) foreign: bool,
    /// It is, or is part of, something with registers.
    accessible: bool,
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

impl Traits {
    /// The root node's.
    pub(super) fn of_root() -> Self {
        Self {
            role: Role::Ordinary,
            available: true,
            hands_on: true,
            registers: false,
            interrupts: false,
            own: false,
            foreign: false,
            accessible: false,
        }
    }

    pub(super) fn below(self, node: Node<'_, '_>, sources: &Sources<'_>) -> Self {
        let has = |name: &str| node.has(name);
        let owner = sources.owners.of(node.id());
        let own = owner == Owner::Own;
        let registers = self.hands_on && has("reg") && (own || !is_passive(&node));
        let is_pci = || node.says("device_type", "pci");
        Self {
            role: if node.id() == sources.gic { Role::Gic } else { role(self.role, node) },
            available: self.available && node.is_available(),
            hands_on: self.hands_on && has("ranges") && !is_pci(),
            registers,
            interrupts: has("interrupts") || has("interrupts-extended"),
            own: self.own || own,
            foreign: self.foreign || owner == Owner::Foreign,
            accessible: self.accessible || registers,
        }
    }

    /// A clock, a regulator, keys on GPIO lines: nothing that one could access, nor a part of such a thing.
    pub(super) fn is_structure(&self) -> bool {
        self.role == Role::Ordinary && !self.interrupts && !self.accessible && !self.foreign
    }
}

fn role(parent: Role, node: Node<'_, '_>) -> Role {
    match parent {
        Role::Ours | Role::Gic => return Role::Ours,
        Role::Reserved => return Role::Reserved,
        Role::Timer | Role::Pmu | Role::Ordinary => {}
    }
    let name = node.base_name();
    if node.ancestors().nth(1).is_none() {
        let memory = node.says("device_type", "memory");
        if memory || OURS.contains(&name) {
            return Role::Ours;
        }
        if name == "reserved-memory" {
            return Role::Reserved;
        }
    }
    match node.compatibles().find_map(role_of_compatible) {
        // CPU frequencies are not a guest's to change, so CPUs do not cool.
        None if name == "cooling-maps" => Role::Ours,
        Some(Role::Pmu) if !has_private_interrupts(node) => Role::Ordinary,
        Some(role) => role,
        None => Role::Ordinary,
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
