use super::*;
use crate::ports::Exit;

/// EL1's registers alone.
#[derive(Default)]
struct Regs {
    elr: u64,
    esr: u64,
    far: u64,
    sctlr: u64,
    spsr: u64,
    vbar: u64,
}

impl El1 for Regs {
    fn el1(&self, reg: El1Reg) -> u64 {
        match reg {
            El1Reg::Elr => self.elr,
            El1Reg::Esr => self.esr,
            El1Reg::Far => self.far,
            El1Reg::Sctlr => self.sctlr,
            El1Reg::Spsr => self.spsr,
            El1Reg::Vbar => self.vbar,
        }
    }
    fn set_el1(&mut self, reg: El1Reg, value: u64) {
        *match reg {
            El1Reg::Elr => &mut self.elr,
            El1Reg::Esr => &mut self.esr,
            El1Reg::Far => &mut self.far,
            El1Reg::Sctlr => &mut self.sctlr,
            El1Reg::Spsr => &mut self.spsr,
            El1Reg::Vbar => &mut self.vbar,
        } = value;
    }
    fn reset_vcpu(&mut self, _: &crate::vcpu::VcpuReset) {}
    fn id_register(&self, _: u8, _: u8) -> u64 {
        0
    }
}

/// FAR_EL2.
const FAR: u64 = 0x0900_0018;

impl World for Regs {
    fn enter(&mut self, _: &mut Frame) -> Exit {
        Exit::Sync
    }
    fn esr(&self) -> u64 {
        0
    }
    fn far(&self) -> u64 {
        FAR
    }
    fn hpfar(&self) -> u64 {
        0
    }
    fn is_false_report(&self) -> bool {
        false
    }
}

const SPAN: u64 = 1 << 23;
const EL0T: u64 = 0;
const EL0_A32: u64 = 0x10;

fn taken(spsr: u64, sctlr: u64, fault: GuestFault) -> (Regs, Frame) {
    let mut regs = Regs { vbar: 0xffff_8000_0001_0800, sctlr, far: 0xdead, ..Regs::default() };
    let mut frame = Frame { elr: 0x4008_0004, spsr, ..Frame::default() };
    inject(&mut regs, &mut frame, fault);
    (regs, frame)
}

#[test]
fn the_vector_follows_the_source() {
    for (spsr, offset) in [(EL0T, 0x400), (EL0_A32, 0x600), (0x3c4, 0x000), (0x3c5, 0x200)] {
        let (regs, frame) = taken(spsr, SPAN, GuestFault::Undefined);
        assert_eq!(frame.elr, 0xffff_8000_0001_0800 + offset, "from {spsr:#x}");
        assert_eq!((regs.elr, regs.spsr), (0x4008_0004, spsr));
        assert_eq!((regs.esr, regs.far), (0x0200_0000, 0xdead), "EC 0, IL; FAR is left alone");
    }
}

#[test]
fn the_syndrome_follows_fault_and_source() {
    for (spsr, fault, esr) in [
        (EL0T, GuestFault::DataAbort { write: false }, 0x9200_0010),
        (EL0T, GuestFault::DataAbort { write: true }, 0x9200_0050),
        (EL0_A32, GuestFault::DataAbort { write: true }, 0x9200_0050),
        (0x3c5, GuestFault::DataAbort { write: false }, 0x9600_0010),
        (0x3c4, GuestFault::DataAbort { write: true }, 0x9600_0050),
        (EL0T, GuestFault::InstructionAbort, 0x8200_0010),
        (0x3c5, GuestFault::InstructionAbort, 0x8600_0010),
    ] {
        let (regs, _) = taken(spsr, SPAN, fault);
        assert_eq!((regs.esr, regs.far), (esr, FAR), "{fault:?} from {spsr:#x}");
    }
}

#[test]
fn the_new_state_is_el1h_masked_with_pan_and_ssbs_as_sctlr_says() {
    const NZCV: u64 = 0xa << 28;
    const DIT: u64 = 1 << 24;
    const PAN: u64 = 1 << 22;
    // TCO, UAO, SS, IL, ALLINT, BTYPE: all gone afterwards.
    const GONE: u64 = 1 << 25 | 1 << 23 | 1 << 21 | 1 << 20 | 1 << 13 | 3 << 10;
    let after = |spsr, sctlr| taken(spsr, sctlr, GuestFault::Undefined).1.spsr;
    assert_eq!(after(NZCV | DIT | GONE | 5, SPAN), NZCV | DIT | 0x3c5);
    assert_eq!(after(5, 0), PAN | 0x3c5);
    assert_eq!(after(PAN | 5, SPAN), PAN | 0x3c5);
    assert_eq!(after(5, SPAN | 1 << 44), 1 << 12 | 0x3c5);
    assert_eq!(after(1 << 12 | 5, SPAN), 0x3c5, "SSBS comes from DSSBS, not from the old state");
}

#[test]
fn a_vector_base_at_the_top_wraps_as_addresses_do() {
    let mut regs = Regs { vbar: u64::MAX, ..Regs::default() };
    let mut frame = Frame::default();
    inject(&mut regs, &mut frame, GuestFault::Undefined);
    assert_eq!(frame.elr, 0xffff_ffff_ffff_fc00);
}

#[test]
fn an_instruction_that_was_emulated_has_been_stepped_and_was_no_branch() {
    let mut frame = Frame { elr: 0x4000_0000, spsr: 0xf << 28 | 1 << 21 | 3 << 10 | 5, ..Frame::default() };
    frame.skip();
    assert_eq!((frame.elr, frame.spsr), (0x4000_0004, 0xf << 28 | 5));
}
