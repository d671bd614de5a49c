//! The sample board, read.

use super::sample::{Board, SOC, soc_device};
use super::*;
use crate::cpu::PcpuId;
use crate::intid::{Spi, Trigger};
use crate::tree::sample::{Sample, node};
use crate::vcpu::InterruptMode;

fn span(start: u64, size: u64) -> Span<Pa> {
    Span::new(Pa(start), size).unwrap()
}

/// Reads a board and asks it something.
fn read<R>(board: &Sample, ask: impl FnOnce(&Tree<'_>, &Hardware) -> R) -> R {
    let blob = board.blob_reserving(&[(0x4000_0000, 0x1000)]);
    let tree = Tree::parse(&blob).unwrap();
    let hardware = Hardware::read(&tree).unwrap();
    ask(&tree, &hardware)
}

fn refusals(board: &Sample) -> Vec<HardwareError> {
    let blob = board.blob();
    Hardware::read(&Tree::parse(&blob).unwrap()).unwrap_err()
}

/// Reads a board and asks about one device.
fn of<R>(board: &Sample, path: &str, ask: impl FnOnce(&Device) -> R) -> R {
    read(board, |tree, hardware| ask(hardware.device(tree.at(path).unwrap().id()).unwrap()))
}

fn spis(device: &Device) -> Vec<u32> {
    device.spis.iter().map(|(spi, _)| spi.intid() - 32).collect()
}

#[test]
fn what_every_board_has() {
    read(&Board { reserved: vec![(0x4800_0000, 0x2000)], ..Board::default() }.tree(), |tree, hw| {
        assert_eq!(hw.cpus.len(), 4);
        assert_eq!((hw.cpus[3].id, hw.cpus[3].affinity.get(), hw.cpus[3].start), (PcpuId(3), 3, Start::Psci));
        assert_eq!(hw.memory, [span(0x4000_0000, 1 << 30)]);
        assert_eq!(hw.firmware, [span(0x4000_0000, 0x1000)]);
        assert_eq!(hw.reserved.iter().map(|r| r.span).collect::<Vec<_>>(), [span(0x4800_0000, 0x2000)]);
        assert_eq!(hw.gic.gicd, span(0x800_0000, 0x1_0000));
        assert_eq!(hw.gic.gicr, [span(0x80a_0000, 0xf6_0000)]);
        assert_eq!(hw.gic.maintenance.intid(), 25);
        assert!(hw.gic.frames.contains(&span(0x808_0000, 0x2_0000)), "an ITS is no cell's");
        assert_eq!(
            [hw.timer.secure, hw.timer.virt, hw.timer.hyp_virtual].map(|ppi| ppi.intid()),
            [29, 27, 28]
        );
        assert_eq!(hw.psci.unwrap().conduit, Conduit::Smc);
        let stdout = hw.stdout.unwrap();
        assert_eq!((tree.node(stdout.node).path().as_str(), stdout.at), ("/pl011@9000000", Pa(0x900_0000)));
    });
}

#[test]
fn devices_are_what_can_have_an_owner() {
    read(&Board::default().tree(), |tree, hw| {
        let paths: Vec<_> = hw.devices.iter().map(|d| tree.node(d.node).path()).collect();
        let expected = [
            "/pl011@9000000",
            "/pl011@9040000",
            "/gpio@9030000",
            "/gpio-keys",
            "/virtio_mmio@a000000",
            "/virtio_mmio@a000200",
            "/pcie@10000000",
            "/soc/clock@0",
            "/soc/i2c@5000",
            "/soc/i2c@5000/pmic@25",
            "/soc/serial@6000",
            "/soc/dma@7000",
        ];
        assert_eq!(paths, expected);
        assert_eq!(hw.device_of(&tree.at("/gpio-keys/poweroff").unwrap()).unwrap().node, hw.devices[3].node);
    });
}

#[test]
fn registers_are_where_a_cpu_sees_them() {
    let board = || Board::default().tree();
    of(&board(), "/soc/serial@6000", |d| assert_eq!(d.spans, [span(SOC + 0x6000, 0x1000)]));
    of(&board(), "/soc/i2c@5000/pmic@25", |d| assert_eq!(d.spans, []));
    of(&board(), "/pcie@10000000", |d| {
        assert_eq!(d.spans, [span(0x40_1000_0000, 0x1000_0000)]);
        let windows = [
            span(0x3eff_0000, 0x1_0000),
            span(0x1000_0000, 0x2eff_0000),
            span(0x80_0000_0000, 0x80_0000_0000),
        ];
        assert_eq!(d.windows, windows);
    });
}

#[test]
fn several_ranges_are_tried_in_turn_and_a_bus_without_them_ends_the_way() {
    // Two chip selects, as external buses have them, below a bus that moves addresses once more.
    let bus = |name: &str, ranges: Option<&[u32]>| {
        let bus = node(name)
            .text("compatible", ["simple-bus"])
            .cells("#address-cells", [2])
            .cells("#size-cells", [1]);
        let bus = ranges.into_iter().fold(bus, |bus, ranges| bus.cells("ranges", ranges.to_vec()));
        bus.child(node("a@0,10").text("compatible", ["x,a"]).cells("reg", [0, 0x10, 4]))
            .child(node("b@1,20").text("compatible", ["x,b"]).cells("reg", [1, 0x20, 4, 2, 0, 4]))
    };
    let ranges = [0, 0, 0x2_0000, 0x1000, 1, 0, 0x3_0000, 0x1000];
    let board = Board { more: vec![bus("cs", Some(&ranges)), bus("mute", None)], ..Board::default() }.tree();
    of(&board, "/soc/cs/a@0,10", |d| assert_eq!(d.spans, [span(SOC + 0x2_0010, 4)]));
    of(&board, "/soc/cs/b@1,20", |d| assert_eq!(d.spans, [span(SOC + 0x3_0020, 4)]));
    of(&board, "/soc/mute/a@0,10", |d| assert_eq!(d.spans, []));
}

#[test]
fn interrupts_are_followed_to_the_gic() {
    let board = |more| Board { more, ..Board::default() }.tree();
    of(&board(vec![]), "/virtio_mmio@a000200", |d| {
        assert_eq!(d.spis, [(Spi::new(49).unwrap(), Trigger::Edge)]);
    });
    of(&board(vec![]), "/pcie@10000000", |d| assert_eq!(spis(d), [3, 4]));

    // Two controllers, and a GPIO line between.
    let both = node("both")
        .text("compatible", ["x,both"])
        .cells("interrupts-extended", [1, 0, 50, 4, 5, 9, 1, 0, 51, 1]);
    let gpio = soc_device("gpio@9000", "fsl,imx35-gpio", 0x9000, 44)
        .cells("#interrupt-cells", [1])
        .cells("phandle", [5]);
    of(&board(vec![gpio, both]), "/soc/both", |d| {
        assert_eq!(spis(d), [50, 51]);
        assert_eq!(d.depends.iter().map(|d| d.kind).collect::<Vec<_>>(), [Depends::Interrupt]);
    });
}

#[test]
fn an_interrupt_map_sends_each_child_its_own_way() {
    // As on Arm's boards with a motherboard: one cell, no unit address in the mask.
    let child = |name: &str, line: u32| node(name).text("compatible", ["x,c"]).cells("interrupts", [line]);
    let nexus = node("motherboard")
        .text("compatible", ["simple-bus"])
        .cells("#address-cells", [1])
        .cells("#size-cells", [1])
        .flag("ranges")
        .cells("#interrupt-cells", [1])
        .cells("interrupt-map-mask", [0, 63])
        .cells("interrupt-map", [0, 5, 1, 0, 0, 0, 60, 4, 0, 6, 1, 0, 0, 0, 61, 1])
        .child(child("five", 5))
        .child(child("six", 64 + 6))
        .child(child("seven", 7));
    let board = Board { more: vec![nexus], ..Board::default() }.tree();
    of(&board, "/soc/motherboard/five", |d| assert_eq!(spis(d), [60]));
    of(&board, "/soc/motherboard/six", |d| assert_eq!(d.spis, [(Spi::new(93).unwrap(), Trigger::Edge)]));
    of(&board, "/soc/motherboard/seven", |d| assert_eq!(spis(d), [0; 0]));
}

#[test]
fn what_a_device_needs() {
    let needy = soc_device("needy@a000", "x,needy", 0xa000, 45)
        .cells("clocks", [3, 1, 2, 3, 2])
        .cells("reset-gpios", [4, 1, 0])
        .cells("snps,nr-gpios", [4])
        .cells("vcc-supply", [2])
        .cells("pinctrl-0", [2])
        .cells("pinctrl-names", [3])
        .cells("iommu-map", [0, 4, 0, 0x1_0000])
        .cells("gpio-ranges", [3, 0, 5, 1, 4, 0, 0, 9])
        .cells("fsl,stop-mode", [3, 4, 4]);
    let board = Board { more: vec![needy], ..Board::default() }.tree();
    read(&board, |tree, hw| {
        let device = hw.device(tree.at("/soc/needy@a000").unwrap().id()).unwrap();
        let needs = device.depends.iter().map(|d| (d.kind, tree.node(d.on).path())).collect::<Vec<_>>();
        let expected = [
            (Depends::Clock, "/soc/clock@0"),
            (Depends::Clock, "/apb-pclk"),
            (Depends::Gpio, "/gpio@9030000"),
            (Depends::Supply, "/apb-pclk"),
            (Depends::Pins, "/apb-pclk"),
            (Depends::Iommu, "/gpio@9030000"),
            (Depends::Pins, "/soc/clock@0"),
            (Depends::Pins, "/gpio@9030000"),
            (Depends::Other, "/soc/clock@0"),
        ];
        assert_eq!(needs, expected.map(|(kind, path)| (kind, path.to_string())));
        assert_eq!(device.master, Dma::Behind(tree.at("/gpio@9030000").unwrap().id()));
        let keys = hw.device(tree.at("/gpio-keys").unwrap().id()).unwrap();
        assert_eq!(keys.depends.len(), 1, "its subnode's line is its own");
    });
}

#[test]
fn what_is_not_known_to_be_harmless_is_a_master() {
    let with_dma = soc_device("serial@b000", "arm,pl011", 0xb000, 46).cells("dmas", [6, 0]);
    let dma = soc_device("dma@c000", "x,dma", 0xc000, 47).cells("#dma-cells", [1]).cells("phandle", [6]);
    let board = Board { more: vec![with_dma, dma], ..Board::default() }.tree();
    let master = |path: &str| of(&board, path, |d| d.master);
    assert_eq!(master("/pl011@9000000"), Dma::None);
    assert_eq!(master("/gpio-keys"), Dma::None);
    assert_eq!(master("/soc/i2c@5000/pmic@25"), Dma::None);
    assert_eq!(master("/virtio_mmio@a000000"), Dma::Unprotected);
    assert_eq!(master("/pcie@10000000"), Dma::Unprotected);
    assert_eq!(master("/soc/dma@7000"), Dma::Unprotected);
    assert_eq!(master("/soc/serial@b000"), Dma::Unprotected, "it has a DMA channel");
}

#[test]
fn a_board_that_cannot_be_used_says_everything_that_is_wrong() {
    let empty = refusals(&node("").cells("#address-cells", [2]).cells("#size-cells", [2]));
    let expected =
        [HardwareError::NoCpus, HardwareError::NoMemory, HardwareError::NoGic, HardwareError::NoTimer];
    assert_eq!(empty, expected);

    let many = Board { cpus: 65, ..Board::default() };
    assert_eq!(refusals(&many.tree()), [HardwareError::TooManyCpus { count: 65 }]);

    let odd = vec![soc_device("odd@d000", "x,odd", 0xd000, 988)];
    let odd = refusals(&Board { more: odd, ..Board::default() }.tree());
    assert_eq!(odd, [HardwareError::Interrupt { node: "/soc/odd@d000".into(), kind: 0, number: 988 }]);
    assert!(odd[0].to_string().contains("/soc/odd@d000"));
}

#[test]
fn a_gicv2_is_understood_and_spin_tables_are_not_driven() {
    read(&Board { v2: true, ..Board::default() }.tree(), |tree, hw| {
        assert_eq!((hw.gic.gicd, hw.gic.gicc), (span(0x800_0000, 0x1000), Some(span(0x801_0000, 0x2000))));
        let direct = InterruptMode::Direct { own_wfi: false };
        assert_eq!(hw.gic.interface(direct), Some(span(0x801_0000, 0x2000)));
        assert_eq!(hw.gic.interface(InterruptMode::Virtual), Some(span(0x804_0000, 0x2000)));
        assert_eq!(hw.gic.own_interface().unwrap().1, Some(span(0x803_0000, 0x2000)));
        assert_eq!((hw.gic.gicr.len(), hw.gic.frames.len(), hw.gic.maintenance.intid()), (0, 4, 25));
        assert_eq!((hw.cpus[3].start, hw.psci), (Start::SpinTable(Pa(0xf0)), None));
        assert_eq!(spis(hw.device(tree.at("/pl011@9000000").unwrap().id()).unwrap()), [1]);
        let not_driven = hw.not_driven(tree);
        let cpu = "/cpus/cpu@0".to_string();
        assert_eq!(not_driven, [HardwareError::CpuStart { node: cpu }]);
    });
    read(&Board::default().tree(), |tree, hw| assert_eq!(hw.not_driven(tree), []));
    let one = Board { cpus: 1, v2: true, ..Board::default() };
    read(&one.tree(), |tree, hw| assert_eq!(hw.not_driven(tree), [], "it runs already"));
}

#[test]
fn a_gicv2_may_lack_virtualization_or_repeat_its_pages() {
    let gic = |frames: &[u32]| {
        let gic = node("intc").text("compatible", ["arm,cortex-a15-gic"]).flag("interrupt-controller");
        let gic = gic.cells("#interrupt-cells", [3]).cells("phandle", [1]).cells("reg", frames.to_vec());
        let cpu = node("cpu@0").text("device_type", ["cpu"]).cells("reg", [0]);
        let memory = node("memory").text("device_type", ["memory"]).cells("reg", [0, 0x4000_0000]);
        node("")
            .cells("#address-cells", [1])
            .cells("#size-cells", [1])
            .cells("interrupt-parent", [1])
            .child(node("cpus").cells("#address-cells", [1]).cells("#size-cells", [0]).child(cpu))
            .child(memory)
            .child(node("timer").text("compatible", ["arm,armv8-timer"]))
            .child(gic)
    };
    read(&gic(&[0xf900_0000, 0x1000, 0xf901_0000, 0x2000]), |_, hw| {
        assert_eq!(hw.gic.interface(InterruptMode::Virtual), None);
        assert_eq!(hw.gic.own_interface(), Some((span(0xf901_0000, 0x2000), None)));
    });
    let wide = [0xf901_0000, 0x1_0000, 0xf902_0000, 0x2_0000, 0xf904_0000, 0x2_0000, 0xf906_0000, 0x2_0000];
    read(&gic(&wide), |_, hw| {
        assert_eq!(hw.gic.own_interface().unwrap().0, span(0xf902_f000, 0x2000));
        assert_eq!(hw.gic.interface(InterruptMode::Virtual), Some(span(0xf906_f000, 0x2000)));
    });
}

#[test]
fn a_frame_short_is_refused() {
    let v2 = node("")
        .cells("#address-cells", [2])
        .cells("#size-cells", [2])
        .child(node("intc").text("compatible", ["arm,gic-400"]).cells("reg", [0, 0, 0, 0x1000]));
    assert!(refusals(&v2).contains(&HardwareError::GicV2Reg { node: "/intc".into() }));
    let alone = node("")
        .cells("#address-cells", [2])
        .cells("#size-cells", [2])
        .child(node("intc").text("compatible", ["arm,gic-v3"]).cells("reg", [0, 0, 0, 0x1_0000]));
    let node = "/intc".to_string();
    assert!(refusals(&alone).contains(&HardwareError::GicReg { node, regions: 1 }));
}

#[test]
fn work_is_bounded_and_a_board_costs_little_of_it() {
    read(&Board::default().tree(), |tree, _| assert!(tree.spent() < 10_000, "{}", tree.spent()));

    // Thirty buses of a thousand ranges each, and ten thousand addresses behind them.
    let bus = |name: &str| {
        let rows = (0..1000).flat_map(|n| [n, n, 1]).collect::<Vec<_>>();
        node(name).cells("#address-cells", [1]).cells("#size-cells", [1]).cells("ranges", rows)
    };
    let reg = (0..10_000).flat_map(|n| [999 - n % 9, 1]).collect::<Vec<_>>();
    let device = node("far@0").text("compatible", ["x,far"]).cells("reg", reg);
    let buses = (0..25).fold(device, |below, n| bus(&format!("bus{n}")).child(below));
    let entangled = Board { more: vec![buses], ..Board::default() }.tree();
    assert_eq!(refusals(&entangled), [HardwareError::TooEntangled]);
}

#[test]
fn more_than_any_board_has_is_refused() {
    let reg = (0..9000).flat_map(|n| [n << 4, 4]).collect::<Vec<_>>();
    let many = node("many@0").text("compatible", ["x,many"]).cells("reg", reg);
    let many = refusals(&Board { more: vec![many], ..Board::default() }.tree());
    assert_eq!(many, [HardwareError::TooMuch { node: "/soc/many@0".into() }]);
}
