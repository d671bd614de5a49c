//! A plan as a picture: CPUs, memory to scale, interrupts and each cell's devices, a colour for each owner.

mod canvas;
mod cards;
mod memory;
mod palette;
mod strips;

use bulkhead::config::Config;
use bulkhead::hardware::Hardware;
use bulkhead::plan::{Checked, Plan};
use bulkhead::tree::Tree;

use super::regions::{self, Owner};
use canvas::{Align, Area, Canvas, Font};

/// The picture is as wide as a slide of 16:9 is at this height, and taller where it must be.
const WIDTH: f64 = 1600.0;
const HEIGHT: f64 = 900.0;
const MARGIN: f64 = 48.0;
/// Where the cells' cards begin, right of the memory map.
const CARDS: f64 = 600.0;

const INK: &str = "#1c1c1c";
const FAINT: &str = "#5c5c5c";
const TITLE: Font = Font { size: 34.0, mono: false, bold: true, colour: INK };
const HEADING: Font = Font { size: 17.0, mono: false, bold: true, colour: INK };
const TEXT: Font = Font { size: 15.0, mono: false, bold: false, colour: INK };
const NOTE: Font = Font { size: 14.0, mono: false, bold: false, colour: FAINT };
const NAMES: Font = Font { size: 13.0, mono: true, bold: false, colour: INK };
const ADDRESS: Font = Font { size: 13.0, mono: true, bold: false, colour: FAINT };

/// What is drawn.
pub struct Subject<'p> {
    /// The plan.
    pub plan: &'p Plan<Checked>,
    /// Its board.
    pub hardware: &'p Hardware,
    /// The description.
    pub config: &'p Config,
    /// The board's tree.
    pub board: &'p Tree<'p>,
    /// The description's file name.
    pub description: &'p str,
}

impl Subject<'_> {
    fn name(&self, owner: Owner) -> &str {
        match owner {
            Owner::Cell(at) => self.plan.cells.get(at).map_or("", |cell| &cell.name),
            Owner::Hypervisor => "hypervisor",
            Owner::Firmware => "firmware, reserved",
            Owner::Nobody => "nobody",
        }
    }

    /// What the board calls itself.
    fn board_name(&self) -> &str {
        let text = |name| self.board.root().prop(name).and_then(|prop| prop.strings().next());
        match text("model").or_else(|| text("compatible")) {
            // What QEMU's virt machine says of itself.
            Some("linux,dummy-virt") => "QEMU virt",
            Some(name) => name,
            None => "a board without a name",
        }
    }
}

/// Draws a plan.
pub fn svg(subject: &Subject<'_>) -> String {
    let mut canvas = Canvas::default();
    let wide = WIDTH - 2.0 * MARGIN;
    let Subject { plan, hardware, .. } = subject;
    let ram = regions::memory(*plan, hardware);
    let total: u64 = hardware.memory.iter().map(|bank| bank.size()).sum();
    let title = format!("{} in {}", subject.board_name(), counted(plan.cells.len(), "cell"));
    let line = |y, h| Area { x: MARGIN, y, w: wide, h };
    canvas.text(line(30.0, 46.0), Align::Left, TITLE, &title);
    let facts = format!(
        "{} \u{b7} {} \u{b7} {} \u{b7} {}",
        counted(hardware.cpus.len(), "CPU"),
        regions::size(total),
        counted(hardware.devices.len(), "device"),
        subject.description
    );
    canvas.text(line(76.0, 24.0), Align::Left, NOTE, &facts);

    let mut owners: Vec<Owner> = (0..plan.cells.len()).map(Owner::Cell).chain([Owner::Hypervisor]).collect();
    let idle = plan.cpus.len() < hardware.cpus.len();
    for other in [Owner::Firmware, Owner::Nobody] {
        if ram.iter().any(|stretch| stretch.owner == other) || other == Owner::Nobody && idle {
            owners.push(other);
        }
    }
    let mut y = legend(&mut canvas, subject, &owners, 110.0) + 22.0;
    y = strips::cpus(&mut canvas, subject, y) + 22.0;
    y = strips::interrupts(&mut canvas, subject, y) + 26.0;

    let left = memory::draw(&mut canvas, subject, &ram, y, HEIGHT - MARGIN);
    let right = cards::draw(&mut canvas, subject, y);
    let height = HEIGHT.max(left + MARGIN).max(right + MARGIN);
    canvas.finish(WIDTH, height, &title, &palette::patterns(plan.cells.len()))
}

/// "1 cell", "3 cells".
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Names the colours; gives where it ends.
fn legend(canvas: &mut Canvas, subject: &Subject<'_>, owners: &[Owner], top: f64) -> f64 {
    let (mut x, mut y) = (MARGIN, top);
    for owner in owners {
        let name = subject.name(*owner);
        let wide = TEXT.width(name).min(420.0);
        if x + 26.0 + wide > WIDTH - MARGIN {
            (x, y) = (MARGIN, y + 28.0);
        }
        canvas.begin("legend", name);
        swatch(canvas, Area { x, y: y + 3.0, w: 18.0, h: 18.0 }, *owner, 4.0);
        canvas.text(Area { x: x + 26.0, y, w: wide, h: 24.0 }, Align::Left, TEXT, name);
        canvas.end();
        x += 26.0 + wide + 28.0;
    }
    y + 24.0
}

/// A shape in an owner's colour; tests find it by the owner's name.
fn swatch(canvas: &mut Canvas, area: Area, owner: Owner, radius: f64) {
    let name = match owner {
        Owner::Cell(at) => format!("cell-{at}"),
        Owner::Hypervisor => "hypervisor".into(),
        Owner::Firmware => "firmware".into(),
        Owner::Nobody => "nobody".into(),
    };
    canvas.rect(area, radius, &palette::paint(owner).fill, &format!(r#"data-owner="{name}""#));
}

#[cfg(test)]
mod tests;
