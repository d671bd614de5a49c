//! What boot needs of the board's tree before there is a heap: one walk over the tokens, nothing allocated.

use alloc::vec::Vec;

use arrayvec::ArrayVec;

use super::ranges::{Bus, BusAddress, translate};
use super::{Blob, MAX_DEPTH, Prop, Token, TreeError, used_size};
use crate::addr::{Pa, Span};
use crate::refusal::{Code, Place, Refusal, code};

/// The most banks of memory that are used before there is a heap.
pub const MAX_BANKS: usize = 32;
/// The most reserved regions of a tree.
pub const MAX_RESERVED: usize = 64;

/// A tree holds more of something than Bulkhead has room for before it has a heap.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EarlyError {
    /// The blob is damaged.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Banks of memory.
    #[error("the board's tree has more than {MAX_BANKS} banks of memory: merge those that touch")]
    Banks,
    /// Reserved regions.
    #[error("the board's tree reserves more than {MAX_RESERVED} regions of memory: merge those that touch")]
    Reserved,
}

impl Refusal for EarlyError {
    fn code(&self) -> Code {
        match self {
            Self::Tree(error) => error.code(),
            Self::Banks | Self::Reserved => code::TOO_MANY_REGIONS,
        }
    }

    fn places(&self) -> Vec<Place> {
        match self {
            Self::Tree(error) => error.places(),
            Self::Banks => Vec::from([Place::board("/memory")]),
            Self::Reserved => Vec::from([Place::board("/reserved-memory")]),
        }
    }
}

/// What the walk found.
#[derive(Clone, Debug, Default)]
pub struct Early<'a> {
    /// `linux,initrd-start` and `linux,initrd-end` of /chosen, as they stand there.
    pub initrd: Option<(u64, u64)>,
    /// The console that /chosen names.
    pub stdout: Option<Stdout<'a>>,
    /// Enabled banks of memory, as the tree has them.
    pub memory: ArrayVec<Span<Pa>, MAX_BANKS>,
    /// The memory reservation block and the static regions of /reserved-memory.
    pub reserved: ArrayVec<Span<Pa>, MAX_RESERVED>,
    /// How many CPU nodes there are.
    pub cpus: usize,
    /// Bytes of the blob that hold something.
    pub used: usize,
}

/// A console that firmware used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stdout<'a> {
    compatible: &'a [u8],
    /// Its first register.
    pub at: Pa,
}

impl<'a> Stdout<'a> {
    /// The strings of its `compatible`, most specific first.
    pub fn compatibles(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.compatible
            .split(|b| *b == 0)
            .filter_map(|s| core::str::from_utf8(s).ok())
            .filter(|s| !s.is_empty())
    }
}

/// Walks over a blob.
///
/// # Errors
/// When it is damaged, or has more of something than fits.
pub fn read(blob: &[u8]) -> Result<Early<'_>, EarlyError> {
    let mut early = Early { used: used_size(blob)?, ..Early::default() };
    let blob = Blob::open(blob)?;
    for span in blob.reservations() {
        early.reserved.try_push(span?).map_err(|_| EarlyError::Reserved)?;
    }
    let (mut path, mut here) = (Path::default(), NodeProps::default());
    let (mut stdout, mut initrd) = (None, (None, None));
    for token in blob.walk() {
        match token? {
            Token::Begin(name) => {
                path.enter(name, &here);
                here = NodeProps::default();
                let [_, "cpus", cpu] = path.names() else { continue };
                early.cpus = early.cpus.saturating_add(usize::from(cpu.starts_with("cpu@")));
            }
            Token::Prop(prop) => match (path.names(), prop.name()) {
                ([_, "chosen"], "linux,initrd-start") => initrd.0 = prop.u64(),
                ([_, "chosen"], "linux,initrd-end") => initrd.1 = prop.u64(),
                ([_, "chosen"], "stdout-path" | "linux,stdout-path") => stdout = prop.str(),
                _ => here.note(&prop),
            },
            Token::End => {
                match path.names() {
                    [_, name] if here.is_memory(name) => {
                        for span in path.spans(&here) {
                            early.memory.try_push(span).map_err(|_| EarlyError::Banks)?;
                        }
                    }
                    [_, "reserved-memory", _] if !here.disabled => {
                        for span in path.spans(&here) {
                            early.reserved.try_push(span).map_err(|_| EarlyError::Reserved)?;
                        }
                    }
                    _ => {}
                }
                here = path.leave();
            }
        }
    }
    early.initrd = initrd.0.zip(initrd.1);
    early.stdout = stdout.and_then(|name| find_stdout(&blob, name));
    Ok(early)
}

/// How many nodes the root of a blob has whose name is `wanted`: cells, when the blob is a description. Behind damage
/// nothing is counted; who reads the blob in earnest will find it.
pub fn count_children(blob: &[u8], wanted: impl Fn(&str) -> bool) -> usize {
    let (mut depth, mut count) = (0_usize, 0_usize);
    for token in Blob::open(blob).into_iter().flat_map(|blob| blob.walk()).map_while(Result::ok) {
        match token {
            Token::Begin(name) => {
                count = count.saturating_add(usize::from(depth == 1 && wanted(name)));
                depth = depth.saturating_add(1);
            }
            Token::End => depth = depth.saturating_sub(1),
            Token::Prop(_) => {}
        }
    }
    count
}

fn find_stdout<'a>(blob: &Blob<'a>, name: &'a str) -> Option<Stdout<'a>> {
    let name = name.split(':').next()?;
    let target = if name.starts_with('/') { name } else { alias(blob, name)? };
    let (mut path, mut here) = (Path::default(), NodeProps::default());
    for token in blob.walk().map_while(Result::ok) {
        match token {
            // The properties of a node end where its first child begins.
            Token::Begin(_) | Token::End if path.is(target) => break,
            Token::Begin(name) => {
                path.enter(name, &here);
                here = NodeProps::default();
            }
            Token::Prop(prop) => here.note(&prop),
            Token::End => here = path.leave(),
        }
    }
    let (at, _) = path.is(target).then(|| path.above())?.and_then(|bus| bus.reg(here.reg).next())?;
    Some(Stdout { compatible: here.compatible, at: path.translate(at)? })
}

fn alias<'a>(blob: &Blob<'a>, name: &str) -> Option<&'a str> {
    let mut path = Path::default();
    blob.walk().map_while(Result::ok).find_map(|token| {
        match token {
            Token::Begin(name) => path.enter(name, &NodeProps::default()),
            Token::Prop(prop) if prop.name() == name && matches!(path.names(), [_, "aliases"]) => {
                return prop.str();
            }
            Token::Prop(_) => {}
            Token::End => drop(path.leave()),
        }
        None
    })
}

/// What is kept of a node on the way.
#[derive(Clone, Copy)]
struct NodeProps<'a> {
    bus: Bus<'a>,
    reg: &'a [u8],
    compatible: &'a [u8],
    memory: bool,
    disabled: bool,
}

impl Default for NodeProps<'_> {
    fn default() -> Self {
        let bus = Bus { address_cells: 2, size_cells: 1, ranges: None };
        Self { bus, reg: &[], compatible: &[], memory: false, disabled: false }
    }
}

impl<'a> NodeProps<'a> {
    fn note(&mut self, prop: &Prop<'a>) {
        match prop.name() {
            "#address-cells" => self.bus.address_cells = prop.u32().unwrap_or(2),
            "#size-cells" => self.bus.size_cells = prop.u32().unwrap_or(1),
            "ranges" => self.bus.ranges = Some(prop.bytes()),
            "reg" => self.reg = prop.bytes(),
            "compatible" => self.compatible = prop.bytes(),
            "device_type" => self.memory = prop.str() == Some("memory"),
            "status" => self.disabled = !matches!(prop.str(), Some("okay" | "ok")),
            _ => {}
        }
    }

    fn is_memory(&self, name: &str) -> bool {
        !self.disabled && (self.memory || name == "memory" || name.starts_with("memory@"))
    }
}

/// From the root down to the node that the walk is in.
#[derive(Default)]
struct Path<'a> {
    names: ArrayVec<&'a str, MAX_DEPTH>,
    /// The nodes above.
    above: ArrayVec<NodeProps<'a>, MAX_DEPTH>,
}

impl<'a> Path<'a> {
    fn names(&self) -> &[&'a str] {
        &self.names
    }

    /// Goes down from a node with these properties; a walk goes no deeper than there is room for.
    fn enter(&mut self, name: &'a str, from: &NodeProps<'a>) {
        if self.names.try_push(name).is_ok() {
            let _ = self.above.try_push(*from);
        }
    }

    fn leave(&mut self) -> NodeProps<'a> {
        self.names.pop();
        self.above.pop().unwrap_or_default()
    }

    /// Whether the walk is in the node at this path.
    fn is(&self, path: &str) -> bool {
        if self.names.is_empty() {
            return false;
        }
        let mut wanted = path.split('/').filter(|name| !name.is_empty());
        self.names.iter().skip(1).all(|name| wanted.next() == Some(name)) && wanted.next().is_none()
    }

    fn above(&self) -> Option<Bus<'a>> {
        self.above.last().map(|node| node.bus)
    }

    fn translate(&self, at: BusAddress) -> Option<Pa> {
        // The first node above the root is nothing.
        translate(self.above.iter().skip(1).rev().map(|node| node.bus), at)
    }

    fn spans(&self, node: &NodeProps<'a>) -> impl Iterator<Item = Span<Pa>> {
        let entries = self.above().into_iter().flat_map(|bus| bus.reg(node.reg));
        entries.filter_map(|(at, size)| Span::new(Pa(at.at), size))
    }
}

#[cfg(test)]
mod tests;
