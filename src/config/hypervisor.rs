//! What a description says about the hypervisor itself.

use alloc::string::String;

use super::reader::Reader;
use super::{Mistake, names};

/// The node `hypervisor`; without one, all defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HypervisorConfig {
    /// Where it prints, and where virtual consoles are joined.
    pub console: ConsoleChoice,
    /// Whether the plan is printed at boot.
    pub print_plan: bool,
}

/// Which UART is the hypervisor's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ConsoleChoice {
    /// The one that the board's /chosen names.
    #[default]
    Stdout,
    /// This of the board's nodes.
    Name(String),
    /// None; all that is printed is lost.
    None,
}

pub(super) fn parse(node: &mut Reader<'_, '_, '_>) -> HypervisorConfig {
    node.check_names(names::of_hypervisor);
    for child in node.node().children() {
        node.below(child).fail(None, Mistake::UnknownNode);
    }
    let console = match node.name("console") {
        None => ConsoleChoice::Stdout,
        Some(name) => match name.as_str() {
            "stdout-path" => ConsoleChoice::Stdout,
            "none" => ConsoleChoice::None,
            _ => ConsoleChoice::Name(name),
        },
    };
    HypervisorConfig { console, print_plan: node.flag("print-plan") }
}
