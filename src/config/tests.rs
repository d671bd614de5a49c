use super::*;
use crate::crash::{Limit, OnCrash};
use crate::refusal::{Place, Refusal, code};
use crate::tree::sample::{Sample, node};
use crate::vcpu::InterruptMode;

fn parse(root: &Sample) -> Result<Config, Vec<ConfigError>> {
    Config::parse(&Tree::parse(&root.blob()).unwrap())
}

fn schema() -> Sample {
    node("").text("compatible", [SCHEMA])
}

fn linux() -> Sample {
    node("linux").flag("root").text("kernel", ["linux/Image"])
}

fn control() -> Sample {
    node("control").text("cpus", ["cpu@3"]).text("memory", ["16M"]).text("image", ["control.elf"])
}

fn direct() -> Sample {
    control().text("interrupt-mode", ["direct"])
}

/// All errors of a description with the root cell and this one.
fn errors(cell: Sample) -> Vec<String> {
    let errors = parse(&schema().child(linux()).child(cell)).err().unwrap_or_default();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn calls_of_firmware_are_listed_once_each() {
    let with = |ids: &[u32]| parse(&schema().child(linux().cells("smc-allow", ids.iter().copied())));
    assert_eq!(
        with(&[0xc200_0001, 0x8300_0000, 0xc200_0001]).unwrap().cells[0].smc_allow,
        [0xc200_0001, 0x8300_0000]
    );
    let said = |ids: &[u32]| with(ids).unwrap_err()[0].to_string();
    let kept = "/linux: `smc-allow`: 0x84000008 is no fast call of a SiP or OEM service (0x82000000 to 0x8300ffff, 0xc2000000 to \
                0xc300ffff): no other may reach firmware";
    assert_eq!(said(&[0x8400_0008, 0xc200_0001]), kept);
    let odd = "/linux: `smc-allow`: expected 1 to 32 function IDs, like <0xc2000001>";
    assert_eq!(said(&[]), odd);
    assert_eq!(said(&[0xc200_0001; 33]), odd);
}

#[test]
fn the_demo_is_understood() {
    let linux = linux()
        .text("initrd", ["linux/initrd.cpio.gz"])
        .text("bootargs", ["console=ttyAMA0"])
        .text("unprotected-dma", ["accept"]);
    let control =
        control().text("devices", ["pl031", "/pl011@9040000"]).text("console", ["none"]).flag("watchdog");
    let config = parse(&schema().child(linux).child(control)).unwrap();
    let expected = [
        CellConfig {
            name: "linux".into(),
            root: true,
            cpus: CpuChoice::Rest,
            memory: None,
            ram_base: None,
            payload: Payload::Linux {
                kernel: "linux/Image".into(),
                initrd: Some("linux/initrd.cpio.gz".into()),
            },
            bootargs: Bootargs::Own("console=ttyAMA0".into()),
            tree: CellTree::Derived,
            devices: vec![],
            console: CellConsole::Virtual,
            unprotected_dma: true,
            foreign_dependencies: false,
            watchdog: false,
            on_crash: OnCrash::Stop,
            interrupts: InterruptMode::Virtual,
            smc_allow: Vec::new(),
        },
        CellConfig {
            name: "control".into(),
            root: false,
            cpus: CpuChoice::Names(vec!["cpu@3".into()]),
            memory: Some(16 << 20),
            ram_base: None,
            payload: Payload::Image { file: "control.elf".into(), load_address: None, entry: None },
            bootargs: Bootargs::None,
            tree: CellTree::Derived,
            devices: vec!["pl031".into(), "/pl011@9040000".into()],
            console: CellConsole::None,
            unprotected_dma: false,
            foreign_dependencies: false,
            watchdog: true,
            on_crash: OnCrash::Stop,
            interrupts: InterruptMode::Virtual,
            smc_allow: Vec::new(),
        },
    ];
    assert_eq!(config.cells, expected);
    assert_eq!(config.root().unwrap().name, "linux");
}

#[test]
fn cpus_are_names_or_a_number() {
    let with = |cpus: Sample| parse(&schema().child(cpus.text("memory", ["1G"]).text("image", ["a"])));
    let cpus = |cell: Sample| with(cell).map(|config| config.cells[0].cpus.clone());
    let a = || node("a");
    let names = CpuChoice::Names(vec!["cpu@1".into(), "cpu@0".into()]);
    assert_eq!(cpus(a().text("cpus", ["cpu@1", "cpu@0"])), Ok(names));
    assert_eq!(cpus(a().cells("cpus", [2])), Ok(CpuChoice::Count(2)));
    // Four bytes, but a name.
    assert_eq!(cpus(a().text("cpus", ["cpu"])), Ok(CpuChoice::Names(vec!["cpu".into()])));
    for wrong in [a().cells("cpus", [0]), a().cells("cpus", [1, 2]), a().flag("cpus"), a().text("cpus", [""])]
    {
        let error = &cpus(wrong).unwrap_err()[0];
        assert_eq!(
            error.to_string(),
            "/a: `cpus`: expected one or more CPUs, or how many as a number from 1"
        );
    }
    assert_eq!(
        cpus(a().text("cpus", ["x", "x"])).unwrap_err()[0].to_string(),
        "/a: `cpus`: `x` is there twice"
    );
}

#[test]
fn memory_is_a_text_or_a_number() {
    let cell = || node("a").cells("cpus", [1]).text("image", ["a"]);
    let memory = |cell| parse(&schema().child(cell)).map(|config| config.cells[0].memory.unwrap());
    assert_eq!(memory(cell().text("memory", ["64K"])), Ok(65_536));
    assert_eq!(memory(cell().text("memory", ["1G"])), Ok(1 << 30));
    assert_eq!(memory(cell().cells("memory", [0x20_0000])), Ok(2 << 20));
    assert_eq!(memory(cell().cells("memory", [1, 0])), Ok(1 << 32));
    assert_eq!(
        memory(cell().cells("memory", [0x4000_2000])),
        Ok(0x4000_2000),
        "as text it would be `@` and a space"
    );
    for wrong in [
        cell().text("memory", ["0"]),
        cell().text("memory", ["1K"]),
        cell().text("memory", ["16MB"]),
        cell().text("memory", ["1M", "2M"]),
        cell().cells("memory", [0]),
        cell().cells("memory", [0x1001]),
        cell().cells("memory", [0, 0, 0x1000]),
        cell().flag("memory"),
    ] {
        assert!(memory(wrong).unwrap_err()[0].to_string().starts_with("/a: `memory`: expected a size"));
    }
}

#[test]
fn the_language_and_the_number_of_cells_are_checked() {
    let first = |root: &Sample| parse(root).unwrap_err()[0].to_string();
    let other = node("").text("compatible", ["bulkhead,cells-v9"]).child(linux());
    assert!(first(&other).starts_with("/: `compatible`: this is no cell description of a known version"));
    assert_eq!(first(&schema()), "/: there is no cell; each node below the root is one");
    assert_eq!(
        first(&schema().child(node("shared"))),
        "/shared: this version of Bulkhead does not have this yet"
    );
    assert_eq!(first(&schema().flag("root").child(linux())), "/: `root`: there is no such property");
    let cell =
        |n: usize| node(&format!("c{n}")).cells("cpus", [1]).text("memory", ["1M"]).text("image", ["a"]);
    let many = |n| (0..n).fold(schema(), |root, n| root.child(cell(n)));
    assert_eq!(parse(&many(MAX_CELLS)).unwrap().root(), None);
    assert_eq!(first(&many(MAX_CELLS + 1)), "/: there are more than 64 cells");
    let second = node("second").flag("root").text("kernel", ["Image"]);
    assert_eq!(
        errors(second),
        ["/second: `root`: /linux is the root cell already; take `root` out of one of the two"]
    );
}

#[test]
fn what_the_compiler_adds_does_not_matter() {
    let control = control().cells("phandle", [1]).cells("#address-cells", [1]);
    let root = schema().child(linux()).child(control).child(node("__symbols__").text("x", ["/linux"]));
    assert_eq!(parse(&root).unwrap().cells.len(), 2);
}

#[test]
fn each_mistake_is_named_with_its_place() {
    for (cell, mistakes) in [
        (
            node("a"),
            &[
                "/a: `cpus`: this is missing; name this cell's CPUs, or say how many",
                "/a: `memory`: this is missing; say how much this cell gets, like \"16M\"",
                "/a: `kernel`: this is missing; name a Linux kernel, or any other program as `image`",
            ][..],
        ),
        (
            control().text("memroy", ["1G"]),
            &["/control: `memroy`: there is no such property; did you mean `memory`?"],
        ),
        (control().text("colour", ["red"]), &["/control: `colour`: there is no such property"]),
        (
            control().text("cache-colours", ["1"]),
            &["/control: `cache-colours`: this version of Bulkhead does not have this yet"],
        ),
        (
            control().text("interrupt-mode", ["fast"]),
            &["/control: `interrupt-mode`: expected \"virtual\" or \"direct\""],
        ),
        (
            control().text("wfi", ["own"]),
            &[
                "/control: `wfi`: this is for `interrupt-mode = \"direct\"`: in the other mode WFI never exits",
            ],
        ),
        (direct().text("wfi", ["yes"]), &["/control: `wfi`: expected \"own\""]),
        (
            direct().text("wfi", ["own"]).flag("watchdog").text("on-crash", ["restart"]),
            &[
                "/control: `wfi`: this and `watchdog` exclude each other",
                "/control: `wfi`: this and `on-crash` exclude each other",
            ],
        ),
        (control().text("console", [""]), &["/control: `console`: expected one name"]),
        (control().text("unprotected-dma", ["yes"]), &["/control: `unprotected-dma`: expected \"accept\""]),
        (control().flag("unprotected-dma"), &["/control: `unprotected-dma`: expected \"accept\""]),
        (control().text("devices", ["a", "b", "a"]), &["/control: `devices`: `a` is there twice"]),
        (control().cells("devices", [1]), &["/control: `devices`: expected one or more names, 256 at most"]),
        (control().text("kernel", ["Image"]), &["/control: `image`: this and `kernel` exclude each other"]),
        (control().text("initrd", ["rd"]), &["/control: `initrd`: this and `image` exclude each other"]),
        (control().cells("bootargs", [1]), &["/control: `bootargs`: expected one string"]),
        (control().child(node("sub")), &["/control/sub: there can be no node here"]),
        (
            node("c@1").cells("cpus", [1]).text("memory", ["1M"]).text("image", ["i"]),
            &["/c@1: a cell has a plain name, without `@`"],
        ),
        (
            node("c").cells("cpus", [1]).text("memory", ["1M"]).text("image", [""]),
            &["/c: `image`: expected the name of a file in the archive"],
        ),
    ] {
        assert_eq!(errors(cell), mistakes);
    }
}

#[test]
fn the_root_cell_has_what_is_left() {
    let mistakes = parse(&schema().child(linux().text("memory", ["1G"]))).unwrap_err();
    assert_eq!(mistakes[0].code(), code::NOT_IN_ROOT);
    let mistakes = parse(&schema().child(node("a").cells("root", [1]).text("image", ["a"]))).unwrap_err();
    assert_eq!(mistakes.len(), 1);
    assert_eq!(mistakes[0].to_string(), "/a: `root`: expected no value");
    let cpus = parse(&schema().child(linux().cells("cpus", [1]))).unwrap().cells[0].cpus.clone();
    assert_eq!(cpus, CpuChoice::Count(1));
}

#[test]
fn consoles() {
    let console = |cell: Sample, hypervisor: Option<Sample>| {
        let root = hypervisor.into_iter().fold(schema(), Sample::child);
        parse(&root.child(cell)).map(|config| (config.cells[0].console.clone(), config.hypervisor))
    };
    let of = |cell| console(cell, None).unwrap().0;
    assert_eq!(of(linux()), CellConsole::Virtual);
    assert_eq!(of(linux().text("console", ["none"])), CellConsole::None);
    assert_eq!(of(linux().text("console", ["serial0"])), CellConsole::Device("serial0".into()));
    assert_eq!(of(control()), CellConsole::None);
    assert_eq!(of(control().text("console", ["virtual"])), CellConsole::Virtual);

    let hypervisor = |node| console(linux(), Some(node)).unwrap().1;
    let default = HypervisorConfig { console: ConsoleChoice::Stdout, print_plan: false, vhe: Vhe::Auto };
    assert_eq!(console(linux(), None).unwrap().1, default);
    assert_eq!(hypervisor(node("hypervisor").text("console", ["stdout-path"])), default);
    let named = node("hypervisor").text("console", ["serial1"]).flag("print-plan");
    let expected =
        HypervisorConfig { console: ConsoleChoice::Name("serial1".into()), print_plan: true, vhe: Vhe::Auto };
    assert_eq!(hypervisor(named), expected);
    for (word, vhe) in [("auto", Vhe::Auto), ("on", Vhe::On), ("off", Vhe::Off)] {
        assert_eq!(hypervisor(node("hypervisor").text("vhe", [word])).vhe, vhe);
    }
    let none = || node("hypervisor").text("console", ["none"]);
    assert_eq!(hypervisor(none()).console, ConsoleChoice::None);

    let refused = |cell, hypervisor| console(cell, Some(hypervisor)).unwrap_err()[0].clone();
    let nowhere = refused(control().text("console", ["virtual"]), none());
    assert_eq!(nowhere.code(), code::NO_CONSOLE);
    let place = |node: &str| Place::Description { node: node.into(), property: Some("console".into()) };
    assert_eq!(nowhere.places(), [place("/control"), place("/hypervisor")]);
    for (wrong, text) in [
        (none().child(node("x")), "/hypervisor/x: there can be no node here"),
        (node("hypervisor").text("vhe", ["yes"]), "/hypervisor: `vhe`: expected \"auto\", \"on\" or \"off\""),
        (
            node("hypervisor").flag("print-plans"),
            "/hypervisor: `print-plans`: there is no such property; did you mean `print-plan`?",
        ),
        (node("hypervisor").text("print-plan", ["yes"]), "/hypervisor: `print-plan`: expected no value"),
    ] {
        assert_eq!(refused(linux(), wrong).to_string(), text);
    }
}

#[test]
fn each_mistake_has_a_number_and_places() {
    let numbers = |cell: Sample| -> Vec<String> {
        let errors = parse(&schema().child(linux()).child(cell)).unwrap_err();
        errors.iter().map(|error| error.code().to_string()).collect()
    };
    assert_eq!(numbers(node("a")), ["BH0010", "BH0010", "BH0010"]);
    assert_eq!(numbers(control().text("memroy", ["1G"])), ["BH0007"]);
    let two = parse(&schema().child(linux()).child(control().flag("root"))).unwrap_err();
    let place = |node: &str, property: &str| Place::Description {
        node: node.into(),
        property: Some(property.into()),
    };
    let roots = two.iter().find(|error| error.code() == code::TWO_ROOTS).unwrap();
    let linux = Place::Description { node: "/linux".into(), property: None };
    assert_eq!(roots.places(), [place("/control", "root"), linux]);
}

#[test]
fn where_a_prebuilt_image_lies() {
    let read = |cell: Sample| parse(&schema().child(cell)).map(|config| config.cells[0].clone());
    let cell = read(
        control()
            .cells("ram-base", [0x8000_0000])
            .text("load-address", ["0x80080000"])
            .cells("entry", [0, 0x8008_0040]),
    );
    let cell = cell.unwrap();
    assert_eq!(cell.ram_base, Some(0x8000_0000));
    let payload = Payload::Image {
        file: "control.elf".into(),
        load_address: Some(0x8008_0000),
        entry: Some(0x8008_0040),
    };
    assert_eq!(cell.payload, payload);
    assert_eq!(read(control().cells("ram-base", [0])).unwrap().ram_base, Some(0));
    // Cells whose bytes are text, too: "@\0 \0" and "@AB\0".
    for at in [0x4000_2000, 0x4041_4200] {
        let payload =
            Payload::Image { file: "control.elf".into(), load_address: None, entry: Some(at.into()) };
        assert_eq!(read(control().cells("entry", [at])).unwrap().payload, payload);
    }

    let says = |cell: Sample, expected: &[&str]| assert_eq!(errors(cell), expected);
    let base = "/control: `ram-base`: expected an address in whole blocks of 2 MiB, like <0x80000000>, with room for the cell's `memory` below 2^48";
    says(control().cells("ram-base", [0x8010_0000]), &[base]);
    says(control().text("ram-base", ["1G"]), &[base]);
    says(control().cells("ram-base", [0xffff, 0xffe0_0000]), &[base]);
    says(control().cells("ram-base", [0xffff_ffff, 0xffe0_0000]), &[base]);
    let odd = "expected an address at a multiple of 4, like <0x40080000>";
    says(control().cells("load-address", [2]), &[&format!("/control: `load-address`: {odd}")]);
    says(control().text("entry", ["start"]), &[&format!("/control: `entry`: {odd}")]);
    let kernel = || node("a").cells("cpus", [1]).text("memory", ["1G"]).text("kernel", ["Image"]);
    says(
        kernel().cells("load-address", [0x4000_0000]).cells("entry", [0x4000_0000]),
        &[
            "/a: `load-address`: this and `kernel` exclude each other",
            "/a: `entry`: this and `kernel` exclude each other",
        ],
    );
    let root = parse(&schema().child(linux().cells("ram-base", [0]).text("dtb", ["x"]))).unwrap_err();
    assert_eq!(root.iter().map(Refusal::code).collect::<Vec<_>>(), [code::NOT_IN_ROOT; 2]);
}

#[test]
fn trees_and_command_lines() {
    let read = |cell: Sample| parse(&schema().child(cell)).unwrap().cells[0].clone();
    let given = read(control().text("dtb", ["rtos.dtb"]));
    assert_eq!(given.tree, CellTree::Given("rtos.dtb".into()));
    assert_eq!(given.files().collect::<Vec<_>>(), [("image", "control.elf"), ("dtb", "rtos.dtb")]);
    let overlaid = read(linux().text("initrd", ["rd"]).text("dtb-overlay", ["more.dtbo"]));
    assert_eq!(overlaid.tree, CellTree::Overlaid("more.dtbo".into()));
    let files = [("kernel", "linux/Image"), ("initrd", "rd"), ("dtb-overlay", "more.dtbo")];
    assert_eq!(overlaid.files().collect::<Vec<_>>(), files);
    assert_eq!(read(linux().text("bootargs", [""])).bootargs, Bootargs::Own("".into()));
    assert_eq!(read(linux().text("bootargs-append", ["x"])).bootargs, Bootargs::BoardsAnd("x".into()));

    let both = linux().text("bootargs", ["a"]).text("bootargs-append", ["b"]);
    let both = parse(&schema().child(both)).unwrap_err();
    assert_eq!(both[0].to_string(), "/linux: `bootargs-append`: this and `bootargs` exclude each other");
    for other in ["bootargs", "bootargs-append", "dtb-overlay"] {
        let expected = format!("/control: `{other}`: this and `dtb` exclude each other");
        assert_eq!(errors(control().text("dtb", ["x"]).text(other, ["y"])), [expected]);
    }
}

#[test]
fn what_an_owner_accepts() {
    let read = |cell: Sample| parse(&schema().child(cell)).map(|config| config.cells[0].foreign_dependencies);
    assert_eq!(read(control()), Ok(false));
    assert_eq!(read(control().text("foreign-dependencies", ["accept"])), Ok(true));
    let wrong = errors(control().text("foreign-dependencies", ["yes"]));
    assert_eq!(wrong, ["/control: `foreign-dependencies`: expected \"accept\""]);
}

#[test]
fn what_follows_a_crash() {
    let read = |cell: Sample| parse(&schema().child(cell)).map(|config| config.cells[0].on_crash);
    let with = |word: &str| control().text("on-crash", [word]);
    assert_eq!(read(control()), Ok(OnCrash::Stop));
    assert_eq!(read(with("stop")), Ok(OnCrash::Stop));
    assert_eq!(read(with("halt-machine")), Ok(OnCrash::HaltMachine));
    assert_eq!(read(with("restart")), Ok(OnCrash::Restart(Limit { restarts: 5, seconds: 60 })));
    let limited = with("restart").cells("restart-limit", [1, u32::MAX]);
    assert_eq!(read(limited), Ok(OnCrash::Restart(Limit { restarts: 1, seconds: u32::MAX })));

    let word = "/control: `on-crash`: expected \"stop\", \"restart\" or \"halt-machine\"";
    assert_eq!(errors(with("reboot")), [word]);
    assert_eq!(errors(with("")), [word]);
    let limit =
        "/control: `restart-limit`: expected how many restarts in how many seconds, each from 1, like <5 60>";
    for wrong in [&[5][..], &[5, 60, 1], &[0, 60], &[5, 0]] {
        assert_eq!(errors(with("restart").cells("restart-limit", wrong.iter().copied())), [limit]);
    }
    let other = "/control: `on-crash`: expected \"restart\" where there is a `restart-limit`";
    for cell in [control(), with("stop"), with("halt-machine")] {
        assert_eq!(errors(cell.cells("restart-limit", [5, 60])), [other]);
    }
}

#[test]
fn a_list_is_not_endless() {
    let names: Vec<String> = (0..=MAX_NAMES).map(|n| format!("n{n}")).collect();
    let list = |n: usize| control().text("devices", names[..n].iter().map(String::as_str));
    assert_eq!(errors(list(MAX_NAMES)), [""; 0]);
    assert_eq!(errors(list(MAX_NAMES + 1)), ["/control: `devices`: expected one or more names, 256 at most"]);
}
