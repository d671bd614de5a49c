//! Accesses where the cell has nothing: the architecture's own abort, at EL1, and the guest goes on.

use rt::exception::{Fault, catch};
use rt::mmio::{load32, store32};
use rt::tree::{Span, board};
use rt::{entry, gic, read_reg};

use crate::ensure_eq;
use crate::report::{Check, Needs, Outcome, bare, check, why};

/// The group's checks.
pub const CHECKS: &[Check] = &[
    check("memory_hole_read", Needs::Nothing, hole_read),
    check("memory_hole_write", Needs::Nothing, hole_write),
    check("memory_behind_ram", Needs::Nothing, behind_ram),
    check("memory_hole_fetch", Needs::Nothing, hole_fetch),
    check("memory_misaligned", Needs::Nothing, misaligned),
    check("memory_no_syndrome", Needs::Nothing, no_syndrome),
];

const GIB: u64 = 1 << 30;
const DATA_ABORT: u64 = 0x25;
const INSTRUCTION_ABORT: u64 = 0x21;
/// Synchronous external abort, not on a walk (Arm ARM D24.2.40, DFSC).
const EXTERNAL: u64 = 0x10;
const ALIGNMENT: u64 = 0x21;

/// An address far from everything that the tree names: the start of the highest empty gibibyte.
pub fn hole() -> Option<u64> {
    const BITS: [u32; 6] = [32, 36, 39, 39, 39, 39];
    let range = (read_reg!("id_aa64mmfr0_el1") & 0xf) as usize;
    let top = 1 << BITS.get(range).copied().unwrap_or(39);
    (0..top / GIB).rev().map(|n| n * GIB).find(|base| is_empty(Span { base: *base, size: GIB }))
}

fn is_empty(span: Span) -> bool {
    !board().spans.iter().any(|s| s.overlaps(span))
}

/// The first page behind a bank of RAM, where nothing is and this program's map is executable.
fn page_behind_ram() -> Option<u64> {
    let [here, ..] = [entry::image().base / GIB];
    board()
        .memory
        .iter()
        .map(|bank| bank.base + bank.size)
        .find(|end| end / GIB == here && is_empty(Span { base: *end, size: 4096 }))
}

fn must_abort(class: u64, status: u64, write: bool, at: u64, result: Result<(), Fault>) -> Outcome {
    let Err(fault) = result else { return Err(why(format_args!("{at:#x} answers"))) };
    ensure_eq!(fault.class(), class, "ESR {:#x}: EC", fault.esr);
    ensure_eq!(fault.status(), status, "ESR {:#x}: fault status", fault.esr);
    ensure_eq!(fault.esr >> 25 & 1, 1, "ESR {:#x}: IL", fault.esr);
    ensure_eq!(fault.esr >> 10 & 1, 0, "ESR {:#x}: FnV", fault.esr);
    ensure_eq!(fault.far, at, "FAR");
    if class == DATA_ABORT {
        ensure_eq!(fault.is_write(), write, "ESR {:#x}: WnR", fault.esr);
    }
    Ok(())
}

fn read_aborts(at: u64) -> Outcome {
    must_abort(DATA_ABORT, EXTERNAL, false, at, catch(|| load32(at)).map(drop))
}

fn write_aborts(at: u64) -> Outcome {
    must_abort(DATA_ABORT, EXTERNAL, true, at, catch(|| store32(at, 1)))
}

fn hole_read() -> Outcome {
    let Some(at) = hole() else { return Ok(()) };
    read_aborts(at)?;
    read_aborts(at + GIB - 4)
}

fn hole_write() -> Outcome {
    let Some(at) = hole() else { return Ok(()) };
    write_aborts(at)?;
    write_aborts(at + GIB - 4)
}

fn behind_ram() -> Outcome {
    let Some(at) = page_behind_ram() else { return Ok(()) };
    read_aborts(at)?;
    write_aborts(at + 8)
}

fn hole_fetch() -> Outcome {
    let Some(at) = page_behind_ram() else { return Ok(()) };
    must_abort(INSTRUCTION_ABORT, EXTERNAL, false, at, catch(|| rt::exception::jump_outside(at)))
}

fn misaligned() -> Outcome {
    // Device memory takes no unaligned access (Arm ARM B2.8.2). Stage 1 should say so before any hypervisor is asked,
    // but not every QEMU does; then a hypervisor that has nothing at that address answers.
    let at = gic::distributor().base() + 1;
    match catch(|| load32(at)) {
        Ok(_) if bare() => Ok(()),
        Err(fault) if fault.status() == ALIGNMENT => must_abort(DATA_ABORT, ALIGNMENT, false, at, Err(fault)),
        result => must_abort(DATA_ABORT, EXTERNAL, false, at, result.map(drop)),
    }
}

fn no_syndrome() -> Outcome {
    // A load-pair traps without saying what it wanted: an abort at that address is an answer, and so is any value
    // (IHI 0069H 12.1.3 lets 64-bit accesses to these registers be anything).
    let block = gic::distributor();
    match catch(|| block.read_pair(0)) {
        Ok(_) => Ok(()),
        Err(fault) => must_abort(DATA_ABORT, EXTERNAL, false, block.base(), Err(fault)),
    }
}
