//! A vCPU's power switch: another vCPU of its cell turns it on, its own CPU does the rest.

use crate::psci::PsciError;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// What AFFINITY_INFO says of a vCPU (DEN0022F 5.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Affinity {
    /// ON.
    On = 0,
    /// OFF.
    Off = 1,
    /// ON_PENDING.
    OnPending = 2,
}

/// How a vCPU starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its first instruction.
    pub entry: u64,
    /// Its x0.
    pub context: u64,
}

const OFF: u32 = 0;
/// One CPU_ON has won and is writing entry and context.
const CLAIMED: u32 = 1;
const PENDING: u32 = 2;
const ON: u32 = 3;

/// The switch. OFF -> CLAIMED -> PENDING by the caller of CPU_ON; PENDING -> ON and ON -> OFF by the vCPU's own CPU.
/// Entry and context are written between CLAIMED and the `Release` of PENDING, and read after the `Acquire` of it.
#[derive(Debug, Default)]
pub struct Power {
    state: AtomicU32,
    entry: AtomicU64,
    context: AtomicU64,
}

impl Power {
    /// CPU_ON: asks the vCPU to start. Of racing callers one wins.
    pub fn request(&self, start: Start) -> Result<(), PsciError> {
        match self.state.compare_exchange(OFF, CLAIMED, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => {
                self.entry.store(start.entry, Ordering::Relaxed);
                self.context.store(start.context, Ordering::Relaxed);
                self.state.store(PENDING, Ordering::Release);
                Ok(())
            }
            Err(ON) => Err(PsciError::AlreadyOn),
            Err(_) => Err(PsciError::OnPending),
        }
    }

    /// The vCPU's own CPU takes what was asked, if anything; the vCPU is on from here.
    pub fn take(&self) -> Option<Start> {
        self.state.compare_exchange(PENDING, ON, Ordering::Acquire, Ordering::Relaxed).ok()?;
        Some(Start {
            entry: self.entry.load(Ordering::Relaxed),
            context: self.context.load(Ordering::Relaxed),
        })
    }

    /// vCPU 0 at the beginning of a life: nobody asked, it is on.
    pub fn start(&self) {
        self.state.store(ON, Ordering::Release);
    }

    /// CPU_OFF, or the end of the cell's life.
    pub fn off(&self) {
        self.state.store(OFF, Ordering::Release);
    }

    /// For AFFINITY_INFO.
    pub fn affinity_info(&self) -> Affinity {
        match self.state.load(Ordering::Relaxed) {
            OFF => Affinity::Off,
            ON => Affinity::On,
            _ => Affinity::OnPending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Start = Start { entry: 0x4000_0000, context: 7 };

    #[test]
    fn on_pending_on_off() {
        let power = Power::default();
        assert_eq!((power.affinity_info(), power.take()), (Affinity::Off, None));
        assert_eq!(power.request(START), Ok(()));
        assert_eq!(power.affinity_info(), Affinity::OnPending);
        assert_eq!(power.request(START), Err(PsciError::OnPending));
        assert_eq!(power.take(), Some(START));
        assert_eq!((power.affinity_info(), power.take()), (Affinity::On, None));
        assert_eq!(power.request(START), Err(PsciError::AlreadyOn));
        power.off();
        assert_eq!(power.request(START), Ok(()));
    }

    #[test]
    fn of_racing_callers_one_wins_and_its_arguments_arrive_whole() {
        for _ in 0..if cfg!(miri) { 3 } else { 200 } {
            let power = Power::default();
            let wins: usize = std::thread::scope(|s| {
                let callers: Vec<_> = (1..4)
                    .map(|n| {
                        let power = &power;
                        s.spawn(move || power.request(Start { entry: n, context: n << 32 }).is_ok())
                    })
                    .collect();
                let start = loop {
                    if let Some(start) = power.take() {
                        break start;
                    }
                    std::thread::yield_now();
                };
                assert_eq!(start.context, start.entry << 32);
                callers.into_iter().map(|c| usize::from(c.join().unwrap())).sum()
            });
            assert_eq!(wins, 1);
        }
    }
}
