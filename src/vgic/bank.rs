//! 32 interrupts whose state lies side by side in the physical GIC: a word of SPIs in the distributor, or the SGIs and
//! PPIs of one CPU in its redistributor.

use super::offsets::{
    CPENDSGIR, CTLR_RWP, GICD_CTLR, GICR_CTLR, ICACTIVER, ICENABLER, ICFGR, ICPENDR, IPRIORITYR, ISPENDR,
    RD_CTLR_RWP, SGI_BASE, SPENDSGIR,
};
use crate::cpu::PcpuId;
use crate::ports::{GicRegisters, GicVersion, Width};

/// The highest priority of a guest's interrupt: the second of the 16 levels that every GIC has (IHI 0069H 4.8). EL2's own
/// have the first and are taken before.
const GUEST_HIGHEST: u8 = 0x10;
/// How often RWP is read before we go on without it. Hardware needs far less; nothing that follows depends on it for safety.
const RWP_READS: u32 = 4096;

/// A guest's priority as the physical GIC has it, and as the guest reads it back. All levels but the first are as written: a
/// map that spent a bit on EL2's own would leave 8 levels under DS=0 and let the lowest that RTOSes use reach the one that no
/// mask lets through.
pub(super) fn of_guest(written: u8) -> u8 {
    written.max(GUEST_HIGHEST)
}

/// Which 32 interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bank {
    /// INTIDs 32n to 32n+31, n from 1.
    Spis(u32),
    /// INTIDs 0 to 31 of this CPU.
    Private(PcpuId),
}

impl Bank {
    /// The bank that an INTID is in, seen from this CPU.
    pub(super) fn of(intid: u32, cpu: PcpuId) -> Self {
        if intid < 32 { Self::Private(cpu) } else { Self::Spis(intid / 32) }
    }

    #[inline(always)]
    fn load(self, m: &impl GicRegisters, register: u32, place: u32, width: Width) -> u64 {
        match self {
            Self::Spis(_) => m.gicd_read(register.wrapping_add(place), width),
            Self::Private(cpu) => {
                m.gicr_read(cpu, SGI_BASE.wrapping_add(register).wrapping_add(place), width)
            }
        }
    }

    fn store(self, m: &mut impl GicRegisters, register: u32, place: u32, width: Width, value: u64) {
        match self {
            Self::Spis(_) => m.gicd_write(register.wrapping_add(place), width, value),
            Self::Private(cpu) => {
                m.gicr_write(cpu, SGI_BASE.wrapping_add(register).wrapping_add(place), width, value);
            }
        }
    }

    #[inline(always)]
    fn word(self) -> u32 {
        match self {
            Self::Spis(word) => word,
            Self::Private(_) => 0,
        }
    }

    /// Reads this bank's word of a register with one bit an INTID.
    #[inline(never)]
    pub(super) fn read(self, m: &impl GicRegisters, register: u32) -> u32 {
        self.read_at_once(m, register)
    }

    /// The same where it is read often.
    #[inline(always)]
    pub(super) fn read_at_once(self, m: &impl GicRegisters, register: u32) -> u32 {
        self.load(m, register, self.word().wrapping_mul(4), Width::Word) as u32
    }

    /// Writes this bank's word of such a register; 0 is not written, as it would change nothing in the
    /// set and clear registers that this is for.
    pub(super) fn write<M: GicRegisters>(self, m: &mut M, register: u32, bits: u32) {
        if m.version() == GicVersion::V2 && register == ICPENDR && matches!(self, Self::Private(_)) {
            // There, SGIs are pending by their senders, and ICPENDR leaves them alone (IHI 0048B 4.3.8).
            self::bits(bits & 0xffff).for_each(|sgi| self.clear_senders(m, sgi, u8::MAX));
        }
        if bits != 0 {
            self.store(m, register, self.word().wrapping_mul(4), Width::Word, u64::from(bits));
        }
    }

    /// By which CPU interfaces a GICv2 has an SGI pending here.
    pub(super) fn senders(self, m: &impl GicRegisters, sgi: u32) -> u8 {
        self.load(m, SPENDSGIR, sgi, Width::Byte) as u8
    }

    /// Makes an SGI pending by these.
    pub(super) fn set_senders(self, m: &mut impl GicRegisters, sgi: u32, senders: u8) {
        self.store(m, SPENDSGIR, sgi, Width::Byte, u64::from(senders));
    }

    /// Makes it pending by these no more.
    pub(super) fn clear_senders(self, m: &mut impl GicRegisters, sgi: u32, senders: u8) {
        self.store(m, CPENDSGIR, sgi, Width::Byte, u64::from(senders));
    }

    /// Waits until writes that disable or regroup have taken effect (RWP); not for ever.
    pub(super) fn settle(self, m: &impl GicRegisters) {
        for _ in 0..RWP_READS {
            let waiting = match self {
                Self::Spis(_) => m.gicd_read(GICD_CTLR, Width::Word) as u32 & CTLR_RWP,
                Self::Private(cpu) => m.gicr_read(cpu, GICR_CTLR, Width::Word) as u32 & RD_CTLR_RWP,
            };
            if waiting == 0 {
                return;
            }
        }
    }

    /// Brings these private interrupts into the state in which a guest finds them: disabled, not pending, inactive, at the highest
    /// priority and level-triggered.
    pub(super) fn reset_private(self, m: &mut impl GicRegisters, private: u32, highest: u8) {
        self.write(m, ICENABLER, private);
        self.settle(m);
        self.reset_priorities(m, private, highest);
        let others = self.config(m, 1) & !config_mask(private, 1);
        self.set_config(m, 1, others);
        self.write(m, ICPENDR, private);
        self.write(m, ICACTIVER, private);
    }

    /// An INTID's physical priority.
    #[inline(never)]
    pub(super) fn priority(self, m: &impl GicRegisters, intid: u32) -> u8 {
        self.priority_at_once(m, intid)
    }

    /// The same where it is read often.
    #[inline(always)]
    pub(super) fn priority_at_once(self, m: &impl GicRegisters, intid: u32) -> u8 {
        self.load(m, IPRIORITYR, intid, Width::Byte) as u8
    }

    /// Gives these of the bank the highest priority: four at a time, where none of another owner's lies between.
    pub(super) fn reset_priorities(self, m: &mut impl GicRegisters, chosen: u32, highest: u8) {
        let first = self.word().wrapping_mul(32);
        for four in (0..32).step_by(4) {
            let at = first.wrapping_add(four);
            match chosen >> four & 0xf {
                0xf => {
                    self.store(m, IPRIORITYR, at, Width::Word, u64::from(u32::from_ne_bytes([highest; 4])))
                }
                some => bits(some).for_each(|n| self.set_priority(m, at.wrapping_add(n), highest)),
            }
        }
    }

    /// Sets an INTID's physical priority.
    pub(super) fn set_priority(self, m: &mut impl GicRegisters, intid: u32, priority: u8) {
        self.store(m, IPRIORITYR, intid, Width::Byte, u64::from(priority));
    }

    /// Reads 16 INTIDs' configuration; `half` counts from INTID 0.
    #[inline(never)]
    pub(super) fn config(self, m: &impl GicRegisters, half: u32) -> u32 {
        self.load(m, ICFGR, half.wrapping_mul(4), Width::Word) as u32
    }

    /// Writes it.
    pub(super) fn set_config(self, m: &mut impl GicRegisters, half: u32, value: u32) {
        self.store(m, ICFGR, half.wrapping_mul(4), Width::Word, u64::from(value));
    }

    /// Makes an active INTID pending again, unless its line does so. (Where a level-triggered one was pending and its line has
    /// gone down since, it may come once too often: it could as well have been made pending by ISPENDR, and must not be lost.)
    pub(super) fn pend_again(self, m: &mut impl GicRegisters, intid: u32) {
        self.write(m, ISPENDR, 1 << (intid % 32) & !self.read(m, ISPENDR));
    }
}

/// The two-bit fields of `half` (0 or 1) of a word: only their upper bits carry meaning (IHI 0069H 12.9.8).
pub(super) fn config_mask(word: u32, half: u32) -> u32 {
    let chosen = word >> (half & 1).wrapping_mul(16) & 0xffff;
    bits(chosen).fold(0, |mask, bit| mask | 2u32.wrapping_shl(bit.wrapping_mul(2)))
}

/// The numbers of the bits that are set.
#[inline]
pub(super) fn bits(word: u32) -> impl Iterator<Item = u32> {
    wide_bits(u64::from(word))
}

/// The same of 64.
#[inline]
pub(super) fn wide_bits(mut word: u64) -> impl Iterator<Item = u32> {
    core::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros())?;
        word &= word.wrapping_sub(1);
        Some(bit)
    })
}
