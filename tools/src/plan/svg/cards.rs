//! A card for each cell, and one for the hypervisor: what it has, in words.

use bulkhead::config::Payload;
use bulkhead::plan::CellPlan;

use super::super::regions::{self, Owner};
use super::canvas::{Align, Area, Canvas, Font};
use super::{ADDRESS, CARDS, HEIGHT, MARGIN, NAMES, NOTE, Subject, TEXT, WIDTH, palette};

const GAP: f64 = 20.0;
const PAD: f64 = 16.0;
const HEAD: f64 = 40.0;
/// What a fact is called stands in so much.
const KEY: f64 = 92.0;
/// Rows of device names, at least, before the rest is only counted.
const FEWEST: usize = 10;
/// What a cell needs of others: so many lines.
const NEEDS: usize = 4;

/// A line of a card.
enum Line {
    /// What, and which.
    Fact(&'static str, String),
    /// Names side by side; those of one row.
    Names(Vec<String>),
    /// An aside.
    Note(String),
    /// A little room.
    Space,
}

impl Line {
    fn high(&self) -> f64 {
        match self {
            Self::Fact(..) => 22.0,
            Self::Names(_) | Self::Note(_) => 18.0,
            Self::Space => 6.0,
        }
    }
}

struct Card {
    owner: Owner,
    title: String,
    aside: &'static str,
    lines: Vec<Line>,
}

impl Card {
    fn high(&self) -> f64 {
        HEAD + PAD + self.lines.iter().map(Line::high).sum::<f64>() + PAD / 2.0
    }
}

/// How the cards stand.
struct Grid {
    columns: usize,
    /// A card's width.
    wide: f64,
    /// Names in a row of a card.
    names: usize,
}

impl Grid {
    fn of(cards: usize) -> Self {
        let (columns, names) = match cards {
            0..=2 => (1, 4),
            3..=8 => (2, 2),
            _ => (3, 1),
        };
        let wide = (WIDTH - MARGIN - CARDS - GAP * (columns - 1) as f64) / columns as f64;
        Self { columns, wide, names }
    }
}

/// Draws the cards; gives where the last one ends.
pub fn draw(canvas: &mut Canvas, subject: &Subject<'_>, top: f64) -> f64 {
    let grid = Grid::of(subject.plan.cells.len() + 1);
    let mut ends = vec![top; grid.columns];
    let cells = (0..subject.plan.cells.len()).map(Some);
    for cell in cells.chain([None]) {
        // The next card goes to the column that ends first.
        let column = (0..grid.columns).min_by(|a, b| ends[*a].total_cmp(&ends[*b])).unwrap_or(0);
        let card = match cell.and_then(|at| Some((at, subject.plan.cells.get(at)?))) {
            Some((at, cell)) => of_cell(subject, at, cell, &grid, HEIGHT - MARGIN - ends[column]),
            None => of_hypervisor(subject),
        };
        let x = CARDS + column as f64 * (grid.wide + GAP);
        show(canvas, &card, Area { x, y: ends[column], w: grid.wide, h: card.high() }, grid.names);
        ends[column] += card.high() + GAP;
    }
    ends.into_iter().fold(top, f64::max) - GAP
}

/// A cell's card, as many names as `room` has place for.
fn of_cell(subject: &Subject<'_>, at: usize, cell: &CellPlan, grid: &Grid, room: f64) -> Card {
    let numbers = cell.cpus.iter().map(|cpu| cpu.index() as u32);
    let ram: u64 = cell.ram.iter().map(|region| region.size).sum();
    let room_of_facts = grid.wide - 2.0 * PAD - KEY;
    let seen = match cell.ram.as_slice() {
        [region] if region.ipa.0 != region.pa.0 => format!("{}, seen at {}", regions::size(ram), region.ipa),
        _ => regions::size(ram),
    };
    let memory = if TEXT.width(&seen) > room_of_facts { regions::size(ram) } else { seen };
    let mut lines = vec![Line::Fact("CPUs", regions::ranges(numbers)), Line::Fact("memory", memory)];
    if let Some(config) = subject.config.cells.get(at) {
        lines.push(Line::Fact("runs", program(&config.payload)));
        lines.extend(regions::console(&config.console).map(|console| Line::Fact("console", console)));
    }
    lines.extend(regions::watchdog(cell).map(|watchdog| Line::Fact("watchdog", watchdog)));
    let count = cell.spis.iter().count();
    let numbers = regions::ranges(regions::spis(cell));
    let value = if count == 0 { "none".into() } else { format!("{count}: SPI {numbers}") };
    lines.push(Line::Fact("interrupts", upto(TEXT, &value, room_of_facts)));
    let paths: Vec<String> = cell.devices.iter().map(|node| subject.board.node(*node).path()).collect();
    lines.push(Line::Fact("devices", if paths.is_empty() { "none".into() } else { paths.len().to_string() }));

    if !paths.is_empty() {
        lines.push(Line::Space);
    }
    let needs = needs(subject, cell);
    let space = if needs.is_empty() { None } else { Some(Line::Space) };
    let mut tail: Vec<Line> = space.into_iter().collect();
    tail.extend(needs.iter().take(NEEDS).map(|need| Line::Note(need.clone())));
    if needs.len() > NEEDS {
        tail.push(Line::Note(format!("and {} needs more", needs.len() - NEEDS)));
    }
    let groups = regions::grouped(&paths);
    let used: f64 = lines.iter().chain(&tail).map(Line::high).sum();
    let free = ((room - HEAD - 1.5 * PAD - used) / 18.0) as usize;
    let most = free.saturating_sub(1).max(FEWEST) * grid.names;
    let shown = groups.len().min(most);
    lines.extend(
        groups[..shown]
            .chunks(grid.names)
            .map(|row| Line::Names(row.iter().map(|group| group.words.clone()).collect())),
    );
    let rest: usize = groups[shown..].iter().map(|group| group.count).sum();
    if rest > 0 {
        lines.push(Line::Note(format!("and {rest} more")));
    }
    lines.extend(tail);
    let aside = if cell.root { "root cell" } else { "cell" };
    Card { owner: Owner::Cell(at), title: cell.name.clone(), aside, lines }
}

/// The files that a cell starts from.
fn program(payload: &Payload) -> String {
    match payload {
        Payload::Linux { kernel, initrd: Some(initrd), .. } => format!("{kernel}, {initrd}"),
        Payload::Linux { kernel: file, .. } | Payload::Image { file, .. } => file.clone(),
    }
}

/// What a cell's devices need of devices that others have.
fn needs(subject: &Subject<'_>, cell: &CellPlan) -> Vec<String> {
    let mut needs: Vec<String> = Vec::new();
    for device in cell.devices.iter().filter_map(|node| subject.hardware.device(*node)) {
        for need in &device.depends {
            let on = subject.hardware.device_of(&subject.board.node(need.on));
            let owner = on.and_then(|on| Some((on, subject.plan.device_owner(on.node)?)));
            if let Some((on, owner)) = owner.filter(|(_, owner)| *owner != cell.id) {
                let whose = subject.name(Owner::Cell(owner.index()));
                let (what, on) = (need.kind.name(), subject.board.node(on.node).name());
                let words = format!("{what} from {whose}: {on}");
                if !needs.contains(&words) {
                    needs.push(words);
                }
            }
        }
    }
    needs
}

fn of_hypervisor(subject: &Subject<'_>) -> Card {
    let plan = subject.plan;
    let boot = &plan.boot;
    let keeps = |name, span: bulkhead::addr::Span<_>| Line::Fact(name, regions::size(span.size()));
    let ppis = regions::own_ppis(plan);
    let lines = vec![
        keeps("image", boot.image),
        keeps("tables", boot.pool),
        keeps("archive", boot.archive),
        Line::Fact("interrupts", format!("PPI {ppis}")),
    ];
    Card { owner: Owner::Hypervisor, title: "Bulkhead".into(), aside: "hypervisor", lines }
}

/// A list, cut behind one of its commas where it is too long.
fn upto(font: Font, text: &str, room: f64) -> String {
    let mut text = text.to_string();
    let mut cut = false;
    while font.width(&text) + if cut { font.width(", \u{2026}") } else { 0.0 } > room {
        let Some(comma) = text.rfind(", ") else { break };
        text.truncate(comma);
        cut = true;
    }
    if cut { text + ", \u{2026}" } else { text }
}

fn show(canvas: &mut Canvas, card: &Card, area: Area, columns: usize) {
    let paint = palette::paint(card.owner);
    let Area { x, y, w, .. } = area;
    canvas.begin("card", &card.title);
    canvas.rect(area, 10.0, "#fafafa", r##"stroke="#d0d0d0""##);
    super::swatch(canvas, Area { x, y, w, h: HEAD }, card.owner, 10.0);
    let head = Font { size: 19.0, mono: false, bold: true, colour: paint.ink };
    let aside = Font { size: 14.0, mono: false, bold: false, colour: paint.ink };
    let inner = w - 2.0 * PAD;
    let room = |x: f64, w: f64| Area { x, y, w, h: HEAD };
    let wide = aside.width(card.aside);
    canvas.text(room(x + PAD, inner - wide - 8.0), Align::Left, head, &card.title);
    canvas.text(room(x + PAD + inner - wide, wide), Align::Right, aside, card.aside);
    let mut at = y + HEAD + PAD / 2.0;
    for line in &card.lines {
        let room = |left: f64, w: f64| Area { x: x + PAD + left, y: at, w, h: line.high() };
        match line {
            Line::Fact(what, which) => {
                canvas.text(room(0.0, KEY - 4.0), Align::Left, NOTE, what);
                canvas.text(room(KEY, inner - KEY), Align::Left, TEXT, which);
            }
            Line::Names(names) => {
                let each = inner / columns as f64;
                for (n, name) in names.iter().enumerate() {
                    canvas.text(room(n as f64 * each, each - 8.0), Align::Left, NAMES, name);
                }
            }
            Line::Space => {}
            Line::Note(words) => canvas.text(room(0.0, inner), Align::Left, ADDRESS, words),
        }
        at += line.high();
    }
    canvas.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_ends_behind_a_comma() {
        let font = Font { size: 10.0, mono: true, bold: false, colour: "black" };
        assert_eq!(upto(font, "3: SPI 33, 40-42", 200.0), "3: SPI 33, 40-42");
        assert_eq!(upto(font, "9: SPI 33, 40-42, 50, 60", 100.0), "9: SPI 33, \u{2026}");
    }
}
