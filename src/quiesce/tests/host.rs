//! A PCI host over the fake machine, with functions that keep what is written to them.

use std::sync::{Arc, Mutex};

use crate::fake;
use crate::ports::Width;

/// A function and what is behind it.
#[derive(Clone, Debug, Default)]
pub(super) struct Function {
    /// Its place on its bus.
    pub(super) number: u8,
    pub(super) config: Vec<u8>,
    pub(super) behind: Option<Vec<Function>>,
    pub(super) virtio: Option<Status>,
    /// Its bus master cannot be switched off.
    pub(super) stuck: bool,
}

/// A virtio device's `device_status`: after a reset it reads 0 when it has been read so often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) value: u8,
    pub(super) resets: u8,
    pub(super) reads: u64,
}

/// Where a virtio function has its capability, and its device_status behind its third BAR.
pub(super) const COMMON: usize = 0x40;
const STATUS: u64 = 0x2000 + 20;
/// Where BARs may be.
pub(super) const BARS: u64 = 0x1000_0000;

impl Function {
    pub(super) fn new(number: u8) -> Self {
        let mut config = vec![0; 0x1000];
        config[..4].copy_from_slice(&[0x86, 0x80, 0x34, 0x12]);
        config[4] = 7;
        Self { number, config, ..Self::default() }
    }

    pub(super) fn bridge(number: u8, numbers: [u8; 3], behind: Vec<Self>) -> Self {
        let mut bridge = Self { behind: Some(behind), ..Self::new(number) };
        bridge.config[0x0e] = 0x81;
        bridge.config[0x18..0x1b].copy_from_slice(&numbers);
        bridge
    }

    pub(super) fn virtio(number: u8, reads: u64) -> Self {
        let status = Status { value: 0xf, resets: 0, reads };
        let mut virtio = Self { virtio: Some(status), ..Self::new(number) };
        let config = &mut virtio.config;
        config[..4].copy_from_slice(&[0xf4, 0x1a, 0x42, 0x10]);
        config[6] = 0x10;
        config[0x34] = 0x60;
        // Another capability before it.
        config[0x60..0x64].copy_from_slice(&[9, COMMON as u8, 16, 4]);
        config[COMMON..COMMON + 5].copy_from_slice(&[9, 0, 16, 1, 2]);
        config[COMMON + 8..COMMON + 12].copy_from_slice(&0x2000u32.to_le_bytes());
        virtio.at(BARS + 0x1_0000 * u64::from(number))
    }

    /// With its third BAR there, of 64 bits.
    pub(super) fn at(mut self, bar: u64) -> Self {
        self.config[0x18..0x20].copy_from_slice(&(bar | 4).to_le_bytes());
        self
    }

    pub(super) fn word(&self, at: usize) -> u64 {
        u32::from_le_bytes(self.config[at..at + 4].try_into().unwrap()).into()
    }

    pub(super) fn is_master(&self) -> bool {
        self.config[4] & 4 != 0
    }

    fn read(&self, at: usize, width: Width) -> u64 {
        (0..width.bytes() as usize).rev().fold(0, |value, n| value << 8 | u64::from(self.config[at + n]))
    }

    fn write(&mut self, at: usize, width: Width, value: u64) {
        assert!(!(6..8).contains(&at) && (at != 4 || width <= Width::Half), "the status was written");
        for n in 0..width.bytes() as usize {
            self.config[at + n] = (value >> (8 * n)) as u8;
        }
        if self.stuck {
            self.config[4] |= 4;
        }
    }

    /// The virtio device whose device_status is there.
    fn status(functions: &mut [Self], at: u64) -> Option<&mut Status> {
        functions.iter_mut().find_map(|f| {
            let here = (f.word(0x18) & !0xf) + STATUS == at && f.config[4] & 2 != 0;
            if here && f.virtio.is_some() { f.virtio.as_mut() } else { Self::status(f.behind.as_mut()?, at) }
        })
    }

    /// All functions from here on, with how many bridges stand before each.
    pub(super) fn all(functions: &[Self], depth: usize) -> Vec<(usize, &Self)> {
        let own = functions.iter().map(|f| (depth, f));
        own.chain(functions.iter().filter_map(|f| f.behind.as_ref()).flat_map(|b| Self::all(b, depth + 1)))
            .collect()
    }
}

/// The host: its first bus and that one's number.
#[derive(Clone)]
pub(super) struct Host(pub(super) Arc<Mutex<(u64, Vec<Function>)>>);

impl Host {
    /// The function that a configuration access reaches. Of two bridges that both claim the bus, the first answers.
    fn route(functions: &mut [Function], own: u64, bus: u64, number: u8) -> Option<&mut Function> {
        if own == bus {
            return functions.iter_mut().find(|f| f.number == number);
        }
        let bridge = functions.iter_mut().find(|f| {
            let numbers = f.word(0x18);
            f.behind.is_some() && (numbers >> 8 & 0xff..=numbers >> 16 & 0xff).contains(&bus)
        })?;
        let secondary = bridge.word(0x18) >> 8 & 0xff;
        Self::route(bridge.behind.as_mut()?, secondary, bus, number)
    }

    pub(super) fn access<R>(&self, offset: u64, none: R, work: impl FnOnce(&mut Function, usize) -> R) -> R {
        let mut host = self.0.lock().unwrap();
        let (first, functions) = &mut *host;
        let number = (offset >> 12) as u8;
        let function = Self::route(functions, *first, *first + (offset >> 20), number);
        function.map_or(none, |function| work(function, offset as usize & 0xfff))
    }
}

impl fake::Device for Host {
    fn read(&mut self, offset: u64, width: Width) -> u64 {
        self.access(offset, u64::MAX, |function, at| function.read(at, width))
    }
    fn write(&mut self, offset: u64, width: Width, value: u64) {
        self.access(offset, (), |function, at| function.write(at, width, value));
    }
}

/// The windows of the same host.
pub(super) struct Bars(pub(super) Host);

impl fake::Device for Bars {
    fn read(&mut self, offset: u64, width: Width) -> u64 {
        assert_eq!(width, Width::Byte);
        let mut host = self.0.0.lock().unwrap();
        let Some(status) = Function::status(&mut host.1, BARS + offset) else { return u64::MAX };
        if status.resets > 0 {
            status.reads = status.reads.saturating_sub(1);
            status.value = if status.reads == 0 { 0 } else { status.value };
        }
        status.value.into()
    }
    fn write(&mut self, offset: u64, width: Width, value: u64) {
        assert_eq!((width, value), (Width::Byte, 0));
        if let Some(status) = Function::status(&mut self.0.0.lock().unwrap().1, BARS + offset) {
            status.resets += 1;
        }
    }
}
