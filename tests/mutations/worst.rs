//! Inputs made to cost as much as 2 MiB can: each is read within seconds.

use std::time::{Duration, Instant};

use super::heap;
use super::model::Model;
use super::seeds::{self, Seed};

/// For one of these in a build with all checks; the worst take a tenth of it.
const LIMIT: Duration = Duration::from_secs(4);

fn cells(values: impl IntoIterator<Item = u32>) -> Vec<u8> {
    values.into_iter().flat_map(u32::to_be_bytes).collect()
}

fn text(value: &str) -> Vec<u8> {
    value.bytes().chain([0]).collect()
}

fn timed(what: &str, boot: impl FnOnce() -> super::Reached) {
    let begun = Instant::now();
    let (reached, peak) = heap::peak(boot);
    let took = begun.elapsed();
    println!("{what}: {reached:?} in {took:?}, {peak} bytes of heap");
    assert!(took < LIMIT, "{what} took {took:?}");
}

/// Changes virt's tree, and boots with it.
fn board(seed: &Seed, what: &str, change: impl FnOnce(&mut Model)) {
    let mut model = Model::of(&seed.board);
    change(&mut model);
    let blob = model.blob();
    assert!(blob.len() <= bulkhead::tree::MAX_SIZE, "{what}: {} bytes", blob.len());
    timed(what, || seed.loaded.boot(&blob, &seed.archive));
}

/// Changes the demo's description, and boots with it.
fn description(seed: &Seed, what: &str, change: impl FnOnce(&mut Model)) {
    let mut model = Model::of(seed.description());
    change(&mut model);
    // The archive that /chosen names must hold it.
    let archive = seed.with_description(&model.blob());
    let mut board = Model::of(&seed.board);
    board.set("chosen", "linux,initrd-end", cells([0x4800_0000 + archive.len() as u32]));
    timed(what, || seed.loaded.boot(&board.blob(), &archive));
}

#[test]
fn boards_that_cost_much() {
    let seeds = seeds::all();
    let seed = &seeds[0];
    board(seed, "names that come twice", |tree| {
        let names: Vec<_> = (0..60_000).map(|n| format!("{n:x}")).collect();
        let props: Vec<_> = names.iter().map(|name| (name.as_str(), Vec::new())).collect();
        tree.add(1, "many", &props);
        tree.add(1, "twice", &[]);
        tree.add(1, "twice", &[]);
    });
    board(seed, "a console of slashes", |tree| {
        tree.set("chosen", "stdout-path", text(&"/".repeat(1 << 20)));
        (0..12_000).for_each(|n| tree.add(1, &format!("n{n}"), &[]));
    });
    board(seed, "a console behind a long alias", |tree| {
        tree.set("chosen", "stdout-path", text("x"));
        tree.set("aliases", "x", text(&format!("/{}", "a/".repeat(400_000))));
        (0..12_000).for_each(|n| tree.add(1, &format!("n{n}"), &[]));
    });
    board(seed, "ranges of no cells", |tree| {
        let none = || cells([0]);
        tree.add(1, "bus", &[("#address-cells", none()), ("#size-cells", none())]);
        let pci = [
            ("device_type", text("pci")),
            ("compatible", text("x,pci")),
            ("#address-cells", none()),
            ("#size-cells", none()),
            ("ranges", cells([1, 2, 3])),
            ("reg", cells([1, 2, 3])),
        ];
        tree.add(2, "pci@0", &pci);
        tree.add(3, "device@0", &[("compatible", text("x,y")), ("reg", cells([1, 2]))]);
    });
    board(seed, "many addresses behind many ranges", |tree| {
        let bus = |rows: u32| {
            let one = || cells([1]);
            [
                ("#address-cells", one()),
                ("#size-cells", one()),
                ("ranges", cells((0..rows).flat_map(|n| [n, n, 1]))),
            ]
        };
        let mut first = bus(2000);
        // The root has two cells for each.
        first[2].1 = cells((0..2000).flat_map(|n| [n, 0, n, 1]));
        tree.add(1, "bus1", &first);
        (2..28).for_each(|n| tree.add(n, &format!("bus{n}"), &bus(2000)));
        let reg = cells((0..60_000).flat_map(|n| [1999 - n % 7, 1]));
        tree.add(28, "device@0", &[("compatible", text("x,y")), ("reg", reg)]);
    });
    board(seed, "buses with many properties", |tree| {
        let names: Vec<_> = (0..40_000).map(|n| format!("{n:x}")).collect();
        let props: Vec<_> = names.iter().map(|name| (name.as_str(), Vec::new())).collect();
        tree.add(1, "bus", &props);
        (0..14_000).for_each(|n| tree.add(2, &format!("d@{n:x}"), &[("reg", cells([0, n, 0, 1]))]));
    });
    board(seed, "a device that needs everything", |tree| {
        (0..9000).for_each(|n| {
            tree.add(
                1,
                &format!("n{n:x}"),
                &[("phandle", cells([n + 0x10_0000])), ("#clock-cells", cells([0]))],
            )
        });
        let all = || cells((0..60_000).map(|n| n % 9000 + 0x10_0000));
        tree.add(
            1,
            "needy",
            &[
                ("compatible", text("x,y")),
                ("a-supply", all()),
                ("clocks", all()),
                ("pinctrl-0", all()),
                ("remote-endpoint", all()),
            ],
        );
    });
    board(seed, "a clock of four billion cells", |tree| {
        tree.add(1, "clock", &[("phandle", cells([0x10_0000])), ("#clock-cells", cells([u32::MAX]))]);
        let clocks = || ("clocks", cells([0x10_0000; 64]));
        (0..2000).for_each(|n| tree.add(1, &format!("n{n:x}"), &[clocks(), ("compatible", text("x,y"))]));
    });
    board(seed, "many interrupts behind a large map", |tree| {
        let one = || cells([1]);
        let rows = cells((0..30_000).flat_map(|n| [n, 0x8001, 0, 0, 0, n % 900, 4]));
        let nexus = [
            ("phandle", cells([0x10_0000])),
            ("#interrupt-cells", one()),
            ("#address-cells", cells([0])),
            ("interrupt-map", rows),
        ];
        tree.add(1, "nexus", &nexus);
        let lines = cells((0..150_000).map(|n| 29_999 - n % 13));
        tree.add(
            1,
            "device",
            &[("compatible", text("x,y")), ("interrupt-parent", cells([0x10_0000])), ("interrupts", lines)],
        );
    });
    board(seed, "a device of many overlapping spans", |tree| {
        let reg = cells((0..100_000).flat_map(|n| [0, 0x900_0000 + (n * 7919) % 0x100_0000, 0, 0x10_0000]));
        tree.add(1, "device@0", &[("compatible", text("x,y")), ("reg", reg)]);
    });
    board(seed, "devices in one page", |tree| {
        for n in 0..12_000 {
            let reg = cells([0, 0x2000_0000 + (n * 7919) % 0x100_0000, 0, 4]);
            tree.add(1, &format!("d@{n:x}"), &[("compatible", text("x,y")), ("reg", reg)]);
        }
    });
    board(seed, "structure that depends on what is not there", |tree| {
        tree.add(1, "gone", &[("phandle", cells([0x10_0000]))]);
        for n in 0..8000 {
            let phandle = |n: u32| cells([0x10_0001 + n]);
            let props = [
                ("phandle", phandle(n)),
                ("remote-endpoint", phandle(n + 1)),
                ("x-supply", cells([0x10_0000])),
            ];
            tree.add(1, &format!("n{n:x}"), &props);
        }
    });
    board(seed, "an interrupt parent that is its own", |tree| {
        tree.add(1, "a", &[("phandle", cells([0x10_0000])), ("interrupt-parent", cells([0x10_0001]))]);
        tree.add(1, "b", &[("phandle", cells([0x10_0001])), ("interrupt-parent", cells([0x10_0000]))]);
        for n in 0..12_000 {
            let props = [
                ("interrupt-parent", cells([0x10_0000])),
                ("interrupts", cells([1])),
                ("compatible", text("x")),
            ];
            tree.add(1, &format!("n{n:x}"), &props);
        }
    });
    board(seed, "an interrupt controller of many frames", |tree| {
        let frame = |n: u32| [0, 0x800_0000 + n % 4096 * 0x1000, 0, 0x1000];
        let reg = cells((0..100_000).flat_map(frame));
        tree.set("intc@8000000", "reg", reg);
    });
    board(seed, "interrupts that nobody can have", |tree| {
        let lines = cells((0..100_000).flat_map(|n| [7, n, 4]));
        tree.add(1, "device", &[("compatible", text("x,y")), ("interrupts", lines)]);
    });
}

#[test]
fn descriptions_that_cost_much() {
    let seeds = seeds::all();
    let seed = &seeds[0];
    description(seed, "many names", |tree| {
        let names: Vec<u8> = (0..200_000).flat_map(|n| text(&format!("{n:x}"))).collect();
        tree.set("control", "devices", names);
    });
    description(seed, "names that are nearly right", |tree| {
        let names: Vec<u8> = (0..20_000).flat_map(|n| text(&format!("/virtio_mmio@a0{n:x}"))).collect();
        tree.set("control", "devices", names);
    });
    description(seed, "many unknown properties", |tree| {
        let names: Vec<_> = (0..60_000).map(|n| format!("memorx{n:x}")).collect();
        names.iter().for_each(|name| tree.set_last(name, Vec::new()));
    });
    description(seed, "many cells", |tree| {
        (0..16_000).for_each(|n| tree.add(1, &format!("n{n:x}"), &[("root", Vec::new())]));
    });
}
