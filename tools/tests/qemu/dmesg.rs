//! Linux's complaints, held against those it has by itself on the same machine.

/// What Linux may say in a cell and not by itself, each with its reason.
const ALLOWED: &[(&str, &str)] = &[(
    "hrtimer: interrupt took",
    "real time passed while the test machine gave the emulated CPU none; native Linux says it too, now and then",
)];

/// The lines of `dmesg -r` at level warning or worse, with all that changes from run to run blotted out.
fn complaints(log: &[String]) -> Vec<(String, &String)> {
    let complaint = |line: &String| {
        // <level + 8 x facility>[ time] text
        let (priority, rest) = line.strip_prefix('<')?.split_once('>')?;
        let level = priority.parse::<u32>().ok()? % 8;
        let text = rest.split_once("] ").map_or(rest, |(_, text)| text);
        (level <= 4).then(|| blot(text))
    };
    log.iter().filter_map(|line| Some((complaint(line)?, line))).collect()
}

/// Each number, and each word with a digit in it, becomes `#`.
fn blot(text: &str) -> String {
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    words
        .map(|word| {
            let end = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len();
            let (word, after) = word.split_at(end);
            if word.contains(|c: char| c.is_ascii_digit()) {
                format!("#{after}")
            } else {
                format!("{word}{after}")
            }
        })
        .collect()
}

/// Compares a cell's log with the native one.
///
/// # Errors
/// The complaints that only the cell has.
pub fn compare(cell: &[String], native: &[String]) -> Result<(), String> {
    if complaints(native).is_empty() && native.len() < 50 {
        return Err("native Linux's log is too short to be one".into());
    }
    let native: Vec<_> = complaints(native).into_iter().map(|(text, _)| text).collect();
    let new: Vec<_> = complaints(cell)
        .into_iter()
        .filter(|(text, _)| !native.contains(text))
        .filter(|(_, line)| !ALLOWED.iter().any(|(allowed, _)| line.contains(allowed)))
        .map(|(_, line)| line.as_str())
        .collect();
    if new.is_empty() { Ok(()) } else { Err(format!("only in the cell:\n    {}", new.join("\n    "))) }
}
