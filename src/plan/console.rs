//! The hypervisor's console: which UART it is, and where cells see theirs.

use alloc::vec::Vec;

use super::devices::{self, Claims};
use super::draft::Draw;
use super::error;
use crate::addr::{Ipa, PAGE, Pa, Span};
use crate::config::{CellConfig, CellConsole, ConsoleChoice};
use crate::hardware::Device;
use crate::intid::{Spi, Trigger};
use crate::refusal::{Refused, refuse};
use crate::tree::NodeId;
use crate::uart::{self, Model};

/// Where a cell other than root sees its virtual UART.
pub const CELL_UART: Ipa = Ipa(0x0900_0000);
/// Bytes of a PL011 (DDI 0183G 3.2).
pub const UART_SIZE: u64 = 0x1000;

/// The hypervisor's console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Console {
    /// Its node.
    pub node: NodeId,
    /// Its first register.
    pub at: Pa,
    /// Its interrupt.
    pub spi: Spi,
    /// What that is.
    pub trigger: Trigger,
    /// What kind of UART it is.
    pub model: &'static Model,
}

impl Console {
    fn of(device: &Device, model: &'static Model) -> Option<Self> {
        let (spi, trigger) = *device.spis.first()?;
        Some(Self { node: device.node, at: device.spans.first()?.start(), spi, trigger, model })
    }

    /// The page that it takes.
    pub fn page(&self) -> Option<Span<Pa>> {
        Span::new(self.at, 1)?.widened_to(PAGE)
    }

    /// Whether a device has registers, and all of them on that page.
    pub(super) fn has_on_its_page(&self, device: &Device) -> bool {
        let on_it = |page: Span<Pa>| devices::pages(device).into_iter().all(|span| page.covers(&span));
        !device.spans.is_empty() && self.page().is_some_and(on_it)
    }
}

/// A cell's virtual UART.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtualUart {
    /// Where the cell sees it.
    pub at: Span<Ipa>,
    /// The number of its interrupt; no cell has the physical one.
    pub spi: Spi,
    /// In the root cell, the node that describes it: the hypervisor's console's.
    pub node: Option<NodeId>,
}

/// Which UART the hypervisor has. A board whose console it cannot drive leaves it without one, unless the description names it.
pub(super) fn choose(draw: &Draw<'_, '_>, errors: &mut Vec<Refused>) -> Option<Console> {
    let node = match &draw.config.hypervisor.console {
        ConsoleChoice::None => return None,
        ConsoleChoice::Stdout => draw.board.node(draw.hardware.stdout?.node),
        ConsoleChoice::Name(name) => draw.resolve_for("hypervisor", "console", name, errors)?,
    };
    let device = draw.hardware.device(node.id());
    let model = uart::model(node.compatibles());
    let console = device.zip(model).and_then(|(device, model)| Console::of(device, model));
    if console.is_none() && draw.config.hypervisor.console != ConsoleChoice::Stdout {
        refuse(errors, &error::CONSOLE_UNFIT).cell("hypervisor", "console").node(&node);
    }
    console
}

/// What shares the console's page is the hypervisor's, too, where it is something that the console needs (the mini-UART's
/// `brcm,bcm2835-aux`), and no cell claims it by name.
pub(super) fn keeps(draw: &Draw<'_, '_>, console: &Console, device: &Device) -> bool {
    let needed = || {
        draw.hardware.device(console.node).is_some_and(|own| own.depends.iter().any(|d| d.on == device.node))
    };
    console.has_on_its_page(device) && needed()
}

/// Refuses cells' devices that cannot be apart from the console: on its page, or on its interrupt.
pub(super) fn check_shared(
    draw: &Draw<'_, '_>,
    console: Option<Console>,
    claims: &Claims,
    errors: &mut Vec<Refused>,
) {
    let Some((console, page)) = console.and_then(|console| Some((console, console.page()?))) else { return };
    for (owner, device) in claims.all(draw) {
        let Some(owner) = owner else { continue };
        let what = if devices::pages(device).into_iter().any(|span| span.overlaps(&page)) {
            "a page"
        } else if device.spis.iter().any(|(spi, _)| *spi == console.spi) {
            "an interrupt"
        } else {
            continue;
        };
        let cell = draw.name(Some(owner)).unwrap_or_default();
        let refused = refuse(errors, &error::CONSOLE_SHARED).cell(cell, "devices");
        refused.node(&draw.board.node(device.node)).word(what).node(&draw.board.node(console.node));
    }
}

/// A cell's virtual UART, if it has one.
pub(super) fn of_cell(
    console: Option<Console>,
    cell: &CellConfig,
    errors: &mut Vec<Refused>,
) -> Option<VirtualUart> {
    if cell.console != CellConsole::Virtual {
        return None;
    }
    let Some(console) = console else {
        // The root cell has not asked for one: it has the board's own UART then.
        if !cell.root {
            refuse(errors, &error::CONSOLE_MISSING).cell(&cell.name, "console");
        }
        return None;
    };
    let (at, node) =
        if cell.root { (Ipa(console.page()?.start().0), Some(console.node)) } else { (CELL_UART, None) };
    Some(VirtualUart { at: Span::new(at, UART_SIZE)?, spi: console.spi, node })
}

/// The device that the cell's console is, where it names one.
pub(super) fn device_of_cell(draw: &Draw<'_, '_>, cell: &CellConfig) -> Option<NodeId> {
    let CellConsole::Device(name) = &cell.console else { return None };
    // A name that stands for nothing has been refused.
    draw.board.resolve(name).ok().map(|node| node.id())
}
