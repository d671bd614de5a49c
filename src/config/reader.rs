//! A node's properties by type; what is wrong goes on a list, and reading goes on.

use alloc::string::String;
use alloc::vec::Vec;

use super::names::{IGNORED, Names};
use super::{error, size};
use crate::addr::PAGE;
use crate::refusal::{Refused, Sentence, refuse};
use crate::tree::{Node, Prop, nearest};

/// The most names in one list.
pub const MAX_NAMES: usize = 256;

pub(super) struct Reader<'t, 'a, 'e> {
    node: Node<'t, 'a>,
    errors: &'e mut Vec<Refused>,
}

impl<'t, 'a, 'e> Reader<'t, 'a, 'e> {
    pub(super) fn new(node: Node<'t, 'a>, errors: &'e mut Vec<Refused>) -> Self {
        Self { node, errors }
    }

    pub(super) fn node(&self) -> Node<'t, 'a> {
        self.node
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.node.prop(name).is_some()
    }

    #[inline(never)]
    pub(super) fn fail(&mut self, property: Option<&str>, sentence: &'static Sentence) -> &mut Refused {
        refuse(self.errors, sentence).description(&self.node, property)
    }

    /// Refuses a value of a wrong type or outside of its range.
    #[inline(never)]
    pub(super) fn expected(&mut self, name: &str, expected: &'static str) {
        self.fail(Some(name), &error::EXPECTED).word(expected);
    }

    /// Refuses that the property is missing; `reason` says why it must be there, or what to write.
    #[inline(never)]
    pub(super) fn missing(&mut self, name: &str, reason: &'static str) {
        self.fail(Some(name), &error::MISSING).word(reason);
    }

    /// Refuses the property if another one is there.
    #[inline(never)]
    pub(super) fn exclude(&mut self, name: &str, with: &str) {
        if self.has(name) && self.has(with) {
            let node = self.node;
            self.fail(Some(name), &error::CONFLICT).quoted(with).description(&node, Some(with));
        }
    }

    /// Refuses what the language does not have.
    #[inline(never)]
    pub(super) fn check_names(&mut self, names: &Names) {
        for prop in self.node.props() {
            let name = prop.name();
            if names.later.contains(&name) {
                self.fail(Some(name), &error::NOT_YET);
            } else if !names.known.contains(&name) && !IGNORED.contains(&name) {
                let nearest = nearest(name, names.known.iter().copied());
                self.fail(Some(name), &error::UNKNOWN_PROPERTY).guess(nearest);
            }
        }
    }

    /// Refuses nodes below this one.
    #[inline(never)]
    pub(super) fn no_children(&mut self) {
        for child in self.node.children() {
            Reader::new(child, self.errors).fail(None, &error::UNKNOWN_NODE);
        }
    }

    /// Whether the property is there; it has no value.
    #[inline(never)]
    pub(super) fn flag(&mut self, name: &str) -> bool {
        let prop = self.node.prop(name);
        if prop.is_some_and(|prop| !prop.bytes().is_empty()) {
            self.expected(name, "no value");
        }
        prop.is_some()
    }

    /// A string, perhaps an empty one.
    #[inline(never)]
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let text = self.node.prop(name)?.str();
        if text.is_none() {
            self.expected(name, "one string");
        }
        text.map(String::from)
    }

    /// A string that is not empty.
    #[inline(never)]
    pub(super) fn word(&mut self, name: &str, expected: &'static str) -> Option<&'a str> {
        let word = self.node.prop(name)?.str().filter(|word| !word.is_empty());
        if word.is_none() {
            self.expected(name, expected);
        }
        word
    }

    /// The name of a file in the archive.
    pub(super) fn file(&mut self, name: &str) -> Option<String> {
        self.word(name, "the name of a file in the archive").map(String::from)
    }

    /// Whether the property is there; `"accept"` is all that it can say.
    #[inline(never)]
    pub(super) fn accept(&mut self, name: &str) -> bool {
        let accepted = self.node.prop(name).map(|prop| prop.str() == Some("accept"));
        if accepted == Some(false) {
            self.expected(name, "\"accept\"");
        }
        accepted == Some(true)
    }

    /// Names, none of them empty.
    #[inline(never)]
    pub(super) fn list(&mut self, name: &str, expected: &'static str) -> Vec<String> {
        let Some(prop) = self.node.prop(name) else { return Vec::new() };
        let list = strings(&prop);
        if list.is_empty() {
            self.expected(name, expected);
        }
        for (at, item) in list.iter().enumerate() {
            if list.iter().take(at).any(|other| other == item) {
                self.fail(Some(name), &error::LISTED_TWICE).quoted(item);
            }
        }
        list
    }

    /// Bytes of memory, as a text with a unit or as one or two cells.
    #[inline(never)]
    pub(super) fn memory(&mut self, name: &str) -> Option<u64> {
        let prop = self.node.prop(name)?;
        let bytes = match prop.str() {
            Some(text) => size::parse(text),
            None => prop.u64(),
        };
        let bytes = bytes.filter(|n| *n != 0 && n.is_multiple_of(PAGE));
        if bytes.is_none() {
            self.expected(name, "a size in whole pages of 4 KiB, like \"16M\" or \"1G\"");
        }
        bytes
    }

    /// Two cells, neither of them 0.
    #[inline(never)]
    pub(super) fn pair(&mut self, name: &str, expected: &'static str) -> Option<(u32, u32)> {
        let mut cells = self.node.prop(name)?.cells();
        let pair = match (cells.next(), cells.next(), cells.next()) {
            (Some(first @ 1..), Some(second @ 1..), None) => Some((first, second)),
            _ => None,
        };
        if pair.is_none() {
            self.expected(name, expected);
        }
        pair
    }

    /// An address at a multiple of `align`, as a hexadecimal text or as one or two cells.
    #[inline(never)]
    pub(super) fn address(&mut self, name: &str, align: u64, expected: &'static str) -> Option<u64> {
        let prop = self.node.prop(name)?;
        // Cells can have the bytes of a text, but not of one that begins like a number and is as long.
        let at = match prop.str().filter(|text| text.starts_with("0x")) {
            Some(text) => size::address(text),
            None => prop.u64(),
        };
        let at = at.filter(|at| at.is_multiple_of(align));
        if at.is_none() {
            self.expected(name, expected);
        }
        at
    }
}

/// Whether a value is text. Numbers below 2^24 are never taken for it: they begin with a zero byte.
fn is_text(prop: &Prop<'_>) -> bool {
    let [text @ .., 0] = prop.bytes() else { return false };
    let names = || text.split(|byte| *byte == 0);
    names().all(|name| !name.is_empty() && !name.iter().any(u8::is_ascii_control))
        && core::str::from_utf8(text).is_ok()
}

/// A list of strings, each of 1 or more printable characters; empty if the value is none.
#[inline(never)]
fn strings(prop: &Prop<'_>) -> Vec<String> {
    let mut list = Vec::new();
    if is_text(prop) {
        for name in prop.strings() {
            if list.len() == MAX_NAMES {
                return Vec::new();
            }
            list.push(String::from(name));
        }
    }
    list
}
