//! A card for each cell, and one for the hypervisor: what it has, in words.

use super::super::regions::{self, Owner};
use super::canvas::{Align, Area, Canvas, Font};
use super::{ADDRESS, CARDS, MARGIN, NAMES, NOTE, Subject, TEXT, WIDTH, counted, palette};

const GAP: f64 = 20.0;
const PAD: f64 = 16.0;
const HEAD: f64 = 40.0;
const LINE: f64 = 22.0;
/// Lines of device names in a card, at most.
const MOST: usize = 14;

/// A line of a card.
enum Line {
    /// What, and which.
    Fact(&'static str, String),
    /// Names side by side; those of one row.
    Names(Vec<String>),
    /// An aside.
    Note(String),
}

struct Card {
    owner: Owner,
    title: String,
    aside: String,
    lines: Vec<Line>,
}

impl Card {
    fn high(&self) -> f64 {
        HEAD + PAD + LINE * self.lines.len() as f64 + PAD / 2.0
    }
}

/// Draws the cards; gives where the last one ends.
pub fn draw(canvas: &mut Canvas, subject: &Subject<'_>, top: f64) -> f64 {
    let count = subject.plan.cells.len() + 1;
    let columns = if count <= 2 {
        1
    } else if count <= 8 {
        2
    } else {
        3
    };
    let wide = (WIDTH - MARGIN - CARDS - GAP * (columns - 1) as f64) / columns as f64;
    let names = if columns == 1 {
        4
    } else if columns == 2 {
        2
    } else {
        1
    };
    let mut ends = vec![top; columns];
    for card in cards(subject, names) {
        // The next card goes to the column that ends first.
        let column = (0..columns).min_by(|a, b| ends[*a].total_cmp(&ends[*b])).unwrap_or(0);
        let x = CARDS + column as f64 * (wide + GAP);
        let area = Area { x, y: ends[column], w: wide, h: card.high() };
        show(canvas, &card, area, names);
        ends[column] += card.high() + GAP;
    }
    ends.into_iter().fold(top, f64::max) - GAP
}

fn cards(subject: &Subject<'_>, columns: usize) -> Vec<Card> {
    let plan = subject.plan;
    let mut cards: Vec<Card> = Vec::new();
    for (at, cell) in plan.cells.iter().enumerate() {
        let numbers = cell.cpus.iter().map(|cpu| cpu.index() as u32);
        let ram: u64 = cell.ram.iter().map(|region| region.size).sum();
        let mut lines =
            vec![Line::Fact("CPUs", regions::ranges(numbers)), Line::Fact("memory", regions::size(ram))];
        lines.push(Line::Fact("interrupts", or_none(regions::ranges(cell.spis.iter()))));
        let paths: Vec<String> = cell.devices.iter().map(|node| subject.board.node(*node).path()).collect();
        let names = regions::grouped(&paths);
        lines.push(Line::Fact(
            "devices",
            if names.is_empty() { "none".into() } else { paths.len().to_string() },
        ));
        let shown = names.len().min(MOST * columns);
        lines.extend(names[..shown].chunks(columns).map(|row| Line::Names(row.to_vec())));
        if shown < names.len() {
            lines.push(Line::Note(format!("and {} more", names.len() - shown)));
        }
        if !cell.warnings.is_empty() {
            let count = counted(cell.warnings.len(), "warning");
            lines.push(Line::Note(format!("{count}: `bulkhead plan` lists them")));
        }
        let aside = if cell.root { "root cell" } else { "cell" };
        let (owner, title) = (Owner::Cell(at), cell.name.clone());
        cards.push(Card { owner, title, aside: aside.into(), lines });
    }
    let boot = &plan.boot;
    let keeps = |name, span: bulkhead::addr::Span<_>| Line::Fact(name, regions::size(span.size()));
    let ppis = plan.own_ppis.iter().map(|ppi| ppi.intid());
    let lines = vec![
        keeps("image", boot.image),
        keeps("tables", boot.pool),
        keeps("archive", boot.archive),
        Line::Fact("interrupts", format!("{} (private)", regions::ranges(ppis))),
    ];
    let title = "Bulkhead".to_string();
    cards.push(Card { owner: Owner::Hypervisor, title, aside: "hypervisor".into(), lines });
    cards
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".into() } else { text }
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
    canvas.text(room(x + PAD, inner - 110.0), Align::Left, head, &card.title);
    canvas.text(room(x + PAD + inner - 104.0, 104.0), Align::Right, aside, &card.aside);
    let mut at = y + HEAD + PAD / 2.0;
    for line in &card.lines {
        let room = |left: f64, w: f64| Area { x: x + PAD + left, y: at, w, h: LINE };
        match line {
            Line::Fact(what, which) => {
                canvas.text(room(0.0, 92.0), Align::Left, NOTE, what);
                canvas.text(room(96.0, inner - 96.0), Align::Left, TEXT, which);
            }
            Line::Names(names) => {
                let each = inner / columns as f64;
                for (n, name) in names.iter().enumerate() {
                    canvas.text(room(n as f64 * each, each - 8.0), Align::Left, NAMES, name);
                }
            }
            Line::Note(words) => canvas.text(room(0.0, inner), Align::Left, ADDRESS, words),
        }
        at += LINE;
    }
    canvas.end();
}
