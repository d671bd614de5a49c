//! Where the instructions of a path go, by function. QEMU runs one instruction a block and names each block.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use elf::ElfBytes;
use elf::endian::LittleEndian;

use super::machines::{Below, arguments};
use super::{BenchError, Subject};
use crate::qemu::{QemuError, Scratch, command};

/// Where QEMU loads a kernel's image: 2 MiB above the start of RAM.
const LOADED_AT: u64 = 0x4020_0000;
/// How often each case is measured.
const SAMPLES: u64 = 256;
/// How often a path is taken at least that is the case's own.
const OFTEN: u64 = 200;

/// Functions by their first address.
struct Symbols(BTreeMap<u64, String>);

impl Symbols {
    fn read(path: &Path) -> Result<Self, BenchError> {
        let bytes = std::fs::read(path).map_err(|source| BenchError::Read { path: path.into(), source })?;
        let wrong = |source| BenchError::Elf { path: path.into(), source };
        let elf = ElfBytes::<LittleEndian>::minimal_parse(&bytes).map_err(wrong)?;
        let mut symbols = BTreeMap::new();
        if let Some((table, names)) = elf.symbol_table().map_err(wrong)? {
            for symbol in table.iter() {
                let name = names.get(symbol.st_name as usize).map_err(wrong)?;
                // Not the assembler's marks between code and data.
                if !name.is_empty() && !name.starts_with('$') {
                    symbols.insert(symbol.st_value, format!("{:#}", rustc_demangle::demangle(name)));
                }
            }
        }
        Ok(Self(symbols))
    }

    fn at(&self, address: u64) -> &str {
        self.0.range(..=address).next_back().map_or("?", |(_, name)| name)
    }

    fn find(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|(_, symbol)| *symbol == name).map(|(at, _)| *at)
    }
}

/// Runs one case and lists its paths through EL2, from the vector to the last instruction before the guest's.
///
/// # Errors
/// It does not run.
pub fn profile(subject: &Subject, case: &str) -> Result<String, BenchError> {
    let symbols = Symbols::read(&subject.elf)?;
    let vectors = symbols.find("bulkhead_vectors").unwrap_or(0);
    // The lower half: exceptions from the guest.
    let from_guest = vectors + 0x400..vectors + 0x800;
    let mut paths: HashMap<Vec<u32>, u64> = HashMap::new();
    let mut open: HashMap<u64, Vec<u32>> = HashMap::new();
    trace(subject, case, |cpu, address| {
        if from_guest.contains(&address) && (address - vectors).is_multiple_of(128) {
            let path = std::mem::take(open.entry(cpu).or_default());
            *paths.entry(path).or_default() += 1;
        }
        open.entry(cpu).or_default().push(address as u32);
    })?;
    let mut own: Vec<_> =
        paths.into_iter().filter(|(path, times)| *times >= OFTEN && !path.is_empty()).collect();
    // A guest's start takes others, now and then as often.
    own.sort_by_key(|(path, times)| (times.abs_diff(SAMPLES), path.len()));
    let mut text = format!("{case}: paths through EL2 that were taken {OFTEN} times or more\n");
    for (path, times) in own {
        let mut functions: BTreeMap<&str, u64> = BTreeMap::new();
        for address in &path {
            *functions.entry(symbols.at(u64::from(*address))).or_default() += 1;
        }
        let mut functions: Vec<_> = functions.into_iter().collect();
        functions.sort_by_key(|(name, count)| (u64::MAX - count, *name));
        let _ = writeln!(text, "\n{} instructions, {times} times", path.len());
        for (name, count) in functions {
            let _ = writeln!(text, "{count:>6}  {name}");
        }
    }
    Ok(text)
}

/// Runs the case and calls for each instruction of the image: the CPU's number, and the address in the image.
fn trace(subject: &Subject, case: &str, mut each: impl FnMut(u64, u64)) -> Result<(), BenchError> {
    let folder = Scratch::new()?;
    let mut args = arguments(subject, Below::Virtual, Some(case), folder.path())?;
    let size = std::fs::metadata(&subject.image)
        .map_err(|source| BenchError::Read { path: subject.image.clone(), source })?
        .len();
    args.extend(["-accel", "tcg,one-insn-per-tb=on", "-d", "exec,nochain", "-dfilter"].map(String::from));
    args.extend([format!("{LOADED_AT:#x}+{size:#x}"), "-D".into(), "/dev/stderr".into()]);
    let start = |source| QemuError::Io { what: "qemu-system-aarch64 does not start".into(), source };
    let mut child = command(&args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    if let Some(log) = child.stderr.take() {
        // Trace CPU: HOST [..../ADDRESS/FLAGS/...] symbol
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            let Some(rest) = line.strip_prefix("Trace ") else { continue };
            let cpu = rest.split(':').next().and_then(|cpu| cpu.parse().ok());
            let address = rest.split('/').nth(1).and_then(|address| u64::from_str_radix(address, 16).ok());
            if let (Some(cpu), Some(address)) = (cpu, address.and_then(|at| at.checked_sub(LOADED_AT))) {
                each(cpu, address);
            }
        }
    }
    // The cell switches itself off when it is done, and the machine with it.
    child.wait().map_err(start)?;
    Ok(())
}
