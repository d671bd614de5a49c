//! Bulkhead on QEMU. [`list`] says what is booted and what must be seen; [`scenario`] does it; [`answers`] compares what a guest is
//! told of its mistakes with what a CPU tells; [`screen`] has many consoles on one UART, [`chatter`] checks a flood; [`restart`] is
//! about lives; [`dma`] ends lives in the middle of DMA; [`watchdog`] is about cells that fall silent; [`plans`] compares what the
//! desk decides with what the image does; [`neighbour`] counts what EL2 executes for a victim; [`exits`] how often a direct cell
//! comes there; [`direct`] has more of those; [`gicv2`] has them on a GICv2; [`cpus`] has every CPU; [`dmesg`] compares Linux's
//! complaints with those it has without a hypervisor. [`loaders`] has what brings it into memory; [`levers`] does to EL2 what no
//! guest can, [`typing`] types where only an interrupt tells. [`running`] is QEMU where its log is what counts.
//!
//! Wants what `scripts/build` makes. `--ignored` runs what takes long.

mod answers;
mod boards;
mod chatter;
mod cpus;
mod direct;
mod dma;
mod dmesg;
mod exits;
mod gicv2;
mod hostile;
mod levers;
mod list;
mod loaders;
mod neighbour;
mod plans;
mod restart;
mod running;
mod scenario;
mod screen;
mod typing;
mod watchdog;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use scenario::Scenario;

/// How many of the slowest are named at the end.
const SLOWEST: usize = 10;

/// How long each test took.
type Times = Arc<Mutex<Vec<(Duration, String)>>>;

/// A test whose time is taken.
fn trial(times: &Times, name: &str, work: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    let (times, own) = (Arc::clone(times), name.to_string());
    Trial::test(name, move || {
        let begin = Instant::now();
        let result = work();
        times.lock().unwrap_or_else(PoisonError::into_inner).push((begin.elapsed(), own));
        result
    })
}

fn main() {
    let arguments = Arguments::from_args();
    let times = Times::default();
    let trials = list::scenarios().into_iter().map(|scenario| {
        let (name, long) = (scenario.name, scenario.long);
        trial(&times, name, move || scenario.run().map_err(Into::into)).with_ignored_flag(long)
    });
    let desk = trial(&times, "all_descriptions_pass_at_the_desk", || {
        let results = list::scenarios().iter().map(Scenario::check_at_the_desk).collect::<Vec<_>>();
        let failed: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
    });
    let plans = |name: &str, count| trial(&times, name, move || plans::all(count).map_err(Into::into));
    let plans = [
        plans("desk_and_image_decide_the_same_20_plans", 20),
        plans("desk_and_image_decide_the_same_200_plans", 200).with_ignored_flag(true),
    ];
    let neighbour =
        |name: &str, gic| trial(&times, name, move || neighbour::same_count(gic).map_err(Into::into));
    let neighbour = [
        neighbour("hostile_neighbour_costs_no_instruction", 3),
        neighbour("hostile_neighbour_costs_no_instruction_gicv2", 2).with_ignored_flag(true),
    ];
    let exits =
        |name: &str, gic, seconds| trial(&times, name, move || exits::none(gic, seconds).map_err(Into::into));
    let exits = [
        exits("direct_timer_without_an_exit", 3, 3),
        exits("direct_timer_without_an_exit_for_a_minute", 3, 60).with_ignored_flag(true),
        exits("gicv2_direct_timer_without_an_exit", 2, 3).with_ignored_flag(true),
    ];
    let levers = [
        trial(&times, "a_failure_of_el2_stops_all_cells", || levers::all_stops().map_err(Into::into)),
        trial(&times, "an_serror_comes_to_the_guest", || levers::virtual_serror().map_err(Into::into)),
    ];
    let sbsa = trial(&times, "typed_sbsa", || typing::sbsa().map_err(Into::into)).with_ignored_flag(true);
    let trials = [desk, sbsa]
        .into_iter()
        .chain(neighbour)
        .chain(exits)
        .chain(levers)
        .chain(trials)
        .chain(plans)
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let mut times = std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner));
    times.sort_unstable_by(|one, other| other.cmp(one));
    for (time, name) in times.iter().take(SLOWEST) {
        println!("{:5.0} s {name}", time.as_secs_f64());
    }
    conclusion.exit();
}
