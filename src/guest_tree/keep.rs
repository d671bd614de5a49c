//! Which of the board's nodes a cell's tree has, and how much of each.

use alloc::vec::Vec;

use super::refs::references;
use super::role::{Role, Traits};
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

/// Whose device a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nobody's, or it is no device.
    None,
    /// The cell's.
    Own,
    /// Another cell's.
    Foreign,
}

/// The owner of each node.
pub(super) struct Owners(Vec<Owner>);

impl Owners {
    /// Nobody has anything yet.
    pub(super) fn new(tree: &Tree<'_>) -> Self {
        Self(alloc::vec![Owner::None; tree.node_count()])
    }

    pub(super) fn mark(&mut self, devices: &[NodeId], owner: Owner) {
        for id in devices {
            if let Some(place) = self.0.get_mut(id.index()) {
                *place = owner;
            }
        }
    }

    pub(super) fn of(&self, id: NodeId) -> Owner {
        self.0.get(id.index()).copied().unwrap_or(Owner::None)
    }
}

/// What decides.
pub(super) struct Sources<'s> {
    pub(super) root: bool,
    pub(super) gic: NodeId,
    pub(super) owners: Owners,
    /// The cell's CPU nodes by vCPU.
    pub(super) cpus: &'s [NodeId],
}

/// The nodes that are kept; the root node always is.
pub(super) struct Kept<'s, 't, 'a> {
    tree: &'t Tree<'a>,
    sources: &'s Sources<'s>,
    /// All of the board's nodes, in tree order.
    nodes: Vec<(Traits, Option<Fate>)>,
}

impl<'s, 't, 'a> Kept<'s, 't, 'a> {
    pub(super) fn select(tree: &'t Tree<'a>, sources: &'s Sources<'s>) -> Self {
        let mut kept = Self { tree, sources, nodes: Vec::with_capacity(tree.node_count()) };
        for node in tree.nodes() {
            let (traits, fate) = match node.parent().map(|p| kept.entry(p.id())) {
                Some((above, in_whole)) => {
                    let traits = above.below(node, sources);
                    let own = traits.available && kept.is_own(node, traits, in_whole == Some(Fate::Whole));
                    (traits, own.then_some(Fate::Whole))
                }
                None => (Traits::of_root(), Some(if sources.root { Fate::Whole } else { Fate::Bus })),
            };
            kept.nodes.push((traits, fate));
        }
        while kept.drop_orphan() {}
        kept.follow_references();
        kept.add_ancestors();
        kept
    }

    pub(super) fn fate(&self, id: NodeId) -> Option<Fate> {
        self.entry(id).1
    }

    pub(super) fn role(&self, id: NodeId) -> Role {
        self.entry(id).0.role
    }

    pub(super) fn is_whole(&self, id: NodeId) -> bool {
        self.fate(id) == Some(Fate::Whole)
    }

    fn entry(&self, id: NodeId) -> (Traits, Option<Fate>) {
        self.nodes.get(id.index()).copied().unwrap_or((Traits::of_root(), None))
    }

    fn set(&mut self, id: NodeId, fate: Option<Fate>) {
        if let Some(entry) = self.nodes.get_mut(id.index()) {
            entry.1 = fate;
        }
    }

    /// The nodes that are kept so far.
    fn so_far(&self) -> Vec<NodeId> {
        let mut kept = Vec::new();
        for node in self.tree.nodes() {
            if self.fate(node.id()).is_some() {
                kept.push(node.id());
            }
        }
        kept
    }

    fn is_own(&self, node: Node<'_, '_>, traits: Traits, in_whole: bool) -> bool {
        match traits.role {
            Role::Ours => false,
            // The other cells have theirs at the top of the tree.
            Role::Gic | Role::Timer | Role::Pmu => self.sources.root,
            Role::Reserved => self.sources.root && in_whole,
            Role::Ordinary => match self.sources.owners.of(node.id()) {
                Owner::Own => true,
                Owner::Foreign => false,
                Owner::None => {
                    let structure = || !traits.interrupts && !is_opp_table(node);
                    in_whole && !traits.registers && (traits.own || structure())
                }
            },
        }
    }

    /// Takes out something that cannot work here, because what it refers to is not in the tree: `gpio-keys` without
    /// its controller. Tells whether there was one.
    fn drop_orphan(&mut self) -> bool {
        let gone = |target: &NodeId| {
            let (traits, fate) = self.entry(*target);
            traits.role == Role::Ordinary && traits.available && fate.is_none() && {
                // The root cell has all the structure there is by now, the others get what they refer to later.
                let root = self.sources.root;
                if root { !is_opp_table(self.tree.node(*target)) } else { !traits.is_structure() }
            }
        };
        let orphan = |node: &Node<'_, '_>| {
            let (traits, fate) = self.entry(node.id());
            fate.is_some() && traits.is_structure() && references(self.tree, *node).iter().any(gone)
        };
        let Some(mut node) = self.tree.nodes().find(orphan) else { return false };
        // With its last part a device goes too.
        while let Some(parent) = node.parent() {
            let kept = |child: Node<'_, '_>| child.id() != node.id() && self.fate(child.id()).is_some();
            let device = parent.has("compatible") && parent.parent().is_some();
            if parent.children().any(kept) || !device || !self.entry(parent.id()).0.is_structure() {
                break;
            }
            node = parent;
        }
        for below in node.and_below() {
            self.set(below.id(), None);
        }
        true
    }

    /// Brings in what the kept nodes and the CPUs refer to.
    fn follow_references(&mut self) {
        let mut work = self.so_far();
        work.extend_from_slice(self.sources.cpus);
        while let Some(id) = work.pop() {
            let node = self.tree.node(id);
            if node.parent().is_none() {
                continue;
            }
            let is_cpu = self.sources.cpus.contains(&id);
            for id in references(self.tree, node) {
                let (target, (traits, fate)) = (self.tree.node(id), self.entry(id));
                let no_cache = is_cpu && !target.is_compatible("cache");
                if fate.is_some() || traits.role != Role::Ordinary || no_cache {
                    continue;
                }
                if !(traits.available && traits.is_structure()) {
                    self.set(id, Some(Fate::Stub));
                    continue;
                }
                for part in target.and_below() {
                    if self.entry(part.id()).0.available {
                        self.set(part.id(), Some(Fate::Whole));
                        work.push(part.id());
                    }
                }
            }
        }
    }

    fn add_ancestors(&mut self) {
        for id in self.so_far() {
            for above in self.tree.node(id).ancestors() {
                if self.fate(above.id()).is_some() {
                    // Those above it are kept, or will be.
                    break;
                }
                let bus = !above.has("reg") || above.has("ranges");
                let bus = bus && above.is_available();
                self.set(above.id(), Some(if bus { Fate::Bus } else { Fate::Stub }));
            }
        }
    }
}

/// Operating points: those of the CPUs are not a guest's business, so a table comes only with a device that has it.
fn is_opp_table(node: Node<'_, '_>) -> bool {
    node.compatibles().any(|c| c.starts_with("operating-points-v2"))
}
