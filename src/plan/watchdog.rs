//! Where cells see their watchdogs.

use alloc::vec::Vec;

use super::draft::Draw;
use super::spans::SpanSet;
use super::{devices, error};
use crate::addr::{Ipa, PAGE, Pa, Span};
use crate::config::CellConfig;
use crate::intid::{INTIDS, Spi};
use crate::refusal::{Refused, refuse};
use crate::vcpu::InterruptMode;
use crate::watchdog::FRAME;

/// Where a cell sees its watchdog: the refresh frame, and behind it the control frame. The root cell sees it elsewhere if the
/// board has something there.
pub const CELL_WATCHDOG: Ipa = Ipa(0x0910_0000);
/// Bytes of both frames.
pub const WATCHDOG_SIZE: u64 = 2 * FRAME;

/// A cell's watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtualWatchdog {
    /// Where the cell sees it.
    pub at: Span<Ipa>,
    /// The number of its interrupt, which no device of the board has.
    pub spi: Spi,
}

/// A cell's watchdog, if it asks for one.
#[inline(never)]
pub(super) fn of_cell(
    draw: &Draw<'_, '_>,
    cell: &CellConfig,
    errors: &mut Vec<Refused>,
) -> Option<VirtualWatchdog> {
    if !cell.watchdog {
        return None;
    }
    let at = if cell.root { hole(draw) } else { Span::new(CELL_WATCHDOG, WATCHDOG_SIZE) };
    let (Some(at), Some(spi)) = (at, spare_spi(draw)) else {
        let what = if at.is_none() { "8 KiB of addresses below 4 GiB" } else { "an SPI" };
        refuse(errors, &error::NO_PLACE_FOR_WATCHDOG).cell(&cell.name, "watchdog").word(what);
        return None;
    };
    Some(VirtualWatchdog { at, spi })
}

/// Refuses watchdogs of direct cells beside which no CPU takes EL2's timer: their own do not while they run.
pub(super) fn check_watched(draw: &Draw<'_, '_>, errors: &mut Vec<Refused>) {
    let is_direct = |cell: &&CellConfig| cell.interrupts != InterruptMode::Virtual;
    if draw.config.cells.iter().all(|cell| is_direct(&cell)) {
        for cell in draw.config.cells.iter().filter(|cell| cell.watchdog) {
            refuse(errors, &error::NOBODY_WATCHES).cell(&cell.name, "watchdog");
        }
    }
}

/// Addresses of the root cell, which sees the board as it is, where the board has nothing: below 4 GiB, so that its tree can
/// name them with one cell.
fn hole(draw: &Draw<'_, '_>) -> Option<Span<Ipa>> {
    let low = Span::between(Pa(PAGE), Pa(1 << 32))?;
    let mut free: SpanSet<Pa> = [low].into_iter().collect();
    devices::no_devices(draw).into_iter().for_each(|(span, _)| free.remove(span));
    draw.hardware.devices.iter().flat_map(devices::pages).for_each(|span| free.remove(span));
    let wanted = Span::new(Pa(CELL_WATCHDOG.0), WATCHDOG_SIZE)?;
    let place = if free.covers(&wanted) { Some(wanted) } else { free.lowest(WATCHDOG_SIZE, PAGE) };
    place.map(|place| place.identity())
}

/// The first SPI that no device of the board has. It is nowhere physical, so all cells may have the same.
fn spare_spi(draw: &Draw<'_, '_>) -> Option<Spi> {
    let devices = &draw.hardware.devices;
    let is_taken = |spi: &Spi| devices.iter().any(|device| device.spis.iter().any(|(own, _)| own == spi));
    (32..INTIDS).filter_map(Spi::new).find(|spi| !is_taken(spi))
}
