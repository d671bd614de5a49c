//! Register offsets (IHI 0069H, 12.8 to 12.11; of a GICv2, which has most of them at the same place, IHI 0048B 4.1.2). A redistributor's SGI_base registers have the offsets of their
//! distributor namesakes, 64 KiB on.

pub(super) const GICD_CTLR: u32 = 0x0000;
pub(super) const GICD_TYPER: u32 = 0x0004;
pub(super) const GICD_IIDR: u32 = 0x0008;
pub(super) const GICD_SETSPI_NSR: u32 = 0x0040;
pub(super) const GICD_CLRSPI_NSR: u32 = 0x0048;
pub(super) const IGROUPR: u32 = 0x0080;
pub(super) const ISENABLER: u32 = 0x0100;
pub(super) const ICENABLER: u32 = 0x0180;
pub(super) const ISPENDR: u32 = 0x0200;
pub(super) const ICPENDR: u32 = 0x0280;
pub(super) const ISACTIVER: u32 = 0x0300;
pub(super) const ICACTIVER: u32 = 0x0380;
pub(super) const IPRIORITYR: u32 = 0x0400;
pub(super) const ITARGETSR: u32 = 0x0800;
pub(super) const ICFGR: u32 = 0x0c00;
pub(super) const GICD_SGIR: u32 = 0x0f00;
pub(super) const CPENDSGIR: u32 = 0x0f10;
pub(super) const SPENDSGIR: u32 = 0x0f20;
/// Where a GICv2's 4 KiB have what stands at [`PIDR2`] in 64.
pub(super) const ICPIDR2: u32 = 0x0fe8;
pub(super) const GICD_ICENABLER_E: u32 = 0x1400;
pub(super) const GICD_IROUTER: u32 = 0x6000;
pub(super) const PIDR2: u32 = 0xffe8;

pub(super) const GICR_CTLR: u32 = 0x0000;
pub(super) const GICR_IIDR: u32 = 0x0004;
pub(super) const GICR_TYPER: u32 = 0x0008;
pub(super) const GICR_WAKER: u32 = 0x0014;
pub(super) const SGI_BASE: u32 = 0x1_0000;

/// GICD_CTLR.EnableGrp1 with DS=1, EnableGrp1A as the Non-secure side sees it with DS=0 (IHI 0069H 12.9.4).
pub(super) const CTLR_ENABLE_GRP1: u32 = 1 << 1;
/// GICD_CTLR.EnableGrp0 of a GICv2 without a second Security state; with one, what the Non-secure side sees there is EnableGrp1
/// (IHI 0048B 4.3.1).
pub(super) const V2_CTLR_ENABLE: u32 = 1 << 0;
/// GICD_CTLR.ARE, ARE_NS.
pub(super) const CTLR_ARE: u32 = 1 << 4;
/// GICD_CTLR.DS.
pub(super) const CTLR_DS: u32 = 1 << 6;
/// GICD_CTLR.RWP.
pub(super) const CTLR_RWP: u32 = 1 << 31;
/// GICR_CTLR.EnableLPIs.
pub(super) const RD_CTLR_ENABLE_LPIS: u32 = 1 << 0;
/// GICR_CTLR.RWP.
pub(super) const RD_CTLR_RWP: u32 = 1 << 3;
/// GICR_CTLR.UWP.
pub(super) const RD_CTLR_UWP: u32 = 1 << 31;
/// GICR_WAKER.ProcessorSleep.
pub(super) const WAKER_PROCESSOR_SLEEP: u32 = 1 << 1;
/// GICR_WAKER.ChildrenAsleep.
pub(super) const WAKER_CHILDREN_ASLEEP: u32 = 1 << 2;
