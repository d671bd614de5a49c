//! What came back, counted by attack and by class.

use core::fmt;

use rt::{println, timer};

use crate::shot::Shot;

/// ESR_ELx.EC of a data abort and of an instruction abort from the same level; from a lower one it is 1 less.
pub const DATA_ABORT: u64 = 0x25;
/// See [`DATA_ABORT`].
pub const INSTRUCTION_ABORT: u64 = 0x21;
/// ESR_ELx.EC of an SVC in AArch32 and in AArch64: a shot at EL0 came through.
const SVC: [u64; 2] = [0x11, 0x15];
/// Classes that no guest may see at EL1: HVC and SMC (they are EL2's to answer), traps to EL2 alone, SErrors.
const NEVER: [u64; 7] = [0x12, 0x13, 0x16, 0x17, 0x1a, 0x2f, 0x3a];
/// Odd outcomes that are printed.
const SHOWN: u64 = 20;

/// What may come back of an attack. That nothing else comes of it is for the victim and the hypervisor to say.
#[derive(Clone, Copy, Debug)]
pub enum May {
    /// Whatever the architecture has.
    Anything,
    /// A fault, of whatever kind.
    Fault,
    /// An Undefined instruction.
    Undefined,
    /// An answer in x0, one of these.
    Answer(&'static [i64]),
}

/// One attack: a shot, or a whole sweep of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    shots: u64,
    worked: u64,
    undefined: u64,
    aborted: u64,
    odd: u64,
}

/// Whether a shot came to its end.
pub fn worked(shot: &Shot) -> bool {
    shot.faults == 0 || SVC.contains(&(shot.esr >> 26 & 0x3f))
}

impl Tally {
    /// Counts what a shot came to.
    pub fn note(&mut self, shot: &Shot) {
        self.shots += 1;
        let class = shot.esr >> 26 & 0x3f;
        match class {
            _ if worked(shot) => self.worked += 1,
            0 if shot.vector.is_multiple_of(4) => self.undefined += 1,
            0x20 | 0x21 | 0x24 | 0x25 => self.aborted += 1,
            _ if shot.vector.is_multiple_of(4) && NEVER.contains(&class) => {
                self.odd(format_args!("ESR {:#x} at {:#x}", shot.esr, shot.elr))
            }
            _ => self.undefined += 1,
        }
    }

    /// Counts it and holds it against what may be.
    pub fn judge(&mut self, shot: &Shot, may: May) {
        self.note(shot);
        let [x0, ..] = shot.x;
        let holds = match may {
            May::Anything => true,
            May::Fault => !worked(shot),
            May::Undefined => shot.faults == 1 && shot.esr == 1 << 25,
            May::Answer(answers) => worked(shot) && answers.contains(&(x0 as i64)),
        };
        self.want(
            holds,
            format_args!("x0 {x0:#x}, {} faults, ESR {:#x}, want {may:?}", shot.faults, shot.esr),
        );
    }

    /// Counts something that is no shot.
    pub fn count(&mut self, shots: u64) {
        self.shots += shots;
        self.worked += shots;
    }

    /// Something came back that is not the architecture's.
    pub fn odd(&mut self, what: fmt::Arguments<'_>) {
        if self.odd < SHOWN {
            println!("hostile: ODD {what}");
        }
        self.odd += 1;
    }

    /// [`Tally::odd`], unless the condition holds.
    pub fn want(&mut self, holds: bool, what: fmt::Arguments<'_>) {
        if !holds {
            self.odd(what);
        }
    }
}

/// The count so far.
#[derive(Debug, Default)]
pub struct Report {
    class: &'static str,
    listed: bool,
    since: u64,
    here: (u64, u64),
    total: (u64, u64),
    odd: u64,
}

impl Report {
    /// None yet. `listed` says whether each attack is a line, not only what is odd.
    pub fn new(listed: bool) -> Self {
        Self { listed, ..Self::default() }
    }

    /// Begins a class.
    pub fn class(&mut self, name: &'static str) {
        self.end_class();
        self.class = name;
        self.since = timer::count();
    }

    fn end_class(&mut self) {
        let (attacks, shots) = self.here;
        if !self.class.is_empty() {
            let milliseconds = (timer::count() - self.since) / (timer::frequency() / 1000).max(1);
            println!("hostile: class {}: {attacks} attacks, {shots} shots, {milliseconds} ms", self.class);
        }
        self.here = (0, 0);
    }

    /// One attack: its name, and what shoots.
    pub fn attack(&mut self, name: fmt::Arguments<'_>, shoot: impl FnOnce(&mut Tally)) {
        let mut tally = Tally::default();
        shoot(&mut tally);
        self.done(name, tally);
    }

    /// An attack is over.
    pub fn done(&mut self, name: fmt::Arguments<'_>, tally: Tally) {
        let Tally { shots, worked, undefined, aborted, odd } = tally;
        // Nothing to shoot at here: not counted.
        if shots == 0 {
            return;
        }
        if self.listed {
            println!("hostile: {} {name}: {shots} = {worked} + {undefined}u + {aborted}a", self.class);
        }
        if odd > 0 {
            println!("hostile: ODD {odd} of {} {name}", self.class);
        }
        for count in [&mut self.here, &mut self.total] {
            count.0 += 1;
            count.1 += shots;
        }
        self.odd += odd;
    }

    /// The last lines.
    pub fn end(&mut self) {
        self.end_class();
        let (attacks, shots) = self.total;
        println!("hostile: done {attacks} attacks, {shots} shots, {} odd", self.odd);
    }
}
