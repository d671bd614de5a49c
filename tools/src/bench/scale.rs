//! What traps cost where there are more cells, more CPUs, or more devices in a cell.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::figures::CASES;
use super::machines::{Samples, cases, watch};
use super::{BenchError, Subject, write};
use crate::qemu::{Disk, Machine, Scratch, board_tree};
use crate::{dtc, pack};

/// A machine and the cell in it that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    /// Cells: all but one have two CPUs each, and sleep.
    cells: u32,
    /// CPUs of the cell that is measured.
    cpus: u32,
    /// Regions of registers that it owns beside its UART's: up to eight to a device, which has an interrupt.
    regions: u32,
}

/// What is varied, how often it is there, and the size that makes.
type Row = (&'static str, &'static [u32], fn(u32) -> Size);

const ROWS: [Row; 3] = [
    ("cells", &[1, 2, 4, 8], |cells| Size { cells, cpus: 2, regions: 0 }),
    ("CPUs", &[1, 2, 4, 8, 16], |cpus| Size { cells: 1, cpus, regions: 0 }),
    ("regions", &[1, 10, 40, 100, 200], |regions| Size { cells: 1, cpus: 2, regions }),
];

/// The figures of one size.
#[derive(Debug)]
pub struct Column {
    what: &'static str,
    count: u32,
    medians: BTreeMap<String, Samples>,
}

/// Where the devices are: nothing answers there, but nobody reads them either. Each has a block of 64 KiB, so that no two are one span.
const DEVICES: u64 = 0x0c00_0000;
const STRIDE: u64 = 0x1_0000;
/// How many of them a device has.
const EACH: u32 = 8;
/// The first of their SPIs.
const SPI: u32 = 48;

/// Measures all sizes.
///
/// # Errors
/// One does not run.
pub fn measure(subject: &Subject) -> Result<Vec<Column>, BenchError> {
    let mut columns = Vec::new();
    for (what, counts, size) in ROWS {
        for count in counts {
            columns.push(Column { what, count: *count, medians: run(subject, size(*count))? });
        }
    }
    Ok(columns)
}

fn run(subject: &Subject, size: Size) -> Result<BTreeMap<String, Samples>, BenchError> {
    let folder = Scratch::new()?;
    let path = |name: &str| folder.path().join(name);
    let machine = Machine {
        smp: size.cpus + 2 * (size.cells - 1),
        memory: "1G".into(),
        disk: Disk::None,
        icount: true,
        ..Machine::DEMO
    };
    let (tree, source, archive) = (path("board.dtb"), path("bench.dts"), path("bench.cells"));
    write(&tree, &dtc::compile(&(dtc::source(&board_tree(&machine)?)? + &nodes(size)))?)?;
    write(&source, description(size).as_bytes())?;
    write(&archive, &pack::pack(&source, &subject.images)?)?;
    let mut args = machine.arguments();
    args.extend(["-monitor", "none", "-serial", "stdio", "-serial", "null"].map(String::from));
    for (option, file) in [("-kernel", &subject.image), ("-initrd", &archive), ("-dtb", &tree)] {
        args.extend([option.to_string(), file.display().to_string()]);
    }
    Ok(cases(&watch(&args)?))
}

/// The devices that have the regions: the first region of each, and how many there are.
fn devices(regions: u32) -> impl Iterator<Item = (u32, u32)> {
    (0..regions).step_by(EACH as usize).map(move |first| (first, EACH.min(regions - first)))
}

fn name(first: u32) -> String {
    format!("device@{:x}", DEVICES + STRIDE * u64::from(first))
}

/// What the board's tree has more.
fn nodes(size: Size) -> String {
    let nodes = devices(size.regions).zip(SPI..).map(|((first, count), spi)| {
        let at = |region| DEVICES + STRIDE * u64::from(region);
        let regions: String = (first..first + count).map(|region| format!(" 0 {:#x} 0 0x1000", at(region))).collect();
        let name = name(first);
        format!(
            "    {name} {{ compatible = \"bulkhead,bench\"; reg = <{regions}>; interrupts = <0 {spi} 4>; }};\n"
        )
    });
    format!("/ {{\n{}}};\n", nodes.collect::<String>())
}

/// The cells.
fn description(size: Size) -> String {
    let names = devices(size.regions).map(|(first, _)| name(first));
    let owned: Vec<_> = std::iter::once("serial1".into()).chain(names).map(|n| format!("\"{n}\"")).collect();
    let mut text = format!(
        "/dts-v1/;\n/ {{\n    compatible = \"bulkhead,cells-v1\";\n    bench {{\n        cpus = <{}>; memory = \"16M\"; \
         image = \"bench.elf\"; bootargs = \"bench.late\";\n        console = \"virtual\"; unprotected-dma = \"accept\"; \
         devices = {};\n    }};\n",
        size.cpus,
        owned.join(", ")
    );
    for cell in 1..size.cells {
        let _ = writeln!(
            text,
            "    asleep{cell} {{ cpus = <2>; memory = \"16M\"; image = \"bench.elf\"; bootargs = \"bench.asleep\"; \
             console = \"virtual\"; }};"
        );
    }
    text + "};\n"
}

/// A row for each case, as a table of Markdown.
pub fn table(columns: &[Column]) -> String {
    let head =
        columns.iter().map(|column| format!(" {} {} |", column.count, column.what)).collect::<String>();
    let mut text = format!("| case |{head}\n|-|{}\n", "-|".repeat(columns.len()));
    for (case, _) in CASES {
        let figures = columns.iter().map(|column| {
            column.medians.get(case).map_or(" - |".into(), |[least, median, most]| {
                let differ = if least == most { "" } else { "*" };
                format!(" {median}{differ} |")
            })
        });
        let _ = writeln!(text, "| {case} |{}", figures.collect::<String>());
    }
    text + "\nInstructions, medians of 256 samples. *: the samples differ.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hundred_regions_are_those_of_devices_that_are_named() {
        let size = Size { cells: 3, cpus: 2, regions: 200 };
        let (tree, cells) = (nodes(size), description(size));
        assert_eq!((tree.matches("bulkhead,bench").count(), tree.matches(" 0x1000").count()), (25, 200));
        assert!(tree.contains("device@cc00000 {") && tree.contains("<0 72 4>"), "{tree}");
        assert!(cells.contains("\"serial1\", \"device@c000000\", ") && cells.contains("\"device@cc00000\";"));
        assert_eq!(cells.matches("bench.asleep").count(), 2);
        dtc::compile(&cells).unwrap();
        assert_eq!(devices(10).collect::<Vec<_>>(), [(0, 8), (8, 2)]);
    }

    #[test]
    fn sizes_stand_side_by_side() {
        let column = |what, count, median| Column {
            what,
            count,
            medians: BTreeMap::from([("spi".to_string(), [90, median, 93])]),
        };
        let text = table(&[column("cells", 1, 93), column("CPUs", 16, 92)]);
        assert!(text.starts_with("| case | 1 cells | 16 CPUs |\n|-|-|-|\n"), "{text}");
        assert!(text.contains("\n| spi | 93* | 92* |\n") && text.contains("\n| eoi | - | - |\n"), "{text}");
    }
}
