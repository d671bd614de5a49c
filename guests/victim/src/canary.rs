//! Values that nobody has a reason to change. All unsafe code of this guest is here.

use core::arch::{asm, global_asm};

use rt::tree::{Span, board};
use rt::{entry, read_reg, regs};

global_asm!(".arch_extension fp", ".arch_extension simd", include_str!("canary.s"));

unsafe extern "C" {
    fn victim_general(rounds: u64) -> u64;
    fn victim_plant_vectors();
    fn victim_vectors() -> u64;
}

/// The RAM that is watched: behind the image, before the tree's slot.
fn watched() -> Span {
    const TREE: u64 = 2 << 20;
    let image = entry::image();
    let base = (image.base + image.size).next_multiple_of(4096);
    let bank = board().memory.iter().find(|bank| bank.contains(base));
    let end = bank.map_or(base, |bank| bank.base + bank.size.saturating_sub(TREE));
    Span { base, size: end.saturating_sub(base) }
}

/// Bytes of it.
pub fn size() -> u64 {
    watched().size
}

/// What stands at an address.
fn value(at: u64) -> u64 {
    (at ^ 0x5afe_5afe_5afe_5afe).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Puts all canaries in place.
pub fn plant() {
    let span = watched();
    for at in (span.base..span.base + span.size).step_by(8) {
        // SAFETY: RAM of this cell behind the program, which nothing else uses.
        unsafe { asm!("str {}, [{}]", in(reg) value(at), in(reg) at, options(nostack)) }
    }
    // SAFETY: the target is softfloat: no Rust code holds anything in a vector register.
    unsafe { victim_plant_vectors() }
    for register in &SYSTEM {
        (register.write)(register.value);
    }
    regs::isb();
}

/// Looks at the part of the memory that tick `n` is for: all of it in a second. Where it changed.
pub fn memory(n: u64, rate: u64) -> Option<u64> {
    let span = watched();
    let part = (span.size / rate).next_multiple_of(8);
    let from = span.base + n % rate * part;
    (from..(from + part).min(span.base + span.size)).step_by(8).find(|at| {
        let here: u64;
        // SAFETY: an aligned load from RAM of this cell.
        unsafe { asm!("ldr {}, [{}]", out(reg) here, in(reg) *at, options(nostack, readonly)) }
        here != value(*at)
    })
}

/// Holds values in all general registers for a while, interrupts included, then looks at the vectors.
pub fn registers() -> Option<&'static str> {
    // SAFETY: saves what the calling convention wants kept and touches no memory but its stack.
    let general = unsafe { victim_general(2000) };
    if general != 0 {
        return Some("a general register");
    }
    // SAFETY: reads vector registers and x0 to x2 alone.
    (unsafe { victim_vectors() } != 0).then_some("a vector register")
}

/// A system register that this guest has no use for.
struct System {
    name: &'static str,
    value: u64,
    read: fn() -> u64,
    write: fn(u64),
}

macro_rules! system {
    ($($name:literal = $value:expr),* $(,)?) => { [$( System {
        name: $name,
        value: $value,
        read: rt::regs::reader!($name),
        write: rt::regs::writer!($name),
    } ),*] };
}

static SYSTEM: [System; 14] = system![
    "tpidr_el0" = 0x1111_2222_3333_4444,
    "tpidrro_el0" = 0x5555_6666_7777_8888,
    "sp_el0" = 0x9999_aaaa_bbbb_ccc0,
    "contextidr_el1" = 0xdddd_eeee,
    "ttbr1_el1" = 0x1234_5000,
    "far_el1" = 0x0bad_cafe_0bad_cafe,
    "afsr0_el1" = 0,
    "par_el1" = 0xfe0,
    "csselr_el1" = 2,
    "cntkctl_el1" = 0x3,
    "dbgbvr0_el1" = 0x4000_1000,
    "dbgbvr1_el1" = 0x4000_2000,
    "dbgwvr0_el1" = 0x4000_3000,
    "pmccfiltr_el0" = 1 << 30,
];

/// What of the system registers changed.
pub fn system() -> Option<&'static str> {
    type Fixed = (&'static str, fn() -> u64, u64);
    /// Those that the runtime set.
    const FIXED: [Fixed; 3] = [
        ("SCTLR_EL1", rt::regs::reader!("sctlr_el1"), 0x30d0_180d),
        ("TPIDR_EL1", rt::regs::reader!("tpidr_el1"), 0),
        ("MDSCR_EL1", rt::regs::reader!("mdscr_el1"), 0),
    ];
    let fixed = FIXED.iter().find(|(_, read, value)| read() != *value).map(|(name, ..)| *name);
    let changed = || SYSTEM.iter().find(|register| (register.read)() != register.value).map(|r| r.name);
    let vectors = || (read_reg!("cpacr_el1") >> 20 & 3 != 3).then_some("CPACR_EL1");
    fixed.or_else(changed).or_else(vectors)
}
