//! Many channels on one screen. Whoever has the screen prints as it likes; the lines of all others are printed whole, one of each
//! in turn, with a label, and what is unfinished of the first is drawn again behind them.

use alloc::boxed::Box;

use super::channel::{Port, RING, Stage, has_room};
use super::input::Keys;
use crate::ports::Serial;

/// Bytes that the channel which has the screen may print in the middle of a line before others have their turn.
const QUANTUM: usize = 512;
/// How often others wait for the end of a sequence.
const PATIENCE: u8 = 64;

/// The screen.
pub(super) struct Mux {
    serial: Box<dyn Serial>,
    /// Bytes on the way to the UART, and how many of them have gone.
    stage: Stage,
    sent: usize,
    /// There is more, and the UART would have taken it.
    more: bool,
    pub(super) keys: Keys,
    /// The channel that has the input, and will have the screen from the end of the line on that is being printed.
    input: Option<usize>,
    /// The channel that has the screen.
    screen: Option<usize>,
    /// Its unfinished line is not to be seen.
    hidden: bool,
    /// How much more it may print of its line.
    left: usize,
    patience: u8,
    /// The CPU that has the UART's interrupt rests: the UART is faster than we are, and its interrupt would never end.
    resting: bool,
    /// The channel whose line is being printed with a label, and how much longer that may be.
    line: Option<(usize, usize)>,
    /// Who had its turn last.
    turn: usize,
    /// The input has moved: Bulkhead's own lines, which say so, come before anything of whoever has the screen then.
    announcing: bool,
}

impl Mux {
    pub(super) fn new(serial: Box<dyn Serial>) -> Self {
        Self {
            serial,
            stage: Stage::new(),
            sent: 0,
            more: false,
            keys: Keys::default(),
            input: None,
            screen: None,
            hidden: false,
            left: 0,
            patience: PATIENCE,
            resting: false,
            line: None,
            turn: 0,
            announcing: false,
        }
    }

    /// The CPU that has the UART's interrupt begins its work.
    pub(super) fn wake(&mut self) {
        self.resting = false;
    }

    /// It is done; whether it shall rest for a while, because the UART takes whatever comes and there is more.
    pub(super) fn rest(&mut self) -> bool {
        self.resting = self.more;
        if self.resting {
            self.serial.call_for_more(false);
        }
        self.resting
    }

    /// Whether bytes are on their way to the UART.
    pub(super) fn is_busy(&self) -> bool {
        self.sent != self.stage.len()
    }

    /// The channel that has the input.
    pub(super) fn input(&self) -> Option<usize> {
        self.input
    }

    /// Moves the input; whoever calls has Bulkhead say so before the mux pumps again.
    pub(super) fn attach(&mut self, at: Option<usize>) {
        (self.input, self.announcing) = (at, true);
    }

    /// Takes what was typed.
    pub(super) fn take(&mut self, into: &mut [u8]) -> usize {
        self.serial.take(into)
    }

    /// Sends what there is, `budget` bytes at most and as many as the UART takes: how many. A bit of `changed` is set for each
    /// channel whose interrupt line changed. If more is to be sent, or with `call` in any case, the UART will interrupt, or
    /// whoever rests will look.
    pub(super) fn pump(&mut self, ports: &[Port], budget: usize, call: bool, changed: &mut u64) -> usize {
        let mut count = 0usize;
        let (more, full) = loop {
            if self.sent == self.stage.len() {
                self.stage.clear();
                self.sent = 0;
                self.compose(ports, changed);
            }
            let left = budget.saturating_sub(count);
            let rest = self.stage.get(self.sent..).unwrap_or_default();
            let rest = rest.get(..left.min(rest.len())).unwrap_or_default();
            if rest.is_empty() {
                break (left == 0, false);
            }
            let taken = self.serial.put(rest);
            self.sent = self.sent.saturating_add(taken);
            count = count.saturating_add(taken);
            if taken < rest.len() {
                break (true, true);
            }
        };
        self.more = more && !full;
        self.serial.call_for_more(full || (more || call) && !self.resting);
        count
    }

    /// Fills the stage.
    fn compose(&mut self, ports: &[Port], changed: &mut u64) {
        while has_room(&self.stage, 768) {
            if let Some((at, mut left)) = self.line {
                let Some(port) = ports.get(at) else { break };
                let mut channel = port.lock();
                self.line = if channel.go_on(&mut left, &mut self.stage) { None } else { Some((at, left)) };
                mark(changed, at, port.drive(&channel));
            } else {
                self.turn_screen(ports);
                if !self.next(ports, changed) {
                    break;
                }
            }
        }
    }

    /// Gives the screen to whoever has the input.
    fn turn_screen(&mut self, ports: &[Port]) {
        if self.screen == self.input {
            return;
        }
        if let Some(port) = self.screen.and_then(|at| ports.get(at)).filter(|_| !self.hidden) {
            port.lock().leave(&mut self.stage);
        }
        self.screen = self.input;
        // Its unfinished line is drawn when nothing else is to be printed.
        self.hidden = self.screen.is_some();
        self.left = 0;
        if let Some(port) = self.screen.and_then(|at| ports.get(at)) {
            port.lock().enter(&mut self.stage);
        }
    }

    /// Lets the next channel that has something begin; whether there was one.
    fn next(&mut self, ports: &[Port], changed: &mut u64) -> bool {
        let all = ports.len();
        if self.announcing {
            self.turn = all.wrapping_sub(1);
            self.announcing = ports.first().is_some_and(|own| own.lock().is_ready());
        }
        if self.left != 0 && !self.announcing && self.pass(ports, changed) {
            return true;
        }
        for step in 1..=all {
            let at = self.turn.wrapping_add(step).checked_rem(all).unwrap_or(0);
            if Some(at) == self.screen {
                self.left = QUANTUM;
                self.turn = at;
                if self.pass(ports, changed) {
                    return true;
                }
            } else if let Some(port) = ports.get(at) {
                let mut channel = port.lock();
                if channel.is_ready() && self.make_room(ports) {
                    channel.begin(&mut self.stage);
                    self.line = Some((at, RING));
                    self.turn = at;
                    return true;
                }
            }
        }
        self.reveal(ports);
        false
    }

    /// The turn of the channel that has the screen; whether it had anything.
    fn pass(&mut self, ports: &[Port], changed: &mut u64) -> bool {
        let Some((at, port)) = self.screen.and_then(|at| Some((at, ports.get(at)?))) else {
            self.left = 0;
            return false;
        };
        {
            let channel = port.lock();
            if channel.out.is_empty() {
                self.left = 0;
                return false;
            }
        }
        self.reveal(ports);
        let mut channel = port.lock();
        channel.pass(&mut self.left, &mut self.stage);
        self.patience = PATIENCE;
        mark(changed, at, port.drive(&channel));
        true
    }

    /// Takes the unfinished line off the screen; whether others may print now.
    fn make_room(&mut self, ports: &[Port]) -> bool {
        let Some(port) = self.screen.and_then(|at| ports.get(at)) else { return true };
        let mut channel = port.lock();
        if channel.has_alternate_screen() {
            return false;
        }
        if !channel.is_between() {
            self.patience = self.patience.saturating_sub(1);
            if self.patience != 0 {
                return false;
            }
            channel.cancel(&mut self.stage);
        }
        if !self.hidden {
            channel.hide(&mut self.stage);
            self.hidden = true;
        }
        true
    }

    /// Draws the unfinished line again.
    fn reveal(&mut self, ports: &[Port]) {
        if core::mem::take(&mut self.hidden)
            && let Some(port) = self.screen.and_then(|at| ports.get(at))
        {
            port.lock().show(&mut self.stage);
        }
    }
}

/// Notes that a channel's interrupt line changed.
pub(super) fn mark(changed: &mut u64, at: usize, on: bool) {
    // The first channel is Bulkhead's own.
    *changed |= u64::from(on).wrapping_shl((at as u32).wrapping_sub(1));
}
