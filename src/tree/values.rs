//! Lists in a property's value, taken from the front.

/// Cells: 32-bit numbers. Bytes behind the last whole one are left out.
#[derive(Clone, Debug)]
pub struct Cells<'a>(pub(crate) &'a [u8]);

impl<'a> Cells<'a> {
    /// So many cells as they stand; `None` if there are fewer.
    pub fn take_bytes(&mut self, cells: u32) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked((cells as usize).checked_mul(4)?)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of none, one or two cells; `None` if there are fewer, or it would have more.
    pub fn take_number(&mut self, cells: u32) -> Option<u64> {
        if cells > 2 || self.0.len() / 4 < cells as usize {
            return None;
        }
        let mut number = 0;
        for _ in 0..cells {
            number = number << 32 | u64::from(self.next()?);
        }
        Some(number)
    }
}

impl Iterator for Cells<'_> {
    type Item = u32;

    #[inline(never)]
    fn next(&mut self) -> Option<u32> {
        let (cell, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*cell))
    }
}

/// Strings, each with a NUL behind it. Those that are empty or not UTF-8 are left out.
#[derive(Clone, Debug)]
pub struct Strings<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Strings<'a> {
    type Item = &'a str;

    #[inline(never)]
    fn next(&mut self) -> Option<&'a str> {
        while !self.0.is_empty() {
            let (text, rest) = self.0.split_at_checked(up_to(self.0, 0))?;
            self.0 = rest.get(1..).unwrap_or(&[]);
            if let (false, Ok(text)) = (text.is_empty(), core::str::from_utf8(text)) {
                return Some(text);
            }
        }
        None
    }
}

/// Whether a text has this part, which is not empty.
pub fn has_part(text: &str, part: &str) -> bool {
    text.as_bytes().windows(part.len().max(1)).any(|window| window == part.as_bytes())
}

/// How many bytes stand before the first of this value.
#[inline(never)]
pub(crate) fn up_to(bytes: &[u8], value: u8) -> usize {
    let mut size = 0_usize;
    for byte in bytes {
        if *byte == value {
            break;
        }
        size = size.saturating_add(1);
    }
    size
}
