//! Names in a flattened tree.

use super::check::MAX_NAME;

/// The NUL-terminated name at an offset: printable ASCII, a superset of what 2.2.1 and 2.2.4 allow.
pub(super) fn name_at(bytes: &[u8], at: usize) -> Option<&str> {
    let rest = bytes.get(at..)?;
    let size = name_size(rest).filter(|size| *size <= MAX_NAME)?;
    let (name, end) = rest.split_at_checked(size)?;
    (end.first() == Some(&0)).then(|| core::str::from_utf8(name).ok())?
}

/// How many bytes stand before the first that is not printable ASCII. Eight at a
/// time, as half of the work on a tree is this.
fn name_size(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let (words, tail) = bytes.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The top bit of each byte: set from 0x80 on, by the addition for 0x7f, by the subtraction below 0x21. A carry or
        // borrow goes upwards, so the lowest bit is true.
        let low = word.wrapping_sub(ONES.wrapping_mul(0x21)) & !word;
        let found = (low | word | word.wrapping_add(ONES)) & ONES.wrapping_mul(0x80);
        if found != 0 {
            return Some(n.saturating_mul(8).saturating_add((found.trailing_zeros() / 8) as usize));
        }
        if n > MAX_NAME / 8 {
            return None;
        }
    }
    let in_tail = tail.iter().position(|byte| !byte.is_ascii_graphic())?;
    Some(words.len().saturating_mul(8).saturating_add(in_tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bytes_at_a_time_find_what_one_at_a_time_finds() {
        for odd in 0..=255_u8 {
            for size in 0..24 {
                let mut bytes = [b'a'; 24];
                bytes[size] = odd;
                // Neighbours above must not hide it, nor be taken for it.
                bytes[size + 1..].fill(odd ^ 0x80);
                let expected = bytes.iter().position(|byte| !byte.is_ascii_graphic());
                assert_eq!(name_size(&bytes), expected, "{odd:#x} at {size}");
            }
        }
    }

    #[test]
    fn a_name_ends_with_a_zero_and_is_not_too_long() {
        assert_eq!(name_at(b"reg\0x", 0), Some("reg"));
        assert_eq!(name_at(b"reg\0x", 3), Some(""));
        assert_eq!(name_at(b"reg\0x", 4), None);
        assert_eq!(name_at(b"reg\0x", 9), None);
        assert_eq!(name_at(b"a b\0", 0), None);
        let long = |size: usize| [&vec![b'a'; size][..], b"\0"].concat();
        assert_eq!(name_at(&long(MAX_NAME), 0).map(str::len), Some(MAX_NAME));
        assert_eq!(name_at(&long(MAX_NAME + 1), 0), None);
        assert_eq!(name_at(&long(10_000), 0), None);
    }
}
