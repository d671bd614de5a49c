//! The figures of all machines side by side: as text, as JSON, and held against those of before.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::machines::{Below, Samples};

/// The cases in the order in which they are shown, and how many instructions each may take in a cell.
pub const CASES: [(&str, Option<u64>); 19] = [
    ("empty", None),
    ("hvc_psci_version", Some(96)),
    ("smc_psci_version", Some(99)),
    ("unknown_call", Some(110)),
    ("gicd_typer_read", Some(140)),
    ("gicd_isenabler_write", Some(185)),
    ("gicr_read", Some(150)),
    ("id_reg_read", Some(105)),
    ("uart_read", Some(140)),
    ("vtimer_busy", Some(90)),
    ("vtimer_wfi", Some(91)),
    ("iar", Some(3)),
    ("eoi", Some(4)),
    ("sgi_self", Some(190)),
    ("sgi_remote", Some(220)),
    ("sgi_pingpong", Some(520)),
    ("spi", Some(96)),
    ("cpu_on", Some(600)),
    ("fault_injected", None),
];

/// How much a path may grow, in percent, before that is an error.
const GROWTH: u64 = 2;

/// What was counted on each machine, by case.
#[derive(Debug, Default)]
pub struct Figures(pub BTreeMap<Below, BTreeMap<String, Samples>>);

impl Figures {
    /// The samples of a case.
    pub fn samples(&self, below: Below, case: &str) -> Option<Samples> {
        self.0.get(&below)?.get(case).copied()
    }

    /// Their median.
    pub fn median(&self, below: Below, case: &str) -> Option<u64> {
        self.samples(below, case).map(|[_, median, _]| median)
    }

    /// A table.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{:22} {:>6} {:>9} {:>6} {:>7} {:>7}   {:>5}\n",
            "case", "bare", "Bulkhead", "goal", "direct", "Xen", "Xen/Bulkhead"
        );
        for (case, goal) in CASES {
            let figure = |below| {
                self.samples(below, case).map_or("-".into(), |[least, median, most]| {
                    if least == most { format!("{median}") } else { format!("{median}*") }
                })
            };
            let goal = goal.map_or(String::new(), |goal| goal.to_string());
            let ratio = match (self.median(Below::Virtual, case), self.median(Below::Xen, case)) {
                (Some(own), Some(xen)) if own > 0 => format!("{:.1}", xen as f64 / own as f64),
                _ => String::new(),
            };
            let [bare, own, direct, xen] = Below::ALL.map(figure);
            let _ =
                writeln!(text, "{case:22} {bare:>6} {own:>9} {goal:>6} {direct:>7} {xen:>7}   {ratio:>5}");
        }
        text += "Instructions, medians of 256 samples. *: the samples differ.\n";
        text
    }

    /// `{"cases": {NAME: {"bare": n, "virtual": n, "direct": n, "xen": n}}}`: the medians; null where there is none.
    pub fn json(&self) -> String {
        let number = |figure: Option<u64>| figure.map_or("null".into(), |figure| figure.to_string());
        let rows = CASES.iter().map(|(case, _)| {
            let [bare, own, direct, xen] = Below::ALL.map(|below| number(self.median(below, case)));
            format!(
                "    \"{case}\": {{\"bare\": {bare}, \"virtual\": {own}, \"direct\": {direct}, \"xen\": {xen}}}"
            )
        });
        format!("{{\n  \"cases\": {{\n{}\n  }}\n}}\n", rows.collect::<Vec<_>>().join(",\n"))
    }

    /// What has grown by more than [`GROWTH`] since a file that [`Figures::json`] wrote, or has no figure now.
    pub fn grown_since(&self, baseline: &str) -> Vec<String> {
        let mut grown = Vec::new();
        for (case, _) in CASES {
            let Some(before) = former(baseline, case) else { continue };
            match self.median(Below::Virtual, case) {
                None => grown.push(format!("{case}: {before} before, not measured now")),
                Some(now) if now.saturating_mul(100) > before.saturating_mul(100 + GROWTH) => {
                    grown.push(format!("{case}: {before} before, {now} now"));
                }
                Some(_) => {}
            }
        }
        grown
    }
}

/// The figure of a cell in such a file, where each case has a line.
fn former(baseline: &str, case: &str) -> Option<u64> {
    let line = baseline.lines().find(|line| line.trim_start().starts_with(&format!("\"{case}\":")))?;
    let (_, behind) = line.split_once("\"virtual\": ")?;
    behind.split(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(hvc: u64, spi: Option<u64>) -> Figures {
        let mut cases = BTreeMap::from([("hvc_psci_version".to_string(), [hvc; 3])]);
        cases.extend(spi.map(|spi| ("spi".to_string(), [spi, spi, spi + 1])));
        let xen = BTreeMap::from([("hvc_psci_version".to_string(), [473; 3])]);
        Figures(BTreeMap::from([(Below::Virtual, cases), (Below::Xen, xen)]))
    }

    #[test]
    fn a_path_may_not_grow_by_more_than_two_percent() {
        let before = figures(100, Some(90)).json();
        assert!(figures(102, Some(91)).grown_since(&before).is_empty());
        assert_eq!(figures(103, Some(90)).grown_since(&before), ["hvc_psci_version: 100 before, 103 now"]);
        assert_eq!(figures(100, None).grown_since(&before), ["spi: 90 before, not measured now"]);
    }

    #[test]
    fn the_table_shows_ratios_and_what_differs() {
        let table = figures(86, Some(90)).table();
        let row = |case: &str| table.lines().find(|line| line.starts_with(case)).unwrap().to_string();
        let words: Vec<_> = row("hvc_psci").split_whitespace().map(str::to_string).collect();
        assert_eq!(words, ["hvc_psci_version", "-", "86", "96", "-", "473", "5.5"]);
        assert!(row("spi").contains(" 90* "));
    }
}
