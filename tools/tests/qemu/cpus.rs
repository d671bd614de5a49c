//! The same image on every CPU, with VHE and without, and what else a cell's mode makes different there.

use bulkhead_cli::qemu::{Disk, Machine};

use crate::direct;
use crate::list::{CLOUD, cells, control, see};
use crate::scenario::Boots::Cells;
use crate::scenario::Scenario;
use crate::scenario::Step::Seconds;

/// QEMU's CPUs, and whether they have FEAT_VHE.
const CPUS: [(&str, bool); 8] = [
    ("cortex-a53", false),
    ("cortex-a57", false),
    ("cortex-a72", false),
    ("cortex-a76", true),
    ("neoverse-n1", true),
    ("neoverse-v1", true),
    ("cortex-a710", true),
    ("max", true),
];

/// Versions of the GIC that Bulkhead drives.
const GICS: [u32; 2] = [3, 2];

/// One boot of the matrix.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Combination {
    cpu: &'static str,
    vhe: bool,
    gic: u32,
    direct: bool,
}

impl Combination {
    /// All that there are: VHE only where the CPU has it.
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for (cpu, has_vhe) in CPUS {
            for gic in GICS {
                for (vhe, direct) in [(false, false), (true, true), (false, true), (true, false)] {
                    if has_vhe || !vhe {
                        all.push(Self { cpu, vhe, gic, direct });
                    }
                }
            }
        }
        // Five CPUs with all eight, and three of Armv8.0, which has no FEAT_VHE, with four each.
        assert_eq!(all.len(), 5 * 8 + 3 * 4, "the matrix is not whole");
        all
    }

    /// Each two of its values that it brings together.
    fn pairs(self) -> Vec<[String; 2]> {
        let Self { cpu, vhe, gic, direct } = self;
        let values =
            [cpu.to_string(), format!("vhe {vhe}"), format!("gic {gic}"), format!("direct {direct}")];
        let with = |(n, one): (usize, &String)| -> Vec<[String; 2]> {
            values.iter().skip(n + 1).map(|other| [one.clone(), other.clone()]).collect()
        };
        values.iter().enumerate().flat_map(with).collect()
    }

    /// As few as bring together each two values that can be together: always the one that adds most, the first of these.
    fn pairwise() -> Vec<Self> {
        let all = Self::all();
        let mut wanted: Vec<_> = all.iter().flat_map(|one| one.pairs()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        // Every other scenario boots a Cortex-A57 with a GICv3, in both modes.
        let elsewhere = |one: &&Self| one.cpu == "cortex-a57" && one.gic == 3;
        for pair in all.iter().filter(elsewhere).flat_map(|one| one.pairs()) {
            wanted.retain(|other| *other != pair);
        }
        let mut chosen = Vec::new();
        while !wanted.is_empty() {
            let adds = |one: &Self| one.pairs().iter().filter(|pair| wanted.contains(pair)).count();
            let Some(best) = all.iter().rev().max_by_key(|one| adds(one)) else { break };
            let pairs = best.pairs();
            wanted.retain(|pair| !pairs.contains(pair));
            chosen.push(*best);
        }
        chosen
    }

    /// Linux on two CPUs beside the control cell on the third, both in this mode.
    fn scenario(self, long: bool) -> Scenario {
        let Self { cpu, vhe, gic, direct } = self;
        let word = |yes, one, other| if yes { one } else { other };
        let name = format!(
            "linux_on_{}_gicv{gic}{}{}",
            cpu.replace('-', "_"),
            word(vhe, "_vhe", ""),
            word(direct, "_direct", "")
        );
        let description = cells(&[
            format!("    hypervisor {{ vhe = \"{}\"; }};\n", word(vhe, "on", "off")),
            format!(
                "    linux {{ root; kernel = \"{CLOUD}/Image\"; initrd = \"{CLOUD}/initrd.cpio\"; \
                 bootargs = \"console=ttyAMA0 bulkhead.test=check\"; unprotected-dma = \"accept\"; }};\n"
            ),
            control("cpu@2", "serial1"),
        ]);
        let description = direct::described(&description, if direct { &["linux", "control"] } else { &[] });
        Scenario {
            // Names are few, and live as long as the tests.
            name: Box::leak(name.into_boxed_str()),
            long,
            machine: Machine { cpu: cpu.into(), smp: 3, gic, its: false, disk: Disk::None, ..Machine::DEMO },
            boots: Cells(description),
            consoles: vec!["linux=1", "control"],
            steps: vec![
                see("linux", if vhe { "EL2 runs with VHE" } else { "bulkhead: cell linux: 2 CPUs" }),
                see("linux", "bulkhead: linux up, 2 cpus"),
                see("linux", "bulkhead: check 6.12"),
                Seconds("control", 3),
                see("linux", "reboot: Power down"),
                Seconds("control", 2),
            ],
        }
    }
}

/// Another scenario on this CPU, with VHE or without.
fn on_cpu(from: &[Scenario], of: &str, cpu: &'static str, vhe: bool, long: bool) -> Scenario {
    let word = if vhe { "on" } else { "off" };
    let name = format!("{of}_on_{}_vhe_{word}", cpu.replace('-', "_"));
    let same = Scenario::like(from, of, Box::leak(name.into_boxed_str()), long, |text| with_vhe(text, vhe));
    Scenario { machine: Machine { cpu: cpu.into(), ..same.machine }, ..same }
}

/// The same description, with VHE or without.
pub fn with_vhe(text: &str, vhe: bool) -> String {
    let word = if vhe { "on" } else { "off" };
    let text = match text.contains("    hypervisor {") {
        true => text.replace("    hypervisor {", &format!("    hypervisor {{ vhe = \"{word}\";")),
        false => {
            text.replace("cells-v1\";\n", &format!("cells-v1\";\n    hypervisor {{ vhe = \"{word}\"; }};\n"))
        }
    };
    assert!(text.contains("vhe = "), "there is no place for it");
    text
}

/// What says the same with VHE and without, on three CPUs that have it. Names of scenarios on a Cortex-A57.
const SAME: [&str; 8] = [
    "restart_500_times",
    "hostile_two_vcpus",
    "hostile_two_vcpus_direct",
    "hostile_lives",
    "hostile_lives_direct",
    "probe_2_vcpus",
    "direct_probe",
    "watchdog_ends_whoever_falls_silent",
];

/// Those of them that are part of every run, with VHE. Restarts take long.
const NOW: [(&str, &str); 3] = [
    ("hostile_two_vcpus", "max"),
    ("probe_2_vcpus", "max"),
    ("watchdog_ends_whoever_falls_silent", "cortex-a76"),
];

/// All of them; `of` are the others.
pub fn scenarios(of: &[Scenario]) -> Vec<Scenario> {
    let now = Combination::pairwise();
    let mut all: Vec<_> =
        Combination::all().into_iter().map(|one| one.scenario(!now.contains(&one))).collect();
    for cpu in ["max", "neoverse-n1", "cortex-a76"] {
        for name in SAME {
            for vhe in [true, false] {
                all.push(on_cpu(of, name, cpu, vhe, !vhe || !NOW.contains(&(name, cpu))));
            }
        }
    }
    // What a CPU does not have, it says.
    let refused = on_cpu(of, "no_disk", "cortex-a57", true, false);
    let no_vhe = "BH0109: /hypervisor: `vhe` is \"on\", but this CPU has no FEAT_VHE";
    let steps = vec![see("linux", no_vhe), see("linux", "nothing was started")];
    all.push(Scenario { name: "vhe_where_there_is_none", steps, ..refused });
    all
}
