//! A plan as JSON: the same bytes at the desk and from the image, one item a line.
//!
//! Interrupts have the numbers that a device tree gives them: SPIs and PPIs count from 0. Addresses and sizes are strings of hexadecimal digits, because JSON's numbers lose bits above 2^53.

use alloc::string::String;
use core::fmt::{self, Write};

use log::info;

use super::{CellPlan, Checked, Load, Plan};
use crate::tree::Tree;

/// The version of what [`write`] writes.
pub const SCHEMA: &str = "bulkhead,plan-v1";

/// Logs who owns what, a line at a time, between two lines that say so.
pub fn log(plan: &Plan<Checked>, board: &Tree<'_>) {
    info!("plan begins");
    let mut lines = Lines(String::new());
    // Lines take all that they are given.
    let _ = write(plan, board, &mut lines);
    info!("plan ends");
}

/// Hands each line to the logger when it is whole.
struct Lines(String);

impl Write for Lines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive('\n') {
            self.0.push_str(part.trim_end_matches('\n'));
            if part.ends_with('\n') {
                info!("{}", self.0);
                self.0.clear();
            }
        }
        Ok(())
    }

    // Not the trait's own: boot alone prints a plan, and what shows that EL2 does not panic knows this one by its name.
    fn write_char(&mut self, char: char) -> fmt::Result {
        self.write_str(char.encode_utf8(&mut [0; 4]))
    }
}

/// Writes who owns what; devices are named by their paths in the board's tree.
///
/// # Errors
/// What `out` returns.
pub fn write(plan: &Plan<Checked>, board: &Tree<'_>, out: &mut dyn Write) -> fmt::Result {
    let json = &mut Json { out, depth: 0, first: true, flat: false };
    json.open("", "{")?;
    json.text("schema", SCHEMA)?;
    json.text("board", board.root().prop("model").and_then(|p| p.str()).unwrap_or(""))?;
    json.open("hypervisor", "{")?;
    let boot = &plan.boot;
    for (name, at) in
        [("image", boot.image), ("pool", boot.pool), ("archive", boot.archive), ("tree", boot.tree)]
    {
        json.span(name, at.start().0, at.size())?;
    }
    if let Some(console) = &plan.console {
        json.text("console", &board.node(console.node).path())?;
    }
    json.flat("ppis", "[")?;
    for ppi in &plan.own_ppis {
        json.number("", ppi.intid().saturating_sub(16))?;
    }
    json.close("]")?;
    json.close("}")?;
    json.open("reserved", "[")?;
    for region in &plan.reserved {
        json.span("", region.start().0, region.size())?;
    }
    json.close("]")?;
    json.open("cpus", "[")?;
    for cpu in &plan.cpus {
        json.flat("", "{")?;
        json.number("cpu", u32::from(cpu.id.0))?;
        json.hex("affinity", cpu.affinity.get())?;
        json.text("cell", plan.cell(cpu.cell).map_or("", |cell| &cell.name))?;
        json.number("vcpu", u32::from(cpu.vcpu.0))?;
        json.close("}")?;
    }
    json.close("]")?;
    json.open("cells", "[")?;
    for cell in &plan.cells {
        write_cell(cell, board, json)?;
    }
    json.close("]")?;
    json.close("}")?;
    json.out.write_char('\n')
}

fn write_cell(cell: &CellPlan, board: &Tree<'_>, json: &mut Json<'_>) -> fmt::Result {
    json.open("", "{")?;
    json.text("name", &cell.name)?;
    json.begin("root")?;
    json.out.write_str(if cell.root { "true" } else { "false" })?;
    json.flat("cpus", "[")?;
    for cpu in &cell.cpus {
        json.number("", u32::from(cpu.0))?;
    }
    json.close("]")?;
    for (name, regions) in [("ram", &cell.ram), ("mmio", &cell.mmio)] {
        json.open(name, "[")?;
        for region in regions {
            json.flat("", "{")?;
            json.hex("at", region.pa.0)?;
            json.hex("size", region.size)?;
            json.hex("seen", region.ipa.0)?;
            json.close("}")?;
        }
        json.close("]")?;
    }
    json.span("gicd", cell.gicd.start().0, cell.gicd.size())?;
    json.span("gicr", cell.gicr.start().0, cell.gicr.size())?;
    if let Some(uart) = &cell.uart {
        json.span("uart", uart.at.start().0, uart.at.size())?;
    }
    if let Some(watchdog) = &cell.watchdog {
        json.flat("watchdog", "{")?;
        json.hex("at", watchdog.at.start().0)?;
        json.hex("size", watchdog.at.size())?;
        json.number("spi", watchdog.spi.intid().saturating_sub(32))?;
        json.close("}")?;
    }
    json.flat("spis", "[")?;
    for intid in cell.spis.iter() {
        json.number("", intid.saturating_sub(32))?;
    }
    json.close("]")?;
    json.open("devices", "[")?;
    for device in &cell.devices {
        json.text("", &board.node(*device).path())?;
    }
    json.close("]")?;
    write_load(&cell.load, json)?;
    json.open("warnings", "[")?;
    for warning in &cell.warnings {
        json.text("", warning)?;
    }
    json.close("]")?;
    json.close("}")
}

fn write_load(load: &Load, json: &mut Json<'_>) -> fmt::Result {
    json.open("load", "{")?;
    json.hex("entry", load.entry.0)?;
    json.span("tree", load.tree.start().0, load.tree.size())?;
    if let Some(initrd) = &load.initrd {
        json.span("initrd", initrd.start().0, initrd.size())?;
    }
    if let Some(bootargs) = &load.bootargs {
        json.text("bootargs", bootargs)?;
    }
    json.open("pieces", "[")?;
    for piece in &load.pieces {
        json.flat("", "{")?;
        json.hex("from", piece.offset)?;
        json.hex("size", piece.size)?;
        json.hex("to", piece.to.0)?;
        json.close("}")?;
    }
    json.close("]")?;
    json.open("zeroed", "[")?;
    for zeroed in &load.zeroed {
        json.span("", zeroed.start().0, zeroed.size())?;
    }
    json.close("]")?;
    json.close("}")
}

/// Where the writing is. What stands in a list has no key: its key is empty.
struct Json<'o> {
    out: &'o mut dyn Write,
    depth: usize,
    /// Whether nothing stands yet in the innermost brackets.
    first: bool,
    /// Whether the innermost brackets are one line. They hold no others.
    flat: bool,
}

impl Json<'_> {
    #[inline(never)]
    fn begin(&mut self, key: &str) -> fmt::Result {
        if !self.first {
            self.out.write_str(if self.flat { ", " } else { "," })?;
        }
        self.first = false;
        if !self.flat && self.depth > 0 {
            self.line()?;
        }
        if !key.is_empty() {
            self.quoted(key)?;
            self.out.write_str(": ")?;
        }
        Ok(())
    }

    fn line(&mut self) -> fmt::Result {
        self.out.write_char('\n')?;
        (0..self.depth).try_for_each(|_| self.out.write_char(' '))
    }

    /// Opens brackets with an item in each line.
    #[inline(never)]
    fn open(&mut self, key: &str, bracket: &str) -> fmt::Result {
        self.begin(key)?;
        self.out.write_str(bracket)?;
        self.depth = self.depth.saturating_add(1);
        self.first = true;
        Ok(())
    }

    /// Opens brackets that are one line.
    #[inline(never)]
    fn flat(&mut self, key: &str, bracket: &str) -> fmt::Result {
        self.open(key, bracket)?;
        self.flat = true;
        Ok(())
    }

    #[inline(never)]
    fn close(&mut self, bracket: &str) -> fmt::Result {
        self.depth = self.depth.saturating_sub(1);
        if !self.first && !self.flat {
            self.line()?;
        }
        (self.first, self.flat) = (false, false);
        self.out.write_str(bracket)
    }

    #[inline(never)]
    fn text(&mut self, key: &str, text: &str) -> fmt::Result {
        self.begin(key)?;
        self.quoted(text)
    }

    #[inline(never)]
    fn number(&mut self, key: &str, number: u32) -> fmt::Result {
        self.begin(key)?;
        write!(self.out, "{number}")
    }

    #[inline(never)]
    fn hex(&mut self, key: &str, number: u64) -> fmt::Result {
        self.begin(key)?;
        write!(self.out, "\"{number:#x}\"")
    }

    #[inline(never)]
    fn span(&mut self, key: &str, at: u64, size: u64) -> fmt::Result {
        self.flat(key, "{")?;
        self.hex("at", at)?;
        self.hex("size", size)?;
        self.close("}")
    }

    #[inline(never)]
    fn quoted(&mut self, text: &str) -> fmt::Result {
        self.out.write_char('"')?;
        for c in text.chars() {
            match c {
                '"' | '\\' => write!(self.out, "\\{c}")?,
                '\0'..='\x1f' => write!(self.out, "\\u{:04x}", u32::from(c))?,
                _ => self.out.write_char(c)?,
            }
        }
        self.out.write_char('"')
    }
}

#[cfg(test)]
mod tests;
