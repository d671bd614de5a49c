//! Bulkhead on QEMU. [`list`] says what is booted and what must be seen; [`scenario`] does it; [`answers`] compares what a guest is
//! told of its mistakes with what a CPU tells; [`screen`] has many consoles on one UART, [`chatter`] checks a flood; [`restart`] is
//! about lives; [`dma`] ends lives in the middle of DMA; [`watchdog`] is about cells that fall silent; [`plans`] compares what the
//! desk decides with what the image does; [`neighbour`] counts what EL2 executes for a victim; [`dmesg`] compares Linux's
//! complaints with those it has without a hypervisor.
//!
//! Wants what `scripts/build` makes. `--ignored` runs what takes long.

mod answers;
mod chatter;
mod dma;
mod dmesg;
mod hostile;
mod list;
mod neighbour;
mod plans;
mod restart;
mod scenario;
mod screen;
mod watchdog;

use libtest_mimic::{Arguments, Trial};
use scenario::Scenario;

fn main() {
    let arguments = Arguments::from_args();
    let trials = list::scenarios().into_iter().map(|scenario| {
        let (name, long) = (scenario.name, scenario.long);
        Trial::test(name, move || scenario.run().map_err(Into::into)).with_ignored_flag(long)
    });
    let desk = Trial::test("all_descriptions_pass_at_the_desk", || {
        let results = list::scenarios().iter().map(Scenario::check_at_the_desk).collect::<Vec<_>>();
        let failed: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
    });
    let plans = |name: &str, count| Trial::test(name, move || plans::all(count).map_err(Into::into));
    let plans = [
        plans("desk_and_image_decide_the_same_20_plans", 20),
        plans("desk_and_image_decide_the_same_200_plans", 200).with_ignored_flag(true),
    ];
    let neighbour =
        Trial::test("hostile_neighbour_costs_no_instruction", || neighbour::same_count().map_err(Into::into));
    libtest_mimic::run(&arguments, [desk, neighbour].into_iter().chain(trials).chain(plans).collect()).exit();
}
