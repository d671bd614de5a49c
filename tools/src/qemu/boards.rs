//! The boards that QEMU plays and that enter a kernel at EL2.

use std::path::{Path, PathBuf};

/// A board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Emulated {
    /// QEMU's own, `virt`, for which it writes the tree.
    #[default]
    Virt,
    /// i.MX 8M Plus EVK, with Debian's tree. QEMU 10.0 has no virtual interrupt lines there: a list register interrupts no guest.
    Imx8mp,
    /// Raspberry Pi 4, with Debian's tree less what QEMU lacks.
    RaspberryPi4,
    /// Versal's virtual board, for which QEMU writes the tree.
    Versal,
    /// ZCU102 (Zynq UltraScale+), with Debian's tree.
    Zcu102,
}

impl Emulated {
    /// The board's tree below the repository's `target`, as `scripts/setup --all` leaves it; `None` where QEMU writes it.
    pub fn tree(self, target: &Path) -> Option<PathBuf> {
        let name = match self {
            Self::Virt | Self::Versal => return None,
            Self::Imx8mp => "imx8mp-evk.dtb",
            Self::RaspberryPi4 => "bcm2711-rpi-4-b-qemu.dtb",
            Self::Zcu102 => "zynqmp-zcu102-rev1.0.dtb",
        };
        Some(target.join("debian/dtbs").join(name))
    }

    /// Debian's U-Boot for it, below the repository's `target`: the Raspberry Pi's, else `virt`'s.
    pub fn u_boot(self, target: &Path) -> PathBuf {
        target.join(match self {
            Self::RaspberryPi4 => "debian/u-boot-rpi/usr/lib/u-boot/rpi_arm64/u-boot.bin",
            _ => "debian/u-boot-qemu/usr/lib/u-boot/qemu_arm64/u-boot.bin",
        })
    }

    /// QEMU's name of it; for `virt` there is more to say.
    pub(super) fn machine(self) -> Option<&'static str> {
        Some(match self {
            Self::Virt => return None,
            Self::Imx8mp => "imx8mp-evk",
            Self::RaspberryPi4 => "raspi4b",
            Self::Versal => "xlnx-versal-virt",
            Self::Zcu102 => "xlnx-zcu102,virtualization=on",
        })
    }

    /// How many serial lines come before that of the board's `stdout-path`.
    pub(super) fn lines_before(self) -> usize {
        match self {
            Self::Imx8mp | Self::RaspberryPi4 => 1,
            Self::Virt | Self::Versal | Self::Zcu102 => 0,
        }
    }
}
