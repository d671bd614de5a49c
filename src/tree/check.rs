//! The structure of a flattened tree, proved before anything believes it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::blob::{Blob, Walk, word};
use crate::refusal::{Code, Place, Refusal, code};

/// The largest blob, in bytes: what Linux allows a tree (its arm64 booting.rst, section 2).
pub const MAX_SIZE: usize = 2 << 20;
/// How deep nodes may nest, the root included.
pub const MAX_DEPTH: usize = 32;
/// The most nodes.
pub const MAX_NODES: usize = 16_384;
/// The most properties.
pub const MAX_PROPS: usize = 65_536;
/// The longest name of a node or property, in bytes. The specification says 31, but for unit addresses; trees
/// in the field are not so strict.
pub const MAX_NAME: usize = 255;

/// What is wrong with a blob. `at` counts bytes from the start of the structure block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The magic is wrong, or a block lies outside the blob or is not aligned.
    #[error("this is no flattened device tree: its header is damaged")]
    Header,
    /// A version whose layout is unknown.
    #[error("version {version} of the device-tree format is unknown; 16 and 17 are read")]
    Version {
        /// The version in the header.
        version: u32,
    },
    /// The blob, or its structure block, ends too early.
    #[error("the device tree is cut off")]
    Truncated,
    /// More bytes, nodes or properties than [`MAX_SIZE`], [`MAX_NODES`] or [`MAX_PROPS`].
    #[error("the device tree is larger than 2 MiB, 16384 nodes or 65536 properties")]
    TooBig,
    /// The memory reservation block has no end, or an entry wraps around.
    #[error("the device tree's memory reservations are damaged")]
    Reservations,
    /// A token that does not exist.
    #[error("the device tree is damaged: {token:#x} at offset {at:#x} is no token")]
    Token {
        /// Where.
        at: usize,
        /// What stands there.
        token: u32,
    },
    /// A property outside of a node, or behind a child node.
    #[error("the device tree is damaged: the property at offset {at:#x} is out of place")]
    Misplaced {
        /// Where.
        at: usize,
    },
    /// A name that has no end, is empty, too long or not printable ASCII, or a node's name with a slash.
    #[error("the device tree is damaged: what begins at offset {at:#x} has no proper name")]
    Name {
        /// Where.
        at: usize,
    },
    /// A node ends that did not begin, or the tree ends before its nodes do.
    #[error("the device tree is damaged: nodes do not nest at offset {at:#x}")]
    Unbalanced {
        /// Where.
        at: usize,
    },
    /// Nodes nest deeper than [`MAX_DEPTH`].
    #[error("the device tree nests deeper than 32 nodes at offset {at:#x}")]
    TooDeep {
        /// Where.
        at: usize,
    },
    /// There is no root node.
    #[error("the device tree has no root node")]
    NoRoot,
    /// There is a second root node.
    #[error("the device tree has a second root node at offset {at:#x}")]
    TwoRoots {
        /// Where.
        at: usize,
    },
    /// A node has two children, or two properties, of one name.
    #[error("the device tree has {path} twice")]
    Twice {
        /// The path of the node that has them, and the name.
        path: String,
    },
    /// Two nodes have the same phandle.
    #[error("the device tree gives phandle {phandle:#x} to two nodes, {} and {}", .nodes.0, .nodes.1)]
    PhandleTwice {
        /// The phandle.
        phandle: u32,
        /// The nodes' paths.
        nodes: Box<(String, String)>,
    },
}

impl Refusal for TreeError {
    fn code(&self) -> Code {
        match self {
            Self::Version { .. } => code::TREE_VERSION,
            Self::TooBig | Self::TooDeep { .. } => code::TREE_TOO_BIG,
            Self::Twice { .. } => code::TREE_NAME_TWICE,
            Self::PhandleTwice { .. } => code::PHANDLE_TWICE,
            _ => code::TREE_DAMAGED,
        }
    }

    /// Nodes are taken for the board's; whoever has read another tree knows better.
    fn places(&self) -> Vec<Place> {
        match self {
            Self::Twice { path } => Vec::from([Place::board(path)]),
            Self::PhandleTwice { nodes, .. } => Vec::from([Place::board(&nodes.0), Place::board(&nodes.1)]),
            _ => Vec::new(),
        }
    }
}

/// `totalsize` of the blob that begins with these bytes (8 or more).
///
/// # Errors
/// [`TreeError::Header`] if the magic is wrong.
pub fn total_size(header: &[u8]) -> Result<usize, TreeError> {
    match (word(header, 0), word(header, 4)) {
        (Some(0xd00d_feed), Some(size)) => Ok(size as usize),
        _ => Err(TreeError::Header),
    }
}

/// How many bytes of a blob say something: structure, strings and reservations, without the room between and
/// behind them (QEMU leaves a megabyte). The header's word is taken for it.
///
/// # Errors
/// What is wrong with the header; in version 16, also with the structure.
pub fn used_size(blob: &[u8]) -> Result<usize, TreeError> {
    let blob = Blob::open(blob)?;
    let structure = if blob.has_structure_size() { blob.structure().len() } else { walk(&blob)?.position() };
    let sizes = [structure, blob.strings().len(), blob.reservations_size()];
    Ok(sizes.iter().fold(0, |sum: usize, size| sum.saturating_add(*size)))
}

/// Checks all of a blob: header, blocks, reservations and every token. Takes no heap and linear time. That no two
/// siblings, no two properties of a node and no two phandles are the same is left to [`super::Tree::parse`],
/// which has the memory for it.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(blob: &[u8]) -> Result<(), TreeError> {
    let blob = Blob::open(blob)?;
    let mut reservations = blob.reservations();
    while reservations.next()?.is_some() {}
    walk(&blob).map(drop)
}

/// How many nodes and properties a blob has.
pub(super) fn count(blob: &Blob<'_>) -> Result<(usize, usize), TreeError> {
    walk(blob).map(|walk| walk.counts())
}

/// Checks the structure block up to its end token.
fn walk<'a>(blob: &Blob<'a>) -> Result<Walk<'a>, TreeError> {
    let mut walk = blob.walk();
    while walk.step()?.is_some() {}
    Ok(walk)
}
