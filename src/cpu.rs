//! CPUs as the machine, as Bulkhead and as a cell number them.

use core::fmt;

/// The most CPUs of a machine that Bulkhead uses.
pub const MAX_CPUS: usize = 64;

/// A physical CPU: its place among the CPU nodes of the board's tree, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PcpuId(pub u8);

/// A virtual CPU: its number in its cell, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VcpuId(pub u8);

/// A cell: its place among the cells of the description, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellId(pub u8);

impl PcpuId {
    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl VcpuId {
    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The affinity that the cell sees for this vCPU: 16 to an Aff1 cluster, so that one SGI target list
    /// (ICC_SGI1R_EL1, IHI 0069H 12.2) reaches the whole of a cluster.
    pub fn affinity(self) -> Affinity {
        Affinity(u64::from(self.0 & 15) | u64::from(self.0 >> 4) << 8)
    }

    /// The vCPU that [`VcpuId::affinity`] gives this affinity.
    #[inline(always)]
    pub fn from_affinity(affinity: Affinity) -> Option<Self> {
        let [aff0, aff1, aff2, aff3] = affinity.levels();
        (aff0 < 16 && aff1 < 4 && aff2 == 0 && aff3 == 0).then_some(Self(aff1 << 4 | aff0))
    }
}

impl CellId {
    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for PcpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPU {}", self.0)
    }
}

/// The affinity fields of MPIDR_EL1 (Arm ARM D24.2.117) without its RES1, U and MT bits: as PSCI and the
/// `reg` of a CPU node have it. Aff0 to Aff2 in bits 0 to 23, Aff3 in bits 32 to 39.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Affinity(u64);

impl Affinity {
    const FIELDS: u64 = 0xff_00ff_ffff;

    /// The affinity in an MPIDR_EL1; the other bits are dropped.
    pub fn of_mpidr(mpidr: u64) -> Self {
        Self(mpidr & Self::FIELDS)
    }

    /// An affinity from outside: `None` if a bit is set where no affinity field is.
    pub fn new(value: u64) -> Option<Self> {
        (value & !Self::FIELDS == 0).then_some(Self(value))
    }

    /// The value, as PSCI passes it.
    pub fn get(self) -> u64 {
        self.0
    }

    /// Aff0, Aff1, Aff2, Aff3.
    pub fn levels(self) -> [u8; 4] {
        [self.0 as u8, (self.0 >> 8) as u8, (self.0 >> 16) as u8, (self.0 >> 32) as u8]
    }

    /// As GICR_TYPER.Affinity_Value packs it: Aff3 in the top byte of 32 bits.
    pub fn packed(self) -> u32 {
        (self.0 & 0xff_ffff) as u32 | ((self.0 >> 32) as u32 & 0xff) << 24
    }
}

/// A CPU as a write to ICC_SGI1R_EL1 names it, by Aff3, Aff2, Aff1, RS and TargetList (IHI 0069H 12.2.18), or one to GICD_SGIR, by
/// CPUTargetList (IHI 0048B 4.3.15). It is worked out once, since SGIs are sent often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SgiTarget(u64);

impl SgiTarget {
    /// The CPU with this affinity.
    pub fn new(affinity: Affinity) -> Self {
        let Affinity(affinity) = affinity;
        let [list, range] = [1 << (affinity & 0xf), affinity >> 4 & 0xf];
        Self((affinity & !0xffff) << 16 | range << 44 | (affinity & 0xff00) << 8 | list)
    }

    /// Those whose CPU interfaces in a GICv2 have these bits.
    pub fn of_interfaces(mask: u8) -> Self {
        Self(u64::from(mask) << 16)
    }

    /// The bits of their CPU interfaces in a GICv2.
    pub fn interfaces(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// What [`SgiTarget::get`] gave.
    pub(crate) fn from_raw(value: u64) -> Self {
        Self(value)
    }

    /// The register's value, but for the INTID.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Affinity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A set of CPUs by number, physical or virtual as the place says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuSet(pub u64);

impl CpuSet {
    /// The set with these numbers; those of 64 and above are no members.
    pub fn of(ids: impl IntoIterator<Item = usize>) -> Self {
        Self(ids.into_iter().filter(|id| *id < MAX_CPUS).fold(0, |set, id| set | 1 << id))
    }

    /// Whether the number is in.
    pub fn contains(self, id: usize) -> bool {
        id < MAX_CPUS && self.0 >> id & 1 == 1
    }

    /// Whether nothing is in.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many are in.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The members in rising order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..MAX_CPUS).filter(move |id| self.contains(*id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vcpu_and_its_affinity_go_both_ways() {
        for id in 0..MAX_CPUS as u8 {
            assert_eq!(VcpuId::from_affinity(VcpuId(id).affinity()), Some(VcpuId(id)));
        }
        for wrong in [16, 0x400, 0x1_0000, 1 << 32] {
            assert_eq!(VcpuId::from_affinity(Affinity::new(wrong).unwrap()), None);
        }
    }

    #[test]
    fn an_affinity_drops_what_is_not_affinity() {
        assert_eq!(Affinity::of_mpidr(0x81_c100_0203).get(), 0x81_0000_0203);
        assert_eq!(Affinity::new(0x8000_0000), None);
        assert_eq!(Affinity::new(0x12_0034_5678).unwrap().packed(), 0x1234_5678);
        assert_eq!(SgiTarget::new(Affinity::new(0x12_0034_5678).unwrap()).get(), 0x0012_7034_0056_0100);
    }

    #[test]
    fn a_cpu_set_counts_and_lists() {
        let set = CpuSet::of([0, 3, 63, 64]);
        assert_eq!((set.len(), set.iter().collect::<Vec<_>>()), (3, vec![0, 3, 63]));
        assert!(!set.contains(64) && !set.is_empty());
    }
}
