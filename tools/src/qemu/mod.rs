//! The emulated machine: how QEMU is started, and how one talks to what runs there.

mod boards;
mod console;
mod live;
mod machine;
mod process;
mod screen;

pub use boards::Emulated;
pub use console::{Console, Lost};
pub use live::live;
pub use machine::{Disk, Machine};
pub use process::{Boot, Loader, Qemu, QemuError, Scratch, board_tree, command};
