//! Writing the flattened format (Devicetree Specification 0.4, chapter 5), version 17.
//!
//! `vm-fdt` refuses property names of more than 31 characters, which boards have (`snps,gfladj-refclk-lpm-sel-quirk`
//! on every i.MX8MP), so it cannot copy their trees.

use alloc::vec::Vec;

use crate::plan::pool;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const END: u32 = 9;

/// Bytes of the header, and of the memory reservation block behind it, which has only its terminator.
const HEADER: usize = 40;
const RESERVATIONS: usize = 16;

/// A tree being written. Names and values come from trees that have been checked, or from this crate, so they are
/// well-formed. It is the largest thing that is allocated for a cell, so that there is no memory for it is no end of all.
pub(super) struct Fdt<'a> {
    /// Header, reservations, structure block.
    data: Vec<u8>,
    strings: Vec<u8>,
    /// The names in `strings` and where they stand, sorted.
    names: Vec<(&'a str, u32)>,
    /// There was no memory for part of it.
    cut: bool,
}

/// Appends bytes if there is memory for them; whether there was.
#[inline(never)]
fn append(to: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let room = pool::reserve(to, bytes.len());
    if room {
        to.extend_from_slice(bytes);
    }
    room
}

impl<'a> Fdt<'a> {
    pub(super) fn new() -> Self {
        let mut fdt = Self { data: Vec::new(), strings: Vec::new(), names: Vec::new(), cut: false };
        fdt.put(&[0; HEADER + RESERVATIONS]);
        fdt
    }

    /// Opens a node. What belongs to it comes before the [`Fdt::end_node`] that closes it, properties first.
    pub(super) fn begin_node(&mut self, name: &str) {
        self.word(BEGIN_NODE);
        self.put(name.as_bytes());
        self.put(&[0]);
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
        self.put(value);
        self.align();
    }

    /// A property that is one string without a NUL.
    pub(super) fn string(&mut self, name: &'a str, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.property(name, &bytes);
    }

    /// The tree, when all nodes are closed; `None` without memory for it.
    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        self.word(END);
        let strings = self.data.len();
        let structure = HEADER.wrapping_add(RESERVATIONS);
        let names = core::mem::take(&mut self.strings);
        self.put(&names);
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
        // It is kept for all lives of a cell, so it takes no more than it needs.
        let mut kept = Vec::new();
        let room = !self.cut && append(&mut kept, &self.data);
        room.then_some(kept)
    }

    /// Where a property's name stands in the strings block.
    fn name(&mut self, name: &'a str) -> u32 {
        match self.names.binary_search_by_key(&name, |(known, _)| known) {
            Ok(at) => self.names.get(at).map_or(0, |(_, offset)| *offset),
            Err(at) => {
                let offset = self.strings.len() as u32;
                let whole = append(&mut self.strings, name.as_bytes()) && append(&mut self.strings, &[0]);
                if whole && self.names.try_reserve(1).is_ok() {
                    self.names.insert(at, (name, offset));
                } else {
                    self.cut = true;
                }
                offset
            }
        }
    }

    fn word(&mut self, word: u32) {
        self.put(&word.to_be_bytes());
    }

    fn align(&mut self) {
        let over = self.data.len() % 4;
        self.put([0; 3].get(over.wrapping_sub(1)..).unwrap_or_default());
    }

    fn put(&mut self, bytes: &[u8]) {
        self.cut |= !append(&mut self.data, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn what_is_written_reads_the_same() {
        let long = "snps,gfladj-refclk-lpm-sel-quirk";
        let mut fdt = Fdt::new();
        fdt.begin_node("");
        fdt.string("model", "abc");
        fdt.begin_node("a@1");
        fdt.property(long, &[]);
        fdt.string("model", "");
        fdt.end_node();
        fdt.begin_node("b");
        fdt.property("odd", &[1, 2, 3, 4, 5]);
        fdt.end_node();
        fdt.end_node();
        let bytes = fdt.finish().unwrap();
        let tree = Tree::parse(&bytes).unwrap();
        let paths: Vec<_> = tree.nodes().map(|n| n.path()).collect();
        assert_eq!(paths, ["/", "/a@1", "/b"]);
        assert_eq!(tree.root().prop("model").unwrap().bytes(), b"abc\0");
        assert_eq!(tree.at("/a@1").unwrap().prop(long).unwrap().bytes(), b"");
        assert_eq!(tree.at("/a@1").unwrap().prop("model").unwrap().bytes(), b"\0");
        assert_eq!(tree.at("/b").unwrap().prop("odd").unwrap().bytes(), [1, 2, 3, 4, 5]);
    }
}
