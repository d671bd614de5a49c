//! A virtual PL011 (Arm PrimeCell UART PL011 Technical Reference Manual, DDI 0183G, chapter 3).
//!
//! Its line is as fast as the ring behind it has room: the transmit FIFO is empty, or, when the ring is full, full. Baud rate,
//! format and enables are kept and mean nothing; it comes out of reset as firmware leaves a console: enabled, with FIFOs.
//! No modem lines (all are asserted), no DMA, no IrDA: these registers read as zero and ignore writes.

use alloc::vec::Vec;

use super::ring::Ring;
use crate::ports::Width;

/// Bytes of input that wait for the guest: the receive FIFO, deeper than the 32 of hardware.
const RX: usize = 256;
/// The depth that the receive trigger levels are parts of (r1p5).
const DEPTH: usize = 32;

/// UARTRIS and so on (3.3.11): receive, transmit, receive timeout, overrun.
const INT_RX: u16 = 1 << 4;
const INT_TX: u16 = 1 << 5;
const INT_RT: u16 = 1 << 6;
const INT_OE: u16 = 1 << 10;
/// UARTFR (3.3.3): where it is, and its bits.
pub(super) const FR: u64 = 0x18;
const FR_CTS: u16 = 1 << 0;
const FR_DSR: u16 = 1 << 1;
const FR_DCD: u16 = 1 << 2;
const FR_BUSY: u16 = 1 << 3;
const FR_RXFE: u16 = 1 << 4;
pub(super) const FR_TXFF: u16 = 1 << 5;
const FR_RXFF: u16 = 1 << 6;
const FR_TXFE: u16 = 1 << 7;
/// UARTDR, UARTRSR: an overrun.
const DR_OE: u16 = 1 << 11;
const RSR_OE: u16 = 1 << 3;
/// UARTLCR_H: the FIFOs are on.
const LCR_FEN: u16 = 1 << 4;
/// UARTCR: loopback.
const CR_LBE: u16 = 1 << 7;

/// Registers that keep what is written.
#[derive(Clone, Copy)]
enum Kept {
    Ibrd,
    Fbrd,
    LcrH,
    Cr,
    Ifls,
    Imsc,
}

/// As they come out of reset: 115200 baud of 24 MHz, 8 bits with FIFOs, enabled; half full.
const RESET: [u16; 6] = [13, 1, 0x70, 0x301, 0x12, 0];

/// What a register reads as.
#[derive(Clone, Copy)]
enum Get {
    Zero,
    Data,
    Errors,
    Flags,
    Kept(Kept),
    Raw,
    Masked,
    Is(u8),
}

/// What a write to it does.
#[derive(Clone, Copy)]
enum Put {
    Nothing,
    Data,
    ClearErrors,
    /// Keeps these bits.
    Keep(Kept, u16),
    Clear,
}

#[derive(Clone, Copy)]
struct Reg {
    get: Get,
    put: Put,
}

const fn reg(get: Get, put: Put) -> Reg {
    Reg { get, put }
}

/// Nothing is there.
const HOLE: Reg = reg(Get::Zero, Put::Nothing);

/// The first words, and how many.
const LOW: usize = 18;
/// Where the identity begins, which ends the 4 KiB, in words.
const IDENTITY: usize = 0xfe0 / 4;

/// A row for each of the first words, and for each of the identity's.
#[rustfmt::skip]
static REGISTERS: [Reg; LOW + 8] = [
    reg(Get::Data,             Put::Data),                      // UARTDR, 0x000
    reg(Get::Errors,           Put::ClearErrors),               // UARTRSR
    HOLE, HOLE, HOLE, HOLE,
    reg(Get::Flags,            Put::Nothing),                   // UARTFR, 0x018
    HOLE,
    HOLE,                                                       // UARTILPR is IrDA's.
    reg(Get::Kept(Kept::Ibrd), Put::Keep(Kept::Ibrd, 0xffff)),  // UARTIBRD, 0x024
    reg(Get::Kept(Kept::Fbrd), Put::Keep(Kept::Fbrd, 0x3f)),    // UARTFBRD
    reg(Get::Kept(Kept::LcrH), Put::Keep(Kept::LcrH, 0xff)),    // UARTLCR_H
    reg(Get::Kept(Kept::Cr),   Put::Keep(Kept::Cr, 0xff87)),    // UARTCR, 0x030
    reg(Get::Kept(Kept::Ifls), Put::Keep(Kept::Ifls, 0x3f)),    // UARTIFLS
    reg(Get::Kept(Kept::Imsc), Put::Keep(Kept::Imsc, 0x7ff)),   // UARTIMSC
    reg(Get::Raw,              Put::Nothing),                   // UARTRIS
    reg(Get::Masked,           Put::Nothing),                   // UARTMIS, 0x040
    reg(Get::Zero,             Put::Clear),                     // UARTICR; behind it UARTDMACR: no DMA.
    // UARTPeriphID: part 0x011, designer 0x41, revision 3 (r1p5); UARTPCellID (3.3.15 to 3.3.22).
    reg(Get::Is(0x11),         Put::Nothing),
    reg(Get::Is(0x10),         Put::Nothing),
    reg(Get::Is(0x34),         Put::Nothing),
    reg(Get::Is(0x00),         Put::Nothing),
    reg(Get::Is(0x0d),         Put::Nothing),
    reg(Get::Is(0xf0),         Put::Nothing),
    reg(Get::Is(0x05),         Put::Nothing),
    reg(Get::Is(0xb1),         Put::Nothing),
];

/// The device.
#[derive(Debug)]
pub(super) struct Pl011 {
    kept: [u16; 6],
    raw: u16,
    overrun: bool,
    full: bool,
    rx: Ring,
}

impl Pl011 {
    /// One that came out of reset.
    pub(super) fn new() -> Self {
        Self { kept: RESET, raw: 0, overrun: false, full: false, rx: Ring::new(Vec::new(), RX) }
    }

    /// Resets it; whether there is room to transmit stays.
    pub(super) fn reset(&mut self) {
        (self.kept, self.raw, self.overrun) = (RESET, 0, false);
        self.rx.clear();
    }

    fn kept(&self, register: Kept) -> u16 {
        self.kept.get(register as usize).copied().unwrap_or(0)
    }

    /// Whether its interrupt line is asserted.
    pub(super) fn line(&self) -> bool {
        self.raw & self.kept(Kept::Imsc) != 0
    }

    fn raw(&mut self, interrupt: u16, on: bool) {
        self.raw = if on { self.raw | interrupt } else { self.raw & !interrupt };
    }

    /// Whether the transmit FIFO is full. The transmit interrupt is due when it is not any more.
    pub(super) fn set_full(&mut self, full: bool) {
        if self.full != full {
            self.full = full;
            self.raw(INT_TX, !full);
        }
    }

    /// What [`Pl011::set_full`] said.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// A byte arrives.
    pub(super) fn receive(&mut self, byte: u8) {
        if self.rx.push(byte) {
            self.raw(INT_RX, self.rx.len() >= self.trigger());
            // Nobody can tell 32 bit times from none.
            self.raw(INT_RT, true);
        } else {
            self.overrun = true;
            self.raw(INT_OE, true);
        }
    }

    /// How many bytes raise the receive interrupt (UARTIFLS.RXIFLSEL).
    fn trigger(&self) -> usize {
        if self.kept(Kept::LcrH) & LCR_FEN == 0 {
            return 1;
        }
        match self.kept(Kept::Ifls) >> 3 & 7 {
            0 => DEPTH / 8,
            1 => DEPTH / 4,
            3 => DEPTH / 8 * 6,
            4 => DEPTH / 8 * 7,
            _ => DEPTH / 2,
        }
    }

    /// Reads `offset` bytes from its start.
    pub(super) fn read(&mut self, offset: u64, width: Width) -> u64 {
        let Some(row) = find(offset, width) else { return 0 };
        let value = match row.get {
            Get::Zero => 0,
            // The side effect is the first byte's.
            Get::Data if offset & 3 == 0 => self.data(),
            Get::Data => 0,
            Get::Errors => {
                if self.overrun {
                    RSR_OE
                } else {
                    0
                }
            }
            Get::Flags => self.flags(),
            Get::Kept(register) => self.kept(register),
            Get::Raw => self.raw,
            Get::Masked => self.raw & self.kept(Kept::Imsc),
            Get::Is(value) => u16::from(value),
        };
        u64::from(value) >> (offset & 3).wrapping_mul(8) & width.mask()
    }

    /// Writes; a byte that goes out comes back.
    pub(super) fn write(&mut self, offset: u64, width: Width, value: u64) -> Option<u8> {
        let row = find(offset, width).filter(|_| offset & 3 == 0)?;
        let value = value as u16;
        match row.put {
            Put::Nothing => {}
            Put::Data if self.kept(Kept::Cr) & CR_LBE != 0 => {
                self.receive(value as u8);
                self.raw(INT_TX, true);
            }
            Put::Data if self.full => {}
            Put::Data => {
                // It is gone at once, so the FIFO is below its trigger again.
                self.raw(INT_TX, true);
                return Some(value as u8);
            }
            Put::ClearErrors => self.overrun = false,
            Put::Keep(register, mask) => {
                if let Some(kept) = self.kept.get_mut(register as usize) {
                    *kept = value & mask;
                }
            }
            Put::Clear => self.raw &= !value,
        }
        None
    }

    fn data(&mut self) -> u16 {
        let Some(byte) = self.rx.pop() else { return 0 };
        self.raw(INT_RX, self.raw & INT_RX != 0 && self.rx.len() >= self.trigger());
        if self.rx.is_empty() {
            self.raw(INT_RT, false);
        }
        u16::from(byte) | if self.overrun { DR_OE } else { 0 }
    }

    /// UARTFR.
    pub(super) fn flags(&self) -> u16 {
        let mut flags = FR_CTS | FR_DSR | FR_DCD;
        flags |= if self.full { FR_TXFF | FR_BUSY } else { FR_TXFE };
        flags |= if self.rx.is_empty() { FR_RXFE } else { 0 };
        flags | if self.rx.is_full() { FR_RXFF } else { 0 }
    }
}

/// The register of an access; there is none of 8 bytes.
fn find(offset: u64, width: Width) -> Option<&'static Reg> {
    let word = (offset >> 2) as usize;
    let row = if word < LOW { word } else { word.checked_sub(IDENTITY)?.saturating_add(LOW) };
    REGISTERS.get(row).filter(|_| width != Width::Double)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DR: u64 = 0;
    const IMSC: u64 = 0x38;
    const RIS: u64 = 0x3c;
    const MIS: u64 = 0x40;
    const ICR: u64 = 0x44;

    fn word(uart: &mut Pl011, at: u64) -> u64 {
        uart.read(at, Width::Word)
    }

    fn set(uart: &mut Pl011, at: u64, value: u64) {
        assert_eq!(uart.write(at, Width::Word, value), None);
    }

    #[test]
    fn it_is_known_by_its_identity() {
        let mut uart = Pl011::new();
        let id = |uart: &mut Pl011, from: u64| {
            (0..4).fold(0, |id, n| id | uart.read(from + 4 * n, Width::Word) << (8 * n))
        };
        // Linux's amba bus asks for part and designer, and for the PrimeCell's mark.
        assert_eq!(id(&mut uart, 0xfe0) & 0x000f_ffff, 0x0004_1011);
        assert_eq!(id(&mut uart, 0xff0), 0xb105_f00d);
    }

    #[test]
    fn what_is_written_goes_out_and_raises_the_transmit_interrupt() {
        let mut uart = Pl011::new();
        assert_eq!(word(&mut uart, RIS), 0);
        assert_eq!(uart.write(DR, Width::Byte, 0x41), Some(0x41));
        assert_eq!((word(&mut uart, RIS), uart.line()), (u64::from(INT_TX), false));
        set(&mut uart, IMSC, u64::from(INT_TX));
        assert!(uart.line());
        set(&mut uart, ICR, u64::from(INT_TX));
        assert!(!uart.line());
        // A full ring is a full FIFO.
        uart.set_full(true);
        assert_eq!(word(&mut uart, FR) & 0xe8, u64::from(FR_TXFF | FR_BUSY));
        assert_eq!(uart.write(DR, Width::Word, 0x42), None);
        assert!(!uart.line());
        uart.set_full(false);
        assert_eq!(word(&mut uart, FR) & 0xe8, u64::from(FR_TXFE));
        assert!(uart.line(), "whoever waits for room is called");
    }

    #[test]
    fn input_raises_and_reading_lowers() {
        let mut uart = Pl011::new();
        set(&mut uart, IMSC, u64::from(INT_RX | INT_RT));
        assert_eq!(word(&mut uart, FR) & 0x50, u64::from(FR_RXFE));
        uart.receive(b'x');
        assert_eq!(word(&mut uart, MIS), u64::from(INT_RT));
        assert!(uart.line());
        assert_eq!(uart.read(DR, Width::Half), u64::from(b'x'));
        assert!(!uart.line());
        for byte in 0..16 {
            uart.receive(byte);
        }
        assert_eq!(word(&mut uart, MIS), u64::from(INT_RX | INT_RT));
        for byte in 0..16 {
            assert_eq!(word(&mut uart, DR), byte);
        }
        assert_eq!((word(&mut uart, MIS), word(&mut uart, DR)), (0, 0));
    }

    #[test]
    fn without_fifos_each_byte_is_an_interrupt() {
        let mut uart = Pl011::new();
        set(&mut uart, 0x2c, 0x60);
        uart.receive(1);
        assert_eq!(word(&mut uart, RIS), u64::from(INT_RX | INT_RT));
    }

    #[test]
    fn too_much_input_is_an_overrun() {
        let mut uart = Pl011::new();
        (0..=RX).for_each(|_| uart.receive(7));
        assert_eq!(word(&mut uart, FR) & u64::from(FR_RXFF), u64::from(FR_RXFF));
        assert_eq!((word(&mut uart, 4), word(&mut uart, RIS) & 0x400), (8, 0x400));
        assert_eq!(word(&mut uart, DR), u64::from(DR_OE) | 7);
        set(&mut uart, 4, 0);
        assert_eq!((word(&mut uart, 4), word(&mut uart, DR)), (0, 7));
    }

    #[test]
    fn it_comes_out_of_reset_as_firmware_leaves_a_console() {
        let mut uart = Pl011::new();
        uart.receive(1);
        set(&mut uart, 0x30, 0);
        set(&mut uart, IMSC, 0xffff);
        assert_eq!(word(&mut uart, IMSC), 0x7ff);
        uart.reset();
        assert_eq!((word(&mut uart, 0x30), word(&mut uart, IMSC), word(&mut uart, 0x2c)), (0x301, 0, 0x70));
        assert_eq!((word(&mut uart, FR) & 0x50, word(&mut uart, RIS)), (u64::from(FR_RXFE), 0));
    }

    #[test]
    fn looped_back_it_hears_itself() {
        let mut uart = Pl011::new();
        set(&mut uart, 0x30, 0x381);
        assert_eq!(uart.write(DR, Width::Word, 0x55), None);
        assert_eq!(word(&mut uart, DR), 0x55);
    }

    #[test]
    fn narrow_wide_and_stray_accesses() {
        let mut uart = Pl011::new();
        set(&mut uart, 0x24, 0x1234);
        assert_eq!((uart.read(0x25, Width::Byte), uart.read(0x24, Width::Byte)), (0x12, 0x34));
        assert_eq!(uart.write(0x25, Width::Byte, 0xff), None);
        assert_eq!(uart.write(DR, Width::Double, 0x41), None);
        assert_eq!((uart.read(0x24, Width::Double), word(&mut uart, 0x24)), (0, 0x1234));
        for at in (0..0x1000).step_by(4) {
            uart.write(at, Width::Word, 0);
            word(&mut uart, at);
        }
    }
}
