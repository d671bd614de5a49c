//! Interrupt identifiers (GIC architecture specification IHI 0069H, section 2.2).

use core::fmt;

/// How many INTIDs stand below the special ones: SGIs, PPIs and SPIs.
pub const INTIDS: u32 = 1020;

/// A software-generated interrupt, INTID 0 to 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sgi(u8);

/// A private peripheral interrupt, INTID 16 to 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ppi(u8);

/// A shared peripheral interrupt, INTID 32 to 1019.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spi(u16);

impl Sgi {
    /// The SGI with this INTID.
    pub fn new(id: u32) -> Option<Self> {
        (id < 16).then_some(Self(id as u8))
    }
    /// The INTID.
    pub fn intid(self) -> u32 {
        u32::from(self.0)
    }
}

impl Ppi {
    /// The PPI with this INTID.
    pub fn new(id: u32) -> Option<Self> {
        (16..32).contains(&id).then_some(Self(id as u8))
    }
    /// The INTID.
    pub fn intid(self) -> u32 {
        u32::from(self.0)
    }
}

impl Spi {
    /// The SPI with this INTID.
    pub fn new(id: u32) -> Option<Self> {
        (32..INTIDS).contains(&id).then_some(Self(id as u16))
    }
    /// The INTID.
    pub fn intid(self) -> u32 {
        u32::from(self.0)
    }
}

impl fmt::Display for Sgi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SGI {}", self.0)
    }
}

impl fmt::Display for Ppi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PPI {}", self.0.wrapping_sub(16))
    }
}

impl fmt::Display for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SPI {}", self.0.wrapping_sub(32))
    }
}

/// A set of INTIDs below 1020, a bit each, in words of 32 as the distributor's registers have them.
#[derive(Clone, PartialEq, Eq)]
pub struct IntidSet {
    words: [u32; 32],
}

impl Default for IntidSet {
    fn default() -> Self {
        Self::new()
    }
}

impl IntidSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { words: [0; 32] }
    }

    /// Puts an INTID in; those of 1020 and above are no members of any set.
    pub fn insert(&mut self, id: u32) {
        if id < INTIDS
            && let Some(word) = self.words.get_mut((id / 32) as usize)
        {
            *word |= 1 << (id % 32);
        }
    }

    /// Takes an INTID out.
    pub fn remove(&mut self, id: u32) {
        if let Some(word) = self.words.get_mut((id / 32) as usize) {
            *word &= !(1 << (id % 32));
        }
    }

    /// Whether the INTID is in.
    #[inline]
    pub fn contains(&self, id: u32) -> bool {
        self.words.get((id / 32) as usize).is_some_and(|word| word >> (id % 32) & 1 == 1)
    }

    /// The bits of INTIDs `32 * n` to `32 * n + 31`; nothing beyond the last.
    #[inline]
    pub fn word(&self, n: usize) -> u32 {
        self.words.get(n).copied().unwrap_or(0)
    }

    /// Whether nothing is in.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|w| *w == 0)
    }

    /// The members in rising order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..INTIDS).filter(|id| self.contains(*id))
    }
}

impl fmt::Debug for IntidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// How an interrupt is signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Pending from an edge until it is acknowledged.
    Edge,
    /// Pending as long as the line is asserted.
    Level,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_range() {
        assert!(Sgi::new(15).is_some() && Sgi::new(16).is_none());
        assert!(Ppi::new(15).is_none() && Ppi::new(16).is_some() && Ppi::new(32).is_none());
        assert!(Spi::new(31).is_none() && Spi::new(32).is_some() && Spi::new(1020).is_none());
        assert_eq!(Spi::new(40).unwrap().to_string(), "SPI 8");
    }

    #[test]
    fn a_set_keeps_what_it_is_given() {
        let mut set = IntidSet::new();
        for id in [0, 31, 32, 1019, 1020, 5000] {
            set.insert(id);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 31, 32, 1019]);
        set.remove(32);
        assert!(!set.contains(32) && set.contains(31) && !set.contains(5000));
        assert_eq!(set.word(31), 1 << 27);
    }
}
