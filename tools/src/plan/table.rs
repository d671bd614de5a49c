//! A plan as text.

use bulkhead::plan::{CellPlan, Plan};

/// Who owns what; `devices` has each cell's device nodes in words.
pub fn table<S>(plan: &Plan<S>, devices: &[String]) -> String {
    let mut text = String::new();
    for (cell, devices) in plan.cells.iter().zip(devices) {
        let root = if cell.root { " (root)" } else { "" };
        text += &format!("{}{root}\n", cell.name);
        for (what, value) in rows(cell, devices) {
            text += &format!("    {what:<12}{value}\n");
        }
    }
    text += "hypervisor\n";
    let boot = &plan.boot;
    for (what, span) in
        [("image", boot.image), ("pool", boot.pool), ("archive", boot.archive), ("tree", boot.tree)]
    {
        text += &format!("    {what:<12}{span}\n");
    }
    text
}

fn rows(cell: &CellPlan, devices: &str) -> Vec<(&'static str, String)> {
    let cpus: Vec<_> = cell.cpus.iter().map(|cpu| cpu.index().to_string()).collect();
    let mut rows = vec![("CPUs", cpus.join(" "))];
    let mib = |bytes: u64| format!("{} KiB", bytes >> 10);
    for ram in &cell.ram {
        let place = ram.backing().map_or_else(String::new, |span| span.to_string());
        let seen = if ram.ipa.0 == ram.pa.0 { String::new() } else { format!(", seen at {}", ram.ipa) };
        rows.push(("RAM", format!("{place} ({}){seen}", mib(ram.size))));
    }
    rows.push(("interrupts", cell.spis.iter().map(|id| id.to_string()).collect::<Vec<_>>().join(" ")));
    rows.push(("devices", devices.into()));
    rows.extend(cell.warnings.iter().map(|warning| ("warning", warning.clone())));
    rows
}
