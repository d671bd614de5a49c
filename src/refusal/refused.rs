//! A refusal as a sentence with gaps, and what stands in them: one way to print all, in few bytes of code.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::{Code, Place, Refusal};
use crate::addr::BLOCK_2M;
use crate::tree::Node;

/// What a kind of refusal says. Each `%` stands for a part of it, in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Its number.
    pub code: Code,
    /// The sentence.
    pub text: &'static str,
}

/// Statics of one `Sentence` each: `NAME = CODE, "text";`, where `CODE` is one of [`super::code`].
macro_rules! sentences {
    ($($name:ident = $code:ident, $text:literal;)*) => {
        $(
            pub(super) static $name: $crate::refusal::Sentence =
                $crate::refusal::Sentence { code: $crate::refusal::code::$code, text: $text };
        )*
    };
}
pub(crate) use sentences;

/// A refusal: a sentence and its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    code: Code,
    text: &'static str,
    parts: Vec<Part>,
}

/// What stands in a gap. Parts beyond the sentence's last gap are culprits that it does not name again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// A node of the description, and its property.
    Description {
        node: String,
        property: Option<String>,
    },
    /// A cell, and which of its properties is at fault.
    Cell {
        name: String,
        property: Option<&'static str>,
    },
    /// Nodes of the board.
    Nodes(Vec<String>),
    /// A file of the archive.
    File(String),
    /// Something that people wrote.
    Quoted(String),
    /// For the end of a sentence: the nearest name that there is.
    Guess(Option<String>),
    /// A name of ours.
    Word(&'static str),
    /// An explanation that has its own numbers.
    Text(String),
    Number(u64),
    Address(u64),
    Span(u64, u64),
    Bytes(u64),
}

/// The most refusals on a list: EL2's heap is small. The last gives way to the next.
const MAX_REFUSALS: usize = 256;

/// Puts a refusal on a list; its parts follow.
#[inline(never)]
pub(crate) fn refuse<'l>(list: &'l mut Vec<Refused>, sentence: &'static Sentence) -> &'l mut Refused {
    if list.len() >= MAX_REFUSALS {
        list.pop();
    }
    list.push_mut(Refused::new(sentence))
}

impl Refused {
    /// A refusal whose parts follow.
    pub(crate) fn new(sentence: &'static Sentence) -> Self {
        Self { code: sentence.code, text: sentence.text, parts: Vec::new() }
    }

    /// Another number than the sentence's own: what it quotes has one.
    pub(crate) fn numbered(&mut self, code: Code) -> &mut Self {
        self.code = code;
        self
    }

    #[inline(never)]
    fn push(&mut self, part: Part) -> &mut Self {
        self.parts.push(part);
        self
    }

    /// A node of the description.
    #[inline(never)]
    pub(crate) fn description(&mut self, node: &Node<'_, '_>, property: Option<&str>) -> &mut Self {
        self.push(Part::Description { node: node.path(), property: property.map(String::from) })
    }

    /// A cell, and which of its properties is at fault.
    #[inline(never)]
    pub(crate) fn cell(&mut self, name: &str, property: &'static str) -> &mut Self {
        self.push(Part::Cell { name: name.into(), property: Some(property) })
    }

    /// A cell as a whole, or nobody.
    #[inline(never)]
    pub(crate) fn owner(&mut self, name: Option<&str>) -> &mut Self {
        match name {
            Some(name) => self.push(Part::Cell { name: name.into(), property: None }),
            None => self.word("nobody"),
        }
    }

    /// A node of the board.
    #[inline(never)]
    pub(crate) fn node(&mut self, node: &Node<'_, '_>) -> &mut Self {
        self.push(Part::Nodes(Vec::from([node.path()])))
    }

    /// One more in the list that [`Refused::node`] began.
    #[inline(never)]
    pub(crate) fn and(&mut self, node: String) -> &mut Self {
        match self.parts.last_mut() {
            Some(Part::Nodes(nodes)) => nodes.push(node),
            _ => self.parts.push(Part::Nodes(Vec::from([node]))),
        }
        self
    }

    #[inline(never)]
    pub(crate) fn file(&mut self, name: &str) -> &mut Self {
        self.push(Part::File(name.into()))
    }

    #[inline(never)]
    pub(crate) fn quoted(&mut self, text: &str) -> &mut Self {
        self.push(Part::Quoted(text.into()))
    }

    #[inline(never)]
    pub(crate) fn guess(&mut self, nearest: Option<&str>) -> &mut Self {
        self.push(Part::Guess(nearest.map(String::from)))
    }

    #[inline(never)]
    pub(crate) fn word(&mut self, word: &'static str) -> &mut Self {
        self.push(Part::Word(word))
    }

    #[inline(never)]
    pub(crate) fn text(&mut self, text: &dyn fmt::Display) -> &mut Self {
        self.push(Part::Text(text.to_string()))
    }

    #[inline(never)]
    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        self.push(Part::Number(number))
    }

    #[inline(never)]
    pub(crate) fn address(&mut self, at: u64) -> &mut Self {
        self.push(Part::Address(at))
    }

    /// From `start` up to, and without, `end`.
    #[inline(never)]
    pub(crate) fn span(&mut self, start: u64, end: u64) -> &mut Self {
        self.push(Part::Span(start, end))
    }

    /// A size.
    #[inline(never)]
    pub(crate) fn bytes(&mut self, bytes: u64) -> &mut Self {
        self.push(Part::Bytes(bytes))
    }
}

impl Refusal for Refused {
    fn code(&self) -> Code {
        self.code
    }

    fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for part in &self.parts {
            match part {
                Part::Description { node, property } => {
                    places.push(Place::Description { node: node.clone(), property: property.clone() });
                }
                Part::Cell { name, property } => places.push(Place::cell(name, *property)),
                Part::Nodes(nodes) => places.extend(nodes.iter().map(|node| Place::board(node))),
                Part::File(name) => places.push(Place::file(name)),
                _ => {}
            }
        }
        places
    }
}

impl core::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.parts.iter();
        let mut pieces = self.text.as_bytes().split(|byte| *byte == b'%').map(str::from_utf8);
        f.write_str(pieces.next().and_then(Result::ok).unwrap_or(""))?;
        for piece in pieces {
            if let Some(part) = parts.next() {
                part.fmt(f)?;
            }
            f.write_str(piece.unwrap_or(""))?;
        }
        Ok(())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Description { node, property: None } => f.write_str(node),
            Self::Description { node, property: Some(property) } => write!(f, "{node}: `{property}`"),
            Self::Cell { name, .. } => write!(f, "cell `{name}`"),
            Self::Nodes(nodes) => {
                let (first, others) =
                    nodes.split_first().map_or(("", &[][..]), |(first, others)| (&**first, others));
                f.write_str(first)?;
                others.iter().try_for_each(|node| write!(f, ", {node}"))
            }
            Self::File(text) | Self::Quoted(text) => write!(f, "`{text}`"),
            Self::Guess(None) => Ok(()),
            Self::Guess(Some(name)) => write!(f, "; did you mean `{name}`?"),
            Self::Word(word) => f.write_str(word),
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Address(at) => write!(f, "{at:#x}"),
            Self::Span(start, end) => write!(f, "{start:#x}..{end:#x}"),
            Self::Bytes(n) if *n >= BLOCK_2M => write!(f, "{} MiB", n.div_ceil(1 << 20)),
            Self::Bytes(n) => write!(f, "{} KiB", n.div_ceil(1 << 10)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::code;

    #[test]
    fn parts_stand_in_the_gaps_in_their_order() {
        static BOTH: Sentence = Sentence { code: code::NO_ROOM, text: "% takes % of %" };
        let mut list = Vec::new();
        refuse(&mut list, &BOTH).cell("a", "memory").bytes(4096).span(0x10, 0x20).file("x");
        assert_eq!(list[0].to_string(), "cell `a` takes 4 KiB of 0x10..0x20");
        assert_eq!(list[0].code(), code::NO_ROOM);
        assert_eq!(list[0].places(), [Place::cell("a", Some("memory")), Place::file("x")]);
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        assert_eq!(Part::Bytes(4096).to_string(), "4 KiB");
        assert_eq!(Part::Bytes(BLOCK_2M).to_string(), "2 MiB");
        assert_eq!(Part::Bytes(BLOCK_2M + 1).to_string(), "3 MiB");
    }
}
