//! The words of the language: what may stand in a description, and what will one day.

/// The properties that a node can have.
pub(super) struct Names {
    /// They mean something.
    pub(super) known: &'static [&'static str],
    /// They are reserved.
    pub(super) later: &'static [&'static str],
}

/// What dtc and people who are used to it write without thinking. It says nothing here.
pub(super) const IGNORED: &[&str] = &["#address-cells", "#size-cells", "phandle", "linux,phandle"];

pub(super) static ROOT: Names = Names { known: &["compatible"], later: &[] };

pub(super) static HYPERVISOR: Names = Names { known: &["console", "print-plan", "vhe"], later: &[] };

pub(super) static CELL: Names = Names {
    known: &[
        "root",
        "cpus",
        "memory",
        "ram-base",
        "kernel",
        "initrd",
        "image",
        "load-address",
        "entry",
        "bootargs",
        "bootargs-append",
        "dtb",
        "dtb-overlay",
        "devices",
        "unprotected-dma",
        "foreign-dependencies",
        "console",
        "interrupt-mode",
        "wfi",
        "on-crash",
        "restart-limit",
        "watchdog",
        "smc-allow",
    ],
    later: &["cache-colours", "memory-map"],
};

/// A node below the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Child {
    Cell,
    Hypervisor,
    /// Reserved for something that is no cell.
    Later,
    /// Put there by `dtc -@`.
    OfCompiler,
}

impl Child {
    #[inline(never)]
    pub(super) fn of(name: &str) -> Self {
        match name {
            "hypervisor" => Self::Hypervisor,
            "shared" => Self::Later,
            "__symbols__" | "__local_fixups__" => Self::OfCompiler,
            _ => Self::Cell,
        }
    }
}
