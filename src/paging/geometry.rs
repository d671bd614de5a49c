//! How big an address space is and at which level its walk starts (Arm ARM D8.2.1, D24.2.176 TCR_EL2, D24.2.190
//! VTCR_EL2).

use super::el2::Regime;
use super::table::{ENTRIES, Level};
use crate::addr::Pa;

/// The smallest space. PARange knows none below 32 bits, so this always fits; everything at fixed places in the cell
/// ABI lies below 4 GiB; and from 31 bits on a walk can start at level 1, so no smaller space would save a table.
const MIN_BITS: u8 = 32;
/// What an entry of the 4 KiB granule can hold without FEAT_LPA2.
const MAX_BITS: u8 = 48;
/// Tables that may be concatenated at the start level of stage 2, as a power of two (D8.2.2).
const CONCATENATED: u8 = 4;

/// An address that this machine cannot translate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("address {highest:#x} needs more than the {bits} bits that this CPU's tables translate")]
pub struct GeometryError {
    /// The highest address asked for.
    pub highest: u64,
    /// What there is.
    pub bits: u8,
}

/// The shape of an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    input_bits: u8,
    output_bits: u8,
    start: Level,
    root_tables: u8,
    /// Of EL2's own map; it says nothing about a stage 2.
    regime: Regime,
}

impl Geometry {
    /// The smallest stage 2 that reaches `highest_ipa`, for a CPU with this ID_AA64MMFR0_EL1.PARange (the smallest of
    /// all CPUs).
    ///
    /// # Errors
    /// If the IPA is beyond the CPU's physical address space: stage 2 input may not be larger than that.
    pub fn for_stage2(pa_range: u8, highest_ipa: u64) -> Result<Self, GeometryError> {
        let output_bits = physical_bits(pa_range);
        let input_bits = bits_for(highest_ipa, output_bits)?;
        let level1 = Level::L0.shift() as u8;
        let concatenated = input_bits.saturating_sub(level1);
        let (start, root_tables) = match concatenated {
            0..=CONCATENATED => (Level::L1, 1 << concatenated),
            _ => (Level::L0, 1),
        };
        Ok(Self { input_bits, output_bits, start, root_tables, regime: Regime::El2 })
    }

    /// The same with no more bits of output than it takes to reach `highest`, for CPUs with fewer. Where this CPU has too few, it
    /// stays as it is.
    pub fn narrowed_to(self, highest: Pa) -> Self {
        let needed = bits_for(highest.0, MAX_BITS).unwrap_or(MAX_BITS).max(self.input_bits);
        let fitting = (0..).map(physical_bits).find(|bits| *bits >= needed).unwrap_or(MAX_BITS);
        Self { output_bits: self.output_bits.min(fitting), ..self }
    }

    /// The smallest map of EL2's own that reaches `highest` one to one.
    ///
    /// # Errors
    /// If the address is beyond the CPU's physical address space.
    pub fn for_el2(pa_range: u8, highest: u64, regime: Regime) -> Result<Self, GeometryError> {
        let output_bits = physical_bits(pa_range);
        let input_bits = bits_for(highest, output_bits)?;
        let start = if u32::from(input_bits) <= Level::L0.shift() { Level::L1 } else { Level::L0 };
        Ok(Self { input_bits, output_bits, start, root_tables: 1, regime })
    }

    /// Bits of the addresses that are translated.
    pub fn input_bits(&self) -> u8 {
        self.input_bits
    }

    /// Bits of the physical addresses that may come out.
    pub fn output_bits(&self) -> u8 {
        self.output_bits
    }

    /// The level of the root.
    pub fn start(&self) -> Level {
        self.start
    }

    /// How many tables the root has, side by side and aligned to their common size: 1, 2, 4, 8 or 16.
    pub fn root_tables(&self) -> usize {
        usize::from(self.root_tables)
    }

    /// VTCR_EL2; with `vmid16` for VMIDs of 16 bits (ID_AA64MMFR1_EL1.VMIDBits). Table walks are write-back and inner
    /// shareable, so tables need no cache upkeep.
    pub fn vtcr(&self, vmid16: bool) -> u64 {
        const RES1: u64 = 1 << 31;
        let sl0 = match self.start {
            Level::L0 => 0b10,
            Level::L1 => 0b01,
            Level::L2 | Level::L3 => 0b00,
        };
        self.size_and_walks() | sl0 << 6 | u64::from(vmid16) << 19 | RES1
    }

    /// VTTBR_EL2. Bits 8 to 15 of the VMID mean something only with [`Geometry::vtcr`]'s `vmid16`.
    pub fn vttbr(&self, vmid: u16, root: Pa) -> u64 {
        u64::from(vmid) << 48 | root.0 & super::table::ADDRESS
    }

    /// The regime of EL2's own map.
    pub fn regime(&self) -> Regime {
        self.regime
    }

    pub(super) fn set_regime(&mut self, regime: Regime) {
        self.regime = regime;
    }

    /// TCR_EL2 for the regime of EL2's own map. With E2H it has the layout of TCR_EL1: EPD1 set, since TTBR1_EL2 is not used, T1SZ and TG1
    /// (4 KiB) legal nevertheless, A1 clear (the ASID, 0, is that of TTBR0_EL2), IPS where the other has reserved bits.
    pub fn tcr_el2(&self) -> u64 {
        const RES1: u64 = 1 << 31 | 1 << 23;
        const EPD1: u64 = 1 << 23;
        const TG1_4K: u64 = 0b10 << 30;
        match self.regime {
            Regime::El2 => self.size_and_walks() | RES1,
            Regime::El2And0 => {
                self.walks() | self.t0sz() << 16 | EPD1 | TG1_4K | pa_size(self.output_bits) << 32
            }
        }
    }

    fn t0sz(&self) -> u64 {
        u64::from(64u8.saturating_sub(self.input_bits))
    }

    /// What all of these registers have in the same places: T0SZ, IRGN0 and ORGN0 write-back with allocation, SH0 inner, TG0 4 KiB.
    fn walks(&self) -> u64 {
        self.t0sz() | 0b01 << 8 | 0b01 << 10 | 0b11 << 12
    }

    /// The same with PS, as VTCR_EL2 and TCR_EL2 have it.
    fn size_and_walks(&self) -> u64 {
        self.walks() | pa_size(self.output_bits) << 16
    }

    /// Bytes of the root.
    pub(super) fn root_size(&self) -> u64 {
        u64::from(self.root_tables) << 12
    }

    /// The entry of the root for an address: which of its tables, and where in it.
    pub(super) fn root_index(&self, at: u64) -> (usize, usize) {
        let index = (at >> self.start.shift()) as usize;
        (index / ENTRIES, index % ENTRIES)
    }
}

/// Table D24: ID_AA64MMFR0_EL1.PARange in bits, as far as entries can hold them.
fn physical_bits(pa_range: u8) -> u8 {
    match pa_range {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        // 5 is 48; larger values promise more, which the 4 KiB granule without FEAT_LPA2 cannot express.
        _ => MAX_BITS,
    }
}

/// The PS field for a size out of [`physical_bits`].
fn pa_size(bits: u8) -> u64 {
    match bits {
        32 => 0,
        36 => 1,
        40 => 2,
        42 => 3,
        44 => 4,
        _ => 5,
    }
}

/// Whether a CPU with this ID_AA64MMFR0_EL1.PARange, and with VMIDs of 16 bits or without, can use a VTCR_EL2.
pub fn can_use(vtcr: u64, pa_range: u8, vmid16: bool) -> bool {
    let size = (vtcr >> 16 & 0b111) as u8;
    pa_range >= size && (vmid16 || vtcr >> 19 & 1 == 0)
}

fn bits_for(highest: u64, available: u8) -> Result<u8, GeometryError> {
    let needed = (u64::BITS.saturating_sub(highest.leading_zeros()) as u8).max(MIN_BITS);
    if needed <= available { Ok(needed) } else { Err(GeometryError { highest, bits: available }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_space_that_fits_is_taken() {
        // PARange, highest IPA, bits, start, root tables.
        let cases = [
            (0, 0x4fff_ffff, 32, Level::L1, 1),
            (0, 0xffff_ffff, 32, Level::L1, 1),
            (1, 0x1_0000_0000, 33, Level::L1, 1),
            (2, (1 << 39) - 1, 39, Level::L1, 1),
            (2, 1 << 39, 40, Level::L1, 2),
            (4, (1 << 42) - 1, 42, Level::L1, 8),
            (4, (1 << 43) - 1, 43, Level::L1, 16),
            (4, 1 << 43, 44, Level::L0, 1),
            (5, (1 << 48) - 1, 48, Level::L0, 1),
            (6, 0, 32, Level::L1, 1),
        ];
        for (range, highest, bits, start, tables) in cases {
            let g = Geometry::for_stage2(range, highest).unwrap();
            assert_eq!((g.input_bits(), g.start(), g.root_tables()), (bits, start, tables), "{highest:#x}");
        }
        assert_eq!(
            Geometry::for_stage2(0, 1 << 32),
            Err(GeometryError { highest: 1 << 32, bits: 32 }),
            "stage 2 input may not exceed the physical size"
        );
        assert!(Geometry::for_stage2(6, 1 << 48).is_err(), "52 bits need FEAT_LPA2");
    }

    #[test]
    fn a_cpu_with_fewer_bits_serves_a_cell_that_lies_below() {
        // The boot CPU's PARange, highest IPA, highest PA, PARange that suffices.
        let cases = [
            (4, 0x7fff_ffff, 0x7fff_ffff, 0),
            (4, 0x7fff_ffff, 1 << 32, 1),
            (4, 1 << 36, 0x7fff_ffff, 2),
            (4, 0x7fff_ffff, 1 << 41, 3),
            (5, 0x7fff_ffff, 1 << 47, 5),
            // More than this CPU has: mapping says so.
            (2, 0x7fff_ffff, 1 << 47, 2),
        ];
        for (range, ipa, pa, enough) in cases {
            let vtcr = Geometry::for_stage2(range, ipa).unwrap().narrowed_to(Pa(pa)).vtcr(false);
            assert!(can_use(vtcr, enough, false) && can_use(vtcr, 6, true), "{pa:#x}");
            assert!(enough == 0 || !can_use(vtcr, enough - 1, true), "{pa:#x}");
        }
        let vtcr = Geometry::for_stage2(2, 0).unwrap().vtcr(true);
        assert!(can_use(vtcr, 2, true) && !can_use(vtcr, 2, false));
    }

    #[test]
    fn registers_are_spelled_as_the_manual_spells_them() {
        let g = Geometry::for_stage2(2, (1 << 40) - 1).unwrap();
        // RES1, PS 40 bits, SH0 inner, ORGN0 and IRGN0 write-back, SL0 level 1, T0SZ 24.
        assert_eq!(g.vtcr(false), 0x8002_3558);
        assert_eq!(g.vtcr(true), 0x800a_3558);
        let g = Geometry::for_stage2(6, (1 << 48) - 1).unwrap();
        assert_eq!(g.vtcr(false), 0x8005_3590);
        assert_eq!(g.vttbr(0x1234, Pa(0x8_7654_3000)), 0x1234_0008_7654_3000);
        let mut g = Geometry::for_el2(4, (1 << 40) - 1, Regime::El2).unwrap();
        assert_eq!((g.start(), g.root_tables()), (Level::L0, 1), "stage 1 concatenates nothing");
        assert_eq!(g.tcr_el2(), 0x8084_3518);
        g.set_regime(Regime::El2And0);
        // IPS 44 bits, TG1 4 KiB, EPD1, T1SZ 24, then the same as above.
        assert_eq!(g.tcr_el2(), 0x4_8098_3518);
    }
}
