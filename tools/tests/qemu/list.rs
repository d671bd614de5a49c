//! What is booted and what must be seen.

use bulkhead_cli::qemu::{Disk, Machine};

use crate::scenario::Boots::{Cells, Native};
use crate::scenario::Step::{CleanLog, NotSeen, Off, Prompt, Seconds, See, Type};
use crate::scenario::{Scenario, Step, file};

pub const CLOUD: &str = "linux-6.12-cloud";

/// A description of these cells.
pub fn cells(cells: &[String]) -> String {
    format!("/dts-v1/;\n/ {{\n    compatible = \"bulkhead,cells-v1\";\n{}}};\n", cells.concat())
}

/// The root cell: Linux with all that no other cell claims.
pub fn root(kernel: &str, bootargs: &str) -> String {
    format!(
        "    linux {{ root; kernel = \"{kernel}/Image\"; initrd = \"{kernel}/initrd.cpio\"; bootargs = \"{bootargs}\"; \
         unprotected-dma = \"accept\"; }};\n"
    )
}

/// A Linux cell beside it.
pub fn linux(name: &str, cpus: &str, memory: &str, bootargs: &str, more: &str) -> String {
    format!(
        "    {name} {{ cpus = {cpus}; memory = \"{memory}\"; kernel = \"{CLOUD}/Image\"; initrd = \"{CLOUD}/initrd.cpio\"; \
         bootargs = \"{bootargs}\"; {more} }};\n"
    )
}

/// The control cell.
pub fn control(cpu: &str, serial: &str) -> String {
    let console = if serial == "virtual" { "console" } else { "devices" };
    format!(
        "    control {{ cpus = \"{cpu}\"; memory = \"16M\"; image = \"control.elf\"; {console} = \"{serial}\"; }};\n"
    )
}

/// Linux on three CPUs beside the control cell on the fourth, as in the demo.
pub fn beside_control(kernel: &str, bootargs: &str) -> String {
    cells(&[root(kernel, &format!("console=ttyAMA0 {bootargs}")), control("cpu@3", "serial1")])
}

pub fn see(console: &'static str, text: impl Into<String>) -> Step {
    See(console, text.into())
}

/// Linux comes up with its CPUs, says what it is and powers off; the control cell keeps time before and after.
fn comes_and_goes(up: &'static str) -> Vec<Step> {
    vec![
        see("linux", "bulkhead: linux up, 3 cpus"),
        see("linux", format!("bulkhead: check {up}")),
        Seconds("control", 3),
        see("linux", "reboot: Power down"),
        Seconds("control", 3),
    ]
}

/// A scenario on the demo's machine.
pub fn scenario(name: &'static str, boots: crate::scenario::Boots, steps: Vec<Step>) -> Scenario {
    Scenario { name, long: false, machine: Machine::DEMO, boots, consoles: vec!["linux=1", "control"], steps }
}

/// The demo's cells on another machine, or with another kernel.
fn demo_on(name: &'static str, machine: Machine, kernel: &'static str, up: &'static str) -> Scenario {
    let boots = Cells(beside_control(kernel, "bulkhead.test=check"));
    Scenario { machine, ..scenario(name, boots, comes_and_goes(up)) }
}

/// What cells do on a GICv2.
fn gicv2() -> Vec<Scenario> {
    let machine = Machine { gic: 2, its: false, ..Machine::DEMO };
    let alone = cells(&[control("cpu@0", "serial1")]);
    let direct = alone.replace("    control {", "    control { interrupt-mode = \"direct\";");
    let keeps_time = |name, text| Scenario {
        machine: machine.clone(),
        ..scenario(name, Cells(text), vec![Seconds("control", 5)])
    };
    vec![
        demo_on("board_virt_gicv2", machine.clone(), CLOUD, "6.12"),
        keeps_time("gicv2_control_alone", alone),
        keeps_time("gicv2_direct_control", direct),
    ]
}

/// The probe, which checks what the cell ABI promises, on this machine: in cells with a UART each, and so many CPUs.
fn probe(name: &'static str, machine: Machine, cpus: u32, consoles: Vec<&'static str>) -> Scenario {
    // Without a console of its own the hypervisor leaves both UARTs to the cells.
    let mut described = vec!["    hypervisor { console = \"none\"; };\n".to_string()];
    for (number, cell) in consoles.iter().enumerate() {
        described.push(format!(
            "    {cell} {{ cpus = <{cpus}>; memory = \"32M\"; image = \"probe.elf\"; devices = \"serial{number}\"; \
             bootargs = \"probe.zeroed\"; }};\n"
        ));
    }
    let mut steps: Vec<_> = consoles.iter().map(|cell| see(cell, " ok, 0 failed")).collect();
    steps.extend([NotSeen("probe: FAIL"), Off]);
    let machine = Machine { disk: Disk::None, ..machine };
    Scenario { machine, consoles, ..scenario(name, Cells(cells(&described)), steps) }
}

fn probes() -> Vec<Scenario> {
    let machine = |cpu: &'static str, smp| Machine { cpu: cpu.into(), smp, ..Machine::DEMO };
    let one = || vec!["probe"];
    vec![
        probe("probe_2_vcpus", machine("cortex-a57", 2), 2, one()),
        probe("probe_4_vcpus", machine("cortex-a57", 4), 4, one()),
        probe("probe_4_vcpus_on_max", machine("max", 4), 4, one()),
        probe("two_probes", machine("cortex-a57", 4), 2, vec!["probe", "other"]),
        probe("probe_beside_el3", Machine { secure: true, ..machine("cortex-a57", 2) }, 2, one()),
    ]
}

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let mut all = vec![
        // The harness itself: Linux without a hypervisor must pass what Linux in a cell must pass.
        Scenario {
            machine: Machine { smp: 2, its: false, ..Machine::DEMO },
            consoles: vec!["linux"],
            ..scenario(
                "native_load",
                Native(CLOUD, "console=ttyAMA0 bulkhead.test=load".into()),
                vec![see("linux", "bulkhead: load ok, 2 CPUs"), CleanLog("linux", CLOUD, 2), Off],
            )
        },
        Scenario {
            machine: Machine { smp: 2, its: false, ..Machine::DEMO },
            consoles: vec!["linux"],
            ..scenario(
                "native_reboot",
                Native("linux-6.12-rt", "console=ttyAMA0 bulkhead.test=reboot".into()),
                vec![
                    see("linux", "bulkhead: linux up, 2 cpus"),
                    see("linux", "bulkhead: rebooting"),
                    see("linux", "bulkhead: linux up, 2 cpus"),
                    see("linux", "bulkhead: reboot ok"),
                    Off,
                ],
            )
        },
        Scenario {
            machine: Machine { smp: 2, its: false, virtio_console: true, ..Machine::DEMO },
            consoles: vec!["uart", "linux"],
            ..scenario(
                "native_virtio_console",
                Native("linux-6.1-cloud", "console=hvc0".into()),
                vec![
                    see("linux", "bulkhead: linux up, 2 cpus"),
                    Prompt("linux"),
                    Type("linux", "poweroff -f"),
                    Off,
                ],
            )
        },
        scenario(
            "demo",
            Cells(file("dts/qemu-virt/demo.dts")),
            vec![
                see("linux", "bulkhead: linux up, 3 cpus"),
                Prompt("linux"),
                Type("linux", "echo sees $(nproc) of $(grep -c ^processor /proc/cpuinfo)"),
                see("linux", "sees 3 of 3"),
                Seconds("control", 10),
                Type("linux", "poweroff -f"),
                see("linux", "reboot: Power down"),
                Seconds("control", 4),
            ],
        ),
        scenario(
            "one_cell_has_all_cpus",
            Cells(cells(&[root(CLOUD, "console=ttyAMA0 bulkhead.test=check")])),
            vec![see("linux", "bulkhead: linux up, 4 cpus"), see("linux", "bulkhead: check 6.12"), Off],
        ),
        scenario(
            "load_and_a_clean_log",
            Cells(beside_control(CLOUD, "bulkhead.test=load")),
            vec![
                see("linux", "bulkhead: load ok, 3 CPUs busy"),
                CleanLog("linux", CLOUD, 3),
                see("linux", "reboot: Power down"),
                Seconds("control", 10),
            ],
        ),
        scenario(
            "cpus_go_off_and_on_20_times",
            Cells(beside_control(CLOUD, "bulkhead.test=hotplug")),
            vec![
                see("linux", "bulkhead: hotplug ok, 20 rounds of 2 CPUs"),
                see("linux", "reboot: Power down"),
                Seconds("control", 10),
            ],
        ),
        scenario(
            "root_reboots_beside_an_undisturbed_neighbour",
            Cells(beside_control(CLOUD, "bulkhead.test=reboot")),
            vec![
                see("linux", "bulkhead: linux up, 3 cpus"),
                Seconds("control", 3),
                see("linux", "bulkhead: linux up, 3 cpus"),
                see("linux", "bulkhead: reboot ok"),
                see("linux", "reboot: Power down"),
                // Each second follows the one before: the control cell had one life.
                Seconds("control", 10),
            ],
        ),
        Scenario {
            machine: Machine { smp: 8, memory: "2G".into(), virtio_console: true, ..Machine::DEMO },
            consoles: vec!["control", "second", "linux"],
            ..scenario(
                "two_linux_cells_and_a_control_cell",
                Cells(cells(&[
                    root(CLOUD, "console=hvc0 bulkhead.test=load"),
                    linux(
                        "second",
                        "\"cpu@4\", \"cpu@5\", \"cpu@6\"",
                        "256M",
                        "bulkhead.test=check",
                        "devices = \"serial1\";",
                    ),
                    control("cpu@7", "virtual"),
                ])),
                vec![
                    see("second", "bulkhead: linux up, 3 cpus"),
                    see("second", "reboot: Power down"),
                    see("linux", "bulkhead: load ok, 4 CPUs busy"),
                    see("linux", "bulkhead: powering off"),
                    Seconds("control", 10),
                ],
            )
        },
        Scenario {
            machine: Machine { smp: 8, memory: "2G".into(), virtio_console: true, ..Machine::DEMO },
            consoles: vec!["control", "second", "linux"],
            ..scenario(
                "four_cells",
                Cells(cells(&[
                    root(CLOUD, "console=hvc0 bulkhead.test=check"),
                    linux("second", "<2>", "256M", "bulkhead.test=check", "devices = \"serial1\";"),
                    linux("silent", "<3>", "256M", "console=none bulkhead.test=check", ""),
                    control("cpu@7", "virtual"),
                ])),
                vec![
                    see("second", "bulkhead: linux up, 2 cpus"),
                    see("second", "reboot: Power down"),
                    see("linux", "bulkhead: linux up, 2 cpus"),
                    see("linux", "bulkhead: powering off"),
                    // It has no device at all: that it came up is seen by its end.
                    see("control", "cell silent: off"),
                    Seconds("control", 10),
                ],
            )
        },
        // With an EL3, GICD_CTLR.DS is 0 and the second UART belongs to it.
        Scenario {
            machine: Machine { secure: true, virtio_console: true, ..Machine::DEMO },
            consoles: vec!["control", "linux"],
            ..scenario(
                "gicd_ctlr_ds_is_0",
                Cells(cells(&[root(CLOUD, "console=hvc0 bulkhead.test=load"), control("cpu@3", "virtual")])),
                vec![
                    see("linux", "bulkhead: linux up, 3 cpus"),
                    see("linux", "bulkhead: load ok, 3 CPUs busy"),
                    see("linux", "bulkhead: powering off"),
                    Seconds("control", 10),
                ],
            )
        },
        Scenario {
            machine: Machine { smp: 4, virtio_console: true, ..Machine::DEMO },
            consoles: vec!["control", "second", "linux"],
            long: true,
            ..scenario(
                "a_linux_beside_root_reboots",
                Cells(cells(&[
                    // A cell may have the board's console for itself.
                    "    hypervisor { console = \"none\"; };\n".into(),
                    root(CLOUD, "console=hvc0"),
                    linux("second", "<2>", "256M", "bulkhead.test=reboot", "devices = \"serial1\";"),
                    control("cpu@3", "serial0"),
                ])),
                vec![
                    see("second", "bulkhead: linux up, 2 cpus"),
                    Seconds("control", 3),
                    see("second", "bulkhead: rebooting"),
                    see("second", "bulkhead: linux up, 2 cpus"),
                    see("second", "bulkhead: rebooting"),
                    see("second", "bulkhead: linux up, 2 cpus"),
                    Prompt("linux"),
                    Seconds("control", 10),
                ],
            )
        },
    ];
    all.extend(crate::screen::scenarios().into_iter().chain(crate::typing::scenarios()));
    all.extend([
        demo_on("linux_6_1", Machine::DEMO, "linux-6.1-cloud", "6.1."),
        demo_on("linux_6_12_rt", Machine::DEMO, "linux-6.12-rt", "6.12"),
        demo_on("ram_512_mib", Machine { memory: "512M".into(), ..Machine::DEMO }, CLOUD, "6.12"),
        Scenario {
            long: true,
            ..demo_on("ram_3_gib", Machine { memory: "3G".into(), ..Machine::DEMO }, CLOUD, "6.12")
        },
        demo_on("ram_8_gib", Machine { memory: "8G".into(), ..Machine::DEMO }, CLOUD, "6.12"),
        demo_on("no_disk", Machine { disk: Disk::None, ..Machine::DEMO }, CLOUD, "6.12"),
    ]);
    all.extend(gicv2());
    all.extend(probes().into_iter().chain(crate::answers::scenarios()));
    // What takes long: the load and the log on every other kernel and CPU.
    for (name, cpu, kernel) in [
        ("load_6_1_on_cortex_a53", "cortex-a53", "linux-6.1-cloud"),
        ("load_6_1_on_max", "max", "linux-6.1-cloud"),
        ("load_6_12_on_cortex_a72", "cortex-a72", CLOUD),
        ("load_6_12_on_cortex_a76", "cortex-a76", CLOUD),
        ("load_6_12_on_max", "max", CLOUD),
        ("load_rt_on_cortex_a57", "cortex-a57", "linux-6.12-rt"),
    ] {
        let boots = Cells(beside_control(kernel, "bulkhead.test=load bulkhead.mib=16"));
        let steps = vec![
            see("linux", "bulkhead: load ok, 3 CPUs busy"),
            CleanLog("linux", kernel, 3),
            see("linux", "reboot: Power down"),
            Seconds("control", 10),
        ];
        let machine = Machine { cpu: cpu.into(), ..Machine::DEMO };
        all.push(Scenario { long: true, machine, ..scenario(name, boots, steps) });
    }
    all.extend(crate::hostile::scenarios().into_iter().chain(crate::watchdog::scenarios()));
    all.extend(crate::restart::scenarios().into_iter().chain(crate::dma::scenarios()));
    let direct = crate::direct::scenarios(&all);
    let gicv2 = crate::gicv2::scenarios(&all);
    all.extend(direct.into_iter().chain(gicv2));
    let cpus = crate::cpus::scenarios(&all);
    all.extend(cpus.into_iter().chain(crate::boards::scenarios()).chain(crate::loaders::scenarios()));
    for scenario in &mut all {
        scenario.steps.push(NotSeen("Unhandled exception"));
    }
    all
}
