//! What is many of one kind: CPUs and interrupts, a box each.

use bulkhead::cpu::PcpuId;

use super::super::regions::{FIRST_SPI, Owner};
use super::canvas::{Align, Area, Canvas, Font};
use super::{HEADING, MARGIN, NOTE, Subject, WIDTH, palette, swatch};

const WIDE: f64 = WIDTH - 2.0 * MARGIN;
const GAP: f64 = 10.0;
/// CPUs in a row, at most.
const ROW: usize = 16;
const CPU_HIGH: f64 = 54.0;
/// From one interrupt's square to the next: as much as there is room for in one row, within these.
const PITCH: (f64, f64) = (9.0, 24.0);
const SQUARES_GAP: f64 = 2.0;

/// The CPUs; gives where they end.
pub fn cpus(canvas: &mut Canvas, subject: &Subject<'_>, top: f64) -> f64 {
    let cpus = &subject.hardware.cpus;
    let columns = cpus.len().clamp(1, ROW);
    let wide = (WIDE - GAP * (columns - 1) as f64) / columns as f64;
    let mut bottom = top;
    for (at, cpu) in cpus.iter().enumerate() {
        let (row, column) = (at / columns, at % columns);
        let x = MARGIN + column as f64 * (wide + GAP);
        let y = top + row as f64 * (CPU_HIGH + GAP);
        let (owner, vcpu) = owner(subject, cpu.id);
        let (name, node) = (subject.name(owner), subject.board.node(cpu.node));
        canvas.begin("cpu", &format!("{}: {name}", node.path()));
        swatch(canvas, Area { x, y, w: wide, h: CPU_HIGH }, owner, 8.0);
        let ink = palette::paint(owner).ink;
        let large = Font { size: 17.0, mono: false, bold: true, colour: ink };
        let small = Font { size: 13.0, mono: false, bold: false, colour: ink };
        let room = |y, h| Area { x: x + 4.0, y, w: wide - 8.0, h };
        canvas.text(room(y + 5.0, 24.0), Align::Middle, large, &format!("CPU {}", cpu.id.index()));
        let long = vcpu.map_or_else(|| "in no cell, off".to_string(), |vcpu| format!("{name}, vCPU {vcpu}"));
        let short = if vcpu.is_some() { name } else { "off" };
        let whose = if small.width(&long) > wide - 8.0 { short } else { &long };
        canvas.text(room(y + 29.0, 20.0), Align::Middle, small, whose);
        canvas.end();
        bottom = y + CPU_HIGH;
    }
    bottom
}

fn owner(subject: &Subject<'_>, id: PcpuId) -> (Owner, Option<usize>) {
    let cpu = subject.plan.cpu(id);
    cpu.map_or((Owner::Nobody, None), |cpu| (Owner::Cell(cpu.cell.index()), Some(cpu.vcpu.index())))
}

/// The shared interrupts up to the last that a device has; gives where they end.
pub fn interrupts(canvas: &mut Canvas, subject: &Subject<'_>, top: f64) -> f64 {
    let owners = |spi: u32| subject.plan.cells.iter().position(|cell| cell.spis.contains(FIRST_SPI + spi));
    let last = (0..988).rev().find(|spi| owners(*spi).is_some());
    let Some(last) = last else { return top };
    canvas.text(Area { x: MARGIN, y: top, w: 340.0, h: 22.0 }, Align::Left, HEADING, "Shared interrupts");
    canvas.text(
        Area { x: MARGIN + 340.0, y: top, w: WIDE - 340.0, h: 22.0 },
        Align::Right,
        NOTE,
        &format!("SPI 0 to {last}, a square each; pale ones are nobody's"),
    );
    let pitch = (WIDE / f64::from(last + 1)).clamp(PITCH.0, PITCH.1);
    let columns = (WIDE / pitch) as u32;
    let size = pitch - SQUARES_GAP;
    let mut bottom = top + 28.0;
    for spi in 0..=last {
        let (row, column) = (spi / columns, spi % columns);
        let (x, y) = (MARGIN + f64::from(column) * pitch, top + 30.0 + f64::from(row) * pitch);
        let area = Area { x, y, w: size, h: size.min(16.0) };
        match owners(spi) {
            Some(cell) => {
                canvas.begin("spi", &format!("SPI {spi}: {}", subject.name(Owner::Cell(cell))));
                swatch(canvas, area, Owner::Cell(cell), 2.0);
                canvas.end();
            }
            None => canvas.rect(area, 2.0, "#ececec", ""),
        }
        bottom = y + area.h;
    }
    bottom
}
