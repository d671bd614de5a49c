//! Bulkhead on QEMU. [`list`] says what is booted and what must be seen; [`scenario`] does it; [`dmesg`] compares
//! Linux's complaints with those it has without a hypervisor.
//!
//! Wants what `scripts/build` makes. `--ignored` runs what takes long.

mod dmesg;
mod list;
mod scenario;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let trials = list::scenarios().into_iter().map(|scenario| {
        let (name, long) = (scenario.name, scenario.long);
        Trial::test(name, move || scenario.run().map_err(Into::into)).with_ignored_flag(long)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
