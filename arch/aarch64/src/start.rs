//! From the entry point to the policy's boot: MMU, console, heap, GIC, the other CPUs.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt::{Display, Write};

use bulkhead::addr::{PAGE, Pa, Span};
use bulkhead::archive;
use bulkhead::boot::{BootError, Survey, Translation};
use bulkhead::cell::System;
use bulkhead::hardware::{Conduit, Start};
use bulkhead::paging::{MapError, Table, Window};
use bulkhead::plan::pool::PoolError;
use bulkhead::plan::{Boot, Console, pool};
use bulkhead::ports::Serial;
use bulkhead::refusal::{Code, Refusal, code};
use bulkhead::tree;
use bulkhead::tree::early::{self, Early};
use bulkhead::uart::model;
use bulkhead::vgic::{SgiPlan, physical};
use log::{error, info};
use spin::Mutex;

use crate::cpu::{Controller, Which};
use crate::el2::{self, Features};
use crate::mmu::{self, Space};
use crate::secondary::{self, Context};
use crate::{cpu, entry, errata, gic, gicv2, heap, regime, stop, uart};

// A section of its own, behind what is small and then shares a page with the data.
// SAFETY: the link script puts it with the rest of what begins as zero.
#[unsafe(link_section = ".bss.tables")]
static TABLES: [Table; mmu::BOOT_TABLES] = [const { Table::new() }; mmu::BOOT_TABLES];

/// The largest tree that `booting.rst` allows.
const TREE_MAX: usize = 2 << 20;

/// The boot CPU, EL2, MMU and caches off: no lock and no exclusive works yet (Arm ARM B2.9.2).
#[unsafe(no_mangle)]
extern "C" fn bulkhead_primary(tree: u64, entered: u64) -> ! {
    let features = Features::read();
    let Some((mut space, tree)) = first_map(&features, tree) else {
        // Without a tree there is no console to say so on.
        stop::halt();
    };
    // SAFETY: `first_map` has the image mapped as it is linked, and nothing but the lines above has run.
    unsafe { entry::enable_mmu(&mmu::registers(&space)) };
    // SAFETY: mapped by `first_map`; nobody writes to it before a guest runs, and none runs before it is copied.
    let blob: &'static [u8] = unsafe { bytes(tree) };
    el2::init(&features);
    let done = reserve(&mut space, blob, tree).and_then(|loaded| boot_cells(space, blob, loaded, entered));
    let Err(Refused) = done;
    error!("nothing was started");
    stop::halt()
}

/// Bytes of the archive that are mapped before there is a heap: more than its first file, the description, commonly has.
const ARCHIVE_HEAD: u64 = 256 << 10;

/// Maps the image and the tree; `None` if `at` is no tree.
fn first_map(features: &Features, at: u64) -> Option<(Space, Span<Pa>)> {
    let mut space = mmu::new_space(features.pa_range(), regime::of_cpu().at_entry(), &TABLES)?;
    for (span, window) in entry::sections().into_iter().flatten() {
        mmu::map(&mut space, span, window).ok()?;
    }
    if at == 0 || !at.is_multiple_of(8) {
        return None;
    }
    // SAFETY: `booting.rst` has the tree's address in x0; its first 8 bytes are read to see whether it is one.
    let header = unsafe { bytes(Span::new(Pa(at), 8)?) };
    let size = tree::total_size(header).ok().filter(|size| *size <= TREE_MAX)?;
    let span = Span::new(Pa(at), size as u64)?;
    mmu::map(&mut space, span, Window::ReadOnly).ok()?;
    Some((space, span))
}

/// # Safety
/// The span is mapped memory that nobody writes to.
unsafe fn bytes(span: Span<Pa>) -> &'static [u8] {
    let start = core::ptr::with_exposed_provenance::<u8>(span.start().0 as usize);
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts(start, span.size() as usize) }
}

/// Finds the console, before anything can go wrong that someone should read about.
fn console(space: &mut Space, early: &Early<'_>) {
    let Some(stdout) = early.stdout else { return };
    let Some(model) = model(stdout.compatibles()) else { return };
    if uart::page(stdout.at).is_some_and(|span| mmu::map(space, span, Window::Device).is_ok()) {
        // SAFETY: the tree says so, and it was mapped just now.
        unsafe { uart::install(stdout.at, model) };
    }
}

/// Finds the console, maps the archive, and gives the heap its memory. Apart from what follows: what was read early takes a good part
/// of the boot stack.
#[inline(never)]
fn reserve(space: &mut Space, blob: &[u8], tree: Span<Pa>) -> Result<Boot, Refused> {
    // Without a tree that can be read there is no console to say so on.
    let Ok(early) = &early::read(blob) else { stop::halt() };
    console(space, early);
    info!("Bulkhead {} at {:#x}", env!("CARGO_PKG_VERSION"), entry::base());
    errata::tell();
    let image = entry::image().ok_or_else(|| refuse(code::MAP_BUG, &"the image has no size"))?;
    let span = pool::find_archive(early, image, tree).map_err(|e| refuse(e.code(), &e))?;
    // Things far apart want more tables than the image has: the rest of the archive is mapped when there is a heap.
    let mut mapped = Span::new(span.start(), span.size().min(ARCHIVE_HEAD)).unwrap_or(span);
    map_archive(space, mapped, tree)?;
    // SAFETY: mapped just now; it is never written.
    let mut description = archive::description(unsafe { bytes(mapped) });
    if description.is_err() {
        map_rest(space, span, mapped, tree)?;
        mapped = span;
        // SAFETY: as above.
        description = archive::description(unsafe { bytes(span) });
    }
    let description = description.map_err(|e| refuse(e.code(), &e))?;
    let cells = early::count_children(description);
    let placed = pool::place(early, image, tree, cells).map_err(|e| refuse(e.code(), &e))?;
    mmu::map(space, placed.pool, Window::Data).map_err(|e| refuse(e.code(), &e))?;
    // SAFETY: mapped just now; `place` found it free, and nobody else learns of it.
    unsafe { heap::add(placed.pool.start().0, placed.pool.size()) };
    map_rest(space, span, mapped, tree)?;
    Ok(Boot { image, pool: placed.pool, archive: placed.archive, tree })
}

/// Maps a part of the archive, which may share a page with the tree: that one is mapped already.
fn map_archive(space: &mut Space, part: Span<Pa>, tree: Span<Pa>) -> Result<(), Refused> {
    let mut parts = apart(part, tree).into_iter().flatten();
    parts.try_for_each(|part| mmu::map(space, part, Window::ReadOnly)).map_err(|e| refuse(e.code(), &e))
}

/// Maps what of the archive is not mapped.
fn map_rest(space: &mut Space, archive: Span<Pa>, mapped: Span<Pa>, tree: Span<Pa>) -> Result<(), Refused> {
    match apart(archive, mapped) {
        [_, Some(rest)] => map_archive(space, rest, tree),
        _ => Ok(()),
    }
}

/// The pages of `span` that hold nothing of `other`.
fn apart(span: Span<Pa>, other: Span<Pa>) -> [Option<Span<Pa>>; 2] {
    match (span.widened_to(PAGE), other.widened_to(PAGE)) {
        (Some(pages), Some(other)) => pages.without(&other),
        (pages, _) => [pages, None],
    }
}

/// The machine stays as it is; why has been printed.
struct Refused;

fn refuse(code: Code, why: &dyn Display) -> Refused {
    error!("{code}: {why}");
    Refused
}

fn refuse_all(errors: Vec<BootError>) -> Refused {
    errors.iter().for_each(|e| error!("{e}"));
    Refused
}

fn boot_cells(
    mut space: Space,
    blob: &'static [u8],
    loaded: Boot,
    entered: u64,
) -> Result<Infallible, Refused> {
    // SAFETY: `reserve` mapped it; it is never written.
    let archive = unsafe { bytes(loaded.archive) };
    let survey = Survey::new(blob, archive, loaded).map_err(refuse_all)?;
    let features = regime::choose(survey.vhe, &mut space).map_err(|e| refuse(code::VHE, &e))?;
    if let Some(gic) = gicv2::map(&mut space, &survey.hardware.gic).map_err(|e| refuse(e.code(), &e))? {
        return run_cells(Which::V2(gic), features, space, survey, entered);
    }
    if !features.gic() {
        let why = "this CPU has no GICv3 system registers: is it the right tree for this board?";
        return Err(refuse(code::NO_GICV3, &why));
    }
    let gic = gic::map(&mut space, &survey.hardware).map_err(|why| refuse(code::NO_REDISTRIBUTOR, &why))?;
    run_cells(Which::V3(gic), features, space, survey, entered)
}

/// The rest, with the GIC that the board has.
#[inline(never)]
fn run_cells(
    gic: Controller,
    features: Features,
    mut space: Space,
    survey: Survey<'_>,
    entered: u64,
) -> Result<Infallible, Refused> {
    let tree = apart(survey.plan.boot.tree, survey.plan.boot.archive);
    let own = survey.plan.console;
    let serial = own.and_then(|own| start_serial(&mut space, &own));
    let space: &'static Mutex<Space> = Box::leak(Box::new(Mutex::new(space)));
    let conduit = survey.hardware.psci.as_ref().is_some_and(|psci| psci.conduit == Conduit::Smc);
    let context = Context { gic, space, conduit, power: survey.hardware.power, seed: survey.seed() };
    let mine = survey.hardware.cpus.iter().find(|c| c.affinity == cpu::affinity());
    let me = mine
        .ok_or_else(|| {
            refuse(code::BOOT_CPU, &"the board's tree has no node for the CPU that Bulkhead was started on")
        })?
        .id;
    let mut machine = context.cpu(me);
    physical::init_distributor(&mut machine).map_err(|e| refuse(e.code(), &e))?;
    let sgi = SgiPlan::probe(&mut machine, me).ok_or_else(|| {
        refuse(code::GIC_KEPT, &"firmware leaves no SGI to EL2: SGIs must be in non-secure Group 1")
    })?;
    physical::init_redistributor(&mut machine, me, &sgi, survey.own_ppis())
        .map_err(|e| refuse(e.code(), &e))?;
    let translation =
        Translation { pa_range: features.pa_range(), vmid16: features.wide_vmid(), take: heap::take_tables };
    let starts: Vec<Start> = survey.hardware.cpus.iter().map(|cpu| cpu.start).collect();
    let shared = survey.gic(&machine, sgi);
    let mut system = survey.build(shared, translation, serial).map_err(|e| refuse_all(alloc::vec![e]))?;
    system.entered = entered;
    system.free_memory = heap::free;
    let system: &'static System = Box::leak(Box::new(system));
    stop::knows(system);
    // The survey is gone, and with it all that read the board's tree. Its memory is the root cell's now.
    for part in tree.into_iter().flatten() {
        mmu::unmap(&mut space.lock(), part).map_err(|e| refuse(e.code(), &e))?;
    }
    // From the first guest on, all print by way of the console.
    let console = system.console.as_ref().zip(own);
    // SAFETY: `start_serial` has mapped it, or there would be no console.
    unsafe { uart::hand_over(console.map(|(console, own)| (console, own.at, own.model))) };
    system.came(me, &machine);
    secondary::start_all(system, me, context, &starts, &mut |id| system.never_came(id, &mut machine));
    if let Some((_, own)) = console
        && let Some((cpu, seat)) = system.console_cpu(me)
    {
        physical::enable_console(&mut machine, &system.gic, own.trigger, cpu, seat.affinity);
    }
    let (used, peak, total) = heap::used();
    let image = entry::image().map_or(0, |image| image.size());
    info!("memory: image {image} heap {used} of {total}, at most {peak}");
    secondary::run(system, me, &mut machine)
}

/// The console's UART, mapped and started; `None` if it cannot be mapped.
fn start_serial(space: &mut Space, own: &Console) -> Option<Box<dyn Serial>> {
    // The early console, which often is the same, is mapped already.
    if let Err(e) = mmu::map(space, uart::page(own.at)?, Window::Device)
        && !matches!(e, MapError::Overlap { .. })
    {
        error!("{e}");
        return None;
    }
    // SAFETY: the board's tree says so, by way of the plan, and it is mapped.
    let mut uart = unsafe { uart::at(own.at, own.model) };
    uart.start();
    Some(Box::new(uart))
}

/// Entered at EL1 or EL3, or with the tree inside the image (`el` is then -1), MMU off: says so and stops.
#[unsafe(no_mangle)]
extern "C" fn bulkhead_no_entry(tree: u64, el: i64) -> ! {
    let header = if tree == 0 || !tree.is_multiple_of(8) { None } else { Span::new(Pa(tree), 8) };
    // SAFETY: x0 as `booting.rst` has it; memory is flat while the MMU is off.
    let size = header
        .and_then(|span| tree::total_size(unsafe { bytes(span) }).ok())
        .filter(|size| *size <= TREE_MAX);
    if let Some(span) = size.and_then(|size| Span::new(Pa(tree), size as u64))
        // SAFETY: as above.
        && let blob = unsafe { bytes(span) }
        && let Some(stdout) = early::read(blob).ok().and_then(|early| early.stdout)
        && let Some(model) = model(stdout.compatibles())
    {
        // SAFETY: the tree says so, and with the MMU off all of it is device memory.
        let mut uart = unsafe { uart::at(stdout.at, model) };
        uart.wake();
        let _ = match entry::image().filter(|_| el < 0) {
            Some(image) => {
                let (what, other) = ("board's tree", "hypervisor's image");
                let over = PoolError::Overlap { what, span, other, over: image };
                writeln!(uart, "bulkhead: error: {}: {over}", over.code())
            }
            None => writeln!(
                uart,
                "bulkhead: error: {}: entered at EL{el}; Bulkhead needs EL2. On QEMU: -M virt,virtualization=on",
                code::WRONG_EL
            ),
        };
    }
    loop {
        aarch64_cpu::asm::wfe();
    }
}
