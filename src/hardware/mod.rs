//! The board's tree, read as hardware: CPUs, memory, GIC, timer, devices with their registers, interrupts and dependencies.
