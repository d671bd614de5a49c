//! From a name in a description to the board's node.

use alloc::string::String;
use alloc::vec::Vec;

use super::nearest::Guess;
use super::{Node, Tree, nearest};
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
        // Each node is looked at twice; below the bound there is nothing.
        let all = self.spend(self.nodes.len());
        let below = || self.nodes().skip(1).filter(|_| all);
        let mut labelled: Vec<_> = self.alias(name).into_iter().chain(self.label(name)).collect();
        labelled.dedup_by_key(|node| node.id());
        let readings = [
            self.at(name).into_iter().collect(),
            labelled,
            below().filter(|node| node.name() == name).collect(),
            below().filter(|node| node.base_name() == name).collect(),
        ];
        for candidates in readings {
            if let Some(node) = only(name, candidates)? {
                return Ok(node);
            }
        }
        Err(self.not_found(name))
    }

    /// What a label stands for (`/__symbols__`).
    fn label(&self, name: &str) -> Option<Node<'_, 'a>> {
        self.at(self.at("/__symbols__")?.prop(name)?.str()?)
    }

    fn not_found(&self, name: &str) -> ResolveError {
        if !self.spend(self.nodes.len().saturating_mul(64)) {
            return ResolveError::NotFound { name: name.into(), nearest: None };
        }
        let props_of =
            |path| self.at(path).map_or(&[][..], |node| node.props()).iter().map(|prop| prop.name());
        let names = self.nodes().skip(1).flat_map(|node| [node.name(), node.base_name()]);
        let known = props_of("/aliases").chain(props_of("/__symbols__")).chain(names);
        let nearest = if name.starts_with('/') {
            let paths: Vec<_> = self.nodes().map(|node| node.path()).collect();
            nearest(name, paths.iter().map(String::as_str)).map(String::from)
        } else {
            nearest(name, known).map(String::from)
        };
        ResolveError::NotFound { name: name.into(), nearest }
    }
}

/// The only candidate, or the only one that is enabled.
fn only<'t, 'a>(name: &str, all: Vec<Node<'t, 'a>>) -> Result<Option<Node<'t, 'a>>, ResolveError> {
    let enabled: Vec<_> = all.iter().copied().filter(is_enabled).collect();
    match (if enabled.is_empty() { all } else { enabled }).as_slice() {
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
