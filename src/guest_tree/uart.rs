//! The virtual UART of a cell other than root: a PL011 and the clock that its binding asks for (Linux `arm,pl011.yaml`). The root
//! cell has the node of the hypervisor's console instead.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::GuestTreeError;
use super::write::{Writer, reg};
use crate::intid::Spi;
use crate::plan::VirtualUart;

/// The clock's node and rate: what divisors are computed from, which nobody looks at.
const CLOCK: &str = "virtual-uart-clock";
const RATE: u32 = 24_000_000;

impl Writer<'_, '_, '_> {
    /// The name of the UART's node, if this tree has one.
    pub(super) fn own_uart(&self) -> Option<(String, VirtualUart)> {
        let uart = self.cell.uart.filter(|uart| uart.node.is_none())?;
        Some((format!("pl011@{:x}", uart.at.start().0), uart))
    }

    /// Writes it.
    pub(super) fn virtual_uart(&mut self) -> Result<(), GuestTreeError> {
        let Some((name, uart)) = self.own_uart() else { return Ok(()) };
        let root = self.tree.root();
        let value = reg(&name, (root.address_cells(), root.size_cells()), &[uart.at])?;
        // None of the board's, which come along with what is copied.
        let phandles = self.tree.nodes().filter_map(|node| node.prop("phandle")?.u32());
        let clock = phandles.max().unwrap_or(0).wrapping_add(1).to_be_bytes();
        self.fdt.begin_node(CLOCK);
        self.fdt.property("compatible", b"fixed-clock\0");
        self.fdt.property("#clock-cells", &[0; 4]);
        self.fdt.property("clock-frequency", &RATE.to_be_bytes());
        self.fdt.property("phandle", &clock);
        self.fdt.end_node();

        let line = self.line(uart.spi);
        self.fdt.begin_node(&name);
        self.fdt.property("compatible", b"arm,pl011\0arm,primecell\0");
        self.fdt.property("reg", &value);
        self.fdt.property("interrupts", &line);
        self.fdt.property("clocks", &[clock, clock].concat());
        self.fdt.property("clock-names", b"uartclk\0apb_pclk\0");
        self.fdt.end_node();
        Ok(())
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
