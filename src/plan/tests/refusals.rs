//! Each refusal, and what it says.

use super::*;
use crate::hardware::sample::{device, soc_device};
use crate::refusal::{Place, Refusal, code};
use crate::tree::sample::node;

/// The demo with something changed.
fn refused(change: impl FnOnce(&mut Setup)) -> Vec<String> {
    let mut setup = Setup::new([]);
    change(&mut setup);
    setup.refused()
}

#[track_caller]
fn says(refusals: &[String], expected: &[&str]) {
    assert_eq!(refusals, expected);
}

#[test]
fn cpus() {
    says(
        &refused(|s| s.cells.push(cell("second", "cpu@3", &[]))),
        &["cell `control` and cell `second` both claim CPU 3 (/cpus/cpu@3): take it out of one"],
    );
    says(
        &refused(|s| s.cells[1].cpus = CpuChoice::Names(names(&["cpu@7"]))),
        &["cell `control`: `cpus`: the board has no `cpu@7`; did you mean `cpu@0`?"],
    );
    says(
        &refused(|s| s.cells[1].cpus = CpuChoice::Names(names(&["serial1"]))),
        &[
            "cell `control`: `cpus` has `serial1`, but /pl011@9040000 is no CPU that can be used: name one of /cpus that is enabled",
        ],
    );
    says(
        &refused(|s| s.cells[1].cpus = CpuChoice::Count(5)),
        &[
            "cell `control` wants 5 CPUs, but only 4 are left of the board's 4: ask for fewer, or take some from another cell",
        ],
    );
    says(
        &refused(|s| s.cells[1].cpus = CpuChoice::Count(4)),
        &["cell `linux` has no CPU: the other cells have them all, leave it at least one"],
    );
}

#[test]
fn memory() {
    says(
        &refused(|s| s.cells[1].memory = Some(2 << 30)),
        &["cell `control` wants 2048 MiB, but only 1018 MiB are free: make it or another cell smaller"],
    );
    says(
        &refused(|s| s.cells[1].memory = Some(0x1001)),
        &["cell `control`: `memory` of 0x1001 bytes is no multiple of 4 KiB"],
    );
    says(&refused(|s| s.cells[1].memory = None), &["cell `control` does not say how much `memory` it needs"]);
    says(
        &refused(|s| s.cells[0].memory = Some(MIB)),
        &["cell `linux` is the root cell and has all memory that the others leave: take out its `memory`"],
    );
}

#[test]
fn devices() {
    let claims = |devices: &[&str]| {
        let devices = names(devices);
        refused(|s| s.cells[1].devices = devices)
    };
    says(
        &claims(&["serial7"]),
        &["cell `control`: `devices`: the board has no `serial7`; did you mean `serial0`?"],
    );
    let not = |name: &str, path: &str, why: &str| {
        format!("cell `control`: `devices` has `{name}`, but {path} {why}")
    };
    let no_device = claims(&["off@8000", "cpu@1", "intc", "timer", "apb-pclk", "aliases"]);
    let expected = [
        not("off@8000", "/soc/off@8000", "is not enabled in the board's tree (`status`): enable it there"),
        not("cpu@1", "/cpus/cpu@1", "is a CPU: it belongs into `cpus`"),
        not("intc", "/intc@8000000", "is a part of every cell: it needs no mention"),
        not("timer", "/timer", "is a part of every cell: it needs no mention"),
        not(
            "apb-pclk",
            "/apb-pclk",
            "only describes something: every cell that needs it gets a copy, it needs no mention",
        ),
        not("aliases", "/aliases", "is nothing that a cell can own: name the device itself"),
    ];
    assert_eq!(no_device, expected);
    says(
        &refused(|s| s.cells.push(cell("second", "cpu@2", &["pl011@9040000"]))),
        &["cell `control` and cell `second` both claim /pl011@9040000: take it out of one"],
    );
    says(
        &claims(&["pmic"]),
        &[
            "cell `control`: /soc/i2c@5000/pmic@25 sits on /soc/i2c@5000, which cell `linux` operates: claim that instead",
        ],
    );
}

#[test]
fn what_two_devices_share() {
    let share = refused(|s| {
        s.cells[1].devices = names(&["virtio_mmio@a000200"]);
        s.cells[1].unprotected_dma = true;
    });
    let page = "cell `control`: /virtio_mmio@a000200 shares the page at 0xa000000 with /virtio_mmio@a000000, which cell `linux` has: give both to one cell";
    says(&share, &[page]);
    let share = refused(|s| s.board.more = vec![soc_device("uart@9000", "arm,pl011", 0x9000, 8)]);
    let spi = "cell `control`: /pl011@9040000 shares interrupt SPI 8 with /soc/uart@9000, which cell `linux` has: give both to one cell";
    says(&share, &[spi]);
}

#[test]
fn dma() {
    let dma = refused(|s| s.cells[0].unprotected_dma = false);
    assert_eq!(dma.len(), 1);
    let masters = "cell `linux`: /virtio_mmio@a000000, /virtio_mmio@a000200, /pcie@10000000, /soc/dma@7000 can read and write";
    assert!(dma[0].starts_with(masters) && dma[0].ends_with("`unprotected-dma = \"accept\"`"), "{dma:?}");
}

#[test]
fn registers_in_memory_or_in_the_gic() {
    let over = |place: u64, what: &str| {
        let text = refused(|s| {
            s.board.over = Some(device("odd", "arm,pl011", place, 60));
            s.cells[1].devices = names(&["odd"]);
        });
        assert!(text[0].contains(&format!("the registers of /odd at {}", span(place, 0x1000))), "{text:?}");
        assert!(text[0].contains(what), "{text:?}");
    };
    over(0x5000_0000, "lie in memory");
    over(0x808_0000, "lie in the GIC");
}

#[test]
fn a_device_where_the_cell_has_something_else() {
    // The cell's memory is seen at 0x4000_0000; the board's is elsewhere, a device is there.
    let text = refused(|s| {
        s.board.banks = vec![(0x8_0000_0000, 1 << 30)];
        s.board.over = Some(device("odd", "arm,pl011", 0x4000_1000, 60));
        s.cells[1].devices = names(&["odd"]);
        let up = |at: Span<Pa>| Span::new(Pa(at.start().0 + 0x7_c000_0000), at.size()).unwrap();
        let boot = &s.boot;
        s.boot = Boot {
            image: up(boot.image),
            pool: up(boot.pool),
            archive: up(boot.archive),
            tree: up(boot.tree),
        };
    });
    says(
        &text,
        &[
            "cell `control`: its memory and /odd would both be at 0x40001000: give the device to another cell, or move the cell's memory with `ram-base`",
        ],
    );
}

#[test]
fn files() {
    let linux = |kernel: &str| Payload::Linux { kernel: kernel.into(), initrd: None };
    let control = |payload| refused(|s| s.cells[1].payload = payload);
    says(&control(image("nope")), &["cell `control`: `image`: the archive has no file `nope`"]);
    let not_linux = "cell `control`: `raw.bin` is no arm64 Linux Image: name it with `image` if it is an ELF file or a raw binary";
    says(&control(linux("raw.bin")), &[not_linux]);
    says(
        &control(linux("Image")),
        &[
            "cell `control`: no room for the kernel `Image`, 40 MiB: give it more `memory` (16 MiB is the largest free stretch)",
        ],
    );
    let broken = refused(|s| s.files[2].1.truncate(80));
    assert!(broken[0].starts_with("cell `control`: `control.elf`: "), "{broken:?}");
    let elsewhere = refused(|s| s.files[2].1 = elf(&[(0x8000_0000, 0x10, 0x10)]));
    let linked = "cell `control`: `control.elf` is linked for 0x80000000..0x80000010, which is not free in the cell's memory: link it for 0x40000000 on, or say `ram-base`";
    says(&elsewhere, &[linked]);
    let full = refused(|s| s.files[2].1 = elf(&[(0x4000_0000, 0x10, 16 * MIB)]));
    assert!(full[0].contains("no room for its device tree"), "{full:?}");
}

#[test]
fn all_at_once() {
    let many = refused(|s| {
        s.cells[0].unprotected_dma = false;
        s.cells[1].devices = names(&["nope"]);
        s.cells[1].memory = Some(1);
        s.cells[1].cpus = CpuChoice::Names(names(&["nope"]));
        s.files.remove(1);
    });
    assert_eq!(many.len(), 5, "{many:#?}");
}

#[test]
fn a_device_by_two_names() {
    let twice = refused(|s| s.cells[1].devices = names(&["serial1", "pl011@9040000"]));
    says(&twice, &["cell `control` and cell `control` both claim /pl011@9040000: take it out of one"]);
    // Its console may stand among its devices, and needs not.
    for devices in [&["serial1"][..], &[]] {
        let mut setup = Setup::new([]);
        setup.cells[1].devices = names(devices);
        setup.cells[1].console = CellConsole::Device("pl011@9040000".into());
        setup.plan(|plan, _, _| assert_eq!(plan.cells[1].devices.len(), 1));
    }
    let wrong = refused(|s| s.cells[1].console = CellConsole::Device("apb-pclk".into()));
    assert!(
        wrong[0].starts_with("cell `control`: `console` has `apb-pclk`, but /apb-pclk only"),
        "{wrong:?}"
    );
}

#[test]
fn what_another_cell_controls() {
    let mut setup = Setup::new([]);
    setup.cells[1].devices = names(&["serial@6000", "i2c@5000"]);
    let clocks = "cell `control`: the clock of /soc/i2c@5000, /soc/serial@6000 is in the hands of /soc/clock@0 (cell `linux`), which can stop or break it: give both to one cell, or say `foreign-dependencies = \"accept\"`";
    setup.draft(|draft, _, _| {
        let refused = draft.unwrap_err();
        assert_eq!(refused.iter().map(ToString::to_string).collect::<Vec<_>>(), [clocks]);
        assert_eq!(refused[0].code(), code::FOREIGN_DEPENDENCY);
        let board = |node: &str| Place::board(node);
        let places = [
            Place::cell("control", Some("foreign-dependencies")),
            board("/soc/i2c@5000"),
            board("/soc/serial@6000"),
            board("/soc/clock@0"),
            Place::cell("linux", None),
        ];
        assert_eq!(refused[0].places(), places);
    });
    // What nobody has, nobody can stop; what only describes something, everybody has.
    let mut setup = Setup::new([]);
    setup.cells.remove(0);
    setup.cells[0].devices = names(&["serial@6000", "serial1"]);
    setup.plan(|plan, _, _| {
        let warning = "/soc/serial@6000: its clock is in the hands of /soc/clock@0, which nobody has";
        assert!(plan.cells[0].warnings.iter().any(|told| told == warning), "{:?}", plan.cells[0].warnings);
    });
}

#[test]
fn three_cells_in_one_page() {
    let uart = |at: u32, size: u32, spi: u32| {
        node(&format!("uart@{at:x}"))
            .text("compatible", ["arm,pl011"])
            .cells("reg", [at, size])
            .cells("interrupts", [0, spi, 4])
    };
    let mut setup =
        Setup::new([cell("second", "cpu@2", &["uart@9800"]), cell("third", "cpu@1", &["uart@a800"])]);
    // The first reaches over the second to the third.
    setup.board.more = vec![uart(0x9000, 0x2000, 60), uart(0x9800, 0x100, 61), uart(0xa800, 0x100, 62)];
    setup.cells[1].devices = names(&["uart@9000"]);
    let expected = [
        "cell `second`: /soc/uart@9800 shares the page at 0xc009000 with /soc/uart@9000, which cell `control` has: give both to one cell",
        "cell `control`: /soc/uart@9000 shares the page at 0xc00a000 with /soc/uart@a800, which cell `third` has: give both to one cell",
    ];
    assert_eq!(setup.refused(), expected);
}

#[test]
fn firmwares_memory_is_no_device() {
    let mut setup = Setup::new([]);
    setup.board.reserved = vec![(0x1_0000_0000, 0x1000)];
    setup.board.over = Some(device("odd", "arm,pl011", 0x1_0000_0000, 60));
    setup.cells[1].devices = names(&["odd"]);
    let text = setup.refused();
    assert!(text[0].contains("of /odd at 0x100000000..0x100001000 lie in reserved memory"), "{text:?}");
}

#[test]
fn prebuilt_images() {
    let raw = |load_address, entry| Payload::Image { file: "raw.bin".into(), load_address, entry };
    let control = |payload: Payload, base: Option<u64>| {
        refused(|s| {
            s.cells[1].payload = payload;
            s.cells[1].ram_base = base;
        })
    };
    let outside = "cell `control`: `raw.bin` would lie at 0x80000000..0x80001234, which is not free in the cell's memory from 0x40000000 on: choose another `load-address`, or say `ram-base`";
    says(&control(raw(Some(0x8000_0000), None), None), &[outside]);
    let edge = control(raw(Some(0x4100_0000 - 0x1000), None), None);
    assert!(edge[0].contains("would lie at 0x40fff000"), "{edge:?}");
    let wraps = control(raw(Some(u64::MAX - 3), None), None);
    assert!(wraps[0].contains("would lie at"), "{wraps:?}");
    let entry = "cell `control`: `entry` of `raw.bin` is 0x40002000, but it lies at 0x40000000..0x40001234: choose an address in there";
    says(&control(raw(None, Some(0x4000_2000)), None), &[entry]);
    let elf = |load_address, entry| Payload::Image { file: "control.elf".into(), load_address, entry };
    let itself = "cell `control`: `control.elf` is an ELF file, which says itself where it lies and begins: take out `load-address`";
    says(&control(elf(Some(0x4000_0000), Some(0)), None), &[itself]);
    let itself = itself.replace("load-address", "entry");
    says(&control(elf(None, Some(0)), None), &[&itself]);
    let kernel = Payload::Image { file: "Image".into(), load_address: None, entry: Some(0) };
    assert!(control(kernel, None)[0].contains("`Image` is an arm64 Linux Image, which says itself"));

    let over = control(raw(None, None), Some(0x0800_0000));
    let gic = |what: &str, at: &str| {
        format!("cell `control`: its memory and {what} would both be at {at}: choose another `ram-base`")
    };
    assert_eq!(over[..2], [gic("its distributor", "0x8000000"), gic("its redistributors", "0x80a0000")]);
    let linked = control(elf(None, None), Some(0x8000_0000));
    assert!(linked[0].ends_with("link it for 0x80000000 on, or say `ram-base`"), "{linked:?}");
}

#[test]
fn trees_that_are_no_trees() {
    let with = |tree: CellTree, bytes: Vec<u8>| {
        refused(|s| {
            s.cells[1].tree = tree;
            s.files.push(("x.dtb", bytes));
        })
    };
    let given = || CellTree::Given("x.dtb".into());
    let overlaid = || CellTree::Overlaid("x.dtb".into());
    let none = "cell `control`: `x.dtb`: this is no flattened device tree: its header is damaged";
    says(&with(given(), vec![0; 64]), &[none]);
    says(&with(overlaid(), vec![0; 64]), &[none]);
    let no_overlay = with(overlaid(), node("").blob());
    assert!(no_overlay[0].starts_with("cell `control`: `x.dtb`: it has no fragment"), "{no_overlay:?}");
    let large = refused(|s| {
        s.cells[1].memory = Some(64 << 10);
        s.cells[1].tree = given();
        s.files.push(("x.dtb", node("").bytes("large", &[0; 9000]).blob()));
    });
    let expected = "cell `control`: `x.dtb` has 9 KiB, which is more than the 8 KiB that there are for a tree: make it smaller, or give the cell more `memory`";
    says(&large, &[expected]);
    says(
        &refused(|s| s.cells[1].tree = CellTree::Given("nope".into())),
        &["cell `control`: `dtb`: the archive has no file `nope`"],
    );
}

#[test]
fn all_files_that_are_missing() {
    let text = refused(|s| s.files.truncate(0));
    let missing = |cell: &str, property: &str, file: &str| {
        format!("cell `{cell}`: `{property}`: the archive has no file `{file}`")
    };
    let expected = [
        missing("linux", "kernel", "Image"),
        missing("linux", "initrd", "initrd"),
        missing("control", "image", "control.elf"),
    ];
    assert_eq!(text, expected);
}
