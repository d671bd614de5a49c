//! Cells that take their interrupts without an exit: what others must do, they must do too, beside cells of the other kind.

use crate::scenario::Scenario;

/// The same description, with these cells direct.
pub fn described(text: &str, cells: &[&str]) -> String {
    let mut text = text.to_string();
    for cell in cells {
        let begin = format!("    {cell} {{");
        assert!(text.contains(&begin), "there is no cell {cell}");
        text = text.replace(&begin, &format!("{begin} interrupt-mode = \"direct\";"));
        text = text.replace("probe.zeroed", "probe.zeroed probe.direct");
    }
    text
}

/// One of each kind is enough each time; all of them take as long as their models.
const NOW: bool = false;
const SOAK: bool = true;

/// All of them, made of others.
pub fn scenarios(of: &[Scenario]) -> Vec<Scenario> {
    [
        ("load_and_a_clean_log", "direct_control_beside_linux", SOAK, &["control"][..]),
        ("load_and_a_clean_log", "direct_linux_beside_control", NOW, &["linux"]),
        ("cpus_go_off_and_on_20_times", "direct_linux_cpus_go_off_and_on", SOAK, &["linux"]),
        ("root_reboots_beside_an_undisturbed_neighbour", "direct_linux_reboots", SOAK, &["linux"]),
        ("two_linux_cells_and_a_control_cell", "direct_linux_beside_linux", SOAK, &["second"]),
        ("gicd_ctlr_ds_is_0", "direct_where_ds_is_0", SOAK, &["linux"]),
        ("gicd_ctlr_ds_is_0", "all_direct_where_ds_is_0", SOAK, &["linux", "control"]),
        ("probe_2_vcpus", "direct_probe", NOW, &["probe"]),
        ("restart_500_times", "direct_restart_500_times", SOAK, &["phoenix"]),
        ("a_crash_loop_meets_its_limit", "direct_crash_loop_meets_its_limit", SOAK, &["phoenix"]),
        ("linux_restarts_3_times", "direct_linux_restarts_3_times", SOAK, &["linux"]),
        ("watchdog_ends_whoever_falls_silent", "direct_watchdog", NOW, &["spin", "sleep", "off"]),
        ("watchdog_ends_a_storm_of_exceptions_and_two_cpus", "direct_watchdog_of_two_cpus", SOAK, &["pair"]),
        ("watchdog_fed_by_linux", "direct_watchdog_fed_by_linux", SOAK, &["linux"]),
        ("hostile_two_vcpus", "hostile_two_vcpus_direct", NOW, &["hostile"]),
        ("hostile_one_vcpu_on_max", "hostile_one_vcpu_on_max_direct", SOAK, &["hostile"]),
        ("hostile_seeds", "hostile_seeds_direct", SOAK, &["hostile"]),
        ("hostile_lives", "hostile_lives_direct", NOW, &["hostile"]),
        ("hostile_where_ds_is_0", "hostile_where_ds_is_0_direct", SOAK, &["hostile"]),
    ]
    .iter()
    .map(|(of_name, name, long, cells)| {
        Scenario::like(of, of_name, name, *long, |text| described(text, cells))
    })
    .collect()
}
