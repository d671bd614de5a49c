//! The two EL1 timers (Arm ARM D12.2).

use crate::regs::{isb, write_reg};
use crate::tree::board;
use crate::{exception, read_reg};

/// One of the timers that belong to EL1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// CNTP.
    Physical,
    /// CNTV.
    Virtual,
}

/// Ticks a second (CNTFRQ_EL0).
pub fn frequency() -> u64 {
    read_reg!("cntfrq_el0")
}

/// The virtual count now, not sooner (CNTVCT_EL0 behind an ISB).
pub fn count() -> u64 {
    isb();
    read_reg!("cntvct_el0")
}

/// So many microseconds in ticks.
pub fn ticks(microseconds: u64) -> u64 {
    frequency() * microseconds / 1_000_000
}

/// Polls `done` for at most so many microseconds; whether it came true.
pub fn wait_until(microseconds: u64, mut done: impl FnMut() -> bool) -> bool {
    let start = count();
    while !done() {
        if count() - start > ticks(microseconds) {
            return done();
        }
        crate::regs::relax();
    }
    true
}

impl Timer {
    /// Its interrupt.
    pub fn intid(self) -> u32 {
        let n = match self {
            Self::Physical => 1,
            Self::Virtual => 2,
        };
        match board().timers.get(n) {
            Some(intid) => *intid,
            None => exception::stop("the device tree has no arm,armv8-timer"),
        }
    }

    /// Its count now.
    pub fn count(self) -> u64 {
        isb();
        match self {
            Self::Physical => read_reg!("cntpct_el0"),
            Self::Virtual => read_reg!("cntvct_el0"),
        }
    }

    /// Lets it fire when its count reaches `compare`.
    pub fn start(self, compare: u64) {
        match self {
            Self::Physical => write_reg!("cntp_cval_el0", compare),
            Self::Virtual => write_reg!("cntv_cval_el0", compare),
        }
        self.set_control(1);
    }

    /// CNTx_CTL: bit 0 ENABLE, 1 IMASK.
    pub fn set_control(self, control: u64) {
        match self {
            Self::Physical => write_reg!("cntp_ctl_el0", control),
            Self::Virtual => write_reg!("cntv_ctl_el0", control),
        }
        isb();
    }

    /// CNTx_CTL; bit 2 is ISTATUS.
    pub fn control(self) -> u64 {
        isb();
        match self {
            Self::Physical => read_reg!("cntp_ctl_el0"),
            Self::Virtual => read_reg!("cntv_ctl_el0"),
        }
    }

    /// Switches it off.
    pub fn stop(self) {
        self.set_control(0);
    }
}
