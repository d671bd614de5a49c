//! From the first instruction to `main`: what entry.s records, and the Rust end of the way in.

use core::cell::UnsafeCell;

use crate::tree::Span;
use crate::{MAX_CPUS, console, exception, gic, psci, regs, smp, tree};

/// Bytes of stack for each CPU.
pub const STACK_SIZE: usize = 0x8000;

/// How a vCPU found itself at its first instruction. entry.s knows this layout.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// x0 to x30.
    pub x: [u64; 31],
    /// CNTVCT_EL0.
    pub cntvct: u64,
    /// CurrentEL.
    pub currentel: u64,
    /// SCTLR_EL1.
    pub sctlr: u64,
    /// DAIF.
    pub daif: u64,
    /// SPSel.
    pub spsel: u64,
    /// CNTV_CTL_EL0.
    pub cntv_ctl: u64,
    /// CNTP_CTL_EL0.
    pub cntp_ctl: u64,
    /// VBAR_EL1.
    pub vbar: u64,
    /// TTBR0_EL1.
    pub ttbr0: u64,
    /// CPACR_EL1.
    pub cpacr: u64,
    /// The stack that a secondary is to use.
    pub(crate) stack: u64,
    /// The CPU's number.
    pub(crate) cpu: u64,
}

const _: () = assert!(core::mem::offset_of!(Record, cntvct) == 248);
const _: () = assert!(core::mem::offset_of!(Record, sctlr) == 264);
const _: () = assert!(core::mem::offset_of!(Record, spsel) == 280);
const _: () = assert!(core::mem::offset_of!(Record, cntp_ctl) == 296);
const _: () = assert!(core::mem::offset_of!(Record, ttbr0) == 312);
const _: () = assert!(size_of::<Record>() == 384);

const BLANK: Record = Record {
    x: [0; 31],
    cntvct: 0,
    currentel: 0,
    sctlr: 0,
    daif: 0,
    spsel: 0,
    cntv_ctl: 0,
    cntp_ctl: 0,
    vbar: 0,
    ttbr0: 0,
    cpacr: 0,
    stack: 0,
    cpu: 0,
};

/// Memory that assembly, or another CPU before its caches are on, writes.
#[repr(C, align(4096))]
pub struct Shared<T>(UnsafeCell<T>);

// SAFETY: every access goes through the raw pointer of `get`, under the rules that each user states.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Where it is.
    pub(crate) fn get(&self) -> *mut T {
        self.0.get()
    }
}

/// A record for each CPU; the first CPU's is written before .bss is cleared.
#[unsafe(link_section = ".bss.kept")]
pub static RECORDS: Shared<[Record; MAX_CPUS]> = Shared::new([BLANK; MAX_CPUS]);

/// The stage 1 table: one level of 1 GiB blocks.
pub static TABLE: Shared<[u64; 512]> = Shared::new([0; 512]);

/// The stacks, the first CPU's first.
#[unsafe(link_section = ".bss.kept")]
pub static STACKS: Shared<[[u8; STACK_SIZE]; MAX_CPUS]> = Shared::new([[0; STACK_SIZE]; MAX_CPUS]);

unsafe extern "C" {
    #[link_name = "_head"]
    fn image_start();
    #[link_name = "__bss_start"]
    static bss_start: u8;
    #[link_name = "__image_end"]
    static image_end: u8;
}

unsafe extern "Rust" {
    safe fn guest_main() -> !;
}

/// How CPU `cpu` started last; blank if it never did.
pub fn record(cpu: usize) -> Record {
    if cpu >= MAX_CPUS {
        return BLANK;
    }
    // SAFETY: the index is in bounds of RECORDS.
    let at = unsafe { RECORDS.0.get().cast::<Record>().add(cpu) };
    // SAFETY: the record is plain numbers; its CPU writes it before `smp::on` returns to whoever started it.
    unsafe { at.read_volatile() }
}

/// Where this program lies: its image, variables and stacks.
pub fn image() -> Span {
    let base = (image_start as *const ()).addr() as u64;
    let end = (&raw const image_end).addr() as u64;
    Span { base, size: end - base }
}

/// The part of [`image`] that begins as zeroes, and the stacks.
pub fn variables() -> Span {
    let base = (&raw const bss_start).addr() as u64;
    let image = image();
    Span { base, size: image.base + image.size - base }
}

/// Prepares the record of a CPU that CPU_ON is to start, and gives its address, the context argument.
pub(crate) fn prepare(cpu: usize) -> u64 {
    let mut record = BLANK;
    // SAFETY: one past the CPU's own stack is still inside, or at the end of, STACKS; the caller checked `cpu`.
    let stack = unsafe { STACKS.0.get().cast::<u8>().add(STACK_SIZE * (cpu + 1)) };
    record.stack = stack.addr() as u64;
    record.cpu = cpu as u64;
    // SAFETY: the caller checked `cpu` against MAX_CPUS.
    let at = unsafe { RECORDS.0.get().cast::<Record>().add(cpu) };
    // SAFETY: the CPU is off and `smp` lets one caller at a time prepare it.
    unsafe { at.write_volatile(record) };
    let start = at.addr() as u64;
    for line in (start..start + size_of::<Record>() as u64).step_by(16) {
        regs::clean_invalidate(line);
    }
    regs::dsb_sy();
    start
}

/// The first CPU's way from entry.s to the guest.
pub(crate) extern "C" fn rt_primary(blob: u64) -> ! {
    tree::read(blob);
    console::start();
    let Some(cpu) = tree::board().cpus.iter().position(|c| *c == regs::affinity()) else {
        exception::stop("the device tree has no node for this CPU");
    };
    regs::set_cpu_index(cpu);
    gic::start_distributor();
    gic::start_cpu(cpu);
    guest_main()
}

/// Any other CPU's: it runs the task that [`smp::on`] left for it and switches itself off.
pub(crate) extern "C" fn rt_secondary(cpu: usize) -> ! {
    regs::set_cpu_index(cpu);
    gic::start_cpu(cpu);
    smp::run_task(cpu);
    regs::mask_interrupts();
    psci::cpu_off();
    exception::stop("CPU_OFF came back")
}
