//! What boot needs of the board's tree before there is a heap: one walk over the tokens, nothing allocated.
//!
//! The blob has passed [`super::check`]. What is damaged in spite of that is skipped, never trusted.

use arrayvec::ArrayVec;

use super::TreeError;
use super::ranges::{Bus, BusAddress, translate};
use crate::addr::{Pa, Span};

/// The most banks of memory that are used before there is a heap.
pub const MAX_BANKS: usize = 32;
/// The most reserved regions of a tree.
pub const MAX_RESERVED: usize = 64;
/// The deepest tree that [`super::check`] lets pass.
const MAX_DEPTH: usize = 33;

/// A tree holds more of something than Bulkhead has room for before it has a heap.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EarlyError {
    /// The header.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Banks of memory.
    #[error("the board's tree has more than {MAX_BANKS} banks of memory: merge those that touch")]
    Banks,
    /// Reserved regions.
    #[error("the board's tree reserves more than {MAX_RESERVED} regions of memory: merge those that touch")]
    Reserved,
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

/// Walks over a checked blob.
///
/// # Errors
/// When the tree has more of something than fits.
pub fn read(blob: &[u8]) -> Result<Early<'_>, EarlyError> {
    let tokens = Tokens::new(blob).ok_or(TreeError::Header)?;
    let mut early = Early { used: tokens.used, ..Early::default() };
    for span in reservations(blob) {
        early.reserved.try_push(span).map_err(|_| EarlyError::Reserved)?;
    }
    let (mut path, mut here) = (Path::default(), NodeProps::default());
    let (mut stdout, mut initrd) = (None, (None, None));
    for token in tokens.clone() {
        match token {
            Token::Begin(name) => {
                path.enter(name, &here);
                here = NodeProps::default();
                let [_, "cpus", cpu] = path.names() else { continue };
                early.cpus = early.cpus.saturating_add(usize::from(cpu.starts_with("cpu@")));
            }
            Token::Prop(name, value) => match (path.names(), name) {
                ([_, "chosen"], "linux,initrd-start") => initrd.0 = number(value),
                ([_, "chosen"], "linux,initrd-end") => initrd.1 = number(value),
                ([_, "chosen"], "stdout-path" | "linux,stdout-path") => stdout = text(value),
                _ => here.note(name, value),
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
    early.stdout = stdout.and_then(|name| find_stdout(&tokens, name));
    Ok(early)
}

/// How many nodes the root of a checked blob has that `wanted` names.
pub fn count_children(blob: &[u8], wanted: impl Fn(&str) -> bool) -> usize {
    let mut depth = 0_usize;
    let children = Tokens::new(blob).into_iter().flatten().filter(|token| {
        let before = depth;
        match token {
            Token::Begin(_) => depth = depth.saturating_add(1),
            Token::End => depth = depth.saturating_sub(1),
            Token::Prop(..) => {}
        }
        before == 1 && matches!(token, Token::Begin(name) if wanted(name))
    });
    children.count()
}

fn find_stdout<'a>(tokens: &Tokens<'a>, name: &'a str) -> Option<Stdout<'a>> {
    let name = name.split(':').next()?;
    let target = if name.starts_with('/') { name } else { alias(tokens, name)? };
    let (mut path, mut here) = (Path::default(), NodeProps::default());
    for token in tokens.clone() {
        match token {
            Token::Begin(name) => {
                if path.is(target) {
                    break;
                }
                path.enter(name, &here);
                here = NodeProps::default();
            }
            Token::Prop(name, value) => here.note(name, value),
            Token::End if path.is(target) => break,
            Token::End => here = path.leave(),
        }
    }
    let (at, _) = path.is(target).then(|| path.above())?.and_then(|bus| bus.reg(here.reg).next())?;
    Some(Stdout { compatible: here.compatible, at: path.translate(at)? })
}

fn alias<'a>(tokens: &Tokens<'a>, name: &str) -> Option<&'a str> {
    let mut path = Path::default();
    tokens.clone().find_map(|token| match token {
        Token::Begin(name) => {
            path.enter(name, &NodeProps::default());
            None
        }
        Token::Prop(prop, value) if prop == name && matches!(path.names(), [_, "aliases"]) => text(value),
        Token::Prop(..) => None,
        Token::End => {
            path.leave();
            None
        }
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
    fn note(&mut self, name: &str, value: &'a [u8]) {
        match name {
            "#address-cells" => self.bus.address_cells = number(value).unwrap_or(2) as u32,
            "#size-cells" => self.bus.size_cells = number(value).unwrap_or(1) as u32,
            "ranges" => self.bus.ranges = Some(value),
            "reg" => self.reg = value,
            "compatible" => self.compatible = value,
            "device_type" => self.memory = value == b"memory\0",
            "status" => self.disabled = !matches!(text(value), Some("okay" | "ok")),
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

    /// Goes down from a node with these properties. What lies deeper than a checked tree goes is not looked at.
    fn enter(&mut self, name: &'a str, from: &NodeProps<'a>) {
        if self.names.try_push(name).is_ok() {
            let _ = self.above.try_push(*from);
        }
    }

    fn leave(&mut self) -> NodeProps<'a> {
        self.names.pop();
        self.above.pop().unwrap_or_default()
    }

    fn is(&self, path: &str) -> bool {
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

enum Token<'a> {
    Begin(&'a str),
    Prop(&'a str, &'a [u8]),
    End,
}

/// The tokens of the structure block (Devicetree Specification 5.4).
#[derive(Clone)]
struct Tokens<'a> {
    structure: &'a [u8],
    strings: &'a [u8],
    used: usize,
}

impl<'a> Tokens<'a> {
    fn new(blob: &'a [u8]) -> Option<Self> {
        let word = |n: usize| blob.get(n..)?.first_chunk::<4>().map(|w| u32::from_be_bytes(*w) as usize);
        let block = |at: usize, size: usize| blob.get(at..at.checked_add(size)?);
        let structure = block(word(8)?, word(36)?)?;
        let strings = block(word(12)?, word(32)?)?;
        let reserved = reservations(blob).count().saturating_add(1).saturating_mul(16);
        let used = structure.len().saturating_add(strings.len()).saturating_add(reserved);
        Some(Self { structure, strings, used })
    }

    fn word(&mut self) -> Option<u32> {
        let (word, rest) = self.structure.split_first_chunk::<4>()?;
        self.structure = rest;
        Some(u32::from_be_bytes(*word))
    }

    /// Takes `size` bytes and what fills the last word.
    fn take(&mut self, size: usize) -> Option<&'a [u8]> {
        let taken = self.structure.get(..size)?;
        self.structure = self.structure.get(size.checked_next_multiple_of(4)?..)?;
        Some(taken)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            match self.word()? {
                1 => {
                    let name = until_nul(self.structure)?;
                    self.take(name.len().checked_add(1)?)?;
                    return Some(Token::Begin(core::str::from_utf8(name).ok()?));
                }
                2 => return Some(Token::End),
                3 => {
                    let (size, name) = (self.word()?, self.word()?);
                    let name = until_nul(self.strings.get(name as usize..)?)?;
                    return Some(Token::Prop(core::str::from_utf8(name).ok()?, self.take(size as usize)?));
                }
                4 => {}
                _ => return None,
            }
        }
    }
}

fn until_nul(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(..bytes.iter().position(|b| *b == 0)?)
}

fn text(value: &[u8]) -> Option<&str> {
    core::str::from_utf8(until_nul(value)?).ok()
}

fn number(value: &[u8]) -> Option<u64> {
    match value.len() {
        4 => Some(u64::from(u32::from_be_bytes(value.try_into().ok()?))),
        _ => Some(u64::from_be_bytes(value.try_into().ok()?)),
    }
}

/// The memory reservation block (Devicetree Specification 5.3).
fn reservations(blob: &[u8]) -> impl Iterator<Item = Span<Pa>> {
    let at = blob.get(16..).and_then(|b| b.first_chunk::<4>()).map(|w| u32::from_be_bytes(*w) as usize);
    let entries = at.and_then(|at| blob.get(at..)).unwrap_or(&[]);
    let word = |b: &[u8]| b.first_chunk::<8>().map_or(0, |w| u64::from_be_bytes(*w));
    let entries = entries.as_chunks::<16>().0.iter().map(move |e| (word(e), e.get(8..).map_or(0, word)));
    entries.take_while(|entry| *entry != (0, 0)).filter_map(|(at, size)| Span::new(Pa(at), size))
}
