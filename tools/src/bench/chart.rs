//! The figures as a picture: a bar for each machine, in groups by case, on a logarithmic scale.

use std::fmt::Write as _;

use super::figures::{CASES, Figures};
use super::machines::Below;

const ROW: f64 = 56.0;
const LEFT: f64 = 190.0;
const WIDTH: f64 = 860.0;
const TOP: f64 = 70.0;
/// Bars end here at the latest; their figures stand behind them.
const RIGHT: f64 = WIDTH - 60.0;
/// What the right end stands for.
const MOST: f64 = 10_000.0;

/// Colours that people with any kind of colour vision tell apart (Okabe and Ito).
fn colour(below: Below) -> &'static str {
    match below {
        Below::Bare => "#999999",
        Below::Virtual => "#0072b2",
        Below::Direct => "#009e73",
        Below::Xen => "#e69f00",
    }
}

fn title(below: Below) -> &'static str {
    match below {
        Below::Bare => "no hypervisor",
        Below::Virtual => "Bulkhead",
        Below::Direct => "Bulkhead, direct",
        Below::Xen => "Xen 4.17 (Debian)",
    }
}

/// Where a figure is on the scale.
fn x(figure: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * (figure.max(1.0).log10() / MOST.log10()).min(1.0)
}

/// The picture, as SVG.
pub fn draw(figures: &Figures) -> String {
    let cases: Vec<_> = CASES
        .iter()
        .filter(|(case, _)| *case != "empty" && figures.median(Below::Virtual, case).is_some())
        .collect();
    let height = TOP + ROW * cases.len() as f64 + 16.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"'DejaVu Sans', \
         Arial, sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n<text \
         x=\"16\" y=\"24\" font-size=\"15\" font-weight=\"bold\">Instructions executed, all exception levels</text>\n"
    );
    for (n, below) in Below::ALL.into_iter().enumerate() {
        let at = 16.0 + 170.0 * n as f64;
        let _ = writeln!(
            svg,
            "<rect x=\"{at}\" y=\"36\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{}\" y=\"46\">{}</text>",
            colour(below),
            at + 18.0,
            title(below)
        );
    }
    for mark in [1.0, 10.0, 100.0, 1_000.0, MOST] {
        let at = x(mark);
        let _ = writeln!(
            svg,
            "<path d=\"M{at:.1} {TOP}V{height}\" stroke=\"#dddddd\"/><text x=\"{at:.1}\" y=\"64\" \
             text-anchor=\"middle\" fill=\"#666666\">{mark}</text>"
        );
    }
    for (row, (case, _)) in cases.iter().enumerate() {
        let top = TOP + ROW * row as f64 + 6.0;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{case}</text>",
            LEFT - 8.0,
            top + 27.0
        );
        for (n, below) in Below::ALL.into_iter().enumerate() {
            let Some(median) = figures.median(below, case) else { continue };
            let (at, end) = (top + 12.0 * n as f64, x(median as f64));
            let _ = writeln!(
                svg,
                "<rect x=\"{LEFT}\" y=\"{at:.1}\" width=\"{:.1}\" height=\"10\" fill=\"{}\"/><text x=\"{:.1}\" \
                 y=\"{:.1}\" font-size=\"10\">{median}</text>",
                (end - LEFT).max(1.0),
                colour(below),
                end.max(LEFT + 1.0) + 4.0,
                at + 9.0
            );
        }
    }
    svg + "</svg>\n"
}
