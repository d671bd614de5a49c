//! ESR_EL2 decoded (Arm ARM D24.2.40).

use bitfield_struct::bitfield;

use crate::ports::Width;

/// ESR_ELx.
#[bitfield(u64)]
struct Esr {
    #[bits(25)]
    iss: u32,
    #[bits(1)]
    _il: u8,
    #[bits(6)]
    class: u8,
    #[bits(32)]
    _iss2: u32,
}

/// The ISS of a data abort.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct DataAbort {
    /// DFSC.
    #[bits(6)]
    pub status: u8,
    /// WnR.
    pub write: bool,
    /// S1PTW: a walk of the guest's own tables ran into stage 2.
    pub table_walk: bool,
    /// CM: cache maintenance or address translation.
    pub maintenance: bool,
    /// EA.
    pub external_type: bool,
    /// FnV.
    pub far_invalid: bool,
    /// SET.
    #[bits(2)]
    pub error_type: u8,
    /// VNCR.
    pub nested: bool,
    /// AR.
    pub acquire_release: bool,
    /// SF: the register is 64 bits wide.
    pub sixty_four: bool,
    /// SRT.
    #[bits(5)]
    pub register: u8,
    /// SSE.
    pub sign_extend: bool,
    #[bits(2)]
    size: u8,
    /// ISV: the fields above from AR on describe the access.
    pub valid: bool,
    #[bits(7)]
    __: u8,
}

impl DataAbort {
    /// SAS.
    #[inline]
    pub fn width(&self) -> Width {
        match self.size() {
            0 => Width::Byte,
            1 => Width::Half,
            2 => Width::Word,
            _ => Width::Double,
        }
    }
}

/// The ISS of an instruction abort.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct InstructionAbort {
    /// IFSC.
    #[bits(6)]
    pub status: u8,
    #[bits(1)]
    __: u8,
    /// S1PTW.
    pub table_walk: bool,
    #[bits(24)]
    __: u32,
}

impl DataAbort {
    /// An access to where stage 2 maps nothing, described by all the other fields: valid, not of a walk, and a translation fault of
    /// levels 0 to 3; HPFAR_EL2 is valid then. (Level -1 is for tables of 52-bit addresses, which no cell has.)
    #[inline(always)]
    pub fn is_access(&self) -> bool {
        const FIELDS: u32 = DataAbort::new().with_valid(true).with_table_walk(true).with_status(0x3c).0;
        const WANTED: u32 = DataAbort::new().with_valid(true).with_status(0x04).0;
        self.0 & FIELDS == WANTED
    }
}

/// A fault status: two TLB entries for one address, the guest's own omission of break-before-make.
pub const TLB_CONFLICT: u8 = 0x30;

/// A fault status: alignment; at EL2 that of an access to what stage 2 maps as Device memory and stage 1 does not.
pub const ALIGNMENT: u8 = 0x21;

/// A fault status: an exclusive or atomic access to memory of a type that has none.
pub const EXCLUSIVE_OR_ATOMIC: u8 = 0x35;

/// The ISS of a trapped MSR, MRS or System instruction.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct Access {
    /// Direction: a read (MRS, SYSL).
    pub read: bool,
    #[bits(4)]
    crm: u8,
    /// Rt.
    #[bits(5)]
    pub register: u8,
    #[bits(4)]
    crn: u8,
    #[bits(3)]
    op1: u8,
    #[bits(3)]
    op2: u8,
    #[bits(2)]
    op0: u8,
    #[bits(10)]
    __: u16,
}

impl Access {
    /// Which register or instruction.
    #[inline(always)]
    pub fn sysreg(&self) -> Sysreg {
        Sysreg(self.0 & Sysreg::FIELDS)
    }

    /// Whether this writes `sysreg`. (All but Rt is compared, the direction too.)
    #[inline]
    pub fn writes(&self, sysreg: Sysreg) -> bool {
        self.with_register(0).0 == sysreg.0
    }
}

/// A System register or instruction: op0, op1, CRn, CRm and op2 where the ISS of an access has them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sysreg(u32);

impl Sysreg {
    const FIELDS: u32 = Sysreg::new(3, 7, 15, 15, 7).0;

    /// `S<op0>_<op1>_C<crn>_C<crm>_<op2>`.
    #[inline(always)]
    pub const fn new(op0: u8, op1: u8, crn: u8, crm: u8, op2: u8) -> Self {
        Self(Access::new().with_op0(op0).with_op1(op1).with_crn(crn).with_crm(crm).with_op2(op2).0)
    }

    /// CRm and op2, if this is S3_0_C0_CRm_op2, where the ID registers are.
    #[inline(always)]
    pub fn id_register(self) -> Option<(u8, u8)> {
        const VARIES: u32 = Sysreg::new(0, 0, 0, 15, 7).0;
        const NONE: Sysreg = Sysreg::new(3, 0, 0, 0, 0);
        let fields = Access(self.0);
        (Self(self.0 & !VARIES) == NONE).then_some((fields.crm(), fields.op2()))
    }
}

impl core::fmt::Debug for Sysreg {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let a = Access(self.0);
        write!(f, "S{}_{}_C{}_C{}_{}", a.op0(), a.op1(), a.crn(), a.crm(), a.op2())
    }
}

/// Why a synchronous exception was taken to EL2. What each carries is 32 bits, so that all of it travels in two registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syndrome {
    /// An HVC instruction of AArch64, by its immediate. ELR_EL2 is behind it.
    Hvc(u32),
    /// An SMC instruction of AArch64, by its immediate. ELR_EL2 is at it.
    Smc(u32),
    /// A System register or instruction of AArch64.
    Sysreg(Access),
    /// A data abort of the guest.
    DataAbort(DataAbort),
    /// Anything else, by its class (EC).
    Other(u32),
}

/// The class of an instruction abort of the guest, whose ISS is an [`InstructionAbort`].
pub const INSTRUCTION_ABORT: u32 = 0x20;

/// Decodes an ESR_EL2 value; every value decodes.
#[inline(always)]
pub fn decode(esr: u64) -> Syndrome {
    let esr = Esr(esr);
    let iss = esr.iss();
    match esr.class() {
        0x16 => Syndrome::Hvc(iss & 0xffff),
        0x17 => Syndrome::Smc(iss & 0xffff),
        0x18 => Syndrome::Sysreg(Access(iss)),
        // What stands above the ISS is above all its fields.
        0x24 => Syndrome::DataAbort(DataAbort(esr.0 as u32)),
        class => Syndrome::Other(u32::from(class)),
    }
}

/// The ISS of an ESR_EL2 value.
pub fn iss(esr: u64) -> u32 {
    Esr(esr).iss()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syndromes_seen_on_a_machine_decode() {
        assert_eq!(decode(0x5a00_0000), Syndrome::Hvc(0));
        assert_eq!(decode(0x5e00_1234), Syndrome::Smc(0x1234));
        assert_eq!(decode(0x8200_0005), Syndrome::Other(INSTRUCTION_ABORT));
        assert_eq!(InstructionAbort::from_bits(iss(0x8200_0005)).status(), 5);
        assert_eq!(decode(0x0200_0000), Syndrome::Other(0));
        // str w3, [x1]: ISV, SAS 2, SRT 3, WnR, translation fault of level 3.
        let Syndrome::DataAbort(abort) = decode(0x9383_0047) else { panic!() };
        assert_eq!((abort.valid(), abort.width(), abort.register()), (true, Width::Word, 3));
        assert!(abort.write() && !abort.sixty_four() && !abort.sign_extend() && !abort.table_walk());
        assert!(
            abort.is_access()
                && !abort.with_valid(false).is_access()
                && !abort.with_table_walk(true).is_access()
        );
        // mrs x5, id_aa64pfr0_el1
        let Syndrome::Sysreg(access) = decode(0x6230_00a9) else { panic!() };
        assert_eq!((access.read(), access.register()), (true, 5));
        assert_eq!(access.sysreg().id_register(), Some((4, 0)));
    }

    #[test]
    fn a_system_register_keeps_its_five_numbers() {
        // msr ICC_SGI1R_EL1, x2: S3_0_C12_C11_5 (the ISS as Linux writes it down).
        let iss = 3 << 20 | 5 << 17 | 12 << 10 | 2 << 5 | 11 << 1;
        let Syndrome::Sysreg(access) = decode(0x18 << 26 | iss) else { panic!() };
        assert_eq!(access.sysreg(), Sysreg::new(3, 0, 12, 11, 5));
        assert_eq!((access.register(), access.read()), (2, false));
        assert!(access.writes(Sysreg::new(3, 0, 12, 11, 5)) && !access.writes(Sysreg::new(3, 0, 12, 11, 7)));
        assert!(!access.with_read(true).writes(Sysreg::new(3, 0, 12, 11, 5)));
        assert_eq!(format!("{:?}", access.sysreg()), "S3_0_C12_C11_5");
        assert_eq!(Sysreg::new(3, 0, 0, 4, 1).id_register(), Some((4, 1)));
        for other in [Sysreg::new(3, 0, 1, 4, 1), Sysreg::new(3, 1, 0, 4, 1), Sysreg::new(2, 0, 0, 4, 1)] {
            assert_eq!(other.id_register(), None);
        }
    }

    #[test]
    fn the_faults_with_a_valid_hpfar() {
        let abort = |status| DataAbort::new().with_valid(true).with_status(status);
        let faults: Vec<u8> = (0..64).filter(|status| abort(*status).is_access()).collect();
        assert_eq!(faults, [4, 5, 6, 7]);
    }
}
