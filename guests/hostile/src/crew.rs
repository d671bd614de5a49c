//! The second vCPU: at it all the time, beside whatever the first one does; and at last a CPU that no one can talk to any more,
//! which the hypervisor must stop all the same.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rt::tree::board;
use rt::{gic, psci, regs, smp, timer};

use crate::shot::{self, RET};
use crate::stubs::{self, form};
use crate::word::{Encoding, Random};

static LEAVE: AtomicBool = AtomicBool::new(false);
/// How the mate is to ruin itself; 0 while it need not.
static RUIN: AtomicU64 = AtomicU64::new(0);

/// Starts the second vCPU, if there is one.
pub fn muster() {
    send(mate);
}

/// Starts it with another task.
pub fn send(task: fn(usize)) {
    if smp::count() < 2 {
        return;
    }
    LEAVE.store(false, Ordering::SeqCst);
    if let Err(error) = smp::on(1, task) {
        rt::println!("hostile: ODD CPU_ON of the second vCPU gave {error}");
    }
}

/// Ends its task.
pub fn dismiss() {
    LEAVE.store(true, Ordering::SeqCst);
    if smp::count() > 1 && !smp::wait_off(1) {
        rt::println!("hostile: ODD the second vCPU does not go off");
    }
}

/// Whether the second vCPU shall come to its end.
pub fn is_dismissed() -> bool {
    LEAVE.load(Ordering::Relaxed)
}

fn mate(_: usize) {
    let mut medley = Medley::new(11, false);
    while !is_dismissed() {
        medley.shoot();
        if RUIN.load(Ordering::Relaxed) != 0 {
            shot::ruin(RUIN.load(Ordering::Relaxed));
        }
    }
}

/// A bit of everything, at random: SGIs, TLBI, cache maintenance by set and way, calls, the GIC.
#[derive(Debug)]
pub struct Medley(Random, bool);

impl Medley {
    /// Begins; the seed says with what. `loud` has it write to its console too, where nobody reads what else is there.
    pub fn new(seed: u64, loud: bool) -> Self {
        let sgi = Encoding::new(3, 0, 12, 11, 5);
        let clean = Encoding::new(1, 0, 7, 14, 2);
        let forget = Encoding::new(1, 0, 8, 3, 0);
        stubs::write();
        shot::write(0, &[sgi.write(0), RET, clean.write(0), RET, forget.write(0), RET]);
        shot::publish(6);
        Self(Random::new(seed), loud)
    }

    /// The next shot.
    pub fn shoot(&mut self) {
        let what = self.0.next();
        let value = self.0.next();
        let at = value >> 8;
        match what % 8 {
            0 if gic::is_v2() => stubs::access(form::STR_W, gic::distributor().base() + 0xf00, value),
            0 => shot::run(0, [value, 0, 0, 0, 0, 0, 0, 0]),
            1 if what >> 8 & 0x3ff == 0 => shot::run(2, [0; 8]),
            1 | 2 => shot::run(4, [0; 8]),
            3 => {
                // Any owner but the standard one, whose calls end lives.
                let function = value & 0xbfff_ffff | 0x8000_0000;
                let function = if function >> 24 & 0x3f == 4 { 0x8400_0000 } else { function };
                stubs::call(what >> 8 & 1 == 0, [function, value, value, value, 0, 0, 0, 0])
            }
            4 | 5 => stubs::access(any_width(what), frame(regs::cpu_index()) + (at & 0x1_fff8), value),
            6 if self.1 && what >> 32 & 3 == 0 => {
                stubs::access(form::STRB, board().console.map_or(0, |uart| uart.base), value)
            }
            // Not GICD_CTLR: the first vCPU counts on its timer.
            6 => {
                stubs::access(any_width(what), gic::distributor().base() + (at & distributor()).max(8), value)
            }
            _ => stubs::access(form::LDR_W, frame(1 - regs::cpu_index().min(1)) + (at & 0x1_fffc), 0),
        };
    }
}

fn any_width(random: u64) -> usize {
    const FORMS: [usize; 8] =
        [form::LDRB, form::LDRH, form::LDR_W, form::LDR_X, form::STRB, form::STRH, form::STR_W, form::STR_X];
    FORMS.get((random >> 16 & 7) as usize).copied().unwrap_or(0)
}

/// Offsets in the distributor, of doublewords.
fn distributor() -> u64 {
    if gic::is_v2() { 0xff8 } else { 0xfff8 }
}

/// The redistributor of a vCPU; of a GICv2, from where its CPU interface is.
pub fn frame(vcpu: usize) -> u64 {
    if gic::is_v2() {
        return gic::memory::interface().base();
    }
    board().gicr.first().map_or(0, |region| region.base + 0x2_0000 * vcpu as u64)
}

/// All vCPUs shoot for ever: [`Medley`].
pub fn medley() -> ! {
    send(mate);
    let mut medley = Medley::new(13, true);
    loop {
        medley.shoot();
    }
}

/// All vCPUs sleep for ever.
pub fn sleep() -> ! {
    send(|_| {
        loop {
            regs::wait_for_interrupt();
        }
    });
    loop {
        regs::wait_for_interrupt();
    }
}

/// The second vCPU shall end in a state from which no exception leads out.
pub fn ruin(way: u64) {
    RUIN.store(way, Ordering::SeqCst);
    if smp::count() > 1 && psci::affinity_info(smp::affinity(1)) == 1 {
        muster();
    }
}

/// The same at the end of the catalogue; which state, time decides.
pub fn end() {
    if smp::count() < 2 {
        return;
    }
    let way = 1 + rt::read_reg!("cntpct_el0") / 64 % shot::RUINS;
    rt::println!("hostile: the second vCPU {}", shot::ruin_name(way));
    ruin(way);
    timer::wait_until(20_000, || false);
    regs::dsb_sy();
}
