use super::*;
use crate::ports::El1Reg;
use crate::vcpu::VcpuReset;

/// A CPU whose ID registers all hold one value, but for those listed.
struct Cpu(u64, &'static [(u8, u8, u64)]);

impl El1 for Cpu {
    fn el1(&self, _: El1Reg) -> u64 {
        0
    }
    fn set_el1(&mut self, _: El1Reg, _: u64) {}
    fn raise_virtual_serror(&mut self) {}
    fn reset_vcpu(&mut self, _: &VcpuReset) {}
    fn start_vcpu(&mut self, _: u64) {}
    fn id_register(&self, crm: u8, op2: u8) -> u64 {
        self.1.iter().find(|(c, o, _)| (*c, *o) == (crm, op2)).map_or(self.0, |row| row.2)
    }
}

#[test]
fn a_cpu_that_has_everything_shows_what_is_allowed() {
    let ids = IdRegisters::read(&Cpu(0x2222_2222_2222_2222, &[]));
    for (crm, op2, value) in [
        (4, 0, 0x2102_0002_0122_0012),
        (4, 1, 0x22),
        (4, 2, 0),
        (4, 5, 0),
        (5, 0, 0x20_2020_2202),
        (5, 1, 0),
        (6, 0, 0x2222_2222_2022_2220),
        (6, 1, 0x0222_2222_2222_2222),
        (6, 2, 0x0222_0000_2220_2222),
        (6, 3, 0),
        (7, 1, 0x2002_2020_0220_2002),
        (7, 2, 0x2022_0012_2021_0222),
        (7, 3, 0),
        (7, 4, 0),
    ] {
        assert_eq!(ids.get(crm, op2), Some(value), "S3_0_C0_C{crm}_{op2}: {:x?}", ids.get(crm, op2));
    }
}

#[test]
fn registers_that_nobody_knows_yet_read_zero() {
    let ids = IdRegisters::read(&Cpu(u64::MAX, &[]));
    for crm in 1..8 {
        for op2 in 0..8 {
            if !ROWS.iter().any(|(c, o, _)| (*c, *o) == (crm, op2)) {
                assert_eq!(ids.get(crm, op2), Some(0));
            }
        }
    }
    assert_eq!((ids.get(0, 0), ids.get(8, 0), ids.get(15, 7)), (None, None, None));
}

#[test]
fn no_row_stands_twice_and_no_field_overlaps() {
    for (n, (crm, op2, fields)) in ROWS.iter().enumerate() {
        assert!(ROWS.iter().skip(n + 1).all(|(c, o, _)| (c, o) != (crm, op2)));
        let bits: u64 = fields.iter().fold(0, |seen, (bit, _)| {
            assert_eq!((bit % 4, seen >> bit & 0xf), (0, 0), "S3_0_C0_C{crm}_{op2}");
            seen | 0xf << bit
        });
        assert!(*crm > 3 || bits >> 32 == 0, "AArch32 registers have 32 bits");
    }
}

#[test]
fn absent_stays_absent_and_versions_are_capped() {
    // No FP, no AdvSIMD, 64-bit alone; PMU of the maker's own kind; 52-bit addresses with every granule.
    let ids = IdRegisters::read(&Cpu(
        0,
        &[
            (4, 0, 0x1111_0000_00ff_2211),
            (5, 0, 0x00f0_0000_1030_5f0b),
            (7, 0, 0x1000_0000_1020_0116),
            (7, 1, 0x3),
        ],
    ));
    assert_eq!(ids.get(4, 0), Some(0x1101_0000_00ff_0011));
    assert_eq!(ids.get(5, 0).map(|v| v & 0xfff), Some(0x00a));
    let mmfr0 = ids.get(7, 0).unwrap();
    assert_eq!(mmfr0 & 0xf, 5, "48 bits");
    assert_eq!((mmfr0 >> 8 & 0xf, mmfr0 >> 16 & 0xf), (0, 1), "mixed endian at EL0 alone");
    assert_eq!((mmfr0 >> 20 & 0xf, mmfr0 >> 28 & 0xf, mmfr0 >> 60), (1, 0, 0), "no LPA2, no ECV");
    assert_eq!(ids.get(7, 1), Some(2));
}

#[test]
fn a_cortex_a53_sees_itself() {
    // The registers of QEMU's cortex-a53, gic-version=3: nothing in them is hidden but EL2 and EL3.
    let ids = IdRegisters::read(&Cpu(
        0,
        &[(4, 0, 0x0000_0000_0100_2222), (5, 0, 0x1030_5106), (6, 0, 0x0001_1120), (7, 0, 0x0000_1122)],
    ));
    assert_eq!(ids.get(4, 0), Some(0x0100_0012));
    assert_eq!(ids.get(5, 0), Some(0x1030_5106));
    assert_eq!(ids.get(6, 0), Some(0x0001_1120));
    assert_eq!(ids.get(7, 0), Some(0x0001_1022));
}
