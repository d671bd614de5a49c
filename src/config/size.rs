//! Sizes as people write them.

/// Bytes in a text like `16M`: a decimal number, then nothing, `K`, `M` or `G` for the powers of 1024.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' => (text.strip_suffix('K')?, 1 << 10),
        b'M' => (text.strip_suffix('M')?, 1 << 20),
        b'G' => (text.strip_suffix('G')?, 1 << 30),
        _ => (text, 1_u64),
    };
    // `parse` would take a sign.
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok())??.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes_are_numbers_with_a_unit() {
        assert_eq!(parse("16M"), Some(16 << 20));
        assert_eq!(parse("1G"), Some(1 << 30));
        assert_eq!(parse("64K"), Some(65_536));
        assert_eq!(parse("4096"), Some(4_096));
        for wrong in ["", "M", "+1M", "-1M", "1 M", "1MB", "0x10M", "1.5G", "16m", "99999999999G"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
