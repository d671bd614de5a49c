//! Lives that end in the middle of DMA: a Linux root cell whose three disks are busy is restarted again and again, beside a cell
//! that keeps time. Each life finds on the disks what the one before had written for good.

use bulkhead_cli::qemu::{Disk, Machine};

use crate::list::{CLOUD, beside_control, cells, control, scenario, see};
use crate::scenario::Boots::Cells;
use crate::scenario::Scenario;
use crate::scenario::Step::{Keys, NotSeen, Order, Seconds};

fn restarts(name: &'static str, lives: u32, cpu: &'static str) -> Scenario {
    let mut steps = vec![see("linux", "bulkhead: busy, life 1")];
    for life in 2..=lives {
        steps.extend([
            Keys("linux", ""),
            Order("linux", "\x1er"),
            see("linux", "bulkhead: cell linux: restarts"),
            see("linux", format!("bulkhead: busy, life {life}")),
            Seconds("control", 3),
        ]);
    }
    let machine = Machine { disk: Disk::ThreeScratch, cpu: cpu.into(), ..Machine::DEMO };
    Scenario { machine, ..scenario(name, Cells(beside_control(CLOUD, "bulkhead.test=busy")), steps) }
}

/// A root cell that resets itself while most of what it asked of its slow disks is still to come. Each life watches for what the
/// one before had asked for.
fn resets(name: &'static str, lives: usize) -> Scenario {
    let root = "    dma { root; image = \"dma.elf\"; unprotected-dma = \"accept\"; };\n";
    let boots = Cells(cells(&[root.into(), control("cpu@3", "serial1")]));
    let mut steps = Vec::new();
    for _ in 0..lives {
        steps.extend([see("dma", "dma: nothing came"), see("dma", "dma: ends its life with 2 disks busy")]);
        steps.push(see("dma", "cell dma: restarts"));
    }
    steps.extend([Seconds("control", 3), NotSeen("dma: FAILED"), NotSeen("guest: ")]);
    let machine = Machine { disk: Disk::TwoSlow, ..Machine::DEMO };
    Scenario { machine, consoles: vec!["dma", "control"], ..scenario(name, boots, steps) }
}

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    vec![
        resets("nothing_of_a_former_life_s_dma_comes", 8),
        Scenario { long: true, ..resets("nothing_of_60_former_lives_dma_comes", 60) },
        Scenario { long: true, ..restarts("root_restarts_in_the_middle_of_dma", 3, "cortex-a57") },
        Scenario { long: true, ..restarts("root_restarts_7_times_in_the_middle_of_dma", 8, "max") },
    ]
}
