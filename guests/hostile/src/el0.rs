//! The same from EL0: every System encoding, random instructions, AArch32 with its coprocessors.

use rt::{gic, read_reg};

use crate::forms::FORMS;
use crate::interrupts::{deadline, met};
use crate::report::{Report, Tally};
use crate::shot::{self, SVC};
use crate::stubs::{self, form};
use crate::word::{Encoding, Random, hvc, smc};

const GIB: u64 = 1 << 30;
/// Where EL0 sees the gibibyte of the distributor: the third.
const DEVICES: u64 = 2;
/// Device-nGnRE that EL0 may read and write.
const DEVICE_EL0: u64 = 0x445;
/// What the runtime has there: Device-nGnRE, never executed.
const AS_BEFORE: u64 = DEVICES << 30 | 0x0060_0000_0000_0405;

/// Words of a stub.
const STUB: usize = 2;

/// The class.
pub fn run(report: &mut Report) {
    for op0 in 0..4 {
        for (name, load) in [("written", false), ("read", true)] {
            sweep(report, op0, name, load);
        }
    }
    shot::write(0, &[hvc(0), SVC, smc(0), SVC]);
    shot::publish(4);
    let mut tally = Tally::default();
    for function in [0x8400_0000, 0x8400_0008, 0x8400_0009, 0] {
        for index in [0, 2] {
            deadline();
            let shot = shot::run_el0(index, [function, 0, 0, 0, 0, 0, 0, 0]);
            met();
            tally.note(&shot);
            tally.want(
                shot.vector == 9 || shot.esr == 1 << 25 && shot.vector == 8,
                format_args!("HVC or SMC gave ESR {:#x}", shot.esr),
            );
        }
    }
    report.done(format_args!("HVC and SMC"), tally);
    emulated(report);
    random(report, "A64", 4000, shot::run_el0);
    stubs::write();
}

fn sweep(report: &mut Report, op0: u32, name: &str, load: bool) {
    const WFI: u32 = 0xd503_207f;
    const WFE: u32 = 0xd503_205f;
    shot::fresh(STUB << 14);
    for (n, encoding) in Encoding::all(op0).enumerate() {
        let rt = if op0 == 0 { 31 } else { 0 };
        let word = if load { encoding.read(rt) } else { encoding.write(rt) };
        shot::write(STUB * n, &[if matches!(word, WFI | WFE) { shot::NOP } else { word }, SVC]);
    }
    shot::publish(STUB << 14);
    crate::sysreg::by_op1(report, op0, name, |_, n, tally| {
        tally.note(&shot::run_el0(STUB * n, [0; 8]));
    });
}

/// The distributor, which EL0 was given by its kernel: aborts come from EL0 then.
fn emulated(report: &mut Report) {
    let gicd = gic::distributor().base();
    shot::map(DEVICES, (gicd / GIB * GIB) | DEVICE_EL0);
    let at = DEVICES * GIB + gicd % GIB;
    for n in 0..FORMS.len() {
        shot::write(STUB * n, &[crate::forms::word(n), SVC]);
    }
    shot::publish(STUB * FORMS.len());
    const TARGETS: [(&str, u64); 9] = [
        ("GICD_CTLR", 0),
        ("GICD_ISENABLER1", 0x104),
        ("GICD_IPRIORITYR8", 0x420),
        ("GICD_IROUTER32", 0x6100),
        ("the end of GICD", 0xfffc),
        ("behind GICD", 0x1_0000),
        ("the ITS", 0x8_0000),
        ("GICR_ISENABLER0", 0xb_0100),
        ("a UART", 0x100_0000),
    ];
    for (target, offset) in TARGETS {
        for (n, form) in FORMS.iter().enumerate() {
            report.attack(format_args!("{} at {target}", form.name), |tally| {
                deadline();
                let shot = shot::run_el0(STUB * n, [at + offset, u64::MAX, 0, 0, 0, 0, 0, 0]);
                met();
                tally.note(&shot);
                tally.want(
                    shot.vector == 8 || shot.vector == 9,
                    format_args!("{} came by vector {}", form.name, shot.vector),
                );
            });
        }
    }
    step(report, at);
    shot::map(DEVICES, AS_BEFORE);
}

/// A software step of an instruction that the hypervisor performs ends behind that instruction (Arm ARM D2.11).
fn step(report: &mut Report, distributor: u64) {
    const SS: u64 = 1 << 21;
    /// ESR_EL1.EC of a software step from a lower level.
    const STEPPED: u64 = 0x32;
    shot::write(0, &[crate::forms::word(form::LDR_W), shot::NOP, shot::NOP, SVC]);
    shot::publish(4);
    let mut tally = Tally::default();
    shot::step(true);
    let shot = shot::run_as(0, [distributor, 0, 0, 0, 0, 0, 0, 0], 0x1c0 | SS);
    shot::step(false);
    tally.note(&shot);
    tally.want(
        shot.esr >> 26 == STEPPED && shot.elr == shot::el0_place(0) + 4,
        format_args!("a step gave ESR {:#x} at {:#x}", shot.esr, shot.elr),
    );
    report.done(format_args!("a step over an emulated load"), tally);
}

fn random(report: &mut Report, name: &str, rounds: usize, run: impl Fn(usize, [u64; 8]) -> shot::Shot) {
    let mut random = Random::new(0x5eed);
    let rounds = if crate::deep() { rounds * 1000 } else { rounds };
    for batch in 0..8 {
        let mut tally = Tally::default();
        for n in 0..rounds / 8 {
            let index = n % 1024 * 4;
            let words = random.next();
            shot::write(index, &[words as u32, (words >> 32) as u32, SVC, SVC]);
            shot::publish_at(index, 4);
            let pointer = shot::EL0_BASE + (random.next() & 0x7_ff8);
            deadline();
            tally.note(&run(index, [pointer, pointer, random.next(), 0, u64::MAX, pointer, 1, 8]));
            met();
        }
        report.done(format_args!("random {name} instructions, batch {batch}"), tally);
    }
}

/// The class of AArch32, where EL0 has it.
pub fn aarch32(report: &mut Report) {
    if read_reg!("id_aa64pfr0_el1") & 0xf != 2 {
        return;
    }
    /// SVC #0x77 in A32.
    const SVC_A32: u32 = 0xef00_0077;
    for coprocessor in [14, 15] {
        for (name, bits) in [("MRC", 1 << 20), ("MCR", 0)] {
            let code = |n: u32| {
                let (op1, crn, crm, op2) = (n >> 11 & 7, n >> 7 & 15, n >> 3 & 15, n & 7);
                0xee00_0010 | bits | op1 << 21 | crn << 16 | coprocessor << 8 | op2 << 5 | crm
            };
            shot::fresh(STUB << 14);
            for n in 0..1 << 14 {
                shot::write(STUB * n as usize, &[code(n), SVC_A32]);
            }
            shot::publish(STUB << 14);
            let mut tally = Tally::default();
            for n in 0..1 << 14 {
                tally.note(&shot::run_a32(STUB * n, [0; 8], false));
                if n & 0x7ff == 0x7ff {
                    report.done(
                        format_args!("{name} p{coprocessor}, {}", n >> 11),
                        core::mem::take(&mut tally),
                    );
                }
            }
        }
        let mut tally = Tally::default();
        for n in 0..512 {
            let word = 0xec40_0000 | (n >> 8) << 20 | 1 << 16 | coprocessor << 8 | n & 0xff;
            shot::write(0, &[word, SVC_A32]);
            shot::publish(2);
            tally.note(&shot::run_a32(0, [0; 8], false));
        }
        report.done(format_args!("MRRC and MCRR p{coprocessor}"), tally);
    }
    // HVC, SMC, and accesses to the distributor: LDR, STR, LDRB, STRH, LDRD, LDM, LDREX, SWP.
    let gicd = gic::distributor().base();
    shot::map(DEVICES, (gicd / GIB * GIB) | DEVICE_EL0);
    let at = DEVICES * GIB + gicd % GIB;
    let mut tally = Tally::default();
    for word in [
        0xe140_0070,
        0xe160_0070,
        0xe590_1000,
        0xe580_1000,
        0xe5d0_1000,
        0xe1c0_10b0,
        0xe1c0_20d0,
        0xe890_0006,
        0xe190_1f9f,
        0xe100_1092,
        0xe4b0_1004,
        0x1590_1000,
    ] {
        shot::write(0, &[word, SVC_A32]);
        shot::publish(2);
        for offset in [0, 0x104, 0x420, 0x1_0000] {
            deadline();
            let shot = shot::run_a32(0, [at + offset, u64::MAX, 0, 0, 0, 0, 0, 0], false);
            met();
            tally.note(&shot);
            tally.want(
                shot.vector == 12 || shot.vector == 13,
                format_args!("{word:#x} came by vector {}, ESR {:#x}", shot.vector, shot.esr),
            );
        }
    }
    report.done(format_args!("HVC, SMC and the distributor"), tally);
    shot::map(DEVICES, AS_BEFORE);
    // Behind the distributor a GICv2 has its CPU interface, where these were stores of what lets no IRQ through.
    crate::interrupts::quiet();
    random(report, "A32", 2000, |index, x| shot::run_a32(index, x, false));
    random(report, "T32", 2000, |index, x| shot::run_a32(index, x, true));
    stubs::write();
}
