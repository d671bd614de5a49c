use super::*;
use crate::board::Board;
use crate::qemu::Scratch;

/// What of Zephyr's board the overlay changes, in our words: labels, parents, cell counts.
const BASE: &str = r#"/dts-v1/;
/ {
    #address-cells = <2>;
    #size-cells = <2>;
    chosen { console = &uart0; sram = &sram0; };
    cpus { #address-cells = <1>; #size-cells = <0>; cpu@0 { reg = <0>; }; cpu@1 { reg = <1>; }; };
    timer { interrupts = <1 13 2 0>; };
    uartclk: clock { compatible = "fixed-clock"; #clock-cells = <0>; clock-frequency = <1>; };
    soc {
        #address-cells = <2>;
        #size-cells = <2>;
        ranges;
        gic: interrupt-controller@8000000 { compatible = "arm,gic-v3", "arm,gic"; #interrupt-cells = <4>; interrupt-controller; reg = <0 0x8000000 0 1>; };
        uart0: uart@9000000 { reg = <0 0x9000000 0 0x1000>; };
        sram0: memory@40000000 { reg = <0 0x40000000 0 1>; };
    };
};
"#;

/// A cell on the board of dts/bad that has two CPUs and a UART.
fn fit() -> Fit {
    fit_on(str::to_string)
}

/// The same on what is made of that board.
fn fit_on(change: impl Fn(&str) -> String) -> Fit {
    let folder = Scratch::new().unwrap();
    let cells = folder.path().join("cells.dts");
    let text = r#"/dts-v1/;
/ {
    compatible = "bulkhead,cells-v1";
    control { cpus = <2>; memory = "16M"; image = "a.bin"; devices = "serial1"; };
    mute { cpus = <1>; memory = "16M"; image = "a.bin"; };
};
"#;
    std::fs::write(&cells, text).unwrap();
    std::fs::write(folder.path().join("a.bin"), [0; 64]).unwrap();
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../dts/bad/board.dts")).unwrap();
    let board = folder.path().join("board.dts");
    std::fs::write(&board, change(&text)).unwrap();
    crate::plan::check(&cells, &Board::File(board), folder.path()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_overlay_makes_zephyr_s_board_the_cell() {
    let overlay = overlay(&fit(), "control").unwrap();
    let blob =
        crate::dtc::compile(&format!("{BASE}{overlay}")).unwrap_or_else(|error| panic!("{error}\n{overlay}"));
    let tree = Tree::parse(&blob).unwrap();
    let cells =
        |path: &str, name: &str| tree.at(path).unwrap().prop(name).unwrap().cells().collect::<Vec<_>>();
    assert_eq!(cells("/soc/memory@40000000", "reg"), [0, 0x4000_0000, 0, 0x100_0000]);
    assert_eq!(cells("/soc/uart@9010000", "reg"), [0, 0x901_0000, 0, 0x1000]);
    assert_eq!(cells("/soc/uart@9010000", "interrupts"), [0, 2, 2, 0xa0]);
    assert_eq!(tree.at("/chosen").unwrap().prop("console").unwrap().str(), Some("/soc/uart@9010000"));
    let gic = "/soc/interrupt-controller@8000000";
    assert_eq!(cells(gic, "reg"), [0, 0x800_0000, 0, 0x1_0000, 0, 0x80a_0000, 0, 0x4_0000]);
    assert_eq!(tree.at(gic).unwrap().compatibles().next(), Some("arm,gic-v3"));
    assert_eq!(cells("/timer", "interrupts")[..8], [1, 13, 2, 0xa0, 1, 14, 2, 0xa0]);
    let cpus = tree.at("/cpus").unwrap().children().map(|cpu| cpu.name().to_string()).collect::<Vec<_>>();
    assert_eq!(cpus, ["cpu@0", "cpu@1"]);
    assert!(tree.at("/soc/uart@9000000").is_none(), "the other UART is another cell's");
    for line in ["CONFIG_ARMV8_A_NS=y", "CONFIG_SMP=y", "CONFIG_MP_MAX_NUM_CPUS=2", "CONFIG_XIP=n"] {
        assert!(overlay.contains(line), "{overlay}");
    }
}

#[test]
fn on_a_board_with_a_gicv2_zephyr_has_that_driver() {
    let fit = fit_on(|board| {
        let v2 = board.replace("\"arm,gic-v3\"", "\"arm,gic-400\"").replace(
            "<0 0x8000000 0 0x10000>, <0 0x80a0000 0 0x80000>",
            "<0 0xf001000 0 0x1000>, <0 0xf002000 0 0x2000>, <0 0xf004000 0 0x2000>, <0 0xf006000 0 0x2000>",
        );
        // As a GICv2's private interrupts are written: for which CPUs.
        v2.replace(
            "<1 13 4>, <1 14 4>, <1 11 4>, <1 10 4>",
            "<1 13 0xf08>, <1 14 0xf08>, <1 11 0xf08>, <1 10 0xf08>",
        )
    });
    let overlay = overlay(&fit, "control").unwrap();
    let blob =
        crate::dtc::compile(&format!("{BASE}{overlay}")).unwrap_or_else(|error| panic!("{error}\n{overlay}"));
    let tree = Tree::parse(&blob).unwrap();
    let gic = tree.at("/soc/interrupt-controller@8000000").unwrap();
    assert_eq!(gic.compatibles().collect::<Vec<_>>(), ["arm,gic-v2", "arm,gic"]);
    let reg: Vec<_> = gic.prop("reg").unwrap().cells().collect();
    assert_eq!(reg, [0, 0x800_0000, 0, 0x1000, 0, 0x801_0000, 0, 0x2000], "distributor and CPU interface");
    let timer: Vec<_> = tree.at("/timer").unwrap().prop("interrupts").unwrap().cells().collect();
    assert_eq!(timer[..8], [1, 13, 2, 0xa0, 1, 14, 2, 0xa0], "which CPUs is not Zephyr's to say");
}

#[test]
fn a_cell_without_a_uart_is_told_so() {
    let overlay = overlay(&fit(), "mute").unwrap();
    assert!(overlay.contains("CONFIG_SERIAL=n") && overlay.contains("CONFIG_SMP=n"), "{overlay}");
    assert!(!overlay.contains("uart0: "), "{overlay}");
}

#[test]
fn another_name_is_refused_with_those_there_are() {
    let error = overlay(&fit(), "contrl").unwrap_err().to_string();
    assert_eq!(error, "the description has no cell `contrl`; it has `control`, `mute`");
}
