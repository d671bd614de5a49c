//! Lives that end at once (`hostile.mode=lives`): the second vCPU is in the middle of something, or beyond all help; the first
//! ends the cell's life in a way of its own. The next life begins, or the hypervisor has lost.

use rt::timer::{self, Timer};
use rt::{gic, println, read_reg, regs, smp};

use crate::word::Encoding;
use crate::{crew, shot, stubs};

/// How a life ends: a name, and what is done before the call; the call.
type End = (&'static str, fn(), [u64; 2], bool);

#[rustfmt::skip]
static ENDS: &[End] = &[
    ("SYSTEM_RESET",                            || {},            [0x8400_0009, 0], false),
    ("SYSTEM_RESET by SMC",                     || {},            [0x8400_0009, 0], true),
    ("SYSTEM_RESET2",                           || {},            [0x8400_0012, 0], false),
    ("SYSTEM_RESET2 of 64 bits",                || {},            [0xc400_0012, 0], true),
    ("SYSTEM_RESET with an interrupt active",   active,           [0x8400_0009, 0], false),
    ("SYSTEM_RESET with everything pending",    pending,          [0x8400_0009, 0], false),
    ("SYSTEM_RESET with every priority masked", || gic::set_priority_mask(0), [0x8400_0009, 0], false),
    ("SYSTEM_RESET with timers due",            due,              [0x8400_0009, 0], false),
    ("SYSTEM_RESET in the middle of DC CISW",   clean,            [0x8400_0009, 0], false),
    ("SYSTEM_RESET with its interface off",     || gic::set_group1(false), [0x8400_0009, 0], false),
    ("SYSTEM_RESET right behind CPU_ON",        || {},            [0x8400_0009, 0], false),
];

fn due() {
    gic::enable(Timer::Virtual.intid());
    gic::enable(Timer::Physical.intid());
    Timer::Virtual.start(0);
    Timer::Physical.start(0);
}

/// Acknowledged, never ended.
fn active() {
    due();
    timer::wait_until(1000, gic::is_signalled);
    gic::acknowledge();
}

fn pending() {
    for offset in (0..0x80).step_by(4) {
        stubs::access(stubs::form::STR_W, gic::distributor().base() + 0x200 + offset, u64::MAX);
        stubs::access(stubs::form::STR_W, gic::distributor().base() + 0x300 + offset, u64::MAX);
    }
    (0..16).for_each(|sgi| gic::send(sgi, regs::affinity()));
}

/// One step of it: the rest is never asked for.
fn clean() {
    shot::write(0, &[Encoding::new(1, 0, 7, 14, 2).write(0), shot::RET]);
    shot::publish(2);
    shot::run(0, [0; 8]);
}

/// One life. Time decides which: nothing of the former one is left to count with.
pub fn live() -> ! {
    let dice = read_reg!("cntpct_el0") / 64;
    let way = 1 + dice % shot::RUINS;
    let end = usize::try_from(dice / 64).unwrap_or(0) % ENDS.len();
    let Some((name, before, [x0, x1], smc)) = ENDS.get(end) else { crew::sleep() };
    let ruin = if smp::count() > 1 { shot::ruin_name(way) } else { "is not there" };
    println!("hostile: life ends by {name}; the second vCPU {ruin}");
    if let Some(uart) = rt::console::uart() {
        uart.drain();
    }
    stubs::write();
    gic::set_group1(true);
    if end + 1 == ENDS.len() {
        stubs::call(false, [0xc400_0003, 1, shot::place(0), 0, 0, 0, 0, 0]);
    } else {
        crew::ruin(way);
        // Some lives end while the second vCPU is still on its way.
        timer::wait_until(dice / 4096 % 8 * 100, || false);
    }
    before();
    stubs::call(*smc, [*x0, *x1, 0, 0, 0, 0, 0, 0]);
    println!("hostile: ODD a life goes on behind its end");
    crew::sleep()
}
