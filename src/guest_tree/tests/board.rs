//! The board.

use crate::tree::sample::{Sample, node};

fn cpus() -> Sample {
    let cpu = |name: &str, reg: u32, phandle: u32, cache: u32| {
        node(name)
            .text("device_type", ["cpu"])
            .text("compatible", ["arm,cortex-a53"])
            .cells("reg", [0, reg])
            .text("enable-method", ["spin-table"])
            .cells("cpu-release-addr", [0, 0xd8])
            .cells("cpu-idle-states", [0x30])
            .cells("operating-points-v2", [0x31])
            .cells("clocks", [4, 1])
            .cells("capacity-dmips-mhz", [485])
            .cells("next-level-cache", [cache])
            .cells("phandle", [phandle])
    };
    let cache = |name: &str, phandle: u32| {
        node(name).text("compatible", ["cache"]).cells("cache-level", [2]).cells("phandle", [phandle])
    };
    let core = |name: &str, cpu: u32| node(name).cells("cpu", [cpu]);
    node("cpus")
        .cells("#address-cells", [2])
        .cells("#size-cells", [0])
        .child(
            node("cpu-map")
                .child(node("cluster0").child(core("core0", 0x10)).child(core("core1", 0x11)))
                .child(node("cluster1").child(core("core0", 0x12)).child(core("core1", 0x13))),
        )
        .child(cpu("cpu@0", 0, 0x10, 0x20))
        .child(cpu("cpu@1", 1, 0x11, 0x20))
        .child(cpu("cpu@100", 0x100, 0x12, 0x21))
        .child(cpu("cpu@101", 0x101, 0x13, 0x21))
        .child(cache("l2-cache0", 0x20))
        .child(cache("l2-cache1", 0x21))
        .child(node("idle-states").child(node("sleep").text("compatible", ["arm,idle-state"])))
}

fn soc() -> Sample {
    let device = |name: &str, compatible: &str, at: u32| {
        node(name).text("compatible", [compatible]).cells("reg", [at, 0x1000])
    };
    node("soc")
        .text("compatible", ["simple-bus"])
        .cells("#address-cells", [1])
        .cells("#size-cells", [1])
        .cells("ranges", [0, 0, 0, 0x4000_0000])
        .child(
            device("clock-controller@9100000", "test,ccm", 0x910_0000)
                .cells("#clock-cells", [1])
                .cells("phandle", [4]),
        )
        .child(
            device("serial@9000000", "arm,pl011", 0x900_0000)
                .cells("clocks", [3])
                .cells("interrupts", [0, 1, 4]),
        )
        .child(
            node("serial@9005040")
                .text("compatible", ["brcm,bcm2835-aux-uart"])
                .cells("reg", [0x900_5040, 0x40])
                .cells("interrupts", [0, 61, 4])
                .cells("clocks", [4, 1])
                .cells("pinctrl-0", [7])
                .cells("phandle", [0x41]),
        )
        .child(
            device("serial@9040000", "arm,pl011", 0x904_0000)
                .cells("interrupts", [0, 8, 4])
                .cells("clocks", [3, 4, 7])
                .cells("pinctrl-0", [7])
                .cells("memory-region", [0x40])
                .cells("phandle", [6]),
        )
        .child(
            device("gpio@9030000", "arm,pl061", 0x903_0000).cells("#gpio-cells", [2]).cells("phandle", [5]),
        )
        .child(
            device("pinctrl@9050000", "test,pins", 0x905_0000)
                .child(node("uart-pins").cells("pins", [1, 2]).cells("phandle", [7])),
        )
        .child(
            device("mmc@9060000", "test,mmc", 0x906_0000).text("status", ["disabled"]).cells("phandle", [8]),
        )
        .child(
            device("gpu@9070000", "test,gpu", 0x907_0000)
                .cells("phys", [8])
                .cells("operating-points-v2", [0x32])
                .cells("iommus", [2, 1])
                .cells("msi-parent", [2])
                .cells("msi-map", [0, 2, 0, 0x1_0000])
                .cells("msi-map-mask", [0xffff]),
        )
        .child(
            device("i2c@9080000", "test,i2c", 0x908_0000)
                .cells("#address-cells", [1])
                .cells("#size-cells", [0])
                .child(
                    node("rtc@68")
                        .text("compatible", ["test,rtc"])
                        .cells("reg", [0x68])
                        .cells("interrupts", [1]),
                ),
        )
}

/// A board with two clusters, devices behind a bus, and what boards have that guests must not see.
pub(super) fn board() -> Sample {
    let opp = |name: &str, phandle: u32| {
        node(name).text("compatible", ["operating-points-v2"]).cells("phandle", [phandle])
    };
    node("")
        .text("compatible", ["test,board"])
        .text("model", ["A board"])
        .cells("#address-cells", [2])
        .cells("#size-cells", [2])
        .cells("interrupt-parent", [1])
        .flag("dma-coherent")
        .child(cpus())
        .child(
            node("memory@40000000")
                .text("device_type", ["memory"])
                .cells("reg", [0, 0x4000_0000, 0, 1 << 30]),
        )
        .child(
            node("psci").text("compatible", ["arm,psci-0.2"]).text("method", ["smc"]).child(node("cpu-pd")),
        )
        .child(
            node("reserved-memory")
                .cells("#address-cells", [2])
                .cells("#size-cells", [2])
                .flag("ranges")
                .child(
                    node("fb@7e000000").cells("reg", [0, 0x7e00_0000, 0, 0x1000]).cells("phandle", [0x40]),
                ),
        )
        .child(
            node("intc@8000000")
                .text("compatible", ["arm,gic-v3"])
                .flag("interrupt-controller")
                .cells("#interrupt-cells", [3])
                .cells("#address-cells", [2])
                .cells("#size-cells", [2])
                .flag("ranges")
                .cells("#redistributor-regions", [2])
                .cells("interrupts", [1, 9, 4])
                .cells(
                    "reg",
                    [
                        0, 0x800_0000, 0, 0x1_0000, 0, 0x80a_0000, 0, 0xf6_0000, 1, 0, 0, 0x100_0000, 0,
                        0x801_0000, 0, 0x1000,
                    ],
                )
                .cells("phandle", [1])
                .child(
                    node("its@8080000")
                        .cells("#msi-cells", [1])
                        .cells("#iommu-cells", [1])
                        .cells("phandle", [2]),
                ),
        )
        .child(
            node("timer")
                .text("compatible", ["arm,armv8-timer"])
                .cells("interrupts", [1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4]),
        )
        .child(node("pmu").text("compatible", ["arm,armv8-pmuv3"]).cells("interrupts", [1, 7, 4]))
        .child(
            node("clk24")
                .text("compatible", ["fixed-clock"])
                .cells("#clock-cells", [0])
                .cells("phandle", [3]),
        )
        .child(
            node("gpio-keys")
                .text("compatible", ["gpio-keys"])
                .child(node("power").cells("gpios", [5, 3, 0])),
        )
        .child(opp("opp-table-cpu", 0x31))
        .child(opp("opp-table-gpu", 0x32))
        .child(node("firmware").child(node("optee").text("compatible", ["linaro,optee-tz"])))
        .child(soc())
        .child(
            node("aliases")
                .text("serial0", ["/soc/serial@9000000"])
                .text("serial1", ["/soc/serial@9040000"])
                .text("mmc0", ["/soc/mmc@9060000"]),
        )
        .child(node("__symbols__").text("uart0", ["/soc/serial@9000000"]))
        .child(
            node("chosen")
                .text("stdout-path", ["serial0:115200n8"])
                .text("bootargs", ["of the loader"])
                .text("u-boot,version", ["2026"]),
        )
}
