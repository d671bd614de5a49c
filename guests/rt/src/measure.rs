//! Instruction counts, for the benchmark guest.
//!
//! Where one tick of CNTVCT_EL0 is one instruction (QEMU's icount with `cntfrq=1000000000`), the difference of two
//! reads is the number of instructions between them, at every exception level. A measured operation stands between
//! `mrs` and `isb; mrs`, so an empty one reads 2. Interrupts are measured to the first instruction of the vector: the
//! guest's own table is replaced by one that reads the count there.

use core::arch::{asm, global_asm};
use core::sync::atomic::AtomicU32;

use crate::asm::vectors;
use crate::gic::{self, PRIORITY};
use crate::psci::function;
use crate::regs::{self, write_reg};
use crate::timer::{Timer, count};
use crate::tree::board;

mod pair;

pub use pair::{Pair, PairOperation, cpu_on};

global_asm!(include_str!("measure.s"), vectors = sym vectors);

unsafe extern "C" {
    fn measuring_vectors();
    fn faulting_vectors();
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
    /// A read of the console's flags (UARTFR).
    UartRead,
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
    /// The transmit interrupt of a PL011 that is not the console, from the write that lets it through.
    Device,
    /// An external abort, from the load of nothing.
    Fault,
}

/// Where nothing is, on the machines that this runs on: neither memory nor a device of the tree.
const NOTHING: u64 = 0x0b00_0000;
/// What a vector clears when no device calls.
static SILENT: AtomicU32 = AtomicU32::new(0);

/// The address of [`SILENT`].
fn silent() -> u64 {
    SILENT.as_ptr().addr() as u64
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

/// The end of an `asm!` that ends in the measuring vector: it is told in x11 where to go on and in x13 what to clear, and leaves
/// the count in x9.
macro_rules! until_vector {
    ($silence:expr; $($line:literal),+ ; $($operand:tt)*) => {{
        let (start, end): (u64, u64);
        // SAFETY: the measuring vector is in place, ends the interrupt and comes back to label 3 with IRQs masked; it
        // changes x9 to x12 alone, and clears a device's register or `SILENT`.
        unsafe {
            core::arch::asm!(
                "adr x11, 3f", $($line,)+ "2:", "wfi", "b 2b", "3:",
                out("x8") start, inout("x9") 0u64 => end, out("x10") _, out("x11") _, out("x12") _,
                in("x13") $silence, $($operand)*
            );
        }
        (start, end)
    }};
}
use until_vector;

/// Puts the measuring vectors in place and enables what is measured. IRQs stay masked between measurements.
pub fn start() {
    regs::mask_interrupts();
    gic::enable(SGI);
    gic::set_priority(SGI, PRIORITY);
    gic::enable(Timer::Virtual.intid());
    write_reg!("vbar_el1", (measuring_vectors as *const ()).addr() as u64);
    regs::isb();
}

/// Whether this machine has what an operation needs.
pub fn is_possible(operation: Operation) -> bool {
    match operation {
        Operation::UartRead => board().console.is_some(),
        Operation::Device => device().is_some(),
        _ => true,
    }
}

/// The registers and the interrupt of a PL011 that is not the console.
fn device() -> Option<(u64, u32)> {
    let console = board().console.map(|console| console.base);
    let other = board().uarts.iter().find(|uart| Some(uart.base) != console)?;
    Some((other.base, other.intid?))
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
            let (_, end) = until_vector!(silent(); "mov x8, xzr", "msr daifclr, #2", "4:", "b 4b";);
            end.wrapping_sub(compare)
        }
        Operation::TimerAsleep => {
            let compare = count() + AHEAD;
            Timer::Virtual.start(compare);
            let (_, end) = until_vector!(silent(); "mov x8, xzr", "msr daifclr, #2", "wfi";);
            end.wrapping_sub(compare)
        }
        Operation::SgiSelf => {
            let (start, end) = until_vector!(
                silent();
                "msr daifclr, #2", "isb", "mrs x8, cntvct_el0", "msr icc_sgi1r_el1, x22", "4:", "b 4b";
                in("x22") sgi_to(SGI, regs::affinity())
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
        Operation::UartRead => {
            let flags = board().console.map_or(0, |console| console.base) + uart::FR;
            between_counts!("ldr w23, [x22]", out("x23") _, in("x22") flags)
        }
        Operation::Device => device().map_or(0, device_interrupt),
        Operation::Fault => fault(),
    }
}

/// Registers of a PL011 (DDI 0183G 3.2).
mod uart {
    pub const DR: u64 = 0x00;
    pub const FR: u64 = 0x18;
    pub const LCRH: u64 = 0x2c;
    pub const CR: u64 = 0x30;
    pub const IMSC: u64 = 0x38;
    pub const ICR: u64 = 0x44;
    pub const TX: u32 = 1 << 5;
}

fn device_interrupt((base, intid): (u64, u32)) -> u64 {
    let device = crate::mmio::Mmio::new(base);
    gic::set_priority(intid, PRIORITY);
    gic::enable(intid);
    device.write(uart::LCRH, 0b111 << 4);
    device.write(uart::CR, 1 | 1 << 8);
    // A byte that is out raises the transmit interrupt, which waits at the mask.
    device.write(uart::DR, 0);
    while device.read(uart::FR) & 1 << 3 != 0 {
        regs::relax();
    }
    let (start, end) = until_vector!(
        base + uart::IMSC;
        "msr daifclr, #2", "isb", "mrs x8, cntvct_el0", "str w23, [x22]", "4:", "b 4b";
        in("x22") base + uart::IMSC, in("x23") uart::TX
    );
    device.write(uart::ICR, 0x7ff);
    // A level that was gone before the interrupt ended may have been taken for another.
    while gic::is_signalled() {
        gic::end(gic::acknowledge());
    }
    end.wrapping_sub(start)
}

fn fault() -> u64 {
    write_reg!("vbar_el1", (faulting_vectors as *const ()).addr() as u64);
    regs::isb();
    let (start, end): (u64, u64);
    // SAFETY: nothing is where the load is from; the vector comes back to label 3 and changes x9 alone.
    unsafe {
        asm!(
            "adr x11, 3f", "isb", "mrs x8, cntvct_el0", "ldr w10, [x22]", "3:",
            out("x8") start, inout("x9") 0u64 => end, out("x10") _, out("x11") _, in("x22") NOTHING
        );
    }
    write_reg!("vbar_el1", (measuring_vectors as *const ()).addr() as u64);
    regs::isb();
    end.wrapping_sub(start)
}

fn call(conduit: &str, function: u64) -> u64 {
    if conduit == "hvc" {
        between_counts!("hvc #0", inout("x0") function => _, clobber_abi("C"))
    } else {
        between_counts!("smc #0", inout("x0") function => _, clobber_abi("C"))
    }
}

/// ICC_SGI1R_EL1 for an SGI to the CPU with this affinity.
fn sgi_to(sgi: u32, affinity: u64) -> u64 {
    let aff1 = affinity >> 8 & 0xff;
    let aff2 = affinity >> 16 & 0xff;
    let aff3 = affinity >> 32 & 0xff;
    1 << (affinity & 0xf) | aff1 << 16 | u64::from(sgi) << 24 | aff2 << 32 | aff3 << 48
}

/// Makes the SGI pending, and waits until it is signalled.
fn pend() {
    gic::send(SGI, regs::affinity());
    while !gic::is_signalled() {
        regs::relax();
    }
}
