//! What a CPU tells of a wrong instruction or access: vector, ESR, FAR, ELR, SPSR and the PSTATE of the handler, from EL1 with either
//! stack pointer and from EL0 in AArch64, A32 and T32. What is wanted is what the Arm ARM says, so it holds without a hypervisor too.

use rt::tree::board;
use rt::{excursion, gic, read_reg};

use crate::memory::hole;
use crate::report::{Check, Needs, Outcome, bare, check};
use crate::source::{
    DEVICE_EL0, GIB, IL, LOAD, NORMAL_EL0, NORMAL_EL1, STORE, Set, Source, TABLE, TARGET, room, sources,
    with_target, words,
};
use crate::{ensure, ensure_eq};

/// The group's checks.
pub const CHECKS: &[Check] = &[
    check("answers_undefined", Needs::Nothing, undefined),
    check("answers_data", Needs::Nothing, data),
    check("answers_no_syndrome", Needs::Nothing, no_syndrome),
    check("answers_fetch", Needs::Nothing, fetch),
    check("answers_walk", Needs::Nothing, walk),
    check("answers_state", Needs::Nothing, state),
    check("answers_alignment", Needs::Bulkhead, alignment),
    check("answers_aarch32_device", Needs::Bulkhead, aarch32_device),
];

const EXTERNAL: u64 = 0x10;
const ALIGNMENT: u64 = 0x21;

fn undefined() -> Outcome {
    if !room() {
        return Ok(());
    }
    // An IMPLEMENTATION DEFINED register that no CPU here has, at EL1; HVC at EL0.
    let at_el1 = words("S3_0_C11_C0_2", 0xd538_b040, 0, &[]);
    let at_el0 = words("HVC", 0xd400_0002, 0xe140_0070, &[0xf7e0, 0x8000]);
    with_target(0, || {
        for source in sources() {
            let pstate = source.pstate();
            let word = if source.el0 { at_el0 } else { at_el1 };
            word.write(source.set);
            let taken = source.run(0);
            source.must_be(word.name, &taken, IL, 0, None, source.pc())?;
            ensure_eq!(taken.pstate, pstate, "{} from {}: PSTATE", word.name, source.name);
        }
        Ok(())
    })
}

fn data() -> Outcome {
    let (Some(hole), true) = (hole(), room()) else { return Ok(()) };
    for (kind, attributes) in [("Normal", NORMAL_EL0), ("Device", DEVICE_EL0)] {
        with_target(hole | attributes, || {
            for source in sources() {
                let pstate = source.pstate();
                for (word, write) in [(LOAD, 0), (STORE, 1 << 6)] {
                    word.write(source.set);
                    let at = TARGET * GIB + 0x1234_5678;
                    let taken = source.run(at);
                    let what = word.name;
                    source.must_be(
                        what,
                        &taken,
                        source.abort(0x24, EXTERNAL | write),
                        0,
                        Some(at),
                        source.pc(),
                    )?;
                    ensure_eq!(taken.pstate, pstate, "{what} {kind} from {}: PSTATE", source.name);
                    ensure_eq!(
                        taken.x,
                        [at, 0x1111, 0x2222, 0x3333],
                        "{what} from {}: registers",
                        source.name
                    );
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Accesses that stage 2 does not describe, to Normal memory, where all of them are allowed.
fn no_syndrome() -> Outcome {
    const READS: u64 = 0;
    const WRITES: u64 = 1 << 6;
    let (Some(hole), true) = (hole(), room()) else { return Ok(()) };
    let table = [
        (words("LDP", 0xa940_0801, 0xe890_0006, &[0xe9d0, 0x1200]), READS),
        (words("STP", 0xa900_0801, 0xe880_0006, &[0xe9c0, 0x1200]), WRITES),
        (words("LDR, post-indexed", 0xb840_4401, 0xe490_1004, &[0xf850, 0x1b04]), READS),
        (words("STR, pre-indexed", 0xb800_4c01, 0xe5a0_1004, &[0xf840, 0x1f04]), WRITES),
        (words("LDXR", 0x885f_7c01, 0xe190_1f9f, &[0xe850, 0x1f00]), READS),
        (words("LDAR", 0x88df_fc01, 0xe190_1c9f, &[0xe8d0, 0x1faf]), READS),
        (words("LD1", 0x4c40_7000, 0xf420_070f, &[0xf920, 0x070f]), READS),
        (words("ST1", 0x4c00_7000, 0xf400_070f, &[0xf900, 0x070f]), WRITES),
        (words("LDR Q", 0x3dc0_0000, 0xf420_0a0f, &[0xf920, 0x0a0f]), READS),
    ];
    let atomics = [
        words("LDADD", 0xb821_0002, 0, &[]),
        words("SWP", 0xb821_8002, 0, &[]),
        words("CAS", 0x88a1_7c02, 0, &[]),
    ];
    with_target(hole | NORMAL_EL0, || {
        for source in sources() {
            let at = TARGET * GIB + 0x40;
            for (word, write) in table {
                // LDR before its address is written back, or behind: FAR is where the access was.
                let offset = if word.name == "STR, pre-indexed" { 4 } else { 0 };
                word.write(source.set);
                let taken = source.run(at);
                let esr = source.abort(0x24, EXTERNAL | write);
                source.must_be(word.name, &taken, esr, 0, Some(at + offset), source.pc())?;
                ensure_eq!(
                    taken.x,
                    [at, 0x1111, 0x2222, 0x3333],
                    "{} from {}: registers",
                    word.name,
                    source.name
                );
            }
            if source.set != Set::A64 || read_reg!("id_aa64isar0_el1") >> 20 & 0xf == 0 {
                continue;
            }
            for word in atomics {
                word.write(source.set);
                // WnR of an External abort on an atomic is UNKNOWN (D24.2.40).
                let esr = source.abort(0x24, EXTERNAL);
                source.must_be(word.name, &source.run(at), esr, WRITES, Some(at), source.pc())?;
            }
        }
        Ok(())
    })
}

fn fetch() -> Outcome {
    let (Some(hole), true) = (hole(), room()) else { return Ok(()) };
    for (el0, attributes) in [(true, NORMAL_EL0), (false, NORMAL_EL1)] {
        with_target(hole | attributes, || {
            for source in sources().filter(|source| source.el0 == el0) {
                let pstate = source.pstate();
                let at = TARGET * GIB + 0x1230;
                let taken = excursion::run(at, source.spsr, [0; 4]);
                source.must_be("a fetch", &taken, source.abort(0x20, EXTERNAL), 0, Some(at), at)?;
                ensure_eq!(taken.pstate, pstate, "a fetch from {}: PSTATE", source.name);
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Tables where there is no memory: at each level that a walk with 4 KiB pages has.
fn walk() -> Outcome {
    const ON_WALK: u64 = 0x14;
    const MAINTENANCE: u64 = 1 << 8;
    const WRITE: u64 = 1 << 6;
    let (Some(hole), true) = (hole(), room()) else { return Ok(()) };
    let all = |level: u64, at: u64| {
        for source in sources().filter(|source| source.set == Set::A64 || at >> 32 == 0) {
            for (word, write) in [(LOAD, 0), (STORE, WRITE)] {
                word.write(source.set);
                let esr = source.abort(0x24, ON_WALK | level | write);
                source.must_be(word.name, &source.run(at), esr, 0, Some(at), source.pc())?;
            }
            let taken = excursion::run(at, source.spsr, [0; 4]);
            source.must_be("a fetch", &taken, source.abort(0x20, ON_WALK | level), 0, Some(at), at)?;
            if !source.el0 && !bare() {
                // AT S1E1R, which QEMU by itself answers in PAR_EL1 alone.
                words("AT", 0xd508_7800, 0, &[]).write(source.set);
                let esr = source.abort(0x24, ON_WALK | level | WRITE | MAINTENANCE);
                source.must_be("AT", &source.run(at), esr, 0, Some(at), source.pc())?;
            }
        }
        Ok(())
    };
    let offset = 5 << 21 | 6 << 12 | 0x7f8;
    with_target(hole | TABLE, || all(2, TARGET * GIB + offset))?;
    let table = excursion::table_of(hole | TABLE);
    with_target(table | TABLE, || all(3, TARGET * GIB + offset))?;
    // The upper half, so that this program keeps its own: 39 bits begin at level 1, 48 at level 0.
    for (bits, level) in [(39, 1), (48, 0)] {
        let result = with_target(0, || {
            excursion::upper_half(bits, hole);
            let result = all(level, u64::MAX << bits | offset);
            excursion::upper_half(0, 0);
            result
        });
        result?;
    }
    Ok(())
}

/// Each bit of PSTATE that an exception keeps, clears or takes from SCTLR_EL1, as far as the CPU has it.
fn state() -> Outcome {
    const DIT: u64 = 1 << 24;
    const PAN: u64 = 1 << 22;
    const SSBS_A64: u64 = 1 << 12;
    const UAO: u64 = 1 << 23;
    let (Some(hole), true) = (hole(), room()) else { return Ok(()) };
    let has = |register: u64, field: u32| register >> field & 0xf != 0;
    let (pfr0, pfr1) = (read_reg!("id_aa64pfr0_el1"), read_reg!("id_aa64pfr1_el1"));
    let (mmfr1, mmfr2) = (read_reg!("id_aa64mmfr1_el1"), read_reg!("id_aa64mmfr2_el1"));
    let extra = [(has(pfr0, 48), DIT), (has(mmfr1, 20), PAN), (has(pfr1, 4), SSBS_A64), (has(mmfr2, 4), UAO)];
    for sctlr in [0, 1 << 23, 1 << 44, 1 << 23 | 1 << 44] {
        let before = excursion::set_sctlr(sctlr);
        let result = with_target(hole | NORMAL_EL0, || {
            for source in sources() {
                for (_, bit) in extra.iter().filter(|(has, _)| *has) {
                    // SSBS and UAO are elsewhere in AArch32, and PAN keeps EL1 from what EL0 may use.
                    let a64_only = [SSBS_A64, UAO].contains(bit) && source.set != Set::A64;
                    if a64_only || *bit == PAN && !source.el0 {
                        continue;
                    }
                    let source = Source { spsr: source.spsr | bit, ..source };
                    let pstate = source.pstate();
                    LOAD.write(source.set);
                    let taken = source.run(TARGET * GIB);
                    let esr = source.abort(0x24, EXTERNAL);
                    source.must_be("LDR", &taken, esr, 0, Some(TARGET * GIB), source.pc())?;
                    // An exception leaves DIT alone (`AArch64.TakeException`); QEMU's own clear it.
                    ensure_eq!(
                        taken.pstate & !DIT,
                        pstate & !DIT,
                        "SPSR bit {bit:#x}, SCTLR {sctlr:#x}, from {}: PSTATE",
                        source.name
                    );
                }
            }
            Ok(())
        });
        excursion::set_sctlr(before);
        result?;
    }
    Ok(())
}

/// Registers of a device that stage 2 maps as Device memory and this program, wrongly, as Normal.
fn alignment() -> Outcome {
    let (Some(console), true) = (board().console, room()) else { return Ok(()) };
    let uart = console.base;
    with_target((uart / GIB * GIB) | NORMAL_EL0, || {
        for source in sources().filter(|source| source.set == Set::A64) {
            // UARTPeriphID, where nothing depends on being read.
            let at = TARGET * GIB + uart % GIB + 0xfe1;
            LOAD.write(source.set);
            let taken = source.run(at);
            source.must_be("LDR", &taken, source.abort(0x24, ALIGNMENT), 0, Some(at), source.pc())?;
        }
        Ok(())
    })
}

/// The distributor, which the hypervisor emulates, lent to a program in AArch32.
fn aarch32_device() -> Outcome {
    let (Some(gicd), true) = (board().gicd, room()) else { return Ok(()) };
    // GICD_PIDR2, or a GICv2's ICPIDR2; ArchRev is the version.
    let (pidr2, version) = if gic::is_v2() { (0xfe8, 2) } else { (0xffe8, 3) };
    with_target((gicd.base / GIB * GIB) | DEVICE_EL0, || {
        for source in sources().filter(|source| source.set != Set::A64) {
            // LDR; then SVC, which in an IT block is the second and last of it.
            match source.set {
                Set::A32 => excursion::write(&[0xe590_1000, 0xef00_0000]),
                _ => excursion::write(&[0xdf00_6801, 0xdf00_df00]),
            }
            let taken = source.run(TARGET * GIB + gicd.base % GIB + pidr2);
            let [_, read, ..] = taken.x;
            ensure_eq!(read >> 4, version, "GICD_PIDR2 from {}", source.name);
            let length = if source.set == Set::A32 { 4 } else { 2 };
            // SVC returns behind itself.
            ensure_eq!(taken.elr, source.pc() + 2 * length, "ELR from {}", source.name);
            ensure!(taken.esr >> 26 == 0x11, "{}: ESR {:#x} and not that of SVC", source.name, taken.esr);
        }
        Ok(())
    })
}
