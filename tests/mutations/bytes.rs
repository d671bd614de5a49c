//! Changes to bytes that know nothing, or little, of what they mean.

use super::model::ODD;
use super::random::Random;

/// Changes something; `other` lends bytes.
pub fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    if bytes.is_empty() {
        return bytes.push(random.next() as u8);
    }
    let at = random.below(bytes.len());
    let word = at & !3;
    match random.below(10) {
        0 | 1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = random.next() as u8,
        3 | 4 => put(bytes, word, &random.one_of(&ODD).to_be_bytes()),
        5 => {
            // A length, an offset, a token: a little more or less.
            let old = bytes.get(word..word + 4).map_or(0, |b| u32::from_be_bytes(b.try_into().unwrap()));
            let by = [1, 2, 3, 4, 8, 16][random.below(6)];
            let new = if random.below(2) == 0 { old.wrapping_add(by) } else { old.wrapping_sub(by) };
            put(bytes, word, &new.to_be_bytes());
        }
        6 => bytes.truncate(at),
        7 => {
            // Bytes from elsewhere, in place of these or between them.
            let from = random.below(other.len()) & !3;
            let size = (4 + 4 * random.below(32)).min(other.len() - from);
            let over = if random.below(2) == 0 { size.min(bytes.len() - word) } else { 0 };
            bytes.splice(word..word + over, other[from..from + size].iter().copied());
        }
        8 => {
            let size = (4 + 4 * random.below(32)).min(bytes.len() - word);
            bytes.drain(word..word + size);
        }
        _ => {
            // A letter or digit of a name, a string or a cpio header.
            let graphic = |at: &usize| bytes[*at].is_ascii_graphic();
            if let Some(at) = (at..bytes.len()).take(64).find(graphic) {
                bytes[at] = b"0123456789abcdef@,-/zZ."[random.below(23)];
            }
        }
    }
}

/// The header of a device tree says again how large it and its structure are, after bytes came or went.
pub fn mend_header(blob: &mut [u8], grown: isize) {
    let size = blob.len() as u32;
    put(blob, 4, &size.to_be_bytes());
    // Strings stand behind the structure here; its size is the last word.
    for at in [12, 36] {
        let old = blob.get(at..at + 4).map_or(0, |b| u32::from_be_bytes(b.try_into().unwrap()));
        put(blob, at, &old.wrapping_add_signed(grown as i32).to_be_bytes());
    }
}

fn put(bytes: &mut [u8], at: usize, new: &[u8; 4]) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(new);
    }
}
