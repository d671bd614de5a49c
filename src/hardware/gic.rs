//! The interrupt controller and the CPUs' timers (Linux `arm,gic-v3.yaml`, `arm,gic.yaml`, `arm,arch_timer.yaml`).

use alloc::vec::Vec;

use super::HardwareError;
use super::interrupts::{Line, lines};
use crate::addr::{Pa, Span};
use crate::intid::Ppi;
use crate::tree::{Node, NodeId, Tree};

/// The most frames: each device is held against each.
const MAX_FRAMES: usize = 512;

/// A GICv3 or GICv4; or a GICv2, which can be planned for ([`super::Hardware::not_driven`]).
#[derive(Clone, Debug)]
pub struct Gic {
    /// Its node.
    pub node: NodeId,
    /// The distributor.
    pub gicd: Span<Pa>,
    /// A GICv2's CPU interface; from version 3 on it is system registers.
    pub gicc: Option<Span<Pa>>,
    /// The redistributor regions; a GICv2 has none.
    pub gicr: Vec<Span<Pa>>,
    /// Bytes from one redistributor to the next, where the tree says so.
    pub stride: Option<u64>,
    /// The maintenance interrupt.
    pub maintenance: Ppi,
    /// Everything that no cell may reach: all of the GIC's frames, its ITSs' and MSI frames'.
    pub frames: Vec<Span<Pa>>,
}

/// The generic timer's private interrupts. Where the tree leaves one out it is the one that Arm's Base System
/// Architecture (DEN0094) recommends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Its node.
    pub node: NodeId,
    /// EL3's physical timer.
    pub secure: Ppi,
    /// EL1's physical timer.
    pub physical: Ppi,
    /// EL1's virtual timer.
    pub virt: Ppi,
    /// EL2's physical timer.
    pub hyp_physical: Ppi,
    /// EL2's virtual timer (FEAT_VHE).
    pub hyp_virtual: Ppi,
}

/// A PPI's number (without the 16) as a specifier has it; only for the numbers below.
fn ppi(number: u32) -> Option<Ppi> {
    Ppi::new(number.wrapping_add(16))
}

pub(super) fn is_gic(node: &Node<'_, '_>) -> bool {
    node.is_compatible("arm,gic-v3") || is_v2(node)
}

fn is_v2(node: &Node<'_, '_>) -> bool {
    node.compatibles().any(|c| matches!(c, "arm,gic-400" | "arm,cortex-a15-gic"))
}

pub(super) fn read(tree: &Tree<'_>, errors: &mut Vec<HardwareError>) -> Option<Gic> {
    let Some(node) = tree.nodes().find(|n| is_gic(n) && n.is_available()) else {
        errors.push(HardwareError::NoGic);
        return None;
    };
    let v2 = is_v2(&node);
    let mut frames: Vec<_> = node.reg().collect();
    let gicd = frames.first().copied().flatten();
    // A CPU interface stands where redistributor regions do.
    let regions = if v2 { None } else { node.number("#redistributor-regions") }.unwrap_or(1);
    let mut gicr: Vec<_> = frames.iter().skip(1).take(regions as usize).copied().flatten().collect();
    let Some(gicd) = gicd.filter(|_| !gicr.is_empty() && gicr.len() == regions as usize) else {
        let error = if v2 {
            HardwareError::GicV2Reg { node: node.path() }
        } else {
            HardwareError::GicReg { node: node.path(), regions }
        };
        errors.push(error);
        return None;
    };
    let gicc = if v2 { gicr.pop() } else { None };
    node.descendants().filter(|n| n.has("msi-controller")).for_each(|n| frames.extend(n.reg()));
    if frames.len() > MAX_FRAMES {
        errors.push(HardwareError::TooMuch { node: node.path() });
        return None;
    }

    let maintenance = lines(&node, node.id()).into_iter().find_map(|line| match line {
        Line::Ppi(ppi) => Some(ppi),
        _ => None,
    });
    Some(Gic {
        node: node.id(),
        gicd,
        gicc,
        gicr,
        stride: node.prop("redistributor-stride").and_then(|p| p.u64()),
        maintenance: maintenance.or(ppi(9))?,
        frames: frames.into_iter().flatten().collect(),
    })
}

pub(super) fn is_timer(node: &Node<'_, '_>) -> bool {
    node.compatibles().any(|c| matches!(c, "arm,armv8-timer" | "arm,armv7-timer"))
}

pub(super) fn timer(tree: &Tree<'_>, gic: Option<NodeId>, errors: &mut Vec<HardwareError>) -> Option<Timer> {
    let Some(node) = tree.nodes().find(|n| is_timer(n) && n.is_available()) else {
        errors.push(HardwareError::NoTimer);
        return None;
    };
    let lines = lines(&node, gic?);
    let names: Vec<_> = node.prop("interrupt-names").iter().flat_map(|p| p.strings()).collect();
    let line = |at: usize, name: &str, default: u32| {
        let at = if names.is_empty() { Some(at) } else { names.iter().position(|n| *n == name) };
        match at.and_then(|at| lines.get(at)) {
            Some(Line::Ppi(ppi)) => Some(*ppi),
            _ => ppi(default),
        }
    };
    Some(Timer {
        node: node.id(),
        secure: line(0, "sec-phys", 13)?,
        physical: line(1, "phys", 14)?,
        virt: line(2, "virt", 11)?,
        hyp_physical: line(3, "hyp-phys", 10)?,
        hyp_virtual: line(4, "hyp-virt", 12)?,
    })
}
