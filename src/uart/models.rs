//! The models of UARTs, a row each.

use super::Step::{Change, Drain, Write};
use super::{Model, clear, set};

/// The model with one of these strings in its `compatible`, if Bulkhead can drive it.
pub fn model<'a>(compatibles: impl Iterator<Item = &'a str>) -> Option<&'static Model> {
    let mut compatibles = compatibles;
    compatibles.find_map(|name| MODELS.iter().find(|model| model.compatible.contains(&name)))
}

pub(super) static MODELS: [Model; 5] = [PL011, SBSA, IMX, MU, CADENCE];

/// PL011 (DDI 0183G 3.3).
const PL011: Model = Model {
    compatible: &["arm,pl011"],
    output: pl011::DR,
    input: pl011::DR,
    full: set(pl011::FR, 1 << 5),
    empty: set(pl011::FR, 1 << 4),
    busy: set(pl011::FR, 1 << 3),
    wake: &[],
    start: &[
        Write(pl011::IMSC, 0),
        // Line control may change only while it is off, and what it is sending would be cut off (3.3.7, 3.3.8).
        Drain,
        Change(pl011::CR, pl011::UARTEN, 0),
        // FEN, and WLEN for 8 bits.
        Write(pl011::LCR_H, 1 << 4 | 3 << 5),
        // Receive: at half. Transmit: at a quarter.
        Write(pl011::IFLS, 2 << 3 | 1),
        // TXE and RXE.
        Change(pl011::CR, 0, pl011::UARTEN | 1 << 8 | 1 << 9),
        Write(pl011::ICR, 0x7ff),
    ],
    hear: &[Write(pl011::IMSC, pl011::RX | pl011::RT)],
    call: &[Write(pl011::IMSC, pl011::RX | pl011::RT | pl011::TX)],
    // Framing, parity, break, overrun.
    settle: &[Write(pl011::ICR, 0xf << 7)],
};

/// What SBSA asks for of a PL011 (DEN0029, "Generic UART"): data, flags, interrupts. It has FIFOs always.
const SBSA: Model = Model {
    compatible: &["arm,sbsa-uart"],
    start: &[Write(pl011::IMSC, 0), Write(pl011::ICR, 0x7ff)],
    ..PL011
};

mod pl011 {
    pub const DR: u16 = 0x00;
    pub const FR: u16 = 0x18;
    pub const LCR_H: u16 = 0x2c;
    pub const CR: u16 = 0x30;
    pub const IFLS: u16 = 0x34;
    pub const IMSC: u16 = 0x38;
    pub const ICR: u16 = 0x44;

    pub const UARTEN: u32 = 1;
    pub const RX: u32 = 1 << 4;
    pub const TX: u32 = 1 << 5;
    pub const RT: u32 = 1 << 6;
}

/// That of i.MX (i.MX 8M Plus Applications Processor Reference Manual, "Universal Asynchronous Receiver/Transmitter").
const IMX: Model = Model {
    compatible: &["fsl,imx6q-uart", "fsl,imx21-uart"],
    output: imx::UTXD,
    input: imx::URXD,
    // TXFULL and RXEMPTY.
    full: set(imx::UTS, 1 << 4),
    empty: set(imx::UTS, 1 << 5),
    // TXDC.
    busy: clear(imx::USR2, 1 << 3),
    wake: &[
        Change(imx::UCR1, 0, imx::UARTEN),
        // SRST, which is a reset when it is clear; RXEN, TXEN. IRTS: nobody needs to be ready to receive.
        Change(imx::UCR2, 0, 1 | 1 << 1 | 1 << 2 | 1 << 14),
    ],
    start: &[
        Change(imx::UCR1, !imx::UARTEN, imx::UARTEN),
        Change(imx::UCR2, 0, 1 | 1 << 1 | 1 << 2 | 1 << 14),
        // ATEN, RTSEN, ESCI; DTRDEN, AWAKEN, AIRINTEN, RXDSEN, FRAERREN, PARERREN, DTREN; DREN to TCEN, IRSC to ENIRI: no other
        // interrupt. RXDMUXSEL, without which nothing is received.
        Change(imx::UCR2, 1 << 3 | 1 << 4 | 1 << 15, 0),
        Change(imx::UCR3, 0xf << 3 | 7 << 11, 1 << 2),
        Change(imx::UCR4, 0xf | 7 << 6, 0),
        // TXTL 2: room for more once no more than that wait. RXTL 1: each byte is told.
        Change(imx::UFCR, 0xfc3f, 2 << 10 | 1),
        // ORE.
        Write(imx::USR2, 1 << 1),
    ],
    hear: &[Change(imx::UCR1, imx::TRDYEN, imx::RRDYEN)],
    call: &[Change(imx::UCR1, 0, imx::TRDYEN | imx::RRDYEN)],
    settle: &[Write(imx::USR2, 1 << 1)],
};

mod imx {
    pub const URXD: u16 = 0x00;
    pub const UTXD: u16 = 0x40;
    pub const UCR1: u16 = 0x80;
    pub const UCR2: u16 = 0x84;
    pub const UCR3: u16 = 0x88;
    pub const UCR4: u16 = 0x8c;
    pub const UFCR: u16 = 0x90;
    pub const USR2: u16 = 0x98;
    pub const UTS: u16 = 0xb4;

    pub const UARTEN: u32 = 1;
    pub const RRDYEN: u32 = 1 << 9;
    pub const TRDYEN: u32 = 1 << 13;
}

/// A 16550 whose registers are a word apart: the mini-UART of the Raspberry Pi (BCM2711 ARM Peripherals 2.2) and DesignWare's.
/// LSR's bit 5 says that one byte can be written.
const MU: Model = Model {
    compatible: &["brcm,bcm2835-aux-uart", "snps,dw-apb-uart"],
    output: ns16550::DATA,
    input: ns16550::DATA,
    full: clear(ns16550::LSR, 1 << 5),
    empty: clear(ns16550::LSR, 1),
    busy: clear(ns16550::LSR, 1 << 6),
    wake: &[],
    // FIFOs on, the receiver's emptied.
    start: &[Write(ns16550::IER, 0), Write(ns16550::FCR, 1 | 1 << 1)],
    // ERBFI, and ELSI, without which the mini-UART tells of no byte (Linux' driver sets both, too).
    hear: &[Write(ns16550::IER, 1 | 1 << 2)],
    call: &[Write(ns16550::IER, 1 | 1 << 1 | 1 << 2)],
    settle: &[],
};

mod ns16550 {
    pub const DATA: u16 = 0x00;
    pub const IER: u16 = 0x04;
    pub const FCR: u16 = 0x08;
    pub const LSR: u16 = 0x14;
}

/// Cadence's, of Zynq UltraScale+ (UG1085, "UART Controllers"; UG1087, registers). Its interrupts are remembered until they are
/// written to ISR.
const CADENCE: Model = Model {
    compatible: &["cdns,uart-r1p12", "cdns,uart-r1p8", "xlnx,xuartps"],
    output: cadence::FIFO,
    input: cadence::FIFO,
    full: set(cadence::SR, 1 << 4),
    empty: set(cadence::SR, 1 << 1),
    busy: clear(cadence::SR, cadence::TEMPTY),
    wake: &[cadence::ON],
    start: &[
        Write(cadence::IDR, 0x1fff),
        cadence::ON,
        // Each byte is told.
        Write(cadence::RTRIG, 1),
        Write(cadence::ISR, 0x1fff),
    ],
    hear: &[Write(cadence::IDR, cadence::TEMPTY), Write(cadence::IER, cadence::RTRIG_INT)],
    // Not cleared before: one too many is better than one too few.
    call: &[Write(cadence::IER, cadence::RTRIG_INT | cadence::TEMPTY)],
    settle: &[Write(cadence::ISR, 0x1fff)],
};

mod cadence {
    use super::super::Step;

    pub const CR: u16 = 0x00;
    pub const IER: u16 = 0x08;
    pub const IDR: u16 = 0x0c;
    pub const ISR: u16 = 0x14;
    pub const RTRIG: u16 = 0x20;
    pub const SR: u16 = 0x2c;
    pub const FIFO: u16 = 0x30;

    pub const RTRIG_INT: u32 = 1;
    pub const TEMPTY: u32 = 1 << 3;
    /// RXEN and TXEN in place of RXDIS and TXDIS.
    pub const ON: Step = Step::Change(CR, 1 << 3 | 1 << 5, 1 << 2 | 1 << 4);
}
