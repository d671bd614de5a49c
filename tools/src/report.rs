//! Refusals as people read them: code, sentence, and the lines of the source that are to blame, of both sides.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use bulkhead::boot::BootError;
use bulkhead::refusal::{Code, Place, Refusal};

use crate::source::{Position, Source, Spot};

const ERROR: Style = AnsiColor::BrightRed.on_default().bold();
const WARNING: Style = AnsiColor::BrightYellow.on_default().bold();
const GUTTER: Style = AnsiColor::BrightBlue.on_default().bold();
const BOLD: Style = Style::new().bold();

/// A mistake, ready to be shown.
#[derive(Clone, Debug)]
pub struct Mistake {
    /// Its number; what the compiler refuses has none.
    pub code: Option<Code>,
    /// What is wrong and what to do, in one line.
    pub message: String,
    /// The culprits, the main one first.
    pub places: Vec<Place>,
    /// What else helps at the desk.
    pub note: Option<String>,
    /// Where the compiler stumbled.
    pub spot: Option<Spot>,
}

impl Mistake {
    /// A refusal of the library's.
    pub fn of(refusal: &dyn Refusal) -> Self {
        let (code, message) = (Some(refusal.code()), refusal.to_string());
        Self { code, message, places: refusal.places(), note: None, spot: None }
    }

    /// What boot would say, whose sentence begins with its number.
    pub fn of_boot(error: &BootError) -> Self {
        let all = Self::of(error);
        let message = all.message.split_once(": ").map_or(all.message.as_str(), |(_, rest)| rest).to_string();
        Self { message, ..all }
    }

    /// One that has no number and no place.
    pub fn in_words(message: String) -> Self {
        Self { code: None, message, places: Vec::new(), note: None, spot: None }
    }

    /// What dtc said: `Error: cells.dts:5.3-9 syntax error`, or `cells.dts:5.3-10: ERROR (duplicate_node_names): /a: ...`.
    pub fn of_compiler(said: &str) -> Vec<Self> {
        let told = |line: &str| {
            let line = line.strip_prefix("Error: ").unwrap_or(line);
            let (place, message) = line.split_once(": ERROR ").or_else(|| line.split_once(' '))?;
            let spot = compiler_spot(place)?;
            // dtc leaves `#include` and `#define` to the C preprocessor.
            let text = Files::default().line(&spot.file, spot.start.0).unwrap_or_default();
            let note = text.trim_start().starts_with('#').then(|| {
                "this wants the C preprocessor: `cpp -nostdinc -undef -x assembler-with-cpp FILE`, or give the compiled .dtb".into()
            });
            Some(Self { spot: Some(spot), note, ..Self::in_words(message.trim().to_string()) })
        };
        let all: Vec<_> = said.lines().filter_map(told).collect();
        if all.is_empty() { vec![Self::in_words(said.trim().replace('\n', "; "))] } else { all }
    }

    /// All of a list.
    pub fn all<R: Refusal>(refusals: &[R]) -> Vec<Self> {
        refusals.iter().map(|refusal| Self::of(refusal)).collect()
    }
}

/// A file that places point into.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Its name as the user gave it.
    pub name: String,
    /// Where its nodes and properties stand.
    pub source: Source,
}

impl Origin {
    /// A file, read for its places.
    pub fn of(path: &Path) -> Self {
        Self { name: path.display().to_string(), source: Source::read(path) }
    }
}

/// What the mistakes of one run are about.
#[derive(Clone, Debug)]
pub struct Report {
    /// The description.
    pub cells: Origin,
    /// The board's tree.
    pub board: Origin,
    /// Which of the two, or both, has the mistakes, in words.
    pub subject: String,
    /// The mistakes, at least one.
    pub mistakes: Vec<Mistake>,
}

impl Report {
    /// All of it, with colours: whoever prints it takes them out where they are not wanted.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let mut files = Files::default();
        for mistake in &self.mistakes {
            self.mistake(mistake, &mut files, &mut out);
            out.push('\n');
        }
        let count = self.mistakes.len();
        let plural = if count == 1 { "mistake" } else { "mistakes" };
        let _ = write!(out, "{BOLD}{count} {plural} in {}{BOLD:#}", self.subject);
        if let Some(code) = self.mistakes.iter().find_map(|mistake| mistake.code) {
            let _ = write!(out, "; `bulkhead explain {code}` says more");
        }
        out.push('\n');
        out
    }

    fn mistake(&self, mistake: &Mistake, files: &mut Files, out: &mut String) {
        let code = mistake.code.map_or_else(String::new, |code| format!("[{code}]"));
        let _ = writeln!(out, "{ERROR}error{code}{ERROR:#}{BOLD}: {}{BOLD:#}", mistake.message);
        let spots: Vec<_> = mistake.places.iter().map(|place| self.spot(place)).collect();
        let widest = spots.iter().flatten().map(|spot| spot.start.0.to_string().len()).max().unwrap_or(1);
        let mut shown: Vec<String> = Vec::new();
        for (place, spot) in mistake.places.iter().zip(spots) {
            let found = spot.and_then(|spot| files.underlined(spot));
            let Some(words) = self.words(place, spot, found.as_ref(), &mistake.message) else { continue };
            // Two names of one thing, in one place, are one place.
            if shown.contains(&words) {
                continue;
            }
            let arrow = if shown.is_empty() { "-->" } else { ":::" };
            let _ = writeln!(out, "{:widest$}{GUTTER}{arrow}{GUTTER:#} {words}", "");
            if let Some((found, spot)) = found.zip(spot) {
                found.show(spot.start.0, widest, out);
            }
            shown.push(words);
        }
        if let Some(spot) = &mistake.spot {
            let widest = spot.start.0.to_string().len();
            let at = format!("{}:{}:{}", spot.file, spot.start.0, spot.start.1);
            let _ = writeln!(out, "{:widest$}{GUTTER}-->{GUTTER:#} {at}", "");
            files.underlined(spot).into_iter().for_each(|found| found.show(spot.start.0, widest, out));
        }
        if let Some(note) = &mistake.note {
            let _ = writeln!(out, "{:widest$} {GUTTER}={GUTTER:#} {BOLD}note{BOLD:#}: {note}", "");
        }
    }

    /// Where in a source a place is; a missing property stands, so to speak, where its node does.
    fn spot(&self, place: &Place) -> Option<&Spot> {
        match place {
            Place::Description { node, property } => {
                let source = &self.cells.source;
                source.find(node, property.as_deref()).or_else(|| source.find(node, None))
            }
            Place::Board { node } => self.board.source.find(node, None),
            Place::File { .. } => None,
        }
    }

    /// A place in words: `cells.dts:4:9 (/a, `cpus`)`; none where the sentence has it already.
    fn words(
        &self,
        place: &Place,
        spot: Option<&Spot>,
        found: Option<&Underlined>,
        message: &str,
    ) -> Option<String> {
        let (origin, node) = match place {
            Place::Description { node, property: Some(property) } => {
                (&self.cells, format!("{node}, `{property}`"))
            }
            Place::Description { node, property: None } => (&self.cells, node.clone()),
            Place::Board { node } => (&self.board, node.clone()),
            Place::File { name } if message.contains(name.as_str()) => return None,
            Place::File { name } => return Some(format!("the file `{name}`")),
        };
        let Some(Spot { file, start: (line, column), .. }) = spot else {
            return Some(format!("{}: {node}", origin.name));
        };
        let column = found.map_or(*column, |found| found.from + 1);
        Some(format!("{file}:{line}:{column} ({node})"))
    }
}

/// `cells.dts:5.3-9`, `cells.dts:5.3-6.9`, `cells.dts:5.3`.
fn compiler_spot(text: &str) -> Option<Spot> {
    let (file, place) = text.trim_end_matches(':').rsplit_once(':')?;
    let position = |text: &str| {
        let (line, column) = text.split_once('.')?;
        Some((line.parse().ok()?, column.parse().ok()?))
    };
    let (first, last) = place.split_once('-').unwrap_or((place, ""));
    let start: Position = position(first)?;
    let end =
        position(last).or_else(|| Some((start.0, last.parse().ok()?))).unwrap_or((start.0, start.1 + 1));
    Some(Spot { file: file.to_string(), start, end })
}

/// Warnings, one a line.
pub fn warning(text: &str) -> String {
    format!("{WARNING}warning{WARNING:#}{BOLD}:{BOLD:#} {text}\n")
}

/// The texts of sources, each read once.
#[derive(Default)]
struct Files(HashMap<String, String>);

/// A line and what of it is meant, in characters from 0.
struct Underlined {
    line: String,
    from: usize,
    to: usize,
}

impl Files {
    fn line(&mut self, file: &str, number: usize) -> Option<String> {
        let text = self
            .0
            .entry(file.to_string())
            .or_insert_with(|| std::fs::read_to_string(file).unwrap_or_default());
        text.lines().nth(number.checked_sub(1)?).map(String::from)
    }

    fn underlined(&mut self, spot: &Spot) -> Option<Underlined> {
        let line = self.line(&spot.file, spot.start.0)?;
        // dtc counts bytes.
        let start = line.get(..spot.start.1 - 1)?.chars().count();
        let rest: Vec<char> = line.chars().collect();
        if rest.get(start) == Some(&'{') {
            // A node's place begins at its bracket; its name stands before it.
            let head: String = rest.get(..start)?.iter().collect();
            let head = head.trim_end();
            let name = head.split_whitespace().last().unwrap_or("");
            let to = head.chars().count();
            let (from, to) =
                if name.is_empty() { (start, start + 1) } else { (to - name.chars().count(), to) };
            return Some(Underlined { line, from, to });
        }
        let end = match spot.end {
            (last, column) if last == spot.start.0 => line.get(..column - 1)?.chars().count(),
            _ => rest.len(),
        };
        let text: String = rest.get(start..end)?.iter().collect();
        let length = text.trim_end().trim_end_matches(';').chars().count().max(1);
        Some(Underlined { line, from: start, to: start + length })
    }
}

impl Underlined {
    fn show(self, number: usize, widest: usize, out: &mut String) {
        // A tab is as wide as the terminal has it: it stands as one space here.
        let line: String = self.line.trim_end().chars().map(|c| if c == '\t' { ' ' } else { c }).collect();
        let carets = "^".repeat(self.to - self.from);
        let _ = writeln!(out, "{:widest$} {GUTTER}|{GUTTER:#}", "");
        let _ = writeln!(out, "{GUTTER}{number:widest$} |{GUTTER:#} {line}");
        let _ = writeln!(
            out,
            "{:widest$} {GUTTER}|{GUTTER:#} {:from$}{ERROR}{carets}{ERROR:#}",
            "",
            "",
            from = self.from
        );
    }
}

#[cfg(test)]
mod tests;
