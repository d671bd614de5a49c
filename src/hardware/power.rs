//! What switches a board off where no firmware answers PSCI.

use super::Device;
use crate::addr::{PAGE, Pa, Span};
use crate::ports::{Registers, Width};
use crate::tree::Tree;

/// The power manager of the Raspberry Pi's SoC, whose watchdog resets the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerManager {
    /// The page of its registers.
    pub page: Span<Pa>,
}

impl PowerManager {
    /// The board's, if it has one.
    pub(super) fn of(tree: &Tree<'_>, devices: &[Device]) -> Option<Self> {
        let is_pm = |device: &&Device| tree.node(device.node).is_compatible("brcm,bcm2835-pm-wdt");
        let at = devices.iter().find(is_pm)?.spans.first()?.start();
        Some(Self { page: Span::new(at, PAGE)? })
    }

    /// Resets the machine in some 150 us. Partition 63 in RSTS makes the boot ROM's successor halt instead of booting again. Source:
    /// Linux `drivers/watchdog/bcm2835_wdt.c`; the manual does not describe these registers.
    pub fn switch_off(registers: &dyn Registers) {
        const RSTC: u64 = 0x1c;
        const RSTS: u64 = 0x20;
        const WDOG: u64 = 0x24;
        /// Without it a write has no effect.
        const PASSWORD: u64 = 0x5a00_0000;
        const PARTITION: u64 = 0x555;
        const WRCFG: u64 = 0x30;
        const FULL_RESET: u64 = 0x20;
        let read = |at| registers.read(at, Width::Word) & 0x00ff_ffff;
        let write = |at, value| registers.write(at, Width::Word, PASSWORD | value);
        write(RSTS, read(RSTS) | PARTITION);
        write(WDOG, 10);
        write(RSTC, read(RSTC) & !WRCFG | FULL_RESET);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    struct Written(RefCell<Vec<(u64, u64)>>);

    impl Registers for Written {
        fn read(&self, offset: u64, _: Width) -> u64 {
            // The password reads back as something else.
            0xff00_0000 | if offset == 0x1c { 0x112 } else { 0x1000 }
        }
        fn write(&self, offset: u64, width: Width, value: u64) {
            assert_eq!(width, Width::Word);
            self.0.borrow_mut().push((offset, value));
        }
    }

    #[test]
    fn the_watchdog_is_the_last_thing_written() {
        let registers = Written(RefCell::default());
        PowerManager::switch_off(&registers);
        assert_eq!(*registers.0.borrow(), [(0x20, 0x5a00_1555), (0x24, 0x5a00_000a), (0x1c, 0x5a00_0122)]);
    }
}
