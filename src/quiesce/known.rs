//! The table of masters that can be stopped.

use super::Reach;
use crate::ports::{Registers, Width};
use crate::tree::Node;

/// How a master is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It does nothing once no CPU asks.
    Nothing,
    /// A PCI host whose first bus has this number: every function behind it.
    Ecam(u8),
    /// A virtio device by MMIO.
    VirtioMmio,
    /// An SMMUv3, which walks tables and writes queues.
    SmmuV3,
}

/// By `compatible`. A row is a promise: what it says is in a public document.
const TABLE: &[(&str, Stop)] = &[
    // The binding (pci/host-generic-pci.yaml): `reg` is the configuration space, from the first bus of `bus-range` on.
    ("pci-host-ecam-generic", Stop::Ecam(0)),
    // QEMU, docs/specs/fw_cfg.rst: a transfer is over when the store that began it is; so QEMU does it in all versions.
    ("qemu,fw-cfg-mmio", Stop::Nothing),
    // Virtual I/O Device 1.2, 4.2.2.
    ("virtio,mmio", Stop::VirtioMmio),
    // IHI 0070, 6.3.
    ("arm,smmu-v3", Stop::SmmuV3),
];

/// How this master is stopped; `None` if nothing is known.
pub(super) fn stop(node: &Node<'_, '_>) -> Option<Stop> {
    let known = |compatible| TABLE.iter().find(|(name, _)| *name == compatible).map(|(_, stop)| *stop);
    match node.compatibles().find_map(known)? {
        Stop::Ecam(_) => {
            let first = node.prop("bus-range").and_then(|range| range.cells().next()).unwrap_or(0);
            u8::try_from(first).ok().map(Stop::Ecam)
        }
        stop => Some(stop),
    }
}

/// Translation, queues and interrupts by message off (IHI 0070 6.3.9 SMMU_CR0, 6.3.10 SMMU_CR0ACK, 6.3.20 SMMU_IRQ_CTRL, 6.3.21
/// SMMU_IRQ_CTRLACK: an acknowledged 0 says that what was under way has ended).
pub(super) fn stop_smmu(smmu: &dyn Registers, reach: &dyn Reach) -> bool {
    [(0x50, 0x54), (0x20, 0x24)].into_iter().all(|(control, acknowledge)| {
        smmu.write(control, Width::Word, 0);
        reach.until(&mut || smmu.read(acknowledge, Width::Word) == 0)
    })
}
