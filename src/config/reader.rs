//! A node's properties by type; what is wrong goes on a list, and reading goes on.

use alloc::string::String;
use alloc::vec::Vec;

use super::names::Standing;
use super::{ConfigError, Mistake, size};
use crate::addr::PAGE;
use crate::tree::{Node, Prop, nearest};

pub(super) struct Reader<'t, 'a, 'e> {
    node: Node<'t, 'a>,
    errors: &'e mut Vec<ConfigError>,
}

impl<'t, 'a, 'e> Reader<'t, 'a, 'e> {
    pub(super) fn new(node: Node<'t, 'a>, errors: &'e mut Vec<ConfigError>) -> Self {
        Self { node, errors }
    }

    pub(super) fn node(&self) -> Node<'t, 'a> {
        self.node
    }

    pub(super) fn fail(&mut self, property: Option<&str>, what: Mistake) {
        self.errors.push(ConfigError { node: self.node.path(), property: property.map(String::from), what });
    }

    /// A reader for another node, with the same list.
    pub(super) fn below(&mut self, node: Node<'t, 'a>) -> Reader<'t, 'a, '_> {
        Reader { node, errors: self.errors }
    }

    /// Refuses that the property is missing, if it is.
    pub(super) fn need(&mut self, name: &str, reason: &'static str) {
        if self.node.prop(name).is_none() {
            self.fail(Some(name), Mistake::Missing { reason });
        }
    }

    /// Whether the property is there and has one of the values that mean something; one of `later` is reserved.
    pub(super) fn word(&mut self, name: &str, now: &[&str], later: &[&str], expected: &'static str) -> bool {
        let word = self.value(name, expected, |prop| {
            prop.str().filter(|word| now.contains(word) || later.contains(word))
        });
        if word.is_some_and(|word| later.contains(&word)) {
            self.fail(Some(name), Mistake::NotYet);
        }
        word.is_some_and(|word| now.contains(&word))
    }

    /// Refuses what the language does not have.
    pub(super) fn check_names(&mut self, of: impl Fn(&str) -> (Standing, &'static [&'static str])) {
        for prop in self.node.props() {
            let what = match of(prop.name()) {
                (Standing::Known, _) => continue,
                (Standing::Later, _) => Mistake::NotYet,
                (Standing::Unknown, known) => {
                    let nearest = nearest(prop.name(), known.iter().copied()).map(String::from);
                    Mistake::Unknown { nearest }
                }
            };
            self.fail(Some(prop.name()), what);
        }
    }

    /// Whether the property is there; it has no value.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        self.value(name, "no value", |prop| prop.bytes().is_empty().then_some(()));
        self.node.prop(name).is_some()
    }

    /// A string, perhaps an empty one.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.value(name, "one string", |prop| prop.str().map(String::from))
    }

    /// The name of a file in the archive.
    pub(super) fn file(&mut self, name: &str) -> Option<String> {
        self.word_or(name, "the name of a file in the archive")
    }

    /// The name of a node of the board, or a word that means something by itself.
    pub(super) fn name(&mut self, name: &str) -> Option<String> {
        self.word_or(name, "one name")
    }

    /// A string that is not empty.
    fn word_or(&mut self, name: &str, expected: &'static str) -> Option<String> {
        self.value(name, expected, |prop| prop.str().filter(|word| !word.is_empty()).map(String::from))
    }

    /// Names, none of them empty.
    pub(super) fn list(&mut self, name: &str) -> Option<Vec<String>> {
        let list = self.value(name, "one or more names", strings)?;
        Some(self.without_repetition(name, list))
    }

    /// Names, or else a number.
    pub(super) fn list_or_count(&mut self, name: &str) -> Option<Result<Vec<String>, u32>> {
        let expected = "one or more CPUs, or how many as a number from 1";
        let either = |prop: &Prop<'a>| match strings(prop) {
            Some(names) => Some(Ok(names)),
            None => prop.u32().filter(|count| *count != 0).map(Err),
        };
        let value = self.value(name, expected, either)?;
        Some(value.map(|list| self.without_repetition(name, list)))
    }

    /// Bytes of memory, as a text with a unit or as one or two cells.
    pub(super) fn memory(&mut self, name: &str) -> Option<u64> {
        let expected = "a size in whole pages of 4 KiB, like \"16M\" or \"1G\"";
        let bytes = |prop: &Prop<'a>| match strings(prop) {
            Some(_) => prop.str().and_then(size::parse),
            None => prop.u64(),
        };
        self.value(name, expected, |prop| bytes(prop).filter(|n| *n != 0 && n.is_multiple_of(PAGE)))
    }

    fn value<T>(
        &mut self,
        name: &str,
        expected: &'static str,
        read: impl Fn(&Prop<'a>) -> Option<T>,
    ) -> Option<T> {
        let value = read(&self.node.prop(name)?);
        if value.is_none() {
            self.fail(Some(name), Mistake::Expected { expected });
        }
        value
    }

    fn without_repetition(&mut self, property: &str, list: Vec<String>) -> Vec<String> {
        for (at, name) in list.iter().enumerate() {
            if list.iter().take(at).any(|other| other == name) {
                self.fail(Some(property), Mistake::Twice { name: name.clone() });
            }
        }
        list
    }
}

/// A list of strings, each of 1 or more printable characters. Numbers below 2^24 are never taken for one: they begin
/// with a zero byte.
fn strings(prop: &Prop<'_>) -> Option<Vec<String>> {
    let text = core::str::from_utf8(prop.bytes().strip_suffix(&[0])?).ok()?;
    let is_name = |name: &str| !name.is_empty() && !name.chars().any(char::is_control);
    text.split('\0').map(|name| is_name(name).then(|| name.into())).collect()
}
