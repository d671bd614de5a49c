//! Stage 2 descriptors (Arm ARM D8.3.1.2 and D8.5.5, with HCR_EL2.FWB = 0).

use super::format::Format;
use crate::addr::Ipa;

/// Stage 2: from a cell's addresses to physical ones.
#[derive(Debug)]
pub enum Stage2 {}

/// What a cell may do with a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage2Attributes {
    /// Normal memory, write-back, inner shareable: read, write, execute. The guest's own stage 1 may narrow it.
    Ram,
    /// Device-nGnRE: read, write, never execute. The guest's stage 1 may make it nGnRnE, never Normal (D8.6.5).
    Device,
}

/// MemAttr, bits 2 to 5.
const NORMAL_WRITE_BACK: u64 = 0b1111 << 2;
const DEVICE_NGNRE: u64 = 0b0001 << 2;
/// S2AP, bits 6 and 7.
const READ_WRITE: u64 = 0b11 << 6;
/// SH, bits 8 and 9. Device memory is outer shareable whatever SH says.
const INNER_SHAREABLE: u64 = 0b11 << 8;
/// AF, bit 10: an entry without it faults at the first access.
const ACCESSED: u64 = 1 << 10;
/// XN, bit 54; with FEAT_XNX bits 53 and 54 are XN[1:0] and 0b10 means the same: never at EL1, never at EL0.
const EXECUTE_NEVER: u64 = 0b10 << 53;

impl Format for Stage2 {
    type Address = Ipa;
    type Attributes = Stage2Attributes;

    fn encode(attributes: Stage2Attributes) -> u64 {
        READ_WRITE
            | ACCESSED
            | match attributes {
                Stage2Attributes::Ram => NORMAL_WRITE_BACK | INNER_SHAREABLE,
                Stage2Attributes::Device => DEVICE_NGNRE | EXECUTE_NEVER,
            }
    }

    fn decode(bits: u64) -> Option<Stage2Attributes> {
        [Stage2Attributes::Ram, Stage2Attributes::Device].into_iter().find(|a| Self::encode(*a) == bits)
    }
}
