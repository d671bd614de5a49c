//! Why a cell died, and in which state: a record that is printed once and can be read until the next one takes its place.

use core::fmt;

use crate::addr::Ipa;
use crate::cell::Vcpu;
use crate::cpu::{PcpuId, VcpuId};
use crate::ports::{El1, El1Reg, Timer, World};
use crate::trap;
use crate::vcpu::Frame;

/// Why a cell's life ended without its wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A physical SError while it ran whose damage may have spread.
    SError,
    /// Its watchdog was not fed in time.
    Watchdog,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SError => "an SError that nothing contains",
            Self::Watchdog => "its watchdog ran out",
        })
    }
}

/// The state in which a cell died.
#[derive(Clone, Debug)]
pub struct Record {
    /// Why.
    pub cause: Cause,
    /// The vCPU that died, or at whose CPU the death was noticed.
    pub vcpu: VcpuId,
    /// Its CPU.
    pub cpu: PcpuId,
    /// Its x0 to x30, where it was (ELR_EL2) and its PSTATE (SPSR_EL2).
    pub frame: Frame,
    /// ESR_EL2 of its last exit.
    pub esr: u64,
    /// FAR_EL2 of its last exit.
    pub far: u64,
    /// HPFAR_EL2 of its last exit.
    pub hpfar: u64,
    /// What the guest took last itself: ELR_EL1.
    pub elr_el1: u64,
    /// ESR_EL1.
    pub esr_el1: u64,
    /// FAR_EL1.
    pub far_el1: u64,
    /// Which life of the cell this was, from 1.
    pub life: u32,
    /// Ticks from the beginning of that life.
    pub age: u64,
}

impl Record {
    /// Of a vCPU that is out. To be made before anything else of it changes.
    #[cold]
    pub fn of(vcpu: &Vcpu<'_>, machine: &(impl World + El1 + Timer), cause: Cause) -> Self {
        Self {
            cause,
            vcpu: vcpu.id,
            cpu: vcpu.cpu,
            frame: vcpu.frame.clone(),
            esr: machine.esr(),
            far: machine.far(),
            hpfar: machine.hpfar(),
            elr_el1: machine.el1(El1Reg::Elr),
            esr_el1: machine.el1(El1Reg::Esr),
            far_el1: machine.el1(El1Reg::Far),
            life: vcpu.cell.lives(),
            age: vcpu.cell.age(machine),
        }
    }

    /// The page of the guest's address that HPFAR_EL2 names, with the offset of FAR_EL2.
    pub fn ipa(&self) -> Ipa {
        trap::ipa(self.hpfar, self.far)
    }
}

/// The whole of it, in a few lines; the cell's name is the caller's to say.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frame, .. } = self;
        writeln!(
            f,
            "{}, in life {} after {} ticks; vCPU {} on {}",
            self.cause, self.life, self.age, self.vcpu.0, self.cpu
        )?;
        writeln!(
            f,
            "  PC {:#x}, PSTATE {:#x}, ESR_EL2 {:#x}, FAR_EL2 {:#x}, IPA {}",
            frame.elr,
            frame.spsr,
            self.esr,
            self.far,
            self.ipa()
        )?;
        write!(f, "  ELR_EL1 {:#x}, ESR_EL1 {:#x}, FAR_EL1 {:#x}", self.elr_el1, self.esr_el1, self.far_el1)?;
        for n in 0..31 {
            if n % 8 == 0 {
                f.write_str("\n ")?;
            }
            write!(f, " x{n} {:x}", frame.get(n))?;
        }
        Ok(())
    }
}
