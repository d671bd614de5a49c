//! What a former life left: this cell's memory and registers are marked before it ends, and looked at when it begins.
//! Nothing outlives a life but what is printed: the console's reader compares.

use rt::{entry, println};

use crate::shot::{self, RET};
use crate::word::Encoding;

const MARK: u64 = 0x5ec2_e75e_c2e7_5ec2;
/// Words of a stub.
const STUB: usize = 2;
/// Where registers are stored to, in words of the arena.
const SCRATCH: usize = shot::FIXED + 0x2000;

/// Whether reading the register gives something new each time: counters, interrupts, random numbers.
fn is_lively(register: Encoding) -> bool {
    let fields = (register.0 >> 14, register.0 >> 11 & 7, register.0 >> 7 & 15, register.0 >> 3 & 15);
    matches!(fields, (3, 3, 14, 0..4) | (3, 3, 2, 4) | (3, 0, 12, 8 | 11 | 12) | (3, 0, 4, _) | (3, 3, 4, _))
        // This program's own: SCTLR, CPACR, TTBR0, TCR, MAIR, VBAR, SP and ELR, ESR and FAR, TPIDR_EL1.
        || matches!(fields, (3, 0, 1 | 2, 0) | (3, 0, 10, 2) | (3, 0, 12, 0) | (3, 0, 5 | 6, _) | (3, 0, 13, 0))
}

/// Prints what is there at the beginning of a life.
pub fn look() {
    let image = entry::image();
    let behind = rt::tree::Span {
        base: image.base + image.size,
        size: shot::arena().base + shot::arena().size - image.base - image.size,
    };
    match shot::find(behind, MARK) {
        Some(at) => println!("hostile: FOUND a former life's secret at {at:#x}"),
        None => println!("hostile: nothing of a former life in RAM"),
    }
    let mut hash = Hash(0xcbf2_9ce4_8422_2325);
    for op0 in [2, 3] {
        shot::fresh(STUB << 14);
        for (n, register) in Encoding::all(op0).enumerate() {
            shot::write(STUB * n, &[register.read(0), RET]);
        }
        shot::publish(STUB << 14);
        for (n, register) in Encoding::all(op0).enumerate().filter(|(_, register)| !is_lively(*register)) {
            let shot = shot::run(STUB * n, [0; 8]);
            let [value, ..] = shot.x;
            if shot.faults == 0 {
                hash.add(u64::from(register.0));
                hash.add(value);
                if rt::tree::argument("hostile.registers").is_some() && value != 0 {
                    println!("hostile: {register} = {value:#x}");
                }
            }
        }
    }
    println!("hostile: registers {:#x}", hash.0);
    shot::allow_vectors();
    let mut hash = Hash(0);
    each_vector(|word, store| {
        shot::write(0, &[store, word, RET]);
        shot::publish(3);
        let shot = shot::run(0, [shot::place(SCRATCH), 0, 0, 0, 0, 0, 0, 0]);
        if shot.faults == 0 {
            let [_, low, ..] = shot.x;
            hash.add(low);
        }
    });
    println!("hostile: vectors {:#x}", hash.0);
}

/// Calls with a load of x1 from scratch and the store of each Q and P register to it.
fn each_vector(mut f: impl FnMut(u32, u32)) {
    /// LDR x1, [x0]
    const LOAD: u32 = 0xf940_0001;
    for n in 0..32 {
        // STR Qn, [x0]
        f(LOAD, 0x3d80_0000 | n);
    }
    for n in 0..16 {
        // STR Pn, [x0]: FEAT_SVE
        f(LOAD, 0xe580_0000 | n);
    }
}

/// Marks all that can be marked, for the next life to find.
pub fn leave() {
    for n in 0..32 {
        // DUP Vn.2D, x0
        shot::write(2 * n as usize, &[0x4e08_0c00 | n, RET]);
    }
    for n in 0..16 {
        // PTRUE Pn.B
        shot::write(64 + 2 * n as usize, &[0x2518_e3e0 | n, RET]);
    }
    shot::publish(96);
    for n in 0..48 {
        shot::run(2 * n, [MARK, 0, 0, 0, 0, 0, 0, 0]);
    }
    for op0 in [2, 3] {
        shot::fresh(STUB << 14);
        for (n, register) in Encoding::all(op0).enumerate() {
            let skip = is_lively(register)
                || register.0 >> 14 == 3 && register.0 >> 7 & 15 == 12 && register.0 >> 3 & 15 != 1;
            shot::write(STUB * n, &[if skip { shot::NOP } else { register.write(0) }, RET]);
        }
        shot::publish(STUB << 14);
        for n in 0..1 << 14 {
            shot::run(STUB * n, [MARK, 0, 0, 0, 0, 0, 0, 0]);
        }
    }
    shot::fresh(shot::FIXED);
    // A word of each page will do.
    for index in (0..shot::FIXED).step_by(1024) {
        shot::write(index, &[MARK as u32, (MARK >> 32) as u32]);
    }
}

/// FNV-1a over 64-bit words.
struct Hash(u64);

impl Hash {
    fn add(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x100_0000_01b3);
    }
}
