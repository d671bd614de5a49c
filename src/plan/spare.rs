//! SPIs for virtual devices of direct cells. Such a cell takes all interrupts from hardware, so they must be there, and no
//! device's.

use alloc::vec::Vec;

use super::draft::Draw;
use super::{VirtualUart, VirtualWatchdog, error};
use crate::config::CellConfig;
use crate::intid::{IntidSet, Spi};
use crate::refusal::{Refused, refuse};
use crate::vcpu::InterruptMode;

/// Those that the distributor has for certain and no device of the board uses.
pub(super) struct SpareSpis {
    free: IntidSet,
}

impl SpareSpis {
    /// A distributor has SPIs by 32 (GICD_TYPER.ITLinesNumber): all up to the end of the word that the board's last one is in.
    pub(super) fn of(draw: &Draw<'_, '_>) -> Self {
        let used =
            || draw.hardware.devices.iter().flat_map(|device| &device.spis).map(|(spi, _)| spi.intid());
        let last = used().max().unwrap_or(0) | 31;
        let mut free = IntidSet::new();
        (32..=last).for_each(|intid| free.insert(intid));
        used().for_each(|intid| free.remove(intid));
        Self { free }
    }

    /// The last ones first: what a board leaves out low down is more often wired to something that its tree does not name.
    fn take(&mut self) -> Option<Spi> {
        let spi = Spi::new(self.free.iter().last()?)?;
        self.free.remove(spi.intid());
        Some(spi)
    }

    /// Gives each virtual device of a direct cell one.
    pub(super) fn give(
        &mut self,
        cell: &CellConfig,
        uart: &mut Option<VirtualUart>,
        watchdog: &mut Option<VirtualWatchdog>,
        errors: &mut Vec<Refused>,
    ) {
        if cell.interrupts == InterruptMode::Virtual {
            return;
        }
        let uart = uart.as_mut().map(|uart| ("console", &mut uart.spi));
        let watchdog = watchdog.as_mut().map(|watchdog| ("watchdog", &mut watchdog.spi));
        for (property, spi) in uart.into_iter().chain(watchdog) {
            match self.take() {
                Some(spare) => *spi = spare,
                None => {
                    _ = refuse(errors, &error::NO_SPARE_INTERRUPT).cell(&cell.name, property).word(property)
                }
            }
        }
    }
}
