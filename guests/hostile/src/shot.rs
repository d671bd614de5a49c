//! The one primitive: instructions, written to memory as words, are run with the registers they want at EL1 or EL0. Whatever
//! they do ends in a vector that notes it and goes on. All unsafe code of this guest is here.

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicUsize, Ordering};

use rt::tree::{Span, board};
use rt::{entry, regs};

global_asm!(".arch_extension fp", ".arch_extension simd", include_str!("shot.s"));

/// What shot.s reads and writes; it knows this layout.
#[repr(C, align(16))]
#[derive(Clone, Copy, Debug, Default)]
pub struct Shot {
    /// x0 to x7, before and after.
    pub x: [u64; 8],
    code: u64,
    /// ESR_EL1 of the first fault.
    pub esr: u64,
    /// FAR_EL1 of the first fault.
    pub far: u64,
    /// ELR_EL1 of the first fault.
    pub elr: u64,
    /// SPSR_EL1, of a shot at EL0.
    pub spsr: u64,
    /// How many faults there were.
    pub faults: u64,
    /// The vector of the first, 0 to 15.
    pub vector: u64,
    start: u64,
}

const _: () = assert!(core::mem::offset_of!(Shot, code) == 64);
const _: () = assert!(core::mem::offset_of!(Shot, elr) == 88);
const _: () = assert!(core::mem::offset_of!(Shot, faults) == 104);
const _: () = assert!(core::mem::offset_of!(Shot, start) == 120);

unsafe extern "C" {
    fn hostile_shoot(shot: *mut Shot);
    fn hostile_bad_vectors();
    fn hostile_ruins();
}

/// RET.
pub const RET: u32 = 0xd65f_03c0;
/// SVC #0x77 ends a shot at EL0.
pub const SVC: u32 = 0xd400_0ee1;
/// NOP.
pub const NOP: u32 = 0xd503_201f;

/// Bytes of each CPU's arena.
pub const ARENA: u64 = 4 << 20;
/// Words of it that [`fresh`] gives out; those behind stay where they are.
pub const FIXED: usize = 0xf_0000;
/// How many CPUs have one.
pub const CREW: usize = 2;
/// Where EL0 sees the arena: the last gibibyte that 32 bits reach, which AArch32 can name too.
pub const EL0_BASE: u64 = 3 << 30;
/// Where the window onto any gibibyte is.
pub const WINDOW: u64 = 511 << 30;

/// Memory behind the image that nothing else uses: an arena for each CPU, then a page for a table.
pub fn arena() -> Span {
    let image = entry::image();
    Span { base: (image.base + image.size).next_multiple_of(ARENA), size: CREW as u64 * ARENA + 4096 }
}

/// Whether the cell has the RAM that the arena needs, its tree left alone.
pub fn arena_is_ours() -> bool {
    /// The tree's slot at the end of RAM.
    const TREE: u64 = 2 << 20;
    let end = arena().base + arena().size;
    board().memory.iter().any(|bank| bank.contains(arena().base) && bank.base + bank.size >= end + TREE)
}

/// Where word 0 of the first CPU's arena is for now, in words.
static ORIGIN: AtomicUsize = AtomicUsize::new(0);
/// Where what [`fresh`] gave out last ends.
static END: AtomicUsize = AtomicUsize::new(0);

/// Makes room for so many words where no code was before, as long as there is such a place: an emulator is slow where code is
/// written over code.
pub fn fresh(words: usize) {
    let end = END.load(Ordering::Relaxed);
    let origin = if end + words > FIXED { 0 } else { end };
    ORIGIN.store(origin, Ordering::Relaxed);
    END.store(origin + words, Ordering::Relaxed);
}

/// Word `index` of this CPU's arena, in words from the arena's start.
fn at(index: usize) -> u64 {
    let moved = regs::cpu_index() == 0 && index < FIXED;
    (index + if moved { ORIGIN.load(Ordering::Relaxed) } else { 0 }) as u64
}

/// The address of word `index` of this CPU's arena.
pub fn place(index: usize) -> u64 {
    arena().base + (regs::cpu_index() % CREW) as u64 * ARENA + at(index) * 4 % ARENA
}

/// Writes words to the arena, from word `index` on; they can be run when [`publish`] has been called.
pub fn write(index: usize, words: &[u32]) {
    for (n, word) in words.iter().enumerate() {
        // SAFETY: the arena is RAM that nothing of Rust's lies in, and `place` stays inside for every user's index.
        unsafe { asm!("str {:w}, [{}]", in(reg) *word, in(reg) place(index + n), options(nostack)) }
    }
}

/// Makes `count` words from the arena's start on visible to instruction fetches.
pub fn publish(count: usize) {
    publish_at(0, count);
}

/// The same from word `index` on, also for a CPU with its caches off (Arm ARM B2.7.4.2). A line has four words at least.
pub fn publish_at(index: usize, count: usize) {
    for n in (index..index + count).step_by(4) {
        // SAFETY: cleaning changes no memory as this CPU sees it.
        unsafe { asm!("dc cvac, {}", in(reg) place(n), options(nostack)) }
    }
    regs::dsb_sy();
    for n in (index..index + count).step_by(4) {
        // SAFETY: forgets cached instructions alone.
        unsafe { asm!("ic ivau, {}", in(reg) place(n), options(nostack)) }
    }
    regs::dsb_sy();
    regs::isb();
}

/// Runs the code at word `index` of the arena at EL1. It must end with [`RET`], keep to x0 to x11 and leave this program's memory alone.
pub fn run(index: usize, x: [u64; 8]) -> Shot {
    let mut shot = Shot { x, code: place(index), ..Shot::default() };
    shoot(&mut shot);
    shot
}

/// Runs it at EL0, in AArch64, on the first CPU, until it takes an exception: [`SVC`] means that it came through.
pub fn run_el0(index: usize, x: [u64; 8]) -> Shot {
    const EL0T: u64 = 0;
    // D, A, F masked: a timer's IRQ alone ends code that does not end by itself.
    run_as(index, x, 0x340 | EL0T)
}

/// The same in AArch32: A32 code, or T32.
pub fn run_a32(index: usize, x: [u64; 8], thumb: bool) -> Shot {
    const USER: u64 = 0x10;
    run_as(index, x, 0x140 | USER | if thumb { 1 << 5 } else { 0 })
}

/// Where EL0 sees word `index` of the first CPU's arena.
pub fn el0_place(index: usize) -> u64 {
    EL0_BASE + at(index) * 4
}

/// Lets software steps happen (MDSCR_EL1.SS, the OS Lock open), or not.
pub fn step(on: bool) {
    // SAFETY: debug exceptions of this level stay masked; those of EL0 end a shot.
    unsafe { asm!("msr oslar_el1, xzr", "msr mdscr_el1, {}", "isb", in(reg) u64::from(on), options(nostack)) }
}

/// Enters the code as this SPSR_EL1 asks, legal or not.
pub fn run_as(index: usize, x: [u64; 8], spsr: u64) -> Shot {
    // 0 means EL1 to shot.s; bit 31 (N) means nothing to anybody.
    let code = el0_place(index);
    let mut shot = Shot { x, code, start: spsr | 1 << 31, ..Shot::default() };
    shoot(&mut shot);
    shot
}

fn shoot(shot: &mut Shot) {
    // SAFETY: shot.s saves what the calling convention wants kept and writes this shot alone; what the code itself may do is its
    // writer's promise: it stays off this program's memory and registers.
    unsafe { hostile_shoot(shot) }
}

/// The vector base whose every entry faults.
pub fn bad_vectors() -> u64 {
    (hostile_bad_vectors as *const ()).addr() as u64
}

/// Changes entry `index` of the stage 1 table; the TLB forgets what it was. Only for gibibytes that this program does not live in.
pub fn map(index: u64, descriptor: u64) {
    let entry = (rt::read_reg!("ttbr0_el1") & 0xffff_ffff_f000) + (index & 511) * 8;
    // SAFETY: the table is the runtime's; the entry covers none of this program's memory.
    unsafe { asm!("str {}, [{}]", in(reg) descriptor, in(reg) entry, options(nostack)) }
    regs::dsb_sy();
    // SAFETY: forgets cached translations alone.
    unsafe { asm!("tlbi vmalle1is", options(nostack)) }
    regs::dsb_sy();
    regs::isb();
}

/// Normal memory, write-back, inner shareable, EL1 only.
pub const NORMAL: u64 = 0x701;
/// Device-nGnRE, EL1 only. Executable, so that a fetch reaches stage 2.
pub const DEVICE: u64 = 0x405;
/// Normal memory that EL0 reads, writes and executes.
pub const NORMAL_EL0: u64 = 0x741;

/// Lets EL0 reach the first CPU's arena at [`EL0_BASE`] and nothing else.
pub fn open_el0() {
    let arena = arena();
    let table = arena.base + CREW as u64 * ARENA;
    for n in 0..512 {
        let block = n << 21;
        let value = if block < ARENA { (arena.base + block) | NORMAL_EL0 } else { 0 };
        // SAFETY: the page behind the arenas, which no stub reaches.
        unsafe { asm!("str {}, [{}]", in(reg) value, in(reg) table + n * 8, options(nostack)) }
    }
    map(EL0_BASE >> 30, table | 3);
}

/// Lets FP, SIMD, SVE and SME instructions through at EL1 and EL0.
pub fn allow_vectors() {
    let value = rt::read_reg!("cpacr_el1") | 3 << 24 | 3 << 20 | 3 << 16;
    // SAFETY: this program itself has no vector code, and keeps nothing in those registers.
    unsafe { asm!("msr cpacr_el1, {}", "isb", in(reg) value, options(nostack)) }
}

/// Whether a 64-bit value is anywhere in a span of RAM, and where; reads alone.
pub fn find(span: Span, value: u64) -> Option<u64> {
    (span.base..span.base + span.size).step_by(8).find(|at| {
        let here: u64;
        // SAFETY: a load from RAM of this cell, aligned.
        unsafe { asm!("ldr {}, [{}]", out(reg) here, in(reg) *at, options(nostack, readonly)) }
        here == value
    })
}

/// What a CPU does that [`ruin`] brought where nothing of its own ends it; `ruin` has the code by number.
const RUINED: [&str; RUINS as usize] = [
    "faults in its fault handler",
    "has no stage 1",
    "has no vectors",
    "sleeps in WFI with all masked",
    "sleeps in WFE with all masked",
    "spins with all masked",
    "calls for ever",
    "reads the distributor for ever",
    "writes the distributor for ever",
    "cleans by set and way for ever",
    "invalidates TLBs for ever",
    "sends SGIs to all for ever",
    "faults on nothing for ever",
    "sleeps in WFI behind its priority mask",
    "sleeps in WFI behind its interface's enable",
    "sleeps in WFI behind active priorities",
];

/// How many ways [`ruin`] knows.
pub const RUINS: u64 = 16;

/// What a CPU does that was ruined this way.
pub fn ruin_name(way: u64) -> &'static str {
    RUINED.get((way % (RUINS + 1)).saturating_sub(1) as usize).copied().unwrap_or("")
}

/// Brings this CPU into such a state.
pub fn ruin(way: u64) -> ! {
    // Each way is a loop of 16 words, or less, in hostile_ruins.
    let code = (hostile_ruins as *const ()).addr() as u64 + (way % (RUINS + 1)).saturating_sub(1) * 64;
    // A GICv2's; 0 where the CPU interface is System registers.
    let interface = rt::tree::board().gicc.map_or(0, |gicc| gicc.base);
    // SAFETY: this CPU runs nothing of Rust's any more, and what it touches is not memory of this program's.
    unsafe {
        asm!(
            "msr daifset, #0xf",
            "br {code}",
            code = in(reg) code,
            in("x0") rt::gic::distributor().base(),
            in("x1") bad_vectors(),
            in("x4") interface,
            options(noreturn),
        )
    }
}
