//! What a device needs of others: the phandles in its properties.

use alloc::vec::Vec;

use crate::tree::{Node, NodeId, Prop};

/// A node that a device needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The node that the phandle names; it may be a part of the device that is needed.
    pub on: NodeId,
    /// For what.
    pub kind: Depends,
}

/// What is needed of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depends {
    /// A clock.
    Clock,
    /// A reset line.
    Reset,
    /// A power domain.
    Power,
    /// A regulator.
    Supply,
    /// Pins and what they are set to.
    Pins,
    /// A GPIO line.
    Gpio,
    /// Interrupts by way of this controller.
    Interrupt,
    /// Address translation.
    Iommu,
    /// A DMA channel.
    Dma,
    /// A PHY.
    Phy,
    /// A region of /reserved-memory.
    Memory,
    /// Anything else: mailboxes, PWMs, sensors, fuses.
    Other,
}

impl Depends {
    /// In a sentence: "its clock".
    pub fn name(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Reset => "reset line",
            Self::Power => "power domain",
            Self::Supply => "regulator",
            Self::Pins => "pin setting",
            Self::Gpio => "GPIO line",
            Self::Interrupt => "interrupt controller",
            Self::Iommu => "IOMMU",
            Self::Dma => "DMA channel",
            Self::Phy => "PHY",
            Self::Memory => "reserved memory",
            Self::Other => "provider",
        }
    }
}

/// How a property's value goes on after a phandle.
#[derive(Clone, Copy)]
enum Args {
    /// With another phandle.
    None,
    /// With as many cells as this property of the node says.
    Cells(&'static str),
    /// With as many cells, or none where the property is missing.
    Optional(&'static str),
    /// With this many cells.
    Count(u32),
    /// With what only its driver knows: the first phandle is all.
    Unknown,
}

fn meaning(name: &str) -> Option<(Depends, Args)> {
    let cells = |kind, cells| Some((kind, Args::Cells(cells)));
    match name {
        "clocks" | "assigned-clocks" | "assigned-clock-parents" => cells(Depends::Clock, "#clock-cells"),
        "resets" => cells(Depends::Reset, "#reset-cells"),
        "power-domains" => cells(Depends::Power, "#power-domain-cells"),
        "iommus" => cells(Depends::Iommu, "#iommu-cells"),
        "dmas" => cells(Depends::Dma, "#dma-cells"),
        "phys" => cells(Depends::Phy, "#phy-cells"),
        "mboxes" => cells(Depends::Other, "#mbox-cells"),
        "pwms" => cells(Depends::Other, "#pwm-cells"),
        "hwlocks" => cells(Depends::Other, "#hwlock-cells"),
        "io-channels" => cells(Depends::Other, "#io-channel-cells"),
        "interconnects" => cells(Depends::Other, "#interconnect-cells"),
        "thermal-sensors" => cells(Depends::Other, "#thermal-sensor-cells"),
        "sound-dai" => cells(Depends::Other, "#sound-dai-cells"),
        "nvmem-cells" => Some((Depends::Other, Args::Optional("#nvmem-cell-cells"))),
        "msi-parent" => Some((Depends::Interrupt, Args::Optional("#msi-cells"))),
        "gpio-ranges" => Some((Depends::Pins, Args::Count(3))),
        "mux-controls" => cells(Depends::Other, "#mux-control-cells"),
        "mmc-pwrseq" => Some((Depends::Power, Args::None)),
        // A part of a display or a camera, and the bus over which it is asked what it is.
        "remote-endpoint" | "ddc" | "ddc-i2c-bus" | "i2c-parent" | "firmware" | "nvmem" => {
            Some((Depends::Other, Args::None))
        }
        // Registers of another device that it sets: a syscon.
        "regmap" | "syscon" | "intf_mode" | "fsl,stop-mode" | "fsl,anatop" => {
            Some((Depends::Other, Args::Unknown))
        }
        "phy-handle" => Some((Depends::Phy, Args::None)),
        "memory-region" => Some((Depends::Memory, Args::None)),
        "nr-gpios" => None,
        _ if name.ends_with(",nr-gpios") => None,
        "gpios" | "gpio" => cells(Depends::Gpio, "#gpio-cells"),
        _ if name.ends_with("-gpios") || name.ends_with("-gpio") => cells(Depends::Gpio, "#gpio-cells"),
        _ if name.ends_with("-supply") => Some((Depends::Supply, Args::None)),
        _ => {
            let state = name.strip_prefix("pinctrl-")?;
            state.bytes().all(|b| b.is_ascii_digit()).then_some((Depends::Pins, Args::None))
        }
    }
}

/// So many no device needs.
pub(super) const MAX: usize = 512;

/// Adds what a node needs; each node once for each kind.
pub(super) fn collect(node: &Node<'_, '_>, into: &mut Vec<Dependency>) {
    let hog = node.props().iter().any(|p| p.name() == "gpio-hog");
    for prop in node.props() {
        if prop.name() == "iommu-map" {
            // Rows of four: requester ID, IOMMU, its ID, how many.
            let iommus = prop.cells().skip(1).step_by(4);
            iommus.filter_map(|p| node.tree().phandle(p)).for_each(|on| add(&on, Depends::Iommu, into));
        }
        // A hog's lines are its parent's own.
        if let Some((kind, args)) = meaning(prop.name()).filter(|_| !(hog && prop.name() == "gpios")) {
            phandles(node, prop, args, kind, into);
        }
    }
}

fn phandles(node: &Node<'_, '_>, prop: &Prop<'_>, args: Args, kind: Depends, into: &mut Vec<Dependency>) {
    let mut cells = prop.cells();
    while let Some(phandle) = cells.next() {
        // 0 and all ones hold the place of an entry that is not there.
        if phandle == 0 || phandle == u32::MAX {
            continue;
        }
        let Some(on) = node.tree().phandle(phandle).filter(|_| node.tree().spend(into.len() / 8)) else {
            return;
        };
        add(&on, kind, into);
        let size = |name| on.number(name);
        let size = match args {
            Args::None => Some(0),
            Args::Cells(name) => size(name),
            Args::Count(cells) => Some(cells),
            Args::Unknown => None,
            Args::Optional(name) => Some(size(name).unwrap_or(0)),
        };
        if size.and_then(|size| cells.take_bytes(size)).is_none() {
            return;
        }
    }
}

pub(super) fn add(on: &Node<'_, '_>, kind: Depends, into: &mut Vec<Dependency>) {
    let dependency = Dependency { on: on.id(), kind };
    if into.len() < MAX && !into.contains(&dependency) {
        into.push(dependency);
    }
}
