//! Lives that end in the middle of DMA: a Linux root cell whose three disks are busy is restarted again and again, beside a cell
//! that keeps time. Each life finds on the disks what the one before had written for good.

use bulkhead_cli::qemu::{Disk, Machine};

use crate::list::{CLOUD, beside_control, scenario, see};
use crate::scenario::Boots::Cells;
use crate::scenario::Scenario;
use crate::scenario::Step::{Keys, Order, Seconds};

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

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    vec![
        restarts("root_restarts_in_the_middle_of_dma", 4, "cortex-a57"),
        Scenario { long: true, ..restarts("root_restarts_30_times_in_the_middle_of_dma", 31, "max") },
    ]
}
