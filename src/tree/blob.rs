//! A flattened tree as bytes (Devicetree Specification 0.4, chapter 5): its blocks, and a walk over its tokens
//! that hands out nothing it has not proved. Neither needs a heap, so early boot reads trees by this alone.

use super::check::{MAX_DEPTH, MAX_NODES, MAX_PROPS, MAX_SIZE, TreeError, total_size};
use super::name::name_at;
use super::node::Prop;
use crate::addr::{Pa, Span};

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;

/// The three blocks of a flattened tree, each inside the blob.
#[derive(Clone, Copy, Debug)]
pub struct Blob<'a> {
    structure: &'a [u8],
    strings: &'a [u8],
    reservations: &'a [u8],
    /// Version 16 has no `size_dt_struct`: the block ends where its end token says.
    has_structure_size: bool,
}

/// A step of a [`Walk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A node of this name begins; the root's name is empty.
    Begin(&'a str),
    /// A property of the node that began last.
    Prop(Prop<'a>),
    /// The node that began last, and has not ended, ends.
    End,
}

/// All tokens in order.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    blob: Blob<'a>,
    at: usize,
    depth: usize,
    nodes: usize,
    props: usize,
    /// Whether a property may come next: a node's properties stand before its children.
    open: bool,
}

impl<'a> Blob<'a> {
    /// Finds the blocks; bytes behind `totalsize` do not matter.
    ///
    /// # Errors
    /// What is wrong with the header, or a block that leaves the blob.
    pub fn open(blob: &'a [u8]) -> Result<Self, TreeError> {
        let size = total_size(blob)?;
        let blob = blob.get(..size).ok_or(TreeError::Truncated)?;
        if size > MAX_SIZE {
            return Err(TreeError::TooBig);
        }
        let header = |at| word(blob, at).map(|w| w as usize).ok_or(TreeError::Header);
        let (version, compatible) = (header(20)?, header(24)?);
        if version < 16 || compatible > 17 {
            return Err(TreeError::Version { version: version as u32 });
        }
        let has_structure_size = version >= 17;
        let structure_size = has_structure_size.then(|| header(36)).transpose()?;
        let header_size = if has_structure_size { 40 } else { 36 };
        let block = |at: usize, size: Option<usize>, align: usize| {
            if at < header_size || !at.is_multiple_of(align) {
                return Err(TreeError::Header);
            }
            let rest = blob.get(at..).ok_or(TreeError::Header)?;
            rest.get(..size.unwrap_or(rest.len())).ok_or(TreeError::Header)
        };
        Ok(Self {
            structure: block(header(8)?, structure_size, 4)?,
            strings: block(header(12)?, Some(header(32)?), 1)?,
            reservations: block(header(16)?, None, 8)?,
            has_structure_size,
        })
    }

    /// The structure block's tokens.
    pub fn walk(&self) -> Walk<'a> {
        Walk { blob: *self, at: 0, depth: 0, nodes: 0, props: 0, open: false }
    }

    /// The memory reservation block (5.3), entries of no size left out.
    pub fn reservations(&self) -> Reservations<'a> {
        Reservations(self.reservations)
    }

    /// The block's bytes that are in use: entries up to and with the one that ends it.
    pub(super) fn reservations_size(&self) -> usize {
        let entries = self.reservations.as_chunks::<16>().0.iter();
        entries.take_while(|entry| **entry != [0; 16]).count().saturating_add(1).saturating_mul(16)
    }

    pub(super) fn structure(&self) -> &'a [u8] {
        self.structure
    }

    pub(super) fn strings(&self) -> &'a [u8] {
        self.strings
    }

    pub(super) fn has_structure_size(&self) -> bool {
        self.has_structure_size
    }
}

/// See [`Blob::reservations`].
#[derive(Clone, Debug)]
pub struct Reservations<'a>(&'a [u8]);

impl Reservations<'_> {
    /// The next one; `None` behind the last.
    ///
    /// # Errors
    /// [`TreeError::Reservations`] if there is no end, or the span cannot be. What comes behind it means nothing.
    pub fn next(&mut self) -> Result<Option<Span<Pa>>, TreeError> {
        while let Some((entry, rest)) = self.0.split_first_chunk::<16>() {
            let entry = u128::from_be_bytes(*entry);
            let (start, size) = ((entry >> 64) as u64, entry as u64);
            if entry == 0 {
                return Ok(None);
            }
            self.0 = rest;
            if size != 0 {
                return Span::new(Pa(start), size).map(Some).ok_or(TreeError::Reservations);
            }
        }
        Err(TreeError::Reservations)
    }
}

impl<'a> Walk<'a> {
    /// How many bytes of the structure block were read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// How many nodes and properties there were.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.nodes, self.props)
    }

    /// The next token; `None` behind the last.
    ///
    /// # Errors
    /// The first thing that is wrong; there are no steps after it.
    pub fn step(&mut self) -> Result<Option<Token<'a>>, TreeError> {
        loop {
            let at = self.at;
            match self.word()? {
                NOP => {}
                BEGIN_NODE => return self.begin(at).map(Some),
                PROP => return self.prop(at).map(Some),
                END_NODE => {
                    self.depth = self.depth.checked_sub(1).ok_or(TreeError::Unbalanced { at })?;
                    self.open = false;
                    return Ok(Some(Token::End));
                }
                END if self.depth != 0 => return Err(TreeError::Unbalanced { at }),
                END if self.nodes == 0 => return Err(TreeError::NoRoot),
                END => return Ok(None),
                token => return Err(TreeError::Token { at, token }),
            }
        }
    }

    fn begin(&mut self, at: usize) -> Result<Token<'a>, TreeError> {
        let name = name_at(self.blob.structure, self.at).ok_or(TreeError::Name { at })?;
        // The root, and only the root, has no name of its own.
        match (self.depth, self.nodes) {
            (0, 0) if !matches!(name, "" | "/") => return Err(TreeError::Name { at }),
            (0, 1..) => return Err(TreeError::TwoRoots { at }),
            (1.., _) if name.is_empty() || name.contains('/') => return Err(TreeError::Name { at }),
            (MAX_DEPTH.., _) => return Err(TreeError::TooDeep { at }),
            (_, MAX_NODES..) => return Err(TreeError::TooBig),
            _ => {}
        }
        self.advance(name.len().saturating_add(1));
        self.depth = self.depth.saturating_add(1);
        self.nodes = self.nodes.saturating_add(1);
        self.open = true;
        Ok(Token::Begin(if self.nodes == 1 { "" } else { name }))
    }

    fn prop(&mut self, at: usize) -> Result<Token<'a>, TreeError> {
        if !self.open {
            return Err(TreeError::Misplaced { at });
        }
        if self.props >= MAX_PROPS {
            return Err(TreeError::TooBig);
        }
        self.props = self.props.saturating_add(1);
        let size = self.word()? as usize;
        let name = name_at(self.blob.strings, self.word()? as usize).filter(|name| !name.is_empty());
        let value = self.blob.structure.get(self.at..self.at.saturating_add(size));
        self.advance(size);
        match (name, value) {
            (Some(name), Some(value)) => Ok(Token::Prop(Prop::new(name, value))),
            (None, _) => Err(TreeError::Name { at }),
            (_, None) => Err(TreeError::Truncated),
        }
    }

    fn word(&mut self) -> Result<u32, TreeError> {
        let word = word(self.blob.structure, self.at).ok_or(TreeError::Truncated)?;
        self.advance(4);
        Ok(word)
    }

    fn advance(&mut self, by: usize) {
        self.at = self.at.saturating_add(by).saturating_add(3) & !3;
    }
}

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}
