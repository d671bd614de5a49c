//! What a GICv2 has in place of redistributors and System registers (IHI 0048B): banked registers, and an interface in memory.

use core::sync::atomic::{AtomicU8, Ordering};

use super::SPECIAL;
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

fn interface() -> Mmio {
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

/// GICD_SGIR.
pub(super) fn generate(filter: u32, list: u8, sgi: u32) {
    dsb_sy();
    super::distributor().write(SGIR, filter << 24 | u32::from(list) << 16 | sgi);
}

/// GICD_ITARGETSR of an SPI.
pub(super) fn targets(spi: u32) -> u8 {
    super::distributor().read8(ITARGETSR + u64::from(spi))
}

pub(super) fn set_targets(spi: u32, cpus: u8) {
    super::distributor().write8(ITARGETSR + u64::from(spi), cpus);
}
