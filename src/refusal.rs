//! What all refusals have in common: a number that stays the same from version to version, and the places that are at fault.
//!
//! docs/refusals.md has a page on each number.

mod codes;
mod refused;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub use codes::{CODES, code};
pub use refused::{Refused, Sentence};
pub(crate) use refused::{refuse, sentences};

/// A refusal's number, shown as `BH0123`; `bulkhead explain` has a page on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BH{:04}", self.0)
    }
}

/// Where a culprit stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the description.
    Description {
        /// The node's path.
        node: String,
        /// The property, even one that is missing.
        property: Option<String>,
    },
    /// In the board's tree.
    Board {
        /// The node's path.
        node: String,
    },
    /// A file of the archive.
    File {
        /// Its name.
        name: String,
    },
}

impl Place {
    /// A cell's node in the description.
    pub(crate) fn cell(name: &str, property: Option<&str>) -> Self {
        Self::Description { node: alloc::format!("/{name}"), property: property.map(String::from) }
    }

    /// A node of the board.
    pub(crate) fn board(path: &str) -> Self {
        Self::Board { node: path.into() }
    }

    /// A file of the archive.
    pub(crate) fn file(name: &str) -> Self {
        Self::File { name: name.into() }
    }
}

/// Something that is refused. Its `Display` says what is wrong and what to do, in one line, without the code.
pub trait Refusal: fmt::Display {
    /// Its number.
    fn code(&self) -> Code;

    /// The main culprit first, then all others, on both sides; empty where the text has all that is known.
    fn places(&self) -> Vec<Place>;
}

/// A refusal with its number before it, as boot prints it.
#[derive(Clone, Copy, Debug)]
pub struct Coded<'r, R>(pub &'r R);

impl<R: Refusal> fmt::Display for Coded<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn numbers_rise_and_have_four_digits() {
        assert!(CODES.is_sorted_by(|a, b| a < b));
        assert_eq!(code::SCHEMA.to_string(), "BH0001");
        assert_eq!(code::PLAN_BUG.to_string(), "BH0901");
    }

    #[test]
    fn each_number_has_one_section_in_the_documentation() {
        let pages = include_str!("../docs/refusals.md");
        let sections: Vec<&str> = pages.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        for code in CODES {
            let own = sections.iter().filter(|title| title.starts_with(&format!("{code}: "))).count();
            assert_eq!(own, 1, "{code}");
        }
        assert_eq!(sections.len(), CODES.len(), "a section of no number");
    }
}
