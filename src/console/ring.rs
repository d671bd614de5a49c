//! Bytes on their way, as many as there is room for.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// A queue of bytes.
#[derive(Debug)]
pub(super) struct Ring {
    bytes: Box<[u8]>,
    first: usize,
    len: usize,
    /// How many newlines are in it.
    lines: usize,
}

impl Ring {
    /// Of this capacity. Where `room` has as much, nothing is allocated.
    pub(super) fn new(mut room: Vec<u8>, capacity: usize) -> Self {
        room.resize(capacity, 0);
        Self { bytes: room.into(), first: 0, len: 0, lines: 0 }
    }

    /// The place that is so many behind the first.
    fn place(&self, behind: usize) -> usize {
        let place = self.first.wrapping_add(behind);
        if place < self.bytes.len() { place } else { place.wrapping_sub(self.bytes.len()) }
    }

    /// Puts a byte in; whether there was room.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        if self.is_full() {
            return false;
        }
        let at = self.place(self.len);
        if let Some(place) = self.bytes.get_mut(at) {
            *place = byte;
        }
        self.len = self.len.wrapping_add(1);
        self.lines = self.lines.wrapping_add(usize::from(byte == b'\n'));
        true
    }

    /// Takes the oldest.
    pub(super) fn pop(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.first).filter(|_| self.len != 0)?;
        self.first = self.place(1);
        self.len = self.len.wrapping_sub(1);
        self.lines = self.lines.wrapping_sub(usize::from(byte == b'\n'));
        Some(byte)
    }

    /// Takes the newest back, down to this many.
    pub(super) fn truncate(&mut self, len: usize) {
        while self.len > len {
            self.len = self.len.wrapping_sub(1);
            let at = self.place(self.len);
            self.lines = self.lines.wrapping_sub(usize::from(self.bytes.get(at) == Some(&b'\n')));
        }
    }

    /// How many there is room for.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        (self.first, self.len, self.lines) = (0, 0, 0);
    }

    /// How many are in.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is in.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether no more go in.
    pub(super) fn is_full(&self) -> bool {
        self.len == self.bytes.len()
    }

    /// Whether at least half of it is free.
    pub(super) fn has_room(&self) -> bool {
        self.len <= self.bytes.len() / 2
    }

    /// Whether a whole line is in.
    pub(super) fn has_line(&self) -> bool {
        self.lines != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[test]
    fn a_ring_without_room_takes_nothing() {
        let mut ring = Ring::new(Vec::new(), 0);
        assert!(ring.is_full() && ring.is_empty() && !ring.push(1));
        assert_eq!(ring.pop(), None);
    }

    proptest! {
        #[test]
        fn it_is_a_bounded_queue(capacity in 1usize..9, ops in prop::collection::vec(0u8..20, 0..200)) {
            let (mut ring, mut model) = (Ring::new(Vec::new(), capacity), VecDeque::new());
            for op in ops {
                match op {
                    0..12 => {
                        let room = model.len() < capacity;
                        prop_assert_eq!(ring.push(op), room);
                        if room { model.push_back(op) }
                    }
                    12..18 => prop_assert_eq!(ring.pop(), model.pop_front()),
                    18 => {
                        ring.truncate(2);
                        model.truncate(2);
                    }
                    _ => {
                        ring.clear();
                        model.clear();
                    }
                }
                prop_assert_eq!((ring.len(), ring.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(ring.has_line(), model.contains(&b'\n'));
                prop_assert_eq!(ring.has_room(), model.len() <= capacity / 2);
            }
        }
    }
}
