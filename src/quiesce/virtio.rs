//! Resetting virtio devices (Virtual I/O Device 1.2): a device that is reset has ended what it did and does nothing (2.4).

use super::Wait;
use super::pci::Function;
use crate::ports::{Registers, Width};

/// MagicValue and its value, DeviceID, Status (4.2.2).
const MAGIC: (u64, u64) = (0x00, 0x7472_6976);
const DEVICE_ID: u64 = 0x08;
const STATUS: u64 = 0x70;

/// Resets a device by MMIO, if there is one behind these registers.
pub(super) fn stop_mmio(device: &dyn Registers, wait: &dyn Wait) -> bool {
    let read = |at| device.read(at, Width::Word);
    if read(MAGIC.0) != MAGIC.1 || read(DEVICE_ID) == 0 {
        return true;
    }
    device.write(STATUS, Width::Word, 0);
    wait.until(&mut || read(STATUS) == 0)
}

/// The vendor capability (4.1.4): `cfg_type`, `bar`, `offset`, `length`, and in the last kind `pci_cfg_data`.
const VENDOR_CAPABILITY: u64 = 0x09;
const CFG_TYPE: u64 = 3;
const BAR: u64 = 4;
const OFFSET: u64 = 8;
const LENGTH: u64 = 12;
const DATA: u64 = 16;
const COMMON_CFG: u64 = 1;
const PCI_CFG: u64 = 5;
/// `device_status` in the common configuration (4.1.4.3).
const DEVICE_STATUS: u64 = 20;

/// Resets a function that is a virtio device. Its registers lie wherever the guest has put them, if anywhere, but each device has a
/// window onto them in its configuration space (4.1.4.9). One that has none is of a kind older than the standard: taking it the
/// bus is all that there is.
pub(super) fn stop_function(function: &Function<'_>, wait: &dyn Wait) -> bool {
    if function.vendor() != 0x1af4 || !(0x1000..0x1080).contains(&function.device()) {
        return true;
    }
    let find = |kind| {
        function.capabilities(VENDOR_CAPABILITY).find(|at| {
            let cfg_type = at.saturating_add(CFG_TYPE);
            function.read(cfg_type, Width::Byte) == kind
        })
    };
    let (Some(common), Some(window)) = (find(COMMON_CFG), find(PCI_CFG)) else { return true };
    let of = |base: u64, field| base.saturating_add(field);
    let status = function.read(of(common, OFFSET), Width::Word).saturating_add(DEVICE_STATUS);
    function.write(of(window, BAR), Width::Byte, function.read(of(common, BAR), Width::Byte));
    function.write(of(window, OFFSET), Width::Word, status);
    function.write(of(window, LENGTH), Width::Word, 1);
    function.write(of(window, DATA), Width::Byte, 0);
    wait.until(&mut || function.read(of(window, DATA), Width::Byte) == 0)
}
