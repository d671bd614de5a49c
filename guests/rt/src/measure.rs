//! Instruction counts, for the benchmark guest.
//!
//! Where one tick of CNTVCT_EL0 is one instruction (QEMU's icount with `cntfrq=1000000000`), the difference of two
//! reads is the number of instructions between them, at every exception level. A measured operation stands between
//! `mrs` and `isb; mrs`, so an empty one reads 2. Interrupts are measured to the first instruction of the vector: the
//! guest's own table is replaced by one that reads the count there.

use core::arch::{asm, global_asm};

use crate::asm::vectors;
use crate::gic::{self, PRIORITY};
use crate::psci::function;
use crate::regs::{self, write_reg};
use crate::timer::{Timer, count};

global_asm!(include_str!("measure.s"), vectors = sym vectors);

unsafe extern "C" {
    fn measuring_vectors();
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Nothing.
    Empty,
    /// PSCI_VERSION by HVC.
    HvcVersion,
    /// PSCI_VERSION by SMC.
    SmcVersion,
    /// A function that nobody knows, by HVC.
    UnknownCall,
    /// A read of GICD_TYPER.
    DistributorType,
    /// A write of 0 to GICD_ISENABLER1.
    DistributorEnable,
    /// A read of GICR_ISENABLER0.
    RedistributorEnable,
    /// A read of ID_AA64PFR0_EL1.
    IdRegister,
    /// The virtual timer's interrupt, from its compare value, while the guest runs.
    TimerBusy,
    /// The same while the guest is in WFI.
    TimerAsleep,
    /// An SGI to itself.
    SgiSelf,
    /// The acknowledge of an SGI that is pending.
    Acknowledge,
    /// Its end.
    End,
}

/// The SGI that is used.
const SGI: u32 = 1;
/// The time to a timer's compare value, in ticks: enough to get ready for it.
const AHEAD: u64 = 5_000;

macro_rules! between_counts {
    ($op:literal $(, $($operand:tt)*)?) => {{
        let (start, end): (u64, u64);
        // SAFETY: each operation below reads or writes one device or system register, or calls a function that touches
        // no memory of this program; what a call may change is named.
        unsafe {
            asm!(
                "isb", "mrs x20, cntvct_el0", $op, "isb", "mrs x21, cntvct_el0",
                out("x20") start, out("x21") end $(, $($operand)*)?
            );
        }
        end.wrapping_sub(start)
    }};
}

/// The end of an `asm!` that ends in the measuring vector: it is told in x11 where to go on, and leaves the count in x9.
macro_rules! until_vector {
    ($($line:literal),+ ; $($operand:tt)*) => {{
        let (start, end): (u64, u64);
        // SAFETY: the measuring vector is in place, ends the interrupt and comes back to label 3 with IRQs masked; it
        // changes x9 to x12 alone.
        unsafe {
            asm!(
                "adr x11, 3f", $($line,)+ "2:", "b 2b", "3:",
                out("x8") start, out("x9") end, out("x10") _, out("x11") _, out("x12") _, $($operand)*
            );
        }
        (start, end)
    }};
}

/// Puts the measuring vectors in place and enables what is measured. IRQs stay masked between measurements.
pub fn start() {
    regs::mask_interrupts();
    gic::enable(SGI);
    gic::set_priority(SGI, PRIORITY);
    gic::enable(Timer::Virtual.intid());
    write_reg!("vbar_el1", (measuring_vectors as *const ()).addr() as u64);
    regs::isb();
}

/// Measures an operation once, in ticks.
pub fn sample(operation: Operation) -> u64 {
    let distributor = gic::distributor().base();
    match operation {
        Operation::Empty => between_counts!(""),
        Operation::HvcVersion => call("hvc", function::VERSION),
        Operation::SmcVersion => call("smc", function::VERSION),
        Operation::UnknownCall => call("hvc", 0x8600_ff02),
        Operation::DistributorType => {
            between_counts!("ldr w23, [x22]", out("x23") _, in("x22") distributor + 4)
        }
        Operation::DistributorEnable => between_counts!("str wzr, [x22]", in("x22") distributor + 0x104),
        Operation::RedistributorEnable => {
            let block = gic::sgi_base(regs::cpu_index()).base();
            between_counts!("ldr w23, [x22]", out("x23") _, in("x22") block + 0x100)
        }
        Operation::IdRegister => between_counts!("mrs x23, id_aa64pfr0_el1", out("x23") _),
        Operation::TimerBusy => {
            let compare = count() + AHEAD;
            Timer::Virtual.start(compare);
            let (_, end) = until_vector!("mov x8, xzr", "msr daifclr, #2";);
            end.wrapping_sub(compare)
        }
        Operation::TimerAsleep => {
            let compare = count() + AHEAD;
            Timer::Virtual.start(compare);
            let (_, end) = until_vector!("mov x8, xzr", "msr daifclr, #2", "wfi";);
            end.wrapping_sub(compare)
        }
        Operation::SgiSelf => {
            let (start, end) = until_vector!(
                "msr daifclr, #2", "isb", "mrs x8, cntvct_el0", "msr icc_sgi1r_el1, x22";
                in("x22") sgi_to_self()
            );
            end.wrapping_sub(start)
        }
        Operation::Acknowledge => {
            pend();
            let taken: u64;
            let time = between_counts!("mrs x23, icc_iar1_el1", out("x23") taken);
            gic::end(taken as u32);
            time
        }
        Operation::End => {
            pend();
            let taken = u64::from(gic::acknowledge());
            between_counts!("msr icc_eoir1_el1, x22\nisb", in("x22") taken)
        }
    }
}

fn call(conduit: &str, function: u64) -> u64 {
    if conduit == "hvc" {
        between_counts!("hvc #0", inout("x0") function => _, clobber_abi("C"))
    } else {
        between_counts!("smc #0", inout("x0") function => _, clobber_abi("C"))
    }
}

/// ICC_SGI1R_EL1 for the SGI to this CPU.
fn sgi_to_self() -> u64 {
    let affinity = regs::affinity();
    let aff1 = affinity >> 8 & 0xff;
    let aff2 = affinity >> 16 & 0xff;
    let aff3 = affinity >> 32 & 0xff;
    1 << (affinity & 0xf) | aff1 << 16 | u64::from(SGI) << 24 | aff2 << 32 | aff3 << 48
}

/// Makes the SGI pending, and waits until it is signalled.
fn pend() {
    gic::send(SGI, regs::affinity());
    while !gic::is_signalled() {
        regs::relax();
    }
}
