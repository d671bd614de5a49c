//! The lines of guests/chatter: `chatter: NUMBER TEXT CHECKSUM`.

use bulkhead_cli::demo::DemoError;
use bulkhead_cli::qemu::Console;

/// The number of a line that is right.
fn number(line: &str) -> Option<u64> {
    let mut words = line.strip_prefix("chatter: ")?.split(' ');
    let (number, text, sum) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
    let fnv =
        text.bytes().fold(0x811c_9dc5, |sum: u32, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (words.next().is_none() && u32::from_str_radix(sum, 16) == Ok(fnv)).then_some(number)
}

/// What came on the serial line from shortly before this line's number on, if it came at all, or else the one before.
fn around(raw: &[u8], number: u64) -> String {
    let places = |number: u64| {
        let begin = format!("chatter: {number} ").into_bytes();
        raw.windows(begin.len()).enumerate().filter(move |(_, part)| *part == begin).map(|(at, _)| at)
    };
    let parts = places(number).chain(places(number.saturating_sub(1))).map(|at| {
        let part = &raw[at.saturating_sub(600)..raw.len().min(at + 1200)];
        part.escape_ascii().to_string().replace("\\n", "\\n\n")
    });
    parts.collect::<Vec<_>>().join("\n----\n")
}

/// Waits for so many more lines, and looks at all that came so far: each must be right and follow the one before.
pub fn follow(console: &mut Console, count: usize) -> Result<(), DemoError> {
    for _ in 0..count {
        console.expect("chatter: ")?;
    }
    let all = console.all();
    let lines = all.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let lines = lines.map(|line| line.trim_end_matches(['\n', '\r']));
    for (wanted, line) in
        (0..).zip(lines.filter(|line| !line.starts_with("bulkhead: ") && *line != "chatter: waits for a key"))
    {
        if number(line) != Some(wanted) {
            let name = console.name();
            return Err(DemoError::Wrong(format!(
                "{name}: instead of a right line {wanted} there came {line:?}, on the wire:\n{}",
                around(&console.raw(), wanted)
            )));
        }
    }
    Ok(())
}
