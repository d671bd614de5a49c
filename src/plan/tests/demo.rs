//! What the demo's cells are given.

use super::*;
use crate::addr::{BLOCK_1G, PAGE};

fn region(ipa: u64, pa: u64, size: u64) -> Region {
    Region { ipa: Ipa(ipa), pa: Pa(pa), size }
}

fn ipa(start: u64, size: u64) -> Span<Ipa> {
    span(start, size).identity()
}

#[test]
fn the_demo() {
    Setup::new([]).plan(|plan, tree, _| {
        let [linux, control] = plan.cells.as_slice() else { panic!() };
        assert_eq!(linux.cpus, [0, 1, 2].map(PcpuId));
        assert_eq!(control.cpus, [PcpuId(3)]);
        let last = plan.cpu(PcpuId(3)).unwrap();
        assert_eq!((last.cell, last.vcpu, last.affinity.get()), (CellId(1), VcpuId(0), 3));
        assert_eq!(plan.cell(CellId(1)).unwrap().name, "control");

        assert_eq!(control.ram, [region(0x4000_0000, 0x7f00_0000, 16 * MIB)]);
        let ram = [
            (0x4000_0000, 0x4020_0000),
            (0x4022_3000, 0x4023_0000),
            (0x4028_0000, 0x4800_0000),
            (0x4820_0000, 0x7f00_0000),
        ];
        assert_eq!(linux.ram, ram.map(|(start, end)| region(start, start, end - start)));

        assert_eq!(control.mmio, [region(0x904_0000, 0x904_0000, PAGE)]);
        let mmio = linux.mmio.iter().map(|r| (r.ipa.0, r.size)).collect::<Vec<_>>();
        let expected = [
            (0x903_0000, PAGE),
            (0xa00_0000, PAGE),
            (0xc00_0000, PAGE),
            (0xc00_5000, 3 * PAGE),
            (0x1000_0000, 0x2f00_0000),
            (0x40_1000_0000, 0x1000_0000),
            (0x80_0000_0000, 0x80_0000_0000),
        ];
        assert_eq!(mmio, expected);

        assert_eq!((control.gicd, control.gicr), (ipa(0x800_0000, 0x1_0000), ipa(0x80a_0000, 0x2_0000)));
        assert_eq!((linux.gicd, linux.gicr), (ipa(0x800_0000, 0x1_0000), ipa(0x80a_0000, 0x6_0000)));
        assert_eq!(control.spis.iter().collect::<Vec<_>>(), [40]);
        assert_eq!(linux.spis.iter().collect::<Vec<_>>(), [35, 36, 39, 48, 49, 71, 72, 73, 74]);
        assert_eq!(plan.spi_owner(Spi::new(40).unwrap()), Some(CellId(1)));
        assert_eq!(plan.device_owner(tree.at("/pl011@9040000").unwrap().id()), Some(CellId(1)));
        assert_eq!(plan.device_owner(tree.at("/apb-pclk").unwrap().id()), None);
        assert_eq!(plan.own_ppis.iter().map(|ppi| ppi.intid()).collect::<Vec<_>>(), [25, 26, 28, 29]);
        let console = plan.console.unwrap();
        let pl011 = crate::uart::model(["arm,pl011"].into_iter());
        assert_eq!((console.at, console.spi.intid(), console.model), (Pa(0x900_0000), 33, pl011.unwrap()));
        assert_eq!(plan.device_owner(console.node), None);
        let uart = linux.uart.unwrap();
        assert_eq!((uart.at, uart.spi, uart.node), (ipa(0x900_0000, PAGE), console.spi, Some(console.node)));
        assert_eq!((control.uart, control.stdout), (None, None));
        let warning = "it cannot be restarted: nothing is known to stop the DMA of /soc/dma@7000";
        assert_eq!((&*linux.warnings, &*control.warnings), (&[warning.into()][..], &[][..]));
    });
}

#[test]
fn with_a_gicv2_a_cell_sees_a_cpu_interface() {
    let mut setup = Setup::new([]);
    setup.board.v2 = true;
    setup.plan(|plan, _, _| {
        let frames: Vec<_> = plan.cells.iter().map(|cell| (cell.gicd, cell.gicr)).collect();
        let v2 = (ipa(0x800_0000, 0x1000), ipa(0x801_0000, 0x2000));
        assert_eq!(frames, [v2, v2], "the sample's GIC lies where the cells' does");
    });
}

#[test]
fn what_is_loaded_where() {
    Setup::new([]).plan(|plan, _, _| {
        let [linux, control] = [&plan.cells[0].load, &plan.cells[1].load];
        // 40 MiB do not fit below the hypervisor, and end below the board's tree.
        assert_eq!(linux.entry, Ipa(0x4040_0000));
        assert_eq!(linux.pieces[0].to, linux.entry);
        assert_eq!(linux.pieces[0].size, 128, "what is behind it is zeroed, not copied");
        assert_eq!(linux.tree, ipa(0x4000_0000, BLOCK_2M));
        assert_eq!(linux.initrd, Some(ipa(0x4022_3000, 5000)));
        assert_eq!(linux.bootargs.as_deref(), Some("quiet"));

        assert_eq!(control.entry, Ipa(0x4000_0000));
        let to = control.pieces.iter().map(|p| (p.to.0, p.size)).collect::<Vec<_>>();
        assert_eq!(
            to,
            [(0x4000_0000, 0x200), (0x4000_1000, 0x100)],
            "a segment that is all bss needs no copy"
        );
        let zeroed: u64 = control.zeroed.iter().map(|span| span.size()).sum();
        assert!(
            zeroed > 0 && control.zeroed.iter().all(|span| span.start() >= Ipa(0x4000_1100)),
            "{:?}",
            control.zeroed
        );
        assert_eq!(control.tree, ipa(0x40e0_0000, BLOCK_2M));
    });
}

#[test]
fn a_raw_image_lies_at_the_start_of_a_cell_that_may_be_tiny() {
    let raw = image("raw.bin");
    let tiny = CellConfig { memory: Some(64 << 10), payload: raw, ..cell("tiny", "cpu@2", &[]) };
    Setup::new([tiny]).plan(|plan, _, _| {
        let tiny = &plan.cells[2];
        assert_eq!(tiny.ram, [region(0x4000_0000, 0x7ee0_0000, 64 << 10)]);
        assert_eq!((tiny.load.entry, tiny.load.tree), (Ipa(0x4000_0000), ipa(0x4000_e000, 0x2000)));
    });
}

#[test]
fn a_second_linux_begins_at_its_own_memory() {
    let second =
        CellConfig { memory: Some(1 << 30), payload: root().payload, ..cell("second", "cpu@2", &[]) };
    let mut setup = Setup::new([second]);
    setup.files[0].1 = kernel(0x8_0000, 40 * MIB);
    setup.board.banks = vec![(0x4000_0000, 1 << 30), (0x8_8000_0000, 0xc000_0000)];
    setup.plan(|plan, _, _| {
        let second = &plan.cells[2];
        assert_eq!(second.ram, [region(0x4000_0000, 0x9_0000_0000, BLOCK_1G)], "in a block of 1 GiB");
        assert_eq!((second.load.entry, second.load.pieces[0].to), (Ipa(0x4008_0000), Ipa(0x4008_0000)));
        assert_eq!(second.load.tree, ipa(0x42a0_0000, BLOCK_2M));
        assert_eq!(second.load.initrd, Some(ipa(0x4288_0000, 5000)));
    });
}

#[test]
fn memory_in_pieces_is_seen_as_one() {
    let large = CellConfig { memory: Some(96 * MIB + PAGE), ..cell("large", "cpu@2", &[]) };
    let mut setup = Setup::new([large]);
    setup.board.banks = vec![(0x4000_0000, 192 * MIB), (0x8000_0000, 32 * MIB), (0x9_0000_0000, 64 * MIB)];
    // Only the first bank has a single stretch of that size, but for this.
    setup.board.reserved = vec![(0x4500_0000, 0x1000), (0x4a80_0000, 0x1000)];
    setup.plan(|plan, _, _| {
        let large = &plan.cells[2].ram;
        let total: u64 = large.iter().map(|r| r.size).sum();
        assert_eq!((large.len(), total), (3, 96 * MIB + PAGE));
        assert_eq!(large[0], region(0x4000_0000, 0x9_0000_0000, 64 * MIB));
        assert_eq!(large[2].ipa, Ipa(0x4000_0000 + 96 * MIB));
        assert!(large.iter().all(|r| r.pa.0.is_multiple_of(BLOCK_2M) && r.ipa.0.is_multiple_of(BLOCK_2M)));
    });
}

#[test]
fn reserved_memory_stays_with_root_and_is_not_loaded_to() {
    let mut setup = Setup::new([]);
    // In the way of the kernel, at the top where the cell would go, and outside of what counts as memory.
    setup.board.reserved = vec![(0x4200_0800, 0x1000), (0x7fff_f000, 0x1000), (0x1_0000_0000, 0x1000)];
    setup.plan(|plan, _, _| {
        assert_eq!(
            plan.reserved,
            [span(0x4200_0000, 0x2000), span(0x7fff_f000, 0x1000), span(0x1_0000_0000, 0x1000)]
        );
        assert_eq!(plan.cells[1].ram[0].pa, Pa(0x7ee0_0000));
        let root: Vec<_> = plan.cells[0].ram.iter().filter_map(Region::backing).collect();
        assert!(plan.reserved.iter().all(|reserved| root.iter().any(|ram| ram.covers(reserved))));
        assert_eq!(plan.cells[0].load.entry, Ipa(0x4420_0000), "behind the board's tree");
    });
}

#[test]
fn firmwares_memory_is_nobodys() {
    let setup = Setup::new([]);
    let blob = setup.board.tree().blob_reserving(&[(0x5000_0000, 0x1001)]);
    let tree = Tree::parse(&blob).unwrap();
    let hardware = Hardware::read(&tree).unwrap();
    let bytes = archive(&setup.files);
    let config = Config { hypervisor: HypervisorConfig::default(), cells: setup.cells };
    let plan = Plan::draft(&config, &tree, &hardware, &Archive::parse(&bytes).unwrap(), setup.boot).unwrap();
    let firmware = span(0x5000_0000, 0x2000);
    assert!(!plan.cells[0].ram.iter().any(|r| r.backing().unwrap().overlaps(&firmware)));
    plan.check(&hardware).unwrap();
}

#[test]
fn a_count_of_cpus_takes_the_last_ones_and_the_rest_may_stay_off() {
    let mut setup = Setup::new([]);
    setup.cells[1].cpus = CpuChoice::Count(2);
    setup.plan(|plan, _, _| {
        assert_eq!(plan.cells[1].cpus, [2, 3].map(PcpuId));
        assert_eq!(plan.cells[0].cpus, [0, 1].map(PcpuId));
    });
    let mut setup = Setup::new([]);
    setup.cells.remove(0);
    setup.plan(|plan, _, _| {
        assert_eq!((plan.cpus.len(), plan.cpu(PcpuId(0)).is_none()), (1, true));
        let off = plan.cells[0].warnings.iter().filter(|w| w.contains("stays off")).count();
        assert_eq!(off, 3, "{:?}", plan.cells[0].warnings);
    });
}

#[test]
fn a_claim_takes_what_is_below_and_a_nearer_claim_takes_it_back() {
    let bus = cell("bus", "cpu@2", &["soc"]);
    let uart = cell("uart", "cpu@1", &["serial@6000"]);
    let mut setup = Setup::new([bus, uart]);
    setup.cells[2].unprotected_dma = true;
    setup.cells[3].foreign_dependencies = true;
    setup.plan(|plan, tree, _| {
        let owner = |path: &str| plan.device_owner(tree.at(path).unwrap().id()).unwrap();
        assert_eq!(owner("/soc/i2c@5000/pmic@25"), CellId(2));
        assert_eq!(owner("/soc/dma@7000"), CellId(2));
        assert_eq!(owner("/soc/serial@6000"), CellId(3));
        let warning = "/soc/serial@6000: its clock is in the hands of /soc/clock@0, which cell `bus` has";
        assert_eq!(plan.cells[3].warnings, [warning]);
    });
}

#[test]
fn root_is_warned_too_when_another_cell_has_what_it_needs() {
    let mut setup = Setup::new([]);
    setup.cells[1].devices = names(&["gpio@9030000"]);
    setup.plan(|plan, _, _| {
        let warning = "/gpio-keys: its GPIO line is in the hands of /gpio@9030000, which cell `control` has";
        assert_eq!(plan.cells[0].warnings[0], warning);
    });
}

#[test]
fn a_prebuilt_image_lies_where_it_was_built_for() {
    let mut setup = Setup::new([]);
    setup.cells[1].ram_base = Some(0x8000_0000);
    setup.cells[1].payload =
        Payload::Image { file: "raw.bin".into(), load_address: Some(0x8008_0000), entry: Some(0x8008_0040) };
    setup.plan(|plan, _, _| {
        let control = &plan.cells[1];
        assert_eq!(control.ram, [region(0x8000_0000, 0x7f00_0000, 16 * MIB)]);
        assert_eq!((control.load.pieces[0].to, control.load.entry), (Ipa(0x8008_0000), Ipa(0x8008_0040)));
        assert_eq!(control.load.tree, ipa(0x80e0_0000, BLOCK_2M));
    });
}

#[test]
fn linux_finds_its_tree_where_ram_begins_at_zero() {
    let mut setup = Setup::new([]);
    // Only the tree has room in the first bank.
    setup.board.banks = vec![(0, 4 * MIB), (0x4000_0000, 1 << 30)];
    setup.plan(|plan, _, _| assert_eq!(plan.cells[0].load.tree, ipa(0x20_0000, BLOCK_2M)));
}

#[test]
fn a_tree_that_is_given_is_copied_like_an_image() {
    let mut setup = Setup::new([]);
    let tree = crate::tree::sample::node("").blob();
    setup.cells[1].tree = CellTree::Given("rtos.dtb".into());
    setup.files.push(("rtos.dtb", tree.clone()));
    setup.plan(|plan, _, _| {
        let load = &plan.cells[1].load;
        assert_eq!(load.source, TreeSource::Given);
        let last = load.pieces.last().unwrap();
        assert_eq!((last.to, last.size), (load.tree.start(), tree.len() as u64));
    });
}

#[test]
fn the_loaders_command_line_may_come_first() {
    let mut setup = Setup::new([]);
    setup.cells[0].bootargs = Bootargs::BoardsAnd("quiet".into());
    setup.board.bootargs = Some("root=/dev/vda");
    setup.plan(|plan, _, _| {
        assert_eq!(plan.cells[0].load.bootargs.as_deref(), Some("root=/dev/vda quiet"));
    });
    let mut setup = Setup::new([]);
    setup.cells[0].bootargs = Bootargs::BoardsAnd("quiet".into());
    setup.plan(|plan, _, _| assert_eq!(plan.cells[0].load.bootargs.as_deref(), Some("quiet")));
}

#[test]
fn what_has_no_registers_is_not_on_the_consoles_page() {
    Setup::new([]).plan(|plan, tree, hardware| {
        let on_it = |path: &str| {
            let device = hardware.device(tree.at(path).unwrap().id()).unwrap();
            plan.console.unwrap().has_on_its_page(device)
        };
        // A clock that firmware drives and a UART needs stays the root cell's.
        assert!(on_it("/pl011@9000000") && !on_it("/pl011@9040000") && !on_it("/gpio-keys"));
    });
}

/// Warnings of DMA that misses a cell's memory.
fn elsewhere(plan: &Plan<Checked>, cell: usize) -> Vec<&str> {
    plan.cells[cell].warnings.iter().filter_map(|warning| warning.strip_prefix("BH0218: ")).collect()
}

#[test]
fn dma_of_a_cell_that_is_moved_misses_its_memory() {
    let mut setup = Setup::new([]);
    setup.cells[1].devices = names(&["dma@7000", "serial1", "serial@6000"]);
    setup.cells[1].unprotected_dma = true;
    setup.cells[1].foreign_dependencies = true;
    setup.plan(|plan, _, _| {
        let moved = "the DMA of /soc/dma@7000 goes to physical addresses, but this cell's memory at 0x40000000 is at 0x7f000000: a driver would have it read and write what is not the cell's";
        assert_eq!(elsewhere(plan, 1), [moved]);
        assert_eq!(elsewhere(plan, 0), [""; 0], "root sees its memory where it is");
    });
    let mut setup = Setup::new([]);
    setup.cells[1].devices = names(&["dma@7000"]);
    setup.cells[1].unprotected_dma = true;
    setup.cells[1].ram_base = Some(0x7f00_0000);
    setup.cells[1].payload = image("raw.bin");
    setup.plan(|plan, _, _| assert_eq!(elsewhere(plan, 1), [""; 0], "it sees it where it is"));
}

#[test]
fn a_master_behind_a_narrow_bus_leaves_root_something_to_copy_through() {
    let behind = |windows: &[u32]| {
        let windows = windows.to_vec();
        move |setup: &mut Setup| setup.board.dma_ranges.clone_from(&windows)
    };
    let told = |change: &dyn Fn(&mut Setup)| {
        let mut setup = Setup::new([]);
        change(&mut setup);
        setup.plan(|plan, _, _| elsewhere(plan, 0).join("|"))
    };
    assert_eq!(told(&behind(&[0xc000_0000, 0x4000_0000, 0x1000_0000])), "");
    let few = "the DMA of /soc/dma@7000 reaches 16 MiB of the cell's memory (`dma-ranges`); less than 64 MiB are too few for Linux";
    assert_eq!(told(&behind(&[0xc000_0000, 0x4500_0000, 0x100_0000])), few);
    // Two windows count together, and once where they overlap.
    assert_eq!(told(&behind(&[0, 0x5000_0000, 0x300_0000, 0x1000_0000, 0x6000_0000, 0x100_0000])), "");
    let overlapping = [0, 0x5000_0000, 0x100_0000, 0x1000_0000, 0x5000_0000, 0x100_0000];
    assert_eq!(told(&behind(&overlapping)), few);
    // Whose memory is all inside is not told, however little that is.
    let small = |setup: &mut Setup| {
        setup.cells.remove(0);
        setup.cells[0].devices = names(&["dma@7000"]);
        setup.cells[0].unprotected_dma = true;
        setup.cells[0].ram_base = Some(0x7f00_0000);
        setup.cells[0].payload = image("raw.bin");
    };
    let inside = |setup: &mut Setup| {
        small(setup);
        setup.board.dma_ranges = vec![0, 0x7f00_0000, 0x100_0000];
    };
    assert_eq!(told(&inside), "");
    let cut = |setup: &mut Setup| {
        small(setup);
        setup.board.dma_ranges = vec![0, 0x7f80_0000, 0x100_0000];
    };
    assert!(told(&cut).contains("reaches 8 MiB of the cell's memory"), "{}", told(&cut));
}
