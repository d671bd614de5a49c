//! Stage 2 aborts: the emulated devices, and what a guest gets for everything else.

use super::esr::{self, DataAbort, InstructionAbort};
use super::{Go, Resume, walk};
use crate::addr::Ipa;
use crate::cell::Vcpu;
use crate::console;
use crate::exits::Reason;
use crate::mmio::Device;
use crate::ports::{Hot, Machine, Width};
use crate::vcpu::{Access, EXTERNAL, EXTERNAL_ON_WALK, GuestFault};
use crate::vgic;
use crate::watchdog;

/// The IPA that faulted: HPFAR_EL2.FIPA (Arm ARM D24.2.58, bits 47:4 are IPA 55:12) and the offset in the page.
pub fn ipa(hpfar: u64, far: u64) -> Ipa {
    const FIPA: u64 = 0xffff_ffff_fff0;
    Ipa((hpfar & FIPA) << 8 | far & 0xfff)
}

/// A data abort.
#[inline(always)]
pub fn data<M: Hot, R>(vcpu: &mut Vcpu<'_>, machine: &mut M, abort: DataAbort, go: impl Go<M, R>) -> R {
    if !abort.is_access() {
        vcpu.exits.count(Reason::Abort);
        let resume = unusual(vcpu, machine.plain(), abort);
        return go(vcpu, machine, resume);
    }
    let at = ipa(machine.hpfar(), machine.far());
    let width = abort.width();
    let write = abort.write().then(|| vcpu.frame.get(abort.register()) & width.mask());
    let Some((device, offset)) = vcpu.cell.bus.find(at, width) else {
        vcpu.exits.count(Reason::Abort);
        let resume = refuse(vcpu, machine.plain(), abort);
        return go(vcpu, machine, resume);
    };
    let value = access(vcpu, machine, device, offset, width, write);
    if !abort.write() {
        vcpu.frame.set(abort.register(), loaded(value, abort));
    }
    go(vcpu, machine, Resume::Next)
}

/// A device's answer to a load, no wider than the access.
#[inline(always)]
fn access<M: Hot>(
    vcpu: &mut Vcpu<'_>,
    machine: &mut M,
    device: Device,
    offset: u64,
    width: Width,
    write: Option<u64>,
) -> u64 {
    let gic = &vcpu.cell.gic;
    match device {
        Device::Gicd => {
            vcpu.exits.count(Reason::Gicd);
            vgic::gicd_access(machine, gic, |machine| vcpu.gic_context(machine), offset, width, write)
        }
        Device::Gicr => {
            vcpu.exits.count(Reason::Gicr);
            vgic::gicr_access(machine, gic, |machine| vcpu.gic_context(machine), offset, width, write)
        }
        Device::Console => {
            vcpu.exits.count(Reason::Uart);
            console::access(vcpu, machine.plain(), offset, width, write)
        }
        Device::Watchdog => {
            vcpu.exits.count(Reason::Watchdog);
            watchdog::access(vcpu, machine.plain(), offset, width, write)
        }
    }
}

/// What a load leaves in its register: SSE extends the sign to the register's width, SF says which that is.
#[inline]
fn loaded(value: u64, abort: DataAbort) -> u64 {
    if !abort.sign_extend() {
        return value;
    }
    let mask = abort.width().mask();
    if value & (mask ^ mask >> 1) == 0 {
        return value;
    }
    let extended = value | !mask;
    if abort.sixty_four() { extended } else { extended & Width::Word.mask() }
}

/// An abort that no device answers.
#[cold]
fn unusual<M: Machine>(vcpu: &Vcpu<'_>, machine: &mut M, abort: DataAbort) -> Resume {
    // Cache maintenance by address where no memory is has nothing to do, and AArch32 has none at EL0. (An AT whose walk failed is
    // told so.)
    let idle = abort.maintenance() && !abort.table_walk() && abort.status() != esr::TLB_CONFLICT;
    if idle { Resume::Next } else { refuse(vcpu, machine, abort) }
}

/// Nothing is there, or it is not accessed so. A false report concerns an access that crosses a page, which no device takes; so
/// it is enough to ask here. The guest tries again, and takes the fault that its own stage 1 has for it.
#[cold]
fn refuse<M: Machine>(vcpu: &Vcpu<'_>, machine: &mut M, abort: DataAbort) -> Resume {
    if machine.is_false_report() {
        return Resume::Again;
    }
    let access = match (abort.maintenance(), abort.write()) {
        (true, _) => Access::Maintenance,
        (false, true) => Access::Store,
        (false, false) => Access::Load,
    };
    answer(vcpu, machine, abort.status(), abort.table_walk(), access)
}

/// An instruction abort: there is nothing to execute outside RAM.
#[cold]
pub fn instruction<M: Machine>(vcpu: &Vcpu<'_>, machine: &mut M, abort: InstructionAbort) -> Resume {
    answer(vcpu, machine, abort.status(), abort.table_walk(), Access::Fetch)
}

/// What the guest is told of an abort with this status, which stage 2 has for it and the guest knows nothing of; or it is to try again.
///
/// A guest's physical address space ends where stage 2 does, and what is behind answers as a bus does: by an External
/// abort, at the access or at the walk of the tables that are to be there. What the combined memory type has against the
/// access itself is no matter of where, and stays what it is.
fn answer<M: Machine>(
    vcpu: &Vcpu<'_>,
    machine: &mut M,
    status: u8,
    table_walk: bool,
    access: Access,
) -> Resume {
    if vcpu.is_recalled() {
        return Resume::Again;
    }
    let status = match status {
        esr::TLB_CONFLICT => {
            machine.invalidate_vmid(vcpu.cell.vttbr());
            return Resume::Again;
        }
        _ if table_walk => match walk::level(vcpu, machine) {
            Some(level) => EXTERNAL_ON_WALK | level,
            None => return Resume::Again,
        },
        esr::ALIGNMENT | esr::EXCLUSIVE_OR_ATOMIC => status,
        _ => EXTERNAL,
    };
    // Six bits, which the compiler does not see.
    Resume::Inject(GuestFault::new().with_status(status & 0x3f).with_access(access))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ipa_is_put_together_of_page_and_offset() {
        assert_eq!(ipa(0x0008_0000, 0xffff_8000_1234_5104), Ipa(0x0800_0104));
        assert_eq!(ipa(1 << 63 | 0xffff_ffff_ffff, 0xfff), Ipa(0x00ff_ffff_ffff_ffff));
    }

    #[test]
    fn a_load_extends_as_its_instruction_says() {
        let ld = |size: u32, sse: bool, sf: bool| {
            DataAbort::from_bits(1 << 24 | size << 22).with_sign_extend(sse).with_sixty_four(sf)
        };
        for (value, abort, register) in [
            (0x80, ld(0, false, false), 0x80),
            (0x80, ld(0, true, false), 0xffff_ff80),
            (0x80, ld(0, true, true), 0xffff_ffff_ffff_ff80),
            (0x7fff, ld(1, true, true), 0x7fff),
            (0x8000, ld(1, true, false), 0xffff_8000),
            (0x8000_0000, ld(2, true, true), 0xffff_ffff_8000_0000),
            (0x8000_0000, ld(2, false, true), 0x8000_0000),
            (u64::MAX, ld(3, false, true), u64::MAX),
            (u64::MAX, ld(3, true, true), u64::MAX),
        ] {
            assert_eq!(loaded(value, abort), register, "{abort:?}");
        }
    }
}
