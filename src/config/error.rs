//! Mistakes in a description, each with its place.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::refusal::{Code, Place, Refusal, code};
use crate::tree::Guess;

/// A mistake and where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", Where(self))]
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
    /// A node where there is none to be.
    #[error("there can be no node here")]
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
    /// A virtual console where the hypervisor has none.
    #[error("the hypervisor has no console to put this on; take out `console = \"none\"` of /hypervisor")]
    NoConsole,
}

impl Mistake {
    fn code(&self) -> Code {
        match self {
            Self::Schema => code::SCHEMA,
            Self::NoCells => code::NO_CELLS,
            Self::TooManyCells => code::TOO_MANY_CELLS,
            Self::TwoRoots { .. } => code::TWO_ROOTS,
            Self::CellName => code::CELL_NAME,
            Self::UnknownNode => code::UNKNOWN_NODE,
            Self::Unknown { .. } => code::UNKNOWN_PROPERTY,
            Self::NotYet => code::NOT_YET,
            Self::Expected { .. } => code::EXPECTED,
            Self::Missing { .. } => code::MISSING,
            Self::Conflict { .. } => code::CONFLICT,
            Self::NotInRoot => code::NOT_IN_ROOT,
            Self::Twice { .. } => code::LISTED_TWICE,
            Self::NoConsole => code::NO_CONSOLE,
        }
    }
}

impl Refusal for ConfigError {
    fn code(&self) -> Code {
        self.what.code()
    }

    fn places(&self) -> Vec<Place> {
        let place = |node: &String, property: Option<&str>| Place::Description {
            node: node.clone(),
            property: property.map(String::from),
        };
        let mut places = Vec::from([place(&self.node, self.property.as_deref())]);
        match &self.what {
            Mistake::TwoRoots { first } => places.push(place(first, Some("root"))),
            Mistake::Conflict { with } => places.push(place(&self.node, Some(with))),
            Mistake::NoConsole => places.push(place(&String::from("/hypervisor"), Some("console"))),
            _ => {}
        }
        places
    }
}

struct Where<'e>(&'e ConfigError);

impl fmt::Display for Where<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.0.node)?;
        self.0.property.as_ref().map_or(Ok(()), |property| write!(f, "`{property}`: "))
    }
}
