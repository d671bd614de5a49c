//! What an instruction of AArch32 at EL0 adds to a trap: a condition, a length, an IT block (Arm ARM F1.2, G1.2).
//!
//! EL1 is AArch64 always, so nothing else of AArch32 reaches EL2.

use super::Pstate;
use crate::ports::World;

/// ESR_ELx.IL: the instruction has 32 bits, not 16.
const IL: u64 = 1 << 25;
/// ISS.CV: COND is valid. It is always with A32 (Arm ARM D24.2.40, encoding of an MCR or MRC).
const CV: u64 = 1 << 24;

/// Past the instruction that trapped, as if the CPU had run it, or had passed it by: [`super::skip`] of AArch32.
#[cold]
#[inline(never)]
pub fn skip(machine: &mut impl World) {
    let length = if machine.esr() & IL == 0 { 2 } else { 4 };
    machine.set_pc(machine.pc().wrapping_add(length) & u64::from(u32::MAX));
    let state = Pstate::from_bits(machine.pstate());
    let it = advanced(it(state));
    // A software step of it is done, as in [`super::skip`].
    machine.set_pstate(state.with_it_high(it >> 2).with_it_low(it & 3).with_step(false).into_bits());
}

/// Whether the instruction that trapped with this ESR_EL2 was to be run at all: a CPU may trap a conditional one whose condition
/// does not hold (Arm ARM G1.21.1), which then has no effect. Only for the classes whose ISS has CV and COND.
pub fn is_to_be_run(spsr: u64, esr: u64) -> bool {
    let state = Pstate::from_bits(spsr);
    let condition = match it(state) {
        _ if esr & CV != 0 => (esr >> 20) as u8 & 0xf,
        // T32 without COND: outside an IT block no instruction that traps has a condition.
        0 => return true,
        it => it >> 4,
    };
    holds(condition, state.nzcv())
}

/// PSTATE.IT.
fn it(state: Pstate) -> u8 {
    state.it_high() << 2 | state.it_low()
}

/// ITAdvance: the instruction behind the last of a block has no condition any more.
fn advanced(it: u8) -> u8 {
    if it & 0b111 == 0 { 0 } else { it & 0xe0 | it << 1 & 0x1f }
}

/// ConditionHolds (Arm ARM C1.2.4), with NZCV as in PSTATE: N is bit 3, V is bit 0.
fn holds(condition: u8, nzcv: u8) -> bool {
    let [n, z, c, v] = [8, 4, 2, 1].map(|flag| nzcv & flag != 0);
    let result = match condition >> 1 {
        0b000 => z,
        0b001 => c,
        0b010 => n,
        0b011 => v,
        0b100 => c && !z,
        0b101 => n == v,
        0b110 => n == v && !z,
        _ => return true,
    };
    result != (condition & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Board, Fake};

    const USER: u64 = 0x10;
    const THUMB: u64 = 1 << 5;

    /// SPSR with this IT.
    fn with_it(it: u64) -> u64 {
        USER | THUMB | it >> 2 << 10 | (it & 3) << 25
    }

    fn skipped(elr: u64, spsr: u64, esr: u64) -> (u64, u64) {
        let mut cpu = Fake::new(&Board::new(1, 0), 0);
        (cpu.pc, cpu.pstate, cpu.esr) = (elr, spsr, esr);
        skip(&mut cpu);
        (cpu.pc, cpu.pstate)
    }

    #[test]
    fn an_instruction_is_as_long_as_il_says() {
        assert_eq!(skipped(0x8000, USER, IL), (0x8004, USER));
        assert_eq!(skipped(0x8002, USER | THUMB, 0), (0x8004, USER | THUMB));
        assert_eq!(skipped(0x8002, USER | THUMB, IL), (0x8006, USER | THUMB));
        assert_eq!(skipped(0xffff_fffe, USER | THUMB, 0), (0, USER | THUMB), "32 bits of address");
        // Flags, GE, E and the masks stay; SS does not.
        const KEPT: u64 = 0xf << 28 | 1 << 27 | 0xf << 16 | 1 << 9 | 7 << 6 | 1 << 22;
        assert_eq!(skipped(0, USER | KEPT | 1 << 21, IL).1, USER | KEPT);
    }

    #[test]
    fn an_it_block_goes_on_and_ends() {
        // ITTEE EQ: 0000 0111, and how its four instructions see it.
        let mut spsr = with_it(0b0000_0111);
        for (it, condition) in [(0b0000_0111, 0), (0b0000_1110, 0), (0b0001_1100, 1), (0b0001_1000, 1)] {
            assert_eq!(spsr, with_it(it));
            // CV clear: the condition is that of the block.
            for nzcv in 0..16 {
                let spsr = spsr | u64::from(nzcv) << 28;
                assert_eq!(is_to_be_run(spsr, 0), holds(condition, nzcv), "{it:#b} {nzcv:#x}");
            }
            spsr = skipped(0, spsr, 0).1;
        }
        assert_eq!(spsr, with_it(0));
        assert!(is_to_be_run(spsr, 0));
    }

    #[test]
    fn conditions_are_those_of_the_manual() {
        // Mnemonics of C1.2.4 by N, Z, C, V.
        type Holds = fn(bool, bool, bool, bool) -> bool;
        let table: [(&str, Holds); 16] = [
            ("EQ", |_, z, _, _| z),
            ("NE", |_, z, _, _| !z),
            ("CS", |_, _, c, _| c),
            ("CC", |_, _, c, _| !c),
            ("MI", |n, _, _, _| n),
            ("PL", |n, _, _, _| !n),
            ("VS", |_, _, _, v| v),
            ("VC", |_, _, _, v| !v),
            ("HI", |_, z, c, _| c && !z),
            ("LS", |_, z, c, _| !c || z),
            ("GE", |n, _, _, v| n == v),
            ("LT", |n, _, _, v| n != v),
            ("GT", |n, z, _, v| !z && n == v),
            ("LE", |n, z, _, v| z || n != v),
            ("AL", |_, _, _, _| true),
            ("NV", |_, _, _, _| true),
        ];
        for (condition, (name, expected)) in (0u64..).zip(table) {
            for nzcv in 0..16u64 {
                let [n, z, c, v] = [8, 4, 2, 1].map(|flag| nzcv & flag != 0);
                let held = is_to_be_run(USER | nzcv << 28, CV | condition << 20);
                assert_eq!(held, expected(n, z, c, v), "{name} with {nzcv:#06b}");
            }
        }
    }

    #[test]
    fn what_the_cpu_says_of_the_condition_goes_before_the_block() {
        const Z: u64 = 1 << 30;
        assert!(is_to_be_run(with_it(0b0000_1000), CV | 0xe << 20), "AL, known to pass");
        assert!(!is_to_be_run(with_it(0b0000_1000), 0), "EQ without Z");
        assert!(is_to_be_run(with_it(0b0000_1000) | Z, 0));
    }
}
