//! Writing the flattened format (Devicetree Specification 0.4, chapter 5), version 17.
//!
//! `vm-fdt` refuses property names of more than 31 characters, which boards have (`snps,gfladj-refclk-lpm-sel-quirk`
//! on every i.MX8MP), so it cannot copy their trees.

use alloc::vec::Vec;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const END: u32 = 9;

/// Bytes of the header, and of the memory reservation block behind it, which has only its terminator.
const HEADER: usize = 40;
const RESERVATIONS: usize = 16;

/// A tree being written. Names and values come from trees that have been checked, or from this crate, so they are
/// well-formed.
pub(super) struct Fdt<'a> {
    /// Header, reservations, structure block.
    data: Vec<u8>,
    strings: Vec<u8>,
    /// The names in `strings` and where they stand, sorted.
    names: Vec<(&'a str, u32)>,
}

impl<'a> Fdt<'a> {
    pub(super) fn new() -> Self {
        let data = alloc::vec![0; HEADER + RESERVATIONS];
        Self { data, strings: Vec::new(), names: Vec::new() }
    }

    /// Opens a node. What belongs to it comes before the [`Fdt::end_node`] that closes it, properties first.
    pub(super) fn begin_node(&mut self, name: &str) {
        self.word(BEGIN_NODE);
        self.data.extend_from_slice(name.as_bytes());
        self.data.push(0);
        self.align();
    }

    pub(super) fn end_node(&mut self) {
        self.word(END_NODE);
    }

    pub(super) fn property(&mut self, name: &'a str, value: &[u8]) {
        self.word(PROP);
        self.word(value.len() as u32);
        let name = self.name(name);
        self.word(name);
        self.data.extend_from_slice(value);
        self.align();
    }

    /// A property that is one string without a NUL.
    pub(super) fn string(&mut self, name: &'a str, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.property(name, &bytes);
    }

    /// The tree, when all nodes are closed.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.word(END);
        let strings = self.data.len();
        let structure = HEADER.wrapping_add(RESERVATIONS);
        self.data.append(&mut self.strings);
        let size = self.data.len();
        let header = [
            0xd00d_feed,
            size,
            structure,
            strings,
            HEADER,
            17,
            16,
            0,
            size.wrapping_sub(strings),
            strings.wrapping_sub(structure),
        ];
        for (place, value) in self.data.as_chunks_mut::<4>().0.iter_mut().zip(header) {
            *place = (value as u32).to_be_bytes();
        }
        self.data
    }

    /// Where a property's name stands in the strings block.
    fn name(&mut self, name: &'a str) -> u32 {
        match self.names.binary_search_by_key(&name, |(known, _)| known) {
            Ok(at) => self.names.get(at).map_or(0, |(_, offset)| *offset),
            Err(at) => {
                let offset = self.strings.len() as u32;
                self.strings.extend_from_slice(name.as_bytes());
                self.strings.push(0);
                self.names.insert(at, (name, offset));
                offset
            }
        }
    }

    fn word(&mut self, word: u32) {
        self.data.extend_from_slice(&word.to_be_bytes());
    }

    fn align(&mut self) {
        let size = self.data.len().next_multiple_of(4);
        self.data.resize(size, 0);
    }
}
