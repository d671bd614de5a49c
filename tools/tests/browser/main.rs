//! Plans as a browser draws them: `check.js` looks at each in headless Chromium. Wants chromium, so it is left out unless it is
//! asked for: `scripts/test browser`. The pictures, and what Chromium made of them, stay in target/browser.

#[path = "../demo/mod.rs"]
mod demo;

use std::path::{Path, PathBuf};
use std::process::Command;

use bulkhead_cli::board::Board;
use bulkhead_cli::plan;
use bulkhead_cli::qemu::Machine;
use demo::{images, top};

/// A folder for one picture, with images that any description here is content with.
fn folder(name: &str) -> PathBuf {
    images(&format!("browser/{name}"))
}

fn chromium(args: &[&str], page: &Path) -> String {
    // As root Chromium has no sandbox to offer; the page is ours.
    let out = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1600,900"])
        .args(args)
        .arg(format!("file://{}", page.canonicalize().unwrap().display()))
        .output()
        .expect("chromium does not start: scripts/test browser installs it");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Draws a plan and lets the browser judge it.
fn judge(name: &str, cells: &Path, board: &Board) {
    let said = judged(name, cells, board, |svg| svg);
    assert!(said.starts_with("right: "), "{name}, see target/browser/{name}/plan.png:\n{said}");
}

/// What the browser says of a plan's picture, once `change` has had its hands on it.
fn judged(name: &str, cells: &Path, board: &Board, change: impl Fn(String) -> String) -> String {
    let folder = folder(name);
    let fit = plan::check(cells, board, &folder).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (svg, json) = (change(fit.svg().unwrap()), fit.json().unwrap());
    std::fs::write(folder.join("plan.svg"), &svg).unwrap();
    let page = folder.join("plan.html");
    let script = include_str!("check.js");
    let html = format!(
        "<!doctype html><meta charset=utf-8><style>body {{ margin: 0 }} svg {{ display: block }} pre {{ display: none }}</style>\
         {svg}<pre id=result>the script did not run</pre><script type=application/json id=plan>{}</script>\
         <script>{script}</script>",
        json.replace('<', "\\u003c")
    );
    std::fs::write(&page, html).unwrap();
    chromium(&[&format!("--screenshot={}", folder.join("plan.png").display())], &page);
    let document = chromium(&["--dump-dom"], &page);
    let said = document.split_once("<pre id=\"result\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    said.map_or("nothing", |(said, _)| said).to_string()
}

/// The judge itself: larger text and another colour must not pass.
#[test]
#[ignore = "wants chromium: scripts/test browser"]
fn a_broken_picture_is_noticed() {
    let cells = top().join("dts/qemu-virt/demo.dts");
    let said = judged("broken", &cells, &Board::Virt(Machine::DEMO), |svg| {
        svg.replace("font-size=\"15\"", "font-size=\"40\"").replacen("#e69f00", "#0072b2", 1)
    });
    for complaint in ["overlap", "leaves its room", "has not its colour", "two owners have the colour"] {
        assert!(said.contains(complaint), "no word of {complaint}:\n{said}");
    }
}

fn demo(board: &str, tree: &str) {
    let tree = top().join("target/debian/dtbs").join(tree);
    assert!(tree.exists(), "{} is missing: scripts/setup --all fetches it", tree.display());
    judge(board, &top().join("dts").join(board).join("demo.dts"), &Board::File(tree));
}

#[test]
#[ignore = "wants chromium: scripts/test browser"]
fn the_demo() {
    judge("demo", &top().join("dts/qemu-virt/demo.dts"), &Board::Virt(Machine::DEMO));
}

#[test]
#[ignore = "wants chromium: scripts/test browser"]
fn imx8mp_evk() {
    demo("imx8mp-evk", "imx8mp-evk.dtb");
}

#[test]
#[ignore = "wants chromium: scripts/test browser"]
fn raspberry_pi_4() {
    demo("rpi4", "bcm2711-rpi-4-b.dtb");
}

/// More cells than there are colours, with long names, many CPUs and memory that nobody has.
#[test]
#[ignore = "wants chromium: scripts/test browser"]
fn many_cells() {
    let cell = |at: u32| {
        let size = 16 << (at % 6);
        format!(
            "a-cell-with-quite-a-long-name-{at} {{ cpus = <1>; memory = \"{size}M\"; image = \"control.elf\"; }};\n"
        )
    };
    let cells: String = (0..12).map(cell).collect();
    let source = folder("many").join("cells.dts");
    std::fs::write(&source, format!("/dts-v1/;\n/ {{ compatible = \"bulkhead,cells-v1\";\n{cells}}};\n"))
        .unwrap();
    judge("many", &source, &Board::Virt(Machine { smp: 16, memory: "8G".into(), ..Machine::DEMO }));
}
