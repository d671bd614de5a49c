//! Code that stays in the arena: every access form, and the two calls.

use crate::forms;
use crate::shot::{self, RET, Shot};
use crate::word;

const FORMS: usize = shot::FIXED;
const HVC: usize = FORMS + 0x1000;
const SMC: usize = HVC + 2;
const FETCH: usize = HVC + 4;

/// Numbers of some forms, by their place in [`forms::FORMS`].
pub mod form {
    #![allow(missing_docs, reason = "the names are the instructions")]
    pub const LDRB: usize = 0;
    pub const LDRH: usize = 1;
    pub const LDR_W: usize = 2;
    pub const LDR_X: usize = 3;
    pub const STRB: usize = 4;
    pub const STRH: usize = 5;
    pub const STR_W: usize = 6;
    pub const STR_X: usize = 7;
}

/// BR x0: the fetch from there faults, and the shot lands.
const BR_X0: u32 = 0xd61f_0000;

/// Writes them all, for the CPU that calls.
pub fn write() {
    for n in 0..forms::FORMS.len() {
        shot::write(FORMS + 2 * n, &[forms::word(n), RET]);
    }
    shot::write(HVC, &[word::hvc(0), RET, word::smc(0), RET, BR_X0, RET]);
    shot::publish_at(FORMS, HVC + 8 - FORMS);
}

/// An access of a form.
pub fn access(form: usize, address: u64, value: u64) -> Shot {
    shot::run(FORMS + 2 * form, [address, value, value, !value, value, value, 0, 0])
}

/// A jump.
pub fn fetch(address: u64) -> Shot {
    shot::run(FETCH, [address, 0, 0, 0, 0, 0, 0, 0])
}

/// A call by HVC or SMC.
pub fn call(smc: bool, x: [u64; 8]) -> Shot {
    shot::run(if smc { SMC } else { HVC }, x)
}
