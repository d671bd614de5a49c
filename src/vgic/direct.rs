//! Cells with `interrupt-mode = "direct"`: while such a vCPU runs, its guest has the CPU's physical interface, and takes its
//! interrupts without an exit. What still traps: SGIs, which are filtered as any cell's, and the registers that the interface
//! virtualises although the guest needs the physical ones (ICH_HCR_EL2.TC).
//!
//! EL2 gets no interrupt from such a CPU meanwhile, so its own private ones are disabled there, and its shared ones go elsewhere.
//! To take the CPU back, [`crate::cell::Cell`] takes its stage 2 away and sends the kick: the guest faults at what it does next, or, if
//! it waits, EL2 does so in its place ([`crate::ports::LentInterface::wait_for_guest`]) and hears it.
//!
//! What a guest may notice, beside what [`super`] has:
//! - Priorities from 0 to 0x1f become 0x20: the first two of the 16 levels stay above every mask that the guest can set.
//! - The SGI that is EL2's kick, and those that firmware keeps, are not there: they read as zero and ignore writes.
//! - GICD_CTLR's enables read as written and hold nothing back; ICC_IGRPEN1_EL1 does.
//! - ICC_CTLR_EL1.CBPR is 0 for good.
//! - The line of a virtual device is looked at when the device changes or is accessed, not when its interrupt ends.

use alloc::sync::Arc;

use arrayvec::ArrayVec;

use super::bank::Bank;
use super::offsets::{ICENABLER, ICPENDR, ISENABLER, ISPENDR};
use super::shared::{Ear, GicShared};
use super::spi::Wire;
use super::{CellGic, GicPorts};
use crate::cpu::PcpuId;
use crate::intid::Spi;
use crate::ports::{CommonReg, GicRegisters, GicVersion};

/// ICH_HCR_EL2.TC.
const HCR_TC: u32 = 1 << 10;
/// The highest priority of a guest's interrupt. EL2's kick has 0; between the two lies the mask behind which EL2 waits for a guest
/// that masks everything.
const GUEST_HIGHEST: u8 = 0x20;

/// A guest's priority as the physical GIC has it, and as the guest reads it back.
pub(super) fn of_guest(written: u8) -> u8 {
    written.max(GUEST_HIGHEST)
}

/// What a direct cell's GIC has beside the others'.
#[derive(Debug)]
pub(super) struct Direct {
    /// EL2's own private interrupts, a bit each.
    own: u32,
    /// EL2's kick among them.
    kick: u32,
    /// [`GicShared::ears`].
    ears: Arc<[Ear]>,
    /// The SPIs of its virtual devices, which no hardware raises.
    lines: ArrayVec<(Spi, Arc<Wire>), 2>,
    /// Held while a line is brought to the distributor, so that who saw it last has the last word. Innermost.
    driving: spin::Mutex<()>,
}

impl Direct {
    pub(super) fn new(shared: &GicShared) -> Self {
        let own = [shared.sgi.kick.intid(), shared.ppis.maintenance.intid(), shared.ppis.alarm.intid()];
        let own = own.into_iter().fold(0, |own, intid| own | 1 << (intid & 31));
        let kick = 1 << (shared.sgi.kick.intid() & 31);
        Self { own, kick, ears: shared.ears.clone(), lines: ArrayVec::new(), driving: spin::Mutex::new(()) }
    }

    pub(super) fn add(&mut self, spi: Spi, wire: Arc<Wire>) {
        // A UART and a watchdog: there are no more.
        let _ = self.lines.try_push((spi, wire));
    }

    /// The guest gets this CPU's interface.
    pub(super) fn lend<M: GicPorts>(&self, m: &mut M, cpu: PcpuId) {
        let bank = Bank::Private(cpu);
        if m.version() == GicVersion::V2 {
            self.stop_ears(m, cpu);
        }
        bank.write(m, ICENABLER, self.own);
        bank.settle(m);
        m.set_ich_hcr(HCR_TC);
        m.lend();
    }

    /// EL2 has it again.
    pub(super) fn take_back(&self, m: &mut impl GicPorts, cpu: PcpuId) {
        m.take_back();
        if let Some(ear) = self.ears.get(cpu.index()) {
            ear.open();
        }
        Bank::Private(cpu).write(m, ISENABLER, self.own);
    }

    /// No kick comes to this CPU of a GICv2 any more, and none is pending.
    fn stop_ears(&self, m: &mut impl GicPorts, cpu: PcpuId) {
        if let Some(ear) = self.ears.get(cpu.index()) {
            ear.close(|| Bank::Private(cpu).write(m, ICPENDR, self.kick));
        }
    }
}

impl CellGic {
    /// EL2's kick reaches a CPU that this cell may have. For a CPU whose guest cannot go on.
    pub fn listen<M: GicRegisters>(&self, m: &mut M, shared: &GicShared, cpu: PcpuId) {
        if m.version() == GicVersion::V2 {
            // It is enabled while that CPU waits, and that CPU alone can reach where.
            if let Some(ear) = shared.ears.get(cpu.index()) {
                ear.open();
            }
        } else if self.is_direct() {
            Bank::Private(cpu).write(m, ISENABLER, 1 << (shared.sgi.kick.intid() & 31));
        }
    }

    /// Waits in the place of the guest of this CPU, unless `busy` says that something is asked of the CPU.
    #[inline(always)]
    pub fn wait<M: GicPorts>(&self, m: &mut M, cpu: PcpuId, busy: impl Fn() -> bool) {
        if m.version() == GicVersion::V3 {
            if !busy() {
                m.wait_for_guest();
            }
            return;
        }
        let Some(direct) = &self.direct else { return };
        if let Some(ear) = direct.ears.get(cpu.index()) {
            ear.open();
        }
        // An SGI may be one that can be disabled; `lend` did.
        Bank::Private(cpu).write(m, ISENABLER, direct.kick);
        // Whoever asked before found the ear closed.
        if !busy() {
            m.wait_for_guest();
        }
        Bank::Private(cpu).write(m, ICENABLER, direct.kick);
        direct.stop_ears(m, cpu);
    }

    /// Brings the line of a virtual device to the distributor, if the cell is direct: an SPI that the cell has, and that no
    /// hardware raises, becomes pending, or is so no more.
    pub fn drive_line(&self, m: &mut impl GicRegisters, spi: Spi) -> bool {
        let Some(direct) = &self.direct else { return false };
        if let Some((_, wire)) = direct.lines.iter().find(|(own, _)| *own == spi) {
            let _turn = direct.driving.lock();
            let register = if wire.repeat() { ISPENDR } else { ICPENDR };
            Bank::Spis(spi.intid() / 32).write(m, register, 1 << (spi.intid() % 32));
        }
        true
    }

    /// A guest's write to ICC_DIR_EL1: of its own interrupts, and only where deactivation is apart from priority drop (IHI 0069H
    /// 12.2.9).
    pub fn deactivate(&self, m: &mut impl GicPorts, value: u64) {
        let intid = value as u32 & 0xff_ffff;
        if self.owned.contains(intid) && m.common(CommonReg::Ctlr) & EOI_MODE != 0 {
            m.deactivate(intid);
        }
    }
}

/// ICC_CTLR_EL1.EOImode.
const EOI_MODE: u64 = 1 << 1;

/// Reads a common register of the CPU interface for a guest that has it. Of ICC_CTLR_EL1: EOImode, PRIbits, IDbits (IHI 0069H 12.2.6);
/// the rest is not for it, or not here.
pub fn read_common(m: &impl GicPorts, reg: CommonReg) -> u64 {
    const SHOWN: u64 = 0x3f00 | EOI_MODE;
    let value = m.common(reg);
    if reg == CommonReg::Ctlr { value & SHOWN } else { value }
}

/// Writes one.
pub fn write_common(m: &mut impl GicPorts, reg: CommonReg, value: u64) {
    match reg {
        CommonReg::Ctlr => m.set_common(reg, value & EOI_MODE),
        CommonReg::Pmr => m.set_common(reg, value & 0xff),
        CommonReg::Rpr => {}
    }
}
