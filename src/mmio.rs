//! What a cell finds at the addresses that its stage 2 leaves out: a span for each device that it has.

use crate::addr::{Address, Ipa, Span};
use crate::ports::Width;

/// Something that Bulkhead answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The distributor.
    Gicd,
    /// The redistributors, 128 KiB for each vCPU.
    Gicr,
    /// The virtual UART.
    Console,
    /// The watchdog: its refresh frame, and behind it its control frame.
    Watchdog,
}

/// How many devices there are.
const DEVICES: usize = Device::Watchdog as usize + 1;

/// A device's frame.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    start: u64,
    /// Bytes; 0 where there is no device.
    size: u64,
}

impl Window {
    /// How far from its start, if in it.
    #[inline(always)]
    fn offset(self, at: Ipa) -> Option<u64> {
        let offset = at.get().wrapping_sub(self.start);
        (offset < self.size).then_some(offset)
    }
}

/// A cell's bus: where each device is.
#[derive(Clone, Debug)]
pub struct Bus {
    windows: [Window; DEVICES],
}

impl Bus {
    /// The bus with these devices; `None` if two overlap or one is there twice.
    pub fn new(devices: impl IntoIterator<Item = (Span<Ipa>, Device)>) -> Option<Self> {
        let mut spans: [Option<Span<Ipa>>; DEVICES] = [None; DEVICES];
        for (span, device) in devices {
            if spans.iter().flatten().any(|other| span.overlaps(other)) {
                return None;
            }
            let place = spans.get_mut(device as usize)?;
            if place.replace(span).is_some() {
                return None;
            }
        }
        let window = |span: Span<Ipa>| Window { start: span.start().get(), size: span.size() };
        Some(Self { windows: spans.map(|span| span.map_or(Window::default(), window)) })
    }

    /// The device at `at` and the offset in its frame. An access that is not aligned to its width hits nothing, so
    /// none that is found crosses the end of a frame.
    ///
    /// The device with the longest way is asked first, and each has a way of its own behind its comparison: a search that ended
    /// in one place would be asked there what it had found.
    #[inline(always)]
    pub fn find(&self, at: Ipa, width: Width) -> Option<(Device, u64)> {
        if at.get() & !(u64::MAX << width as u32) != 0 {
            return None;
        }
        let [gicd, gicr, console, watchdog] = self.windows;
        if let Some(offset) = gicr.offset(at) {
            return Some((Device::Gicr, offset));
        }
        if let Some(offset) = gicd.offset(at) {
            return Some((Device::Gicd, offset));
        }
        if let Some(offset) = console.offset(at) {
            return Some((Device::Console, offset));
        }
        watchdog.offset(at).map(|offset| (Device::Watchdog, offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bus() -> Bus {
        Bus::new([
            (Span::new(Ipa(0x080a_0000), 0x4_0000).unwrap(), Device::Gicr),
            (Span::new(Ipa(0x0800_0000), 0x1_0000).unwrap(), Device::Gicd),
        ])
        .unwrap()
    }

    #[test]
    fn an_address_finds_its_device_and_offset() {
        let bus = bus();
        assert_eq!(bus.find(Ipa(0x0800_0004), Width::Word), Some((Device::Gicd, 4)));
        assert_eq!(bus.find(Ipa(0x0800_ffff), Width::Byte), Some((Device::Gicd, 0xffff)));
        assert_eq!(bus.find(Ipa(0x080b_0008), Width::Double), Some((Device::Gicr, 0x1_0008)));
        for nothing in [0x07ff_ffff, 0x0801_0000, 0x0809_ffff, 0x080e_0000, 0, u64::MAX] {
            assert_eq!(bus.find(Ipa(nothing), Width::Byte), None);
        }
    }

    #[test]
    fn an_unaligned_access_finds_nothing() {
        let bus = bus();
        assert_eq!(bus.find(Ipa(0x0800_0002), Width::Word), None);
        assert_eq!(bus.find(Ipa(0x0800_0004), Width::Double), None);
        assert_eq!(bus.find(Ipa(0x0800_ffff), Width::Half), None);
    }

    #[test]
    fn each_device_has_its_own_window() {
        let span = |n: u64| Span::new(Ipa(n << 16), 0x1_0000).unwrap();
        let devices = [Device::Gicd, Device::Gicr, Device::Console, Device::Watchdog];
        // In any order of their addresses.
        let bus = Bus::new((1..5).rev().map(span).zip(devices)).unwrap();
        for (n, device) in (1..5).rev().zip(devices) {
            assert_eq!(bus.find(Ipa(n << 16 | 8), Width::Double), Some((device, 8)));
        }
        assert_eq!(bus.find(Ipa(0x5_0000), Width::Byte), None);
    }

    #[test]
    fn overlapping_devices_and_one_that_is_there_twice_are_refused() {
        let span = |n: u64| Span::new(Ipa(n << 16), 0x1_0000).unwrap();
        assert!(Bus::new([(span(1), Device::Gicd), (span(1), Device::Gicr)]).is_none());
        assert!(Bus::new([(span(1), Device::Gicd), (span(2), Device::Gicd)]).is_none());
        assert!(Bus::new([(span(1), Device::Gicd), (span(2), Device::Gicr)]).is_some());
    }
}
