//! What only a GICv2 has (IHI 0048B): banked registers, SPIs that name CPUs, SGIs that tell who sent them, and an interface in memory.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use arrayvec::ArrayVec;
use rt::gic::{self, Bits, memory};
use rt::timer::{Timer, wait_until};
use rt::{MAX_CPUS, regs, smp, tree};

use crate::report::{Check, Needs, Outcome, Why, bare, check, why};
use crate::taken::{PATIENCE, SILENCE, next, silent};
use crate::{crew, ensure, ensure_eq};

/// The group's checks.
pub const CHECKS: &[Check] = &[
    check("gicv2_type", Needs::Gicv2, kind),
    check("gicv2_interface", Needs::Gicv2, interface),
    check("gicv2_reserved", Needs::Gicv2, reserved),
    check("gicv2_own_targets", Needs::Gicv2Crew, own_targets),
    check("gicv2_banked", Needs::Gicv2Crew, banked),
    check("gicv2_config", Needs::BulkheadGicv2, config),
    check("gicv2_targets", Needs::Gicv2, targets),
    check("gicv2_targets_both", Needs::Gicv2Crew, targets_both),
    check("gicv2_targets_off", Needs::Gicv2, targets_off),
    check("gicv2_filters", Needs::Gicv2Crew, filters),
    check("gicv2_senders", Needs::Gicv2Crew, senders),
    check("gicv2_senders_again", Needs::Gicv2Crew, senders_again),
    check("gicv2_pending_senders", Needs::Gicv2, pending_senders),
];

const ICPIDR2: u64 = 0xfe8;
const IGROUPR: u64 = 0x080;
const NSACR: u64 = 0xe00;
const ISPENDR: u64 = 0x200;
const ICPENDR: u64 = 0x280;
const GICC_RPR: u64 = 0x14;
const GICC_IIDR: u64 = 0xfc;

/// The cell's CPUs, a bit each.
fn everyone() -> u8 {
    ((1u16 << smp::count().min(8)) - 1) as u8
}

/// What of a set of CPUs a register keeps: QEMU's has bits of CPUs that the machine has not.
fn kept(cpus: u8) -> u8 {
    if bare() { cpus } else { cpus & everyone() }
}

/// The SGIs that travel physically, the one that travels as a message, and, where there is a hypervisor that keeps it, not that one.
fn samples() -> ArrayVec<u32, 4> {
    [0, 3, 8, 15].into_iter().filter(|sgi| !(direct() && *sgi == 15)).collect()
}

/// Whether GICC_IAR has the CPU interfaces of the machine as senders.
fn direct() -> bool {
    tree::argument("probe.direct").is_some()
}

/// The SGI, and whether a CPU sent it, as far as that can be told.
fn is_from(intid: u32, sgi: u32, cpu: usize) -> bool {
    intid == sgi && (direct() || gic::sender(sgi) == cpu)
}

fn kind() -> Outcome {
    let kind = gic::distributor_type();
    ensure_eq!(kind >> 5 & 7, smp::count() as u32 - 1, "GICD_TYPER {kind:#x}: CPUNumber");
    ensure!(bare() || kind >> 10 & 1 == 0, "GICD_TYPER {kind:#x} shows Security Extensions");
    for spi in &tree::board().spis {
        ensure!(spi.intid / 32 <= kind & 0x1f, "GICD_TYPER {kind:#x} ends before INTID {}", spi.intid);
    }
    ensure_eq!(gic::distributor().read(ICPIDR2) >> 4 & 0xf, 2, "ICPIDR2: ArchRev");
    for on in [0, 1] {
        gic::distributor().write(0, on);
        ensure_eq!(gic::control(), on, "GICD_CTLR");
    }
    Ok(())
}

fn interface() -> Outcome {
    let interface = memory::interface();
    ensure_eq!(interface.read(GICC_IIDR) >> 16 & 0xf, 2, "GICC_IIDR: architecture version");
    for mask in [0x10, 0x80, 0xf0] {
        gic::set_priority_mask(mask);
        ensure_eq!(gic::priority_mask(), mask, "GICC_PMR");
    }
    for bits in [3, 4, 7] {
        gic::set_binary_point(bits);
        ensure_eq!(gic::binary_point(), bits, "GICC_BPR");
    }
    gic::set_binary_point(0);
    // What there is when nothing is there.
    ensure_eq!(gic::acknowledge(), 1023, "GICC_IAR");
    ensure_eq!(gic::highest_pending(), 1023, "GICC_HPPIR");
    ensure_eq!(interface.read(GICC_RPR), 0xff, "GICC_RPR");
    Ok(())
}

fn reserved() -> Outcome {
    if bare() {
        // There IGROUPR has a meaning, and what it would do is not undone.
        return Ok(());
    }
    let gicd = gic::distributor();
    // Reserved, or without a meaning where there is one Security state: they read as zero and take writes without effect.
    for at in [0x020, IGROUPR, IGROUPR + 4, NSACR, NSACR + 4, 0xd80, 0xf04, 0xf40] {
        gicd.write(at, !0);
        ensure!(gicd.read(at) == 0, "GICD + {at:#x} reads {:#x}", gicd.read(at));
    }
    Ok(())
}

fn read_own_targets(_: u64) -> u64 {
    // What is written is not taken.
    (0..32).for_each(|intid| memory::set_targets(intid, 0xff));
    let timers = [Timer::Virtual, Timer::Physical].map(Timer::intid);
    let all = (0..4).chain(timers).map(memory::targets);
    all.reduce(|one, other| if one == other { one } else { 0 }).map_or(0, u64::from)
}

fn own_targets() -> Outcome {
    ensure_eq!(read_own_targets(0), 1, "GICD_ITARGETSR0 and that of the timers at CPU 0");
    for cpu in crew::members() {
        ensure_eq!(crew::call(cpu, read_own_targets, 0)?, 1 << cpu, "the same at CPU {cpu}");
    }
    Ok(())
}

/// Configured once for all: what an implementation keeps of it may hold for other CPUs, too.
fn config() -> Outcome {
    for intid in 16..32 {
        gic::set_edge(intid, true);
        ensure!(!gic::is_edge(intid), "GICD_ICFGR1 of {intid} took a write");
    }
    Ok(())
}

/// Turns over what the other CPU must not see. QEMU's GICv2 takes a PPI's pending bit away from all CPUs when one of them, of another
/// cell perhaps, writes ICPENDR: it is raised until it is seen.
fn touch_banked(priority: u64) -> u64 {
    let timer = Timer::Virtual.intid();
    gic::set_priority(timer, priority as u8);
    gic::enable(timer);
    let pending = wait_until(1000, || {
        gic::set(Bits::SetPending, timer);
        gic::get(Bits::SetPending, timer)
    });
    let seen = u64::from(gic::priority(timer)) | u64::from(pending) << 8;
    gic::disable(timer);
    gic::set(Bits::ClearPending, timer);
    seen
}

fn banked() -> Outcome {
    let timer = Timer::Virtual.intid();
    gic::set_priority(timer, 0x50);
    for cpu in crew::members() {
        let there = crew::call(cpu, touch_banked, 0x90)?;
        ensure_eq!(there, 0x190, "CPU {cpu}'s own priority and pending state");
        ensure_eq!(gic::priority(timer), 0x50, "GICD_IPRIORITYR of CPU 0 after a write by CPU {cpu}");
        ensure!(!gic::get(Bits::SetEnable, timer), "CPU {cpu} enables an interrupt of CPU 0");
        ensure!(!gic::get(Bits::SetPending, timer), "CPU {cpu} raises an interrupt of CPU 0");
    }
    gic::set_priority(timer, gic::PRIORITY);
    Ok(())
}

fn targets() -> Outcome {
    let own = |intid: u32| tree::board().spis.iter().any(|spi| spi.intid == intid);
    for intid in 32..32 * ((gic::distributor_type() & 0x1f) + 1).min(31) {
        if !own(intid) {
            memory::set_targets(intid, 0xff);
            ensure!(bare() || memory::targets(intid) == 0, "GICD_ITARGETSR of foreign {intid} is not 0");
            continue;
        }
        for wanted in [0xff, 0xfe, 1, 0] {
            memory::set_targets(intid, wanted);
            let read = if smp::count() > 1 { kept(wanted) } else { 0 };
            ensure_eq!(memory::targets(intid), read, "GICD_ITARGETSR of {intid} after {wanted:#x}");
        }
        memory::set_targets(intid, 1);
    }
    Ok(())
}

static READY: AtomicU32 = AtomicU32::new(0);
static HOLD: AtomicBool = AtomicBool::new(false);
/// How many interrupts each CPU took.
static TAKEN: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

fn take_one() {
    if !gic::is_signalled() {
        return;
    }
    let intid = gic::acknowledge();
    if intid < gic::SPECIAL {
        if let Some(taken) = TAKEN.get(regs::cpu_index()) {
            taken.fetch_add(1, Ordering::SeqCst);
        }
        gic::end(intid);
    }
}

/// Does what the argument asks, then takes whatever comes until it is told to stop, and a little longer.
fn take_all(what: u64) -> u64 {
    READY.fetch_add(1, Ordering::SeqCst);
    if what != 0 {
        wait_until(PATIENCE, || READY.load(Ordering::SeqCst) == smp::count() as u32);
        memory::generate(what as u32 >> 8 & 3, what as u8, what as u32 >> 16);
    }
    while HOLD.load(Ordering::SeqCst) || !silent() {
        take_one();
        regs::relax();
    }
    0
}

fn taken() -> ArrayVec<u32, MAX_CPUS> {
    TAKEN.iter().take(smp::count()).map(|taken| taken.load(Ordering::SeqCst)).collect()
}

/// All CPUs take what comes, and one of them sends ([`take_all`]), or `raise` does so here: what each of them took, once it is as many.
fn taken_by_each(
    sender: usize,
    what: u64,
    most: u32,
    raise: impl FnOnce(),
) -> Result<ArrayVec<u32, MAX_CPUS>, Why> {
    crew::muster()?;
    TAKEN.iter().for_each(|taken| taken.store(0, Ordering::SeqCst));
    READY.store(0, Ordering::SeqCst);
    HOLD.store(true, Ordering::SeqCst);
    for cpu in crew::members() {
        crew::post(cpu, take_all, if cpu == sender { what } else { 0 });
    }
    let others = crew::members().len() as u32;
    let ready = wait_until(PATIENCE, || READY.load(Ordering::SeqCst) == others);
    READY.fetch_add(1, Ordering::SeqCst);
    if sender == 0 && what != 0 {
        memory::generate(what as u32 >> 8 & 3, what as u8, what as u32 >> 16);
    }
    raise();
    wait_until(if most == 0 { SILENCE } else { PATIENCE }, || {
        take_one();
        taken().iter().sum::<u32>() >= most
    });
    wait_until(SILENCE, || {
        take_one();
        false
    });
    HOLD.store(false, Ordering::SeqCst);
    for cpu in crew::members() {
        crew::join(cpu)?;
    }
    wait_until(SILENCE, || {
        take_one();
        false
    });
    ensure!(ready, "the crew is not ready");
    Ok(taken())
}

/// An SPI that goes to all is taken by one of them; of one that ISPENDR raised QEMU's GICv2 has a pending bit for each CPU, so there
/// each may take it.
fn targets_both() -> Outcome {
    let Some(spi) = tree::board().spis.first() else { return Ok(()) };
    for round in 0..5 {
        memory::set_targets(spi.intid, everyone());
        gic::enable(spi.intid);
        let by_each = taken_by_each(0, 0, 1, || gic::set(Bits::SetPending, spi.intid));
        gic::disable(spi.intid);
        gic::set(Bits::ClearPending, spi.intid);
        memory::set_targets(spi.intid, 1);
        let by_each = by_each?;
        ensure!(
            by_each.iter().sum::<u32>() > 0 && by_each.iter().all(|taken| *taken <= 1),
            "round {round}: it was taken {by_each:?} times by each"
        );
    }
    Ok(())
}

/// One that goes to all, where all others are off, comes here.
fn targets_off() -> Outcome {
    let Some(spi) = tree::board().spis.first() else { return Ok(()) };
    memory::set_targets(spi.intid, everyone());
    gic::enable(spi.intid);
    let mut outcome = Ok(());
    for round in 0..20 {
        gic::set(Bits::SetPending, spi.intid);
        match next() {
            Some(taken) => gic::end(taken.intid),
            None => outcome = Err(why(format_args!("round {round}: it never came"))),
        }
    }
    memory::set_targets(spi.intid, 1);
    outcome
}

/// Sends by one filter and list: the argument's bits 0 to 7 are the list, 8 and 9 the filter, 16 on the SGI.
fn send_as(what: u64) -> u64 {
    memory::generate(what as u32 >> 8 & 3, what as u8, what as u32 >> 16);
    0
}

/// Who gets what CPU `from` sends: the own cell's alone, whatever the list names.
fn filters() -> Outcome {
    for from in 0..smp::count().min(2) {
        let me = 1u32 << from;
        let all = u32::from(everyone());
        for (filter, list, to) in [
            (0, 0xff, all),
            (0, 0, 0),
            (0, !everyone(), 0),
            (0, !everyone() | 1, 1),
            (1, 0xff, all & !me),
            (2, 0, me),
            (2, !everyone(), me),
            (3, 0xff, 0),
        ] {
            if filter == 3 && bare() {
                // Reserved; QEMU takes it for all.
                continue;
            }
            let what = u64::from(list) | filter << 8 | 6 << 16;
            let by_each = taken_by_each(from, what, to.count_ones(), || {})?;
            for (cpu, taken) in by_each.iter().enumerate() {
                let name = format_args!("filter {filter}, list {list:#x} by CPU {from}: at CPU {cpu}");
                ensure_eq!(*taken, to >> cpu & 1, "{name}");
            }
        }
    }
    Ok(())
}

/// One SGI that all send: once for each of them, with its sender.
fn senders() -> Outcome {
    crew::muster()?;
    for sgi in samples() {
        gic::enable(sgi);
        for _ in 0..3 {
            for cpu in crew::members() {
                let what = u64::from(sgi) << 16 | 1;
                // Twice is once: each of them is one interrupt.
                crew::call(cpu, send_as, what)?;
                crew::call(cpu, send_as, what)?;
            }
            memory::generate(0, 1, sgi);
            ensure_eq!(memory::pending_senders(sgi), everyone(), "GICD_SPENDSGIR of SGI {sgi}");
            let mut seen = 0u8;
            for _ in 0..smp::count() {
                let Some(taken) = next() else {
                    return Err(why(format_args!("of SGI {sgi} only those of {seen:#x} came")));
                };
                ensure_eq!(taken.intid, sgi, "interrupt");
                let sender = 1 << gic::sender(sgi);
                ensure!(seen & sender == 0, "SGI {sgi} by {sender:#x} came twice");
                seen |= sender;
                gic::end(sgi);
            }
            let all =
                if direct() { seen.count_ones() == everyone().count_ones() } else { seen == everyone() };
            ensure!(all, "senders of SGI {sgi}: {seen:#x}");
            ensure!(silent(), "more came");
        }
    }
    Ok(())
}

/// One that another sends while it is being handled comes after its end.
fn senders_again() -> Outcome {
    crew::muster()?;
    for sgi in samples() {
        gic::enable(sgi);
        memory::generate(2, 0, sgi);
        let Some(first) = next() else { return Err(why(format_args!("SGI {sgi} never came"))) };
        ensure!(is_from(first.intid, sgi, 0), "{} of {} came", first.intid, gic::sender(sgi));
        crew::call(1, send_as, u64::from(sgi) << 16 | 1)?;
        ensure!(silent(), "SGI {sgi} of CPU 1 is signalled while that of CPU 0 is active");
        gic::end(sgi);
        let Some(second) = next() else { return Err(why(format_args!("SGI {sgi} of CPU 1 was lost"))) };
        ensure!(is_from(second.intid, sgi, 1), "then {} of {} came", second.intid, gic::sender(sgi));
        gic::end(sgi);
        ensure!(silent(), "more came");
    }
    Ok(())
}

fn pending_senders() -> Outcome {
    for sgi in samples() {
        let bit = 1 << sgi;
        gic::enable(sgi);
        gic::distributor().write(ISPENDR, bit);
        ensure_eq!(memory::pending_senders(sgi), 0, "SGI {sgi} after a write to ISPENDR");
        memory::set_pending_senders(sgi, 0xff, true);
        ensure_eq!(memory::pending_senders(sgi), kept(0xff), "GICD_SPENDSGIR of SGI {sgi} after 0xff");
        gic::distributor().write(ICPENDR, bit);
        ensure_eq!(memory::pending_senders(sgi), kept(0xff), "SGI {sgi} after a write to ICPENDR");
        ensure!(gic::get(Bits::SetPending, sgi), "SGI {sgi} is not shown pending by ISPENDR");
        memory::set_pending_senders(sgi, 1, false);
        ensure_eq!(memory::pending_senders(sgi), kept(0xff) & !1, "SGI {sgi} less that of CPU 0");
        memory::set_pending_senders(sgi, 0xff, false);
        ensure_eq!(memory::pending_senders(sgi), 0, "SGI {sgi} cleared");
        ensure!(silent(), "SGI {sgi} is signalled though it was cleared");
        memory::set_pending_senders(sgi, 1, true);
        let Some(taken) = next() else { return Err(why(format_args!("SGI {sgi} never came"))) };
        ensure!(is_from(taken.intid, sgi, 0), "{} of {} came", taken.intid, gic::sender(sgi));
        gic::end(sgi);
    }
    Ok(())
}
