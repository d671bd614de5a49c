//! A list register (ICH_LR`n`_EL2, IHI 0069H 12.4.6).

use bitfield_struct::bitfield;

/// The State field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// Nothing is in it.
    Invalid = 0,
    /// Waits for the guest to acknowledge it.
    Pending = 1,
    /// The guest acknowledged it.
    Active = 2,
    /// Both; never with HW=1.
    PendingActive = 3,
}

impl State {
    const fn into_bits(self) -> u8 {
        self as u8
    }

    const fn from_bits(bits: u8) -> Self {
        match bits {
            0 => Self::Invalid,
            1 => Self::Pending,
            2 => Self::Active,
            _ => Self::PendingActive,
        }
    }

    pub(super) fn pending(self) -> bool {
        matches!(self, Self::Pending | Self::PendingActive)
    }

    pub(super) fn active(self) -> bool {
        matches!(self, Self::Active | Self::PendingActive)
    }
}

/// The fields.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub(super) struct Lr {
    pub vintid: u32,
    /// With HW=0, bit 9 of it is EOI: ask for maintenance when the guest deactivates. Of an SGI of a GICv2, bits 0 to 2 are CPUID:
    /// who sent it (GICH_LR`n`, IHI 0048B 5.3.8, has both at the same places).
    #[bits(13)]
    pub pintid: u16,
    #[bits(3)]
    __: u8,
    pub priority: u8,
    #[bits(4)]
    __: u8,
    pub group1: bool,
    pub hw: bool,
    #[bits(2)]
    pub state: State,
}

const EOI: u16 = 1 << 9;
const SENDER: u16 = 7;

impl Lr {
    /// A pending interrupt whose deactivation by the guest deactivates the physical one.
    #[inline(always)]
    pub(super) fn hardware(intid: u32, priority: u8) -> Self {
        const HW: Lr = Lr::new().with_hw(true);
        Self(Self::software(intid, priority).0 | HW.0 | u64::from(intid & 0x1fff) << Self::PINTID_OFFSET)
    }

    /// A pending interrupt that is no more physical.
    #[inline(always)]
    pub(super) fn software(intid: u32, priority: u8) -> Self {
        const PENDING: Lr = Lr::new().with_group1(true).with_state(State::Pending);
        Self(PENDING.0 | u64::from(priority) << Self::PRIORITY_OFFSET | u64::from(intid))
    }

    /// SGIs have no physical part once they are here, all others do.
    #[inline(always)]
    pub(super) fn pending(intid: u32, priority: u8) -> Self {
        if intid < 16 { Self::software(intid, priority) } else { Self::hardware(intid, priority) }
    }

    /// The same, but deactivation asks for maintenance instead of reaching the physical interrupt.
    pub(super) fn reporting(self) -> Self {
        let sender = if self.hw() { 0 } else { self.pintid() };
        self.with_hw(false).with_pintid(EOI | sender)
    }

    /// A pending SGI of a GICv2, sent by this vCPU.
    pub(super) fn sent(intid: u32, priority: u8, sender: u32) -> Self {
        Self::software(intid, priority).with_pintid(sender as u16 & SENDER)
    }

    /// Which vCPU sent it, as a bit.
    pub(super) fn sender(self) -> u8 {
        1 << (self.pintid() & SENDER)
    }

    /// Whether it reports its deactivation.
    pub(super) fn reports(self) -> bool {
        !self.hw() && self.pintid() & EOI != 0
    }
}
