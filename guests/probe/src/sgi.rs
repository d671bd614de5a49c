//! Software-generated interrupts: to itself, to each, to any list, to all others; none lost, none twice.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rt::gic;
use rt::timer::wait_until;
use rt::{MAX_CPUS, regs, smp, timer};

use crate::report::{Check, Needs, Outcome, check, why};
use crate::taken::{PATIENCE, SILENCE, collect, count, intids, next, reset_counts, silent};
use crate::{crew, ensure, ensure_eq, taken};

/// The group's checks.
pub const CHECKS: &[Check] = &[
    check("sgi_self", Needs::Nothing, to_self),
    check("sgi_flood", Needs::Nothing, flood),
    check("sgi_merge", Needs::Nothing, merge),
    check("sgi_while_active", Needs::Nothing, while_active),
    check("sgi_vector", Needs::Nothing, by_vector),
    check("sgi_each", Needs::Crew, each),
    check("sgi_list", Needs::Crew, list),
    check("sgi_others", Needs::Crew, others),
    check("sgi_foreign", Needs::Nothing, foreign),
    check("sgi_flood_others", Needs::Crew, flood_others),
    check("sgi_ring", Needs::Crew, ring),
    check("sgi_storm", Needs::Crew, storm),
    check("sgi_wakes", Needs::Crew, wakes),
];

fn enable_all() {
    for sgi in 0..16 {
        gic::enable(sgi);
    }
}

fn to_self() -> Outcome {
    enable_all();
    for sgi in 0..16 {
        gic::send(sgi, smp::affinity(0));
        let got = collect(1);
        ensure_eq!(intids(&got).as_slice(), [sgi].as_slice(), "SGI {sgi}");
    }
    Ok(())
}

fn must_be_each_once(got: &taken::Sequence) -> Outcome {
    let mut seen = intids(got);
    seen.sort_unstable();
    ensure!(seen.iter().copied().eq(0..16), "16 SGIs pending, these came: {:?}", intids(got));
    Ok(())
}

fn flood() -> Outcome {
    enable_all();
    for round in 0..20 {
        for n in 0..16 {
            gic::send((n * 7 + round) % 16, smp::affinity(0));
        }
        must_be_each_once(&collect(16))?;
    }
    Ok(())
}

fn merge() -> Outcome {
    enable_all();
    for _ in 0..3 {
        gic::send(5, smp::affinity(0));
    }
    ensure_eq!(intids(&collect(1)).as_slice(), [5].as_slice(), "an SGI sent three times before it was taken");
    Ok(())
}

fn while_active() -> Outcome {
    enable_all();
    gic::send(3, smp::affinity(0));
    let Some(first) = next() else { return Err(why(format_args!("it never came"))) };
    gic::send(3, smp::affinity(0));
    ensure!(silent(), "an active SGI was signalled again");
    gic::end(first.intid);
    ensure_eq!(intids(&collect(1)).as_slice(), [3].as_slice(), "sent again while active");
    Ok(())
}

fn by_vector() -> Outcome {
    enable_all();
    regs::unmask_interrupts();
    for n in 1..=200 {
        gic::send(1, smp::affinity(0));
        ensure!(wait_until(PATIENCE, || count(0, 1) >= n), "SGI {n} of 200 never came");
    }
    ensure!(silent(), "more came");
    ensure_eq!(count(0, 1), 200, "SGIs taken");
    Ok(())
}

/// A member waits for one SGI and says which came: its number + 1, 0 for none.
fn await_one(_: u64) -> u64 {
    enable_all();
    READY.fetch_add(1, Ordering::SeqCst);
    let got = collect(1);
    match got.as_slice() {
        [] => 0,
        [one] => u64::from(one.intid) + 1,
        _ => u64::MAX,
    }
}

static READY: AtomicU32 = AtomicU32::new(0);

fn wait_ready(count: u32) -> Outcome {
    ensure!(wait_until(PATIENCE, || READY.load(Ordering::SeqCst) == count), "the crew is not ready");
    Ok(())
}

fn each() -> Outcome {
    enable_all();
    crew::muster()?;
    for cpu in crew::members() {
        for sgi in [0, 7, 8, 15] {
            READY.store(0, Ordering::SeqCst);
            crew::post(cpu, await_one, 0);
            wait_ready(1)?;
            gic::send(sgi, smp::affinity(cpu));
            ensure_eq!(crew::join(cpu)?, u64::from(sgi) + 1, "SGI {sgi} to CPU {cpu} (+ 1)");
        }
    }
    ensure!(silent(), "one came back to CPU 0");
    Ok(())
}

static HOLD: AtomicBool = AtomicBool::new(false);
static GOT: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

/// A member counts what comes until it is told to stop, and a little longer.
fn count_until_told(_: u64) -> u64 {
    enable_all();
    READY.fetch_add(1, Ordering::SeqCst);
    while HOLD.load(Ordering::SeqCst) || !silent() {
        count_one();
        regs::relax();
    }
    0
}

fn count_one() {
    if gic::is_signalled() {
        let intid = gic::acknowledge();
        if intid < gic::SPECIAL {
            if let Some(got) = GOT.get(regs::cpu_index()) {
                got.fetch_add(1, Ordering::SeqCst);
            }
            gic::end(intid);
        }
    }
}

/// Lets the whole crew count, sends, and compares who got how many with the set of those who should get one.
fn expect_at(set: u32, send: impl FnOnce()) -> Outcome {
    crew::muster()?;
    for got in &GOT {
        got.store(0, Ordering::SeqCst);
    }
    READY.store(0, Ordering::SeqCst);
    HOLD.store(true, Ordering::SeqCst);
    for cpu in crew::members() {
        crew::post(cpu, count_until_told, 0);
    }
    let ready = wait_ready(crew::members().len() as u32);
    enable_all();
    send();
    wait_until(PATIENCE / 4, || {
        count_one();
        arrived() & set == set
    });
    HOLD.store(false, Ordering::SeqCst);
    wait_until(SILENCE, || {
        count_one();
        false
    });
    for cpu in crew::members() {
        crew::join(cpu)?;
    }
    ready?;
    for (cpu, got) in GOT.iter().enumerate().take(smp::count()) {
        ensure_eq!(got.load(Ordering::SeqCst), set >> cpu & 1, "set {set:#x}: SGIs at CPU {cpu}");
    }
    Ok(())
}

fn arrived() -> u32 {
    GOT.iter().enumerate().fold(0, |set, (cpu, got)| set | u32::from(got.load(Ordering::SeqCst) > 0) << cpu)
}

fn list() -> Outcome {
    // The CPUs of the first cluster: one target list reaches them all.
    let cluster = (0..smp::count()).filter(|cpu| smp::affinity(*cpu) >> 4 == smp::affinity(0) >> 4).count();
    let all = (1u32 << cluster) - 1;
    let step = if cluster > 4 { 37 } else { 1 };
    for set in (1..=all).step_by(step) {
        let bits = (0..cluster)
            .filter(|cpu| set >> cpu & 1 == 1)
            .fold(0u16, |bits, cpu| bits | 1 << (smp::affinity(cpu) & 0xf));
        // Not the last SGI, which a direct cell may not have.
        expect_at(set, || gic::send_list(set % 15, smp::affinity(0), bits))?;
    }
    Ok(())
}

fn others() -> Outcome {
    let all = (1u32 << smp::count()) - 1;
    for sgi in [0, 8, 15] {
        expect_at(all & !1, || gic::send_others(sgi))?;
    }
    Ok(())
}

fn foreign() -> Outcome {
    // Targets that the cell does not have: nobody gets anything.
    let beyond = !((1u32 << smp::count().min(16)) - 1) as u16;
    expect_at(0, || {
        gic::send_list(1, smp::affinity(0), beyond);
        gic::send_list(2, 0xfe00, 0xffff);
        gic::send_list(3, 0xfe_0000, 0xffff);
        gic::send_list(4, 0xfe_0000_0000, 0xffff);
    })
}

fn flood_one(_: u64) -> u64 {
    enable_all();
    READY.fetch_add(1, Ordering::SeqCst);
    wait_until(PATIENCE, || !HOLD.load(Ordering::SeqCst));
    u64::from(must_be_each_once(&collect(16)).is_ok())
}

fn flood_others() -> Outcome {
    crew::muster()?;
    for round in 0..5 {
        READY.store(0, Ordering::SeqCst);
        HOLD.store(true, Ordering::SeqCst);
        for cpu in crew::members() {
            crew::post(cpu, flood_one, 0);
        }
        let ready = wait_ready(crew::members().len() as u32);
        for sgi in 0..16 {
            gic::send_others(sgi);
        }
        HOLD.store(false, Ordering::SeqCst);
        for cpu in crew::members() {
            ensure_eq!(crew::join(cpu)?, 1, "round {round}: CPU {cpu} took each of 16 SGIs once");
        }
        ready?;
    }
    Ok(())
}

const ROUNDS: u32 = 100;

/// Passes SGI 2 on to the next CPU, so often as there are rounds.
fn pass_on(_: u64) -> u64 {
    gic::enable(2);
    READY.fetch_add(1, Ordering::SeqCst);
    let following = (regs::cpu_index() + 1) % smp::count();
    for round in 0..ROUNDS {
        let Some(taken) = next() else { return u64::from(round) };
        gic::end(taken.intid);
        gic::send(2, smp::affinity(following));
    }
    u64::from(ROUNDS)
}

fn ring() -> Outcome {
    crew::muster()?;
    gic::enable(2);
    READY.store(0, Ordering::SeqCst);
    for cpu in crew::members() {
        crew::post(cpu, pass_on, 0);
    }
    wait_ready(crew::members().len() as u32)?;
    for round in 0..ROUNDS {
        gic::send(2, smp::affinity(1));
        let Some(taken) = next() else { return Err(why(format_args!("the SGI was lost in round {round}"))) };
        gic::end(taken.intid);
    }
    for cpu in crew::members() {
        ensure_eq!(crew::join(cpu)?, u64::from(ROUNDS), "rounds of CPU {cpu}");
    }
    ensure!(silent(), "one came twice");
    Ok(())
}

/// Sends each round's SGI to all others and waits until they took it, while they do the same.
fn storm_job(_: u64) -> u64 {
    let me = regs::cpu_index();
    for sgi in 0..16 {
        gic::enable(sgi);
    }
    READY.fetch_add(1, Ordering::SeqCst);
    wait_until(PATIENCE, || READY.load(Ordering::SeqCst) == smp::count() as u32);
    regs::unmask_interrupts();
    let mut lost = 0u32;
    for round in 1..=ROUNDS {
        // Many CPUs on few of the host's wait long for each other.
        gic::send_others(me as u32);
        let all_have =
            || (0..smp::count()).filter(|cpu| *cpu != me).all(|cpu| count(cpu, me as u32) >= round);
        if !wait_until(3 * PATIENCE, all_have) {
            lost = round;
            break;
        }
    }
    // The others may still be sending.
    wait_until(PATIENCE, || {
        (0..smp::count()).filter(|cpu| *cpu != me).all(|cpu| count(me, cpu as u32) >= ROUNDS)
    });
    timer::wait_until(SILENCE, || false);
    regs::mask_interrupts();
    u64::from(lost)
}

fn storm() -> Outcome {
    crew::muster()?;
    reset_counts(None);
    READY.store(0, Ordering::SeqCst);
    for cpu in crew::members() {
        crew::post(cpu, storm_job, 0);
    }
    ensure_eq!(storm_job(0), 0, "round in which an SGI of CPU 0 was lost");
    for cpu in crew::members() {
        ensure_eq!(crew::join(cpu)?, 0, "round in which an SGI of CPU {cpu} was lost");
    }
    for to in 0..smp::count() {
        for from in (0..smp::count()).filter(|from| *from != to) {
            ensure_eq!(count(to, from as u32), ROUNDS, "SGIs from CPU {from} at CPU {to}");
        }
    }
    Ok(())
}

fn sleep_until_sgi(_: u64) -> u64 {
    gic::enable(9);
    READY.fetch_add(1, Ordering::SeqCst);
    // Masked, so that the WFI and not the vector is what sees it.
    while !gic::is_signalled() {
        regs::wait_for_interrupt();
    }
    intids(&collect(1)).first().copied().map_or(0, u64::from)
}

fn wakes() -> Outcome {
    crew::muster()?;
    for cpu in crew::members() {
        READY.store(0, Ordering::SeqCst);
        crew::post(cpu, sleep_until_sgi, 0);
        wait_ready(1)?;
        timer::wait_until(2_000, || false);
        gic::send(9, smp::affinity(cpu));
        ensure_eq!(crew::join(cpu)?, 9, "what woke CPU {cpu}");
    }
    Ok(())
}
