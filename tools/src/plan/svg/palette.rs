//! A colour for each owner, from the eight of Okabe and Ito that people with any kind of colour vision tell apart.

use super::super::regions::Owner;

/// Rising so that neighbours differ most; the first is the root cell's, or the first cell's.
const CELLS: [&str; 7] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"];
const HYPERVISOR: &str = "#2b2b2b";

/// How an owner is painted.
pub struct Paint {
    /// For shapes: a colour, or a pattern where there are more cells than colours.
    pub fill: String,
    /// Text on it.
    pub ink: &'static str,
}

/// The paint of an owner.
pub fn paint(owner: Owner) -> Paint {
    match owner {
        Owner::Cell(at) if at < CELLS.len() => Paint { fill: CELLS[at].into(), ink: ink(CELLS[at]) },
        Owner::Cell(at) => Paint { fill: format!("url(#c{at})"), ink: ink(CELLS[at % CELLS.len()]) },
        Owner::Hypervisor => Paint { fill: HYPERVISOR.into(), ink: "#ffffff" },
        Owner::Firmware => Paint { fill: "url(#firmware)".into(), ink: "#000000" },
        Owner::Nobody => Paint { fill: "#e4e4e4".into(), ink: "#000000" },
    }
}

/// The patterns that [`paint`] names, for so many cells.
pub fn patterns(cells: usize) -> String {
    let mut text = stripes("firmware", "#bdbdbd", "#f4f4f4", 6, 45);
    for at in CELLS.len()..cells {
        // From the eighth cell on the colours come again, striped, each round at another angle and distance. Stripes are
        // further from the ink than their ground, so that text on them stays as easy to read.
        let (colour, round) = (CELLS[at % CELLS.len()], at / CELLS.len());
        let towards = if ink(colour) == "#ffffff" { 0.0 } else { 255.0 };
        text += &stripes(&format!("c{at}"), colour, &mixed(colour, towards), 5 + 2 * round, 35 * round);
    }
    text
}

fn stripes(name: &str, ground: &str, line: &str, gap: usize, turn: usize) -> String {
    format!(
        "<pattern id=\"{name}\" width=\"{gap}\" height=\"{gap}\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"rotate({turn})\"><rect width=\"{gap}\" height=\"{gap}\" fill=\"{ground}\"/>\
         <rect width=\"3\" height=\"{gap}\" fill=\"{line}\"/></pattern>\n"
    )
}

/// Red, green and blue, from 0 to 255.
fn parts(colour: &str) -> [f64; 3] {
    [1, 3, 5].map(|at| u8::from_str_radix(&colour[at..at + 2], 16).map_or(0.0, f64::from))
}

/// A colour half way to black (0) or white (255).
fn mixed(colour: &str, towards: f64) -> String {
    let [red, green, blue] = parts(colour).map(|part| ((part + towards) / 2.0).round() as u8);
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Black or white, whichever reads better (relative luminance of WCAG 2, in short).
fn ink(colour: &str) -> &'static str {
    let [red, green, blue] = parts(colour).map(|part| (part / 255.0).powf(2.2));
    let luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    if luminance > 0.22 { "#000000" } else { "#ffffff" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_can_be_read_on_its_colour() {
        assert_eq!(ink("#0072b2"), "#ffffff");
        assert_eq!(ink("#f0e442"), "#000000");
    }

    #[test]
    fn every_cell_has_its_own_paint() {
        let fills: std::collections::HashSet<_> = (0..64).map(|at| paint(Owner::Cell(at)).fill).collect();
        assert_eq!(fills.len(), 64);
        let patterns = patterns(64);
        assert!((7..64).all(|at| patterns.contains(&format!("id=\"c{at}\""))));
    }
}
