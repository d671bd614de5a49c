//! Sets of addresses.

use alloc::vec::Vec;
use core::marker::PhantomData;

use crate::addr::{Address, PAGE, Span};

/// A set of addresses: spans by rising start, none touching the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanSet<A> {
    spans: Spans,
    space: PhantomData<A>,
}

/// The same, of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Spans(Vec<Span<u64>>);

impl Spans {
    /// The place of the first span that ends at `at` or behind it.
    fn place(&self, at: u64) -> usize {
        self.0.partition_point(|span| span.end() < at)
    }

    /// The first span with something at `at` or behind it.
    fn first(&self, at: u64) -> Option<&Span<u64>> {
        self.0.iter().find(|span| span.last() >= at)
    }

    fn insert(&mut self, span: Span<u64>) {
        let at = self.place(span.start());
        let (mut start, mut end) = (span.start(), span.end());
        while let Some(touched) = self.0.get(at).filter(|next| next.start() <= end) {
            (start, end) = (start.min(touched.start()), end.max(touched.end()));
            self.0.remove(at);
        }
        self.0.insert(at, Span::between(start, end).unwrap_or(span));
    }

    fn remove(&mut self, hole: &Span<u64>) {
        let mut at = self.place(hole.start());
        while let Some(span) = self.0.get(at).copied().filter(|span| span.start() <= hole.last()) {
            self.0.remove(at);
            for rest in span.without(hole).into_iter().flatten() {
                self.0.insert(at, rest);
                at = at.saturating_add(1);
            }
        }
    }
}

fn number<A: Address>(span: &Span<A>) -> Span<u64> {
    span.map(A::get)
}

impl<A> Default for SpanSet<A> {
    fn default() -> Self {
        Self { spans: Spans::default(), space: PhantomData }
    }
}

impl<A: Address> FromIterator<Span<A>> for SpanSet<A> {
    fn from_iter<I: IntoIterator<Item = Span<A>>>(spans: I) -> Self {
        let mut set = Self::default();
        for span in spans {
            set.insert(span);
        }
        set
    }
}

impl<A: Address> SpanSet<A> {
    /// The spans, rising.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Span<A>> + '_ {
        self.spans.0.iter().map(|span| span.map(A::new))
    }

    /// Whether nothing is in.
    pub fn is_empty(&self) -> bool {
        self.spans.0.is_empty()
    }

    /// How many bytes.
    pub fn size(&self) -> u64 {
        self.spans.0.iter().fold(0, |sum, span| sum.saturating_add(span.size()))
    }

    /// Bytes of the largest span.
    pub fn largest(&self) -> u64 {
        self.spans.0.iter().fold(0, |most, span| most.max(span.size()))
    }

    /// Puts a span in.
    pub fn insert(&mut self, span: Span<A>) {
        self.spans.insert(number(&span));
    }

    /// Puts spans in, widened to whole pages.
    pub fn insert_pages(&mut self, spans: &[Span<A>]) {
        for span in spans {
            if let Some(pages) = number(span).widened_to(PAGE) {
                self.spans.insert(pages);
            }
        }
    }

    /// Takes a span out.
    pub fn remove(&mut self, hole: Span<A>) {
        self.spans.remove(&number(&hole));
    }

    /// Takes all of another set out.
    pub fn remove_all(&mut self, holes: &Self) {
        for hole in &holes.spans.0 {
            self.spans.remove(hole);
        }
    }

    /// Whether all of a span is in.
    pub fn covers(&self, span: &Span<A>) -> bool {
        let span = number(span);
        self.spans.first(span.start()).is_some_and(|s| s.covers(&span))
    }

    /// The first piece of a span that is in.
    pub fn overlap(&self, span: &Span<A>) -> Option<Span<A>> {
        let span = number(span);
        Some(self.spans.first(span.start())?.intersection(&span)?.map(A::new))
    }

    /// The lowest place for `size` bytes at a multiple of `align`, a power of two.
    pub fn lowest(&self, size: u64, align: u64) -> Option<Span<A>> {
        let place = self.spans.0.iter().find_map(|room| lowest(room, size, align));
        place.map(|place| place.map(A::new))
    }

    /// The highest place for `size` bytes at a multiple of `align`, a power of two.
    pub fn highest(&self, size: u64, align: u64) -> Option<Span<A>> {
        let place = self.spans.0.iter().rev().find_map(|room| highest(room, size, align));
        place.map(|place| place.map(A::new))
    }
}

/// The lowest place inside `room`.
pub(super) fn fit_low<A: Address>(room: &Span<A>, size: u64, align: u64) -> Option<Span<A>> {
    lowest(&number(room), size, align).map(|place| place.map(A::new))
}

/// The highest place inside `room`.
pub(super) fn fit_high<A: Address>(room: &Span<A>, size: u64, align: u64) -> Option<Span<A>> {
    highest(&number(room), size, align).map(|place| place.map(A::new))
}

fn lowest(room: &Span<u64>, size: u64, align: u64) -> Option<Span<u64>> {
    let start = room.start().checked_next_multiple_of(align)?;
    Span::new(start, size).filter(|span| room.covers(span))
}

fn highest(room: &Span<u64>, size: u64, align: u64) -> Option<Span<u64>> {
    let start = room.end().checked_sub(size)? & !align.checked_sub(1)?;
    Span::new(start, size).filter(|span| room.covers(span))
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
