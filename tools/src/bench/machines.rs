//! The benchmark guest on each of its machines: with nothing below it, as a cell, as a domain of Xen.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::{BenchError, Subject, write};
use crate::qemu::{Disk, Machine, QemuError, Scratch, board_tree, command};
use crate::{dtc, pack};

/// Real time for one run.
const LIMIT: Duration = Duration::from_secs(300);
/// Where Xen finds its guest: behind what it takes for itself.
const XEN_GUEST: u64 = 0x5000_0000;

/// What the guest runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Below {
    /// Nothing: it has EL1 of the machine.
    Bare,
    /// Bulkhead, with interrupts through list registers.
    Virtual,
    /// The same, with interrupts from the physical CPU interface; EL2 waits in the guest's place.
    Direct,
    /// Debian's Xen, without a domain 0.
    Xen,
}

impl Below {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bare, Self::Virtual, Self::Direct, Self::Xen];
}

/// Least, median and most of a case's samples.
pub type Samples = [u64; 3];

/// Runs the guest, all of its cases or one, and gives what it counted, by case.
///
/// # Errors
/// It does not run, or not to its end.
pub fn run(
    subject: &Subject,
    below: Below,
    only: Option<&str>,
) -> Result<BTreeMap<String, Samples>, BenchError> {
    let folder = Scratch::new()?;
    let args = arguments(subject, below, only, folder.path())?;
    Ok(cases(&watch(&args)?))
}

/// What the guest counted, by case.
pub(super) fn cases(lines: &[String]) -> BTreeMap<String, Samples> {
    let mut cases = BTreeMap::new();
    for line in lines {
        let Some(said) = line.find("bench: ").and_then(|at| line.get(at + 7..)) else { continue };
        let words: Vec<_> = said.split_whitespace().collect();
        let numbers: Vec<u64> = words.iter().skip(1).filter_map(|word| word.parse().ok()).collect();
        if let ([name, ..], Ok(samples)) = (words.as_slice(), Samples::try_from(numbers)) {
            cases.insert(name.to_string(), samples);
        }
    }
    cases
}

/// QEMU's arguments for a run. The machine has two CPUs and two UARTs; one instruction lasts a nanosecond.
pub(super) fn arguments(
    subject: &Subject,
    below: Below,
    only: Option<&str>,
    folder: &Path,
) -> Result<Vec<String>, BenchError> {
    let machine = Machine {
        smp: 2,
        memory: if below == Below::Xen { "1G" } else { "512M" }.into(),
        disk: Disk::None,
        icount: true,
        cpu: subject.cpu.clone().map_or(Machine::DEMO.cpu, Cow::Owned),
        ..Machine::DEMO
    };
    let mut args = machine.arguments();
    if below == Below::Bare {
        args.iter_mut().for_each(|arg| *arg = arg.replace("virtualization=on", "virtualization=off"));
    }
    args.extend(["-monitor", "none", "-serial", "stdio", "-serial", "null"].map(String::from));
    let only = only.map(|case| format!("bench.only={case}")).unwrap_or_default();
    let image = subject.images.join("bench.bin");
    let kernel = |path: &Path| ["-kernel".to_string(), path.display().to_string()];
    match below {
        Below::Bare => {
            args.extend(kernel(&image));
            args.extend(["-append".into(), format!("bench.bare {only}")]);
        }
        Below::Virtual | Below::Direct => {
            let mode = if below == Below::Direct { "direct" } else { "virtual" };
            let archive = archive(subject, mode, &only, folder)?;
            args.extend(kernel(&subject.image));
            args.extend(["-initrd".into(), archive.display().to_string()]);
        }
        Below::Xen => {
            let tree = folder.join("xen.dtb");
            write(&tree, &xen_tree(&machine, &image, &only)?)?;
            args.extend(kernel(&subject.xen));
            args.extend(["-dtb".into(), tree.display().to_string(), "-device".into()]);
            args.push(format!("loader,file={},addr={XEN_GUEST:#x},force-raw=on", image.display()));
        }
    }
    Ok(args)
}

/// The archive of one cell with both CPUs, a virtual UART for its console and the second UART for its interrupt.
fn archive(subject: &Subject, mode: &str, bootargs: &str, folder: &Path) -> Result<PathBuf, BenchError> {
    let (source, archive) = (folder.join("bench.dts"), folder.join("bench.cells"));
    let vhe = subject
        .vhe
        .as_ref()
        .map(|vhe| format!("    hypervisor {{ vhe = \"{vhe}\"; }};\n"))
        .unwrap_or_default();
    let text = format!(
        "/dts-v1/;\n/ {{\n    compatible = \"bulkhead,cells-v1\";\n{vhe}    bench {{\n        cpus = <2>; memory = \"16M\"; \
         image = \"bench.elf\"; bootargs = \"{bootargs}\";\n        console = \"virtual\"; devices = \"serial1\"; \
         interrupt-mode = \"{mode}\";\n    }};\n}};\n"
    );
    write(&source, text.as_bytes())?;
    write(&archive, &pack::pack(&source, &subject.images)?)?;
    Ok(archive)
}

/// The machine's tree with what Xen wants to know in `/chosen`: its command line, and the one domain.
fn xen_tree(machine: &Machine, guest: &Path, bootargs: &str) -> Result<Vec<u8>, BenchError> {
    let size =
        std::fs::metadata(guest).map_err(|source| BenchError::Read { path: guest.into(), source })?.len();
    let board = dtc::source(&board_tree(machine)?)?;
    let chosen = format!(
        "/ {{ chosen {{\n    xen,xen-bootargs = \"console=dtuart vwfi=native\";\n    \
         #address-cells = <1>; #size-cells = <1>;\n    domU1 {{\n        compatible = \"xen,domain\"; \
         #address-cells = <1>; #size-cells = <1>;\n        memory = <0 32768>; cpus = <2>; vpl011;\n        \
         module@{XEN_GUEST:x} {{\n            compatible = \"multiboot,kernel\", \"multiboot,module\";\n            \
         reg = <{XEN_GUEST:#x} {size:#x}>; bootargs = \"{bootargs}\";\n        }};\n    }};\n}}; }};\n"
    );
    Ok(dtc::compile(&(board + &chosen))?)
}

/// Runs QEMU until the guest says that it is done; all that came on the first UART.
pub(super) fn watch(args: &[String]) -> Result<Vec<String>, BenchError> {
    let start = |source| QemuError::Io { what: "qemu-system-aarch64 does not start".into(), source };
    let mut child = command(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(start)?;
    let (sender, receiver) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_string();
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
    }
    let (deadline, mut lines, mut done) = (Instant::now() + LIMIT, Vec::new(), false);
    while !done {
        let Ok(line) = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
            break;
        };
        done = line.ends_with("bench: done");
        lines.push(line);
    }
    // Both fail only where it has ended already, which is what is wanted.
    let _ = child.kill();
    let _ = child.wait();
    if done { Ok(lines) } else { Err(BenchError::Unfinished { said: lines.join("\n") }) }
}
