//! Who calls whom, as far as the image tells, and never less: a call by register may reach every function whose address is taken.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::decode::{Step, decode};
use crate::image::Image;

/// What a function leads to.
#[derive(Clone, Debug, Default)]
struct Edges {
    /// Functions, and the addresses of the instructions that go there.
    to: BTreeMap<usize, Vec<u64>>,
    /// A call by register.
    anywhere: bool,
    /// Where BRK or UDF is, or a branch into no function.
    traps: Vec<u64>,
}

/// The call graph.
#[derive(Debug)]
pub struct Graph {
    names: Vec<String>,
    edges: Vec<Edges>,
    /// Functions whose address is taken.
    taken: BTreeSet<usize>,
}

/// A way to a function that must not be reached.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// Who calls it.
    pub from: String,
    /// What is called.
    pub panic: String,
    /// Where, for llvm-symbolizer.
    pub at: Vec<u64>,
    /// How a root leads there: the callers, each called by the one before it.
    pub path: Vec<String>,
}

/// What the roots reach.
#[derive(Debug)]
pub struct Reach {
    /// Ways to a panic.
    pub sites: Vec<Site>,
    /// How many functions.
    pub functions: usize,
}

/// A part that the machine outliner made of what others have in common: its calls are theirs.
fn is_outlined(name: &str) -> bool {
    name.starts_with("OUTLINED_FUNCTION_")
}

/// Whether a piece of assembly runs on into the next: its last instruction may go on.
fn runs_on(image: &Image, this: usize) -> bool {
    let span = &image.functions[this].span;
    let last = image.words(span).filter(|(_, word)| *word != 0).last();
    let next = image.functions.get(this + 1).is_some_and(|next| next.span.start == span.end);
    next && last.is_none_or(|(at, word)| {
        !matches!(decode(word, at), Step::Goes(_) | Step::Back) && word >> 10 != 0xd61f_0000 >> 10
    })
}

impl Graph {
    /// Reads all code.
    pub fn new(image: &Image) -> Self {
        let mut edges = Vec::new();
        let mut taken: BTreeSet<usize> = image.pointers.iter().filter_map(|at| image.at(*at)).collect();
        for (this, function) in image.functions.iter().enumerate() {
            let mut all = Edges::default();
            for (at, word) in image.words(&function.span) {
                match decode(word, at) {
                    Step::Next | Step::Back => {}
                    Step::Goes(to) | Step::Calls(to) => match image.at(to) {
                        Some(to) if to == this => {}
                        Some(to) => all.to.entry(to).or_default().push(at),
                        // Nobody knows what is there.
                        None => all.traps.push(at),
                    },
                    Step::Somewhere => all.anywhere = true,
                    // Between labels of assembly there is padding.
                    Step::Trap => all.traps.extend(Some(at).filter(|_| word != 0 || !function.open)),
                    // A label in the function itself is one of a table of its branches.
                    Step::Makes(address) => taken
                        .extend(image.at(address).filter(|to| *to != this || address == function.span.start)),
                    Step::Page(page) => taken.extend(image.within(page..page + 0x1000)),
                }
            }
            if function.open && runs_on(image, this) {
                all.to.entry(this + 1).or_default().push(function.span.end);
            }
            edges.push(all);
        }
        let names: Vec<String> = image.functions.iter().map(|function| function.name.clone()).collect();
        let mut graph = Self { names, edges, taken };
        for this in 0..graph.edges.len() {
            graph.inline(this);
        }
        graph
    }

    /// Puts what outlined parts lead to in their place.
    fn inline(&mut self, this: usize) {
        while let Some(&part) = self.edges[this].to.keys().find(|to| is_outlined(&self.names[**to])) {
            let at = self.edges[this].to.remove(&part).unwrap_or_default();
            let part = self.edges[part].clone();
            let edges = &mut self.edges[this];
            edges.anywhere |= part.anywhere;
            if !part.traps.is_empty() {
                edges.traps.extend(&at);
            }
            for to in part.to.into_keys() {
                edges.to.entry(to).or_default().extend(&at);
            }
        }
    }

    /// How many functions there are, and how many have their address taken.
    pub fn size(&self) -> (usize, usize) {
        (self.names.len(), self.taken.len())
    }

    /// All ways from `roots` into a function that `is_panic` names, or into BRK; `None` if a root does not exist. What a panic
    /// calls is not followed. A call by register does not reach those of `boots`.
    pub fn reach(
        &self,
        roots: &[&str],
        boots: &[&str],
        is_panic: impl Fn(&str) -> bool,
    ) -> Result<Reach, String> {
        let mut callers: BTreeMap<usize, Option<usize>> = BTreeMap::new();
        let mut queue = VecDeque::new();
        for root in roots {
            let found = self.names.iter().position(|name| name == root);
            let found =
                found.ok_or(format!("the image has no function {root}: was it inlined or renamed?"))?;
            callers.insert(found, None);
            queue.push_back(found);
        }
        let mut sites = Vec::new();
        while let Some(this) = queue.pop_front() {
            let edges = &self.edges[this];
            let site = |panic: &str, at: &[u64]| {
                let ways = std::iter::successors(Some(this), |of| callers.get(of).copied().flatten());
                let mut path: Vec<String> = ways.map(|function| self.names[function].clone()).collect();
                path.reverse();
                Site { from: self.names[this].clone(), panic: panic.to_string(), at: at.to_vec(), path }
            };
            if !edges.traps.is_empty() {
                sites.push(site("BRK", &edges.traps));
            }
            let (mut next, mut found) = (Vec::new(), Vec::new());
            for (to, at) in &edges.to {
                if is_panic(&self.names[*to]) {
                    found.push(site(&self.names[*to], at))
                } else {
                    next.push(*to)
                }
            }
            sites.extend(found);
            if edges.anywhere {
                let called =
                    |to: &&usize| !is_panic(&self.names[**to]) && !boots.contains(&self.names[**to].as_str());
                next.extend(self.taken.iter().filter(called));
            }
            for to in next {
                callers.entry(to).or_insert_with(|| {
                    queue.push_back(to);
                    Some(this)
                });
            }
        }
        Ok(Reach { sites, functions: callers.len() })
    }
}
