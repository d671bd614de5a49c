//! CPUs, and the firmware that starts them (Devicetree Specification 3.8; Linux `arm/cpus.yaml`, `arm/psci.yaml`).

use alloc::vec::Vec;

use super::HardwareError;
use crate::addr::{PAGE, Pa, Span};
use crate::cpu::{Affinity, MAX_CPUS, PcpuId};
use crate::tree::{Node, NodeId, Tree};

/// A physical CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Its number.
    pub id: PcpuId,
    /// Its node.
    pub node: NodeId,
    /// Its affinity.
    pub affinity: Affinity,
    /// How it is started.
    pub start: Start,
}

/// How a CPU is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// By firmware's CPU_ON.
    Psci,
    /// By an address stored here. `arch` does not do that yet: it starts CPUs by PSCI.
    SpinTable(Pa),
    /// The tree names no way that Bulkhead knows; a tree with one CPU needs none.
    Unknown,
}

/// Firmware that speaks PSCI (Arm DEN0022F).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Psci {
    /// Its node.
    pub node: NodeId,
    /// The instruction that calls it.
    pub conduit: Conduit,
}

/// The instruction that calls firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduit {
    /// SMC, to EL3.
    Smc,
    /// HVC: something runs below us.
    Hvc,
}

pub(super) fn read(tree: &Tree<'_>, errors: &mut Vec<HardwareError>) -> Vec<Cpu> {
    let (mut cpus, mut count) = (Vec::<Cpu>::new(), 0_usize);
    for node in tree.below("/cpus") {
        if !is_cpu(&node) || !is_usable(&node) {
            continue;
        }
        count = count.saturating_add(1);
        if count > MAX_CPUS {
            continue;
        }
        let reg = node.prop("reg").and_then(|p| p.u64()).and_then(Affinity::new);
        let Some(affinity) = reg else {
            errors.push(HardwareError::CpuReg { node: node.path() });
            continue;
        };
        if let Some(same) = cpus.iter().find(|cpu| cpu.affinity == affinity) {
            errors.push(HardwareError::SameCpu { a: tree.node(same.node).path(), b: node.path() });
        }
        let id = PcpuId(u8::try_from(cpus.len()).unwrap_or(u8::MAX));
        cpus.push(Cpu { id, node: node.id(), affinity, start: start(&node) });
    }
    if count == 0 {
        errors.push(HardwareError::NoCpus);
    } else if count > MAX_CPUS {
        errors.push(HardwareError::TooManyCpus { count });
    }
    cpus
}

fn is_cpu(node: &Node<'_, '_>) -> bool {
    node.base_name() == "cpu" || node.says("device_type", "cpu")
}

/// A CPU that is `disabled` but has an enable-method only waits to be started (Devicetree Specification 3.8.1).
fn is_usable(node: &Node<'_, '_>) -> bool {
    let disabled = node.says("status", "disabled");
    node.is_available() || disabled && node.has("enable-method")
}

fn start(node: &Node<'_, '_>) -> Start {
    let method = node.prop("enable-method").and_then(|p| p.strings().next());
    match (method, node.prop("cpu-release-addr").and_then(|p| p.u64())) {
        (Some("psci"), _) => Start::Psci,
        (Some("spin-table"), Some(at)) => Start::SpinTable(Pa(at)),
        _ => Start::Unknown,
    }
}

pub(super) fn psci(tree: &Tree<'_>) -> Option<Psci> {
    let speaks = |n: &Node<'_, '_>| {
        n.is_available() && n.compatibles().any(|c| c == "arm,psci" || c.starts_with("arm,psci-"))
    };
    // It stands under the root, or under /firmware.
    let node = tree.below("/").find(speaks).or_else(|| tree.below("/firmware").find(speaks))?;
    let conduit = match node.prop("method")?.str()? {
        "smc" => Conduit::Smc,
        "hvc" => Conduit::Hvc,
        _ => return None,
    };
    Some(Psci { node: node.id(), conduit })
}

/// What firmware keeps: what the tree reserves, and where CPUs wait, whether that is reserved or not.
pub(super) fn firmware(tree: &Tree<'_>, cpus: &[Cpu]) -> Vec<Span<Pa>> {
    let mut kept = tree.reservations().to_vec();
    for cpu in cpus {
        let Start::SpinTable(at) = cpu.start else { continue };
        let page = Span::new(at, 8).and_then(|word| word.widened_to(PAGE));
        kept.extend(page.filter(|page| !kept.iter().any(|span| span.covers(page))));
    }
    kept
}
