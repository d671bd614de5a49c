//! How much unsafe code there is, by file: docs/unsafe.md has the table, and a file that is not in it, or a count that is another,
//! fails. `UPDATE=1` writes the table anew: read the difference before it lands.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The folders whose code is part of the product, and of its tools. Guests are not trusted, whatever they do.
const FOLDERS: &[&str] = &["src", "arch", "board", "tools/src"];

/// What stands above the table and below it is written by hand.
const HEAD: &str = "| file | blocks | others | what for |\n|-|-|-|-|\n";

/// Blocks; and functions, impls, foreign items and attributes, which say that others must keep a promise.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    blocks: usize,
    others: usize,
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
}

/// The code without comments and without what strings and characters hold.
fn bare(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if c == '"' {
            string(rest)
        } else if let Some(raw) = rest.strip_prefix("r\"") {
            2 + raw.find('"').map_or(raw.len(), |end| end + 1)
        } else if rest.starts_with("'\"'") {
            3
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        out.push(' ');
        rest = &rest[skipped..];
    }
    out
}

/// How long the string is that the text begins with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn count(text: &str) -> Count {
    let text = bare(text);
    let mut count = Count::default();
    for (at, _) in text.match_indices("unsafe") {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let (before, after) = (&text[..at], &text[at + "unsafe".len()..]);
        if before.ends_with(word) || after.starts_with(word) {
            continue;
        }
        if after.trim_start().starts_with('{') { count.blocks += 1 } else { count.others += 1 }
    }
    count
}

/// Why each module of `arch/aarch64` may: what its `lib.rs` says.
fn reasons(lib: &str) -> BTreeMap<String, String> {
    let mut reasons = BTreeMap::new();
    let mut last = None;
    for line in lib.lines() {
        if let Some((_, reason)) = line.split_once("reason = \"") {
            last = reason.split_once('"').map(|(reason, _)| reason.to_string());
        } else if let Some(module) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            reasons.extend(last.take().map(|reason| (format!("arch/aarch64/src/{module}.rs"), reason)));
        }
    }
    reasons
}

#[test]
fn unsafe_code_is_where_the_table_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let reasons = reasons(&std::fs::read_to_string(root.join("arch/aarch64/src/lib.rs")).unwrap());
    let mut found = Vec::new();
    FOLDERS.iter().for_each(|folder| files(&root.join(folder), &mut found));
    found.sort();
    let (mut table, mut sum) = (HEAD.to_string(), Count::default());
    for path in &found {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        let count = count(&std::fs::read_to_string(path).unwrap());
        if count == Count::default() {
            continue;
        }
        let reason = reasons.get(name);
        let reason = reason.unwrap_or_else(|| panic!("{name} has unsafe code, and lib.rs does not allow it"));
        writeln!(table, "| `{name}` | {} | {} | {reason} |", count.blocks, count.others).unwrap();
        sum = Count { blocks: sum.blocks + count.blocks, others: sum.others + count.others };
    }
    writeln!(table, "| **all** | **{}** | **{}** | |", sum.blocks, sum.others).unwrap();

    let page = root.join("docs/unsafe.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let start = text.find(HEAD).expect("docs/unsafe.md has no table");
    let end = text[start..].find("\n\n").map_or(text.len(), |end| start + end + 1);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&page, format!("{}{table}{}", &text[..start], &text[end..])).unwrap();
        return;
    }
    for line in table.lines().filter(|line| !text[start..end].contains(line)) {
        eprintln!("docs/unsafe.md does not have: {line}");
    }
    assert!(text[start..end] == table, "unsafe code changed; with UPDATE=1 this test writes the table anew");
}

#[test]
fn words_in_comments_and_strings_do_not_count() {
    let code = r#"
        // unsafe { }
        /* unsafe { } */
        #![forbid(unsafe_code)]
        const A: &str = "unsafe { \" unsafe {";
        unsafe fn f<'a>(q: char) -> &'a str { if q == '"' { unsafe { g() } } else { unsafe{h()} } }
        #[unsafe(no_mangle)]
        unsafe impl Send for X {}
    "#;
    let count = count(code);
    assert_eq!((count.blocks, count.others), (2, 3));
}
