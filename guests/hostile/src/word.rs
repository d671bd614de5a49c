//! Instruction words (Arm ARM C4, C6): those that are made by the thousand. Single ones stand in `forms.s`.

use core::sync::atomic::{AtomicU64, Ordering};

/// op0, op1, CRn, CRm and op2 of a System instruction or register, packed as bits 20 to 5 of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding(pub u32);

impl Encoding {
    /// All of one op0: 16384.
    pub fn all(op0: u32) -> impl Iterator<Item = Self> {
        (0..1 << 14).map(move |n| Self(op0 << 14 | n))
    }

    /// `S<op0>_<op1>_C<crn>_C<crm>_<op2>`.
    pub const fn new(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> Self {
        Self(op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2)
    }

    /// op1.
    pub fn op1(self) -> u32 {
        self.0 >> 11 & 7
    }

    /// MSR, SYS, or another with L = 0, of register `rt`.
    pub fn write(self, rt: u32) -> u32 {
        0xd500_0000 | self.0 << 5 | rt
    }

    /// MRS, SYSL: L = 1.
    pub fn read(self, rt: u32) -> u32 {
        0xd520_0000 | self.0 << 5 | rt
    }
}

impl core::fmt::Display for Encoding {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let n = self.0;
        write!(f, "S{}_{}_C{}_C{}_{}", n >> 14 & 3, n >> 11 & 7, n >> 7 & 15, n >> 3 & 15, n & 7)
    }
}

/// HVC with an immediate.
pub const fn hvc(immediate: u32) -> u32 {
    0xd400_0002 | (immediate & 0xffff) << 5
}

/// SMC with an immediate.
pub const fn smc(immediate: u32) -> u32 {
    0xd400_0003 | (immediate & 0xffff) << 5
}

/// What all seeds are mixed with.
static SALT: AtomicU64 = AtomicU64::new(0);

/// Lets every [`Random`] from now on have other numbers; those of 0 are the usual ones.
pub fn salt(salt: u64) {
    SALT.store(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15), Ordering::Relaxed);
}

/// Numbers that follow from a seed (xorshift64, Marsaglia 2003): the same in each run with the same `hostile.seed`.
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ SALT.load(Ordering::Relaxed) | 1 << 63)
    }

    /// The next.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
