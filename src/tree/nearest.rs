//! The name that somebody may have meant.

use alloc::string::String;
use core::fmt;

/// Longer names are not compared; the table of a comparison has a fixed place on the stack.
const LONGEST: usize = 48;

/// Looks for the candidate with the fewest letters added, left out or replaced, if it is near: about a third of
/// the name's letters at most.
#[derive(Debug)]
pub(super) struct Nearest<'c> {
    name: &'c str,
    /// What a candidate must stay below.
    limit: usize,
    found: Option<&'c str>,
}

impl<'c> Nearest<'c> {
    pub(super) fn to(name: &'c str) -> Self {
        let limit = (name.len().saturating_add(1) / 3).max(1).saturating_add(1);
        Self { name, limit, found: None }
    }

    /// Whether this one is nearer than all before.
    #[inline(never)]
    pub(super) fn is_nearer(&mut self, candidate: &str) -> bool {
        let distance = distance(self.name, candidate).unwrap_or(usize::MAX);
        let nearer = distance < self.limit;
        self.limit = self.limit.min(distance);
        nearer
    }

    pub(super) fn offer(&mut self, candidate: &'c str) {
        if self.is_nearer(candidate) {
            self.found = Some(candidate);
        }
    }

    pub(super) fn found(&self) -> Option<&'c str> {
        self.found
    }
}

/// The nearest of these ([`Nearest`]).
pub fn nearest<'c>(name: &'c str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let mut nearest = Nearest::to(name);
    candidates.for_each(|candidate| nearest.offer(candidate));
    nearest.found()
}

/// Levenshtein's distance in bytes, a row of the table at a time.
fn distance(a: &str, b: &str) -> Option<usize> {
    let mut row = [0_usize; LONGEST];
    let row = row.get_mut(..b.len())?;
    for (j, cell) in row.iter_mut().enumerate() {
        *cell = j.saturating_add(1);
    }
    for (i, x) in a.bytes().take(LONGEST).enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        for (cell, y) in row.iter_mut().zip(b.bytes()) {
            let replaced = diagonal.saturating_add(usize::from(x != y));
            diagonal = *cell;
            left = left.min(*cell).saturating_add(1).min(replaced);
            *cell = left;
        }
    }
    (a.len() <= LONGEST).then(|| row.last().copied().unwrap_or(a.len()))
}

/// For the end of an error's text: `; did you mean X?`, or nothing.
#[derive(Clone, Copy, Debug)]
pub struct Guess<'g>(pub &'g Option<String>);

impl fmt::Display for Guess<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |name| write!(f, "; did you mean `{name}`?"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("", "abc"), Some(3));
        assert_eq!(distance("abc", ""), Some(3));
        assert_eq!(distance("kitten", "sitting"), Some(3));
        assert_eq!(distance("same", "same"), Some(0));
        assert_eq!(distance("a", &"b".repeat(49)), None);
        assert_eq!(distance(&"b".repeat(49), "a"), None);
    }

    #[test]
    fn only_a_near_name_is_offered() {
        let names = ["memory", "cpus", "devices"];
        assert_eq!(nearest("memroy", names.into_iter()), Some("memory"));
        assert_eq!(nearest("cpu", names.into_iter()), Some("cpus"));
        assert_eq!(nearest("watchdog", names.into_iter()), None);
    }
}
