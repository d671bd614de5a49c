//! What makes a board unusable.

use alloc::string::String;
use alloc::vec::Vec;

use crate::cpu::MAX_CPUS;
use crate::refusal::{Code, Place, Refusal, code};

/// Why a board cannot be used. Each names the node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HardwareError {
    /// No CPU node.
    #[error("the board's tree has no enabled CPU under /cpus: is it the right tree for this board?")]
    NoCpus,
    /// Too many CPU nodes.
    #[error("the board has {count} CPUs, Bulkhead uses at most {MAX_CPUS}: disable the others in its tree")]
    TooManyCpus {
        /// How many there are.
        count: usize,
    },
    /// A CPU's `reg` is no affinity.
    #[error("{node}: `reg` is missing or is no MPIDR affinity")]
    CpuReg {
        /// The CPU's node.
        node: String,
    },
    /// Two CPUs are one.
    #[error("{a} and {b} have the same `reg`: correct one of them in the board's tree")]
    SameCpu {
        /// One node.
        a: String,
        /// The other.
        b: String,
    },
    /// No memory.
    #[error(
        "the board's tree describes no memory: the loader usually fills in /memory, or it must stand in the tree"
    )]
    NoMemory,
    /// There is no GIC.
    #[error(
        "the board's tree has no enabled `arm,gic-v3` or `arm,gic-400`: Bulkhead knows no other interrupt controller"
    )]
    NoGic,
    /// The GIC's `reg` lacks a frame.
    #[error("{node}: `reg` needs the distributor and {regions} redistributor region(s), each addressable")]
    GicReg {
        /// The GIC's node.
        node: String,
        /// `#redistributor-regions`.
        regions: u32,
    },
    /// The `reg` of a GICv2 lacks a frame.
    #[error("{node}: `reg` needs the distributor and the CPU interface, each addressable")]
    GicV2Reg {
        /// The GIC's node.
        node: String,
    },
    /// A CPU that PSCI does not start, at boot.
    #[error(
        "{node}: nothing starts this CPU, neither PSCI by SMC nor a spin table (`enable-method`, `cpu-release-addr`): correct the board's tree, or do without the CPU"
    )]
    CpuStart {
        /// The CPU's node.
        node: String,
    },
    /// More than any device or board has.
    #[error(
        "{node} makes it more registers, interrupts or dependencies than any known board has: is the tree damaged?"
    )]
    TooMuch {
        /// The node with which it became too much.
        node: String,
    },
    /// The tree's work is exhausted.
    #[error("the board's tree takes more steps to read than that of any known board: is it damaged?")]
    TooEntangled,
    /// There is no timer.
    #[error("the board's tree has no enabled `arm,armv8-timer`")]
    NoTimer,
    /// An interrupt that the GIC as Bulkhead drives it has not.
    #[error(
        "{node}: interrupt <{kind} {number}> is none that Bulkhead can hand on (SPI 0 to 987, PPI 0 to 15)"
    )]
    Interrupt {
        /// The device's node.
        node: String,
        /// The first cell of the specifier.
        kind: u32,
        /// The second cell.
        number: u32,
    },
}

impl Refusal for HardwareError {
    fn code(&self) -> Code {
        match self {
            Self::NoCpus => code::BOARD_NO_CPUS,
            Self::TooManyCpus { .. } => code::BOARD_TOO_MANY_CPUS,
            Self::CpuReg { .. } => code::BOARD_CPU_REG,
            Self::SameCpu { .. } => code::BOARD_CPU_TWICE,
            Self::NoMemory => code::BOARD_NO_MEMORY,
            Self::NoGic => code::BOARD_NO_GIC,
            Self::GicReg { .. } | Self::GicV2Reg { .. } => code::BOARD_GIC_REG,
            Self::CpuStart { .. } => code::CPU_START,
            Self::NoTimer => code::BOARD_NO_TIMER,
            Self::TooMuch { .. } | Self::TooEntangled => code::TREE_TOO_BIG,
            Self::Interrupt { .. } => code::BOARD_INTERRUPT,
        }
    }

    fn places(&self) -> Vec<Place> {
        match self {
            Self::NoCpus | Self::TooManyCpus { .. } => Vec::from([Place::board("/cpus")]),
            Self::CpuReg { node }
            | Self::GicReg { node, .. }
            | Self::GicV2Reg { node }
            | Self::TooMuch { node }
            | Self::CpuStart { node }
            | Self::Interrupt { node, .. } => Vec::from([Place::board(node)]),
            Self::SameCpu { a, b } => Vec::from([Place::board(a), Place::board(b)]),
            Self::NoMemory | Self::NoGic | Self::NoTimer | Self::TooEntangled => {
                Vec::from([Place::board("/")])
            }
        }
    }
}
