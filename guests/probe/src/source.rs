//! The states in which something goes wrong, and what an exception must tell of each.

use rt::excursion::{self, Taken};
use rt::read_reg;
use rt::tree::{Span, board};

use crate::ensure_eq;
use crate::report::Outcome;

/// A block of the first level.
pub const GIB: u64 = 1 << 30;
/// The code, as EL0 sees it; AArch32 reaches both.
const CODE: u64 = 3;
/// What it is pointed at.
pub const TARGET: u64 = 2;

/// A block of Normal memory; EL0 may do with it as EL1 may, and may execute it.
pub const NORMAL_EL0: u64 = 0x741;
/// The same of Device-nGnRE.
pub const DEVICE_EL0: u64 = 0x445;
/// A block of Normal memory for EL1, which may execute it.
pub const NORMAL_EL1: u64 = 0x701;
/// A table.
pub const TABLE: u64 = 3;

/// N, C: flags that no instruction here changes.
const FLAGS: u64 = 0xa << 28;
/// ESR_EL1.IL.
pub const IL: u64 = 1 << 25;

/// The instruction set that a source runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// AArch64.
    A64,
    /// AArch32, 32 bits each.
    A32,
    /// AArch32, 16 or 32 bits each.
    T32,
}

/// A state to be in when something goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// What it is called.
    pub name: &'static str,
    /// What it runs.
    pub set: Set,
    /// The SPSR_EL1 that leads to it.
    pub spsr: u64,
    /// The vector that its exceptions come by.
    pub vector: u64,
    /// Whether it is EL0.
    pub el0: bool,
}

const SOURCES: [Source; 6] = [
    Source { name: "EL1t", set: Set::A64, spsr: FLAGS | 0x3c4, vector: 0, el0: false },
    Source { name: "EL1h", set: Set::A64, spsr: FLAGS | 0x3c5, vector: 4, el0: false },
    Source { name: "EL0", set: Set::A64, spsr: FLAGS | 0x3c0, vector: 8, el0: true },
    // Q, GE.
    Source { name: "A32", set: Set::A32, spsr: FLAGS | 1 << 27 | 5 << 16 | 0x1d0, vector: 12, el0: true },
    Source { name: "T32", set: Set::T32, spsr: FLAGS | 0x1f0, vector: 12, el0: true },
    // In an IT block: ITT AL, IT is 1110 0100.
    Source { name: "T32 in IT", set: Set::T32, spsr: FLAGS | 0x39 << 10 | 0x1f0, vector: 12, el0: true },
];

/// Those that the CPU has.
pub fn sources() -> impl Iterator<Item = Source> {
    let aarch32 = read_reg!("id_aa64pfr0_el1") & 0xf == 2;
    SOURCES.into_iter().filter(move |source| source.set == Set::A64 || aarch32)
}

/// One instruction in each set.
#[derive(Clone, Copy)]
pub struct Words {
    /// Its mnemonic.
    pub name: &'static str,
    a64: u32,
    a32: u32,
    t32: &'static [u16],
}

/// A row of a table.
pub const fn words(name: &'static str, a64: u32, a32: u32, t32: &'static [u16]) -> Words {
    Words { name, a64, a32, t32 }
}

impl Words {
    /// Written where excursions begin.
    pub fn write(&self, set: Set) {
        let word = match (set, self.t32) {
            (Set::A64, _) => self.a64,
            (Set::A32, _) => self.a32,
            (Set::T32, [one]) => u32::from(*one) | 0xbf00 << 16,
            (Set::T32, [first, second, ..]) => u32::from(*first) | u32::from(*second) << 16,
            (Set::T32, []) => 0xbf00_bf00,
        };
        excursion::write(&[word, word, word, word]);
    }
}

/// A load of a word.
pub const LOAD: Words = words("LDR", 0xb940_0001, 0xe590_1000, &[0x6801]);
/// A store of a word.
pub const STORE: Words = words("STR", 0xb900_0001, 0xe580_1000, &[0x6001]);
/// SVC, or BRK at EL1, which the hypervisor has no part in. In T32 SVC #0.
const CALL: Words = words("SVC", 0xd400_0001, 0xef00_0000, &[0xdf00]);

/// Maps the code for EL0, and the target; both away again when `f` is done.
pub fn with_target<T>(target: u64, f: impl FnOnce() -> T) -> T {
    excursion::map(CODE as usize, (excursion::code() / GIB * GIB) | NORMAL_EL0);
    excursion::map(TARGET as usize, target);
    let result = f();
    excursion::map(TARGET as usize, 0);
    excursion::map(CODE as usize, 0);
    result
}

/// Whether the two gibibytes are free, and EL1 has nothing of its own there.
pub fn room() -> bool {
    let span = Span { base: TARGET * GIB, size: 2 * GIB };
    !board().spans.iter().any(|other| other.overlaps(span))
}

impl Source {
    /// Where its code is.
    pub fn pc(&self) -> u64 {
        let code = excursion::code();
        if self.el0 { CODE * GIB + code % GIB } else { code }
    }

    /// Runs what was written, with x0 = `address`.
    pub fn run(&self, address: u64) -> Taken {
        excursion::run(self.pc(), self.spsr, [address, 0x1111, 0x2222, 0x3333])
    }

    /// ESR_EL1 of an abort: the class for the lower level, and the rest of it.
    pub fn abort(&self, lower: u64, rest: u64) -> u64 {
        (lower + u64::from(!self.el0)) << 26 | IL | rest
    }

    /// What hardware makes of PSTATE when this source takes an exception that no hypervisor sees.
    pub fn pstate(&self) -> u64 {
        CALL.write(self.set);
        self.run(0).pstate
    }

    /// Compares what came with what the manual says; `unknown` are bits of ESR that it leaves open.
    pub fn must_be(
        &self,
        what: &str,
        taken: &Taken,
        esr: u64,
        unknown: u64,
        far: Option<u64>,
        elr: u64,
    ) -> Outcome {
        let name = self.name;
        ensure_eq!(taken.esr & !unknown, esr & !unknown, "{what} from {name}: ESR");
        ensure_eq!(taken.vector, self.vector, "{what} from {name}: vector");
        if let Some(far) = far {
            ensure_eq!(taken.far, far, "{what} from {name}: FAR");
        }
        ensure_eq!(taken.elr, elr, "{what} from {name}: ELR");
        ensure_eq!(taken.spsr, self.spsr, "{what} from {name}: SPSR");
        Ok(())
    }
}
