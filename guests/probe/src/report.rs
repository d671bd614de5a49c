//! Checks and how they are told.

use core::fmt::{self, Write};

use arrayvec::ArrayString;
use rt::println;

use crate::{crew, taken};

/// Why a check failed.
pub type Why = ArrayString<200>;
/// How a check went.
pub type Outcome = Result<(), Why>;

/// What a check can only run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Any machine will do.
    Nothing,
    /// Two CPUs.
    Crew,
    /// Bulkhead below it.
    Bulkhead,
    /// Both.
    BulkheadCrew,
    /// A GICv3.
    Gicv3,
    /// That, and Bulkhead below it.
    BulkheadGicv3,
    /// That, and two CPUs.
    Gicv3Crew,
    /// A GICv2.
    Gicv2,
    /// That, and Bulkhead below it.
    BulkheadGicv2,
    /// That, and two CPUs.
    Gicv2Crew,
}

impl Needs {
    /// Whether it is two CPUs.
    pub fn crew(self) -> bool {
        matches!(self, Self::Crew | Self::BulkheadCrew | Self::Gicv3Crew | Self::Gicv2Crew)
    }

    /// Whether it is Bulkhead.
    pub fn bulkhead(self) -> bool {
        matches!(self, Self::Bulkhead | Self::BulkheadCrew | Self::BulkheadGicv3 | Self::BulkheadGicv2)
    }

    /// Whether it is a GICv2, or a GICv3.
    pub fn gicv2(self) -> Option<bool> {
        match self {
            Self::Gicv3 | Self::BulkheadGicv3 | Self::Gicv3Crew => Some(false),
            Self::Gicv2 | Self::BulkheadGicv2 | Self::Gicv2Crew => Some(true),
            _ => None,
        }
    }
}

/// One thing that the cell ABI promises.
pub struct Check {
    /// Its name; the part before the first underscore is the group's.
    pub name: &'static str,
    /// What it needs.
    pub needs: Needs,
    /// How to try it.
    pub run: fn() -> Outcome,
}

/// A row of a group's table.
pub const fn check(name: &'static str, needs: Needs, run: fn() -> Outcome) -> Check {
    Check { name, needs, run }
}

/// The count so far.
#[derive(Default)]
pub struct Tally {
    /// Checks that held.
    pub ok: u32,
    /// Checks that did not.
    pub failed: u32,
    /// Checks that have no meaning here.
    pub skipped: u32,
}

impl Tally {
    /// Leaves one out, and says so.
    pub fn skip(&mut self, check: &Check, why: &str) {
        self.skipped += 1;
        println!("probe: skip {} {why}", check.name);
    }

    /// Runs a check and prints how it went.
    pub fn run(&mut self, check: &Check) {
        // A crew that only waits would still take the host's time from the one CPU that is busy.
        let ready = if check.needs.crew() {
            crew::quiet()
        } else {
            crew::dismiss();
            Ok(())
        };
        taken::quiet();
        match ready.and_then(|()| (check.run)()) {
            Ok(()) => {
                self.ok += 1;
                println!("probe: ok {}", check.name);
            }
            Err(why) => {
                self.failed += 1;
                println!("probe: FAIL {} {why}", check.name);
            }
        }
    }
}

/// Whether the command line says that there is no hypervisor.
pub fn bare() -> bool {
    rt::tree::argument("probe.bare").is_some()
}

/// Words for a failure; what does not fit is cut off.
pub fn why(args: fmt::Arguments<'_>) -> Why {
    let mut text = Why::new();
    let _ = text.write_fmt(args);
    text
}

/// Ends a check that did not hold.
#[macro_export]
macro_rules! ensure {
    ($cond:expr, $($arg:tt)+) => {
        if !$cond {
            return Err($crate::report::why(format_args!($($arg)+)));
        }
    };
}

/// Ends a check whose two values differ.
#[macro_export]
macro_rules! ensure_eq {
    ($got:expr, $want:expr, $($arg:tt)+) => {
        match ($got, $want) {
            (got, want) if got != want => {
                let what = format_args!($($arg)+);
                return Err($crate::report::why(format_args!("{what}: got {got:#x?}, want {want:#x?}")));
            }
            _ => {}
        }
    };
}
