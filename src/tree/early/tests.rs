//! The early walk agrees with the whole tree.

use super::*;
use crate::hardware::Hardware;
use crate::hardware::sample::{Board, soc_device};
use crate::tree::Tree;
use crate::tree::sample::{Sample, board, node};

#[test]
fn it_finds_what_the_hardware_finds() {
    let spec = Board {
        cpus: 6,
        banks: vec![(0x4000_0000, 1 << 28), (0x8_8000_0000, 1 << 30)],
        reserved: vec![(0x4100_0000, 0x3000)],
        initrd: Some((1, 0xff_0000_0001)),
        ..Board::default()
    };
    let blob = spec.tree().blob_reserving(&[(0x4000_0000, 0x1000)]);
    let (early, tree) = (read(&blob).unwrap(), Tree::parse(&blob).unwrap());
    let hardware = Hardware::read(&tree).unwrap();
    assert_eq!(early.memory.as_slice(), hardware.memory);
    assert_eq!(early.reserved.as_slice(), [hardware.firmware[0], hardware.reserved[0].span]);
    assert_eq!((early.cpus, early.initrd), (6, Some((1, 0xff_0000_0001))));
    let stdout = early.stdout.unwrap();
    assert_eq!(stdout.at, hardware.stdout.unwrap().at);
    assert_eq!(stdout.compatibles().collect::<Vec<_>>(), ["arm,pl011"]);
    assert_eq!(early.used, used_size(&blob).unwrap());
}

fn stdout(root: &Sample) -> Option<Pa> {
    let blob = root.blob();
    read(&blob).unwrap().stdout.map(|stdout| stdout.at)
}

#[test]
fn a_console_behind_buses_is_where_a_cpu_sees_it() {
    let bus = |name: &str, ranges: [u32; 3]| {
        node(name).cells("#address-cells", [1]).cells("#size-cells", [1]).cells("ranges", ranges)
    };
    let root = |path: &str, outer: Sample| {
        node("")
            .cells("#address-cells", [1])
            .cells("#size-cells", [1])
            .child(node("chosen").text("stdout-path", [path]))
            .child(outer)
    };
    let uart = || soc_device("uart@40", "arm,pl011", 0x40, 1);
    let inner = || bus("inner", [0, 0x100, 0x1000]).child(uart()).child(node("late"));
    let outer = || bus("outer", [0, 0xfe00_0000, 0x10_0000]).child(inner());
    assert_eq!(stdout(&root("/outer/inner/uart@40:115200", outer())), Some(Pa(0xfe00_0140)));
    assert_eq!(stdout(&root("/outer/inner/late", outer())), None);
    assert_eq!(stdout(&root("/outer/nobody", outer())), None);
    assert_eq!(stdout(&root("serial0", outer())), None);
    let mute = node("mute").cells("#address-cells", [1]).cells("#size-cells", [1]).child(uart());
    assert_eq!(stdout(&root("/mute/uart@40", mute)), None, "no CPU can address it");
}

#[test]
fn what_is_disabled_does_not_count() {
    let disabled =
        node("memory@80000000").cells("reg", [0, 0x8000_0000, 0, 0x1000]).text("status", ["disabled"]);
    let blob = board().child(disabled).blob();
    assert_eq!(read(&blob).unwrap().memory.len(), 1);
}

#[test]
fn the_cells_of_a_description_are_counted() {
    let cells = node("").child(node("a").child(node("b"))).child(node("hypervisor")).child(node("c")).blob();
    assert_eq!(count_children(&cells), 3);
    assert_eq!(count_children(&cells[..20]), 0);
}
