//! The tests that docs/threat-model.md names exist. Whether they show what it says is for people to judge.

use std::fs;
use std::path::{Path, PathBuf};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All sources below a folder, one behind the other.
fn sources(folder: &str) -> String {
    let (mut all, mut folders) = (String::new(), vec![top().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                all += &fs::read_to_string(path).unwrap();
            }
        }
    }
    all
}

/// What is quoted, and whether in brackets.
fn quoted(text: &str) -> Vec<(&str, bool)> {
    let mut depth = 0;
    let mut found = Vec::new();
    for (at, part) in text.split('`').enumerate() {
        if at % 2 == 1 {
            found.push((part, depth != 0));
        } else {
            depth += part.matches('(').count();
            depth -= part.matches(')').count();
        }
    }
    found
}

#[test]
fn what_the_threat_model_names_exists() {
    let text = fs::read_to_string(top().join("docs/threat-model.md")).unwrap();
    let (policy, loom) = (sources("src"), sources("tests/loom/tests"));
    let (qemu, hostile) = (sources("tools/tests/qemu"), sources("guests/hostile/src"));
    let runner = fs::read_to_string(top().join("scripts/test")).unwrap();
    let mutants: Vec<String> = fs::read_dir(top().join("tests/mutants"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    // The last column of the tables whose last column this is.
    let rows = text.split("| evidence |\n").skip(1).flat_map(|table| {
        table.lines().take_while(|line| line.starts_with('|')).filter(|line| !line.starts_with("|-"))
    });
    let (mut missing, mut count) = (Vec::new(), 0);
    for evidence in rows.filter_map(|row| row.trim_end_matches([' ', '|']).rsplit(" | ").next()) {
        for part in evidence.split("; ") {
            let is_mutant = part.starts_with("mutant");
            let is_qemu = part.starts_with("qemu:");
            for (name, bracketed) in quoted(part) {
                let begin = name.trim_end_matches('*');
                let last = begin.trim_end_matches("::").rsplit("::").next().unwrap();
                let exists = if is_mutant {
                    let all = |file: &String| file.strip_suffix(".patch") == Some(name);
                    mutants.iter().any(|file| all(file) || begin != name && file.starts_with(begin))
                } else if let Some(rest) = name.strip_prefix("scripts/test ") {
                    runner.contains(&format!("\n    {rest})"))
                } else if name.contains('/') {
                    top().join(name).exists()
                } else if is_qemu && bracketed && hostile.contains(&format!("\"{name}\"")) {
                    true
                } else if is_qemu || begin != name {
                    let end = if begin == name { "\"" } else { "" };
                    qemu.contains(&format!("\"{begin}{end}"))
                } else {
                    let of = [format!("fn {last}("), format!("mod {last};"), format!("mod {last} {{")];
                    of.iter().any(|of| policy.contains(of) || loom.contains(of))
                };
                count += 1;
                if !exists {
                    missing.push(name);
                }
            }
        }
    }
    assert!(missing.is_empty(), "docs/threat-model.md names {missing:?}, which are not there");
    assert!(count > 60, "only {count} names were found: has the table changed its form?");
}
