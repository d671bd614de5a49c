//! The guests that say what a cell has, and those that attack it, on a GICv2: what they check and try there is their own business
//! (guests/probe, hostile, victim and phoenix); that they hold on both is this one's.

use bulkhead_cli::qemu::Machine;

use crate::scenario::Boots::Guest;
use crate::scenario::Scenario;
use crate::{cpus, direct};

/// Where: the CPU, and whether EL2 runs with VHE where the CPU has it.
type Where = (&'static str, Option<bool>);

/// The CPU of most other scenarios.
const A57: Where = ("cortex-a57", None);
/// One end of the matrix; the other is `max` with VHE and a GICv3 (`cpus`).
const A53: Where = ("cortex-a53", None);
/// One that could have VHE, without it.
const A76: Where = ("cortex-a76", Some(false));
/// The newest there is.
const MAX: Where = ("max", Some(true));

const SOAK: bool = true;
const NOW: bool = false;

/// The attacks that are others on a GICv2: what is the same on both, the GICv3's run has each time.
const GIC_CLASSES: &str = "hostile_two_vcpus_gicv2_in_short";

/// What is to be on a GICv2, what it is called there, where, and which of its cells are direct.
type Row = (&'static str, &'static str, Where, bool, &'static [&'static str]);

/// One of each kind is enough each time: the probe, the attacks and the lives.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("probe_2_vcpus",        "gicv2_probe_2_vcpus",             A57, NOW,  &[]),
    ("probe_4_vcpus",        "gicv2_probe_4_vcpus",             A53, SOAK, &[]),
    ("probe_4_vcpus_on_max", "gicv2_probe_4_vcpus_on_max",      MAX, SOAK, &[]),
    ("probe_2_vcpus",        "gicv2_direct_probe",              A57, SOAK, &["probe"]),
    ("probe_4_vcpus",        "gicv2_direct_probe_4_vcpus",      A53, SOAK, &["probe"]),
    ("two_probes",           "gicv2_two_probes",                A57, SOAK, &[]),
    ("two_probes",           "gicv2_two_probes_one_direct",     A57, SOAK, &["other"]),
    ("two_probes",           "gicv2_two_probes_direct",         A57, SOAK, &["probe", "other"]),
    ("probe_beside_el3",     "gicv2_probe_beside_el3",          A57, SOAK, &[]),
    ("probe_beside_el3",     "gicv2_direct_probe_beside_el3",   A57, SOAK, &["probe"]),
    ("restart_500_times",    "gicv2_restart_500_times",         A57, SOAK, &[]),
    ("restart_500_times",    "gicv2_direct_restart_500_times",  A57, SOAK, &["phoenix"]),
    ("restart_500_times",    "gicv2_restart_500_times_on_cortex_a53",        A53, SOAK, &[]),
    ("restart_500_times",    "gicv2_direct_restart_500_times_on_cortex_a53", A53, SOAK, &["phoenix"]),
    ("a_crash_loop_meets_its_limit", "gicv2_crash_loop_meets_its_limit", A57, SOAK, &[]),
    ("linux_restarts_3_times", "gicv2_linux_restarts_3_times",         A57, SOAK, &[]),
    ("linux_restarts_3_times", "gicv2_direct_linux_restarts_3_times",  A57, SOAK, &["linux"]),
    ("hostile_one_vcpu",     "hostile_one_vcpu_gicv2",          A53, SOAK, &[]),
    ("hostile_one_vcpu",     "hostile_one_vcpu_gicv2_direct",   A53, SOAK, &["hostile"]),
    ("hostile_two_vcpus",    GIC_CLASSES,                       A53, NOW,  &[]),
    ("hostile_two_vcpus",    "hostile_two_vcpus_gicv2",         A53, SOAK, &[]),
    ("hostile_two_vcpus",    "hostile_two_vcpus_gicv2_direct",  A53, SOAK, &["hostile"]),
    ("hostile_two_vcpus",    "hostile_two_vcpus_gicv2_both_direct", A53, SOAK, &["hostile", "victim"]),
    ("hostile_two_vcpus",    "hostile_two_vcpus_gicv2_on_cortex_a76_vhe_off",        A76, SOAK, &[]),
    ("hostile_two_vcpus",    "hostile_two_vcpus_gicv2_direct_on_cortex_a76_vhe_off", A76, SOAK, &["hostile"]),
    ("hostile_two_vcpus",    "hostile_two_vcpus_gicv2_on_max_vhe_on",        MAX, SOAK, &[]),
    ("hostile_two_vcpus",    "hostile_two_vcpus_gicv2_direct_on_max_vhe_on", MAX, SOAK, &["hostile"]),
    ("hostile_seeds",        "hostile_seeds_gicv2",             A53, SOAK, &[]),
    ("hostile_seeds",        "hostile_seeds_gicv2_direct",      A53, SOAK, &["hostile"]),
    ("hostile_lives",        "hostile_lives_gicv2",             A53, SOAK, &[]),
    ("hostile_lives",        "hostile_lives_gicv2_direct",      A53, SOAK, &["hostile"]),
    ("hostile_where_ds_is_0", "hostile_gicv2_beside_el3",        A57, SOAK, &[]),
    ("hostile_where_ds_is_0", "hostile_gicv2_beside_el3_direct", A57, SOAK, &["hostile"]),
    // Two Security states: Bulkhead is Non-secure, firmware has Group 0.
    ("gicd_ctlr_ds_is_0",    "gicv2_two_security_states",             A57, SOAK, &[]),
    ("gicd_ctlr_ds_is_0",    "gicv2_two_security_states_linux_direct", A57, SOAK, &["linux"]),
    ("gicd_ctlr_ds_is_0",    "gicv2_two_security_states_all_direct",  A57, SOAK, &["linux", "control"]),
];

/// All of them, made of others, and the same checks without a hypervisor.
pub fn scenarios(of: &[Scenario]) -> Vec<Scenario> {
    let native = of.iter().find(|scenario| scenario.name == "native_answers_on_cortex_a57");
    let native = native.expect("a scenario of that name");
    let checks = "probe.bare probe.run=gic,sgi,order,state,timer";
    let bare = Scenario {
        name: "native_gicv2",
        long: SOAK,
        machine: Machine { smp: 2, gic: 2, ..native.machine.clone() },
        boots: Guest("probe.elf", checks.into()),
        consoles: native.consoles.clone(),
        steps: native.steps.clone(),
    };
    ROWS.iter().map(|row| on_gicv2(of, row)).chain([bare]).collect()
}

fn on_gicv2(of: &[Scenario], (of_name, name, (cpu, vhe), long, direct): &Row) -> Scenario {
    let same = Scenario::like(of, of_name, name, *long, |text| {
        let text = direct::described(text, direct);
        let text = match *name {
            GIC_CLASSES => text.replace("hostile.list", "hostile.list hostile.run=gic,interrupt,idle,race"),
            _ => text,
        };
        match vhe {
            Some(vhe) => cpus::with_vhe(&text, *vhe),
            None => text,
        }
    });
    Scenario { machine: Machine { cpu: (*cpu).into(), gic: 2, its: false, ..same.machine }, ..same }
}
