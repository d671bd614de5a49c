//! The GIC as a guest drives it: distributor, redistributor and CPU interface, Group 1 only (GICv3, IHI 0069H); or a GICv2
//! (IHI 0048B), whose one group stands for it, and which has in the distributor what would be a redistributor's.

use crate::mmio::Mmio;
use crate::regs::{isb, write_reg};
use crate::tree::{Span, board};
use crate::{exception, read_reg, regs};

mod interface;
pub mod memory;

pub use interface::*;
pub use memory::{is_v2, sender};

/// The registers of the distributor, and at `SGI_BASE` of a redistributor, that exist for every INTID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// IGROUPR.
    Group = 0x080,
    /// ISENABLER.
    SetEnable = 0x100,
    /// ICENABLER.
    ClearEnable = 0x180,
    /// ISPENDR.
    SetPending = 0x200,
    /// ICPENDR.
    ClearPending = 0x280,
    /// ISACTIVER.
    SetActive = 0x300,
    /// ICACTIVER.
    ClearActive = 0x380,
}

/// The priority that every interrupt starts with here.
pub const PRIORITY: u8 = 0xa0;

const CTLR: u64 = 0x0000;
const TYPER: u64 = 0x0004;
const IPRIORITYR: u64 = 0x0400;
const ICFGR: u64 = 0x0c00;
const IROUTER: u64 = 0x6000;
const CTLR_ENABLE: u32 = 1 << 4 | 1 << 1;
const CTLR_RWP: u32 = 1 << 31;
const GICR_CTLR: u64 = 0x0000;
const GICR_TYPER: u64 = 0x0008;
const GICR_WAKER: u64 = 0x0014;
const SGI_BASE: u64 = 0x1_0000;
const FRAMES: u64 = 0x2_0000;

/// The distributor's registers.
pub fn distributor() -> Mmio {
    match board().gicd {
        Some(span) => Mmio::new(span.base),
        None => exception::stop("the device tree has no interrupt controller"),
    }
}

/// The addresses of the redistributors, by GICR_TYPER.Last, at most `limit`.
pub fn redistributors() -> impl Iterator<Item = Mmio> {
    board().gicr.iter().flat_map(|region| walk(*region))
}

fn walk(region: Span) -> impl Iterator<Item = Mmio> {
    let mut next = Some(region.base);
    core::iter::from_fn(move || {
        let at = next.filter(|at| region.contains(*at))?;
        let frame = Mmio::new(at);
        let typer = frame.read64(GICR_TYPER);
        let wide = if typer & 1 << 1 != 0 { 2 * FRAMES } else { FRAMES };
        let last = typer & 1 << 4 != 0;
        next = (!last).then_some(at + board().gicr_stride.unwrap_or(wide));
        Some(frame)
    })
}

/// GICR_TYPER of a redistributor.
pub fn redistributor_type(frame: Mmio) -> u64 {
    frame.read64(GICR_TYPER)
}

/// The redistributor of a CPU.
pub fn redistributor(cpu: usize) -> Mmio {
    let affinity = board().cpus.get(cpu).copied().unwrap_or(u64::MAX);
    let packed = affinity & 0xff_ffff | (affinity >> 32 & 0xff) << 24;
    match redistributors().find(|f| redistributor_type(*f) >> 32 == packed) {
        Some(frame) => frame,
        None => exception::stop("no redistributor has this CPU's affinity"),
    }
}

/// The block and word where an INTID of this CPU's has its bit.
fn word(intid: u32) -> (Mmio, u64) {
    if intid < 32 { (sgi_base(regs::cpu_index()), 0) } else { (distributor(), u64::from(intid / 32) * 4) }
}

/// A CPU's SGI and PPI registers, laid out as the distributor's. Those of a GICv2 are always the own ones.
pub fn sgi_base(cpu: usize) -> Mmio {
    if is_v2() {
        return distributor();
    }
    Mmio::new(redistributor(cpu).base() + SGI_BASE)
}

/// Writes one INTID's bit to a set or clear register. SGIs of a GICv2 are pending by their senders: by this CPU, or by none any more.
pub fn set(bits: Bits, intid: u32) {
    match bits {
        Bits::SetPending if intid < 16 && is_v2() => {
            return memory::set_pending_senders(intid, 1 << regs::cpu_index(), true);
        }
        Bits::ClearPending if intid < 16 && is_v2() => {
            return memory::set_pending_senders(intid, u8::MAX, false);
        }
        _ => {}
    }
    let (block, word) = word(intid);
    block.write(bits as u64 + word, 1 << (intid % 32));
}

/// One INTID's bit.
pub fn get(bits: Bits, intid: u32) -> bool {
    let (block, word) = word(intid);
    block.read(bits as u64 + word) >> (intid % 32) & 1 == 1
}

/// Enables an interrupt.
pub fn enable(intid: u32) {
    set(Bits::SetEnable, intid);
}

/// Disables an interrupt and waits until that holds (RWP).
pub fn disable(intid: u32) {
    set(Bits::ClearEnable, intid);
    wait_for_writes(intid);
}

fn wait_for_writes(intid: u32) {
    if is_v2() {
        return;
    }
    if intid < 32 {
        let frame = redistributor(regs::cpu_index());
        while frame.read(GICR_CTLR) & 1 << 3 != 0 {}
    } else {
        while distributor().read(CTLR) & CTLR_RWP != 0 {}
    }
}

/// Sets an interrupt's priority.
pub fn set_priority(intid: u32, priority: u8) {
    word(intid).0.write8(IPRIORITYR + u64::from(intid), priority);
}

/// An interrupt's priority.
pub fn priority(intid: u32) -> u8 {
    word(intid).0.read8(IPRIORITYR + u64::from(intid))
}

/// Sets an SPI or PPI to be edge triggered, or level.
pub fn set_edge(intid: u32, edge: bool) {
    let block = word(intid).0;
    let at = ICFGR + u64::from(intid / 16) * 4;
    let bit = 2 << (intid % 16 * 2);
    let others = block.read(at) & !bit;
    block.write(at, if edge { others | bit } else { others });
}

/// Whether an interrupt is edge triggered.
pub fn is_edge(intid: u32) -> bool {
    word(intid).0.read(ICFGR + u64::from(intid / 16) * 4) >> (intid % 16 * 2) & 2 != 0
}

/// Routes an SPI to an affinity. With a GICv2 only vCPU n has affinity n.
pub fn set_route(spi: u32, affinity: u64) {
    if is_v2() {
        return memory::set_targets(spi, 1u8.checked_shl(affinity.min(8) as u32).unwrap_or(0));
    }
    distributor().write64(IROUTER + 8 * u64::from(spi), affinity);
}

/// Where an SPI is routed.
pub fn route(spi: u32) -> u64 {
    if is_v2() {
        // Where there is one CPU, all go to it and the register reads as zero.
        return u64::from(memory::targets(spi).checked_ilog2().unwrap_or(0));
    }
    distributor().read64(IROUTER + 8 * u64::from(spi))
}

/// GICD_TYPER.
pub fn distributor_type() -> u32 {
    distributor().read(TYPER)
}

/// GICD_CTLR.
pub fn control() -> u32 {
    distributor().read(CTLR)
}

/// Whether the distributor hands out Group 1, or what a GICv2 has.
pub fn is_group1_enabled() -> bool {
    control() & if is_v2() { 1 } else { 1 << 1 } != 0
}

/// Enables or disables Group 1 at the distributor; ARE stays on.
pub fn enable_group1(on: bool) {
    let value = match (on, is_v2()) {
        (true, true) => 1,
        (false, true) => 0,
        (true, false) => CTLR_ENABLE,
        (false, false) => 1 << 4,
    };
    distributor().write(CTLR, value);
    wait_for_writes(32);
}

pub(crate) fn start_distributor() {
    let block = distributor();
    enable_group1(false);
    for spi in &board().spis {
        disable(spi.intid);
        set(Bits::ClearPending, spi.intid);
        set(Bits::ClearActive, spi.intid);
        set_priority(spi.intid, PRIORITY);
        set_edge(spi.intid, !spi.level);
        set_route(spi.intid, regs::affinity());
        if !is_v2() {
            let group = Bits::Group as u64 + u64::from(spi.intid / 32) * 4;
            block.write(group, block.read(group) | 1 << (spi.intid % 32));
        }
    }
    enable_group1(true);
}

pub(crate) fn start_cpu(cpu: usize) {
    if !is_v2() {
        let frame = redistributor(cpu);
        frame.write(GICR_WAKER, frame.read(GICR_WAKER) & !(1 << 1));
        while frame.read(GICR_WAKER) & 1 << 2 != 0 {}
    }
    let block = sgi_base(cpu);
    if is_v2() {
        memory::find();
        (0..16).for_each(|sgi| set(Bits::ClearPending, sgi));
    }
    block.write(Bits::ClearEnable as u64, !0);
    block.write(Bits::ClearPending as u64, !0);
    block.write(Bits::ClearActive as u64, !0);
    if !is_v2() {
        block.write(Bits::Group as u64, !0);
    }
    for intid in 0..32 {
        set_priority(intid, PRIORITY);
    }
    wait_for_writes(0);
    if !is_v2() {
        write_reg!("icc_sre_el1", read_reg!("icc_sre_el1") | 1);
        isb();
    }
    set_priority_mask(0xff);
    set_binary_point(0);
    set_split_eoi(false);
    set_group1(true);
}
