//! Sets of addresses.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::marker::PhantomData;

use crate::addr::{Address, Pa, Span};

/// A set of addresses: spans by rising start, none touching the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanSet<A> {
    spans: Spans,
    of: PhantomData<A>,
}

/// The same for all spaces of addresses, so that there is one code for them all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Spans(Vec<Span<Pa>>);

impl<A: Address> Default for SpanSet<A> {
    fn default() -> Self {
        Self { spans: Spans::default(), of: PhantomData }
    }
}

impl<A: Address> FromIterator<Span<A>> for SpanSet<A> {
    fn from_iter<I: IntoIterator<Item = Span<A>>>(spans: I) -> Self {
        let mut all = Vec::new();
        for span in spans {
            all.push(span.cast());
        }
        Self { spans: Spans::merged(all), of: PhantomData }
    }
}

impl<A: Address> SpanSet<A> {
    /// The spans, rising.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Span<A>> + '_ {
        self.spans.0.iter().map(|span| span.cast())
    }

    /// Whether nothing is in.
    pub fn is_empty(&self) -> bool {
        self.spans.0.is_empty()
    }

    /// How many bytes.
    pub fn size(&self) -> u64 {
        self.spans.0.iter().fold(0, |sum, span| sum.saturating_add(span.size()))
    }

    /// Puts a span in.
    pub fn insert(&mut self, span: Span<A>) {
        self.spans.insert(span.cast());
    }

    /// Takes a span out.
    pub fn remove(&mut self, hole: Span<A>) {
        self.spans.remove(hole.cast());
    }

    /// Takes all of another set out.
    pub fn remove_all(&mut self, holes: &Self) {
        holes.spans.0.iter().for_each(|hole| self.spans.remove(*hole));
    }

    /// Whether all of a span is in.
    pub fn covers(&self, span: &Span<A>) -> bool {
        self.spans.behind(span.start().get()).is_some_and(|s| s.covers(&span.cast()))
    }

    /// The first piece of a span that is in.
    pub fn overlap(&self, span: &Span<A>) -> Option<Span<A>> {
        self.spans.behind(span.start().get())?.intersection(&span.cast()).map(|span| span.cast())
    }

    /// The lowest place for `size` bytes at a multiple of `align`, a power of two.
    pub fn lowest(&self, size: u64, align: u64) -> Option<Span<A>> {
        self.spans.lowest(size, align).map(|span| span.cast())
    }

    /// The highest place for `size` bytes at a multiple of `align`, a power of two.
    pub fn highest(&self, size: u64, align: u64) -> Option<Span<A>> {
        self.spans.highest(size, align).map(|span| span.cast())
    }

    /// Bytes of the largest span.
    pub fn largest(&self) -> u64 {
        self.spans.0.iter().map(|span| span.size()).max().unwrap_or(0)
    }
}

impl Spans {
    #[inline(never)]
    fn merged(spans: Vec<Span<Pa>>) -> Self {
        let mut merged: Vec<Span<Pa>> = Vec::new();
        for span in BinaryHeap::from(spans).into_sorted_vec() {
            match merged.last_mut() {
                Some(last) if span.start() <= last.end() => *last = last.hull(&span),
                _ => merged.push(span),
            }
        }
        Self(merged)
    }

    #[inline(never)]
    fn insert(&mut self, mut span: Span<Pa>) {
        let at = self.0.partition_point(|other| other.end() < span.start());
        while let Some(other) = self.0.get(at).filter(|other| other.start() <= span.end()) {
            span = span.hull(other);
            self.0.remove(at);
        }
        self.0.insert(at, span);
    }

    #[inline(never)]
    fn remove(&mut self, hole: Span<Pa>) {
        let mut at = self.0.partition_point(|span| span.last() < hole.start());
        while self.0.get(at).is_some_and(|span| span.overlaps(&hole)) {
            let [below, above] = self.0.remove(at).without(&hole);
            for piece in [below, above].into_iter().flatten() {
                self.0.insert(at, piece);
                at = at.saturating_add(1);
            }
        }
    }

    /// The first span that ends at or behind an address.
    #[inline(never)]
    fn behind(&self, at: u64) -> Option<Span<Pa>> {
        let at = self.0.partition_point(|s| s.last().0 < at);
        self.0.get(at).copied()
    }

    #[inline(never)]
    fn lowest(&self, size: u64, align: u64) -> Option<Span<Pa>> {
        self.0.iter().find_map(|s| fit_low(s, size, align))
    }

    #[inline(never)]
    fn highest(&self, size: u64, align: u64) -> Option<Span<Pa>> {
        self.0.iter().rev().find_map(|s| fit_high(s, size, align))
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
