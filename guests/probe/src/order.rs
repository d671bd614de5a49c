//! Priorities: the order of acknowledges, preemption, masks.

use core::sync::atomic::{AtomicU32, Ordering};

use arrayvec::ArrayVec;
use rt::gic::{self, Bits};
use rt::timer::{Timer, count, wait_until};
use rt::{regs, smp, tree};

use crate::report::{Check, Needs, Outcome, check, why};
use crate::taken::{PATIENCE, SILENCE, Sequence, collect, intids, next, reset_counts, silent};
use crate::{ensure, ensure_eq};

/// The group's checks.
pub const CHECKS: &[Check] = &[
    check("order_sgis", Needs::Nothing, sgis),
    check("order_late_arrival", Needs::Nothing, late_arrival),
    check("order_mixed", Needs::Nothing, mixed),
    check("order_spis", Needs::Nothing, spis),
    check("order_preemption", Needs::Nothing, preemption),
    check("order_nested_vectors", Needs::Nothing, nested_vectors),
    check("order_mask", Needs::Nothing, mask),
    check("order_cpu_group", Needs::Nothing, cpu_group),
    check("order_distributor_group", Needs::Nothing, distributor_group),
];

/// The priorities that four bits tell apart, but for two: the highest may be the hypervisor's, and the lowest is never
/// signalled where there are no more than four: no mask is lower (IHI 0069H 4.8.6).
fn level(n: u32) -> u8 {
    0x10 + 0x10 * (n % 14) as u8
}

/// Lets everything that was made pending get where it goes.
fn settle() {
    wait_until(SILENCE, || false);
}

fn must_be_in_order(got: &Sequence, expected: usize) -> Outcome {
    let shown = intids(got);
    ensure_eq!(got.len(), expected, "interrupts ({shown:?})");
    for pair in got.windows(2) {
        if let [a, b] = pair {
            ensure!(
                a.priority <= b.priority,
                "INTID {} at {:#x} came before {} at {:#x} ({shown:?})",
                a.intid,
                a.priority,
                b.intid,
                b.priority
            );
        }
    }
    for taken in got {
        ensure_eq!(taken.priority, gic::priority(taken.intid), "running priority of INTID {}", taken.intid);
    }
    Ok(())
}

fn sgis() -> Outcome {
    for round in 0..16 {
        for sgi in 0..16 {
            gic::set_priority(sgi, level(sgi * 7 + round));
            gic::enable(sgi);
        }
        for n in 0..16 {
            gic::send(n * 3 % 16, smp::affinity(0));
        }
        settle();
        must_be_in_order(&collect(16), 16)?;
    }
    Ok(())
}

fn late_arrival() -> Outcome {
    // Many of low priority wait, more than there are list registers; then one of high priority comes.
    for sgi in 0..16 {
        gic::set_priority(sgi, if sgi == 0 { 0x80 } else { 0xc0 });
        gic::enable(sgi);
    }
    for sgi in 1..16 {
        gic::send(sgi, smp::affinity(0));
    }
    settle();
    gic::send(0, smp::affinity(0));
    settle();
    let got = collect(16);
    ensure_eq!(got.len(), 16, "interrupts ({:?})", intids(&got));
    ensure_eq!(got.first().map(|t| t.intid), Some(0), "first of all ({:?})", intids(&got));
    Ok(())
}

fn mixed() -> Outcome {
    let mut all = ArrayVec::<u32, 16>::from_iter([1, 2, 3, 4, 5]);
    all.extend([Timer::Virtual.intid(), Timer::Physical.intid()]);
    all.extend(tree::board().spis.iter().take(6).map(|s| s.intid));
    for round in 0..8 {
        for (n, intid) in all.iter().enumerate() {
            gic::set_priority(*intid, level(n as u32 * 7 + round));
            gic::enable(*intid);
        }
        for intid in &all {
            match *intid {
                sgi @ 0..16 => gic::send(sgi, smp::affinity(0)),
                i if i == Timer::Virtual.intid() => Timer::Virtual.start(0),
                i if i == Timer::Physical.intid() => Timer::Physical.start(0),
                spi => gic::set(Bits::SetPending, spi),
            }
        }
        settle();
        let mut got = Sequence::new();
        while got.len() < all.len() {
            let Some(taken) = next() else { break };
            if taken.intid == Timer::Virtual.intid() {
                Timer::Virtual.stop();
            }
            if taken.intid == Timer::Physical.intid() {
                Timer::Physical.stop();
            }
            got.push(taken);
            gic::end(taken.intid);
        }
        got.extend(collect(0));
        must_be_in_order(&got, all.len())?;
    }
    Ok(())
}

fn spis() -> Outcome {
    let spis: ArrayVec<u32, 12> = tree::board().spis.iter().map(|s| s.intid).take(12).collect();
    for round in 0..4 {
        for (n, spi) in spis.iter().enumerate() {
            gic::set_priority(*spi, level(n as u32 * 7 + round));
            gic::enable(*spi);
        }
        for spi in &spis {
            gic::set(Bits::SetPending, *spi);
        }
        settle();
        must_be_in_order(&collect(spis.len()), spis.len())?;
    }
    Ok(())
}

fn preemption() -> Outcome {
    for (sgi, priority) in [(1, 0xe0), (2, 0xc0), (3, 0xa0), (4, 0xc0)] {
        gic::set_priority(sgi, priority);
        gic::enable(sgi);
    }
    for (depth, sgi) in [1, 2, 3].into_iter().enumerate() {
        gic::send(sgi, smp::affinity(0));
        let Some(taken) = next() else {
            return Err(why(format_args!("SGI {sgi} does not preempt {depth} others")));
        };
        ensure_eq!(taken.intid, sgi, "at depth {depth}");
        ensure_eq!(taken.priority, gic::priority(sgi), "running priority at depth {depth}");
    }
    // 4 has the priority of 2, which is active below 3: it must wait for both.
    gic::send(4, smp::affinity(0));
    ensure!(silent(), "an interrupt of lower priority is signalled");
    ensure_eq!(gic::highest_pending(), 4, "ICC_HPPIR1");
    gic::end(3);
    ensure!(silent(), "an interrupt of the running priority is signalled");
    ensure_eq!(gic::running_priority(), 0xc0, "running priority after the end of 3");
    gic::end(2);
    let Some(taken) = next() else { return Err(why(format_args!("SGI 4 never came"))) };
    ensure_eq!((taken.intid, taken.priority), (4, 0xc0), "after the end of 2");
    gic::end(4);
    gic::end(1);
    ensure_eq!(gic::running_priority(), 0xff, "running priority when idle");
    ensure!(silent(), "more came");
    Ok(())
}

static DEPTH: AtomicU32 = AtomicU32::new(0);
static DEEPEST: AtomicU32 = AtomicU32::new(0);

/// In the handler of each SGI: raises the next, of higher priority, and lets it in.
fn nest(intid: u32) {
    let depth = DEPTH.fetch_add(1, Ordering::SeqCst) + 1;
    DEEPEST.fetch_max(depth, Ordering::SeqCst);
    if intid < 8 {
        gic::send(intid + 1, smp::affinity(0));
        regs::unmask_interrupts();
        wait_until(PATIENCE, || DEEPEST.load(Ordering::SeqCst) > depth);
        regs::mask_interrupts();
    }
    DEPTH.fetch_sub(1, Ordering::SeqCst);
}

fn nested_vectors() -> Outcome {
    for sgi in 1..=8 {
        gic::set_priority(sgi, 0xe0 - 0x10 * (sgi as u8 - 1));
        gic::enable(sgi);
    }
    // 0xe0 down to 0x70, each preempts the one before.
    DEEPEST.store(0, Ordering::SeqCst);
    reset_counts(Some(nest));
    regs::unmask_interrupts();
    gic::send(1, smp::affinity(0));
    ensure!(
        wait_until(PATIENCE, || DEPTH.load(Ordering::SeqCst) == 0 && crate::taken::count(0, 8) == 1),
        "it hangs"
    );
    settle();
    ensure_eq!(DEEPEST.load(Ordering::SeqCst), 8, "depth of nesting");
    for sgi in 1..=8 {
        ensure_eq!(crate::taken::count(0, sgi), 1, "SGI {sgi}");
    }
    Ok(())
}

fn mask() -> Outcome {
    gic::set_priority(6, 0xc0);
    gic::enable(6);
    for mask in [0x80, 0xa0, 0xc0] {
        gic::set_priority_mask(mask);
        ensure_eq!(gic::priority_mask(), mask, "ICC_PMR");
        gic::send(6, smp::affinity(0));
        ensure!(silent(), "priority 0xc0 is signalled though the mask is {mask:#x}");
    }
    gic::set_priority_mask(0xf0);
    ensure_eq!(intids(&collect(1)).as_slice(), [6].as_slice(), "when the mask rises");
    Ok(())
}

fn cpu_group() -> Outcome {
    gic::enable(6);
    gic::set_group1(false);
    ensure!(!gic::group1(), "ICC_IGRPEN1 stays 1");
    gic::send(6, smp::affinity(0));
    ensure!(silent(), "signalled with ICC_IGRPEN1 = 0");
    gic::set_group1(true);
    ensure_eq!(intids(&collect(1)).as_slice(), [6].as_slice(), "when ICC_IGRPEN1 is 1 again");
    Ok(())
}

fn distributor_group() -> Outcome {
    gic::enable(6);
    gic::enable(Timer::Virtual.intid());
    gic::enable_group1(false);
    gic::send(6, smp::affinity(0));
    Timer::Virtual.start(count());
    let quiet = silent();
    gic::enable_group1(true);
    ensure!(quiet, "signalled with GICD_CTLR.EnableGrp1 = 0");
    let mut seen = ArrayVec::<u32, 4>::new();
    for _ in 0..2 {
        let Some(taken) = next() else { break };
        if taken.intid == Timer::Virtual.intid() {
            Timer::Virtual.stop();
        }
        seen.push(taken.intid);
        gic::end(taken.intid);
    }
    seen.sort_unstable();
    ensure_eq!(
        seen.as_slice(),
        [6, Timer::Virtual.intid()].as_slice(),
        "when GICD_CTLR.EnableGrp1 is 1 again"
    );
    Ok(())
}
