//! The life of a cell as a machine of states; who performs what comes out of it is in [`super`].

use crate::cpu::{CpuSet, PcpuId};

/// What follows when a life has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing: the cell stays off.
    Off,
    /// The next life.
    Restart {
        /// Not before this count; 0 is at once.
        at: u64,
    },
}

impl Then {
    /// The next life, at once.
    pub const AGAIN: Self = Self::Restart { at: 0 };
}

/// Where a cell stands.
///
/// ```text
/// Starting --started--> Running --stop--> Stopping --quiet by the last CPU, end--> Off | Starting
///     `------------------stop----------------^
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// No CPU runs a vCPU of it, and none will.
    Off,
    /// The CPU of vCPU 0 loads it, or has been told to.
    Starting {
        /// Whether it never ran before.
        first: bool,
        /// Not before this count.
        at: u64,
    },
    /// vCPU 0 has been started.
    Running,
    /// CPUs are giving their vCPUs up.
    Stopping {
        /// What comes afterwards.
        then: Then,
        /// The CPUs that have not said yet that they are quiet.
        left: CpuSet,
    },
}

/// What the step that ended a life has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a life has ended"]
pub enum Ended {
    /// Not yet.
    No,
    /// It has, and this follows.
    Yes(Then),
}

impl Life {
    /// Begins to end a life in which these CPUs take part: the CPUs that must hear of it. `None` if nothing lives or
    /// somebody else was faster, whose word then stands.
    pub fn stop(&mut self, then: Then, cpus: CpuSet) -> Option<CpuSet> {
        match self {
            Self::Starting { .. } | Self::Running => {
                *self = Self::Stopping { then, left: cpus };
                Some(cpus)
            }
            Self::Stopping { .. } | Self::Off => None,
        }
    }

    /// Nothing has ended it so far.
    pub fn goes_on(&self) -> bool {
        matches!(self, Self::Starting { .. } | Self::Running)
    }

    /// No other life follows this one, even if one was to.
    pub fn is_last(&mut self) {
        if let Self::Stopping { then, .. } = self {
            *then = Then::Off;
        }
    }

    /// Off no more: whether it was.
    pub fn begin_again(&mut self) -> bool {
        let off = *self == Self::Off;
        if off {
            *self = Self::Starting { first: false, at: 0 };
        }
        off
    }

    /// vCPU 0 is ready to run: whether it still may.
    pub fn started(&mut self) -> bool {
        if matches!(self, Self::Starting { .. }) {
            *self = Self::Running;
        }
        *self == Self::Running
    }

    /// This CPU is asked to be quiet and has not said so yet.
    pub fn awaits(&self, cpu: PcpuId) -> bool {
        matches!(self, Self::Stopping { left, .. } if left.contains(cpu.index()))
    }

    /// This CPU runs nothing of the cell any more. To say it twice does no harm. Whoever is told that the life has ended calls
    /// [`Life::end`] in the end.
    pub fn quiet(&mut self, cpu: PcpuId) -> Ended {
        let Self::Stopping { then, left } = *self else { return Ended::No };
        let left = CpuSet(left.0 & !CpuSet::of([cpu.index()]).0);
        if !left.is_empty() {
            *self = Self::Stopping { then, left };
            return Ended::No;
        }
        if !self.awaits(cpu) {
            return Ended::No;
        }
        *self = Self::Stopping { then, left };
        Ended::Yes(then)
    }

    /// What had to be done at the end of a life is done: what follows, which may have become less meanwhile.
    pub fn end(&mut self) -> Then {
        let Self::Stopping { then, .. } = *self else { return Then::Off };
        *self = match then {
            Then::Off => Self::Off,
            Then::Restart { at } => Self::Starting { first: false, at },
        };
        then
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CPUS: CpuSet = CpuSet(0b1011);

    #[test]
    fn one_life() {
        let mut life = Life::Starting { first: true, at: 0 };
        assert!(life.started() && life == Life::Running);
        assert_eq!(life.quiet(PcpuId(0)), Ended::No);
        assert_eq!(life.stop(Then::Restart { at: 9 }, CPUS), Some(CPUS));
        assert_eq!(life.stop(Then::Off, CPUS), None, "the first word stands");
        assert!(life.awaits(PcpuId(3)) && !life.awaits(PcpuId(2)));
        assert_eq!(life.quiet(PcpuId(3)), Ended::No);
        assert_eq!(life.quiet(PcpuId(3)), Ended::No);
        assert_eq!(life.quiet(PcpuId(0)), Ended::No);
        assert_eq!(life.quiet(PcpuId(1)), Ended::Yes(Then::Restart { at: 9 }));
        assert_eq!(life.stop(Then::Off, CPUS), None, "it is not over yet");
        assert_eq!(life.quiet(PcpuId(1)), Ended::No);
        assert_eq!(life.end(), Then::Restart { at: 9 });
        assert_eq!(life, Life::Starting { first: false, at: 9 });
        assert_eq!(life.quiet(PcpuId(1)), Ended::No);
    }

    #[test]
    fn a_cell_stopped_while_it_loads_does_not_start() {
        let mut life = Life::Starting { first: true, at: 0 };
        assert_eq!(life.stop(Then::Off, CpuSet(1)), Some(CpuSet(1)));
        assert!(!life.started());
        assert_eq!(life.quiet(PcpuId(0)), Ended::Yes(Then::Off));
        assert_eq!(life.end(), Then::Off);
        assert_eq!(life, Life::Off);
        assert_eq!(life.stop(Then::AGAIN, CpuSet(1)), None);
        assert!(!life.started());
    }

    #[test]
    fn the_last_life_is_followed_by_none() {
        let mut life = Life::Running;
        life.is_last();
        assert_eq!(life, Life::Running);
        assert_eq!(life.stop(Then::AGAIN, CpuSet(1)), Some(CpuSet(1)));
        assert_eq!(life.quiet(PcpuId(0)), Ended::Yes(Then::AGAIN));
        life.is_last();
        assert_eq!((life.end(), life), (Then::Off, Life::Off));
    }

    proptest! {
        /// Whatever comes in whatever order: a life ends once for each stop that was heard, and only when all are quiet.
        #[test]
        fn ends_and_stops_pair_up(steps in prop::collection::vec((0u8..4, 0u8..4), 0..200)) {
            let mut life = Life::Starting { first: true, at: 0 };
            let (mut heard, mut ended, mut quiet) = (0, 0, 0u64);
            for (what, cpu) in steps {
                match what {
                    0 => { life.started(); }
                    1 => if life.stop(Then::AGAIN, CPUS).is_some() { heard += 1; quiet = 0; }
                    _ => {
                        quiet |= 1 << cpu;
                        if life.quiet(PcpuId(cpu)) != Ended::No {
                            prop_assert_eq!(life.end(), Then::AGAIN);
                            ended += 1;
                            prop_assert_eq!(quiet & CPUS.0, CPUS.0);
                        }
                    }
                }
                let stopping = matches!(life, Life::Stopping { .. });
                prop_assert_eq!(heard - ended, u32::from(stopping));
            }
        }
    }
}
