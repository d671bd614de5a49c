//! One physical interrupt.

/// Its state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FakeIrq {
    pub(crate) group1: bool,
    pub(crate) enabled: bool,
    pub(crate) edge: bool,
    /// The line is asserted (level-triggered).
    pub(crate) line: bool,
    /// Pending from an edge or ISPENDR.
    pub(crate) latch: bool,
    pub(crate) active: bool,
    pub(crate) priority: u8,
    pub(crate) route: u64,
}

impl FakeIrq {
    pub(crate) fn pending(&self) -> bool {
        self.latch || !self.edge && self.line
    }

    pub(crate) fn signalled(&self) -> bool {
        self.group1 && self.enabled && self.pending() && !self.active
    }

    /// A bit of a register with a bit for each INTID.
    pub(crate) fn bit(&self, register: u32) -> bool {
        match register {
            0x080 => self.group1,
            0x100 | 0x180 => self.enabled,
            0x200 | 0x280 => self.pending(),
            0x300 | 0x380 => self.active,
            _ => false,
        }
    }

    pub(crate) fn set_bit(&mut self, register: u32, value: bool) {
        match (register, value) {
            (0x080, _) => self.group1 = value,
            (0x100, true) => self.enabled = true,
            (0x180, true) => self.enabled = false,
            (0x200, true) => self.latch = true,
            (0x280, true) => self.latch = false,
            (0x300, true) => self.active = true,
            (0x380, true) => self.active = false,
            _ => {}
        }
    }
}
