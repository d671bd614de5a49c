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
        gic: interrupt-controller@8000000 { #interrupt-cells = <4>; interrupt-controller; reg = <0 0x8000000 0 1>; };
        uart0: uart@9000000 { reg = <0 0x9000000 0 0x1000>; };
        sram0: memory@40000000 { reg = <0 0x40000000 0 1>; };
    };
};
"#;

/// A cell on the board of dts/bad that has two CPUs and a UART.
fn fit() -> Fit {
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
    let board = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../dts/bad/board.dts");
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
    let gic = cells("/soc/interrupt-controller@8000000", "reg");
    assert_eq!(gic, [0, 0x800_0000, 0, 0x1_0000, 0, 0x80a_0000, 0, 0x4_0000]);
    assert_eq!(cells("/timer", "interrupts")[..8], [1, 13, 2, 0xa0, 1, 14, 2, 0xa0]);
    let cpus = tree.at("/cpus").unwrap().children().map(|cpu| cpu.name().to_string()).collect::<Vec<_>>();
    assert_eq!(cpus, ["cpu@0", "cpu@1"]);
    assert!(tree.at("/soc/uart@9000000").is_none(), "the other UART is another cell's");
    for line in ["CONFIG_ARMV8_A_NS=y", "CONFIG_SMP=y", "CONFIG_MP_MAX_NUM_CPUS=2", "CONFIG_XIP=n"] {
        assert!(overlay.contains(line), "{overlay}");
    }
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
