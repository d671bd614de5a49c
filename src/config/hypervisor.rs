//! What a description says about the hypervisor itself.

use alloc::string::String;

use super::reader::Reader;
use super::{Vhe, names};

/// The node `hypervisor`; without one, all defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HypervisorConfig {
    /// Where it prints, and where virtual consoles are joined.
    pub console: ConsoleChoice,
    /// Whether the plan is printed at boot.
    pub print_plan: bool,
    /// Whether it runs with FEAT_VHE.
    pub vhe: Vhe,
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

pub(super) fn parse(mut node: Reader<'_, '_, '_>) -> HypervisorConfig {
    node.check_names(&names::HYPERVISOR);
    node.no_children();
    let console = match node.word("console", "one name") {
        None | Some("stdout-path") => ConsoleChoice::Stdout,
        Some("none") => ConsoleChoice::None,
        Some(name) => ConsoleChoice::Name(name.into()),
    };
    const VHE: &str = "\"auto\", \"on\" or \"off\"";
    let vhe = match node.word("vhe", VHE) {
        None | Some("auto") => Vhe::Auto,
        Some("on") => Vhe::On,
        Some("off") => Vhe::Off,
        Some(_) => {
            node.expected("vhe", VHE);
            Vhe::Auto
        }
    };
    HypervisorConfig { console, print_plan: node.flag("print-plan"), vhe }
}
