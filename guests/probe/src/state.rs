//! Pending, active, enabled: the state of an interrupt as the registers show and change it.

use rt::gic::{self, Bits};
use rt::timer::{Timer, count, wait_until};
use rt::{smp, tree};

use crate::report::{Check, Needs, Outcome, check, why};
use crate::taken::{PATIENCE, SILENCE, collect, intids, next, silent};
use crate::{crew, ensure, ensure_eq};

/// The group's checks.
pub const CHECKS: &[Check] = &[
    check("state_split_end", Needs::Nothing, split_end),
    check("state_split_end_spi", Needs::Nothing, split_end_spi),
    check("state_disable_pending", Needs::Nothing, disable_pending),
    check("state_clear_pending", Needs::Nothing, clear_pending),
    check("state_set_pending", Needs::Nothing, set_pending),
    check("state_shown_pending", Needs::Nothing, shown_pending),
    check("state_shown_active", Needs::Nothing, shown_active),
    check("state_set_active", Needs::Nothing, set_active),
    check("state_clear_active", Needs::Nothing, clear_active),
    check("state_level_withdrawn", Needs::Nothing, level_withdrawn),
    check("state_overflow_cleared", Needs::Nothing, overflow_cleared),
    check("state_pend_other", Needs::Gicv3Crew, pend_other),
    check("state_end_unknown", Needs::Nothing, end_unknown),
];

fn settle() {
    wait_until(SILENCE, || false);
}

fn must_be(got: &crate::taken::Sequence, want: &[u32], when: &str) -> Outcome {
    ensure_eq!(intids(got).as_slice(), want, "{when}");
    Ok(())
}

/// Interrupts of each kind that can be raised by software.
fn samples() -> impl Iterator<Item = u32> {
    [4, 12].into_iter().chain(tree::board().spis.iter().take(3).map(|s| s.intid))
}

fn raise(intid: u32) {
    if intid < 16 {
        gic::send(intid, smp::affinity(0));
    } else {
        gic::set(Bits::SetPending, intid);
    }
}

fn split(intid: u32) -> Outcome {
    gic::enable(intid);
    gic::set_split_eoi(true);
    ensure!(gic::interface_control() & 2 != 0, "ICC_CTLR.EOImode stays 0");
    raise(intid);
    let Some(taken) = next() else { return Err(why(format_args!("{intid} never came"))) };
    ensure_eq!(taken.intid, intid, "interrupt");
    gic::end(intid);
    ensure_eq!(gic::running_priority(), 0xff, "{intid}: running priority after EOIR");
    ensure!(gic::get(Bits::SetActive, intid), "{intid} is not active after EOIR alone");
    raise(intid);
    ensure!(silent(), "{intid} is signalled while it is active");
    gic::deactivate(intid);
    let Some(taken) = next() else { return Err(why(format_args!("{intid} never came after DIR"))) };
    gic::end(taken.intid);
    gic::deactivate(taken.intid);
    ensure!(!gic::get(Bits::SetActive, intid), "{intid} is active after DIR");
    ensure!(silent(), "{intid} came a third time");
    gic::set_split_eoi(false);
    Ok(())
}

fn split_end() -> Outcome {
    split(2)
}

fn split_end_spi() -> Outcome {
    tree::board().spis.iter().take(2).try_for_each(|spi| split(spi.intid))
}

fn disable_pending() -> Outcome {
    // SGIs of a GIC-400 are always enabled.
    for intid in samples().filter(|intid| *intid >= 16 || !gic::is_v2()) {
        gic::enable(intid);
        raise(intid);
        settle();
        gic::disable(intid);
        ensure!(silent(), "{intid} is signalled though disabled");
        ensure!(gic::get(Bits::SetPending, intid), "{intid} lost its pending state when disabled");
        gic::enable(intid);
        must_be(&collect(1), &[intid], "enabled again")?;
        gic::disable(intid);
    }
    Ok(())
}

fn clear_pending() -> Outcome {
    for intid in samples() {
        gic::enable(intid);
        raise(intid);
        settle();
        gic::set(Bits::ClearPending, intid);
        ensure!(!gic::get(Bits::SetPending, intid), "{intid} still shows pending");
        must_be(&collect(0), &[], "cleared before it was taken")?;
        raise(intid);
        must_be(&collect(1), &[intid], "raised again")?;
    }
    Ok(())
}

fn set_pending() -> Outcome {
    for intid in samples().chain([Timer::Physical.intid()]) {
        gic::enable(intid);
        gic::set(Bits::SetPending, intid);
        must_be(&collect(1), &[intid], "set pending")?;
        ensure!(!gic::get(Bits::SetPending, intid), "{intid} is pending after it was taken");
    }
    Ok(())
}

fn shown_pending() -> Outcome {
    for intid in samples() {
        for enabled in [false, true] {
            if enabled {
                gic::enable(intid);
            }
            raise(intid);
            settle();
            ensure!(gic::get(Bits::SetPending, intid), "{intid} (enabled: {enabled}) is not shown pending");
            ensure!(!gic::get(Bits::SetActive, intid), "{intid} (enabled: {enabled}) is shown active");
            gic::set(Bits::ClearPending, intid);
            must_be(&collect(0), &[], "cleared")?;
        }
    }
    Ok(())
}

fn shown_active() -> Outcome {
    for intid in samples() {
        gic::enable(intid);
        raise(intid);
        let Some(taken) = next() else { return Err(why(format_args!("{intid} never came"))) };
        ensure!(gic::get(Bits::SetActive, intid), "{intid} is not shown active in its handler");
        ensure!(!gic::get(Bits::SetPending, intid), "{intid} is shown pending in its handler");
        gic::end(taken.intid);
        ensure!(!gic::get(Bits::SetActive, intid), "{intid} is shown active after its end");
    }
    Ok(())
}

fn set_active() -> Outcome {
    // Not SGI 8 and above: where those travel as messages inside the hypervisor, an idle one cannot be made active.
    for intid in samples().filter(|intid| !(8..16).contains(intid)) {
        gic::enable(intid);
        gic::set(Bits::SetActive, intid);
        ensure!(gic::get(Bits::SetActive, intid), "{intid} does not become active");
        raise(intid);
        let quiet = silent();
        gic::set(Bits::ClearActive, intid);
        ensure!(quiet, "{intid} is signalled though active");
        must_be(&collect(1), &[intid], "deactivated")?;
    }
    Ok(())
}

fn clear_active() -> Outcome {
    // ICACTIVER while the interrupt is only pending changes nothing: it must come once, not twice.
    for intid in samples() {
        gic::enable(intid);
        raise(intid);
        settle();
        gic::set(Bits::ClearActive, intid);
        must_be(&collect(1), &[intid], "pending, ICACTIVER written")?;
    }
    Ok(())
}

fn level_withdrawn() -> Outcome {
    for timer in [Timer::Virtual, Timer::Physical] {
        let intid = timer.intid();
        gic::enable(intid);
        timer.start(count());
        ensure!(wait_until(PATIENCE, gic::is_signalled), "{timer:?} never fired");
        ensure!(gic::get(Bits::SetPending, intid), "{timer:?} asserted, not shown pending");
        timer.stop();
        // The line is down; what was already signalled may still be taken once (IHI 0069H 4.1.2: spurious is allowed).
        let got = collect(0);
        ensure!(got.len() <= 1, "{timer:?} fired {} times after it was stopped", got.len());
        ensure!(!gic::get(Bits::SetPending, intid), "{timer:?} stopped, shown pending");
    }
    Ok(())
}

fn overflow_cleared() -> Outcome {
    // More pending than there are list registers: those that wait behind can be withdrawn too.
    for sgi in 0..16 {
        gic::enable(sgi);
        gic::send(sgi, smp::affinity(0));
    }
    settle();
    for sgi in 0..16 {
        ensure!(gic::get(Bits::SetPending, sgi), "SGI {sgi} is not shown pending");
    }
    for sgi in (0..16).filter(|s| s % 2 == 0) {
        gic::set(Bits::ClearPending, sgi);
    }
    let mut got = intids(&collect(8));
    got.sort_unstable();
    ensure!(got.iter().copied().eq((0..16).filter(|s| s % 2 == 1)), "every even SGI withdrawn, got {got:?}");
    Ok(())
}

fn take_one(_: u64) -> u64 {
    gic::enable(11);
    intids(&collect(1)).first().copied().map_or(0, u64::from)
}

fn pend_other() -> Outcome {
    crew::muster()?;
    for cpu in crew::members() {
        crew::post(cpu, take_one, 0);
        gic::sgi_base(cpu).write(Bits::SetPending as u64, 1 << 11);
        ensure_eq!(crew::join(cpu)?, 11, "SGI made pending in the redistributor of CPU {cpu}");
    }
    Ok(())
}

fn end_unknown() -> Outcome {
    // Ends without an acknowledge, of own, foreign and impossible INTIDs: no effect, and the next one still comes.
    for intid in [3, 31, 32, 500, 1019] {
        gic::set_split_eoi(true);
        gic::end(intid);
        gic::deactivate(intid);
        gic::set_split_eoi(false);
        gic::end(intid);
    }
    gic::enable(3);
    gic::send(3, smp::affinity(0));
    must_be(&collect(1), &[3], "after stray ends")
}
