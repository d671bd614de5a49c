//! The watchdog of a cell (Linux `arm,sbsa-gwdt.yaml`).

use alloc::format;
use alloc::vec::Vec;

use super::GuestTreeError;
use super::write::{Writer, reg};
use crate::addr::{Ipa, Span};
use crate::watchdog::FRAME;

impl Writer<'_, '_, '_> {
    /// Writes it, if the cell has one.
    pub(super) fn watchdog(&mut self) -> Result<(), GuestTreeError> {
        let Some(watchdog) = self.cell.watchdog else { return Ok(()) };
        let refresh = watchdog.at.start().0;
        let control = refresh.saturating_add(FRAME);
        let name = format!("watchdog@{control:x}");
        let frames: Vec<_> =
            [control, refresh].into_iter().filter_map(|at| Span::new(Ipa(at), FRAME)).collect();
        let root = self.tree.root();
        let value = reg(&name, (root.address_cells(), root.size_cells()), &frames)?;
        let line = self.line(watchdog.spi);
        self.fdt.begin_node(&name);
        self.fdt.property("compatible", b"arm,sbsa-gwdt\0");
        self.fdt.property("reg", &value);
        // Above it, in the root cell, may stand another one.
        if let Some(gic) = self.tree.node(self.sources.gic).prop("phandle") {
            self.fdt.property("interrupt-parent", gic.bytes());
        }
        self.fdt.property("interrupts", &line);
        self.fdt.end_node();
        Ok(())
    }
}
