//! A plan as JSON: the same bytes at the desk and from the image, one item a line.
//!
//! Interrupts have the numbers that a device tree gives them: SPIs and PPIs count from 0. Addresses and sizes are strings of hexadecimal digits, because JSON's numbers lose bits above 2^53.

use core::fmt::{self, Write};

use super::{CellPlan, Checked, Plan, Region};
use crate::addr::{Address, Span};
use crate::tree::Tree;

/// The version of what [`write`] writes.
pub const SCHEMA: &str = "bulkhead,plan-v1";

/// Writes who owns what; devices are named by their paths in the board's tree.
///
/// # Errors
/// What `out` returns.
pub fn write(plan: &Plan<Checked>, board: &Tree<'_>, out: &mut dyn Write) -> fmt::Result {
    let mut json = Json { out, depth: 0, first: true };
    json.open("", '{')?;
    json.item("schema", &[("", Value::Text(SCHEMA))])?;
    let model = board.root().prop("model").and_then(|p| p.str()).unwrap_or("");
    json.item("board", &[("", Value::Text(model))])?;
    json.open("hypervisor", '{')?;
    let boot = &plan.boot;
    for (name, at) in
        [("image", boot.image), ("pool", boot.pool), ("archive", boot.archive), ("tree", boot.tree)]
    {
        json.item(name, &span(&at))?;
    }
    if let Some(console) = &plan.console {
        json.item("console", &[("", Value::Text(&board.node(console.node).path()))])?;
    }
    json.list("ppis", plan.own_ppis.iter().map(|ppi| u64::from(ppi.intid().saturating_sub(16))))?;
    json.close('}')?;
    json.open("reserved", '[')?;
    for region in &plan.reserved {
        json.item("", &span(region))?;
    }
    json.close(']')?;
    json.open("cpus", '[')?;
    for cpu in &plan.cpus {
        let cell = plan.cell(cpu.cell).map_or("", |cell| &cell.name);
        json.item(
            "",
            &[
                ("cpu", Value::Number(cpu.id.index() as u64)),
                ("affinity", Value::Hex(cpu.affinity.get())),
                ("cell", Value::Text(cell)),
                ("vcpu", Value::Number(cpu.vcpu.index() as u64)),
            ],
        )?;
    }
    json.close(']')?;
    json.open("cells", '[')?;
    for cell in &plan.cells {
        json.open("", '{')?;
        write_cell(cell, board, &mut json)?;
        json.close('}')?;
    }
    json.close(']')?;
    json.close('}')?;
    json.out.write_char('\n')
}

fn write_cell(cell: &CellPlan, board: &Tree<'_>, json: &mut Json<'_>) -> fmt::Result {
    json.item("name", &[("", Value::Text(&cell.name))])?;
    json.item("root", &[("", Value::Flag(cell.root))])?;
    json.list("cpus", cell.cpus.iter().map(|cpu| cpu.index() as u64))?;
    for (name, regions) in [("ram", &cell.ram), ("mmio", &cell.mmio)] {
        json.open(name, '[')?;
        for Region { ipa, pa, size } in regions {
            json.item(
                "",
                &[("at", Value::Hex(pa.0)), ("size", Value::Hex(*size)), ("seen", Value::Hex(ipa.0))],
            )?;
        }
        json.close(']')?;
    }
    json.item("gicd", &span(&cell.gicd))?;
    json.item("gicr", &span(&cell.gicr))?;
    if let Some(uart) = &cell.uart {
        json.item("uart", &span(&uart.at))?;
    }
    json.list("spis", cell.spis.iter().map(|id| u64::from(id.saturating_sub(32))))?;
    json.open("devices", '[')?;
    for device in &cell.devices {
        json.item("", &[("", Value::Text(&board.node(*device).path()))])?;
    }
    json.close(']')?;
    write_load(cell, json)?;
    json.open("warnings", '[')?;
    for warning in &cell.warnings {
        json.item("", &[("", Value::Text(warning))])?;
    }
    json.close(']')
}

fn write_load(cell: &CellPlan, json: &mut Json<'_>) -> fmt::Result {
    let load = &cell.load;
    json.open("load", '{')?;
    json.item("entry", &[("", Value::Hex(load.entry.0))])?;
    json.item("tree", &span(&load.tree))?;
    if let Some(initrd) = &load.initrd {
        json.item("initrd", &span(initrd))?;
    }
    if let Some(bootargs) = &load.bootargs {
        json.item("bootargs", &[("", Value::Text(bootargs))])?;
    }
    json.open("pieces", '[')?;
    for piece in &load.pieces {
        let (from, size) = (Value::Hex(piece.offset), Value::Hex(piece.size));
        json.item("", &[("from", from), ("size", size), ("to", Value::Hex(piece.to.0))])?;
    }
    json.close(']')?;
    json.open("zeroed", '[')?;
    for zeroed in &load.zeroed {
        json.item("", &span(zeroed))?;
    }
    json.close(']')?;
    json.close('}')
}

fn span<A: Address>(span: &Span<A>) -> [(&'static str, Value<'static>); 2] {
    [("at", Value::Hex(span.start().get())), ("size", Value::Hex(span.size()))]
}

#[derive(Clone, Copy)]
enum Value<'v> {
    Text(&'v str),
    Number(u64),
    Hex(u64),
    Flag(bool),
}

/// Where the writing is.
struct Json<'o> {
    out: &'o mut dyn Write,
    depth: usize,
    /// Whether nothing stands yet in the innermost brackets.
    first: bool,
}

impl Json<'_> {
    /// Begins a line, with a key unless it is empty: one in a list has none.
    fn begin(&mut self, key: &str) -> fmt::Result {
        if !self.first {
            self.out.write_char(',')?;
        }
        self.first = false;
        self.line()?;
        if !key.is_empty() {
            self.text(key)?;
            self.out.write_str(": ")?;
        }
        Ok(())
    }

    fn line(&mut self) -> fmt::Result {
        if self.depth > 0 {
            self.out.write_char('\n')?;
        }
        (0..self.depth).try_for_each(|_| self.out.write_char(' '))
    }

    fn open(&mut self, key: &str, bracket: char) -> fmt::Result {
        self.begin(key)?;
        self.out.write_char(bracket)?;
        self.depth = self.depth.saturating_add(1);
        self.first = true;
        Ok(())
    }

    fn close(&mut self, bracket: char) -> fmt::Result {
        self.depth = self.depth.saturating_sub(1);
        if !self.first {
            self.out.write_char('\n')?;
            (0..self.depth).try_for_each(|_| self.out.write_char(' '))?;
        }
        self.first = false;
        self.out.write_char(bracket)
    }

    /// One value where its name is empty, else an object in one line.
    fn item(&mut self, key: &str, values: &[(&str, Value<'_>)]) -> fmt::Result {
        self.begin(key)?;
        if let [("", value)] = values {
            return self.value(*value);
        }
        for (at, (name, value)) in values.iter().enumerate() {
            self.out.write_str(if at == 0 { "{" } else { ", " })?;
            self.text(name)?;
            self.out.write_str(": ")?;
            self.value(*value)?;
        }
        self.out.write_char('}')
    }

    /// Numbers in one line.
    fn list(&mut self, key: &str, numbers: impl Iterator<Item = u64>) -> fmt::Result {
        self.begin(key)?;
        self.out.write_char('[')?;
        for (at, number) in numbers.enumerate() {
            self.out.write_str(if at == 0 { "" } else { ", " })?;
            self.value(Value::Number(number))?;
        }
        self.out.write_char(']')
    }

    fn value(&mut self, value: Value<'_>) -> fmt::Result {
        match value {
            Value::Text(text) => self.text(text),
            Value::Number(number) => write!(self.out, "{number}"),
            Value::Hex(number) => write!(self.out, "\"{number:#x}\""),
            Value::Flag(flag) => self.out.write_str(if flag { "true" } else { "false" }),
        }
    }

    fn text(&mut self, text: &str) -> fmt::Result {
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
