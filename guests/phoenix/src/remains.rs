//! What a life finds when it begins, as numbers that are the same in each, and what it leaves behind. All unsafe code of this guest
//! is here.

use core::arch::asm;

use rt::gic::{self, Bits};
use rt::timer::{self, Timer};
use rt::tree::{self, Span, board};
use rt::{entry, read_reg, regs, smp};

/// What memory is filled with.
const MARK: u64 = 0x5ec2_e75e_c2e7_5ec2;

/// FNV-1a over 64-bit words.
struct Hash(u64);

impl Hash {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x100_0000_01b3);
    }
}

/// All RAM as this life found it, but the variables that this program has used already, and the seeds, which are new in each life.
pub fn memory() -> u64 {
    let mut hash = Hash::new();
    let variables = entry::variables();
    let seeds = tree::seeds();
    let page = |at| Span { base: at, size: 4096 };
    for bank in &board().memory {
        for at in (bank.base..bank.base + bank.size).step_by(4096) {
            if !variables.overlaps(page(at)) && !seeds.iter().any(|seed| seed.overlaps(page(at))) {
                (at..at + 4096).step_by(8).for_each(|at| hash.add(load(at)));
                continue;
            }
            for at in (at..at + 4096).step_by(8) {
                let word = Span { base: at, size: 8 };
                if !variables.overlaps(word) && !seeds.iter().any(|seed| seed.overlaps(word)) {
                    hash.add(load(at));
                }
            }
        }
    }
    hash.0
}

fn load(at: u64) -> u64 {
    let value;
    // SAFETY: an aligned load from this cell's RAM; what it holds is only a number.
    unsafe { asm!("ldr {}, [{}]", out(reg) value, in(reg) at, options(nostack, readonly)) }
    value
}

/// The registers that the first instruction found, and others that nobody has used since.
pub fn registers() -> u64 {
    let mut hash = Hash::new();
    let record = entry::record(0);
    record.x.iter().for_each(|x| hash.add(*x));
    for value in [record.currentel, record.sctlr, record.daif, record.spsel, record.cpacr] {
        hash.add(value);
    }
    for value in [record.cntv_ctl & 1, record.cntp_ctl & 1, record.vbar, record.ttbr0] {
        hash.add(value);
    }
    OWN.iter().for_each(|register| hash.add((register.read)()));
    vectors(|value| hash.add(value));
    hash.0
}

/// How many interrupts of the other CPUs, and how many shared ones, are enabled, pending or active. Of a GICv2, where each CPU's
/// own can be seen by that CPU alone, those that this one found when it started; [`is_clean`] has the other's.
pub fn interrupts() -> u32 {
    const STATES: [Bits; 3] = [Bits::SetEnable, Bits::SetPending, Bits::SetActive];
    let shared = || {
        let spis = board().spis.iter();
        spis.flat_map(|spi| STATES.map(|bits| u32::from(gic::get(bits, spi.intid)))).sum::<u32>()
    };
    if gic::is_v2() {
        let own = gic::memory::found(regs::cpu_index());
        return own.map(u32::count_ones).iter().sum::<u32>() + shared();
    }
    let private = (1..smp::count()).map(gic::sgi_base);
    let private = private.flat_map(|block| STATES.map(|bits| block.read(bits as u64).count_ones()));
    private.sum::<u32>() + shared()
}

/// Whether a CPU of a GICv2 that has just started found none of its own interrupts pending or active, and none enabled but SGIs,
/// which in a GIC-400 always are.
pub fn is_clean(cpu: usize) -> bool {
    let [enabled, pending, active] = gic::memory::found(cpu);
    !gic::is_v2() || enabled & !0xffff | pending | active == 0
}

/// The physical count at this life's first instruction.
pub fn first_count() -> u32 {
    let offset = Timer::Physical.count().wrapping_sub(timer::count());
    // Between the two reads time passes, which is the same in each life only where time is instructions.
    entry::record(0).cntvct.wrapping_add(offset) as u32
}

/// A register that this program has no use for.
struct Own {
    read: fn() -> u64,
    write: fn(u64),
}

macro_rules! own {
    ($($name:literal),* $(,)?) => { [$( Own {
        read: rt::regs::reader!($name),
        write: rt::regs::writer!($name),
    } ),*] };
}

static OWN: [Own; 20] = own![
    "tpidr_el0",
    "tpidrro_el0",
    "sp_el0",
    "contextidr_el1",
    "ttbr1_el1",
    "far_el1",
    "afsr0_el1",
    "par_el1",
    "csselr_el1",
    "cntkctl_el1",
    "elr_el1",
    "dbgbvr0_el1",
    "dbgwvr0_el1",
    "dbgbvr1_el1",
    "pmccfiltr_el0",
    "pmccntr_el0",
    "pmcntenset_el0",
    "pmuserenr_el0",
    "cntv_cval_el0",
    "cntp_cval_el0",
];

/// Hands on the vector registers, as halves.
fn vectors(mut each: impl FnMut(u64)) {
    let cpacr = read_reg!("cpacr_el1");
    // SAFETY: lets FP instructions through, which no Rust code of this target holds.
    unsafe { asm!("msr cpacr_el1, {}", "isb", in(reg) cpacr | 3 << 20, options(nostack)) }
    macro_rules! halves {
        ($($n:literal)*) => { $( {
            let (low, high): (u64, u64);
            // SAFETY: reads a vector register.
            unsafe {
                asm!(".arch_extension simd", concat!("mov {}, v", $n, ".d[0]"), concat!("mov {}, v", $n, ".d[1]"),
                    out(reg) low, out(reg) high, options(nostack));
            }
            each(low);
            each(high);
        } )* };
    }
    halves!(0 1 7 8 15 16 30 31);
    // SAFETY: as it was.
    unsafe { asm!("msr cpacr_el1, {}", "isb", in(reg) cpacr, options(nostack)) }
}

/// Fills free RAM and registers, and leaves interrupts enabled, pending and due.
pub fn leave() {
    let image = entry::image();
    let after = (image.base + image.size).next_multiple_of(8);
    for bank in board().memory.iter().filter(|bank| bank.contains(after)) {
        // The tree's slot, at the end, is read until the end.
        for at in (after..bank.base + bank.size.saturating_sub(2 << 20)).step_by(8) {
            // SAFETY: an aligned store to RAM of this cell behind the program, which nothing else uses.
            unsafe { asm!("str {}, [{}]", in(reg) MARK, in(reg) at, options(nostack)) }
        }
    }
    for spi in &board().spis {
        gic::set(Bits::SetPending, spi.intid);
        gic::enable(spi.intid);
    }
    if gic::is_v2() {
        // By this CPU to all, itself included.
        (0..16).for_each(|sgi| gic::memory::generate(0, 0xff, sgi));
    } else {
        for cpu in 0..smp::count() {
            gic::sgi_base(cpu).write(Bits::SetEnable as u64, !0);
            gic::sgi_base(cpu).write(Bits::SetPending as u64, 0xff);
        }
    }
    leave_registers();
}

/// Of a GICv2, what no other CPU reaches: this one's interrupts enabled, pending and active, its interface in the middle of one.
fn leave_private() {
    let gicd = gic::distributor();
    for state in [Bits::SetEnable, Bits::SetPending, Bits::SetActive] {
        gicd.write(state as u64, !0);
    }
    (0..16).for_each(|sgi| gic::memory::set_pending_senders(sgi, 0xff, true));
    gic::set_priority_mask(0xff);
    gic::acknowledge();
    gic::set_binary_point(7);
    gic::set_split_eoi(true);
    gic::set_priority_mask(0);
}

/// What is of the CPU that runs.
pub fn leave_registers() {
    if gic::is_v2() {
        leave_private();
    }
    for timer in [Timer::Virtual, Timer::Physical] {
        timer.start(0);
    }
    for register in &OWN {
        (register.write)(MARK);
    }
    let cpacr = read_reg!("cpacr_el1");
    // SAFETY: no Rust code of this target holds anything in a vector register.
    unsafe {
        asm!(".arch_extension simd", "msr cpacr_el1, {}", "isb", "dup v0.2d, {1}", "dup v1.2d, {1}",
            "dup v8.2d, {1}", "dup v16.2d, {1}", "dup v31.2d, {1}", in(reg) cpacr | 3 << 20, in(reg) MARK,
            options(nostack));
    }
    regs::isb();
}

/// Sleeps until an event (WFE).
pub fn wait_for_event() {
    // SAFETY: WFE changes nothing.
    unsafe { asm!("wfe", options(nostack)) }
}

/// Dies: an undefined instruction with no memory at the vectors. The MMU is off, so that no mapping of this program's own says so
/// first: then the CPU would fault for ever by itself.
pub fn die() -> ! {
    let without_mmu = read_reg!("sctlr_el1") & !1;
    // SAFETY: nothing of this program runs after it.
    unsafe {
        asm!("msr sctlr_el1, {}", "msr vbar_el1, xzr", "isb", "udf #0", in(reg) without_mmu, options(noreturn, nostack))
    }
}
