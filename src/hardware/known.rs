//! What the `compatible` of a device says about it.

use crate::tree::Node;

/// Whether a node only describes something that nobody operates: a crystal, a fixed supply, a bus that needs no
/// driver. Every cell that needs it gets a copy.
pub fn is_passive(node: &Node<'_, '_>) -> bool {
    let mut compatibles = node.compatibles();
    let Some(first) = compatibles.next() else { return false };
    // A `simple-bus` needs no driver; its `reg`, where it has one, only says where its children are.
    let bus = first == "simple-bus" || compatibles.any(|c| c == "simple-bus");
    let by_gpio = || node.props().iter().any(|p| p.name().ends_with("gpio") || p.name().ends_with("gpios"));
    bus || PASSIVE.contains(&first) || SWITCHED.contains(&first) && !by_gpio()
}

/// Fixed, unless a GPIO line switches them.
const SWITCHED: &[&str] = &["regulator-fixed", "gpio-gate-clock"];

const PASSIVE: &[&str] = &[
    "fixed-clock",
    "fixed-factor-clock",
    "fixed-partitions",
    "operating-points-v2",
    "simple-pm-bus",
    "usb-nop-xceiv",
];

/// Whether a CPU with this `compatible` is known to have no FEAT_VHE: those of Armv8.0. Cortex-A57 is left out, for QEMU's `max` gives itself
/// that name; boot asks the CPU.
pub fn is_without_vhe(compatible: &str) -> bool {
    matches!(
        compatible,
        "arm,cortex-a34"
            | "arm,cortex-a35"
            | "arm,cortex-a53"
            | "arm,cortex-a72"
            | "arm,cortex-a73"
            | "brcm,brahma-b53"
    )
}

/// Whether a device with these registers never reads or writes memory on its own account.
/// What is not known to be harmless is not.
pub fn is_no_master(node: &Node<'_, '_>) -> bool {
    node.compatibles().any(|c| NO_MASTERS.binary_search(&c).is_ok())
}

/// Sorted. `arm,primecell` and `syscon` do not stand here: DMA controllers say that of themselves, too.
const NO_MASTERS: &[&str] = &[
    "arm,armv7-timer-mem",
    "arm,armv8-pmuv3",
    "arm,cortex-a53-pmu",
    "arm,cortex-a72-pmu",
    "arm,mhu",
    "arm,pl011",
    "arm,pl022",
    "arm,pl031",
    "arm,pl050",
    "arm,pl061",
    "arm,sbsa-gwdt",
    "arm,sbsa-uart",
    "arm,sp804",
    "arm,sp805",
    "brcm,bcm2711-avs-monitor",
    "brcm,bcm2711-gpio",
    "brcm,bcm2711-rng200",
    "brcm,bcm2835-aux",
    "brcm,bcm2835-aux-uart",
    "brcm,bcm2835-cprman",
    "brcm,bcm2835-gpio",
    "brcm,bcm2835-i2c",
    "brcm,bcm2835-pm",
    "brcm,bcm2835-pwm",
    "brcm,bcm2835-spi",
    "brcm,bcm2835-system-timer",
    "cfi-flash",
    "fsl,imx21-i2c",
    "fsl,imx21-wdt",
    "fsl,imx27-pwm",
    "fsl,imx35-gpio",
    "fsl,imx51-ecspi",
    "fsl,imx6q-uart",
    "fsl,imx6sx-mu",
    "fsl,imx8mm-tmu",
    "fsl,imx8mp-anatop",
    "fsl,imx8mp-ccm",
    "fsl,imx8mp-gpc",
    "fsl,imx8mp-iomuxc",
    "fsl,imx8mp-iomuxc-gpr",
    "fsl,imx8mp-ocotp",
    "fsl,imx8mp-src",
    "fsl,imx8mp-tmu",
    "mmio-sram",
    "ns16550a",
    "nxp,sysctr-timer",
    "snps,dw-apb-uart",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(NO_MASTERS.is_sorted());
    }
}
