//! At which level a walk of the guest's own tables left the cell.

use super::abort::ipa;
use crate::addr::{Ipa, Pa};
use crate::cell::Vcpu;
use crate::ports::{El1Reg, Machine};

/// The level of the stage 1 walk that stage 2 refused at the last exit (ESR_EL2.S1PTW); `None` to ask again.
///
/// The guest is told of an External abort on a translation table walk, whose status has the level of *that* walk (Arm ARM D24.2.40,
/// DFSC 0x14 to 0x17), and no status without a level fits. The CPU knows the level but does not say: ESR_EL2's is
/// stage 2's, HPFAR_EL2 has the page of the descriptor, not its place in a table, and AT gives the same again in PAR_EL1. So the
/// walk is done once more, by hand, down to the first descriptor in the page that was refused. All before it are in RAM, or
/// they had been refused first.
///
/// The guest may have changed its tables meanwhile; then it is told the level where they end now. Nothing else depends on it.
#[cold]
pub fn level<M: Machine>(vcpu: &Vcpu<'_>, machine: &mut M) -> Option<u8> {
    // EL2 sees a page through one window at a time.
    let _turn = vcpu.cell.cleaner.try_lock()?;
    let (va, refused) = (machine.far(), ipa(machine.hpfar(), 0));
    let (tcr, ttbr0, ttbr1) =
        (machine.el1(El1Reg::Tcr), machine.el1(El1Reg::Ttbr0), machine.el1(El1Reg::Ttbr1));
    let start = Start::new(va, tcr, ttbr0, ttbr1);
    let read = |at: Ipa| {
        let backing = vcpu.cell.ram.iter().find_map(|region| {
            let offset = at.0.checked_sub(region.ipa.0).filter(|offset| *offset < region.size)?;
            region.pa.checked_add(offset)
        });
        backing.and_then(|pa: Pa| machine.read(pa).ok())
    };
    Some(start.walk(va, refused, read))
}

/// Bits 47:12 of a table's address in a descriptor, bits 47:1 in TTBRn_EL1. (52-bit addresses are hidden from guests.)
const TABLE: u64 = 0xffff_ffff_f000;
const BADDR: u64 = 0xffff_ffff_fffe;

/// Where a walk begins (Arm ARM D8.2.4).
struct Start {
    /// Log2 of the granule.
    granule: u32,
    /// How many bits of the address are translated.
    bits: u32,
    ttbr: u64,
}

impl Start {
    /// Of the walk for `va`: bit 55 chooses the half.
    #[inline(always)]
    fn new(va: u64, tcr: u64, ttbr0: u64, ttbr1: u64) -> Self {
        let upper = va & 1 << 55 != 0;
        let (half, ttbr) = if upper { (tcr >> 16, ttbr1) } else { (tcr, ttbr0) };
        // TG0 and TG1 have different encodings (Arm ARM D24.2.192).
        let granule = match (upper, half >> 14 & 3) {
            (false, 1) | (true, 3) => 16u32,
            (false, 2) | (true, 1) => 14,
            _ => 12,
        };
        let bits = 64u32.saturating_sub((half & 0x3f) as u32).clamp(granule.saturating_add(1), 48);
        Self { granule, bits, ttbr }
    }

    /// Walks down to a descriptor in the page `refused`, or as far as there are tables: that level.
    fn walk(&self, va: u64, refused: Ipa, mut read: impl FnMut(Ipa) -> Option<u64>) -> u8 {
        // An index has three bits fewer than the granule: a descriptor is 8 bytes.
        let stride = self.granule.saturating_sub(3);
        let below = |level: u8| {
            self.granule.saturating_add(stride.saturating_mul(u32::from(3u8.saturating_sub(level))))
        };
        let mut level = (0..3).find(|level| below(*level) < self.bits).unwrap_or(3);
        // The first table is as large as the address space asks, and aligned to that.
        let mut index = self.bits.saturating_sub(below(level));
        let mut table = self.ttbr & BADDR & !ones(index.saturating_add(3));
        loop {
            let at = Ipa(table | (va.wrapping_shr(below(level)) & ones(index)) << 3);
            if at.0 >> 12 == refused.0 >> 12 || level >= 3 {
                return level;
            }
            let Some(next) = read(at).filter(|next| next & 3 == 3) else { return level };
            table = next & TABLE & !ones(self.granule);
            index = stride;
            level = level.saturating_add(1);
        }
    }
}

/// So many ones.
fn ones(count: u32) -> u64 {
    1u64.wrapping_shl(count).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// TCR_EL1 for both halves alike: T0SZ, T1SZ, TG0, TG1.
    fn tcr(granule: u32, bits: u32) -> u64 {
        let (tg0, tg1) = match granule {
            16 => (1, 3),
            14 => (2, 1),
            _ => (0, 2),
        };
        let size = u64::from(64 - bits);
        size | tg0 << 14 | size << 16 | tg1 << 30
    }

    /// The start level (Arm ARM D8.2.5 to D8.2.7), as the tables there have it.
    fn first(granule: u32, bits: u32) -> u8 {
        match (granule, bits) {
            (12, 40..) | (14, 48..) => 0,
            (12, 31..) | (14, 37..) | (16, 43..) => 1,
            (12, 22..) | (14, 26..) | (16, 30..) => 2,
            _ => 3,
        }
    }

    proptest! {
        /// A guest's tables lead down to one level and leave the cell there: that level is found, in every geometry.
        #[test]
        fn the_level_is_where_the_tables_leave_the_cell(
            granule in prop::sample::select(vec![12u32, 14, 16]),
            bits in 25u32..=48,
            upper: bool,
            va: u64,
            depth in 0u8..4,
            asid: u16,
        ) {
            let va = if upper { va | u64::MAX << bits | 1 << 55 } else { va & ((1 << bits) - 1) | va & 0xff << 56 };
            let first = first(granule, bits);
            let last = first.saturating_add(depth).min(3);
            // Tables at 64 KiB multiples in RAM, the last one outside. What is no table on the way stays 0.
            let place = |level: u8| Ipa(if level == last { 0x7_1230_0000 } else { 0x4000_0000 + (u64::from(level) << 16) });
            let mut ram = BTreeMap::new();
            for level in first..last {
                let shift = granule + (granule - 3) * (3 - u32::from(level));
                let top = bits.min(shift + granule - 3);
                let index = va >> shift & ((1 << (top - shift)) - 1);
                // AttrIndx, AF and software bits may be anything in a table descriptor.
                ram.insert(place(level).0 + index * 8, place(level + 1).0 | 0x7ff0_0000_0000_0ffc & !1 | 3);
            }
            let shift = granule + (granule - 3) * (3 - u32::from(last));
            let top = if last == first { bits } else { bits.min(shift + granule - 3) };
            let index = va >> shift & ((1 << (top - shift)) - 1);
            let refused = Ipa((place(last).0 + index * 8) & !0xfff);
            let ttbr = place(first).0 | u64::from(asid) << 48 | 1;
            let (ttbr0, ttbr1) = if upper { (0xdead_0000, ttbr) } else { (ttbr, 0xdead_0000) };
            let start = Start::new(va, tcr(granule, bits), ttbr0, ttbr1);
            let read = |at: Ipa| (at.0 >> 32 == 0).then(|| ram.get(&at.0).copied().unwrap_or(0));
            prop_assert_eq!(start.walk(va, refused, read), last);
        }

        /// Whatever the registers and tables hold, the walk ends and reads at most four descriptors.
        #[test]
        fn garbage_has_a_level_too(va: u64, tcr: u64, ttbr: u64, refused: u64, entries: [u64; 4]) {
            let mut reads = 0;
            let level = Start::new(va, tcr, ttbr, ttbr).walk(va, Ipa(refused), |at| {
                assert!(at.0.is_multiple_of(8));
                reads += 1;
                entries.get(reads - 1).copied()
            });
            prop_assert!(level <= 3 && reads <= 4);
        }
    }
}
