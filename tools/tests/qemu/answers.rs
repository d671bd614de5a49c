//! What the probe is told of wrong instructions and accesses in a cell must be what it is told without a hypervisor: the same
//! checks (guests/probe/src/answers.rs) hold in both.

use std::fs;
use std::path::Path;

use bulkhead::image::Image;
use bulkhead_cli::qemu::{Disk, Machine};

use crate::list::see;
use crate::scenario::Scenario;
use crate::scenario::Step::{NotSeen, Off};

/// The probe by itself. (In cells it runs with all its other checks, see `list`.)
pub fn scenarios() -> Vec<Scenario> {
    let native = |name, cpu: &'static str| Scenario {
        name,
        long: false,
        machine: Machine {
            cpu: cpu.into(),
            smp: 1,
            el2: false,
            its: false,
            disk: Disk::None,
            ..Machine::DEMO
        },
        boots: crate::scenario::Boots::Guest("probe.elf", "probe.bare probe.run=answers".into()),
        consoles: vec!["probe"],
        steps: vec![see("probe", " ok, 0 failed"), NotSeen("probe: FAIL"), Off],
    };
    vec![native("native_answers_on_cortex_a57", "cortex-a57"), native("native_answers_on_max", "max")]
}

/// A guest's ELF file as the arm64 `Image` that its first segment begins with: QEMU gives only to such a file its tree.
pub fn flat(elf: &Path) -> Result<Vec<u8>, String> {
    let bytes = fs::read(elf).map_err(|error| format!("{}: {error}", elf.display()))?;
    let Ok(Image::Elf { segments, .. }) = Image::inspect(&bytes) else {
        return Err(format!("{} is no ELF file", elf.display()));
    };
    let base = segments.iter().map(|segment| segment.to).min().unwrap_or(0);
    let mut flat = Vec::new();
    for segment in &segments {
        let (from, size) = (segment.offset as usize, segment.file_size as usize);
        let to = (segment.to - base) as usize;
        flat.resize(flat.len().max(to + size), 0);
        flat[to..to + size].copy_from_slice(&bytes[from..from + size]);
    }
    Ok(flat)
}
