//! A hostile guest beside a victim. The verdict is the victim's and the hypervisor's, not the attacker's word: the victim's
//! seconds come without a gap and nothing of its own has changed, EL2 lives, and can still end the attacker and begin it anew.

use bulkhead_cli::qemu::Machine;

use crate::list::{CLOUD, cells, root, see};
use crate::scenario::Boots::Cells;
use crate::scenario::Scenario;
use crate::scenario::Step::{NotSeen, Prompt, Same, Seconds};

/// The machine: the demo's, without what nobody uses.
fn machine(cpu: &'static str) -> Machine {
    Machine { cpu: cpu.into(), its: false, ..Machine::DEMO }
}

fn victim(console: &str) -> String {
    format!("    victim {{ cpus = \"cpu@0\"; memory = \"8M\"; image = \"victim.elf\"; {console} }};\n")
}

/// The attacker. Some of its ends are crashes, and its next life shall begin all the same.
fn hostile(cpus: &str, more: &str) -> String {
    // Some of the classes only: enough for a mutant.
    let more = match std::env::var("HOSTILE_RUN") {
        Ok(classes) if !more.contains("bootargs") => format!("{more} bootargs = \"hostile.run={classes}\";"),
        _ => more.into(),
    };
    format!(
        "    hostile {{ cpus = {cpus}; memory = \"16M\"; image = \"hostile.elf\"; \
         on-crash = \"restart\"; restart-limit = <1000 1>; {more} }};\n"
    )
}

const ONE: &str = "\"cpu@1\"";
const TWO: &str = "\"cpu@1\", \"cpu@2\"";

/// All attacks, then a new life of the attacker, which finds nothing of the former one.
fn all_attacks(name: &'static str, cpu: &'static str, cpus: &'static str) -> Scenario {
    // Each by its name where there is time for that.
    let list = if cpu == "max" { "" } else { "bootargs = \"hostile.list\";" };
    Scenario {
        name,
        long: false,
        machine: machine(cpu),
        boots: Cells(cells(&[
            victim("devices = \"serial1\";"),
            hostile(cpus, &format!("console = \"virtual\"; {list}")),
        ])),
        // The hypervisor's own lines come where the attacker's do.
        consoles: vec!["hostile", "victim"],
        steps: vec![
            Seconds("victim", 2),
            see("hostile", "hostile: done "),
            see("hostile", "hostile: begins"),
            see("hostile", "hostile: vectors "),
            Same("hostile", "hostile: registers "),
            Same("hostile", "hostile: vectors "),
            Same("hostile", "hostile: nothing of a former life"),
            Seconds("victim", 10),
            NotSeen("FAILED"),
            NotSeen("hostile: FOUND"),
            NotSeen("hostile: ODD"),
            NotSeen("guest: "),
        ],
    }
}

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    // With two vCPUs each time on other CPUs, in the other mode, on the other GIC: see `cpus`, `direct`, `gicv2`.
    let mut all = vec![
        all_attacks("hostile_one_vcpu", "cortex-a57", ONE),
        Scenario { long: true, ..all_attacks("hostile_two_vcpus", "cortex-a57", TWO) },
        Scenario { long: true, ..all_attacks("hostile_one_vcpu_on_max", "max", ONE) },
    ];
    // Other random numbers in each life and in each run; the attacker says which.
    let salted = all_attacks("hostile_seeds", "cortex-a57", TWO);
    let each = (0..3).flat_map(|_| [see("hostile", "hostile: seed "), see("hostile", "hostile: done ")]);
    all.push(Scenario {
        long: true,
        boots: Cells(cells(&[
            victim("devices = \"serial1\";"),
            hostile(TWO, "console = \"virtual\"; bootargs = \"hostile.seed=time hostile.list\";"),
        ])),
        steps: each.chain(salted.steps).collect(),
        ..salted
    });
    // Short lives, ended in every way while the second vCPU is in any state.
    let lives = (0..40).map(|_| see("hostile", "hostile: life ends by ")).collect::<Vec<_>>();
    all.push(Scenario {
        boots: Cells(cells(&[
            victim("devices = \"serial1\";"),
            hostile(TWO, "console = \"virtual\"; bootargs = \"hostile.mode=lives\";"),
        ])),
        steps: [
            vec![Seconds("victim", 1)],
            lives,
            vec![Seconds("victim", 3), NotSeen("FAILED"), NotSeen("hostile: ODD")],
        ]
        .concat(),
        ..all_attacks("hostile_lives", "cortex-a57", TWO)
    });
    // Firmware keeps Group 0, some SGIs and the second UART: the attacker has no line of its own.
    all.push(Scenario {
        machine: Machine { secure: true, ..machine("cortex-a57") },
        boots: Cells(cells(&[
            victim("console = \"virtual\";"),
            hostile(TWO, "bootargs = \"hostile.end=spin\";"),
        ])),
        consoles: vec!["victim"],
        steps: vec![Seconds("victim", 30), NotSeen("FAILED")],
        long: true,
        ..all_attacks("hostile_where_ds_is_0", "cortex-a57", TWO)
    });
    all.push(Scenario {
        machine: Machine { virtio_console: true, ..machine("cortex-a57") },
        boots: Cells(cells(&[
            root(CLOUD, "console=hvc0"),
            "    victim { cpus = \"cpu@3\"; memory = \"8M\"; image = \"victim.elf\"; devices = \"serial1\"; };\n".into(),
            hostile(TWO, "console = \"virtual\";"),
        ])),
        consoles: vec!["hostile", "victim", "linux"],
        steps: vec![
            see("linux", "bulkhead: linux up, 1 cpus"),
            Prompt("linux"),
            see("hostile", "hostile: begins"),
            Seconds("victim", 10),
            NotSeen("FAILED"),
        ],
        ..all_attacks("hostile_beside_linux", "cortex-a57", TWO)
    });
    all.push(Scenario {
        long: true,
        boots: Cells(cells(&[
            victim("devices = \"serial1\";"),
            hostile(TWO, "console = \"virtual\"; bootargs = \"hostile.run=memory,gic,el0 hostile.deep hostile.end=off\";"),
        ])),
        steps: vec![Seconds("victim", 240), NotSeen("FAILED")],
        ..all_attacks("hostile_deep", "max", TWO)
    });
    all
}
