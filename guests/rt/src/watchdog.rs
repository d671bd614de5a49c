//! An SBSA Generic Watchdog (Arm DEN0029D, appendix A).

use crate::mmio::Mmio;
use crate::tree::board;

const WRR: u64 = 0x000;
const WCS: u64 = 0x000;
const WOR: u64 = 0x008;
const WCV: u64 = 0x010;
const W_IIDR: u64 = 0xfcc;

/// WCS: it runs.
pub const ENABLED: u32 = 1 << 0;
/// WCS: the first watch period has ended.
pub const WS0: u32 = 1 << 1;
/// WCS: the second one has, be it in the life before.
pub const WS1: u32 = 1 << 2;

/// The watchdog.
#[derive(Clone, Copy, Debug)]
pub struct Watchdog {
    control: Mmio,
    refresh: Mmio,
    /// Its first signal's INTID.
    pub intid: u32,
}

impl Watchdog {
    /// The one that the tree names.
    pub fn of_board() -> Option<Self> {
        let node = board().watchdog?;
        Some(Self { control: Mmio::new(node.control), refresh: Mmio::new(node.refresh), intid: node.intid })
    }

    /// Sets a watch period of so many ticks, of which 48 bits count.
    pub fn set_period(self, ticks: u64) {
        self.control.write(WOR, ticks as u32);
        self.control.write(WOR + 4, (ticks >> 32) as u32);
    }

    /// WOR.
    pub fn period(self) -> u64 {
        u64::from(self.control.read(WOR)) | u64::from(self.control.read(WOR + 4)) << 32
    }

    /// Switches it on or off.
    pub fn enable(self, on: bool) {
        self.control.write(WCS, u32::from(on));
    }

    /// Feeds it.
    pub fn feed(self) {
        self.refresh.write(WRR, 0);
    }

    /// WCS.
    pub fn status(self) -> u32 {
        self.control.read(WCS)
    }

    /// WCV: the count at which the watch period ends.
    pub fn end(self) -> u64 {
        u64::from(self.control.read(WCV)) | u64::from(self.control.read(WCV + 4)) << 32
    }

    /// W_IIDR of the control frame and of the refresh frame.
    pub fn identities(self) -> [u32; 2] {
        [self.control.read(W_IIDR), self.refresh.read(W_IIDR)]
    }
}
