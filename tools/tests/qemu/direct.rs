//! Cells that take their interrupts without an exit: what others must do, they must do too, beside cells of the other kind.

use crate::scenario::Boots::Cells;
use crate::scenario::Scenario;

/// A scenario of another name, in which these cells are direct.
fn direct(from: &[Scenario], of: &str, name: &'static str, cells: &[&str]) -> Scenario {
    let same = from.iter().find(|scenario| scenario.name == of).expect("a scenario of that name");
    let Cells(text) = &same.boots else { panic!("{of} boots no cells") };
    let mut text = text.clone();
    for cell in cells {
        let begin = format!("    {cell} {{");
        assert!(text.contains(&begin), "{of} has no cell {cell}");
        text = text.replace(&begin, &format!("{begin} interrupt-mode = \"direct\";"));
        text = text.replace("probe.zeroed", "probe.zeroed probe.direct");
    }
    Scenario {
        name,
        long: same.long,
        machine: same.machine.clone(),
        boots: Cells(text),
        consoles: same.consoles.clone(),
        steps: same.steps.clone(),
    }
}

/// All of them, made of others.
pub fn scenarios(of: &[Scenario]) -> Vec<Scenario> {
    [
        ("load_and_a_clean_log", "direct_control_beside_linux", &["control"][..]),
        ("load_and_a_clean_log", "direct_linux_beside_control", &["linux"]),
        ("cpus_go_off_and_on_20_times", "direct_linux_cpus_go_off_and_on", &["linux"]),
        ("root_reboots_beside_an_undisturbed_neighbour", "direct_linux_reboots", &["linux"]),
        ("two_linux_cells_and_a_control_cell", "direct_linux_beside_linux", &["second"]),
        ("gicd_ctlr_ds_is_0", "direct_where_ds_is_0", &["linux"]),
        ("gicd_ctlr_ds_is_0", "all_direct_where_ds_is_0", &["linux", "control"]),
        ("probe_2_vcpus", "direct_probe", &["probe"]),
        ("restart_500_times", "direct_restart_500_times", &["phoenix"]),
        ("a_crash_loop_meets_its_limit", "direct_crash_loop_meets_its_limit", &["phoenix"]),
        ("linux_restarts_3_times", "direct_linux_restarts_3_times", &["linux"]),
        ("watchdog_ends_whoever_falls_silent", "direct_watchdog", &["spin", "sleep", "off"]),
        ("watchdog_ends_a_storm_of_exceptions_and_two_cpus", "direct_watchdog_of_two_cpus", &["pair"]),
        ("watchdog_fed_by_linux", "direct_watchdog_fed_by_linux", &["linux"]),
        ("hostile_two_vcpus", "hostile_two_vcpus_direct", &["hostile"]),
        ("hostile_one_vcpu_on_max", "hostile_one_vcpu_on_max_direct", &["hostile"]),
        ("hostile_lives", "hostile_lives_direct", &["hostile"]),
        ("hostile_where_ds_is_0", "hostile_where_ds_is_0_direct", &["hostile"]),
    ]
    .iter()
    .map(|(of_name, name, cells)| direct(of, of_name, name, cells))
    .collect()
}
