//! The linked image as functions, code words, and the addresses of functions that data holds.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use elf::ElfBytes;
use elf::abi::{SHF_EXECINSTR, SHN_UNDEF, STT_FUNC, STT_NOTYPE};
use elf::endian::LittleEndian;

/// SHT_RELR (System V gABI), which the crate does not name.
const SHT_RELR: u32 = 19;

/// A function, or a label of assembly and what follows it.
#[derive(Debug)]
pub struct Function {
    /// Its name without the compiler's hash.
    pub name: String,
    /// Where it lies.
    pub span: Range<u64>,
    /// Whether its end may run on into the next: only where nobody says how long it is.
    pub open: bool,
}

/// What the check needs of the image.
#[derive(Debug)]
pub struct Image {
    /// By address, without gaps or overlaps.
    pub functions: Vec<Function>,
    /// The executable sections: where, and the words.
    code: Vec<(u64, Vec<u32>)>,
    /// Each address of code that a word of data holds.
    pub pointers: BTreeSet<u64>,
}

impl Image {
    /// Reads an ELF file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let bytes =
            std::fs::read(path).map_err(|e| format!("{}: {e}; scripts/build makes it", path.display()))?;
        let wrong = |e| format!("{}: {e}", path.display());
        let file = ElfBytes::<LittleEndian>::minimal_parse(&bytes).map_err(wrong)?;
        let headers = file.section_headers().ok_or("no sections")?;
        let (mut code, mut data, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for header in headers.iter().filter(|header| header.sh_flags != 0 || header.sh_type == SHT_RELR) {
            if header.sh_type == elf::abi::SHT_NOBITS {
                continue;
            }
            let content = file.section_data(&header).map_err(wrong)?.0;
            if header.sh_type == SHT_RELR {
                places = relr(content);
            } else if header.sh_flags & u64::from(SHF_EXECINSTR) != 0 {
                let words = content.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
                code.push((header.sh_addr, words.collect()));
            } else {
                data.push((header.sh_addr, content));
            }
        }
        code.sort_by_key(|(start, _)| *start);
        let in_code = |at: u64| {
            code.iter().any(|(start, words): &(u64, Vec<u32>)| {
                (*start..*start + 4 * words.len() as u64).contains(&at)
            })
        };
        let word = |place: u64| {
            data.iter().find_map(|(start, content)| {
                let at = usize::try_from(place.checked_sub(*start)?).ok()?;
                content.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
            })
        };
        let mut pointers = BTreeSet::new();
        for place in places {
            let to = word(place).ok_or(format!("the word at {place:#x} is relocated, but is no data"))?;
            if in_code(to) {
                pointers.insert(to);
            }
        }
        let (symbols, names) = file.symbol_table().map_err(wrong)?.ok_or("no symbols")?;
        let mut starts = Vec::new();
        for symbol in symbols.iter().filter(|symbol| symbol.st_shndx != SHN_UNDEF && in_code(symbol.st_value))
        {
            let name = names.get(symbol.st_name as usize).map_err(wrong)?;
            let known = symbol.st_symtype() == STT_FUNC;
            if known || symbol.st_symtype() == STT_NOTYPE && !name.starts_with('$') && !name.is_empty() {
                let name = plain(&format!("{:#}", rustc_demangle::demangle(name))).to_string();
                starts.push((symbol.st_value, if known { symbol.st_size } else { 0 }, name));
            }
        }
        starts.sort();
        starts.dedup_by_key(|(start, ..)| *start);
        let ends = starts.iter().skip(1).map(|(start, ..)| *start).chain([u64::MAX]);
        let functions = starts.iter().zip(ends).map(|((start, size, name), next)| {
            let end =
                code.iter().map(|(start, words)| *start + 4 * words.len() as u64).find(|end| end > start);
            let open = *size == 0;
            let end = if open { next.min(end.unwrap_or(next)) } else { start + size };
            Function { name: name.clone(), span: *start..end, open }
        });
        Ok(Self { functions: functions.collect(), code, pointers })
    }

    /// The words of a function, each with its address.
    pub fn words(&self, span: &Range<u64>) -> impl Iterator<Item = (u64, u32)> {
        let span = span.clone();
        let section = self
            .code
            .iter()
            .find(move |(start, words)| (*start..*start + 4 * words.len() as u64).contains(&span.start));
        section.into_iter().flat_map(move |(start, words)| {
            let from = ((span.start - start) / 4) as usize;
            let to = (((span.end - start) / 4) as usize).min(words.len());
            words[from..to].iter().enumerate().map(move |(n, word)| (start + 4 * (from + n) as u64, *word))
        })
    }

    /// Those that begin in a span.
    pub fn within(&self, span: Range<u64>) -> impl Iterator<Item = usize> {
        let from = |at| self.functions.partition_point(|function| function.span.start < at);
        from(span.start)..from(span.end)
    }

    /// Which function an address lies in.
    pub fn at(&self, address: u64) -> Option<usize> {
        let next = self.functions.partition_point(|function| function.span.start <= address);
        let last = next.checked_sub(1)?;
        self.functions[last].span.contains(&address).then_some(last)
    }
}

/// A name without the number that the linker gives to the second of two that would be the same.
fn plain(name: &str) -> &str {
    name.rsplit_once('.').filter(|(_, number)| number.parse::<u32>().is_ok()).map_or(name, |(name, _)| name)
}

/// The places of the words that packed relative relocations name.
fn relr(content: &[u8]) -> Vec<u64> {
    let mut places = Vec::new();
    let mut next = 0;
    for entry in content.as_chunks().0.iter().map(|entry| u64::from_le_bytes(*entry)) {
        if entry & 1 == 0 {
            places.push(entry);
            next = entry + 8;
        } else {
            places.extend((0..63).filter(|bit| entry >> (bit + 1) & 1 == 1).map(|bit| next + 8 * bit));
            next += 63 * 8;
        }
    }
    places
}

#[test]
fn packed_relocations_are_unpacked() {
    let content: Vec<u8> = [0x1000u64, 0b1011, 0x4000].iter().flat_map(|entry| entry.to_le_bytes()).collect();
    assert_eq!(relr(&content), [0x1000, 0x1008, 0x1018, 0x4000]);
}
