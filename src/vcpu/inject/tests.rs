use std::collections::BTreeMap;

use super::*;
use crate::fake::{Board, Fake};
use crate::vcpu::skip;
use proptest::prelude::*;

/// Which features the CPU has.
#[derive(Clone, Copy, Default)]
struct Features {
    pan: bool,
    ssbs: bool,
    mte: bool,
    nmi: bool,
}

/// FAR_EL2.
const FAR: u64 = 0x0900_0018;

/// A CPU with these.
fn cpu(features: Features) -> Fake {
    let Features { pan, ssbs, mte, nmi } = features;
    let field = |has: bool, value: u64, bit: u32| if has { value << bit } else { 0 };
    let pfr1 = field(ssbs, 2, 4) | field(mte, 3, 8) | field(nmi, 1, 36);
    let mut cpu = Fake::new(&Board::new(1, 0), 0);
    cpu.ids.extend([((7, 1), field(pan, 2, 20)), ((4, 1), pfr1)]);
    cpu.far = FAR;
    cpu
}

const SPAN: u64 = 1 << 23;
const EL0T: u64 = 0;
const EL0_A32: u64 = 0x10;
const ELR: u64 = 0x4008_0004;

fn taken_by(features: Features, spsr: u64, sctlr: u64, fault: GuestFault) -> Fake {
    let mut regs = cpu(features);
    for (reg, value) in [
        (El1Reg::Vbar, 0xffff_8000_0001_0801),
        (El1Reg::Sctlr, sctlr),
        (El1Reg::Far, 0xdead),
        (El1Reg::Esr, 0xbad),
    ] {
        regs.set_el1(reg, value);
    }
    (regs.pc, regs.pstate) = (ELR, spsr);
    inject(&mut regs, fault);
    regs
}

fn taken(spsr: u64, sctlr: u64, fault: GuestFault) -> Fake {
    taken_by(Features { pan: true, ssbs: true, ..Features::default() }, spsr, sctlr, fault)
}

fn data(status: u8, write: bool) -> GuestFault {
    GuestFault::new().with_status(status).with_access(if write { Access::Store } else { Access::Load })
}

fn fetch(status: u8) -> GuestFault {
    GuestFault::new().with_status(status).with_access(Access::Fetch)
}

#[test]
fn the_vector_follows_the_source() {
    for (spsr, offset) in [(EL0T, 0x400), (EL0_A32, 0x600), (0x30, 0x600), (0x3c4, 0x000), (0x3c5, 0x200)] {
        let regs = taken(spsr, SPAN, GuestFault::UNDEFINED);
        assert_eq!(regs.pc, 0xffff_8000_0001_0800 + offset, "from {spsr:#x}");
        assert_eq!((regs.el1(El1Reg::Elr), regs.el1(El1Reg::Spsr)), (ELR, spsr));
        let told = (regs.el1(El1Reg::Esr), regs.el1(El1Reg::Far));
        assert_eq!(told, (0x0200_0000, 0xdead), "EC 0, IL; FAR is left alone");
    }
}

#[test]
fn the_syndrome_follows_fault_and_source() {
    let at = GuestFault::new().with_status(0x15).with_access(Access::Maintenance);
    for (spsr, fault, esr) in [
        (EL0T, data(0x10, false), 0x9200_0010),
        (EL0T, data(0x10, true), 0x9200_0050),
        (EL0_A32, data(0x10, true), 0x9200_0050),
        (0x3c5, data(0x10, false), 0x9600_0010),
        (0x3c4, data(0x10, true), 0x9600_0050),
        (0x3c5, data(0x16, false), 0x9600_0016),
        (0x3c5, data(0x21, true), 0x9600_0061),
        (0x3c5, at, 0x9600_0155),
        (EL0T, fetch(0x10), 0x8200_0010),
        (0x3c5, fetch(0x17), 0x8600_0017),
    ] {
        let regs = taken(spsr, SPAN, fault);
        assert_eq!((regs.el1(El1Reg::Esr), regs.el1(El1Reg::Far)), (esr, FAR), "{fault:?} from {spsr:#x}");
    }
}

#[test]
fn the_new_state_is_el1h_masked_with_pan_and_ssbs_as_sctlr_says() {
    const NZCV: u64 = 0xa << 28;
    const DIT: u64 = 1 << 24;
    const PAN: u64 = 1 << 22;
    // TCO, UAO, SS, IL, ALLINT, BTYPE: all gone afterwards.
    const GONE: u64 = 1 << 25 | 1 << 23 | 1 << 21 | 1 << 20 | 1 << 13 | 3 << 10;
    let after = |spsr, sctlr| taken(spsr, sctlr, GuestFault::UNDEFINED).pstate;
    assert_eq!(after(NZCV | DIT | GONE | 5, SPAN), NZCV | DIT | 0x3c5);
    assert_eq!(after(5, 0), PAN | 0x3c5);
    assert_eq!(after(PAN | 5, SPAN), PAN | 0x3c5);
    assert_eq!(after(5, SPAN | 1 << 44), 1 << 12 | 0x3c5);
    assert_eq!(after(1 << 12 | 5, SPAN), 0x3c5, "SSBS comes from DSSBS, not from the old state");
}

#[test]
fn a_cpu_with_tags_or_nmi_shows_them_in_the_new_state() {
    let after = |mte, nmi, sctlr| {
        taken_by(Features { mte, nmi, ..Features::default() }, 5, sctlr, GuestFault::UNDEFINED).pstate
    };
    assert_eq!(after(false, false, 0), 0x3c5, "no PAN either");
    assert_eq!(after(true, false, 0), 1 << 25 | 0x3c5);
    assert_eq!(after(false, true, 0), 1 << 13 | 0x3c5);
    assert_eq!(after(false, true, 1 << 62), 0x3c5);
}

#[test]
fn a_vector_base_at_the_top_wraps_as_addresses_do() {
    let mut regs = cpu(Features::default());
    regs.set_el1(El1Reg::Vbar, u64::MAX);
    inject(&mut regs, GuestFault::UNDEFINED);
    assert_eq!(regs.pc, 0xffff_ffff_ffff_fc00);
}

#[test]
fn an_instruction_that_was_emulated_has_been_stepped_and_was_no_branch() {
    let mut regs = cpu(Features::default());
    (regs.pc, regs.pstate) = (0x4000_0000, 0xf << 28 | 1 << 21 | 3 << 10 | 5);
    skip(&mut regs);
    assert_eq!((regs.pc, regs.pstate), (0x4000_0004, 0xf << 28 | 5));
}

/// PSTATE as the pseudo-code has it: a value for each field, by name.
type Fields = BTreeMap<&'static str, u64>;

/// SPSR's fields in AArch64 state (Arm ARM C5.2.19): name, lowest bit, bits.
const LAYOUT: [(&str, u32, u32); 17] = [
    ("SP", 0, 1),
    ("EL", 2, 2),
    ("nRW", 4, 1),
    ("F", 6, 1),
    ("I", 7, 1),
    ("A", 8, 1),
    ("D", 9, 1),
    ("BTYPE", 10, 2),
    ("SSBS", 12, 1),
    ("ALLINT", 13, 1),
    ("IL", 20, 1),
    ("SS", 21, 1),
    ("PAN", 22, 1),
    ("UAO", 23, 1),
    ("DIT", 24, 1),
    ("TCO", 25, 1),
    ("NZCV", 28, 4),
];

fn fields(spsr: u64) -> Fields {
    LAYOUT.iter().map(|(name, bit, bits)| (*name, spsr >> bit & ((1 << bits) - 1))).collect()
}

fn spsr(fields: &Fields) -> u64 {
    LAYOUT.iter().map(|(name, bit, _)| fields[name] << bit).sum()
}

/// AArch64.TakeException(EL1, ..), Arm ARM shared/exceptions/takeexception, of what a guest can see; its vector offset and PSTATE.
fn take_exception(cpu: Features, old: u64, sctlr: u64) -> (u64, Fields) {
    let mut pstate = fields(old);
    let from_aarch32 = pstate["nRW"] == 1;
    let offset = if from_aarch32 {
        0x600
    } else if pstate["EL"] < 1 {
        0x400
    } else if pstate["SP"] == 1 {
        0x200
    } else {
        0
    };
    pstate.extend([("EL", 1), ("nRW", 0), ("SP", 1), ("SS", 0), ("IL", 0), ("BTYPE", 0), ("UAO", 0)]);
    pstate.extend([("D", 1), ("A", 1), ("I", 1), ("F", 1)]);
    pstate.insert("ALLINT", u64::from(cpu.nmi && sctlr >> 62 & 1 == 0));
    if sctlr & SPAN == 0 {
        pstate.insert("PAN", 1);
    }
    if !cpu.pan {
        pstate.insert("PAN", 0);
    }
    pstate.insert("SSBS", if cpu.ssbs { sctlr >> 44 & 1 } else { 0 });
    pstate.insert("TCO", u64::from(cpu.mte));
    (offset, pstate)
}

proptest! {
    /// Against the pseudo-code, from every state a guest can be in.
    #[test]
    fn an_exception_is_taken_as_the_manual_has_it(
        random: u64,
        mode in prop::sample::select(vec![0u64, 4, 5, 0x10, 0x30]),
        sctlr: u64,
        features: [bool; 4],
        status in 0u8..64,
        [write, maintenance]: [bool; 2],
        kind in 0..3,
    ) {
        let old = random & 0xffff_ffc0 | mode;
        let [pan, ssbs, mte, nmi] = features;
        let has = Features { pan, ssbs, mte, nmi };
        let fault = match kind {
            0 => GuestFault::UNDEFINED,
            1 if maintenance => GuestFault::new().with_status(status).with_access(Access::Maintenance),
            1 => data(status, write),
            _ => fetch(status),
        };
        // A status of 0 (address size, level 0) is never told of a fetch: it stands for an undefined instruction.
        prop_assume!(kind != 2 || status != 0);
        let write = write || maintenance;
        let (offset, expected) = take_exception(has, old, sctlr);
        let regs = taken_by(has, old, sctlr, fault);
        prop_assert_eq!(regs.pstate, spsr(&expected));
        prop_assert_eq!(regs.pc, 0xffff_8000_0001_0800 + offset);
        prop_assert_eq!((regs.el1(El1Reg::Elr), regs.el1(El1Reg::Spsr)), (ELR, old));
        // ESR: EC, IL, then AArch64.FaultSyndrome.
        let lower = fields(old)["EL"] == 0;
        let bits = |value: bool, bit: u32| u64::from(value) << bit;
        let (class, iss) = match kind {
            0 => (0, 0),
            1 => (0x25 - u64::from(lower), u64::from(status) | bits(write, 6) | bits(maintenance, 8)),
            _ => (0x21 - u64::from(lower), u64::from(status)),
        };
        prop_assert_eq!(regs.el1(El1Reg::Esr), class << 26 | 1 << 25 | iss);
        prop_assert_eq!(regs.el1(El1Reg::Far), if kind == 0 { 0xdead } else { FAR });
    }
}
