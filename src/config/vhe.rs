//! Whether EL2 runs with FEAT_VHE.

use crate::paging::Regime;

/// `vhe` of `hypervisor`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vhe {
    /// Only where the CPU leaves no choice (docs/decisions/0016-vhe.md).
    #[default]
    Auto,
    /// With it.
    On,
    /// Without it.
    Off,
}

/// What the description asks of a CPU that cannot do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VheError {
    /// `on`, without FEAT_VHE.
    #[error("/hypervisor: `vhe` is \"on\", but this CPU has no FEAT_VHE: say \"auto\" or \"off\"")]
    Missing,
    /// `off`, and HCR_EL2.E2H cannot be cleared.
    #[error(
        "/hypervisor: `vhe` is \"off\", but this CPU cannot do without (HCR_EL2.E2H is RES1): say \"auto\" or \"on\""
    )]
    Fixed,
}

/// What a CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HasVhe {
    /// HCR_EL2.E2H is RES0.
    No,
    /// It can be chosen.
    Yes,
    /// HCR_EL2.E2H is RES1.
    Always,
}

impl HasVhe {
    /// By ID_AA64MMFR1_EL1 (VH), ID_AA64MMFR4_EL1 (E2H0 is negative without FEAT_E2H0; Arm ARM D24.2.77 and D24.2.80) and what HCR_EL2 reads
    /// after E2H was written as 0, because CPUs that are older than E2H0 keep it set, too.
    pub fn of_cpu(mmfr1: u64, mmfr4: u64, hcr: u64) -> Self {
        const VH: u64 = 0xf << 8;
        const E2H0_NEGATIVE: u64 = 1 << 27;
        const E2H: u64 = 1 << 34;
        match (mmfr4 & E2H0_NEGATIVE | hcr & E2H, mmfr1 & VH) {
            (0, 0) => Self::No,
            (0, _) => Self::Yes,
            _ => Self::Always,
        }
    }

    /// The regime that EL2 is entered in: the simpler one, where there is a choice.
    pub fn at_entry(self) -> Regime {
        if self == Self::Always { Regime::El2And0 } else { Regime::El2 }
    }
}

impl Vhe {
    /// EL2's regime on this CPU.
    ///
    /// # Errors
    /// The CPU cannot do what is asked.
    pub fn regime(self, cpu: HasVhe) -> Result<Regime, VheError> {
        match (self, cpu) {
            (Self::Auto, _) => Ok(cpu.at_entry()),
            (Self::On, HasVhe::No) => Err(VheError::Missing),
            (Self::Off, HasVhe::Always) => Err(VheError::Fixed),
            (Self::On, _) => Ok(Regime::El2And0),
            (Self::Off, _) => Ok(Regime::El2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_says_what_it_has() {
        const VH: u64 = 1 << 8;
        // Cortex-A72, Cortex-A76.
        assert_eq!(HasVhe::of_cpu(0, 0, 1 << 31), HasVhe::No);
        assert_eq!(HasVhe::of_cpu(0x1021_2122, 0, 1 << 31), HasVhe::Yes);
        // E2H0 0b1111 and 0b1110: never cleared; 0b0000 is FEAT_E2H0.
        assert_eq!(HasVhe::of_cpu(VH, 0xf << 24, 1 << 31), HasVhe::Always);
        assert_eq!(HasVhe::of_cpu(VH, 0xe << 24, 1 << 31), HasVhe::Always);
        assert_eq!(HasVhe::of_cpu(VH, 0xf << 20 | 0xf << 28, 1 << 31), HasVhe::Yes);
        // A CPU from before E2H0, whose bit reads as one.
        assert_eq!(HasVhe::of_cpu(VH, 0, 1 << 34 | 1 << 31), HasVhe::Always);
    }

    #[test]
    fn the_description_has_its_way_where_the_cpu_can() {
        use HasVhe::{Always, No, Yes};
        for (vhe, cpu, regime) in [
            (Vhe::Auto, No, Ok(Regime::El2)),
            (Vhe::Auto, Yes, Ok(Regime::El2)),
            (Vhe::Auto, Always, Ok(Regime::El2And0)),
            (Vhe::On, No, Err(VheError::Missing)),
            (Vhe::On, Yes, Ok(Regime::El2And0)),
            (Vhe::On, Always, Ok(Regime::El2And0)),
            (Vhe::Off, No, Ok(Regime::El2)),
            (Vhe::Off, Yes, Ok(Regime::El2)),
            (Vhe::Off, Always, Err(VheError::Fixed)),
        ] {
            assert_eq!(vhe.regime(cpu), regime, "{vhe:?} on {cpu:?}");
        }
    }
}
