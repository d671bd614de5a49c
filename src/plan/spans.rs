//! Sets of addresses.

use alloc::vec::Vec;

use crate::addr::{Address, Span};
use crate::sort;

/// A set of addresses: spans by rising start, none touching the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanSet<A>(Vec<Span<A>>);

impl<A: Address> Default for SpanSet<A> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<A: Address> FromIterator<Span<A>> for SpanSet<A> {
    fn from_iter<I: IntoIterator<Item = Span<A>>>(spans: I) -> Self {
        let mut all: Vec<_> = spans.into_iter().collect();
        sort::by_key(&mut all, |span| *span);
        let mut merged: Vec<Span<A>> = Vec::new();
        for span in all {
            match merged.last_mut() {
                Some(last) if span.start() <= last.end() => {
                    let end = last.end().max(span.end());
                    *last = Span::between(last.start(), end).unwrap_or(*last);
                }
                _ => merged.push(span),
            }
        }
        Self(merged)
    }
}

impl<A: Address> SpanSet<A> {
    /// The spans, rising.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Span<A>> + '_ {
        self.0.iter().copied()
    }

    /// Whether nothing is in.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes.
    pub fn size(&self) -> u64 {
        self.iter().fold(0, |sum, span| sum.saturating_add(span.size()))
    }

    /// Puts a span in.
    pub fn insert(&mut self, span: Span<A>) {
        let first = self.0.partition_point(|s| s.end() < span.start());
        let behind = self.0.partition_point(|s| s.start() <= span.end());
        let touched = self.0.get(first..behind).unwrap_or(&[]);
        let start = touched.first().map_or(span.start(), |s| s.start().min(span.start()));
        let end = touched.last().map_or(span.end(), |s| s.end().max(span.end()));
        self.0.splice(first..behind.max(first), Span::between(start, end));
    }

    /// Takes a span out.
    pub fn remove(&mut self, hole: Span<A>) {
        let first = self.0.partition_point(|s| s.last() < hole.start());
        let behind = self.0.partition_point(|s| s.start() <= hole.last()).max(first);
        let rest: Vec<_> = self
            .0
            .get(first..behind)
            .unwrap_or(&[])
            .iter()
            .flat_map(|s| s.without(&hole))
            .flatten()
            .collect();
        self.0.splice(first..behind, rest);
    }

    /// Takes all of another set out.
    pub fn remove_all(&mut self, holes: &Self) {
        holes.iter().for_each(|hole| self.remove(hole));
    }

    /// Whether all of a span is in.
    pub fn covers(&self, span: &Span<A>) -> bool {
        let at = self.0.partition_point(|s| s.last() < span.start());
        self.0.get(at).is_some_and(|s| s.covers(span))
    }

    /// The first piece of a span that is in.
    pub fn overlap(&self, span: &Span<A>) -> Option<Span<A>> {
        let at = self.0.partition_point(|s| s.last() < span.start());
        self.0.get(at)?.intersection(span)
    }

    /// The lowest place for `size` bytes at a multiple of `align`, a power of two.
    pub fn lowest(&self, size: u64, align: u64) -> Option<Span<A>> {
        self.iter().find_map(|s| fit_low(&s, size, align))
    }

    /// The highest place for `size` bytes at a multiple of `align`, a power of two.
    pub fn highest(&self, size: u64, align: u64) -> Option<Span<A>> {
        self.iter().rev().find_map(|s| fit_high(&s, size, align))
    }
}

/// The lowest place inside `room`.
pub(super) fn fit_low<A: Address>(room: &Span<A>, size: u64, align: u64) -> Option<Span<A>> {
    let start = room.start().get().checked_next_multiple_of(align)?;
    Span::new(A::new(start), size).filter(|span| room.covers(span))
}

/// The highest place inside `room`.
pub(super) fn fit_high<A: Address>(room: &Span<A>, size: u64, align: u64) -> Option<Span<A>> {
    let start = room.end().get().checked_sub(size)? & !align.checked_sub(1)?;
    Span::new(A::new(start), size).filter(|span| room.covers(span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Pa;

    fn set(spans: &[(u64, u64)]) -> SpanSet<Pa> {
        spans.iter().map(|(s, e)| Span::between(Pa(*s), Pa(*e)).unwrap()).collect()
    }

    fn span(start: u64, end: u64) -> Span<Pa> {
        Span::between(Pa(start), Pa(end)).unwrap()
    }

    #[test]
    fn what_touches_becomes_one() {
        assert_eq!(set(&[(4, 6), (0, 2), (2, 4)]), set(&[(0, 6)]));
        let mut s = set(&[(0, 2), (4, 6), (8, 10)]);
        s.insert(span(2, 5));
        assert_eq!(s, set(&[(0, 6), (8, 10)]));
        s.insert(span(20, 30));
        s.insert(span(7, 31));
        assert_eq!(s, set(&[(0, 6), (7, 31)]));
    }

    #[test]
    fn a_hole_goes_through_several() {
        let mut s = set(&[(0, 4), (6, 8), (10, 14)]);
        s.remove(span(2, 12));
        assert_eq!((s.clone(), s.size()), (set(&[(0, 2), (12, 14)]), 4));
        s.remove_all(&set(&[(0, 1), (12, 14)]));
        assert_eq!(s, set(&[(1, 2)]));
        assert!(s.covers(&span(1, 2)) && !s.covers(&span(1, 3)) && !s.is_empty());
        assert_eq!(s.overlap(&span(0, 9)), Some(span(1, 2)));
        assert_eq!(s.overlap(&span(2, 9)), None);
    }

    #[test]
    fn places_are_aligned_and_inside() {
        let s = set(&[(3, 9), (13, 40)]);
        assert_eq!(s.lowest(4, 4), Some(span(4, 8)));
        assert_eq!(s.lowest(8, 8), Some(span(16, 24)));
        assert_eq!(s.highest(8, 16), Some(span(32, 40)));
        assert_eq!(s.highest(9, 16), Some(span(16, 25)));
        assert_eq!((s.lowest(28, 1), s.highest(28, 1), s.highest(99, 1)), (None, None, None));
    }
}
