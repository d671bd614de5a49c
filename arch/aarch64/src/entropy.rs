//! Random bits for guests' seeds.

use core::arch::asm;

use aarch64_cpu::registers::{CNTPCT_EL0, Readable};
use bulkhead::ports::Entropy;

use crate::cpu::Cpu;

impl<K> Entropy for Cpu<K> {
    /// The board tree's own seed, stretched by SplitMix64 with the counter mixed in, so that no two lives get the same; and
    /// FEAT_RNG where the CPU has it. Without it the bits are as good as what the loader brought.
    fn random(&mut self) -> u64 {
        let hardware = if self.features.rng() { rndr() } else { None };
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_add(CNTPCT_EL0.get());
        let mut z = self.seed;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        hardware.unwrap_or(0) ^ z ^ z >> 31
    }
}

/// RNDR; `None` if the hardware has none in reasonable time (Arm ARM D24.2.154).
fn rndr() -> Option<u64> {
    let (value, ok): (u64, u64);
    // SAFETY: the caller has seen FEAT_RNG; reading changes only the flags.
    unsafe {
        asm!("mrs {}, S3_3_C2_C4_0", "cset {}, ne", out(reg) value, out(reg) ok, options(nomem, nostack))
    };
    (ok == 1).then_some(value)
}
