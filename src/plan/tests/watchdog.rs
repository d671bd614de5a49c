//! Where cells' watchdogs are.

use super::*;
use crate::hardware::sample::device;

/// The demo, whose cells both have a watchdog, with one device more.
fn setup(more: crate::tree::sample::Sample) -> Setup {
    let mut setup = Setup::new([]);
    setup.cells.iter_mut().for_each(|cell| cell.watchdog = true);
    setup.board.over = Some(more);
    setup
}

fn places(plan: &Plan<Checked>) -> Vec<(u64, u64, u32)> {
    let watchdogs = plan.cells.iter().filter_map(|cell| cell.watchdog);
    watchdogs.map(|dog| (dog.at.start().0, dog.at.size(), dog.spi.intid())).collect()
}

#[test]
fn both_kinds_of_cells_see_theirs_in_the_same_place() {
    let mut setup = Setup::new([]);
    setup.cells.iter_mut().for_each(|cell| cell.watchdog = true);
    setup.plan(|plan, _, _| {
        // No device has SPI 0; it is nobody's, so that both may have it.
        assert_eq!(places(plan), [(0x910_0000, 0x2000, 32); 2]);
        assert!(plan.cells.iter().all(|cell| !cell.spis.contains(32)));
    });
}

#[test]
fn where_the_board_has_something_the_root_cell_sees_it_in_a_hole() {
    let rtc = device("rtc@9101000", "arm,pl031", 0x910_1000, 0);
    setup(rtc).plan(|plan, _, _| {
        assert_eq!(places(plan), [(0x1000, 0x2000, 34), (0x910_0000, 0x2000, 34)]);
    });
}

#[test]
fn another_cell_cannot_have_a_device_there() {
    let mut setup = setup(device("rtc@9101000", "arm,pl031", 0x910_1000, 60));
    setup.cells[1].devices = names(&["rtc@9101000"]);
    assert_eq!(
        setup.refused(),
        [
            "cell `control`: its watchdog and /rtc@9101000 would both be at 0x9101000: give the device to another cell, \
          or move the cell's memory with `ram-base`"
        ]
    );
}
