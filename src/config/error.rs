//! Mistakes in a description, each with its place.

use alloc::string::String;
use core::fmt;

use crate::tree::Guess;

/// A mistake and where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", Place(self))]
pub struct ConfigError {
    /// The path of the node.
    pub node: String,
    /// The property, if it is about one, even one that is missing.
    pub property: Option<String>,
    /// What is wrong.
    pub what: Mistake,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// The root's `compatible` is another language, or none.
    #[error("this is no cell description of a known version; write compatible = \"bulkhead,cells-v1\"")]
    Schema,
    /// There is no cell.
    #[error("there is no cell; each node below the root is one")]
    NoCells,
    /// There are more than [`super::MAX_CELLS`] cells.
    #[error("there are more than {} cells", super::MAX_CELLS)]
    TooManyCells,
    /// A second cell says `root`.
    #[error("{first} is the root cell already; there can be one")]
    TwoRoots {
        /// The path of the first.
        first: String,
    },
    /// A cell's name with a unit address.
    #[error("a cell has a plain name, without `@`")]
    CellName,
    /// A node in a cell, where there is none to be.
    #[error("a cell has no nodes of its own")]
    UnknownNode,
    /// A property that does not exist.
    #[error("there is no such property{}", Guess(nearest))]
    Unknown {
        /// The nearest one that does.
        nearest: Option<String>,
    },
    /// A name or a value that is reserved for a later version.
    #[error("this version of Bulkhead does not have this yet")]
    NotYet,
    /// A value of a wrong type or outside of its range.
    #[error("expected {expected}")]
    Expected {
        /// What is right.
        expected: &'static str,
    },
    /// A property that must be there is not.
    #[error("this is missing; {reason}")]
    Missing {
        /// Why it must be there, or what to write.
        reason: &'static str,
    },
    /// Two properties that exclude each other.
    #[error("this and `{with}` exclude each other")]
    Conflict {
        /// The other one.
        with: &'static str,
    },
    /// A property that the root cell cannot have.
    #[error("the root cell has all that is left, so it cannot say this")]
    NotInRoot,
    /// A list has something twice.
    #[error("`{name}` is there twice")]
    Twice {
        /// What.
        name: String,
    },
}

struct Place<'e>(&'e ConfigError);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.0.node)?;
        self.0.property.as_ref().map_or(Ok(()), |property| write!(f, "`{property}`: "))
    }
}
