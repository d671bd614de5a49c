//! The interrupt controller and the CPUs' timers (Linux `arm,gic-v3.yaml`, `arm,gic.yaml`, `arm,arch_timer.yaml`).

use alloc::vec::Vec;

use super::HardwareError;
use super::interrupts::{Line, lines};
use crate::addr::{Pa, Span};
use crate::intid::Ppi;
use crate::ports::GicVersion;
use crate::tree::{Node, NodeId, Tree};
use crate::vcpu::InterruptMode;

/// Bytes of a GICv2's CPU interface (IHI 0048B 4.1.3), GICC_DIR on a page of its own.
const INTERFACE: u64 = 0x2000;

/// The most frames: each device is held against each.
const MAX_FRAMES: usize = 512;

/// A GICv3 or GICv4; or a GICv2.
#[derive(Clone, Debug)]
pub struct Gic {
    /// Its node.
    pub node: NodeId,
    /// The distributor.
    pub gicd: Span<Pa>,
    /// A GICv2's CPU interface; from version 3 on it is system registers.
    pub gicc: Option<Span<Pa>>,
    /// A GICv2's virtual interface control, and the CPU interface that a guest sees. One without them can run cells with
    /// `interrupt-mode = "direct"` alone.
    pub virt: Option<(Span<Pa>, Span<Pa>)>,
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
    let (mut gicd, mut gicr, mut frames) = (None, Vec::new(), Vec::new());
    // A CPU interface stands where redistributor regions do.
    let regions = if v2 { None } else { node.number("#redistributor-regions") }.unwrap_or(1);
    for (at, entry) in (0..).zip(node.reg()) {
        match entry {
            Some(span) if at == 0 => gicd = Some(span),
            Some(span) if at <= regions => gicr.push(span),
            _ => {}
        }
        push(&mut frames, entry);
    }
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
    let mut further = node.reg().skip(2);
    let virt = further.next().flatten().zip(further.next().flatten()).filter(|_| v2);
    for below in node.descendants() {
        if below.has("msi-controller") {
            below.reg().for_each(|entry| push(&mut frames, entry));
        }
    }
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
        virt,
        gicr,
        stride: node.prop("redistributor-stride").and_then(|p| p.u64()),
        maintenance: maintenance.or(ppi(9))?,
        frames,
    })
}

/// The two pages of a CPU interface in its region. Some boards repeat each page of it sixteen times, so that guests with pages of 64 KiB
/// can have it: there the two pages touch where the repetitions of the first end.
fn interface(region: Span<Pa>) -> Option<Span<Pa>> {
    const REPEATED: u64 = 0x2_0000;
    const LAST_OF_FIRST: u64 = 0xf000;
    let skip = if region.size() >= REPEATED { LAST_OF_FIRST } else { 0 };
    Span::new(region.start().checked_add(skip)?, INTERFACE)
}

impl Gic {
    /// What a cell whose interrupts come in this way finds as its CPU interface: the physical one, or that of the virtual
    /// interface; `None` where it is no memory, or is not there.
    pub fn interface(&self, mode: InterruptMode) -> Option<Span<Pa>> {
        interface(match mode {
            InterruptMode::Virtual => self.virt?.1,
            InterruptMode::Direct { .. } => self.gicc?,
        })
    }

    /// Whether a cell whose interrupts come in this way can run: a GICv2 without its virtual interface has none that are virtual.
    pub fn has(&self, mode: InterruptMode) -> bool {
        self.version() == GicVersion::V3 || self.interface(mode).is_some()
    }

    /// EL2's own CPU interface and virtual interface control, of a GICv2.
    pub fn own_interface(&self) -> Option<(Span<Pa>, Option<Span<Pa>>)> {
        Some((interface(self.gicc?)?, self.virt.map(|(gich, _)| gich)))
    }

    /// Its architecture.
    pub fn version(&self) -> GicVersion {
        if self.gicc.is_some() { GicVersion::V2 } else { GicVersion::V3 }
    }
}

fn push(frames: &mut Vec<Span<Pa>>, entry: Option<Span<Pa>>) {
    if let Some(span) = entry {
        frames.push(span);
    }
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
