//! The virtual UART of a cell: a PL011 and the clock that its binding asks for (Linux `arm,pl011.yaml`). In the root cell it has
//! the node of the hypervisor's console.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::GuestTreeError;
use super::write::{Writer, reg};
use crate::addr::{Ipa, PAGE, Span};
use crate::intid::Spi;
use crate::plan::{UART_SIZE, VirtualUart};
use crate::tree::Node;
use crate::tree::ranges::Bus;

/// The clock's node and rate: what divisors are computed from, which nobody looks at.
const CLOCK: &str = "virtual-uart-clock";
const RATE: u32 = 24_000_000;

impl<'t, 'a> Writer<'_, 't, 'a> {
    /// The name of the UART's node, if this tree has one.
    pub(super) fn own_uart(&self) -> Option<(String, VirtualUart)> {
        let uart = self.cell.uart.filter(|uart| uart.node.is_none())?;
        Some((format!("pl011@{:x}", uart.at.start().0), uart))
    }

    /// The virtual UART that stands in the place of this one of the board's, which is none.
    pub(super) fn replaced(&self, node: Node<'_, '_>) -> Option<VirtualUart> {
        let is_pl011 = || node.compatibles().any(|name| name == "arm,pl011" || name == "arm,sbsa-uart");
        self.cell.uart.filter(|uart| uart.node == Some(node.id()) && !is_pl011())
    }

    /// Writes it, and the clock of one that is written later.
    pub(super) fn virtual_uart(&mut self) -> Result<(), GuestTreeError> {
        let own = self.own_uart();
        let board = self.cell.uart.and_then(|uart| uart.node).map(|node| self.tree.node(node));
        if own.is_none() && board.and_then(|node| self.replaced(node)).is_none() {
            return Ok(());
        }
        let clock = self.clock_phandle();
        self.fdt.begin_node(CLOCK);
        self.fdt.property("compatible", b"fixed-clock\0");
        self.fdt.property("#clock-cells", &[0; 4]);
        self.fdt.property("clock-frequency", &RATE.to_be_bytes());
        self.fdt.property("phandle", &clock);
        self.fdt.end_node();
        let Some((name, uart)) = own else { return Ok(()) };
        let root = self.tree.root();
        let value = reg(&name, (root.address_cells(), root.size_cells()), &[uart.at])?;
        self.fdt.begin_node(&name);
        self.fdt.property("reg", &value);
        let line = self.line(uart.spi);
        self.fdt.property("interrupts", &line);
        self.pl011();
        self.fdt.end_node();
        Ok(())
    }

    /// What a PL011 has beside its place and its interrupt.
    fn pl011(&mut self) {
        let clock = self.clock_phandle();
        self.fdt.property("compatible", b"arm,pl011\0arm,primecell\0");
        self.fdt.property("clocks", &[clock, clock].concat());
        self.fdt.property("clock-names", b"uartclk\0apb_pclk\0");
    }

    /// None of the board's, which come along with what is copied.
    fn clock_phandle(&self) -> [u8; 4] {
        let phandles = self.tree.nodes().filter_map(|node| node.prop("phandle")?.u32());
        phandles.max().unwrap_or(0).wrapping_add(1).to_be_bytes()
    }

    /// A PL011 under the name and phandle of the board's UART, so that aliases and `stdout-path` lead to it; at the beginning of
    /// the page that the other one is in.
    pub(super) fn in_its_place(&mut self, node: Node<'t, 'a>, uart: VirtualUart) {
        let bus = node.parent().unwrap_or(node);
        if let Some((there, _)) = Bus::of(&bus).reg(node.bytes("reg")).next()
            && let Some(page) = Span::new(Ipa(there.at & !(PAGE - 1)), UART_SIZE)
            // One cell is enough for what the board's tree had in as many.
            && let Ok(value) = reg(node.name(), (bus.address_cells(), bus.size_cells()), &[page])
        {
            self.fdt.property("reg", &value);
        }
        self.moved_line(uart.spi);
        self.pl011();
        if let Some(phandle) = node.prop("phandle") {
            self.fdt.property("phandle", phandle.bytes());
        }
    }

    /// The interrupt of a virtual UART that stands in the place of a board's, and has another number.
    pub(super) fn moved_line(&mut self, spi: Spi) {
        if let Some(gic) = self.tree.node(self.sources.gic).prop("phandle") {
            let line = [gic.bytes(), &self.line(spi)].concat();
            self.fdt.property("interrupts-extended", &line);
        }
    }

    /// `interrupts` of a virtual device: an SPI, its number, high level; what a fourth cell says is for PPIs (Linux
    /// `arm,gic-v3.yaml`).
    pub(super) fn line(&self, spi: Spi) -> Vec<u8> {
        let cells = self.tree.node(self.sources.gic).number("#interrupt-cells").unwrap_or(3);
        let line = [0, spi.intid().saturating_sub(32), 4, 0].into_iter().take(cells as usize);
        line.flat_map(u32::to_be_bytes).collect()
    }
}
