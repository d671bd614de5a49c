//! What boot needs of the board's tree before there is a heap: walks over the tokens, nothing allocated.

use alloc::vec::Vec;

use arrayvec::ArrayVec;

use super::ranges::{Bus, translate};
use super::values::{Strings, up_to};
use super::{Blob, MAX_DEPTH, Prop, Token, TreeError, used_size};
use crate::addr::{PAGE, Pa, Span};
use crate::refusal::{Code, Place, Refusal, code};

/// The most banks of memory that are used before there is a heap.
pub const MAX_BANKS: usize = 32;
/// The most reserved regions of a tree.
pub const MAX_RESERVED: usize = 64;

/// The longest path of a console, in bytes: it is compared with every node's.
const MAX_PATH: usize = 1024;

/// A tree holds more of something than Bulkhead has room for before it has a heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EarlyError {
    /// Banks of memory.
    #[error("the board's tree has more than {MAX_BANKS} banks of memory: merge those that touch")]
    Banks,
    /// Reserved regions.
    #[error("the board's tree reserves more than {MAX_RESERVED} regions of memory: merge those that touch")]
    Reserved,
}

impl Refusal for EarlyError {
    fn code(&self) -> Code {
        code::TOO_MANY_REGIONS
    }

    fn places(&self) -> Vec<Place> {
        match self {
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
    /// What there was no room for.
    pub left_out: Option<EarlyError>,
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
    pub fn compatibles(&self) -> Strings<'a> {
        Strings(self.compatible)
    }
}

/// Walks over a blob, which is checked by that ([`super::check`]).
///
/// # Errors
/// When it is damaged.
pub fn read(blob: &[u8]) -> Result<Early<'_>, TreeError> {
    let mut early = Early { used: used_size(blob)?, ..Early::default() };
    let blob = Blob::open(blob)?;
    let mut reservations = blob.reservations();
    while let Some(span) = reservations.next()? {
        early.reserve(span);
    }
    let mut path = Path::default();
    let (mut stdout, mut initrd) = (None, (None, None));
    let mut walk = blob.walk();
    while let Some(token) = walk.step()? {
        match token {
            Token::Begin(name) => {
                path.enter(name);
                if let [_, cpus, cpu] = path.0.as_slice() {
                    let is_cpu = cpus.name == "cpus" && cpu.name.starts_with("cpu@");
                    early.cpus = early.cpus.saturating_add(usize::from(is_cpu));
                }
            }
            Token::Prop(prop) => match (path.0.as_slice(), prop.name()) {
                ([_, node], "linux,initrd-start") if node.name == "chosen" => initrd.0 = prop.u64(),
                ([_, node], "linux,initrd-end") if node.name == "chosen" => initrd.1 = prop.u64(),
                ([_, node], "stdout-path" | "linux,stdout-path") if node.name == "chosen" => {
                    stdout = prop.str();
                }
                // Where a CPU waits (Devicetree Specification 3.8.1), whether it is reserved or not.
                ([_, node, _], "cpu-release-addr") if node.name == "cpus" => {
                    let word = prop.u64().and_then(|at| Span::new(Pa(at), 8)?.widened_to(PAGE));
                    word.into_iter().for_each(|page| early.keep(page));
                }
                _ => path.note(&prop),
            },
            Token::End => {
                match path.0.as_slice() {
                    [root, node] if node.is_memory() => root.spans(node, |span| early.add_bank(span)),
                    [_, parent, node] if parent.name == "reserved-memory" && !node.disabled => {
                        parent.spans(node, |span| early.reserve(span));
                    }
                    _ => {}
                }
                path.0.pop();
            }
        }
    }
    early.initrd = initrd.0.zip(initrd.1);
    early.stdout = stdout.and_then(|name| find_stdout(&blob, name));
    Ok(early)
}

impl Early<'_> {
    fn add_bank(&mut self, span: Span<Pa>) {
        if self.memory.try_push(span).is_err() {
            self.left_out = Some(EarlyError::Banks);
        }
    }

    /// Reserves what is not yet reserved as a whole.
    fn keep(&mut self, page: Span<Pa>) {
        if !self.reserved.iter().any(|span| span.covers(&page)) {
            self.reserve(page);
        }
    }

    fn reserve(&mut self, span: Span<Pa>) {
        if self.reserved.try_push(span).is_err() {
            self.left_out = Some(EarlyError::Reserved);
        }
    }
}

/// How many nodes the root of a blob has: cells, when the blob is a description. Behind damage
/// nothing is counted; who reads the blob in earnest will find it.
pub fn count_children(blob: &[u8]) -> usize {
    let Ok(blob) = Blob::open(blob) else { return 0 };
    let (mut depth, mut count, mut walk) = (0_usize, 0_usize, blob.walk());
    while let Ok(Some(token)) = walk.step() {
        match token {
            Token::Begin(_) => {
                count = count.saturating_add(usize::from(depth == 1));
                depth = depth.saturating_add(1);
            }
            Token::End => depth = depth.saturating_sub(1),
            Token::Prop(_) => {}
        }
    }
    count
}

fn find_stdout<'a>(blob: &Blob<'a>, name: &'a str) -> Option<Stdout<'a>> {
    let name = name.get(..up_to(name.as_bytes(), b':'))?;
    let target = if name.starts_with('/') { name } else { alias(blob, name)? };
    if target.len() > MAX_PATH {
        return None;
    }
    let (mut path, mut walk) = (Path::default(), blob.walk());
    while let Ok(Some(token)) = walk.step() {
        match token {
            // The properties of a node end where its first child begins.
            Token::Begin(_) | Token::End if path.is(target) => return path.stdout(),
            Token::Begin(name) => path.enter(name),
            Token::Prop(prop) => path.note(&prop),
            Token::End => drop(path.0.pop()),
        }
    }
    None
}

fn alias<'a>(blob: &Blob<'a>, name: &str) -> Option<&'a str> {
    let (mut path, mut walk) = (Path::default(), blob.walk());
    while let Ok(Some(token)) = walk.step() {
        match token {
            Token::Begin(name) => path.enter(name),
            Token::Prop(prop) if prop.name() == name && path.is("/aliases") => return prop.str(),
            Token::Prop(_) => {}
            Token::End => drop(path.0.pop()),
        }
    }
    None
}

/// What is kept of a node on the way.
#[derive(Clone, Copy)]
struct NodeProps<'a> {
    name: &'a str,
    bus: Bus<'a>,
    reg: &'a [u8],
    compatible: &'a [u8],
    memory: bool,
    disabled: bool,
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

    fn is_memory(&self) -> bool {
        !self.disabled && (self.memory || self.name == "memory" || self.name.starts_with("memory@"))
    }

    /// The entries of a child's `reg`, as they stand there.
    fn spans(&self, child: &Self, mut each: impl FnMut(Span<Pa>)) {
        for (at, size) in self.bus.reg(child.reg) {
            if let Some(span) = Span::new(Pa(at.at), size) {
                each(span);
            }
        }
    }
}

/// From the root down to the node that the walk is in.
#[derive(Default)]
struct Path<'a>(ArrayVec<NodeProps<'a>, MAX_DEPTH>);

impl<'a> Path<'a> {
    /// A walk goes no deeper than there is room for.
    fn enter(&mut self, name: &'a str) {
        let bus = Bus { address_cells: 2, size_cells: 1, ranges: None };
        let node = NodeProps { name, bus, reg: &[], compatible: &[], memory: false, disabled: false };
        let _ = self.0.try_push(node);
    }

    fn note(&mut self, prop: &Prop<'a>) {
        if let Some(node) = self.0.last_mut() {
            node.note(prop);
        }
    }

    /// Whether the walk is in the node at this path.
    fn is(&self, mut path: &str) -> bool {
        for node in self.0.iter().skip(1) {
            let rest = path.trim_start_matches('/').strip_prefix(node.name);
            match rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                Some(rest) => path = rest,
                None => return false,
            }
        }
        !self.0.is_empty() && path.bytes().all(|byte| byte == b'/')
    }

    /// The node that the walk is in, as a console.
    fn stdout(&self) -> Option<Stdout<'a>> {
        let [above @ .., node] = self.0.as_slice() else { return None };
        let (at, _) = above.last()?.bus.reg(node.reg).next()?;
        let at = translate(&mut above.iter().rev().map(|node| node.bus), at)?;
        Some(Stdout { compatible: node.compatible, at })
    }
}

#[cfg(test)]
mod tests;
