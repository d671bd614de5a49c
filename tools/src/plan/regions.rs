//! The board's memory from bottom to top, each stretch with its owner.

use bulkhead::addr::{PAGE, Pa, Span};
use bulkhead::config::CellConsole;
use bulkhead::hardware::Hardware;
use bulkhead::plan::{CellPlan, Plan, spans::SpanSet};

/// Whose something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A cell, by its place in the description.
    Cell(usize),
    /// The hypervisor: its image, its memory, the archive.
    Hypervisor,
    /// Firmware: what it keeps to itself, and the static regions of /reserved-memory.
    Firmware,
    /// No cell and not the hypervisor.
    Nobody,
}

/// A stretch of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Where.
    pub span: Span<Pa>,
    /// Whose.
    pub owner: Owner,
}

/// All memory that the board's tree describes, rising; neighbours of one owner are one.
pub fn memory<S>(plan: &Plan<S>, hardware: &Hardware) -> Vec<Stretch> {
    let whole = |span: &Span<Pa>| span.widened_to(PAGE);
    let boot = [plan.boot.image, plan.boot.pool, plan.boot.archive];
    // Whoever comes first has it: root's memory goes on under what firmware reserved in it.
    let mut claims: Vec<(Owner, Vec<Span<Pa>>)> = vec![
        (Owner::Hypervisor, boot.iter().filter_map(whole).collect()),
        (Owner::Firmware, hardware.firmware.iter().chain(&plan.reserved).filter_map(whole).collect()),
    ];
    for (at, cell) in plan.cells.iter().enumerate() {
        claims.push((Owner::Cell(at), cell.ram.iter().filter_map(|region| region.backing()).collect()));
    }
    claims.push((Owner::Nobody, hardware.memory.clone()));
    let mut left: SpanSet<Pa> = claims.iter().flat_map(|(_, spans)| spans.iter().copied()).collect();
    let mut stretches: Vec<Stretch> = Vec::new();
    for (owner, spans) in claims {
        let mine: SpanSet<Pa> = spans.into_iter().collect();
        let before = left.clone();
        left.remove_all(&mine);
        let mut taken = before;
        taken.remove_all(&left);
        stretches.extend(taken.iter().map(|span| Stretch { span, owner }));
    }
    stretches.sort_by_key(|stretch| stretch.span.start());
    let mut joined: Vec<Stretch> = Vec::new();
    for stretch in stretches {
        match joined.last_mut() {
            Some(last) if last.owner == stretch.owner && last.span.end() == stretch.span.start() => {
                last.span = Span::between(last.span.start(), stretch.span.end()).unwrap_or(last.span);
            }
            _ => joined.push(stretch),
        }
    }
    joined
}

/// A size as people write it: "16 MiB", "512 KiB", "1.5 GiB".
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = UNITS.into_iter().find(|(_, shift)| bytes >> shift > 0);
    let Some((name, shift)) = unit else { return format!("{bytes} B") };
    let tenths = (u128::from(bytes) * 10 + (1 << (shift - 1))) >> shift;
    if tenths.is_multiple_of(10) || tenths >= 1000 {
        format!("{} {name}", (tenths + 5) / 10)
    } else {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    }
}

/// Numbers as ranges: "33, 35-36, 39".
pub fn ranges(numbers: impl IntoIterator<Item = u32>) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let words = ranges.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}-{last}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// A cell's shared interrupts by the numbers that a device tree gives them, which count from 0.
pub fn spis(cell: &CellPlan) -> impl Iterator<Item = u32> + '_ {
    cell.spis.iter().map(|intid| intid.saturating_sub(FIRST_SPI))
}

/// The INTID of SPI 0.
pub const FIRST_SPI: u32 = 32;

/// The private interrupts that no cell has, numbered in the same way.
pub fn own_ppis<S>(plan: &Plan<S>) -> String {
    ranges(plan.own_ppis.iter().map(|ppi| ppi.intid().saturating_sub(16)))
}

/// Where a cell's console is, if it has one.
pub fn console(console: &CellConsole) -> Option<String> {
    match console {
        CellConsole::None => None,
        CellConsole::Virtual => Some("virtual, on the hypervisor's".into()),
        CellConsole::Device(name) => Some(name.clone()),
    }
}

/// Where a cell's watchdog is, if it has one.
pub fn watchdog(cell: &CellPlan) -> Option<String> {
    let watchdog = cell.watchdog?;
    Some(format!("at {}, SPI {}", watchdog.at.start(), watchdog.spi.intid().saturating_sub(FIRST_SPI)))
}

/// Devices that are named together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The name of one, or a kind and how many there are.
    pub words: String,
    /// How many.
    pub count: usize,
}

/// Nodes by the last part of their paths; from three of one kind on, they are one group.
pub fn grouped(paths: &[String]) -> Vec<Group> {
    let mut kinds: Vec<(&str, Vec<&str>)> = Vec::new();
    for path in paths {
        let name = path.rsplit('/').next().unwrap_or(path);
        let kind = name.split('@').next().unwrap_or(name);
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, members)) => members.push(name),
            None => kinds.push((kind, vec![name])),
        }
    }
    let groups = kinds.into_iter().flat_map(|(kind, members)| match members.len() {
        0..=2 => members.iter().map(|name| Group { words: (*name).into(), count: 1 }).collect(),
        count => vec![Group { words: format!("{kind} \u{d7}{count}"), count }],
    });
    groups.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        let sizes =
            [0, 4096, 16 << 20, 1 << 30, (1 << 30) + (512 << 20), 988 << 20, (1 << 20) + 1, 1000 << 10];
        let words = ["0 B", "4 KiB", "16 MiB", "1 GiB", "1.5 GiB", "988 MiB", "1 MiB", "1000 KiB"];
        assert_eq!(sizes.map(size), words.map(String::from));
    }

    #[test]
    fn neighbours_become_ranges() {
        assert_eq!(ranges([33, 35, 36, 39, 40, 41, 42]), "33, 35, 36, 39-42");
        assert_eq!(ranges([]), "");
    }

    #[test]
    fn many_of_a_kind_are_one() {
        let paths = ["/a@1", "/soc/b@2", "/soc/b@3", "/soc/b@4", "/c"].map(String::from);
        let groups = grouped(&paths);
        assert_eq!(groups.iter().map(|group| group.words.as_str()).collect::<Vec<_>>(), ["a@1", "b ×3", "c"]);
        assert_eq!(groups.iter().map(|group| group.count).sum::<usize>(), paths.len());
    }
}
