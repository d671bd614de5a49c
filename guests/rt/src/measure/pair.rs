//! What takes two CPUs. The figures are sums over both: one of them sleeps while the other works.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{SGI, sgi_to, silent, start, until_vector};
use crate::psci::{self, function};
use crate::regs::{self, write_reg};
use crate::{entry, gic, smp};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairOperation {
    /// An SGI to the other CPU, which sleeps, up to its vector.
    SgiRemote,
    /// The same and one that comes back.
    SgiPingPong,
}

/// The other CPU.
const OTHER: usize = 1;
/// How often this CPU gives way, so that the other is asleep again.
const PAUSES: usize = 64;
/// Instructions of `secondary` in entry.s before it reads the count.
const BEFORE_COUNT: u64 = 18;

static TAKEN: AtomicU64 = AtomicU64::new(0);
static READY: AtomicBool = AtomicBool::new(false);
static LEAVE: AtomicBool = AtomicBool::new(false);

/// A second CPU that answers each SGI with one.
#[derive(Debug)]
pub struct Pair(());

impl Pair {
    /// Starts it; `None` if there is none.
    pub fn start() -> Option<Self> {
        if smp::count() < 2 {
            return None;
        }
        READY.store(false, Ordering::SeqCst);
        LEAVE.store(false, Ordering::SeqCst);
        smp::on(OTHER, answer).ok()?;
        while !READY.load(Ordering::SeqCst) {
            regs::relax();
        }
        Some(Self(()))
    }

    /// Measures once, in ticks.
    pub fn sample(&self, operation: PairOperation) -> u64 {
        TAKEN.store(0, Ordering::SeqCst);
        (0..PAUSES).for_each(|_| regs::relax());
        let (start, end) = until_vector!(
            silent();
            "isb", "mrs x8, cntvct_el0", "msr icc_sgi1r_el1, x22", "msr daifclr, #2";
            in("x22") sgi_to(SGI, smp::affinity(OTHER))
        );
        let there = loop {
            match TAKEN.load(Ordering::SeqCst) {
                0 => regs::relax(),
                count => break count,
            }
        };
        match operation {
            PairOperation::SgiRemote => there.wrapping_sub(start),
            PairOperation::SgiPingPong => end.wrapping_sub(start),
        }
    }

    /// Switches it off.
    pub fn stop(self) {
        LEAVE.store(true, Ordering::SeqCst);
        let _ = self.sample(PairOperation::SgiPingPong);
        smp::wait_off(OTHER);
    }
}

/// The other CPU's part.
fn answer(_: usize) {
    start();
    let back = sgi_to(SGI, smp::affinity(0));
    READY.store(true, Ordering::SeqCst);
    loop {
        let (_, end) = until_vector!(silent(); "mov x8, xzr", "msr daifclr, #2";);
        write_reg!("icc_sgi1r_el1", back);
        regs::isb();
        TAKEN.store(end, Ordering::SeqCst);
        if LEAVE.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// From CPU_ON, by HVC, to the first instruction of a CPU that is off, in ticks; `None` if there is no second CPU, or it does not
/// start.
pub fn cpu_on() -> Option<u64> {
    if smp::count() < 2 {
        return None;
    }
    let context = smp::prepare(OTHER, |_| {
        gic::send(SGI, smp::affinity(0));
    });
    regs::dsb_sy();
    let answer: i64;
    let (start, _) = until_vector!(
        silent();
        "isb", "mrs x8, cntvct_el0", "hvc #0", "adr x11, 3f", "mov x14, x0", "msr daifclr, #2";
        inout("x0") function::CPU_ON => _, inout("x1") smp::affinity(OTHER) => _,
        inout("x2") psci::entry_point() => _, inout("x3") context => _, out("x14") answer,
        out("x4") _, out("x5") _, out("x6") _, out("x7") _, out("x15") _, out("x16") _, out("x17") _
    );
    if answer != 0 || !smp::wait_off(OTHER) {
        return None;
    }
    Some(entry::record(OTHER).cntvct.wrapping_sub(start).wrapping_sub(BEFORE_COUNT))
}
