//! Which machine an archive or a description wants, and which cell has which serial line.

use bulkhead::archive::{self, ArchiveError};
use bulkhead::config::{Config, CpuChoice};
use bulkhead::tree::Tree;

use crate::arguments::MachineArguments;
use crate::qemu::Machine;

/// RAM beside what the cells ask for: the root cell's, or the hypervisor's and the archive's.
const BESIDE: u64 = 512 << 20;

/// The description in an archive.
///
/// # Errors
/// It is no archive.
pub fn description(archive: &[u8]) -> Result<Option<Config>, ArchiveError> {
    let blob = archive::description(archive)?;
    Ok(Tree::parse(blob).ok().and_then(|tree| Config::parse(&tree).ok()))
}

/// The machine that a description needs; what the user says counts more.
pub fn machine(config: Option<&Config>, wanted: &MachineArguments) -> Machine {
    let mut machine = wanted.machine();
    let Some(config) = config else { return machine };
    if wanted.cpus.is_none() {
        machine.smp = machine.smp.max(cpus(config));
    }
    let bytes: u64 = config.cells.iter().filter_map(|cell| cell.memory).sum();
    let gib = (bytes + BESIDE).div_ceil(1 << 30);
    if wanted.memory.is_none() && gib > 1 {
        machine.memory = format!("{gib}G").into();
    }
    machine
}

/// How many CPUs the cells ask for; QEMU's nodes are named cpu@0, cpu@1 and so on.
fn cpus(config: &Config) -> u32 {
    let (mut counted, mut named, mut highest) = (0, 0, 0);
    for cell in &config.cells {
        match &cell.cpus {
            CpuChoice::Rest => counted += 1,
            CpuChoice::Count(count) => counted += count,
            CpuChoice::Names(names) => {
                named += names.len() as u32;
                let unit = |name: &String| u32::from_str_radix(name.rsplit_once("cpu@")?.1, 16).ok();
                highest = names.iter().filter_map(unit).map(|unit| unit + 1).max().unwrap_or(0).max(highest);
            }
        }
    }
    highest.max(counted + named)
}

/// What to call a serial line: after the cell that has it, else by its alias.
pub fn serial_name(config: Option<&Config>, alias: &str) -> String {
    let owner = config.and_then(|config| {
        config.cells.iter().find(|cell| cell.devices.iter().any(|device| device == alias))
    });
    owner.map_or_else(|| alias.to_string(), |cell| cell.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(cells: &str) -> Config {
        let folder =
            std::env::temp_dir().join(format!("bulkhead-run-{}-{}", std::process::id(), cells.len()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("cells.dts");
        std::fs::write(&path, format!("/dts-v1/; / {{ compatible = \"bulkhead,cells-v1\"; {cells} }};"))
            .unwrap();
        let blob = crate::dtc::blob(&path).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        Config::parse(&Tree::parse(&blob).unwrap()).unwrap()
    }

    const NONE: MachineArguments = MachineArguments { cpu: None, cpus: None, memory: None, gic: None };

    #[test]
    fn the_machine_is_large_enough() {
        let large = config(
            "a { cpus = \"cpu@9\"; memory = \"1G\"; image = \"x\"; devices = \"serial1\"; }; \
             b { cpus = <2>; memory = \"2G\"; image = \"x\"; };",
        );
        let found = machine(Some(&large), &NONE);
        assert_eq!((found.smp, &*found.memory), (10, "4G"));
        let said = machine(Some(&large), &MachineArguments { cpus: Some(3), ..NONE });
        assert_eq!((said.smp, &*said.memory), (3, "4G"));
        assert_eq!(serial_name(Some(&large), "serial1"), "a");
        assert_eq!(serial_name(Some(&large), "serial0"), "serial0");
    }

    #[test]
    fn it_is_the_demo_s_where_that_is_enough() {
        let small =
            config("a { root; kernel = \"x\"; }; b { cpus = <1>; memory = \"16M\"; image = \"x\"; };");
        let found = machine(Some(&small), &NONE);
        assert_eq!((found.smp, &*found.memory), (4, "1G"));
    }
}
