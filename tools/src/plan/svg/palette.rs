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
        Owner::Cell(at) => Paint { fill: format!("url(#c{at})"), ink: "#000000" },
        Owner::Hypervisor => Paint { fill: HYPERVISOR.into(), ink: "#ffffff" },
        Owner::Firmware => Paint { fill: "url(#firmware)".into(), ink: "#000000" },
        Owner::Nobody => Paint { fill: "#e4e4e4".into(), ink: "#000000" },
    }
}

/// The patterns that [`paint`] names, for so many cells.
pub fn patterns(cells: usize) -> String {
    let stripes = |name: &str, ground: &str, line: &str, gap: usize, turn: usize| {
        format!(
            "<pattern id=\"{name}\" width=\"{gap}\" height=\"{gap}\" patternUnits=\"userSpaceOnUse\" \
             patternTransform=\"rotate({turn})\"><rect width=\"{gap}\" height=\"{gap}\" fill=\"{ground}\"/>\
             <rect width=\"2\" height=\"{gap}\" fill=\"{line}\"/></pattern>\n"
        )
    };
    let mut text = stripes("firmware", "#bdbdbd", "#f4f4f4", 6, 45);
    for at in CELLS.len()..cells {
        // From the eighth cell on the colours come again, striped, each round at another angle and distance.
        let (colour, round) = (CELLS[at % CELLS.len()], at / CELLS.len());
        text += &stripes(&format!("c{at}"), colour, "#ffffff", 5 + 2 * round, 35 * round);
    }
    text
}

/// Black or white, whichever reads better (relative luminance of WCAG 2, in short).
fn ink(colour: &str) -> &'static str {
    let part = |at: usize| u32::from_str_radix(&colour[at..at + 2], 16).map_or(0.0, |v| f64::from(v) / 255.0);
    let linear = |v: f64| v.powf(2.2);
    let luminance = 0.2126 * linear(part(1)) + 0.7152 * linear(part(3)) + 0.0722 * linear(part(5));
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
