//! The pages on refusals: docs/refusals.md, a section for each number.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

/// All pages, as docs/refusals.md has them.
pub const PAGES: &str = include_str!("../../docs/refusals.md");

const TITLE: Style = Style::new().bold();
const CODE: Style = AnsiColor::Cyan.on_default();

/// A section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<'p> {
    /// `BH0104`.
    pub code: &'p str,
    /// What stands beside it.
    pub title: &'p str,
    /// All that follows, in Markdown.
    pub text: &'p str,
}

/// The sections that begin with `## BH0104: title`.
pub fn pages(text: &str) -> impl Iterator<Item = Page<'_>> {
    text.split("\n## ").skip(1).filter_map(|section| {
        let (head, text) = section.split_once('\n').unwrap_or((section, ""));
        let (code, title) = head.split_once(": ")?;
        // A chapter between the pages ends the one before it.
        let text = text.split("\n# ").next().unwrap_or(text);
        code.starts_with("BH").then_some(Page { code, title, text: text.trim() })
    })
}

/// The page on a number, which may be written `BH0104`, `bh104` or `104`.
///
/// # Errors
/// The nearest number that there is.
pub fn find<'p>(text: &'p str, wanted: &str) -> Result<Page<'p>, &'p str> {
    let digits = wanted.trim_start_matches(['b', 'B', 'h', 'H']);
    let code = format!("BH{digits:0>4}");
    if let Some(page) = pages(text).find(|page| page.code == code) {
        return Ok(page);
    }
    let number = |code: &str| code.trim_start_matches("BH").parse::<i64>().ok();
    let far = |page: &Page<'_>| match (number(page.code), digits.parse::<i64>()) {
        (Some(known), Ok(wanted)) => (known - wanted).abs(),
        _ => i64::MAX,
    };
    Err(pages(text).min_by_key(far).map_or("", |page| page.code))
}

/// A page for the terminal.
pub fn show(page: &Page<'_>) -> String {
    let mut out = format!("{TITLE}{}: {}{TITLE:#}\n\n", page.code, page.title);
    let mut fenced = false;
    for line in page.text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            let _ = writeln!(out, "    {CODE}{line}{CODE:#}");
        } else {
            wrap(&line.replace("**", ""), &mut out);
        }
    }
    out
}

/// Columns of prose; what lies in a file as one long line is read on a terminal.
const WIDE: usize = 96;

/// A paragraph, in lines.
fn wrap(text: &str, out: &mut String) {
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDE {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}

/// Every number and its title, one a line.
pub fn list(text: &str) -> String {
    pages(text).map(|page| format!("{TITLE}{}{TITLE:#}  {}\n", page.code, page.title)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead::refusal::CODES;

    const SMALL: &str = "# Refusals\nIntro\n\n## BH0001: one\n\nText.\n\n```dts\na;\n```\n\n# Names\n\n## BH0104: two\nMore.\n";

    #[test]
    fn a_page_is_found_however_its_number_is_written() {
        for wanted in ["BH0104", "bh104", "104", "0104"] {
            assert_eq!(find(SMALL, wanted), Ok(Page { code: "BH0104", title: "two", text: "More." }));
        }
        assert_eq!(find(SMALL, "BH0001").map(|page| page.text), Ok("Text.\n\n```dts\na;\n```"));
        assert_eq!(find(SMALL, "BH0105"), Err("BH0104"));
        assert_eq!(find(SMALL, "3"), Err("BH0001"));
    }

    #[test]
    fn code_is_set_apart() {
        let page = find(SMALL, "1").map(|page| anstream::adapter::strip_str(&show(&page)).to_string());
        assert_eq!(page.as_deref(), Ok("BH0001: one\n\nText.\n\n    a;\n"));
    }

    #[test]
    fn every_refusal_has_its_page_and_every_page_its_refusal() {
        let known: Vec<_> = CODES.iter().map(ToString::to_string).collect();
        let explained: Vec<_> = pages(PAGES).map(|page| page.code).collect();
        assert_eq!(explained, known);
        let thin: Vec<_> = pages(PAGES).filter(|page| page.text.len() < 80).map(|page| page.code).collect();
        assert!(thin.is_empty(), "{thin:?} say too little");
    }

    #[test]
    fn prose_is_broken_between_words() {
        let mut out = String::new();
        wrap(&"word ".repeat(40), &mut out);
        let lengths: Vec<_> = out.lines().map(str::len).collect();
        assert_eq!(lengths, [94, 94, 9]);
    }
}
