//! What a person types: bytes for the attached cell, and orders that begin with Ctrl-^.

/// Ctrl-^.
pub(super) const ESCAPE: u8 = 0x1e;

/// What a byte means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// Nothing yet.
    Nothing,
    /// It is for the attached cell.
    Byte(u8),
    /// The input goes to the cell of this number, counted from 1; 0 is nobody.
    Attach(u8),
    /// The attached cell restarts.
    Restart,
    /// Who is alive?
    Who,
    /// Why were guests left?
    Counts,
    /// Ticks at EL2 are to be counted, or not any more.
    Time,
    /// What did Bulkhead say last?
    Log,
    /// What can be typed?
    Help,
    /// No order.
    Unknown,
}

/// Follows the bytes.
#[derive(Debug, Default)]
pub(super) struct Keys {
    escaped: bool,
}

impl Keys {
    /// Takes a byte.
    pub(super) fn feed(&mut self, byte: u8) -> Typed {
        if !self.escaped {
            self.escaped = byte == ESCAPE;
            return if self.escaped { Typed::Nothing } else { Typed::Byte(byte) };
        }
        self.escaped = false;
        match byte {
            ESCAPE => Typed::Byte(ESCAPE),
            b'0'..=b'9' => Typed::Attach(byte.wrapping_sub(b'0')),
            b'r' => Typed::Restart,
            b'i' => Typed::Who,
            b's' => Typed::Counts,
            b't' => Typed::Time,
            b'l' => Typed::Log,
            b'?' | b'h' => Typed::Help,
            _ => Typed::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_begin_with_ctrl_caret() {
        let mut keys = Keys::default();
        let typed: Vec<_> = b"a\x1e1b\x1e0\x1er\x1ei\x1es\x1et\x1el\x1e?\x1e\x1e\x1exr"
            .iter()
            .map(|b| keys.feed(*b))
            .collect();
        let typed: Vec<_> = typed.into_iter().filter(|typed| *typed != Typed::Nothing).collect();
        use Typed::*;
        let wanted = [
            Byte(b'a'),
            Attach(1),
            Byte(b'b'),
            Attach(0),
            Restart,
            Who,
            Counts,
            Time,
            Log,
            Help,
            Byte(ESCAPE),
            Unknown,
            Byte(b'r'),
        ];
        assert_eq!(typed, wanted);
    }
}
