//! Wishes as device-tree source.

use std::fmt::Write as _;

use bulkhead::refusal::code;

use super::CellWish;

/// Columns up to which a property goes before its comment.
const CODE: usize = 40;

/// The description; `board` is for its heading.
pub fn source(wishes: &[CellWish], board: &str) -> String {
    let mut out = format!("/* Cells for {board}: dts/bindings.md has all properties. */\n/dts-v1/;\n/ {{\n");
    out += "    compatible = \"bulkhead,cells-v1\";\n";
    for wish in wishes {
        out.push('\n');
        cell(wish, &mut out);
    }
    out += "};\n";
    out
}

fn cell(wish: &CellWish, out: &mut String) {
    let _ = writeln!(out, "    {} {{", wish.name);
    let mut line = |code: String, comment: &str| {
        let _ = match comment {
            "" => writeln!(out, "        {code};"),
            _ => writeln!(out, "        {:CODE$}/* {comment} */", format!("{code};")),
        };
    };
    if wish.root {
        line("root".into(), "gets all that no other cell has");
    }
    match wish.cpus.as_slice() {
        [] if wish.root => {}
        [] => line("cpus = <1>".into(), "how many, or names: \"cpu@3\""),
        [count] if count.bytes().all(|b| b.is_ascii_digit()) => line(format!("cpus = <{count}>"), ""),
        names => line(format!("cpus = {}", quoted(names)), "the first one boots"),
    }
    if !wish.root {
        let memory = wish.memory.as_deref().unwrap_or("16M");
        line(format!("memory = \"{memory}\""), "where it lies is Bulkhead's business");
    }
    let mut text = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            line(format!("{name} = \"{value}\""), "");
        }
    };
    text("kernel", &wish.kernel);
    text("initrd", &wish.initrd);
    text("image", &wish.image);
    text("bootargs", &wish.bootargs);
    if !wish.devices.is_empty() {
        line(format!("devices = {}", quoted(&wish.devices)), "");
    }
    let nodes =
        |code| wish.accepts.iter().filter(move |(other, _)| *other == code).flat_map(|(_, nodes)| nodes);
    if let Some(first) = nodes(code::UNPROTECTED_DMA).next() {
        let others = nodes(code::UNPROTECTED_DMA).count() - 1;
        let more = if others == 0 { String::new() } else { format!(" and {others} more") };
        let _ = writeln!(
            out,
            "        /* No IOMMU stands before {first}{more}: whoever drives this cell's devices can read and\n           \
             write all memory, other cells' too. Keep this line if the cell is trusted with that. */"
        );
        let _ = writeln!(out, "        unprotected-dma = \"accept\";");
    }
    if let Some(first) = nodes(code::FOREIGN_DEPENDENCY).next() {
        let _ = writeln!(
            out,
            "        /* Another cell has what {first} gets its clock, pins or power from, and can\n           \
             stop it. Keep this line if that cell leaves it alone (Linux: clk_ignore_unused). */"
        );
        let _ = writeln!(out, "        foreign-dependencies = \"accept\";");
    }
    *out += "    };\n";
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}
