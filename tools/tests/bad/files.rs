//! Small images, good ones and bad ones, by a line of words:
//!
//! ```text
//! empty
//! raw BYTES                          zeros
//! hex HEX [BYTES]                    these bytes, then zeros up to so many
//! linux [size=N] [text-offset=N] [flags=N] [bytes=N]         an arm64 Image; size=0 is what old kernels say
//! elf [entry=N] [machine=N] [class=N] [data=N] [type=N] [AT:FILE:MEM]...   segments by place, bytes in the file and in memory
//! truncated BYTES KIND ...           the first bytes of another kind
//! ```

/// Makes one.
pub fn make(kind: &str) -> Result<Vec<u8>, String> {
    let words: Vec<&str> = kind.split_whitespace().collect();
    let (name, rest) = words.split_first().ok_or("a file needs a kind")?;
    match (*name, rest) {
        ("empty", []) => Ok(Vec::new()),
        ("raw", [bytes]) => Ok(vec![0; number(bytes)? as usize]),
        ("hex", [digits]) => hex(digits),
        ("hex", [digits, bytes]) => {
            let mut data = hex(digits)?;
            data.resize(number(bytes)? as usize, 0);
            Ok(data)
        }
        ("linux", rest) => linux(&Settings::of(rest)?),
        ("elf", rest) => elf(&Settings::of(rest)?),
        ("truncated", [bytes, rest @ ..]) => {
            let mut data = make(&rest.join(" "))?;
            data.truncate(number(bytes)? as usize);
            Ok(data)
        }
        _ => Err(format!("what is `{kind}`?")),
    }
}

/// NAME=NUMBER and the rest.
struct Settings<'w> {
    named: Vec<(&'w str, u64)>,
    segments: Vec<[u64; 3]>,
}

impl<'w> Settings<'w> {
    fn of(words: &[&'w str]) -> Result<Self, String> {
        let mut settings = Self { named: Vec::new(), segments: Vec::new() };
        for word in words {
            if let Some((name, value)) = word.split_once('=') {
                settings.named.push((name, number(value)?));
            } else {
                let numbers = word.split(':').map(number).collect::<Result<Vec<_>, _>>()?;
                let segment = numbers.try_into().map_err(|_| format!("`{word}` is not AT:FILE:MEM"))?;
                settings.segments.push(segment);
            }
        }
        Ok(settings)
    }

    fn get(&self, name: &str, default: u64) -> u64 {
        self.named.iter().find(|(known, _)| *known == name).map_or(default, |(_, value)| *value)
    }
}

/// Linux, Documentation/arch/arm64/booting.rst, section 4.
fn linux(settings: &Settings<'_>) -> Result<Vec<u8>, String> {
    let mut data = vec![0; settings.get("bytes", 4096) as usize];
    let header = data.get_mut(..64).ok_or("an Image has 64 bytes at least")?;
    header[8..16].copy_from_slice(&settings.get("text-offset", 0).to_le_bytes());
    header[16..24].copy_from_slice(&settings.get("size", 1 << 20).to_le_bytes());
    header[24..32].copy_from_slice(&settings.get("flags", 0b1010).to_le_bytes());
    header[56..60].copy_from_slice(b"ARM\x64");
    Ok(data)
}

/// System V ABI, chapter 4 and 5: header, program headers, then each segment's bytes, all zero.
fn elf(settings: &Settings<'_>) -> Result<Vec<u8>, String> {
    let byte =
        |name, default| u8::try_from(settings.get(name, default)).map_err(|_| format!("{name} is a byte"));
    let first = settings.segments.first().map_or(0, |segment| segment[0]);
    let mut data = b"\x7fELF".to_vec();
    data.extend([byte("class", 2)?, byte("data", 1)?, 1]);
    data.resize(16, 0);
    let half = |n: u64| (n as u16).to_le_bytes();
    data.extend([half(settings.get("type", 2)), half(settings.get("machine", 183))].concat());
    data.extend(1_u32.to_le_bytes());
    for word in [settings.get("entry", first), 64, 0] {
        data.extend(word.to_le_bytes());
    }
    data.extend(0_u32.to_le_bytes());
    for n in [64, 56, settings.segments.len() as u64, 0, 0, 0] {
        data.extend(half(n));
    }
    let mut offset = 0x1000;
    for [at, file, memory] in &settings.segments {
        // PT_LOAD, readable, writable, executable.
        data.extend([1_u32.to_le_bytes(), 7_u32.to_le_bytes()].concat());
        for word in [offset, *at, *at, *file, *memory, 0x1000] {
            data.extend(word.to_le_bytes());
        }
        offset += file.next_multiple_of(0x1000);
    }
    data.resize(offset as usize, 0);
    Ok(data)
}

/// A number, decimal or hexadecimal.
pub fn number(text: &str) -> Result<u64, String> {
    let read = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    read.map_err(|_| format!("`{text}` is no number"))
}

/// Bytes.
pub fn hex(text: &str) -> Result<Vec<u8>, String> {
    let byte = |at: usize| {
        let digits = text.get(at..at + 2).ok_or_else(|| format!("`{text}` has half a byte"))?;
        u8::from_str_radix(digits, 16).map_err(|_| format!("`{digits}` is no byte"))
    };
    (0..text.len()).step_by(2).map(byte).collect()
}
