//! One board, divided in a few ways.

mod board;

use std::collections::BTreeMap;

use super::*;
use crate::addr::{Ipa, Pa, Span};
use crate::cpu::PcpuId;
use crate::crash::OnCrash;
use crate::intid::{IntidSet, Spi};
use crate::plan::{Load, Region, VirtualUart, VirtualWatchdog};
use crate::tree::Node;
use crate::tree::sample::node;
use crate::vcpu::InterruptMode;
use board::board;

/// A cell with these CPUs and devices.
fn cell(root: bool, cpus: &[u8], devices: Vec<NodeId>) -> CellPlan {
    let ram = [(0x4000_0000, 0x1000_0000), (0x5000_0000, 0x10_0000), (0x6000_0000, 0x2000_0000)];
    let span = |start, size| Span::new(Ipa(start), size).unwrap();
    CellPlan {
        id: CellId(u8::from(!root)),
        name: "a".into(),
        root,
        cpus: cpus.iter().map(|n| PcpuId(*n)).collect(),
        ram: ram.iter().map(|(at, size)| Region { ipa: Ipa(*at), pa: Pa(*at), size: *size }).collect(),
        mmio: Vec::new(),
        gicd: span(0x800_0000, 0x1_0000),
        gicr: span(0x80a_0000, cpus.len() as u64 * 0x2_0000),
        spis: IntidSet::new(),
        devices,
        uart: None,
        watchdog: Some(VirtualWatchdog { at: span(0xa00_0000, 0x2000), spi: Spi::new(50).unwrap() }),
        stdout: None,
        load: Load {
            source: TreeSource::Derived,
            zeroed: Vec::new(),
            pieces: Vec::new(),
            tree: span(0x4800_0000, 2 << 20),
            entry: Ipa(0x4020_0000),
            initrd: Some(span(0x4900_0000, 0x1234)),
            bootargs: Some("quiet".into()),
        },
        on_crash: OnCrash::Stop,
        interrupts: InterruptMode::Virtual,
        smc_allow: Vec::new(),
        warnings: Vec::new(),
    }
}

/// The trees of a root cell and of another one that has these devices; CPUs alternate between them.
fn divide(blob: &[u8], other: &[&str]) -> Result<[GuestTree; 2], GuestTreeError> {
    let tree = Tree::parse(blob).unwrap();
    let hardware = ["/intc@8000000", "/cpus/cpu@0", "/cpus/cpu@1", "/cpus/cpu@100", "/cpus/cpu@101"];
    let [gic, cpus @ ..] = hardware.map(|path| tree.at(path).unwrap().id());
    let mut devices = [Vec::new(), Vec::new()];
    // The UART that the hypervisor keeps is in neither list.
    let claimed = tree.at("/soc").into_iter().flat_map(|soc| soc.children()).chain(tree.at("/gpio-keys"));
    for device in
        claimed.filter(|n| n.is_available() && n.name() != "serial@9000000" && n.name() != "serial@9005040")
    {
        devices[usize::from(other.contains(&device.name()))].push(device.id());
    }
    let [root, other] = devices;
    let set = |list: &Vec<NodeId>| {
        let mut owners = Owners::new(&tree);
        owners.mark(list, Owner::Foreign);
        owners
    };
    Ok([
        build_cell(&tree, gic, &cell(true, &[0, 2], root.clone()), set(&other), &[cpus[0], cpus[2]])?,
        build_cell(&tree, gic, &cell(false, &[1, 3], other), set(&root), &[cpus[1], cpus[3]])?,
    ])
}

fn cells(node: Node<'_, '_>, name: &str) -> Vec<u32> {
    node.prop(name).unwrap_or_else(|| panic!("{} of {}", name, node.path())).cells().collect()
}

fn paths(tree: &Tree<'_>) -> Vec<String> {
    tree.nodes().map(|n| n.path()).collect()
}

#[test]
fn the_root_cell_sees_the_board_less_what_it_does_not_have() {
    let blob = board().blob();
    let [root, _] = divide(&blob, &["serial@9040000", "gpio@9030000"]).unwrap();
    let tree = Tree::parse(&root.bytes).unwrap();
    let expected = "/ /chosen /memory@40000000 /psci \
        /cpus /cpus/cpu@0 /cpus/cpu@1 /cpus/cpu-map /cpus/cpu-map/cluster0 /cpus/cpu-map/cluster0/core0 \
        /cpus/cpu-map/cluster1 /cpus/cpu-map/cluster1/core0 /cpus/l2-cache0 /cpus/l2-cache1 \
        /watchdog@a001000 /reserved-memory /reserved-memory/fb@7e000000 /intc@8000000 /timer /pmu /clk24 /opp-table-gpu /firmware \
        /soc /soc/clock-controller@9100000 /soc/pinctrl@9050000 /soc/pinctrl@9050000/uart-pins /soc/mmc@9060000 \
        /soc/gpu@9070000 /soc/i2c@9080000 /soc/i2c@9080000/rtc@68";
    let mut expected: Vec<_> = expected.split_whitespace().map(String::from).collect();
    let mut got = paths(&tree);
    expected.sort();
    got.sort();
    assert_eq!(got, expected);

    let chosen = tree.at("/chosen").unwrap();
    let names: Vec<_> = chosen.props().iter().map(|p| p.name()).collect();
    assert_eq!(names, ["bootargs", "linux,initrd-start", "linux,initrd-end", "kaslr-seed", "rng-seed"]);
    assert_eq!(chosen.prop("bootargs").unwrap().str(), Some("quiet"));
    assert_eq!(chosen.prop("linux,initrd-end").unwrap().u64(), Some(0x4900_1234));
    assert_eq!(tree.root().prop("model").unwrap().str(), Some("A board"));
    assert_eq!(tree.at("/psci").unwrap().prop("method").unwrap().str(), Some("smc"));
    assert_eq!(
        cells(tree.at("/memory@40000000").unwrap(), "reg"),
        [0, 0x4000_0000, 0, 0x1010_0000, 0, 0x6000_0000, 0, 0x2000_0000],
        "neighbours are joined, the hole is not there"
    );
    assert_eq!(
        cells(tree.at("/intc@8000000").unwrap(), "reg"),
        [0, 0x800_0000, 0, 0x1_0000, 0, 0x80a_0000, 0, 0x4_0000]
    );
    assert!(tree.at("/intc@8000000").unwrap().prop("#redistributor-regions").is_none());
    assert_eq!(cells(tree.at("/timer").unwrap(), "interrupts"), [1, 13, 4, 1, 14, 4, 1, 11, 4]);
    let gpu = tree.at("/soc/gpu@9070000").unwrap();
    assert!(gpu.props().iter().all(|p| !p.name().starts_with("msi") && p.name() != "iommus"));
    assert!(
        !tree.at("/soc/mmc@9060000").unwrap().is_available(),
        "referred to, and disabled as on the board"
    );
}

#[test]
fn a_console_and_keys_that_the_root_cell_has_stay() {
    let blob = board().blob();
    let [root, _] = divide(&blob, &[]).unwrap();
    let tree = Tree::parse(&root.bytes).unwrap();
    assert!(tree.at("/gpio-keys/power").is_some());
    assert_eq!(
        tree.at("/aliases").unwrap().props().len(),
        1,
        "serial1 is there, the hypervisor's UART is not"
    );
    assert!(tree.at("/chosen").unwrap().prop("stdout-path").is_none());
    let serial = tree.at("/soc/serial@9040000").unwrap();
    assert!(serial.prop("memory-region").is_some());
}

#[test]
fn a_pl011_stands_in_the_place_of_another_uart() {
    let blob = board().blob();
    let tree = Tree::parse(&blob).unwrap();
    let [gic, cpu, uart] =
        ["/intc@8000000", "/cpus/cpu@0", "/soc/serial@9005040"].map(|p| tree.at(p).unwrap());
    let mut plan = cell(true, &[0], Vec::new());
    plan.uart = Some(VirtualUart {
        at: Span::new(Ipa(0x900_5000), 0x1000).unwrap(),
        spi: Spi::new(93).unwrap(),
        node: Some(uart.id()),
    });
    let made = build_cell(&tree, gic.id(), &plan, Owners::new(&tree), &[cpu.id()]).unwrap();
    let made = Tree::parse(&made.bytes).unwrap();
    let uart = made.at("/soc/serial@9005040").unwrap();
    assert!(uart.is_compatible("arm,pl011") && !uart.is_compatible("brcm,bcm2835-aux-uart"));
    assert_eq!(cells(uart, "reg"), [0x900_5000, 0x1000], "from the beginning of its page");
    assert_eq!(cells(uart, "interrupts-extended"), [1, 0, 61, 4]);
    let clock = made.at("/virtual-uart-clock").unwrap();
    assert_eq!(cells(uart, "clocks"), [cells(clock, "phandle"), cells(clock, "phandle")].concat());
    assert_eq!(cells(uart, "phandle"), [0x41], "who refers to it finds it");
    assert!(!uart.has("pinctrl-0") && !uart.has("status"));
}

#[test]
fn cpus_come_under_their_virtual_numbers() {
    let blob = board().blob();
    for tree in divide(&blob, &["serial@9040000"]).unwrap() {
        let tree = Tree::parse(&tree.bytes).unwrap();
        for (n, name) in ["cpu@0", "cpu@1"].into_iter().enumerate() {
            let cpu = tree.at("/cpus").unwrap().children().find(|c| c.name() == name).unwrap();
            assert_eq!(cells(cpu, "reg"), [0, n as u32]);
            assert_eq!(cpu.prop("enable-method").unwrap().str(), Some("psci"));
            assert_eq!(cells(cpu, "capacity-dmips-mhz"), [485]);
            let gone = ["cpu-release-addr", "cpu-idle-states", "operating-points-v2", "clocks"];
            assert!(gone.iter().all(|name| cpu.prop(name).is_none()));
            let core = tree.at(&format!("/cpus/cpu-map/cluster{n}/core0")).unwrap();
            assert_eq!(tree.phandle(cells(core, "cpu")[0]).unwrap().name(), name);
            let cache = tree.phandle(cells(cpu, "next-level-cache")[0]).unwrap();
            assert_eq!(cache.name(), format!("l2-cache{n}"));
        }
    }
}

#[test]
fn another_cell_sees_its_own_devices_and_what_they_need() {
    let blob = board().blob();
    let [_, other] = divide(&blob, &["serial@9040000", "i2c@9080000"]).unwrap();
    let tree = Tree::parse(&other.bytes).unwrap();
    let top: Vec<_> = tree.root().children().map(|n| n.name()).collect();
    assert_eq!(
        top,
        [
            "chosen",
            "aliases",
            "memory@40000000",
            "psci",
            "cpus",
            "interrupt-controller@8000000",
            "timer",
            "pmu",
            "watchdog@a001000",
            "clk24",
            "soc"
        ]
    );
    assert_eq!(tree.root().compatibles().next(), Some("bulkhead,cell-v1"));
    let watchdog = tree.at("/watchdog@a001000").unwrap();
    assert!(watchdog.is_compatible("arm,sbsa-gwdt"));
    assert_eq!(cells(watchdog, "reg"), [0, 0xa00_1000, 0, 0x1000, 0, 0xa00_0000, 0, 0x1000], "control first");
    assert_eq!(
        (cells(watchdog, "interrupts"), cells(watchdog, "interrupt-parent")),
        (vec![0, 18, 4], vec![1])
    );
    assert!(tree.root().prop("dma-coherent").is_some());
    let soc: BTreeMap<_, _> =
        tree.at("/soc").unwrap().children().map(|n| (n.name(), n.is_available())).collect();
    // The clock controller and the pins are another cell's: the phandles lead to disabled nodes.
    let expected = [
        ("clock-controller@9100000", false),
        ("i2c@9080000", true),
        ("pinctrl@9050000", false),
        ("serial@9040000", true),
    ];
    assert_eq!(soc, expected.into());
    let soc = tree.at("/soc").unwrap();
    assert!(soc.is_compatible("simple-bus") && cells(soc, "ranges") == [0, 0, 0, 0x4000_0000]);
    assert!(!tree.phandle(7).unwrap().is_available(), "the pin settings");
    assert!(tree.at("/soc/i2c@9080000/rtc@68").is_some());
    let serial = tree.at("/soc/serial@9040000").unwrap();
    assert!(serial.prop("memory-region").is_none(), "the root cell's memory");
    assert_eq!(serial.reg().next().unwrap().unwrap().start(), Pa(0x904_0000));
    let chosen = tree.at("/chosen").unwrap();
    assert_eq!(chosen.prop("stdout-path").unwrap().str(), Some("/soc/serial@9040000"));
    let gic = tree.at("/interrupt-controller@8000000").unwrap();
    assert_eq!(cells(gic, "reg"), [0, 0x800_0000, 0, 0x1_0000, 0, 0x80a_0000, 0, 0x4_0000]);
    assert_eq!(cells(gic, "phandle"), cells(tree.root(), "interrupt-parent"));
}

#[test]
fn each_life_has_seeds_of_its_own() {
    struct Counter(u64);
    impl Entropy for Counter {
        fn random(&mut self) -> u64 {
            self.0 += 1;
            self.0
        }
    }
    let blob = board().blob();
    let [mut root, _] = divide(&blob, &[]).unwrap();
    let seeds = |tree: &GuestTree| {
        let tree = Tree::parse(&tree.bytes).unwrap();
        let seed = |name| tree.at("/chosen").unwrap().prop(name).unwrap().bytes().to_vec();
        [seed("kaslr-seed"), seed("rng-seed")]
    };
    let before = root.bytes.clone();
    assert_eq!(seeds(&root), [vec![0; 8], vec![0; 32]]);
    let mut random = Counter(0);
    root.reseed(&mut random);
    assert_eq!(random.0, 5);
    let first = seeds(&root);
    assert_eq!(first[0], 1u64.to_ne_bytes());
    root.reseed(&mut random);
    assert!(seeds(&root).iter().zip(&first).all(|(new, old)| new != old && new.len() == old.len()));
    let changed = root.bytes.iter().zip(&before).filter(|(a, b)| a != b).count();
    assert!(changed <= 40 && root.bytes.len() == before.len(), "nothing else has changed");
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let blob = board().blob();
    let tree = Tree::parse(&blob).unwrap();
    let gic = tree.at("/intc@8000000").unwrap().id();
    let mut small = cell(true, &[0], Vec::new());
    small.load.tree = Span::new(Ipa(0x4800_0000), 0x100).unwrap();
    let refused = build_cell(&tree, gic, &small, Owners::new(&tree), &[]).unwrap_err();
    assert!(
        matches!(&refused, GuestTreeError::TooLarge { cell, room: 0x100, .. } if cell == "a"),
        "{refused}"
    );
    let narrow = node("").cells("#address-cells", [1]).cells("#size-cells", [3]);
    let blob = narrow.child(node("intc")).blob();
    let tree = Tree::parse(&blob).unwrap();
    let gic = tree.at("/intc").unwrap().id();
    let refused = build_cell(&tree, gic, &cell(true, &[0], Vec::new()), Owners::new(&tree), &[]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "intc: 0x8000000..0x8010000 does not fit into its #address-cells and #size-cells"
    );
}

#[test]
fn interrupts_of_other_cells_cpus_are_cut_out() {
    let pmu = node("pmu-spi")
        .text("compatible", ["arm,cortex-a53-pmu"])
        .cells("interrupts", [0, 20, 4, 0, 21, 4, 0, 22, 4, 0, 23, 4])
        .cells("interrupt-affinity", [0x10, 0x11, 0x12, 0x13]);
    let named = node("named-timer")
        .text("compatible", ["arm,armv8-timer"])
        .text("interrupt-names", ["phys", "virt", "hyp-phys"])
        .cells("interrupts-extended", [1, 1, 14, 4, 1, 1, 11, 4, 1, 1, 10, 4]);
    let blob = board().child(pmu).child(named).blob();
    let tree = Tree::parse(&blob).unwrap();
    let id = |path: &str| tree.at(path).unwrap().id();
    let cpus = [id("/cpus/cpu@0"), id("/cpus/cpu@100")];
    let cell = cell(true, &[0, 2], vec![id("/pmu-spi")]);
    let built = build_cell(&tree, id("/intc@8000000"), &cell, Owners::new(&tree), &cpus).unwrap();
    let tree = Tree::parse(&built.bytes).unwrap();
    let pmu = tree.at("/pmu-spi").unwrap();
    assert_eq!(cells(pmu, "interrupts"), [0, 20, 4, 0, 22, 4]);
    assert_eq!(cells(pmu, "interrupt-affinity"), [0x10, 0x12]);
    let timer = tree.at("/named-timer").unwrap();
    assert_eq!(cells(timer, "interrupts-extended"), [1, 1, 14, 4, 1, 1, 11, 4]);
    assert_eq!(timer.prop("interrupt-names").unwrap().bytes(), b"phys\0virt\0");
}
