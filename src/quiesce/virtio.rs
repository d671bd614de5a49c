//! Resetting virtio devices (Virtual I/O Device 1.2): a device that is reset has ended what it did and does nothing (2.4).

use super::Reach;
use super::pci::Function;
use crate::addr::{PAGE, Pa, Span};
use crate::ports::{Registers, Width};

/// MagicValue and its value, DeviceID, Status (4.2.2).
const MAGIC: (u64, u64) = (0x00, 0x7472_6976);
const DEVICE_ID: u64 = 0x08;
const STATUS: u64 = 0x70;

/// Resets a device by MMIO, if there is one behind these registers.
pub(super) fn stop_mmio(device: &dyn Registers, reach: &dyn Reach) -> bool {
    let read = |at| device.read(at, Width::Word);
    if read(MAGIC.0) != MAGIC.1 || read(DEVICE_ID) == 0 {
        return true;
    }
    device.write(STATUS, Width::Word, 0);
    reach.until(&mut || read(STATUS) == 0)
}

/// The vendor capability (4.1.4): `cfg_type`, `bar`, `offset`.
const VENDOR_CAPABILITY: u64 = 0x09;
const CFG_TYPE: u64 = 3;
const BAR: u64 = 4;
const OFFSET: u64 = 8;
const COMMON_CFG: u64 = 1;
/// `device_status` in the common configuration (4.1.4.3).
const DEVICE_STATUS: u64 = 20;

/// Resets a function that is a virtio device of QEMU's, whose requests to the host's files go on without the bus, but not beyond a
/// reset. Its registers are where the guest has put them; if that is nowhere in the host's windows, taking it the bus must do.
pub(super) fn stop_function(function: &Function<'_>, windows: &[Span<Pa>], reach: &dyn Reach) -> bool {
    let Some(status) = device_status(function) else { return true };
    let page = status.widened_to(PAGE);
    if !page.is_some_and(|page| windows.iter().any(|window| window.covers(&page))) {
        return true;
    }
    let mut stopped = false;
    let opened = reach.open(status, &mut |device| {
        device.write(0, Width::Byte, 0);
        stopped = reach.until(&mut || device.read(0, Width::Byte) == 0);
    });
    opened.is_ok() && stopped
}

/// Where the function has its `device_status`.
fn device_status(function: &Function<'_>) -> Option<Span<Pa>> {
    if function.vendor() != 0x1af4 || !(0x1000..0x1080).contains(&function.device()) {
        return None;
    }
    let kind = |at: &u64| function.read(at.saturating_add(CFG_TYPE), Width::Byte);
    let common = function.capabilities(VENDOR_CAPABILITY).find(|at| kind(at) == COMMON_CFG)?;
    let bar = function.bar(function.read(common.saturating_add(BAR), Width::Byte))?;
    let offset = function.read(common.saturating_add(OFFSET), Width::Word);
    Span::new(Pa(bar.checked_add(offset)?.checked_add(DEVICE_STATUS)?), 1)
}
