//! Power calls, PSCI 1.1 (DEN0022F): decoded here, performed by [`crate::trap`] and [`crate::cell`].

use crate::addr::Ipa;
use crate::cpu::{Affinity, VcpuId};
use crate::smccc;
use crate::vcpu::Frame;

#[cfg(test)]
mod tests;

/// What PSCI_VERSION answers: 1.1.
pub const VERSION: u64 = 0x1_0001;
/// What MIGRATE_INFO_TYPE answers: no Trusted OS that would have to move.
pub const MIGRATE_NOT_REQUIRED: u64 = 2;

/// Function IDs (DEN0022F 5.1). Those with bit 30 take 64-bit arguments (SMC64).
pub mod function {
    /// The SMC64 form of a function.
    pub const SMC64: u32 = 1 << 30;
    /// PSCI_VERSION.
    pub const VERSION: u32 = 0x8400_0000;
    /// CPU_SUSPEND.
    pub const CPU_SUSPEND: u32 = 0x8400_0001;
    /// CPU_OFF.
    pub const CPU_OFF: u32 = 0x8400_0002;
    /// CPU_ON.
    pub const CPU_ON: u32 = 0x8400_0003;
    /// AFFINITY_INFO.
    pub const AFFINITY_INFO: u32 = 0x8400_0004;
    /// MIGRATE_INFO_TYPE.
    pub const MIGRATE_INFO_TYPE: u32 = 0x8400_0006;
    /// SYSTEM_OFF.
    pub const SYSTEM_OFF: u32 = 0x8400_0008;
    /// SYSTEM_RESET.
    pub const SYSTEM_RESET: u32 = 0x8400_0009;
    /// PSCI_FEATURES.
    pub const FEATURES: u32 = 0x8400_000a;
    /// SYSTEM_RESET2.
    pub const SYSTEM_RESET2: u32 = 0x8400_0012;
    /// CPU_SUSPEND, SMC64.
    pub const CPU_SUSPEND_64: u32 = CPU_SUSPEND | SMC64;
    /// CPU_ON, SMC64.
    pub const CPU_ON_64: u32 = CPU_ON | SMC64;
    /// AFFINITY_INFO, SMC64.
    pub const AFFINITY_INFO_64: u32 = AFFINITY_INFO | SMC64;
    /// SYSTEM_RESET2, SMC64.
    pub const SYSTEM_RESET2_64: u32 = SYSTEM_RESET2 | SMC64;
}

/// An error code (DEN0022F 5.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum PsciError {
    /// NOT_SUPPORTED, which is SMCCC's unknown function too.
    NotSupported = -1,
    /// INVALID_PARAMETERS.
    InvalidParameters = -2,
    /// DENIED.
    Denied = -3,
    /// ALREADY_ON.
    AlreadyOn = -4,
    /// ON_PENDING.
    OnPending = -5,
    /// INTERNAL_FAILURE: the physical CPU never came up.
    InternalFailure = -6,
    /// INVALID_ADDRESS.
    InvalidAddress = -9,
}

impl PsciError {
    /// As x0 has it: sign-extended.
    pub fn code(self) -> u64 {
        i64::from(self as i8) as u64
    }
}

/// A call that can be performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// PSCI_VERSION.
    Version,
    /// CPU_SUSPEND to a standby state.
    Standby,
    /// CPU_OFF.
    Off,
    /// CPU_ON. The entry is aligned; whether it lies in RAM is for the cell to say.
    On {
        /// Who.
        target: VcpuId,
        /// Its first instruction.
        entry: Ipa,
        /// Its x0.
        context: u64,
    },
    /// AFFINITY_INFO of one vCPU.
    AffinityInfo(VcpuId),
    /// MIGRATE_INFO_TYPE.
    MigrateInfoType,
    /// SYSTEM_OFF.
    SystemOff,
    /// SYSTEM_RESET, or SYSTEM_RESET2 with the warm reset: a cell knows one kind of reset, and memory does not outlive it.
    SystemReset,
    /// PSCI_FEATURES of something that is there: the flags.
    Features(u64),
}

/// The guest's arguments: an SMC32 call has 32 bits of each, whatever stands above (DEN0028E 3.1).
struct Args<'a> {
    frame: &'a Frame,
    wide: bool,
}

impl Args<'_> {
    fn word(&self, n: u8) -> u32 {
        self.frame.get(n) as u32
    }
    fn get(&self, n: u8) -> u64 {
        if self.wide { self.frame.get(n) } else { u64::from(self.word(n)) }
    }
    #[inline(always)]
    fn vcpu(&self, n: u8, vcpus: impl FnOnce() -> usize) -> Result<VcpuId, PsciError> {
        Affinity::new(self.get(n))
            .and_then(VcpuId::from_affinity)
            .filter(|vcpu| vcpu.index() < vcpus())
            .ok_or(PsciError::InvalidParameters)
    }
}

/// Decodes the call whose function ID is in W0, in a cell with this many vCPUs (which few calls ask).
#[inline(always)]
pub fn decode(frame: &Frame, vcpus: impl FnOnce() -> usize) -> Result<Call, PsciError> {
    use function::*;
    let id = frame.get(0) as u32;
    let args = Args { frame, wide: id & SMC64 != 0 };
    match id {
        VERSION => Ok(Call::Version),
        CPU_SUSPEND | CPU_SUSPEND_64 => suspend(args.word(1)),
        CPU_OFF => Ok(Call::Off),
        CPU_ON | CPU_ON_64 => {
            let target = args.vcpu(1, vcpus)?;
            let entry = args.get(2);
            if entry & 3 != 0 {
                return Err(PsciError::InvalidAddress);
            }
            Ok(Call::On { target, entry: Ipa(entry), context: args.get(3) })
        }
        AFFINITY_INFO | AFFINITY_INFO_64 => match args.word(2) {
            0 => args.vcpu(1, vcpus).map(Call::AffinityInfo),
            // Levels above 0 are optional from PSCI 1.0 on.
            _ => Err(PsciError::InvalidParameters),
        },
        MIGRATE_INFO_TYPE => Ok(Call::MigrateInfoType),
        SYSTEM_OFF => Ok(Call::SystemOff),
        SYSTEM_RESET => Ok(Call::SystemReset),
        SYSTEM_RESET2 | SYSTEM_RESET2_64 => match args.word(1) {
            // SYSTEM_WARM_RESET, the one architectural type; no vendor types.
            0 => Ok(Call::SystemReset),
            _ => Err(PsciError::InvalidParameters),
        },
        FEATURES => features(args.word(1)).map(Call::Features),
        _ => Err(PsciError::NotSupported),
    }
}

/// The power_state of CPU_SUSPEND in its original format (DEN0022F 5.4.2): StateID 15:0, StateType 16, PowerLevel 25:24.
/// A cell has standby alone, at any level; its tree names no deeper state.
fn suspend(power_state: u32) -> Result<Call, PsciError> {
    const STATE_ID: u32 = 0xffff;
    const POWER_LEVEL: u32 = 3 << 24;
    if power_state & !(STATE_ID | POWER_LEVEL) != 0 {
        return Err(PsciError::InvalidParameters);
    }
    Ok(Call::Standby)
}

/// The flags of a function that is there. For CPU_SUSPEND: original power_state format, platform-coordinated.
fn features(id: u32) -> Result<u64, PsciError> {
    use function::*;
    match id {
        VERSION
        | CPU_SUSPEND
        | CPU_SUSPEND_64
        | CPU_OFF
        | CPU_ON
        | CPU_ON_64
        | AFFINITY_INFO
        | AFFINITY_INFO_64
        | MIGRATE_INFO_TYPE
        | SYSTEM_OFF
        | SYSTEM_RESET
        | FEATURES
        | SYSTEM_RESET2
        | SYSTEM_RESET2_64
        | smccc::SMCCC_VERSION => Ok(0),
        _ => Err(PsciError::NotSupported),
    }
}
