//! The registers of an SBSA Generic Watchdog, revision 1 (Arm Server Base System Architecture, DEN0029D, appendix A), as a
//! function of time. Time is the cell's own, in ticks of CNTVCT_EL0.

/// Bytes of each of its two frames: the refresh frame, and behind it the control frame.
pub const FRAME: u64 = 0x1000;

/// In the refresh frame.
const WRR: u64 = 0x000;
/// In both frames.
const W_IIDR: u64 = 0xfcc;
/// In the control frame.
const WCS: u64 = FRAME;
const WOR: u64 = FRAME + 0x008;
const WOR_HIGH: u64 = FRAME + 0x00c;
const WCV: u64 = FRAME + 0x010;
const WCV_HIGH: u64 = FRAME + 0x014;

/// WCS: enable, and the two signals.
const EN: u32 = 1 << 0;
const WS0: u32 = 1 << 1;
const WS1: u32 = 1 << 2;
/// W_IIDR: product 0x042, architecture revision 1, nobody's implementer code.
const IIDR: u32 = 0x0421_0000;
/// The upper half of the 48 bits of WOR.
const WOR_HIGH_BITS: u32 = 0xffff;

/// How far it has come since it was refreshed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for the first watch period to end.
    #[default]
    Fed,
    /// It did: WS0 is up, the second one runs.
    Warned,
    /// That did too: WS1 is up. Nothing brings it back.
    Expired,
}

/// The device.
#[derive(Debug, Default)]
pub(super) struct Device {
    enabled: bool,
    stage: Stage,
    /// WOR and WCV.
    offset: u64,
    compare: u64,
    /// The life before ended by WS1, and nobody has refreshed it since.
    ended_a_life: bool,
}

fn low(value: u64, low: u32) -> u64 {
    value >> 32 << 32 | u64::from(low)
}

fn high(value: u64, high: u32) -> u64 {
    u64::from(high) << 32 | value & u64::from(u32::MAX)
}

impl Device {
    /// Resets it, for a new life.
    pub(super) fn reset(&mut self) {
        *self = Self { ended_a_life: self.stage == Stage::Expired, ..Self::default() };
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.enabled
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// The tick at which something happens next, or has happened: the first beyond WCV.
    pub(super) fn due(&self) -> Option<u64> {
        self.compare.checked_add(1).filter(|_| self.enabled)
    }

    /// Lets time pass up to `now`. How often it is called makes no difference.
    pub(super) fn advance(&mut self, now: u64) {
        while let Some(due) = self.due().filter(|due| *due <= now && self.stage != Stage::Expired) {
            self.time_out(due);
        }
    }

    /// A watch period ends at `now`.
    fn time_out(&mut self, now: u64) {
        self.stage = match self.stage {
            Stage::Fed => {
                self.load(now);
                Stage::Warned
            }
            Stage::Warned | Stage::Expired => Stage::Expired,
        };
    }

    /// A watch period begins. One that ends beyond the last tick never does.
    fn load(&mut self, now: u64) {
        self.compare = now.saturating_add(self.offset);
    }

    /// An explicit refresh.
    fn refresh(&mut self, now: u64) {
        (self.stage, self.ended_a_life) = (Stage::Fed, false);
        self.load(now);
    }

    /// Reads a word, `at` bytes from the start of the refresh frame.
    pub(super) fn read(&self, at: u64) -> u32 {
        match at {
            WCS => {
                let enabled = if self.enabled { EN } else { 0 };
                let signals = match self.stage {
                    Stage::Fed if self.ended_a_life => WS1,
                    Stage::Fed => 0,
                    Stage::Warned => WS0,
                    Stage::Expired => WS0 | WS1,
                };
                enabled | signals
            }
            WOR => self.offset as u32,
            WOR_HIGH => (self.offset >> 32) as u32,
            WCV => self.compare as u32,
            WCV_HIGH => (self.compare >> 32) as u32,
            _ if at & FRAME.wrapping_sub(1) == W_IIDR => IIDR,
            _ => 0,
        }
    }

    /// Writes a word. Time has been let pass up to `now`.
    pub(super) fn write(&mut self, at: u64, value: u32, now: u64) {
        if self.stage == Stage::Expired {
            return;
        }
        match at {
            WRR => {}
            WCS => self.enabled = value & EN != 0,
            WOR => self.offset = low(self.offset, value),
            WOR_HIGH => self.offset = high(self.offset, value & WOR_HIGH_BITS),
            WCV => return self.set_compare(low(self.compare, value), now),
            WCV_HIGH => return self.set_compare(high(self.compare, value), now),
            _ => return,
        }
        self.refresh(now);
    }

    /// A compare value that has passed ends the watch period now.
    fn set_compare(&mut self, compare: u64, now: u64) {
        self.compare = compare;
        if self.due().is_some_and(|due| due <= now) {
            self.time_out(now);
        }
        self.advance(now);
    }
}
