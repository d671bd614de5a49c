//! Exceptions injected into a guest, as the Arm ARM (DDI 0487) has them: `AArch64.TakeException` to EL1.

use bitfield_struct::bitfield;

use crate::ports::{El1, El1Reg, World};

#[cfg(test)]
mod tests;

/// An exception that the architecture gives a guest for its own mistake. Of an abort it has the fields of ESR_EL1.ISS that are not the
/// same for all that are injected; the address is that of the guest's last exit (FAR_EL2). One byte: it travels in a register, beside
/// what the rest of [`crate::trap::Resume`] needs.
///
/// ISV is 0: only stage 2 describes instructions. FnV is 0: FAR_EL2 was valid. S1PTW is 0: a walk's own abort says so in its
/// status. EA and SET are 0: no such classification was made, and the guest's ID registers show no FEAT_RAS.
#[bitfield(u8)]
#[derive(PartialEq, Eq)]
pub struct GuestFault {
    /// DFSC or IFSC.
    #[bits(6)]
    pub status: u8,
    /// What was aborted.
    #[bits(2)]
    pub access: Access,
}

impl GuestFault {
    /// An undefined instruction (ESR EC 0): a fetch without a fault's status, so to speak.
    pub const UNDEFINED: Self = Self::new().with_access(Access::Fetch);
}

/// An access that takes an abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A data abort, WnR clear.
    Load,
    /// A data abort, WnR set.
    Store,
    /// A data abort, CM set, and WnR as always then: cache maintenance or an address translation.
    Maintenance,
    /// An instruction abort.
    Fetch,
}

impl Access {
    const fn from_bits(bits: u8) -> Self {
        match bits {
            0 => Self::Load,
            1 => Self::Store,
            2 => Self::Maintenance,
            _ => Self::Fetch,
        }
    }

    const fn into_bits(self) -> u8 {
        self as u8
    }
}

/// Fault status: synchronous External abort, not on a translation table walk.
pub const EXTERNAL: u8 = 0x10;

/// Fault status: synchronous External abort on a translation table walk, level 0; up to level 3 follow.
pub const EXTERNAL_ON_WALK: u8 = 0x14;

/// SPSR_ELx (Arm ARM C5.2.19), the fields that an exception keeps, sets or asks for.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Pstate {
    /// M\[3:0\]: for AArch64 the exception level and stack pointer, see [`EL1H`].
    #[bits(4)]
    pub mode: u8,
    /// M\[4\]: AArch32.
    pub aarch32: bool,
    /// T (AArch32).
    pub thumb: bool,
    /// F, I, A, D.
    #[bits(4)]
    pub daif: u8,
    /// IT\[7:2\] (AArch32); BTYPE is its lower end (AArch64).
    #[bits(6)]
    pub it_high: u8,
    #[bits(5)]
    __: u8,
    /// SS.
    pub step: bool,
    /// PAN.
    pub pan: bool,
    __: bool,
    /// DIT.
    pub dit: bool,
    /// IT\[1:0\] (AArch32); TCO is its lower end (AArch64).
    #[bits(2)]
    pub it_low: u8,
    __: bool,
    /// V, C, Z, N.
    #[bits(4)]
    pub nzcv: u8,
    __: u32,
}

const EL1T: u8 = 0b0100;
/// M\[3:0\] of EL1 with its own stack pointer.
pub const EL1H: u8 = 0b0101;

/// SPSR_EL1.SSBS, ALLINT and TCO, for AArch64.
const SSBS: u64 = 1 << 12;
const ALLINT: u64 = 1 << 13;
const TCO: u64 = 1 << 25;

/// SCTLR_EL1.SPAN: 0 sets PSTATE.PAN on an exception to EL1 (Arm ARM D24.2.175).
const SCTLR_SPAN: u64 = 1 << 23;
/// SCTLR_EL1.DSSBS: the value PSTATE.SSBS takes on an exception to EL1.
const SCTLR_DSSBS: u64 = 1 << 44;
/// SCTLR_EL1.SPINTMASK: 0 sets PSTATE.ALLINT on an exception to EL1.
const SCTLR_SPINTMASK: u64 = 1 << 62;

/// ESR_EL1.IL: set for every exception that is injected here (Arm ARM D24.2.40: EC 0, instruction aborts, data aborts with ISV 0).
const ESR_IL: u64 = 1 << 25;
const ISS_WNR: u64 = 1 << 6;
const ISS_CM: u64 = 1 << 8;

/// Makes the guest take `fault` when it is entered next.
///
/// What the guest's ID registers hide counts where an exception of the guest's own would show it: the CPU has it. (GCS's EXLOCK stays
/// 0: HCRX_EL2 keeps it shut.)
#[cold]
pub fn inject(machine: &mut (impl El1 + World), fault: GuestFault) {
    let old = Pstate::from_bits(machine.pstate());
    let (vector, same_el) = match (old.aarch32(), old.mode()) {
        (true, _) => (0x600, false),
        (false, EL1T) => (0x000, true),
        (false, EL1H) => (0x200, true),
        // EL0t; EL2's modes cannot be in a guest's SPSR.
        (false, _) => (0x400, false),
    };
    let class = |lower: u64| (lower | u64::from(same_el)) << 26 | u64::from(fault.status());
    let syndrome = match fault.access() {
        _ if fault == GuestFault::UNDEFINED => 0,
        Access::Load => class(0x24),
        Access::Store => class(0x24) | ISS_WNR,
        Access::Maintenance => class(0x24) | ISS_WNR | ISS_CM,
        Access::Fetch => class(0x20),
    };
    machine.set_el1(El1Reg::Esr, syndrome | ESR_IL);
    if fault != GuestFault::UNDEFINED {
        machine.set_el1(El1Reg::Far, machine.far());
    }
    machine.set_el1(El1Reg::Spsr, old.into_bits());
    machine.set_el1(El1Reg::Elr, machine.pc());
    // VBAR_EL1[10:0] are RES0 and read as the guest wrote them on some CPUs.
    machine.set_pc((machine.el1(El1Reg::Vbar) & !0x7ff).wrapping_add(vector));
    let sctlr = machine.el1(El1Reg::Sctlr);
    let cpu = Has::read(machine);
    let set = |when: bool, bit: u64| if when { bit } else { 0 };
    const NOTHING: Pstate = Pstate::new();
    let new = NOTHING
        .with_mode(EL1H)
        .with_daif(0b1111)
        .with_pan(cpu.pan && (old.pan() || sctlr & SCTLR_SPAN == 0))
        .with_dit(old.dit())
        .with_nzcv(old.nzcv())
        .into_bits()
        | set(cpu.ssbs && sctlr & SCTLR_DSSBS != 0, SSBS)
        | set(cpu.nmi && sctlr & SCTLR_SPINTMASK == 0, ALLINT)
        | set(cpu.mte, TCO);
    machine.set_pstate(new);
}

/// The features that put a bit into PSTATE when an exception is taken.
struct Has {
    pan: bool,
    ssbs: bool,
    mte: bool,
    nmi: bool,
}

impl Has {
    fn read(cpu: &impl El1) -> Self {
        // ID_AA64MMFR1_EL1, ID_AA64PFR1_EL1.
        let (mmfr1, pfr1) = (cpu.id_register(7, 1), cpu.id_register(4, 1));
        let has = |register: u64, field: u64| register & field != 0;
        Self {
            pan: has(mmfr1, 0xf << 20),
            ssbs: has(pfr1, 0xf << 4),
            // Not FEAT_MTE alone, whose TCO may be RES0 (C5.2.25).
            mte: has(pfr1, 0xe << 8),
            nmi: has(pfr1, 0xf << 36),
        }
    }
}
