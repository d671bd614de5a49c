//! A board for tests: QEMU's virt in small, with what virt lacks (a bus that moves addresses, a clock controller, an
//! I2C bus, firmware's regions).

use crate::tree::sample::{Sample, node};

/// What differs from board to board.
pub(crate) struct Board {
    pub(crate) cpus: u32,
    /// A GIC-400 and spin tables, as on a Raspberry Pi 4.
    pub(crate) v2: bool,
    /// Start and size.
    pub(crate) banks: Vec<(u64, u64)>,
    /// Start and size.
    pub(crate) reserved: Vec<(u64, u64)>,
    /// Start and end of what the loader brought.
    pub(crate) initrd: Option<(u64, u64)>,
    /// The loader's command line.
    pub(crate) bootargs: Option<&'static str>,
    /// Another device under the root.
    pub(crate) over: Option<Sample>,
    /// More devices under /soc, whose addresses are [`SOC`] further up.
    pub(crate) more: Vec<Sample>,
    /// What /soc's devices reach: triples of address on the bus, address and size; empty: all of memory.
    pub(crate) dma_ranges: Vec<u32>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            cpus: 4,
            v2: false,
            banks: vec![(0x4000_0000, 1 << 30)],
            reserved: Vec::new(),
            initrd: None,
            bootargs: None,
            over: None,
            more: Vec::new(),
            dma_ranges: Vec::new(),
        }
    }
}

/// Where /soc lies for a CPU.
pub(crate) const SOC: u64 = 0xc00_0000;

pub(crate) fn split(n: u64) -> [u32; 2] {
    [(n >> 32) as u32, n as u32]
}

fn reg(entries: &[(u64, u64)]) -> Vec<u32> {
    entries.iter().flat_map(|(at, size)| [split(*at), split(*size)]).flatten().collect()
}

/// A device with one page of registers and one level interrupt, under the root.
pub(crate) fn device(name: &str, compatible: &str, at: u64, spi: u32) -> Sample {
    node(name)
        .text("compatible", [compatible])
        .cells("reg", reg(&[(at, 0x1000)]))
        .cells("interrupts", [0, spi, 4])
}

/// The same under /soc: `at` counts from there.
pub(crate) fn soc_device(name: &str, compatible: &str, at: u32, spi: u32) -> Sample {
    node(name).text("compatible", [compatible]).cells("reg", [at, 0x1000]).cells("interrupts", [0, spi, 4])
}

fn pcie() -> Sample {
    let row = |slot: u32, pin: u32, spi: u32| [slot << 11, 0, 0, pin, 1, 0, 0, 0, spi, 4];
    let map = [row(0, 1, 3), row(0, 2, 4), row(1, 1, 4), row(1, 2, 3)].concat();
    node("pcie@10000000")
        .text("compatible", ["pci-host-ecam-generic"])
        .text("device_type", ["pci"])
        .cells("reg", reg(&[(0x40_1000_0000, 0x1000_0000)]))
        .cells("#address-cells", [3])
        .cells("#size-cells", [2])
        .cells("#interrupt-cells", [1])
        .cells(
            "ranges",
            [
                0x0100_0000,
                0,
                0,
                0,
                0x3eff_0000,
                0,
                0x1_0000,
                0x0200_0000,
                0,
                0x1000_0000,
                0,
                0x1000_0000,
                0,
                0x2eff_0000,
                0x0300_0000,
                0x80,
                0,
                0x80,
                0,
                0x80,
                0,
            ],
        )
        .cells("interrupt-map-mask", [0x1800, 0, 0, 7])
        .cells("interrupt-map", map)
}

fn gic() -> Sample {
    node("intc@8000000")
        .text("compatible", ["arm,gic-v3"])
        .flag("interrupt-controller")
        .cells("#interrupt-cells", [3])
        .cells("#address-cells", [2])
        .cells("#size-cells", [2])
        .flag("ranges")
        .cells("phandle", [1])
        .cells("reg", reg(&[(0x800_0000, 0x1_0000), (0x80a_0000, 0xf6_0000)]))
        .cells("interrupts", [1, 9, 4])
        .child(
            node("its@8080000")
                .text("compatible", ["arm,gic-v3-its"])
                .flag("msi-controller")
                .cells("reg", reg(&[(0x808_0000, 0x2_0000)])),
        )
}

fn gic_400() -> Sample {
    let frames = [(0x800_0000, 0x1000), (0x801_0000, 0x2000), (0x803_0000, 0x2000), (0x804_0000, 0x2000)];
    node("intc@8000000")
        .text("compatible", ["arm,gic-400"])
        .flag("interrupt-controller")
        .cells("#interrupt-cells", [3])
        .cells("phandle", [1])
        .cells("reg", reg(&frames))
        .cells("interrupts", [1, 9, 0xf04])
}

fn soc(more: Vec<Sample>, dma_ranges: &[u32]) -> Sample {
    let i2c = soc_device("i2c@5000", "fsl,imx21-i2c", 0x5000, 40)
        .cells("#address-cells", [1])
        .cells("#size-cells", [0])
        .cells("clocks", [3, 1])
        .child(node("pmic@25").text("compatible", ["nxp,pca9450c"]).cells("reg", [0x25]));
    let soc = node("soc")
        .text("compatible", ["simple-bus"])
        .cells("#address-cells", [1])
        .cells("#size-cells", [1])
        .cells("ranges", [0, 0, SOC as u32, 0x100_0000])
        .child(
            soc_device("clock@0", "fsl,imx8mp-ccm", 0, 39).cells("#clock-cells", [1]).cells("phandle", [3]),
        )
        .child(i2c)
        .child(soc_device("serial@6000", "fsl,imx6q-uart", 0x6000, 41).cells("clocks", [3, 7]))
        .child(soc_device("dma@7000", "fsl,imx8mp-sdma", 0x7000, 42))
        .child(soc_device("off@8000", "arm,pl011", 0x8000, 43).text("status", ["disabled"]));
    let soc = more.into_iter().fold(soc, Sample::child);
    if dma_ranges.is_empty() {
        return soc;
    }
    soc.cells("dma-ranges", dma_ranges.chunks(3).flat_map(|w| [w[0], 0, w[1], w[2]]))
}

impl Board {
    pub(crate) fn tree(self) -> Sample {
        let cpu = |n: u32| {
            let aff = (n & 3) | (n >> 2) << 8;
            let cpu = node(&format!("cpu@{aff:x}"))
                .text("device_type", ["cpu"])
                .text("compatible", ["arm,cortex-a57"])
                .cells("reg", [aff]);
            match self.v2 {
                true => cpu
                    .text("enable-method", ["spin-table"])
                    .cells("cpu-release-addr", split(0xd8 + 8 * u64::from(n))),
                false => cpu.text("enable-method", ["psci"]),
            }
        };
        let cpus = node("cpus").cells("#address-cells", [1]).cells("#size-cells", [0]);
        let cpus = (0..self.cpus).fold(cpus, |cpus, n| cpus.child(cpu(n)));
        let memory = node("memory@0").text("device_type", ["memory"]).cells("reg", reg(&self.banks));
        let reserved =
            node("reserved-memory").cells("#address-cells", [2]).cells("#size-cells", [2]).flag("ranges");
        let reserved = self
            .reserved
            .iter()
            .fold(reserved.child(node("dynamic").cells("size", split(0x1000))), |all, at| {
                all.child(node(&format!("region@{:x}", at.0)).cells("reg", reg(&[*at])).flag("no-map"))
            });
        let clock = node("apb-pclk")
            .text("compatible", ["fixed-clock"])
            .cells("#clock-cells", [0])
            .cells("phandle", [2]);
        let chosen = node("chosen").text("stdout-path", ["serial0:115200n8"]);
        let chosen = self.initrd.into_iter().fold(chosen, |chosen, (start, end)| {
            chosen.cells("linux,initrd-start", split(start)).cells("linux,initrd-end", split(end))
        });
        let chosen = self.bootargs.into_iter().fold(chosen, |chosen, line| chosen.text("bootargs", [line]));
        let timer = node("timer").text("compatible", ["arm,armv8-timer"]);
        let root = node("")
            .text("compatible", ["linux,dummy-virt"])
            .cells("#address-cells", [2])
            .cells("#size-cells", [2])
            .cells("interrupt-parent", [1])
            .child(match self.v2 {
                true => node("axi"),
                false => {
                    node("psci").text("compatible", ["arm,psci-1.0", "arm,psci"]).text("method", ["smc"])
                }
            })
            .child(memory)
            .child(reserved)
            .child(cpus)
            .child(if self.v2 { gic_400() } else { gic() })
            .child(timer.cells("interrupts", [1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4]))
            .child(node("pmu").text("compatible", ["arm,armv8-pmuv3"]).cells("interrupts", [1, 7, 4]))
            .child(clock)
            .child(device("pl011@9000000", "arm,pl011", 0x900_0000, 1).cells("clocks", [2, 2]))
            .child(device("pl011@9040000", "arm,pl011", 0x904_0000, 8).cells("clocks", [2, 2]))
            .child(
                device("gpio@9030000", "arm,pl061", 0x903_0000, 7)
                    .cells("#gpio-cells", [2])
                    .flag("gpio-controller")
                    .cells("phandle", [4]),
            )
            .child(
                node("gpio-keys")
                    .text("compatible", ["gpio-keys"])
                    .child(node("poweroff").cells("gpios", [4, 3, 0])),
            )
            .child(virtio(0))
            .child(virtio(1))
            .child(pcie())
            .child(soc(self.more, &self.dma_ranges))
            .child(node("aliases").text("serial0", ["/pl011@9000000"]).text("serial1", ["/pl011@9040000"]))
            .child(chosen);
        self.over.into_iter().fold(root, Sample::child)
    }
}

/// Eight of these share a page.
fn virtio(n: u32) -> Sample {
    node(&format!("virtio_mmio@{:x}", 0xa00_0000 + 0x200 * n))
        .text("compatible", ["virtio,mmio"])
        .cells("reg", [0, 0xa00_0000 + 0x200 * n, 0, 0x200])
        .cells("interrupts", [0, 16 + n, 1])
}
