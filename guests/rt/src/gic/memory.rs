//! What a GICv2 has in place of redistributors and System registers (IHI 0048B): banked registers, and an interface in memory.

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use super::{Bits, SPECIAL};
use crate::mmio::Mmio;
use crate::regs::{cpu_index, dsb_sy};
use crate::tree::board;
use crate::{MAX_CPUS, exception};

/// Registers of the CPU interface.
#[derive(Clone, Copy)]
pub(super) enum Gicc {
    Ctlr = 0x00,
    Pmr = 0x04,
    Bpr = 0x08,
    Iar = 0x0c,
    Eoir = 0x10,
    Rpr = 0x14,
    Hppir = 0x18,
    Dir = 0x1000,
}

/// GICC_CTLR: the only group's enable.
pub(super) const ENABLE: u32 = 1 << 0;
/// GICC_CTLR.EOImode.
pub(super) const EOI_MODE: u32 = 1 << 9;
const SGIR: u64 = 0xf00;
const CPENDSGIR: u64 = 0xf10;
const SPENDSGIR: u64 = 0xf20;
const ITARGETSR: u64 = 0x800;

/// Who sent the SGI of each number that each CPU acknowledged last: its end must say so too.
static SENDERS: [[AtomicU8; 16]; MAX_CPUS] = [const { [const { AtomicU8::new(0) }; 16] }; MAX_CPUS];

/// Whether the tree has a GICv2.
pub fn is_v2() -> bool {
    board().gicc.is_some()
}

pub(super) fn read(register: Gicc) -> u32 {
    interface().read(register as u64)
}

pub(super) fn write(register: Gicc, value: u32) {
    interface().write(register as u64, value);
    dsb_sy();
}

/// The registers of the CPU interface, of which this runtime's own functions are the common ones.
pub fn interface() -> Mmio {
    match board().gicc {
        Some(span) => Mmio::new(span.base),
        None => exception::stop("the device tree has no CPU interface"),
    }
}

fn sender_of(sgi: u32) -> Option<&'static AtomicU8> {
    SENDERS.get(cpu_index())?.get(sgi as usize)
}

/// The CPU that sent the SGI of this number which this one acknowledged last.
pub fn sender(sgi: u32) -> usize {
    sender_of(sgi).map_or(0, |place| usize::from(place.load(Ordering::Relaxed)))
}

pub(super) fn acknowledge() -> u32 {
    let iar = read(Gicc::Iar);
    dsb_sy();
    let intid = iar & 0x3ff;
    if intid < SPECIAL
        && let Some(place) = sender_of(intid)
    {
        place.store((iar >> 10 & 7) as u8, Ordering::Relaxed);
    }
    intid
}

/// What GICC_EOIR and GICC_DIR want of an INTID that was acknowledged.
pub(super) fn whole(intid: u32) -> u32 {
    if intid < 16 { intid | (sender(intid) as u32) << 10 } else { intid }
}

/// GICD_SGIR: to those of the list, to all others, or to this CPU, by the filter.
pub fn generate(filter: u32, list: u8, sgi: u32) {
    dsb_sy();
    super::distributor().write(SGIR, filter << 24 | u32::from(list) << 16 | sgi);
}

/// GICD_ITARGETSR of an interrupt: a bit for each CPU; of a private one those of the CPU that asks.
pub fn targets(intid: u32) -> u8 {
    super::distributor().read8(ITARGETSR + u64::from(intid))
}

/// Sets it.
pub fn set_targets(intid: u32, cpus: u8) {
    super::distributor().write8(ITARGETSR + u64::from(intid), cpus);
}

/// By which CPUs an SGI is pending here, a bit each (GICD_SPENDSGIR).
pub fn pending_senders(sgi: u32) -> u8 {
    super::distributor().read8(SPENDSGIR + u64::from(sgi))
}

/// Makes it pending here by these, or by these no more (GICD_CPENDSGIR).
pub fn set_pending_senders(sgi: u32, senders: u8, pending: bool) {
    super::distributor().write8(if pending { SPENDSGIR } else { CPENDSGIR } + u64::from(sgi), senders);
}

/// The private interrupts that each CPU found enabled, pending or active when it started last, a bit each; the SGIs of a GIC-400
/// are always enabled.
static FOUND: [[AtomicU32; 3]; MAX_CPUS] = [const { [const { AtomicU32::new(0) }; 3] }; MAX_CPUS];

/// Looks at them, before anything changes them.
pub(super) fn find() {
    let states = [Bits::SetEnable, Bits::SetPending, Bits::SetActive];
    for (place, bits) in FOUND.get(cpu_index()).into_iter().flatten().zip(states) {
        place.store(super::distributor().read(bits as u64), Ordering::Relaxed);
    }
}

/// What a CPU's private interrupts were when it started last: enabled, pending, active, a bit each.
pub fn found(cpu: usize) -> [u32; 3] {
    FOUND.get(cpu).map_or([0; 3], |places| places.each_ref().map(|place| place.load(Ordering::Relaxed)))
}
