//! The other CPUs: how they are started, by PSCI or by a spin table, and their way to the loop.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use aarch64_cpu::asm;
use aarch64_cpu::registers::{CNTFRQ_EL0, Readable};
use bulkhead::addr::{Address, PAGE, Pa, Span};
use bulkhead::cell::System;
use bulkhead::cpu::{Affinity, PcpuId};
use bulkhead::hardware::{PowerManager, Start};
use bulkhead::paging::{Tables, Window};
use bulkhead::refusal::code;
use bulkhead::vgic::physical;
use log::error;
use spin::Mutex;

use crate::cpu::{AnyGic, Controller, Cpu, Which};
use crate::el2::{self, Features};
use crate::entry::{self, MmuRegisters};

use crate::mmu::{self, Space};
use crate::{cache, cpu, errata, firmware, heap, stop, time, world};

/// Pages of a secondary CPU's stack: a guard page, the stack, the emergency stack. The heap hands out powers of two.
const STACK_PAGES: usize = 1 + STACK_DATA_PAGES + 1;
const STACK_DATA_PAGES: usize = 2;
const _: () = assert!(STACK_PAGES.is_power_of_two());

/// What is the same for every CPU.
#[derive(Clone, Copy)]
pub struct Context {
    /// The GIC.
    pub gic: Controller,
    /// EL2's map.
    pub space: &'static Mutex<Space>,
    /// Whether firmware answers SMC.
    pub conduit: bool,
    /// What switches the machine off where it does not.
    pub power: Option<PowerManager>,
    /// For [`bulkhead::ports::Entropy`].
    pub seed: u64,
}

impl Context {
    /// The CPU that this runs on, which is `me`, with its part of the GIC.
    pub fn cpu(&self, me: PcpuId) -> Cpu<AnyGic> {
        let seed = self.seed ^ cpu::affinity().get() << 32 ^ time::counter();
        let mut cpu = Cpu::new(self.gic, me, self.space, self.conduit, seed);
        cpu.power = self.power;
        cpu
    }
}

/// What a secondary CPU finds in x0 when firmware starts it, or by its affinity in the list that begins at
/// [`bulkhead_waited_for`], when it leaves a spin table, which hands nothing on.
#[repr(C)]
struct Secondary {
    mmu: MmuRegisters,
    stack: u64,
    emergency: u64,
    affinity: u64,
    /// The next one of the list, or 0.
    next: u64,
    id: PcpuId,
    context: Context,
    system: &'static System,
    state: AtomicU8,
}

/// What became of a CPU that was started.
const CALLED: u8 = 0;
const ARRIVED: u8 = 1;
/// Its cell needs more bits of physical address than it has.
const TOO_NARROW: u8 = 2;

const _: () = assert!(offset_of!(MmuRegisters, tcr) == 8 && offset_of!(MmuRegisters, sctlr) == 24);
const _: () = assert!(offset_of!(Secondary, mmu) == 0);
const _: () = assert!(offset_of!(MmuRegisters, hcr) == 32);
const _: () = assert!(offset_of!(Secondary, stack) == 40);
const _: () = assert!(offset_of!(Secondary, emergency) == 48);
const _: () = assert!(offset_of!(Secondary, affinity) == 56);
const _: () = assert!(offset_of!(Secondary, next) == 64);

/// The address of the first [`Secondary`] of those that are to leave a spin table; 0 for none.
// SAFETY: nothing else has this name; `entry.S` reads it.
#[unsafe(no_mangle)]
static bulkhead_waited_for: AtomicU64 = AtomicU64::new(0);

/// Starts every other CPU and waits for them, a second at most. One that does not come is its cell's loss alone.
pub fn start_all(
    system: &'static System,
    me: PcpuId,
    context: Context,
    starts: &[Start],
    never_came: &mut dyn FnMut(PcpuId),
) {
    let mmu = mmu::registers(&context.space.lock());
    let mut called: Vec<&'static Secondary> = Vec::new();
    let mut last = 0;
    for (id, seat) in system.cpus().filter(|(id, _)| *id != me) {
        let start = starts.get(id.index()).copied().unwrap_or(Start::Unknown);
        let made = match start {
            Start::Unknown => None,
            Start::Psci if !context.conduit => None,
            Start::Psci | Start::SpinTable(_) => prepare(id, seat.affinity, mmu, last, context, system),
        };
        let Some(secondary) = made else {
            never_came(id);
            continue;
        };
        let address = core::ptr::from_ref(secondary).addr() as u64;
        if let Start::SpinTable(_) = start {
            last = address;
        } else if let Err(code) = firmware::cpu_on(seat.affinity.get(), entry::secondary().0, address) {
            error!("firmware does not start {} (affinity {}): PSCI error {code}", id, seat.affinity);
            never_came(id);
            continue;
        }
        called.push(secondary);
    }
    if last != 0 {
        release(context.space, last, called.iter().filter_map(|secondary| starts.get(secondary.id.index())));
    }
    let deadline = time::counter() + CNTFRQ_EL0.get();
    for secondary in called {
        while secondary.state.load(Ordering::Acquire) == CALLED && time::counter() < deadline {
            core::hint::spin_loop();
        }
        let why = match secondary.state.load(Ordering::Acquire) {
            ARRIVED => continue,
            TOO_NARROW => "reaches fewer physical addresses than its cell has: give that CPU to another cell",
            _ => "was started and did not arrive within a second",
        };
        error!("{} {why}", secondary.id);
        never_came(secondary.id);
    }
}

/// What a CPU finds when it comes, in memory; `next` is the one in front of it in the list.
fn prepare(
    id: PcpuId,
    affinity: Affinity,
    mmu: MmuRegisters,
    next: u64,
    context: Context,
    system: &'static System,
) -> Option<&'static Secondary> {
    let Some(pages) = heap::take_tables(STACK_PAGES).map(Tables::keep) else {
        error!("no memory for the stack of {id}");
        return None;
    };
    let base = pages.first().map_or(0, |page| page.pa().get());
    if let Some(guard) = Span::new(Pa(base), PAGE)
        && let Err(e) = mmu::unmap(&mut context.space.lock(), guard)
    {
        error!("no guard page for {id}: {e}");
    }
    let secondary: &'static Secondary = Box::leak(Box::new(Secondary {
        mmu,
        stack: base + PAGE * (1 + STACK_DATA_PAGES as u64),
        emergency: base + PAGE * STACK_PAGES as u64,
        affinity: affinity.get(),
        next,
        id,
        context,
        system,
        state: AtomicU8::new(CALLED),
    }));
    // The other CPU reads this with its caches off.
    cache::clean_value(secondary);
    Some(secondary)
}

/// Lets CPUs leave their spin tables (Devicetree Specification 3.8.1, `cpu-release-addr`; Linux `booting.rst`, section 4): each
/// polls its release address, with caches off, in a loop with WFE, and branches to what it finds there. Several may poll the same
/// one, and come although they are in no cell: so each looks for itself in the list.
///
/// The list is in memory before the first release address is: [`cache::clean_value`] and [`cache::clean_invalidate`] end with a DSB,
/// which waits for their cleaning to the point of coherency (Arm ARM D7.5.9, B2.3.10). SEV comes behind the DSB of the last store, so a
/// CPU that is woken by it, or that has not yet executed its WFE (the event stays registered, D1.6.1), finds the address.
fn release<'s>(space: &Mutex<Space>, list: u64, starts: impl Iterator<Item = &'s Start>) {
    bulkhead_waited_for.store(list, Ordering::Relaxed);
    cache::clean_value(&bulkhead_waited_for);
    for start in starts {
        let Start::SpinTable(at) = start else { continue };
        let Some(span) = Span::new(*at, 8).filter(|_| at.0.is_multiple_of(8)) else {
            error!("{}: cpu-release-addr {at} is at no multiple of 8", code::CPU_START);
            continue;
        };
        let done = mmu::window(space, span, Window::Data, &mut || {
            let place = core::ptr::with_exposed_provenance_mut::<u64>(at.0 as usize);
            // SAFETY: the window covers it, and the plan keeps the page from every cell. One store: whoever polls sees all or nothing.
            unsafe { place.write_volatile(entry::spin_entry().0) };
            cache::clean_invalidate(span);
        });
        if done.is_err() {
            error!("{}: cpu-release-addr {at} lies in something of the hypervisor's own", code::CPU_START);
        }
    }
    asm::sev();
}

#[unsafe(no_mangle)]
extern "C" fn bulkhead_secondary(me: &'static Secondary) -> ! {
    let features = Features::read();
    el2::init(&features);
    errata::tell();
    let mut machine = me.context.cpu(me.id);
    if !me.system.can_run(me.id, features.pa_range(), features.wide_vmid()) {
        me.state.store(TOO_NARROW, Ordering::Release);
        stop::halt();
    }
    if let Err(e) = physical::init_redistributor(&mut machine, me.id, &me.system.gic.sgi, me.system.gic.ppis)
    {
        error!("{}: {e}", me.id);
        stop::halt();
    }
    me.system.came(me.id, &machine);
    me.state.store(ARRIVED, Ordering::Release);
    run(me.system, me.id, &mut machine)
}

/// The loop, which is compiled for a GICv3 and for any.
pub fn run(system: &System, me: PcpuId, machine: &mut Cpu<AnyGic>) -> ! {
    match machine.gic_mut() {
        Which::V3(known) => world::run(system, me, known),
        Which::V2(_) => world::run(system, me, machine),
    }
}
