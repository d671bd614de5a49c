//! A plan as text.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use bulkhead::config::Config;
use bulkhead::hardware::Hardware;
use bulkhead::plan::{CellPlan, Plan, Region};
use bulkhead::tree::Tree;

use super::regions::{self, Owner};

const NAME: Style = Style::new().bold();
const KEY: Style = AnsiColor::BrightBlue.on_default();
const WARNING: Style = AnsiColor::BrightYellow.on_default().bold();
/// Columns of a line of names.
const WIDE: usize = 84;
/// Columns of what stands before them.
const KEYS: usize = 12;

/// Who owns what: cell by cell, the hypervisor, then memory from bottom to top.
pub fn table<S>(plan: &Plan<S>, config: &Config, hardware: &Hardware, board: &Tree<'_>) -> String {
    let mut out = String::new();
    for (cell, described) in plan.cells.iter().zip(&config.cells) {
        let what = if cell.root { "root cell: all that no other cell has" } else { "cell" };
        let _ = writeln!(out, "{NAME}{}{NAME:#} ({what})", cell.name);
        let mut lines = cell_rows(cell, board);
        lines.extend(regions::console(&described.console).map(|console| ("console", console)));
        lines.extend(regions::watchdog(cell).map(|watchdog| ("watchdog", watchdog)));
        rows(&mut out, &lines);
        for warning in &cell.warnings {
            let _ = writeln!(out, "  {WARNING}{:KEYS$}{WARNING:#}{warning}", "warning");
        }
        out.push('\n');
    }
    let _ = writeln!(out, "{NAME}hypervisor{NAME:#}");
    let boot = &plan.boot;
    let kept = [("image", boot.image), ("pool", boot.pool), ("archive", boot.archive)];
    let mut lines: Vec<(&str, String)> =
        kept.iter().map(|(what, span)| (*what, stretch(span.start().0, span.size(), None))).collect();
    lines.push(("interrupts", format!("PPI {}", regions::own_ppis(plan))));
    rows(&mut out, &lines);

    let _ = writeln!(out, "\n{NAME}memory{NAME:#}");
    for regions::Stretch { span, owner } in regions::memory(plan, hardware) {
        let whose = match owner {
            Owner::Cell(at) => plan.cells.get(at).map_or("", |cell| &cell.name),
            Owner::Hypervisor => "hypervisor",
            Owner::Firmware => "firmware, reserved",
            Owner::Nobody => "nobody",
        };
        let _ = writeln!(out, "  {:<42}{whose}", stretch(span.start().0, span.size(), None));
    }
    out
}

fn cell_rows(cell: &CellPlan, board: &Tree<'_>) -> Vec<(&'static str, String)> {
    let cpus = cell.cpus.iter().map(|cpu| cpu.index().to_string()).collect::<Vec<_>>().join(", ");
    let mut lines = vec![("CPUs", cpus)];
    for Region { ipa, pa, size } in &cell.ram {
        lines.push(("memory", stretch(pa.0, *size, (ipa.0 != pa.0).then_some(ipa.0))));
    }
    let none = |text: String| if text.is_empty() { "none".to_string() } else { text };
    let spis = none(regions::ranges(regions::spis(cell)));
    lines.push(("interrupts", if spis == "none" { spis } else { format!("SPI {spis}") }));
    let paths: Vec<String> = cell.devices.iter().map(|node| board.node(*node).path()).collect();
    lines.push(("devices", none(paths.join(" "))));
    lines
}

/// "0x40000000, 16 MiB, seen at 0x0".
fn stretch(start: u64, size: u64, seen: Option<u64>) -> String {
    let end = start + (size - 1);
    let seen = seen.map_or_else(String::new, |seen| format!(", seen at {seen:#x}"));
    format!("{:>11} .. {end:#x} {:>9}{seen}", format!("{start:#x}"), regions::size(size))
}

/// Rows of a key and a value; long values go on below, a key that is there again is left out.
fn rows(out: &mut String, lines: &[(&str, String)]) {
    let mut before = "";
    for (key, value) in lines {
        let mut shown = if *key == before { "" } else { key };
        for line in wrapped(value) {
            let _ = writeln!(out, "  {KEY}{shown:KEYS$}{KEY:#}{line}");
            shown = "";
        }
        before = key;
    }
}

/// Words in lines; leading spaces stay.
fn wrapped(text: &str) -> Vec<String> {
    if text.len() <= WIDE {
        return vec![text.to_string()];
    }
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= WIDE => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_go_on_below() {
        let mut out = String::new();
        let names = ["/a-device@1000000"; 8].join(" ");
        rows(&mut out, &[("CPUs", "1".into()), ("devices", names)]);
        let lines: Vec<_> = out.lines().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
        assert_eq!(lines[0], "  CPUs        1");
        assert!(lines[1].starts_with("  devices     /a-device@1000000 /a"), "{}", lines[1]);
        assert!(lines[2].starts_with("              /a-device@1000000 /a"), "{}", lines[2]);
        assert!(lines.len() == 3 && lines.iter().all(|line| line.len() <= WIDE + KEYS + 2));
    }

    #[test]
    fn a_stretch_says_where_it_is_seen() {
        assert_eq!(
            stretch(0x7f00_0000, 16 << 20, Some(0x4000_0000)),
            " 0x7f000000 .. 0x7fffffff    16 MiB, seen at 0x40000000"
        );
    }
}
