//! Taking every function behind a PCI host the bus: bus master off, through the host's ECAM (PCI Express Base Specification 5.0,
//! 7.2.2, 7.5.1).
//!
//! What a guest did to its bridges is not trusted: their bus numbers are taken away first, and each is opened alone while what is
//! behind it is stopped. They are left closed, as they come out of reset; whoever comes next numbers them anew.

use arrayvec::ArrayVec;

use super::{Reach, virtio};
use crate::addr::{Pa, Span};
use crate::ports::{Registers, Width};

/// Vendor ID and device ID.
const ID: u64 = 0x00;
const COMMAND: u64 = 0x04;
const MEMORY: u64 = 1 << 1;
const BUS_MASTER: u64 = 1 << 2;
/// Of the status register: there is a list of capabilities.
const STATUS: u64 = 0x06;
const HAS_CAPABILITIES: u64 = 1 << 4;
const CLASS: u64 = 0x0a;
const HOST_BRIDGE: u64 = 0x0600;
const HEADER_TYPE: u64 = 0x0e;
const BARS: u64 = 0x10;
const CAPABILITIES: u64 = 0x34;
/// Of a bridge: primary, secondary and subordinate bus number, and a byte that is not ours.
const BUS_NUMBERS: u64 = 0x18;
const BUS_NUMBERS_MASK: u64 = 0xff_ffff;
/// The list of extended capabilities, and that of SR-IOV (9.3.3).
const EXTENDED: u64 = 0x100;
const SR_IOV: u64 = 0x10;
const SR_IOV_CONTROL: u64 = 8;
const VF_ENABLE: u64 = 1;
/// There is no room for longer lists; a broken device may have a ring.
const MAX_CAPABILITIES: usize = 48;
const MAX_EXTENDED: usize = 64;
/// QEMU's own host bridge (docs/specs/pci-ids.rst). What nothing answers in its windows reads as ones, as elsewhere it need not.
const QEMU_HOST: u64 = 0x0008_1b36;
/// How deep bridges may stand behind each other.
const MAX_DEPTH: usize = 7;
/// Bytes of the configuration spaces that are looked at: 1 MiB for each bus.
pub(super) const WINDOW: u64 = (MAX_DEPTH as u64 + 1) << 20;
/// Devices and functions of a bus. All are looked at: with ARI a device has up to 256 functions.
const FUNCTIONS: u64 = 256;

/// The configuration space of a function.
pub(super) struct Function<'r> {
    ecam: &'r dyn Registers,
    at: u64,
}

impl<'r> Function<'r> {
    /// The function at this place, if there is one. `bus` counts from the window's first.
    fn find(ecam: &'r dyn Registers, bus: usize, number: u64) -> Option<Self> {
        let bus = u64::try_from(bus).ok()?;
        let function = Self { ecam, at: bus << 20 | number << 12 };
        // What nobody answers reads as ones (2.3.2); a virtual function, which has no vendor, goes with the one that it is of.
        (function.vendor() != 0xffff).then_some(function)
    }

    pub(super) fn read(&self, at: u64, width: Width) -> u64 {
        self.ecam.read(self.at | at & 0xfff, width)
    }

    pub(super) fn write(&self, at: u64, width: Width, value: u64) {
        self.ecam.write(self.at | at & 0xfff, width, value);
    }

    pub(super) fn vendor(&self) -> u64 {
        self.read(ID, Width::Half)
    }

    pub(super) fn device(&self) -> u64 {
        self.read(ID | 2, Width::Half)
    }

    /// Where its capabilities of this kind are.
    pub(super) fn capabilities(&self, kind: u64) -> impl Iterator<Item = u64> + '_ {
        let there = self.read(STATUS, Width::Half) & HAS_CAPABILITIES != 0;
        let pointer = |at| Some(self.read(at, Width::Byte) & 0xfc).filter(|at| *at >= 0x40);
        let first = if there { pointer(CAPABILITIES) } else { None };
        let all = core::iter::successors(first, move |at| pointer(at | 1)).take(MAX_CAPABILITIES);
        all.filter(move |at| self.read(*at, Width::Byte) == kind)
    }

    /// Where a memory BAR is (7.5.1.2.1), while the function answers there.
    pub(super) fn bar(&self, number: u64) -> Option<u64> {
        let at = BARS.saturating_add(number.checked_mul(4).filter(|at| *at < 0x18)?);
        let low = self.read(at, Width::Word);
        let on = self.read(COMMAND, Width::Half) & MEMORY != 0;
        let high = if low & 6 == 4 { self.read(at.saturating_add(4), Width::Word) } else { 0 };
        (on && low & 1 == 0).then_some(high << 32 | low & !0xf)
    }

    fn is_bridge(&self) -> bool {
        self.read(HEADER_TYPE, Width::Byte) & 0x7f == 1
    }

    /// Writes the bus numbers of a bridge.
    fn number(&self, numbers: u64) {
        let rest = self.read(BUS_NUMBERS, Width::Word) & !BUS_NUMBERS_MASK;
        self.write(BUS_NUMBERS, Width::Word, rest | numbers & BUS_NUMBERS_MASK);
    }

    /// It makes no request from here on (7.5.1.1.3), messages that interrupt included, nor does a bridge pass any on; neither do
    /// its virtual functions. The read at the end has its answer behind all that it wrote before.
    fn take_bus(&self) -> bool {
        // A function of conventional PCI has nothing there: zeros, or nobody's ones.
        let pointer = |at: u64| Some(at).filter(|at| *at >= EXTENDED);
        let next = |at: &u64| pointer(self.read(*at, Width::Word) >> 20 & 0xffc);
        for at in core::iter::successors(pointer(EXTENDED), next).take(MAX_EXTENDED) {
            if self.read(at, Width::Half) == SR_IOV {
                let control = at.saturating_add(SR_IOV_CONTROL);
                let value = self.read(control, Width::Half);
                self.write(control, Width::Half, value & !VF_ENABLE);
            }
        }
        // Half a word, and not the status beside it, which writing ones clears.
        let command = self.read(COMMAND, Width::Half);
        self.write(COMMAND, Width::Half, command & !BUS_MASTER);
        // A host bridge may show a bus master that it is not.
        self.read(COMMAND, Width::Half) & BUS_MASTER == 0 || self.read(CLASS, Width::Half) == HOST_BRIDGE
    }
}

/// Stops all functions that are there: whether none was left out. `first` is the number of the host's own bus, `windows` is where
/// their registers may be.
pub(super) fn stop(ecam: &dyn Registers, first: u8, windows: &[Span<Pa>], reach: &dyn Reach) -> bool {
    let mut stopped = true;
    let host = Function::find(ecam, 0, 0);
    let emulated = host.is_some_and(|host| host.read(ID, Width::Word) == QEMU_HOST);
    let windows = if emulated { windows } else { &[] };
    // The bridges that are open, each behind the one before, and the next place to look at on the last one's bus.
    let mut open = ArrayVec::<u64, MAX_DEPTH>::new();
    let mut next = 0;
    close_bridges(ecam, 0);
    loop {
        let bus = open.len();
        if next == FUNCTIONS {
            let Some(at) = open.pop() else { return stopped };
            let bridge = Function { ecam, at };
            bridge.number(0);
            stopped &= bridge.take_bus();
            next = (at >> 12 & 0xff).saturating_add(1);
            continue;
        }
        let found = Function::find(ecam, bus, next);
        next = next.saturating_add(1);
        let Some(function) = found else { continue };
        if !function.is_bridge() {
            stopped &= virtio::stop_function(&function, windows, reach) & function.take_bus();
        } else if open.try_push(function.at).is_err() {
            // Nothing passes it, but what is behind it would go on as soon as somebody opens it.
            function.take_bus();
            stopped = false;
        } else {
            // The bus that it stands on, the one behind it, and the last that can be behind that.
            let number = |bus: usize| (bus as u64).saturating_add(first.into()).min(0xff);
            function.number(number(bus) | number(open.len()) << 8 | number(MAX_DEPTH) << 16);
            close_bridges(ecam, open.len());
            next = 0;
        }
    }
}

/// Takes all bridges of a bus their numbers, so that no two lead to one bus.
fn close_bridges(ecam: &dyn Registers, bus: usize) {
    for number in 0..FUNCTIONS {
        if let Some(bridge) = Function::find(ecam, bus, number).filter(Function::is_bridge) {
            bridge.number(0);
        }
    }
}
