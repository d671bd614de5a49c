//! Excursions: a few instructions are run in whatever state an SPSR asks for, EL0 and AArch32 included, until they take an
//! exception; then everything that the exception said is looked at. And the maps that such code wants.

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::entry::{Shared, TABLE};
use crate::exception::Frame;
use crate::{regs, tree};

global_asm!(include_str!("excursion.s"));

/// What excursion.s reads; it knows this layout.
#[repr(C)]
struct Trip {
    x: [u64; 4],
    pc: u64,
    spsr: u64,
}

const _: () = assert!(core::mem::offset_of!(Trip, pc) == 32);
const _: () = assert!(core::mem::offset_of!(Trip, spsr) == 40);

unsafe extern "C" {
    fn rt_excursion(trip: *const Trip);
    fn rt_excursion_back();
}

/// The exception that ended an excursion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The vector, 0 to 15.
    pub vector: u64,
    /// ESR_EL1.
    pub esr: u64,
    /// FAR_EL1.
    pub far: u64,
    /// ELR_EL1.
    pub elr: u64,
    /// SPSR_EL1.
    pub spsr: u64,
    /// PSTATE in the handler, less its condition flags.
    pub pstate: u64,
    /// x0 to x3 as they were then.
    pub x: [u64; 4],
}

/// Words of code.
const WORDS: usize = 64;

static CODE: Shared<[u32; WORDS]> = Shared::new([0; WORDS]);
static SPARE: Shared<[u64; 512]> = Shared::new([0; 512]);

/// What is under way at which CPU (`OUT` and `LOOKS` plus twice its number).
static STATE: AtomicUsize = AtomicUsize::new(0);
const OUT: usize = 1;
const LOOKS: usize = 2;

static NOTES: [AtomicU64; 10] = [const { AtomicU64::new(0) }; 10];

/// Where [`write`] puts code.
pub fn code() -> u64 {
    CODE.get().addr() as u64
}

/// Writes code for an excursion; more than 64 words are cut off.
pub fn write(words: &[u32]) {
    for (at, word) in (code()..).step_by(4).zip(words).take(WORDS) {
        // SAFETY: inside CODE, to which Rust has no reference.
        unsafe { asm!("str {:w}, [{}]", in(reg) *word, in(reg) at, options(nostack)) }
    }
    for line in (code()..code() + 4 * WORDS as u64).step_by(16) {
        regs::clean_invalidate(line);
    }
    regs::dsb_sy();
    // SAFETY: forgets cached instructions alone.
    unsafe { asm!("ic ialluis", options(nostack)) }
    regs::dsb_sy();
    regs::isb();
}

/// Runs code at `pc` with x0 to x3, in the state of `spsr`, until it takes an exception. It is the code that [`write`] wrote, by any
/// address that it is mapped at, or no code at all: it may change no register of the system, no memory of this program, and not SP_EL1.
pub fn run(pc: u64, spsr: u64, x: [u64; 4]) -> Taken {
    let trip = Trip { x, pc, spsr };
    let cpu = regs::cpu_index() * 4;
    let before: u64;
    // SAFETY: lets FP and SIMD be used by the code; nothing of this program does.
    unsafe {
        asm!("mrs {0}, cpacr_el1", "msr cpacr_el1, {1}", "isb", out(reg) before, in(reg) 3u64 << 20, options(nostack))
    }
    STATE.store(cpu + OUT, Ordering::SeqCst);
    // SAFETY: excursion.s and the vectors keep what the calling convention wants kept; what the code does is the caller's promise.
    unsafe { rt_excursion(&raw const trip) };
    // SAFETY: as it was.
    unsafe { asm!("msr cpacr_el1, {}", "isb", in(reg) before, options(nostack)) }
    let [vector, esr, far, elr, spsr, pstate, x @ ..] =
        NOTES.each_ref().map(|note| note.load(Ordering::SeqCst));
    Taken { vector, esr, far, elr, spsr, pstate, x }
}

/// Whether this exception ends an excursion, or the look that is taken at PSTATE afterwards.
pub(crate) fn ends(frame: &mut Frame, vector: u64) -> bool {
    const FLAGS: u64 = 0xf << 28;
    let cpu = regs::cpu_index() * 4;
    let [.., pstate, _, _, _, _] = &NOTES;
    match STATE.load(Ordering::SeqCst).wrapping_sub(cpu) {
        OUT => {}
        LOOKS => {
            STATE.store(0, Ordering::SeqCst);
            pstate.store(frame.spsr & !FLAGS, Ordering::SeqCst);
            return true;
        }
        _ => return false,
    }
    let [x0, x1, x2, x3, ..] = frame.x;
    for (note, value) in
        NOTES.iter().zip([vector, frame.esr, frame.far, frame.elr, frame.spsr, 0, x0, x1, x2, x3])
    {
        note.store(value, Ordering::SeqCst);
    }
    STATE.store(cpu + LOOKS, Ordering::SeqCst);
    // An exception of this handler's own has all of its PSTATE in SPSR_EL1.
    // SAFETY: the vectors keep every register, and `ends` lets this one return.
    unsafe { asm!("svc #0", options(nostack)) };
    /// EL1h, all masked.
    const HOME: u64 = 0x3c5;
    frame.elr = (rt_excursion_back as *const ()).addr() as u64;
    frame.spsr = HOME;
    true
}

/// Puts a descriptor into the stage 1 table, for the gibibyte of this number; not for one where the machine has something.
pub fn map(gibibyte: usize, descriptor: u64) {
    let span = tree::Span { base: (gibibyte as u64) << 30, size: 1 << 30 };
    if gibibyte >= 512 || tree::board().spans.iter().any(|other| other.overlaps(span)) {
        return;
    }
    // SAFETY: inside TABLE, by the line above; nothing of this program is there.
    let entry = unsafe { TABLE.get().cast::<u64>().add(gibibyte) };
    // SAFETY: as above; the walker may read it meanwhile.
    unsafe { entry.write_volatile(descriptor) };
    forget();
}

/// A table of another level whose entries are all `descriptor`: its address.
pub fn table_of(descriptor: u64) -> u64 {
    let table = SPARE.get().cast::<u64>();
    for n in 0..512 {
        // SAFETY: inside SPARE.
        let entry = unsafe { table.add(n) };
        // SAFETY: nothing else uses it.
        unsafe { entry.write_volatile(descriptor) };
    }
    forget();
    table.addr() as u64
}

/// Lets the upper half of the address space, of so many bits, be translated by tables at `ttbr`; or, with 0 bits, not at all.
pub fn upper_half(bits: u64, ttbr: u64) {
    const HALF: u64 = 0xffff << 16;
    const EPD1: u64 = 1 << 23;
    // Walks write-back, inner shareable, 4 KiB.
    let half = if bits == 0 { EPD1 } else { 0b10 << 30 | 0x35 << 24 | (64 - bits) << 16 };
    let tcr: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, tcr_el1", out(reg) tcr, options(nostack)) }
    // SAFETY: this program lives in the lower half.
    unsafe {
        asm!("msr ttbr1_el1, {}", "msr tcr_el1, {}", in(reg) ttbr, in(reg) tcr & !HALF | half, options(nostack))
    }
    forget();
}

/// Sets SCTLR_EL1's SPAN and DSSBS, which say what an exception does to PSTATE; what it was before.
pub fn set_sctlr(value: u64) -> u64 {
    const FREE: u64 = 1 << 23 | 1 << 44;
    let before: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, sctlr_el1", out(reg) before, options(nostack)) }
    // SAFETY: no other bit changes.
    unsafe { asm!("msr sctlr_el1, {}", "isb", in(reg) before & !FREE | value & FREE, options(nostack)) }
    before
}

fn forget() {
    regs::dsb_sy();
    // SAFETY: forgets cached translations.
    unsafe { asm!("tlbi vmalle1", options(nostack)) }
    regs::dsb_sy();
    regs::isb();
}
