//! The SPIs of a cell's virtual devices.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::spi::{VirtualSpi, Wire};
use crate::intid::{IntidSet, Spi};

/// Two or three at most, so they are searched in order.
#[derive(Debug, Default)]
pub(super) struct VirtualSpis {
    spis: Vec<VirtualSpi>,
    /// Their INTIDs.
    intids: IntidSet,
}

impl VirtualSpis {
    /// One more.
    pub(super) fn add(&mut self, spi: Spi, wire: Arc<Wire>) {
        self.intids.insert(spi.intid());
        self.spis.push(VirtualSpi::new(spi, wire));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &VirtualSpi> {
        self.spis.iter()
    }

    /// The one with this INTID.
    pub(super) fn find(&self, intid: u32) -> Option<&VirtualSpi> {
        self.iter().find(|spi| spi.intid == intid)
    }

    /// Those in a word of 32 INTIDs, a bit each.
    pub(super) fn word(&self, word: u32) -> u32 {
        self.intids.word(word as usize)
    }

    /// Those of a word whose bits are set.
    pub(super) fn chosen(&self, word: u32, bits: u32) -> impl Iterator<Item = &VirtualSpi> {
        self.iter().filter(move |spi| spi.bit(word) & bits != 0)
    }
}
