//! Inputs that must be refused, or warned of, in so many words: each dts/bad/NAME.dts is given to `bulkhead check`, and what it says must be
//! NAME.expected to the letter. `UPDATE=1` writes what it says there instead: read the difference before it lands.
//!
//! [`case`] has what a case's first lines may say.

mod case;
mod files;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bulkhead::refusal::CODES;
use case::Case;
use libtest_mimic::{Arguments, Failed, Trial};

/// Refusals that no desk can raise, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("BH05", "boot alone knows where the loader put things, and what the CPUs and the GIC do"),
    ("BH09", "a bug in Bulkhead: no input is known that raises one"),
];

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dts/bad");
    let mut names: Vec<PathBuf> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension().is_some_and(|ext| ext == "dts") && path.with_extension("expected").exists()
        })
        .collect();
    let new = case::without_expectation(&folder);
    let update = std::env::var_os("UPDATE").is_some();
    if update {
        names.extend(new.iter().cloned());
    }
    names.sort();
    let mut trials: Vec<Trial> = Vec::new();
    for path in &names {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let path = path.clone();
        trials.push(Trial::test(name, move || Ok(Case::read(&path)?.run(update)?)));
    }
    if !update {
        trials.push(Trial::test("each_case_has_its_expectation", move || match new.as_slice() {
            [] => Ok(()),
            [first, ..] => Err(format!("{} has no .expected: run with UPDATE=1", first.display()).into()),
        }));
        trials.push(Trial::test("each_code_is_raised", move || each_code_is_raised(&names)));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Each number that the desk can raise is in what some case is expected to say.
fn each_code_is_raised(cases: &[PathBuf]) -> Result<(), Failed> {
    let mut raised = BTreeSet::new();
    for case in cases {
        let text = std::fs::read_to_string(case.with_extension("expected"))?;
        // A warning's number stands in its sentence.
        let warned = |line: &str| {
            let words = line.strip_prefix("warning: ")?.split(": ");
            words.into_iter().find(|word| word.len() == 6 && word.starts_with("BH")).map(String::from)
        };
        let refused = |line: &str| Some(line.strip_prefix("error[")?.split_once(']')?.0.to_string());
        raised.extend(text.lines().filter_map(|line| refused(line).or_else(|| warned(line))));
    }
    let at_the_desk = |code: &String| !ELSEWHERE.iter().any(|(range, _)| code.starts_with(range));
    let missing: Vec<String> = CODES
        .iter()
        .map(ToString::to_string)
        .filter(at_the_desk)
        .filter(|code| !raised.contains(code))
        .collect();
    let known = CODES.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    if let Some(unknown) = raised.difference(&known).next() {
        return Err(format!("{unknown} is raised, but the library does not list it").into());
    }
    if missing.is_empty() { Ok(()) } else { Err(format!("no case raises {}", missing.join(", ")).into()) }
}
