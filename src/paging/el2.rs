//! EL2's own stage 1 descriptors, in the two regimes that EL2 can have (Arm ARM D8.3.1.1, D8.4.1).

use core::fmt;

use super::format::attribute_bits;
use super::{AddressSpace, Format, MapError, Stale, Store};
use crate::addr::{Address, Pa, Span};

/// A virtual address of EL2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Va(pub u64);

impl Address for Va {
    fn new(at: u64) -> Self {
        Self(at)
    }
    fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Va {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// EL2's map of itself.
#[derive(Debug)]
pub enum El2Stage1 {}

/// Whose translation regime EL2's map is for (Arm ARM D8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regime {
    /// EL2: HCR_EL2.E2H is 0. One range of addresses, one privilege level.
    El2,
    /// EL2&0: HCR_EL2.E2H is 1 (FEAT_VHE). Two ranges, of which the upper is not used, and two levels: what EL0 may use, EL2 may not
    /// while PSTATE.PAN is set, which a guest does and an exception leaves; so nothing is for EL0.
    El2And0,
}

/// What EL2 may do with a mapping. There is no way to say both writable and executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Code: read, execute.
    Code,
    /// Constants: read.
    ReadOnly,
    /// Data: read, write.
    Data,
    /// Device-nGnRE registers: read, write.
    Device,
}

/// MAIR_EL2 for these descriptors: attribute 0 is Normal write-back (read- and write-allocate), 1 is Device-nGnRE.
pub const MAIR_EL2: u64 = 0x04_ff;

/// AttrIndx, bits 2 to 4.
const NORMAL: u64 = 0 << 2;
const DEVICE: u64 = 1 << 2;
/// AP[1], bit 6: RES1 where there is one privilege level, and for EL0 where there are two.
const AP1: u64 = 1 << 6;
/// AP[2], bit 7: no writes.
const READ_ONLY: u64 = 1 << 7;
/// SH, bits 8 and 9.
const INNER_SHAREABLE: u64 = 0b11 << 8;
/// AF, bit 10.
const ACCESSED: u64 = 1 << 10;
/// PXN, bit 53: RES0 where there is one privilege level.
const PRIVILEGED_EXECUTE_NEVER: u64 = 1 << 53;
/// XN, bit 54; UXN where there are two privilege levels.
const EXECUTE_NEVER: u64 = 1 << 54;

impl Format for El2Stage1 {
    type Address = Va;
    type Attributes = (Regime, Window);

    fn encode((regime, window): Self::Attributes) -> u64 {
        let (always, never) = match regime {
            Regime::El2 => (AP1, EXECUTE_NEVER),
            // UXN of code stays clear: there is no EL0 in this regime (HCR_EL2.TGE is 0), and a CPU that is on its way from the other
            // regime still runs by these entries ([`AddressSpace::move_to`]).
            Regime::El2And0 => (0, EXECUTE_NEVER | PRIVILEGED_EXECUTE_NEVER),
        };
        always
            | ACCESSED
            | match window {
                Window::Code => NORMAL | INNER_SHAREABLE | READ_ONLY,
                Window::ReadOnly => NORMAL | INNER_SHAREABLE | READ_ONLY | never,
                Window::Data => NORMAL | INNER_SHAREABLE | never,
                Window::Device => DEVICE | never,
            }
    }

    fn decode(bits: u64) -> Option<Self::Attributes> {
        let windows = [Window::Code, Window::ReadOnly, Window::Data, Window::Device];
        let both = [Regime::El2, Regime::El2And0].into_iter();
        both.flat_map(|regime| windows.map(|window| (regime, window))).find(|it| Self::encode(*it) == bits)
    }
}

impl<S: Store> AddressSpace<El2Stage1, S> {
    /// Maps a span of physical addresses at the same virtual ones.
    ///
    /// # Errors
    /// See [`MapError`].
    pub fn map_identity(&mut self, span: Span<Pa>, window: Window) -> Result<(), MapError> {
        let regime = self.geometry().regime();
        self.map(span.map(|at| Va(at.0)), span.start(), (regime, window))
    }

    /// Writes every entry anew, as the other regime has it. This CPU, the only one, may translate by them meanwhile, as it does with one
    /// privilege level: then AP[1] and PXN say nothing (they are RES1 and RES0, Arm ARM D8.4.1), and all else stays as it was.
    /// What its TLB holds is to be forgotten when the regime changes.
    pub fn move_to(&mut self, regime: Regime) {
        self.walker.geometry.set_regime(regime);
        self.walker.rewrite(|raw| match Self::window(raw) {
            Some(window) => raw & !attribute_bits(raw) | El2Stage1::encode((regime, window)),
            None => raw,
        });
    }

    fn window(raw: u64) -> Option<Window> {
        El2Stage1::decode(attribute_bits(raw)).map(|(_, window)| window)
    }

    /// Takes away what [`AddressSpace::map_identity`] mapped.
    ///
    /// # Errors
    /// See [`AddressSpace::unmap`].
    pub fn unmap_identity(&mut self, span: Span<Pa>, stale: &mut dyn FnMut(Stale)) -> Result<(), MapError> {
        self.unmap(span.map(|at| Va(at.0)), stale)
    }
}
