//! The trees of real boards, as Debian's kernel package has them, divided by the boards' own demo descriptions.

mod demo;

use std::io::Write;
use std::path::PathBuf;

use bulkhead::guest_tree;
use bulkhead::tree::Tree;
use bulkhead_cli::board::Board;
use bulkhead_cli::new::new;
use bulkhead_cli::plan::{self, Fit};
use demo::{images, top};

/// A board's tree; `None`, which is said, where nobody has fetched it.
fn tree_of(board: &str, tree: &str) -> Option<PathBuf> {
    let tree = top().join("target/debian/dtbs").join(tree);
    if !tree.exists() {
        // Not by a macro, whose output the test harness keeps to itself.
        let left_out =
            format!("{board}: left out, {} is missing: scripts/setup --all fetches it\n", tree.display());
        std::io::stderr().write_all(left_out.as_bytes()).unwrap();
        return None;
    }
    Some(tree)
}

/// A board's demo, if its tree is there; the control cell has `more`.
fn demo(board: &str, tree: &str, more: &str) -> Option<Fit> {
    let tree = tree_of(board, tree)?;
    let text = std::fs::read_to_string(top().join("dts").join(board).join("demo.dts")).unwrap();
    let cells = images(&format!("test/{board}")).join("demo.dts");
    std::fs::write(
        &cells,
        text.replace("image = \"control.elf\";", &format!("image = \"control.elf\"; {more}")),
    )
    .unwrap();
    Some(
        plan::check(&cells, &Board::File(tree), &images(&format!("test/{board}")))
            .unwrap_or_else(|error| panic!("{board}: {error}")),
    )
}

/// What a cell's devices need of another's: device, what, whose hands, all by their last names.
fn needs(desk: &Fit, cell: usize) -> Vec<[String; 3]> {
    let last = |path: &str| path.rsplit('/').next().unwrap().trim_end_matches([',', ':']).to_string();
    let warnings = desk.plan.cells[cell].warnings.iter();
    warnings
        .filter_map(|warning| warning.split_once(": its "))
        .map(|(device, rest)| {
            let (what, rest) = rest.split_once(" is in the hands of ").unwrap();
            [last(device), what.to_string(), last(rest.split_once(", which").unwrap().0)]
        })
        .collect()
}

/// Whether it has a device that nothing is known to stop.
fn cannot_restart(desk: &Fit, cell: usize) -> bool {
    desk.plan.cells[cell].warnings.iter().any(|warning| warning.starts_with("it cannot be restarted: "))
}

fn devices(desk: &Fit, cell: usize) -> String {
    let tree = desk.tree().unwrap();
    let paths = desk.plan.cells[cell].devices.iter().map(|node| tree.node(*node).path().to_string());
    paths.collect::<Vec<_>>().join(" ")
}

fn spis(desk: &Fit, cell: usize) -> Vec<u32> {
    desk.plan.cells[cell].spis.iter().map(|id| id - 32).collect()
}

fn mmio(desk: &Fit, cell: usize) -> Vec<(u64, u64)> {
    desk.plan.cells[cell].mmio.iter().map(|region| (region.pa.0, region.size)).collect()
}

/// A UART of its own; Linux has its clocks, pins and DMA controller.
const IMX_UART: &str =
    "devices = \"uart3\"; foreign-dependencies = \"accept\"; unprotected-dma = \"accept\";";

/// The PL011, and Bluetooth behind it; its brothers in the same page are disabled.
const RPI_UART: &str = "devices = \"serial0\"; foreign-dependencies = \"accept\";";

#[test]
fn imx8mp_evk() {
    let Some(desk) = demo("imx8mp-evk", "imx8mp-evk.dtb", IMX_UART) else { return };
    assert_eq!(desk.notes, [""; 0]);
    assert_eq!(devices(&desk, 1), "/soc@0/bus@30800000/spba-bus@30800000/serial@30880000");
    assert_eq!((spis(&desk, 1), mmio(&desk, 1)), (vec![28], vec![(0x3088_0000, 0x1_0000)]));
    let uart = |what: &str, whose: &str| ["serial@30880000", what, whose].map(String::from);
    let expected = [
        uart("clock", "clock-controller@30380000"),
        uart("DMA channel", "dma-controller@30bd0000"),
        uart("pin setting", "pinctrl@30330000"),
    ];
    assert_eq!(needs(&desk, 1), expected);
    assert_eq!(needs(&desk, 0), [[""; 3]; 0], "Linux has all else itself");
    assert!(cannot_restart(&desk, 0) && !cannot_restart(&desk, 1));
    let linux = &desk.plan.cells[0];
    assert_eq!((linux.cpus.len(), linux.devices.len() > 80), (3, true));
    // Two banks of 3 GiB touch; what the DSP shares stays in them and is not loaded to.
    assert_eq!(linux.ram.last().unwrap().seen().unwrap().end().0, 0x1_bf00_0000);
    let reserved: Vec<_> = desk.plan.reserved.iter().map(|span| (span.start().0, span.size())).collect();
    assert_eq!(reserved, [(0x942f_0000, 0x11_0000)]);
    assert_eq!((linux.gicd.start().0, linux.gicr.start().0), (0x3880_0000, 0x3888_0000));
}

#[test]
fn raspberry_pi_4() {
    let Some(desk) = demo("rpi4", "bcm2711-rpi-4-b.dtb", RPI_UART) else { return };
    let [memory] = desk.notes.as_slice() else { panic!("{:?}", desk.notes) };
    assert!(memory.contains("948 MiB are assumed"), "{memory}");
    assert_eq!(devices(&desk, 1), "/soc/serial@7e201000 /soc/serial@7e201000/bluetooth");
    // The bus moves addresses: what the tree has at 0x7e201000 is at 0xfe201000.
    assert_eq!((spis(&desk, 1), mmio(&desk, 1)), (vec![121], vec![(0xfe20_1000, 0x1000)]));
    let expected = [
        ["serial@7e201000", "clock", "cprman@7e101000"],
        ["serial@7e201000", "pin setting", "gpio@7e200000"],
        ["bluetooth", "GPIO line", "gpio"],
    ];
    assert_eq!(needs(&desk, 1), expected.map(|row| row.map(String::from)));
    assert_eq!(needs(&desk, 0), [[""; 3]; 0]);
    assert!(cannot_restart(&desk, 0) && !cannot_restart(&desk, 1));
    let [linux, control] = desk.plan.cells.as_slice() else { panic!("two cells") };
    // Firmware's first page, where the CPUs wait, is nobody's.
    assert_eq!((linux.ram[0].pa.0, linux.cpus.len()), (0x1000, 3));
    assert_eq!(control.ram[0].pa.0 + control.ram[0].size, 0x3b40_0000);
    let frames = [linux.gicd, linux.gicr].map(|span| (span.start().0, span.size()));
    assert_eq!(frames, [(0xff84_1000, 0x1000), (0xff84_2000, 0x2000)]);
}

/// What a device of the board reaches by DMA, in MiB, as its own tree and the root cell's have it; all of memory is 0.
fn reaches(desk: &Fit, device: &str) -> Vec<(u64, u64)> {
    let reach = |tree: &Tree<'_>| {
        let node = tree.nodes().find(|node| node.name() == device).unwrap_or_else(|| panic!("no {device}"));
        let spans = node.dma_reach().into_iter().flatten();
        spans.map(|span| (span.start().0 >> 20, span.end().0 >> 20)).collect::<Vec<_>>()
    };
    let board = desk.tree().unwrap();
    let root = guest_tree::build(&board, &desk.hardware, &desk.plan, desk.plan.cells[0].id).unwrap();
    let found = reach(&board);
    assert_eq!(reach(&Tree::parse(&root.bytes).unwrap()), found, "{device}: Linux must find the same");
    found
}

fn elsewhere(desk: &Fit) -> Vec<&String> {
    let warnings = desk.plan.cells.iter().flat_map(|cell| &cell.warnings);
    warnings.filter(|warning| warning.starts_with("BH0218")).collect()
}

#[test]
fn dma_windows() {
    let none = Vec::<&String>::new();
    if let Some(desk) = demo("rpi4", "bcm2711-rpi-4-b.dtb", RPI_UART) {
        // The first GiB, on /soc at 0xc0000000; PCIe 3 GiB.
        for (device, end) in [("dma-controller@7e007000", 1), ("mmc@7e340000", 1), ("pcie@7d500000", 3)] {
            assert_eq!(reaches(&desk, device), [(0, end << 10)], "{device}");
        }
        assert_eq!(reaches(&desk, "ethernet@7d580000"), [], "all of memory");
        assert_eq!(elsewhere(&desk), none);
    }
    if let Some(desk) = demo("imx8mp-evk", "imx8mp-evk.dtb", IMX_UART) {
        assert_eq!(reaches(&desk, "usb@38200000"), [(1 << 10, 4 << 10)]);
        assert_eq!(elsewhere(&desk), none, "a UART leaves its DMA to the controller, which is Linux's");
    }
    let moved = "devices = \"usdhc2\"; foreign-dependencies = \"accept\"; unprotected-dma = \"accept\";";
    if let Some(desk) = demo("imx8mp-evk", "imx8mp-evk.dtb", moved) {
        let [card] = elsewhere(&desk)[..] else { panic!("{:?}", elsewhere(&desk)) };
        assert!(card.contains("mmc@30b50000 goes to physical addresses"), "{card}");
    }
}

/// The Pi, if its tree is there, with this memory, in the words of its `reg`, of which the control cell has so much.
fn pi_with(name: &str, reg: &str, memory: &str) -> Option<Fit> {
    let tree = tree_of("rpi4", "bcm2711-rpi-4-b.dtb")?;
    let folder = images(&format!("test/{name}"));
    let board = folder.join("board.dtb");
    std::fs::copy(tree, &board).unwrap();
    let mut fdtput = std::process::Command::new("fdtput");
    let put = fdtput.args(["-t", "x"]).arg(&board).args(["/memory@0", "reg"]).args(reg.split(' ')).status();
    assert!(put.unwrap().success());
    let cells = folder.join("demo.dts");
    let text = std::fs::read_to_string(top().join("dts/rpi4/demo.dts")).unwrap();
    assert!(text.contains("memory = \"16M\""), "{text}");
    std::fs::write(&cells, text.replace("memory = \"16M\"", &format!("memory = \"{memory}\""))).unwrap();
    Some(plan::check(&cells, &Board::File(board), &folder).unwrap_or_else(|error| panic!("{error}")))
}

/// The Pi with 4 GiB, and a cell that takes most of it: what most devices are confined to is touched last.
#[test]
fn cells_leave_the_lowest_memory_to_root() {
    let Some(desk) = pi_with("rpi4-4g", "0 0x0 0x3b400000 0 0x40000000 0xbc000000", "3500M") else { return };
    let low: u64 =
        desk.plan.cells[0].ram.iter().filter(|bank| bank.pa.0 < 1 << 30).map(|bank| bank.size).sum();
    assert!(low > 400 << 20, "{} MiB", low >> 20);
    assert_eq!(elsewhere(&desk), Vec::<&String>::new());
}

/// The Pi with 8 GiB, whose tree has one cell for a size, and a cell that sees more than that holds in one piece.
#[test]
fn a_cell_of_more_than_4_gib_is_told_of_it_in_pieces() {
    let reg = "0 0 3b400000 0 40000000 bc000000 1 0 80000000 1 80000000 80000000";
    let Some(desk) = pi_with("rpi4-8g", reg, "5000M") else { return };
    let seen: u64 = desk.plan.cells[1].ram.iter().map(|bank| bank.size).sum();
    assert_eq!(seen, 5000 << 20);
}

#[test]
fn new_writes_what_check_lets_pass() {
    for (board, tree) in [("imx8mp-evk", "imx8mp-evk.dtb"), ("rpi4", "bcm2711-rpi-4-b.dtb")] {
        let Some(tree) = tree_of(board, tree) else { continue };
        let root = "linux:kernel=linux/Image,initrd=linux/initrd.cpio".parse().unwrap();
        let control = "control:cpus=1,memory=16M,image=control.elf".parse().unwrap();
        let board_tree = Board::File(tree);
        let text = new(&board_tree, Some(root), vec![control]).unwrap_or_else(|e| panic!("{board}: {e}"));
        let folder = images(&format!("test/new-{board}"));
        let cells = folder.join("cells.dts");
        std::fs::write(&cells, &text).unwrap();
        plan::check(&cells, &board_tree, &folder).unwrap_or_else(|e| panic!("{board}: {e}\n{text}"));
    }
}
