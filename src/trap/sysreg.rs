//! System registers and instructions that trap.

use super::esr::{Access, Sysreg};
use super::{Go, Resume};
use crate::cell::{Progress, Vcpu};
use crate::exits::Reason;
use crate::ports::{CommonReg, Hot, Machine};
use crate::vcpu::GuestFault;
use crate::vgic;

const ICC_PMR_EL1: Sysreg = Sysreg::new(3, 0, 4, 6, 0);
const ICC_CTLR_EL1: Sysreg = Sysreg::new(3, 0, 12, 12, 4);
const ICC_RPR_EL1: Sysreg = Sysreg::new(3, 0, 12, 11, 3);
const ICC_DIR_EL1: Sysreg = Sysreg::new(3, 0, 12, 11, 1);
const ICC_SGI1R_EL1: Sysreg = Sysreg::new(3, 0, 12, 11, 5);
const ICC_ASGI1R_EL1: Sysreg = Sysreg::new(3, 0, 12, 11, 6);
const ICC_SGI0R_EL1: Sysreg = Sysreg::new(3, 0, 12, 11, 7);
const ICC_SRE_EL1: Sysreg = Sysreg::new(3, 0, 12, 12, 5);
const ACTLR_EL1: Sysreg = Sysreg::new(3, 0, 1, 0, 1);
const DC_ISW: Sysreg = Sysreg::new(1, 0, 7, 6, 2);
const DC_CSW: Sysreg = Sysreg::new(1, 0, 7, 10, 2);
const DC_CISW: Sysreg = Sysreg::new(1, 0, 7, 14, 2);

/// ICC_SRE_EL1 where system registers are the only way: DIB, DFB, SRE, all RAO/WI (IHI 0069H 12.2.20).
const SRE: u64 = 0b111;

/// Answers an access. The rows are what Bulkhead makes trap on purpose; all the rest, IMPLEMENTATION DEFINED registers
/// (TIDCP, TACR), LORegions, AMU, MPAM, SPE, trace, RAS and what a newer CPU adds, does not exist for a guest.
#[inline(always)]
pub fn handle<M: Hot, R>(vcpu: &mut Vcpu<'_>, machine: &mut M, access: Access, go: impl Go<M, R>) -> R {
    // HCR_EL2.TID3's group is read often, and SGIs are sent often.
    if access.read() {
        vcpu.exits.count(Reason::Sysreg);
        let id = access.sysreg().id_register();
        let Some(value) = id.and_then(|(crm, op2)| vcpu.ids.get(crm, op2)) else {
            let resume = read_other(vcpu, machine.plain(), access);
            return go(vcpu, machine, resume);
        };
        vcpu.frame.set(access.register(), value);
        return go(vcpu, machine, Resume::Next);
    }
    if !access.writes(ICC_SGI1R_EL1) {
        vcpu.exits.count(Reason::Sysreg);
        let resume = write_other(vcpu, machine.plain(), access);
        return go(vcpu, machine, resume);
    }
    vcpu.exits.count(Reason::Sgi);
    let value = vcpu.frame.get(access.register());
    let system = vcpu.system;
    vgic::sgi1r(machine, &mut vcpu.gic, &vcpu.cell.gic, &system.gic, &system.inboxes, value);
    go(vcpu, machine, Resume::Next)
}

#[cold]
#[inline(never)]
fn read_other<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &M, access: Access) -> Resume {
    let common = common(access).filter(|_| vcpu.cell.gic.is_direct());
    if let Some(reg) = common {
        vcpu.frame.set(access.register(), vgic::read_common(machine, reg));
        return Resume::Next;
    }
    let value = match access.sysreg() {
        ACTLR_EL1 => 0,
        ICC_SRE_EL1 => SRE,
        _ => return UNDEFINED,
    };
    vcpu.frame.set(access.register(), value);
    Resume::Next
}

#[cold]
#[inline(never)]
fn write_other<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M, access: Access) -> Resume {
    if vcpu.cell.gic.is_direct() {
        let value = vcpu.frame.get(access.register());
        if let Some(reg) = common(access) {
            vgic::write_common(machine, reg, value);
            return Resume::Next;
        }
        if access.sysreg() == ICC_DIR_EL1 {
            vcpu.cell.gic.deactivate(machine, value);
            return Resume::Next;
        }
    }
    match access.sysreg() {
        // Group 0, and the other security state's Group 1: a cell has neither.
        ICC_SGI0R_EL1 | ICC_ASGI1R_EL1 => Resume::Next,
        ACTLR_EL1 | ICC_SRE_EL1 => Resume::Next,
        DC_ISW | DC_CSW | DC_CISW => {
            let value = vcpu.frame.get(access.register());
            set_way(vcpu, machine, value)
        }
        _ => UNDEFINED,
    }
}

/// The registers that are common to both groups of interrupts. They trap where a guest has the physical CPU interface.
fn common(access: Access) -> Option<CommonReg> {
    match access.sysreg() {
        ICC_PMR_EL1 => Some(CommonReg::Pmr),
        ICC_CTLR_EL1 => Some(CommonReg::Ctlr),
        // It is read only.
        ICC_RPR_EL1 if access.read() => Some(CommonReg::Rpr),
        _ => None,
    }
}

const UNDEFINED: Resume = Resume::Inject(GuestFault::UNDEFINED);

/// How much is cleaned before interrupts get a chance: some tens of microseconds.
const STEP: u64 = 256 << 10;

/// Cache maintenance by set and way reaches one CPU's caches only and knows no owner, so a guest's is done by address
/// over all of its RAM instead (as Arm ARM D7.5.9.5 advises). A guest walks all sets and ways of a cache
/// level; the one operation of it with set and way 0 does the work for all.
#[cold]
fn set_way<M: Machine>(vcpu: &mut Vcpu<'_>, machine: &mut M, operand: u64) -> Resume {
    /// Level, bits 3:1 (Arm ARM C5.3.15).
    const LEVEL: u64 = 0xe;
    if operand & !LEVEL != 0 {
        return Resume::Next;
    }
    // While another vCPU does the same, this one tries again.
    let Some(_turn) = vcpu.cell.cleaner.try_lock() else { return Resume::Again };
    // Between two steps the guest may take an interrupt, and do the same in its handler: that begins anew.
    let at = machine.pc();
    let done = vcpu.cleaning.filter(|(elr, _)| *elr == at).map_or(Progress::default(), |(_, done)| done);
    vcpu.cleaning = done.clean(&vcpu.cell.ram, STEP, machine).map(|done| (at, done));
    if vcpu.cleaning.is_some() { Resume::Again } else { Resume::Next }
}
