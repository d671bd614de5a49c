//! The physical GIC's start, before any cell: all ours is Group 1, disabled and quiet.

use super::bank::{Bank, of_guest};
use super::offsets::{
    CTLR_ARE, CTLR_ENABLE_GRP1, CTLR_RWP, GICD_CTLR, GICD_ICENABLER_E, GICD_IROUTER, GICD_TYPER, GICR_CTLR,
    GICR_WAKER, ICACTIVER, ICENABLER, ICPENDR, IGROUPR, ISENABLER, ITARGETSR, RD_CTLR_ENABLE_LPIS,
    RD_CTLR_RWP, V2_CTLR_ENABLE, WAKER_CHILDREN_ASLEEP, WAKER_PROCESSOR_SLEEP,
};
use super::shared::{GicShared, OwnPpis, SgiPlan};
use crate::cpu::{Affinity, PcpuId, SgiTarget};
use crate::intid::Trigger;
use crate::ports::{GicRegisters, GicVersion, Width};
use crate::refusal::{Code, code};

/// What the GIC did not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GicError {
    /// GICD_CTLR.RWP stays set.
    #[error("the interrupt distributor does not finish a write (GICD_CTLR.RWP)")]
    DistributorBusy,
    /// GICD_CTLR.ARE stays clear.
    #[error("the interrupt distributor has no affinity routing (GICD_CTLR.ARE), as GICv3 must")]
    NoAffinityRouting,
    /// GICR_WAKER.ChildrenAsleep stays set.
    #[error("the redistributor of {0} does not wake (GICR_WAKER)")]
    Asleep(PcpuId),
    /// GICR_CTLR.RWP stays set.
    #[error("the redistributor of {0} does not finish a write (GICR_CTLR.RWP)")]
    RedistributorBusy(PcpuId),
    /// An interrupt that EL2 needs cannot be enabled at this CPU.
    #[error("firmware keeps INTID {1}, which the hypervisor needs, at {0}")]
    Kept(PcpuId, u32),
}

impl GicError {
    /// Its number.
    pub fn code(&self) -> Code {
        if matches!(self, Self::Kept(..)) { code::GIC_KEPT } else { code::GIC_STUCK }
    }
}

/// How often a register is read before hardware counts as stuck: some 0.1 s of device reads.
const READS: u32 = 1_000_000;
/// The priority of EL2's own interrupts: above all guests'.
const OWN_PRIORITY: u8 = 0;

/// Polls until `done`.
fn poll(mut done: impl FnMut() -> bool) -> bool {
    (0..READS).any(|_| done())
}

fn write_control(m: &mut impl GicRegisters, value: u32) -> Result<(), GicError> {
    m.gicd_write(GICD_CTLR, Width::Word, u64::from(value));
    let settled = poll(|| m.gicd_read(GICD_CTLR, Width::Word) as u32 & CTLR_RWP == 0);
    if settled { Ok(()) } else { Err(GicError::DistributorBusy) }
}

/// Once, on the first CPU: every SPI that is ours (all with DS=1, the Non-secure ones otherwise) in Group 1, disabled, not
/// pending, inactive; then affinity routing and Group 1 on (IHI 0069H 12.9.4; the bits used lie in the same place in both views).
pub fn init_distributor<M: GicRegisters>(m: &mut M) -> Result<(), GicError> {
    if m.version() == GicVersion::V2 {
        init_distributor_v2(m);
        return Ok(());
    }
    // ARE may change only while the groups are disabled, and never back.
    let before = m.gicd_read(GICD_CTLR, Width::Word) as u32;
    write_control(m, before & CTLR_ARE)?;
    write_control(m, CTLR_ARE)?;
    if m.gicd_read(GICD_CTLR, Width::Word) as u32 & CTLR_ARE == 0 {
        return Err(GicError::NoAffinityRouting);
    }
    let typer = m.gicd_read(GICD_TYPER, Width::Word) as u32;
    for word in 1..=(typer & 0x1f).min(31) {
        let bank = Bank::Spis(word);
        for register in [ICENABLER, IGROUPR] {
            bank.write(m, register, u32::MAX);
        }
        bank.settle(m);
        for register in [ICPENDR, ICACTIVER] {
            bank.write(m, register, u32::MAX);
        }
        bank.reset_priorities(m, u32::MAX, of_guest(0));
    }
    // Extended SPIs (GICD_TYPER.ESPI, ESPI_range) are nobody's.
    if typer >> 8 & 1 != 0 {
        for word in 0..=typer >> 27 {
            let at = GICD_ICENABLER_E.wrapping_add(word.wrapping_mul(4));
            m.gicd_write(at, Width::Word, u64::from(u32::MAX));
        }
    }
    write_control(m, CTLR_ARE | CTLR_ENABLE_GRP1)
}

/// The same for a GICv2. All is in the group that bit 0 of GICD_CTLR and GICC_CTLR enables: Group 0 where there is one Security
/// state; where there are two, firmware has given us Group 1, and IGROUPR is not ours to write (IHI 0048B 4.3.4).
fn init_distributor_v2(m: &mut impl GicRegisters) {
    m.gicd_write(GICD_CTLR, Width::Word, 0);
    let typer = m.gicd_read(GICD_TYPER, Width::Word) as u32;
    for word in 1..=(typer & 0x1f).min(31) {
        let bank = Bank::Spis(word);
        bank.write(m, ICENABLER, u32::MAX);
        m.gicd_write(IGROUPR.wrapping_add(word.wrapping_mul(4)), Width::Word, 0);
        for register in [ICPENDR, ICACTIVER] {
            bank.write(m, register, u32::MAX);
        }
        bank.reset_priorities(m, u32::MAX, of_guest(0));
    }
    m.gicd_write(GICD_CTLR, Width::Word, u64::from(V2_CTLR_ENABLE));
}

/// The console's interrupt: before all of guests', to one CPU, enabled.
pub fn enable_console<M: GicRegisters>(
    m: &mut M,
    shared: &GicShared,
    trigger: Trigger,
    cpu: PcpuId,
    to: Affinity,
) {
    let Some(spi) = shared.console else { return };
    let (intid, bank) = (spi.intid(), Bank::Spis(spi.intid() / 32));
    {
        let _lock = shared.gicd.lock();
        let field = 2 << (intid % 16).wrapping_mul(2);
        let others = bank.config(m, intid / 16) & !field;
        bank.set_config(m, intid / 16, if trigger == Trigger::Edge { others | field } else { others });
    }
    bank.set_priority(m, intid, OWN_PRIORITY);
    if m.version() == GicVersion::V2 {
        let interface = shared.target(cpu).map_or(0, SgiTarget::interfaces);
        m.gicd_write(ITARGETSR.wrapping_add(intid), Width::Byte, u64::from(interface));
    } else {
        m.gicd_write(GICD_IROUTER.wrapping_add(intid.wrapping_mul(8)), Width::Double, to.get());
    }
    for register in [ICPENDR, ICACTIVER, ISENABLER] {
        bank.write(m, register, 1 << (intid % 32));
    }
}

/// Each CPU's redistributor: awake, its SGIs and PPIs in Group 1, quiet and disabled but for EL2's own, which come
/// before all others. In a GICv2, by each CPU for itself.
pub fn init_redistributor<M: GicRegisters>(
    m: &mut M,
    cpu: PcpuId,
    sgi: &SgiPlan,
    own: OwnPpis,
) -> Result<(), GicError> {
    let bank = Bank::Private(cpu);
    match m.version() {
        GicVersion::V2 => {
            bank.write(m, ICENABLER, u32::MAX);
            // As in `init_distributor_v2`.
            m.gicd_write(IGROUPR, Width::Word, 0);
        }
        GicVersion::V3 => wake(m, cpu, bank)?,
    }
    for register in [ICPENDR, ICACTIVER] {
        bank.write(m, register, u32::MAX);
    }
    bank.reset_priorities(m, u32::MAX, of_guest(0));
    for intid in [sgi.kick.intid(), own.maintenance.intid(), own.alarm.intid()] {
        bank.set_priority(m, intid, OWN_PRIORITY);
        bank.write(m, ISENABLER, 1 << intid);
        if bank.read(m, ISENABLER) >> intid & 1 == 0 {
            return Err(GicError::Kept(cpu, intid));
        }
    }
    Ok(())
}

/// A redistributor, awake, with all of its interrupts disabled and in Group 1.
fn wake(m: &mut impl GicRegisters, cpu: PcpuId, bank: Bank) -> Result<(), GicError> {
    let waker = m.gicr_read(cpu, GICR_WAKER, Width::Word) & !u64::from(WAKER_PROCESSOR_SLEEP);
    m.gicr_write(cpu, GICR_WAKER, Width::Word, waker);
    if !poll(|| m.gicr_read(cpu, GICR_WAKER, Width::Word) as u32 & WAKER_CHILDREN_ASLEEP == 0) {
        return Err(GicError::Asleep(cpu));
    }
    // LPIs that whoever booted us left on are nobody's.
    let control = m.gicr_read(cpu, GICR_CTLR, Width::Word);
    if control as u32 & RD_CTLR_ENABLE_LPIS != 0 {
        m.gicr_write(cpu, GICR_CTLR, Width::Word, control & !u64::from(RD_CTLR_ENABLE_LPIS));
    }
    // The two words after ICENABLER0 are those of extended PPIs, or reserved.
    for register in [ICENABLER, ICENABLER + 4, ICENABLER + 8, IGROUPR] {
        bank.write(m, register, u32::MAX);
    }
    let settled = poll(|| m.gicr_read(cpu, GICR_CTLR, Width::Word) as u32 & RD_CTLR_RWP == 0);
    if settled { Ok(()) } else { Err(GicError::RedistributorBusy(cpu)) }
}
