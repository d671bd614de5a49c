//! A guest's own translation turned against it and others: tables at foreign addresses, translation registers full of
//! garbage, states that an exception return must not reach.

use rt::gic;
use rt::tree::board;

use crate::forms::FORMS;
use crate::report::{DATA_ABORT, Report, Tally};
use crate::shot::{self, RET};
use crate::stubs::{self, form};
use crate::word::{Encoding, Random};

const GIB: u64 = 1 << 30;
/// A gibibyte of addresses for tables.
const PLAYGROUND: u64 = 510 << 30;
/// A table descriptor.
const TABLE: u64 = 3;

/// The class.
pub fn run(report: &mut Report) {
    tables(report);
    registers(report);
}

/// A walk that stage 2 refuses is an abort of the access that asked for it.
fn tables(report: &mut Report) {
    let behind = board().memory.first().map_or(0, |bank| bank.base + bank.size);
    let places = [0, 0x1000, gic::distributor().base(), behind, 3 * GIB, 0x7f_ffff_f000, 0xffff_ffff_f000];
    for place in places {
        let mut tally = Tally::default();
        shot::map(PLAYGROUND / GIB, place | TABLE);
        for offset in [0, 0x20_0000, GIB - 8] {
            let at = PLAYGROUND + offset;
            for n in 0..FORMS.len() {
                tally.note(&stubs::access(n, at, u64::MAX));
            }
            let shot = stubs::access(form::LDR_W, at, 0);
            tally.want(
                shot.esr >> 26 == DATA_ABORT && shot.far == at && shot.vector == 4,
                format_args!(
                    "a walk at {place:#x} gave ESR {:#x} FAR {:#x} vector {}",
                    shot.esr, shot.far, shot.vector
                ),
            );
            tally.note(&stubs::fetch(at));
        }
        report.done(format_args!("tables at {place:#x}"), tally);
    }
    shot::map(PLAYGROUND / GIB, 0);
}

/// With the MMU off, so that this program lives through it: each bit of each vital register, and random values.
fn registers(report: &mut Report) {
    let sctlr = Encoding::new(3, 0, 1, 0, 0);
    let vital = [
        ("SCTLR_EL1", sctlr),
        ("TTBR0_EL1", Encoding::new(3, 0, 2, 0, 0)),
        ("TTBR1_EL1", Encoding::new(3, 0, 2, 0, 1)),
        ("TCR_EL1", Encoding::new(3, 0, 2, 0, 2)),
        ("MAIR_EL1", Encoding::new(3, 0, 10, 2, 0)),
        ("VBAR_EL1", Encoding::new(3, 0, 12, 0, 0)),
        ("CPACR_EL1", Encoding::new(3, 0, 1, 0, 2)),
    ];
    const ISB: u32 = 0xd503_3fdf;
    const DSB: u32 = 0xd503_3f9f;
    const TLBI_VMALLE1: u32 = 0xd508_871f;
    /// AND x7, x8, #!1
    const WITHOUT_M: u32 = 0x927f_f907;
    /// EOR x0, x0, x9: bits to turn over.
    const TURN: u32 = 0xca09_0000;
    for (name, register) in vital {
        let code = [
            sctlr.read(8),
            WITHOUT_M,
            sctlr.write(7),
            ISB,
            register.read(9),
            TURN,
            register.write(0),
            ISB,
            TLBI_VMALLE1,
            DSB,
            ISB,
            register.write(9),
            sctlr.write(8),
            ISB,
            RET,
        ];
        shot::write(0, &code);
        shot::publish(code.len());
        let mut random = Random::new(7);
        let mut tally = Tally::default();
        let bits = (0..64).map(|bit| 1 << bit);
        for value in bits.chain((0..256).map(|_| random.next())) {
            // Never the MMU itself, with whatever is in the other registers; nor big-endian data for the next in line.
            tally.note(&shot::run(0, [value & !(1 | 1 << 25), 0, 0, 0, 0, 0, 0, 0]));
        }
        report.done(format_args!("garbage in {name}"), tally);
    }
}

/// Exceptions of EL1 with the stack pointer of EL0: what EL2 injects comes by the vectors for that.
fn thread(report: &mut Report) {
    const SPSEL_0: u32 = 0xd500_40bf;
    const SPSEL_1: u32 = 0xd500_41bf;
    let trapped = Encoding::new(3, 0, 11, 0, 2).read(0);
    let load = crate::forms::word(form::LDR_W);
    for (name, instruction, esr) in [
        ("an undefined instruction", trapped, 1 << 25),
        ("a data abort", load, DATA_ABORT << 26 | 1 << 25 | 0x10),
    ] {
        shot::write(0, &[SPSEL_0, instruction, SPSEL_1, RET]);
        shot::publish(4);
        let mut tally = Tally::default();
        let shot = shot::run(0, [0; 8]);
        tally.note(&shot);
        tally.want(
            shot.vector == 0 && shot.esr == esr && shot.elr == shot::place(1),
            format_args!("{name} came by vector {} with ESR {:#x} at {:#x}", shot.vector, shot.esr, shot.elr),
        );
        report.done(format_args!("{name} on SP_EL0"), tally);
    }
}

/// The class of states: an ERET to each mode there is, and those that there are not.
pub fn states(report: &mut Report) {
    thread(report);
    shot::write(0, &[shot::SVC, shot::SVC]);
    shot::publish(2);
    for mode in 0..32 {
        let mut tally = Tally::default();
        for more in [0, 1 << 20, 1 << 21, 1 << 22, 3 << 10, 1 << 13, 1 << 25, 0xf << 28] {
            crate::interrupts::deadline();
            tally.note(&shot::run_as(0, [0; 8], 0x140 | mode | more));
            crate::interrupts::met();
        }
        report.done(format_args!("mode {mode:#x}"), tally);
    }
}
