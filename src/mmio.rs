//! What a cell finds at the addresses that its stage 2 leaves out: sorted spans, a device behind each.

use arrayvec::ArrayVec;

use crate::addr::{Address, Ipa, Span};
use crate::ports::Width;
use crate::sort;

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

/// How many devices a cell's bus takes.
pub const MAX_DEVICES: usize = 4;

/// A device's frame.
#[derive(Clone, Copy, Debug)]
struct Window {
    start: u64,
    /// Bytes; 0 where there is no device.
    size: u64,
    device: Device,
}

const EMPTY: Window = Window { start: 0, size: 0, device: Device::Gicd };

/// A cell's bus. A linear search over two or three windows is cheaper than a binary one.
#[derive(Clone, Debug)]
pub struct Bus {
    windows: [Window; MAX_DEVICES],
}

impl Bus {
    /// The bus with these devices; `None` if two overlap or there are too many.
    pub fn new(devices: impl IntoIterator<Item = (Span<Ipa>, Device)>) -> Option<Self> {
        let mut spans: ArrayVec<(Span<Ipa>, Device), MAX_DEVICES> = ArrayVec::new();
        for entry in devices {
            if spans.iter().any(|(span, _)| span.overlaps(&entry.0)) {
                return None;
            }
            spans.try_push(entry).ok()?;
        }
        sort::by_key(&mut spans, |(span, _)| *span);
        let mut windows = [EMPTY; MAX_DEVICES];
        for (window, (span, device)) in windows.iter_mut().zip(spans) {
            *window = Window { start: span.start().get(), size: span.size(), device };
        }
        Some(Self { windows })
    }

    /// The device at `at` and the offset in its frame. An access that is not aligned to its width hits nothing, so
    /// none that is found crosses the end of a frame.
    #[inline]
    pub fn find(&self, at: Ipa, width: Width) -> Option<(Device, u64)> {
        if at.get() & !(u64::MAX << width as u32) != 0 {
            return None;
        }
        self.windows.iter().find_map(|window| {
            let offset = at.get().wrapping_sub(window.start);
            (offset < window.size).then_some((window.device, offset))
        })
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
    fn overlapping_or_too_many_devices_are_refused() {
        let span = |n: u64| (Span::new(Ipa(n << 16), 0x1_0000).unwrap(), Device::Gicd);
        assert!(Bus::new([span(1), span(1)]).is_none());
        assert!(Bus::new((0..4).map(span)).is_some());
        assert!(Bus::new((0..5).map(span)).is_none());
    }
}
