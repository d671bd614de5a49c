//! Device registers: plain loads and stores with one register and no write-back, so that a trapped access carries a syndrome.

use core::arch::asm;

/// A block of device registers that the tree names.
#[derive(Clone, Copy, Debug)]
pub struct Mmio {
    base: u64,
}

impl Mmio {
    /// The block at an address. Only this crate makes one, from a device's `reg`.
    pub(crate) const fn new(base: u64) -> Self {
        Self { base }
    }

    /// Where it lies.
    pub fn base(self) -> u64 {
        self.base
    }

    /// Reads 32 bits.
    pub fn read(self, offset: u64) -> u32 {
        load32(self.base + offset)
    }

    /// Writes 32 bits.
    pub fn write(self, offset: u64, value: u32) {
        store32(self.base + offset, value);
    }

    /// Reads 64 bits.
    pub fn read64(self, offset: u64) -> u64 {
        let value;
        // SAFETY: a load; the block is a device's (see `new`) or faults.
        unsafe { asm!("ldr {}, [{}]", out(reg) value, in(reg) self.base + offset, options(nostack)) }
        value
    }

    /// Writes 64 bits.
    pub fn write64(self, offset: u64, value: u64) {
        // SAFETY: the block is a device's, not memory that Rust knows of (see `new`).
        unsafe { asm!("str {}, [{}]", in(reg) value, in(reg) self.base + offset, options(nostack)) }
    }

    /// Reads a byte.
    pub fn read8(self, offset: u64) -> u8 {
        let value: u32;
        // SAFETY: a load; the block is a device's (see `new`) or faults.
        unsafe { asm!("ldrb {:w}, [{}]", out(reg) value, in(reg) self.base + offset, options(nostack)) }
        value as u8
    }

    /// Writes a byte.
    pub fn write8(self, offset: u64, value: u8) {
        // SAFETY: the block is a device's, not memory that Rust knows of (see `new`).
        unsafe {
            asm!("strb {:w}, [{}]", in(reg) u32::from(value), in(reg) self.base + offset, options(nostack));
        }
    }

    /// Reads two words with one load-pair, which carries no syndrome where it traps.
    pub fn read_pair(self, offset: u64) -> [u32; 2] {
        let (a, b): (u32, u32);
        // SAFETY: a load; the block is a device's (see `new`) or faults.
        unsafe {
            asm!("ldp {:w}, {:w}, [{}]", out(reg) a, out(reg) b, in(reg) self.base + offset, options(nostack));
        }
        [a, b]
    }
}

/// Loads 32 bits from any address: it works, or it faults and [`crate::exception::catch`] says how.
pub fn load32(address: u64) -> u32 {
    let value: u32;
    // SAFETY: a load changes nothing; what it reads is only a number.
    unsafe { asm!("ldr {:w}, [{}]", out(reg) value, in(reg) address, options(nostack)) }
    value
}

/// Stores 32 bits where no memory is; an address in the guest's own RAM is left alone.
pub fn store32(address: u64, value: u32) {
    if crate::tree::is_ram(address) {
        return;
    }
    // SAFETY: not memory that Rust knows of, by the line above.
    unsafe { asm!("str {:w}, [{}]", in(reg) value, in(reg) address, options(nostack)) }
}
