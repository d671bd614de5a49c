//! Sizes and addresses as people write them.

/// Bytes in a text like `16M`: a decimal number, then nothing, `K`, `M` or `G` for the powers of 1024.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' => (text.strip_suffix('K')?, 1 << 10),
        b'M' => (text.strip_suffix('M')?, 1 << 20),
        b'G' => (text.strip_suffix('G')?, 1 << 30),
        _ => (text, 1_u64),
    };
    number(digits, 10)?.checked_mul(unit)
}

/// An address: a hexadecimal number behind `0x`.
pub(super) fn address(text: &str) -> Option<u64> {
    number(text.strip_prefix("0x")?, 16)
}

fn number(digits: &str, radix: u32) -> Option<u64> {
    // `from_str_radix` would take a sign.
    let first = digits.chars().next()?;
    first.is_ascii_hexdigit().then(|| u64::from_str_radix(digits, radix).ok())?
}

#[cfg(test)]
mod tests {
    use super::{address, parse};

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

    #[test]
    fn addresses_are_hexadecimal() {
        assert_eq!(address("0x40000000"), Some(1 << 30));
        assert_eq!(address("0xFFFFFFFFFFFFFFFF"), Some(u64::MAX));
        for wrong in ["", "0x", "40000000", "0x+1", "0x1g", "0x1_0", "0x10000000000000000", "1G"] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }
}
