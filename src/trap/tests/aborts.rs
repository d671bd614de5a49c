//! Aborts: what devices answer, and what a guest is told where there is none.

use super::*;
use crate::addr::{Pa, Span};
use crate::ports::{El1, El1Reg, Memory};
use crate::vcpu::{Access, EXTERNAL, EXTERNAL_ON_WALK};

/// ESR_EL2 of a data abort on a 4-byte access by w3: a translation fault of level 3.
const LOAD: u64 = 0x24 << 26 | 1 << 25 | 1 << 24 | 2 << 22 | 3 << 16 | 7;
const WRITE: u64 = 1 << 6;
const NO_SYNDROME: u64 = 0x24 << 26 | 1 << 25 | 7;

fn abort(cpu: &mut Cpu<'_>, ipa: u64, esr: u64) -> Resume {
    cpu.machine.hpfar = ipa >> 12 << 4;
    cpu.machine.far = 0xffff_8000_0000_0000 | ipa & 0xfff;
    cpu.trap(esr)
}

#[test]
fn the_distributor_answers_and_nothing_else_does() {
    let (system, board) = system();
    let mut cpu = guest(&system, &board);
    cpu.set(3, u64::MAX);
    // GICD_PIDR2 says GICv3.
    assert_eq!((abort(&mut cpu, 0x0800_ffe8, LOAD), cpu.x(3) >> 4), (Resume::Next, 3));
    // GICR_PIDR2 of vCPU 2; GICD_CTLR written.
    assert_eq!((abort(&mut cpu, 0x080e_ffe8, LOAD), cpu.x(3) >> 4), (Resume::Next, 3));
    assert_eq!(abort(&mut cpu, 0x0800_0000, LOAD | WRITE), Resume::Next);
    let fault = |write| told(EXTERNAL, write);
    for (ipa, esr) in [
        // Behind the devices, nowhere, unaligned.
        (0x0801_0000, LOAD),
        (0x0810_0000, LOAD),
        (0x4000_0000, LOAD),
        (0x0800_0002, LOAD),
        // Load pair, SIMD, exclusive, post-index: no syndrome. An External abort, on stage 2's own walk too. A permission fault.
        (0x0800_0000, NO_SYNDROME),
        (0x0800_0000, LOAD & !0x3f | 0x10),
        (0x0800_0000, LOAD & !0x3f | 0x17),
        (0x0800_0000, LOAD & !0x3f | 0xf),
    ] {
        cpu.set(3, 0x1234);
        assert_eq!(abort(&mut cpu, ipa, esr), fault(false), "{ipa:#x}, {esr:#x}");
        assert_eq!(abort(&mut cpu, ipa, esr | WRITE), fault(true));
        assert_eq!(cpu.x(3), 0x1234);
    }
    // Where the report is a false one (Cortex-A57 834220) the guest tries again; what a device answers is true all the same.
    cpu.machine.false_report = true;
    assert_eq!(abort(&mut cpu, 0x0810_0000, LOAD), Resume::Again);
    assert_eq!(abort(&mut cpu, 0x0800_0ffd, LOAD), Resume::Again);
    assert_eq!(abort(&mut cpu, 0x4000_0000, NO_SYNDROME), Resume::Again);
    assert_eq!(abort(&mut cpu, 0x0800_ffe8, LOAD), Resume::Next);
    cpu.machine.false_report = false;
}

/// From AArch32 at EL0: in A32, in T32 with 16 and 32 bits, the first of an IT block.
#[test]
fn a_device_answers_aarch32_too() {
    const IL: u64 = 1 << 25;
    const A32: u64 = 0x10;
    const T32: u64 = 0x30;
    let (system, board) = system();
    let mut cpu = guest(&system, &board);
    for (spsr, esr, length, after) in [
        (A32, LOAD, 4, A32),
        (T32, LOAD, 4, T32),
        (T32, LOAD & !IL, 2, T32),
        // ITT EQ: its first and last instruction; bit 21 is a software step.
        (T32 | 1 << 10 | 1 << 21, LOAD & !IL, 2, T32 | 2 << 10),
        (T32 | 2 << 10, LOAD, 4, T32),
    ] {
        (cpu.machine.pc, cpu.machine.pstate) = (0x8000, spsr);
        cpu.set(3, u64::MAX);
        assert_eq!(abort(&mut cpu, 0x0800_ffe8, esr), Resume::Next, "{spsr:#x}");
        skip(&mut cpu.machine);
        assert_eq!(cpu.x(3) >> 4, 3, "GICD_PIDR2, and nothing above 32 bits");
        assert_eq!((cpu.machine.pc, cpu.machine.pstate), (0x8000 + length, after));
    }
    cpu.machine.pc = 0x8000;
    assert_eq!(abort(&mut cpu, 0x0801_0000, LOAD), told(EXTERNAL, false));
    assert_eq!(cpu.machine.pc, 0x8000);
}

/// A data abort that the guest is told of.
fn told(status: u8, write: bool) -> Resume {
    let access = if write { Access::Store } else { Access::Load };
    Resume::Inject(GuestFault::new().with_status(status).with_access(access))
}

fn told_of_fetch(status: u8) -> Resume {
    Resume::Inject(GuestFault::new().with_status(status).with_access(Access::Fetch))
}

#[test]
fn odd_aborts() {
    let (system, board) = system();
    let mut cpu = guest(&system, &board);
    // DC CIVAC on the distributor: nothing to do. AT whose walk leaves the cell: told.
    assert_eq!(abort(&mut cpu, 0x0800_0000, NO_SYNDROME | 1 << 8 | WRITE), Resume::Next);
    let at = GuestFault::new().with_status(0x14).with_access(Access::Maintenance);
    let esr = NO_SYNDROME | 1 << 8 | 1 << 7 | WRITE;
    assert_eq!(abort(&mut cpu, 0, esr), Resume::Inject(at));
    let invalidated = cpu.machine.invalidated.get();
    assert_eq!(abort(&mut cpu, 0, 0x24 << 26 | 0x30), Resume::Again);
    assert_eq!(abort(&mut cpu, 0, 0x20 << 26 | 0x30), Resume::Again);
    assert_eq!(cpu.machine.invalidated.get(), invalidated + 2);
    assert_eq!(abort(&mut cpu, 0, 0x24 << 26 | 1 << 8 | 0x30), Resume::Again);
    assert_eq!(cpu.machine.invalidated.get(), invalidated + 3);
    assert_eq!(abort(&mut cpu, 0x0800_0000, 0x20 << 26 | 7), told_of_fetch(EXTERNAL));
    assert_eq!(abort(&mut cpu, 0x0900_0000, 0x20 << 26 | 0xf), told_of_fetch(EXTERNAL));
    // What the access itself is not allowed at Device memory: alignment, and exclusives and atomics.
    for status in [0x21, 0x35] {
        let esr = NO_SYNDROME & !0x3f | u64::from(status);
        assert_eq!(abort(&mut cpu, 0x4000, esr), told(status, false));
        assert_eq!(abort(&mut cpu, 0x4000, esr | WRITE), told(status, true));
    }
    // Every status has an answer.
    for status in 0..64 {
        let (data, fetch) =
            (abort(&mut cpu, 0, LOAD & !0x3f | status), abort(&mut cpu, 0, 0x20 << 26 | status));
        assert!(matches!(data, Resume::Next | Resume::Again | Resume::Inject(_)));
        assert!(matches!(fetch, Resume::Again | Resume::Inject(_)));
        assert!(data != UNDEFINED && fetch != UNDEFINED);
    }
}

/// Cell 0's RAM begins at 64 KiB. With 39 bits of address a walk begins at level 1.
#[test]
fn a_walk_that_leaves_the_cell_is_an_external_abort_of_its_level() {
    const ON_WALK: u64 = 1 << 7;
    const VA: u64 = 3 << 30 | 5 << 21 | 6 << 12 | 8;
    let (system, board) = system();
    let mut cpu = guest(&system, &board);
    cpu.machine.set_el1(El1Reg::Tcr, 25 | 2 << 30 | 25 << 16);
    cpu.machine.far = VA;
    for (tables, level) in
        [([0x7000_0000, 0, 0], 1), ([0x1_0000, 0x4_0000, 0], 2), ([0x1_0000, 0x1_1000, 0x2_f000_f000], 3)]
    {
        cpu.machine.set_el1(El1Reg::Ttbr0, tables[0]);
        for (level, index) in [(0, 3), (1, 5)] {
            let at = Span::new(Pa(tables[level] + index * 8), 8).unwrap();
            if cpu.vcpu.cell.ram.iter().any(|region| region.backing().unwrap().covers(&at)) {
                cpu.machine.write(at.start(), &(tables[level + 1] | 3).to_le_bytes()).unwrap();
            }
        }
        cpu.machine.hpfar = tables[level - 1] >> 12 << 4;
        let status = EXTERNAL_ON_WALK | level as u8;
        assert_eq!(cpu.trap(LOAD | ON_WALK), told(status, false));
        assert_eq!(cpu.trap(LOAD | ON_WALK | WRITE), told(status, true));
        assert_eq!(cpu.trap(0x20 << 26 | 1 << 25 | ON_WALK | 5), told_of_fetch(status));
    }
    // While another vCPU has a window onto the cell's RAM, this one asks again.
    let other = system.cells[0].cleaner.lock();
    assert_eq!(cpu.trap(LOAD | ON_WALK), Resume::Again);
    drop(other);
}
