//! What the tasks do: a PI controller holds a first-order plant at a set point that the supervisor moves.
//! Fixed point, 16 fractional bits: a guest of this target has no floating point.

const ONE: i64 = 1 << 16;

/// The plant and its controller.
pub struct Plant {
    set_point: i64,
    value: i64,
    integral: i64,
    settled: bool,
}

impl Plant {
    /// A plant at rest.
    pub fn new() -> Self {
        Self { set_point: ONE, value: 0, integral: 0, settled: false }
    }

    /// The 1 kHz task: measures, and moves the plant by a millisecond.
    pub fn step(&mut self) {
        let error = self.set_point - self.value;
        self.integral = (self.integral + error).clamp(-100 * ONE, 100 * ONE);
        let drive = 4 * error + self.integral / 32;
        self.value += (drive - self.value) / 64;
        self.settled = error.abs() < ONE / 100;
    }

    /// The 10 Hz task: once a second it moves the set point, if the plant got there.
    pub fn supervise(&mut self, run: u64) {
        if run.is_multiple_of(10) && self.settled {
            self.set_point = if self.set_point == ONE { 2 * ONE } else { ONE };
        }
    }
}
