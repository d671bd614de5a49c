//! The words of the language: what may stand in a description, and what will one day.

/// How a name stands in the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It means something.
    Known,
    /// It is reserved.
    Later,
    /// It does not exist.
    Unknown,
}

const CELL: &[&str] = &[
    "root",
    "cpus",
    "memory",
    "kernel",
    "initrd",
    "bootargs",
    "image",
    "devices",
    "unprotected-dma",
    "console",
    "interrupt-mode",
];

const CELL_LATER: &[&str] = &[
    "bootargs-append",
    "cache-colours",
    "dtb",
    "dtb-overlay",
    "entry",
    "load-address",
    "memory-map",
    "on-crash",
    "ram-base",
    "restart-limit",
    "smc-allow",
    "watchdog",
    "wfi",
];

/// The properties of the description's root, and how one stands there.
pub(super) fn of_root(name: &str) -> (Standing, &'static [&'static str]) {
    (standing(name, &["compatible"], &[]), &["compatible"])
}

/// The properties of a cell, and how one stands there.
pub(super) fn of_cell(name: &str) -> (Standing, &'static [&'static str]) {
    (standing(name, CELL, CELL_LATER), CELL)
}

fn standing(name: &str, known: &[&str], later: &[&str]) -> Standing {
    // What dtc and people who are used to it write without thinking. It says nothing here.
    const IGNORED: &[&str] = &["#address-cells", "#size-cells", "phandle", "linux,phandle"];
    match name {
        _ if known.contains(&name) || IGNORED.contains(&name) => Standing::Known,
        _ if later.contains(&name) => Standing::Later,
        _ => Standing::Unknown,
    }
}

/// The properties of `hypervisor`, and how one stands there.
pub(super) fn of_hypervisor(name: &str) -> (Standing, &'static [&'static str]) {
    const KNOWN: &[&str] = &["console", "print-plan"];
    (standing(name, KNOWN, &["vhe"]), KNOWN)
}

/// Whether a node below the root is no cell.
pub(super) fn is_reserved_node(name: &str) -> bool {
    matches!(name, "hypervisor" | "shared")
}

/// Whether a node below the root was put there by `dtc -@`.
pub(super) fn is_of_compiler(name: &str) -> bool {
    matches!(name, "__symbols__" | "__local_fixups__")
}
