//! The second vCPU: at it all the time, beside whatever the first one does; then races, and at last a CPU that no one can
//! talk to any more, which the hypervisor must stop all the same.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rt::gic;
use rt::tree::board;
use rt::{psci, regs, smp, timer};

use crate::report::{Attack, Report};
use crate::shot::{self, RET};
use crate::stubs::{self, form};
use crate::word::{self, Encoding, Random};

static LEAVE: AtomicBool = AtomicBool::new(false);
/// How the mate is to ruin itself; 0 while it need not.
static RUIN: AtomicU64 = AtomicU64::new(0);

/// Rounds of each race.
const RACES: u64 = 150;

/// Starts the second vCPU, if there is one.
pub fn muster() {
    if smp::count() < 2 {
        return;
    }
    LEAVE.store(false, Ordering::SeqCst);
    if let Err(error) = smp::on(1, mate) {
        rt::println!("hostile: ODD CPU_ON of the second vCPU gave {error}");
    }
}

fn dismiss() {
    LEAVE.store(true, Ordering::SeqCst);
    if !smp::wait_off(1) {
        rt::println!("hostile: ODD the second vCPU does not go off");
    }
}

fn mate(_: usize) {
    stubs::write();
    let sgi = Encoding::new(3, 0, 12, 11, 5);
    let clean = Encoding::new(1, 0, 7, 14, 2);
    let forget = Encoding::new(1, 0, 8, 3, 0);
    shot::write(0, &[sgi.write(0), RET, clean.write(0), RET, forget.write(0), RET]);
    shot::publish(6);
    let mut random = Random::new(11);
    while !LEAVE.load(Ordering::Relaxed) {
        let what = random.next();
        let value = random.next();
        match what % 8 {
            0 => drop(shot::run(0, [value, 0, 0, 0, 0, 0, 0, 0])),
            1 if what >> 8 & 0x3ff == 0 => drop(shot::run(2, [0; 8])),
            2 => drop(shot::run(4, [0; 8])),
            3 => {
                // Any owner but the standard one, whose calls end lives.
                let function = value & 0xbfff_ffff | 0x8000_0000;
                if function >> 24 & 0x3f != 4 {
                    stubs::call(what >> 8 & 1 == 0, [function, value, value, value, 0, 0, 0, 0]);
                }
            }
            4 | 5 => drop(stubs::access(widths(what), own_frame() + (value >> 8 & 0x1_fff8), value)),
            // Not GICD_CTLR: the first vCPU counts on its timer.
            6 => drop(stubs::access(
                widths(what),
                gic::distributor().base() + (value >> 8 & 0xfff8).max(8),
                value,
            )),
            _ => drop(stubs::access(form::LDR_W, other_frame() + (value >> 8 & 0x1_fffc), 0)),
        }
        if RUIN.load(Ordering::Relaxed) != 0 {
            shot::ruin(RUIN.load(Ordering::Relaxed));
        }
    }
}

fn widths(random: u64) -> usize {
    const FORMS: [usize; 8] =
        [form::LDRB, form::LDRH, form::LDR_W, form::LDR_X, form::STRB, form::STRH, form::STR_W, form::STR_X];
    FORMS.get((random >> 16 & 7) as usize).copied().unwrap_or(0)
}

fn own_frame() -> u64 {
    board().gicr.first().map_or(0, |region| region.base + 0x2_0000)
}

fn other_frame() -> u64 {
    board().gicr.first().map_or(0, |region| region.base)
}

/// The class: CPU_ON and CPU_OFF as fast as they go, with state that is gone when the CPU arrives.
pub fn run(report: &mut Report) {
    if smp::count() < 2 {
        return;
    }
    dismiss();
    // The second vCPU's whole life: CPU_OFF (MOVZ x0, #0x8400, LSL 16; MOVK x0, #2; HVC; B .).
    shot::write(0, &[0xd2b0_8000, 0xf280_0040, word::hvc(0), 0x1400_0000]);
    shot::publish(4);
    let target = smp::affinity(1);
    for (name, shooter) in [("CPU_ON", false), ("CPU_ON and SGIs", true)] {
        let mut attack = Attack::default();
        for n in 0..RACES {
            let shot =
                stubs::call(n & 1 == 0, [psci::function::CPU_ON, target, shot::place(0), n, 0, 0, 0, 0]);
            attack.note(&shot);
            let [x0, ..] = shot.x;
            attack.want([0, -4, -5].contains(&(x0 as i64)), format_args!("CPU_ON in a race gave {x0:#x}"));
            if shooter {
                (0..16).for_each(gic::send_others);
                gic::set_route(33, target);
            }
            attack.note(&stubs::access(form::STR_W, own_frame() + 0x1_0100, u64::MAX));
        }
        if !smp::wait_off(1) {
            attack.odd(format_args!("the second vCPU does not go off"));
        }
        report.done(format_args!("races of {name}"), attack);
    }
    muster();
}

/// The second vCPU ends in a state from which no exception leads out; which, time decides.
pub fn ruin() {
    if smp::count() < 2 {
        return;
    }
    let way = 1 + rt::read_reg!("cntpct_el0") / 64 % shot::RUINS;
    rt::println!("hostile: the second vCPU is ruined, way {way}");
    RUIN.store(way, Ordering::SeqCst);
    timer::wait_until(20_000, || false);
    regs::dsb_sy();
}
