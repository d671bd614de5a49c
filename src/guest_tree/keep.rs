//! Which of the board's nodes a cell's tree has, and how much of each.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::refs::references;
use super::role::{Role, has_interrupts, is_mmio, role};
use crate::hardware::is_passive;
use crate::tree::{Node, NodeId, Tree};

/// How much of a node is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// All of it.
    Whole,
    /// A bus on the way to a device: it hands addresses on and does nothing else.
    Bus,
    /// Somebody else's, or disabled on the board, but referred to: it is there so that the phandle leads somewhere,
    /// and disabled.
    Stub,
}

/// What decides.
pub(super) struct Sources<'s> {
    pub(super) root: bool,
    pub(super) gic: NodeId,
    /// The cell's devices.
    pub(super) own: BTreeSet<NodeId>,
    /// The other cells' devices.
    pub(super) foreign: BTreeSet<NodeId>,
    /// The cell's CPU nodes by vCPU.
    pub(super) cpus: &'s [NodeId],
}

/// The nodes that are kept; the root node always is.
pub(super) struct Kept<'s, 't, 'a> {
    tree: &'t Tree<'a>,
    sources: &'s Sources<'s>,
    fates: BTreeMap<NodeId, Fate>,
}

impl<'s, 't, 'a> Kept<'s, 't, 'a> {
    pub(super) fn select(tree: &'t Tree<'a>, sources: &'s Sources<'s>) -> Self {
        let mut kept = Self { tree, sources, fates: BTreeMap::new() };
        kept.fates.insert(tree.root().id(), if sources.root { Fate::Whole } else { Fate::Bus });
        for node in tree.nodes() {
            if node.is_available() && kept.is_own(node) {
                kept.fates.insert(node.id(), Fate::Whole);
            }
        }
        while kept.drop_orphans() {}
        kept.follow_references();
        kept.add_ancestors();
        kept
    }

    pub(super) fn fate(&self, id: NodeId) -> Option<Fate> {
        self.fates.get(&id).copied()
    }

    pub(super) fn is_whole(&self, id: NodeId) -> bool {
        self.fate(id) == Some(Fate::Whole)
    }

    fn role(&self, node: Node<'_, '_>) -> Role {
        role(self.sources.gic, node)
    }

    fn is_own(&self, node: Node<'_, '_>) -> bool {
        let sources = self.sources;
        let in_whole = node.parent().is_some_and(|p| self.is_whole(p.id()));
        match self.role(node) {
            Role::Ours => false,
            // The other cells have theirs at the top of the tree.
            Role::Gic | Role::Timer | Role::Pmu => sources.root,
            Role::Reserved => sources.root && in_whole,
            Role::Ordinary if sources.own.contains(&node.id()) => true,
            Role::Ordinary if sources.foreign.contains(&node.id()) => false,
            Role::Ordinary => {
                let part = node.ancestors().any(|above| sources.own.contains(&above.id()));
                let registers = is_mmio(node) && !is_passive(&node);
                in_whole && !registers && (part || !has_interrupts(node) && !is_opp_table(node))
            }
        }
    }

    /// A clock, a regulator, keys on GPIO lines: nothing that one could access, nor a part of such a thing.
    fn is_structure(&self, node: Node<'_, '_>) -> bool {
        let device = |node: Node<'_, '_>| is_mmio(node) && !is_passive(&node);
        let foreign = |node: Node<'_, '_>| self.sources.foreign.contains(&node.id());
        self.role(node) == Role::Ordinary
            && !has_interrupts(node)
            && !device(node)
            && !foreign(node)
            && !node.ancestors().any(|above| device(above) || foreign(above))
    }

    /// Takes out what cannot work here, because what it refers to is not in the tree: `gpio-keys` without its
    /// controller. Tells whether anything went.
    fn drop_orphans(&mut self) -> bool {
        let gone = |target: &NodeId| {
            let node = self.tree.node(*target);
            let disabled = !node.is_available() || node.ancestors().any(|above| !above.is_available());
            // The root cell has all the structure there is by now, the others get what they refer to later.
            let later = if self.sources.root { is_opp_table(node) } else { self.is_structure(node) };
            self.role(node) == Role::Ordinary && !disabled && !self.fates.contains_key(target) && !later
        };
        let orphan = |id: &&NodeId| {
            let node = self.tree.node(**id);
            self.is_structure(node) && references(self.tree, node).iter().any(gone)
        };
        let Some(id) = self.fates.keys().find(orphan).copied() else { return false };
        let mut node = self.tree.node(id);
        // With its last part a device goes too.
        while let Some(parent) = node.parent() {
            let alone = !parent
                .children()
                .any(|child| child.id() != node.id() && self.fates.contains_key(&child.id()));
            let device = parent.prop("compatible").is_some() && parent.parent().is_some();
            if !(alone && device && self.is_structure(parent)) {
                break;
            }
            node = parent;
        }
        self.fates.remove(&node.id());
        for below in node.descendants() {
            self.fates.remove(&below.id());
        }
        true
    }

    /// Brings in what the kept nodes and the CPUs refer to.
    fn follow_references(&mut self) {
        let mut work: Vec<NodeId> =
            self.fates.keys().copied().chain(self.sources.cpus.iter().copied()).collect();
        work.retain(|id| *id != self.tree.root().id());
        while let Some(id) = work.pop() {
            let node = self.tree.node(id);
            let is_cpu = self.sources.cpus.contains(&id);
            for target in references(self.tree, node) {
                let target = self.tree.node(target);
                let cache = target.is_compatible("cache");
                if self.fates.contains_key(&target.id())
                    || self.role(target) != Role::Ordinary
                    || is_cpu && !cache
                {
                    continue;
                }
                let whole = target.is_available() && self.is_structure(target);
                self.fates.insert(target.id(), if whole { Fate::Whole } else { Fate::Stub });
                if whole {
                    work.push(target.id());
                    for below in target.descendants().filter(|n| n.is_available()) {
                        self.fates.insert(below.id(), Fate::Whole);
                        work.push(below.id());
                    }
                }
            }
        }
    }

    fn add_ancestors(&mut self) {
        let kept: Vec<NodeId> = self.fates.keys().copied().collect();
        for id in kept {
            for above in self.tree.node(id).ancestors() {
                let bus = above.prop("reg").is_none() || above.prop("ranges").is_some();
                let bus = bus && above.is_available();
                self.fates.entry(above.id()).or_insert(if bus { Fate::Bus } else { Fate::Stub });
            }
        }
    }
}

/// Operating points: those of the CPUs are not a guest's business, so a table comes only with a device that has it.
fn is_opp_table(node: Node<'_, '_>) -> bool {
    node.compatibles().any(|c| c.starts_with("operating-points-v2"))
}
