//! From a name in a description to the board's node.

use alloc::string::String;
use alloc::vec::Vec;

use super::nearest::{Guess, Nearest};
use super::{Node, Tree};
use crate::refusal::{Code, code};

/// Why a name stands for no node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// No alias, label, path or node name is like that.
    #[error("the board has no `{name}`{}", Guess(nearest))]
    NotFound {
        /// The name.
        name: String,
        /// The nearest name that there is.
        nearest: Option<String>,
    },
    /// More than one node has that name.
    #[error("`{name}` could be any of {}; give the full path", .candidates.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// The paths of all that have it, in tree order.
        candidates: Vec<String>,
    },
}

impl ResolveError {
    /// Its number.
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => code::NAME_UNKNOWN,
            Self::Ambiguous { .. } => code::NAME_AMBIGUOUS,
        }
    }

    /// The board's nodes that it is about.
    pub fn candidates(&self) -> &[String] {
        match self {
            Self::NotFound { .. } => &[],
            Self::Ambiguous { candidates, .. } => candidates,
        }
    }
}

impl<'a> Tree<'a> {
    /// The node that a description means by a name: a full path, an alias, a label (of a tree compiled with `-@`), a
    /// node name, or a node name without its unit address. Where several nodes share a name, those that are disabled
    /// do not count, unless all of them are. The node may be disabled.
    ///
    /// # Errors
    /// [`ResolveError`] if there is no such node, or more than one.
    pub fn resolve(&self, name: &str) -> Result<Node<'_, 'a>, ResolveError> {
        let readings = [Reading::Path, Reading::Label, Reading::Name, Reading::BaseName];
        // Each node is looked at twice; below the bound there is only what needs no search.
        let all = self.spend(self.nodes.len());
        for reading in readings.into_iter().take(if all { 4 } else { 2 }) {
            if let Some(node) = only(name, &self.read_as(name, reading))? {
                return Ok(node);
            }
        }
        Err(self.not_found(name))
    }

    /// All nodes that a name stands for when it is read so.
    fn read_as(&self, name: &str, reading: Reading) -> Vec<Node<'_, 'a>> {
        let mut found = Vec::new();
        match reading {
            Reading::Path => push(&mut found, self.at(name)),
            Reading::Label => {
                push(&mut found, self.alias(name));
                push(&mut found, self.label(name));
            }
            Reading::Name | Reading::BaseName => {
                for node in self.root().descendants() {
                    let own = if reading == Reading::Name { node.name() } else { node.base_name() };
                    push(&mut found, (own == name).then_some(node));
                }
            }
        }
        found
    }

    /// What a label stands for (`/__symbols__`).
    fn label(&self, name: &str) -> Option<Node<'_, 'a>> {
        self.at(self.at("/__symbols__")?.prop(name)?.str()?)
    }

    fn not_found(&self, name: &str) -> ResolveError {
        if !self.spend(self.nodes.len().saturating_mul(64)) {
            return ResolveError::NotFound { name: name.into(), nearest: None };
        }
        let mut nearest = Nearest::to(name);
        let path = name.starts_with('/');
        for list in ["/aliases", "/__symbols__"] {
            let props = self.at(list).map_or(&[][..], |node| node.props());
            props.iter().filter(|_| !path).for_each(|prop| nearest.offer(prop.name()));
        }
        // Paths are made one by one; the nearest is made again.
        let mut node_of_path = None;
        for node in self.root().descendants() {
            if !path {
                nearest.offer(node.name());
                nearest.offer(node.base_name());
            } else if nearest.is_nearer(&node.path()) {
                node_of_path = Some(node);
            }
        }
        let nearest =
            node_of_path.map_or_else(|| nearest.found().map(String::from), |node| Some(node.path()));
        ResolveError::NotFound { name: name.into(), nearest }
    }
}

/// What a name may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Path,
    Label,
    Name,
    BaseName,
}

fn push<'t, 'a>(found: &mut Vec<Node<'t, 'a>>, node: Option<Node<'t, 'a>>) {
    if let Some(node) = node
        && found.last().is_none_or(|last| last.id() != node.id())
    {
        found.push(node);
    }
}

/// The only candidate, or the only one that is enabled.
fn only<'t, 'a>(name: &str, all: &[Node<'t, 'a>]) -> Result<Option<Node<'t, 'a>>, ResolveError> {
    let mut enabled = Vec::new();
    for node in all {
        push(&mut enabled, is_enabled(node).then_some(*node));
    }
    match if enabled.is_empty() { all } else { &enabled } {
        [] => Ok(None),
        [node] => Ok(Some(*node)),
        many => Err(ResolveError::Ambiguous {
            name: name.into(),
            candidates: many.iter().map(Node::path).collect(),
        }),
    }
}

fn is_enabled(node: &Node<'_, '_>) -> bool {
    node.is_available() && node.ancestors().all(|ancestor| ancestor.is_available())
}
