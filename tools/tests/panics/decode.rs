//! The few A64 instructions that say where a program goes on (Arm ARM DDI 0487, C4.1), and those that make an address.

/// What an instruction does to the flow, or to the address that a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Goes on behind it, and changes no address that we follow.
    Next,
    /// Goes there and nowhere else.
    Goes(u64),
    /// Goes there, or calls it, and behind it.
    Calls(u64),
    /// Goes or calls where a register says.
    Somewhere,
    /// RET or ERET.
    Back,
    /// BRK or UDF: an exception of EL2's own.
    Trap,
    /// ADR: makes this address.
    Makes(u64),
    /// ADRP: makes some address of this page, together with what follows.
    Page(u64),
}

/// Decodes the word at `at`.
pub fn decode(word: u32, at: u64) -> Step {
    let to = |value: u32, bits: u32| at.wrapping_add_signed(signed(value, bits) * 4);
    match word {
        _ if word >> 26 == 0b00_0101 => Step::Goes(to(word, 26)),
        _ if word >> 26 == 0b10_0101 => Step::Calls(to(word, 26)),
        // B.cond, BC.cond; CBZ, CBNZ; TBZ, TBNZ
        _ if word >> 24 == 0b0101_0100 => Step::Calls(to(word >> 5, 19)),
        _ if word >> 25 & 0x3f == 0b01_1010 => Step::Calls(to(word >> 5, 19)),
        _ if word >> 25 & 0x3f == 0b01_1011 => Step::Calls(to(word >> 5, 14)),
        // BR and BLR; RET and ERET; each with pointer authentication too
        _ if word >> 25 == 0b110_1011 => match word >> 21 & 0b111 {
            0b010 | 0b100 => Step::Back,
            _ => Step::Somewhere,
        },
        _ if word & 0xffe0_001f == 0xd420_0000 || word >> 16 == 0 => Step::Trap,
        _ if word & 0x1f00_0000 == 0x1000_0000 => {
            let value = signed((word >> 5 & 0x7_ffff) << 2 | word >> 29 & 3, 21);
            if word >> 31 == 1 {
                Step::Page((at & !0xfff).wrapping_add_signed(value << 12))
            } else {
                Step::Makes(at.wrapping_add_signed(value))
            }
        }
        _ => Step::Next,
    }
}

/// The low bits as a signed number.
fn signed(value: u32, bits: u32) -> i64 {
    let up = 64 - bits;
    (i64::from(value) << up) >> up
}

#[test]
fn flow_is_seen() {
    // Words as llvm-mc makes them.
    let at = 0x1000;
    for (word, step) in [
        (0x1400_0002, Step::Goes(0x1008)),
        (0x97ff_ffff, Step::Calls(0xffc)),
        (0x5400_0041, Step::Calls(0x1008)),
        (0xb4ff_ffe3, Step::Calls(0xffc)),
        (0x3500_0043, Step::Calls(0x1008)),
        (0x3708_0040, Step::Calls(0x1008)),
        (0xb6ff_ffe5, Step::Calls(0xffc)),
        (0xd61f_0060, Step::Somewhere),
        (0xd63f_0060, Step::Somewhere),
        (0xd65f_03c0, Step::Back),
        (0xd69f_03e0, Step::Back),
        (0xd420_0020, Step::Trap),
        (0x0000_0000, Step::Trap),
        (0x1000_0043, Step::Makes(0x1008)),
        (0xb000_0003, Step::Page(0x2000)),
        (0xd503_201f, Step::Next),
    ] {
        assert_eq!(decode(word, at), step, "{word:#x}");
    }
}
