//! Why a cell died and in which state, and what follows. A record is printed once, and can be read until the next one takes its
//! place. In reading order: [`Record`], [`Deaths`], `policy`: which restarts there are.

mod policy;

pub use policy::{Limit, OnCrash};

use core::fmt;

use crate::addr::Ipa;
use crate::cell::{Cell, Vcpu};
use crate::cpu::{PcpuId, VcpuId};
use crate::ports::{El1, El1Reg, Timer, World};
use crate::trap;
use crate::vcpu::{EL1H, Frame, Pstate};
use policy::Window;

/// Why a cell's life ended without its wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A physical SError while it ran whose damage may have spread (FEAT_RAS: uncontainable).
    SError,
    /// Its watchdog was not fed in time.
    Watchdog,
    /// It takes an exception at the first instruction of its exception vector, which leads there again, for ever.
    Vector,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SError => "an SError",
            Self::Watchdog => "its watchdog ran out",
            Self::Vector => "an exception at its exception vector",
        })
    }
}

/// Whether a guest that is to take a synchronous exception is at the vector for it: EL1 with its own stack pointer comes to VBAR_EL1 +
/// 0x200 (Arm ARM D1.3.1.2). What no memory or no device answered there will be there again.
#[cold]
pub fn is_at_vector(machine: &(impl El1 + World)) -> bool {
    const CURRENT_EL_SPX: u64 = 0x200;
    let vector = (machine.el1(El1Reg::Vbar) & !0x7ff).wrapping_add(CURRENT_EL_SPX);
    let pstate = Pstate::from_bits(machine.pstate());
    machine.pc() == vector && pstate.mode() == EL1H && !pstate.aarch32()
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
    /// Whether the registers below are the vCPU's. They are not where another cell's CPU noticed the death.
    pub seen: bool,
    /// Its x0 to x30.
    pub frame: Frame,
    /// Where it was (ELR_EL2).
    pub pc: u64,
    /// Its PSTATE (SPSR_EL2).
    pub pstate: u64,
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
    /// Milliseconds from the beginning of that life.
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
            seen: true,
            frame: vcpu.frame.clone(),
            pc: machine.pc(),
            pstate: machine.pstate(),
            esr: machine.esr(),
            far: machine.far(),
            hpfar: machine.hpfar(),
            elr_el1: machine.el1(El1Reg::Elr),
            esr_el1: machine.el1(El1Reg::Esr),
            far_el1: machine.el1(El1Reg::Far),
            life: vcpu.cell.lives(),
            age: milliseconds(vcpu.cell.age(machine), machine),
        }
    }

    /// Of a cell that still runs, and whose registers nobody sees.
    #[cold]
    pub fn unseen(cell: &Cell, cpu: PcpuId, timer: &impl Timer, cause: Cause) -> Self {
        Self {
            cause,
            vcpu: VcpuId(0),
            cpu,
            seen: false,
            frame: Frame::default(),
            pc: 0,
            pstate: 0,
            esr: 0,
            far: 0,
            hpfar: 0,
            elr_el1: 0,
            esr_el1: 0,
            far_el1: 0,
            life: cell.lives(),
            age: milliseconds(cell.age(timer), timer),
        }
    }

    /// The page of the guest's address that HPFAR_EL2 names, with the offset of FAR_EL2.
    pub fn ipa(&self) -> Ipa {
        trap::ipa(self.hpfar, self.far)
    }
}

/// The whole of it, in a few lines.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cause, life, age, cpu, .. } = self;
        if !self.seen {
            return write!(f, "{cause}, in life {life}, {age} ms old, seen from {cpu}");
        }
        writeln!(f, "{cause}, in life {life}, {age} ms old")?;
        writeln!(f, "  vCPU {} on {cpu}: {}", self.vcpu.0, Place(self))?;
        write!(f, "  ELR_EL1 {:#x}, ESR_EL1 {:#x}, FAR_EL1 {:#x}", self.elr_el1, self.esr_el1, self.far_el1)?;
        for n in 0..31 {
            write!(f, "{} x{n} {:x}", if n % 8 == 0 { "\n " } else { "" }, self.frame.get(n))?;
        }
        Ok(())
    }
}

/// Where the vCPU was.
struct Place<'r>(&'r Record);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(record) = self;
        let (pc, pstate) = (record.pc, record.pstate);
        write!(f, "PC {pc:#x}, PSTATE {pstate:#x}, ESR_EL2 {:#x}", record.esr)?;
        write!(f, ", FAR_EL2 {:#x}, IPA {}", record.far, record.ipa())
    }
}

fn milliseconds(ticks: u64, timer: &impl Timer) -> u64 {
    let a_second = timer.frequency();
    ticks.saturating_mul(1000).checked_div(a_second).unwrap_or(0)
}

/// A cell's crashes.
#[derive(Debug, Default)]
pub struct Deaths {
    count: u32,
    last: Option<Record>,
    window: Window,
}

/// What follows a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The cell stays off.
    Stop,
    /// It restarts.
    Restart {
        /// Not before this count.
        at: u64,
        /// After so many milliseconds.
        wait: u64,
        /// Which restart of its window this is.
        number: u32,
        /// How many there may be.
        limit: Limit,
    },
    /// It would restart, but it has done so too often.
    GiveUp(Limit),
    /// Every cell is stopped.
    HaltMachine,
}

impl Deaths {
    /// Takes a crash down; what follows. `None` if this life crashed before: a cell dies once in a life, whatever comes together.
    pub fn add(&mut self, record: Record, on_crash: OnCrash, timer: &impl Timer) -> Option<Verdict> {
        if self.last.as_ref().is_some_and(|last| last.life == record.life) {
            return None;
        }
        self.last = Some(record);
        self.count = self.count.saturating_add(1);
        Some(match on_crash {
            OnCrash::Stop => Verdict::Stop,
            OnCrash::HaltMachine => Verdict::HaltMachine,
            OnCrash::Restart(limit) => {
                let now = timer.counter();
                match self.window.restart(limit, now, timer.frequency()) {
                    Some((at, number)) => Verdict::Restart {
                        at,
                        wait: milliseconds(at.saturating_sub(now), timer),
                        number,
                        limit,
                    },
                    None => Verdict::GiveUp(limit),
                }
            }
        })
    }

    /// Somebody looked, and starts the cell again: its limit begins anew.
    pub fn forgive(&mut self) {
        self.window = Window::default();
    }

    /// How many there were.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The last one.
    pub fn last(&self) -> Option<&Record> {
        self.last.as_ref()
    }
}

/// All of them in one line.
impl fmt::Display for Deaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "crashed {} times", self.count)?;
        let Some(last) = &self.last else { return Ok(()) };
        write!(f, ", last in life {}: {}; vCPU {} at {}", last.life, last.cause, last.vcpu.0, Place(last))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop => f.write_str("stays off"),
            Self::Restart { wait: 0, number, limit, .. } => {
                write!(f, "restarts at once, {number} of {limit}")
            }
            Self::Restart { wait, number, limit, .. } => {
                write!(f, "restarts in {wait} ms, {number} of {limit}")
            }
            Self::GiveUp(limit) => write!(f, "stays off, for it restarted {limit}; Ctrl-^ r starts it"),
            Self::HaltMachine => f.write_str("THE MACHINE IS HALTED: every cell is stopped"),
        }
    }
}

#[cfg(test)]
mod tests;
