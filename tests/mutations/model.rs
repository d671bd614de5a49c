//! A device tree taken apart, to be changed and put together again: what comes out is well-formed, so that what it says
//! is looked at.

use super::random::Random;
use bulkhead::tree::{Blob, Token};

/// A tree.
#[derive(Clone)]
pub struct Model {
    nodes: Vec<Node>,
}

#[derive(Clone)]
struct Node {
    depth: usize,
    name: String,
    props: Vec<(String, Vec<u8>)>,
}

/// Numbers at which things change.
pub const ODD: [u32; 20] = [
    0,
    1,
    2,
    3,
    4,
    5,
    8,
    9,
    16,
    31,
    32,
    255,
    0x1000,
    0x4000_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_f000,
    0xffff_fffc,
    0xffff_fffe,
    0xffff_ffff,
];

const WORDS: [&str; 14] = [
    "",
    "/",
    "okay",
    "disabled",
    "memory",
    "cpu@0",
    "a,b",
    "arm,gic-v3",
    "simple-bus",
    "accept",
    "16M",
    "pci",
    "1G",
    "@",
];

impl Model {
    pub fn of(blob: &[u8]) -> Self {
        let (mut nodes, mut depth) = (Vec::<Node>::new(), 0);
        let mut walk = Blob::open(blob).unwrap().walk();
        while let Some(token) = walk.step().unwrap() {
            match token {
                Token::Begin(name) => {
                    nodes.push(Node { depth, name: name.into(), props: Vec::new() });
                    depth += 1;
                }
                Token::End => depth -= 1,
                Token::Prop(prop) => {
                    nodes.last_mut().unwrap().props.push((prop.name().into(), prop.bytes().into()));
                }
            }
        }
        Self { nodes }
    }

    /// Adds a node behind all others; the root's children have depth 1.
    pub fn add(&mut self, depth: usize, name: &str, props: &[(&str, Vec<u8>)]) {
        let props = props.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        self.nodes.push(Node { depth, name: name.into(), props });
    }

    /// Sets a property of the first node of this name.
    pub fn set(&mut self, node: &str, name: &str, value: Vec<u8>) {
        let props = &mut self.nodes.iter_mut().find(|n| n.name == node).unwrap().props;
        props.retain(|(other, _)| other != name);
        props.push((name.into(), value));
    }

    /// Adds a property, which is not there yet, to the last node.
    pub fn set_last(&mut self, name: &str, value: Vec<u8>) {
        self.nodes.last_mut().unwrap().props.push((name.into(), value));
    }

    /// Some node below the root, or the root where there is no other.
    fn node(&self, random: &mut Random) -> usize {
        (1 + random.below(self.nodes.len() - 1)).min(self.nodes.len() - 1)
    }

    /// The first node that is no descendant.
    fn end(&self, at: usize) -> usize {
        let depth = self.nodes[at].depth;
        let behind = self.nodes[at + 1..].iter().position(|node| node.depth <= depth);
        behind.map_or(self.nodes.len(), |by| at + 1 + by)
    }

    /// Changes something; `other` lends nodes and properties.
    pub fn change(&mut self, other: &Self, random: &mut Random) {
        let at = self.node(random);
        match random.below(12) {
            0 => {
                let end = self.end(at);
                if at != 0 {
                    self.nodes.drain(at..end);
                }
            }
            1 | 2 => {
                // A copy of a subtree, here or elsewhere, under its name or another.
                let from = other.node(random);
                let mut copy = other.nodes[from..other.end(from)].to_vec();
                let by = self.nodes[at].depth as isize + 1 - copy[0].depth as isize;
                copy.iter_mut().for_each(|node| node.depth = (node.depth as isize + by).max(1) as usize);
                if random.below(2) == 0 {
                    copy[0].name = format!("n{:x}@{:x}", random.below(4), random.below(64));
                }
                let place = self.end(at);
                self.nodes.splice(place..place, copy);
            }
            3 => {
                let name = format!("{}{}", random.one_of(&WORDS[1..]), random.below(3)).replace('/', "x");
                self.nodes[at].name = name;
            }
            4 => {
                let from = &other.nodes[other.node(random)];
                if !from.props.is_empty() {
                    let prop = random.one_of(&from.props).clone();
                    self.nodes[at].props.retain(|(name, _)| *name != prop.0);
                    self.nodes[at].props.push(prop);
                }
            }
            5 => {
                let props = &mut self.nodes[at].props;
                if !props.is_empty() {
                    props.remove(random.below(props.len()));
                }
            }
            _ => {
                let props = &mut self.nodes[at].props;
                if !props.is_empty() {
                    let at = random.below(props.len());
                    change_value(&mut props[at].1, random);
                }
            }
        }
    }

    /// The blob.
    pub fn blob(&self) -> Vec<u8> {
        let (mut structure, mut strings) = (Vec::with_capacity(8192), Vec::<u8>::with_capacity(2048));
        let mut offsets = std::collections::HashMap::<&str, u32>::new();
        let word = |to: &mut Vec<u8>, word: u32| to.extend(word.to_be_bytes());
        let mut open = 0;
        for node in &self.nodes {
            while open > node.depth {
                word(&mut structure, 2);
                open -= 1;
            }
            word(&mut structure, 1);
            structure.extend(node.name.bytes().chain([0]));
            structure.resize(structure.len().next_multiple_of(4), 0);
            open = node.depth + 1;
            for (name, value) in &node.props {
                let offset = *offsets.entry(name).or_insert_with(|| {
                    let at = strings.len() as u32;
                    strings.extend(name.bytes().chain([0]));
                    at
                });
                [3, value.len() as u32, offset].iter().for_each(|n| word(&mut structure, *n));
                structure.extend(value);
                structure.resize(structure.len().next_multiple_of(4), 0);
            }
        }
        (0..open).for_each(|_| word(&mut structure, 2));
        word(&mut structure, 9);
        let (head, reservations) = (40, 16);
        let at = head + reservations;
        let sizes = [structure.len() as u32, strings.len() as u32];
        let total = at + sizes[0] + sizes[1];
        let header = [0xd00d_feed, total, at, at + sizes[0], head, 17, 16, 0, sizes[1], sizes[0]];
        let mut blob = Vec::with_capacity(total as usize);
        header.iter().for_each(|n| word(&mut blob, *n));
        blob.resize(blob.len() + reservations as usize, 0);
        blob.extend(structure);
        blob.extend(strings);
        blob
    }
}

fn change_value(value: &mut Vec<u8>, random: &mut Random) {
    let cells = value.len() / 4;
    match random.below(8) {
        0 => value.clear(),
        1 => value.truncate(random.below(value.len() + 1)),
        2 => value.extend(random.one_of(&ODD).to_be_bytes()),
        3 => *value = random.one_of(&WORDS).bytes().chain([0]).collect(),
        4 => {
            // Long, but not all too often.
            let times = 1 << random.below(8);
            let all = value.clone();
            (0..times).for_each(|_| value.extend(&all));
            value.truncate(1 << 16);
        }
        5 if cells != 0 => {
            // A small number is a phandle, a count, a kind.
            let at = 4 * random.below(cells);
            value[at..at + 4].copy_from_slice(&(random.below(40) as u32).to_be_bytes());
        }
        _ if cells != 0 => {
            let at = 4 * random.below(cells);
            value[at..at + 4].copy_from_slice(&random.one_of(&ODD).to_be_bytes());
        }
        _ => value.push(0),
    }
}
