//! Which machine QEMU shall be.

use std::borrow::Cow;
use std::path::PathBuf;

use super::Emulated;

/// A machine that enters its kernel at EL2. Every field is QEMU's own argument of that name. What is said of CPU, GIC and EL2 is
/// for `virt`; other boards have what they have.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The board.
    pub board: Emulated,
    /// The tree that QEMU is given; it writes its own where there is none.
    pub tree: Option<PathBuf>,
    /// The CPU's model.
    pub cpu: Cow<'static, str>,
    /// How many.
    pub smp: u32,
    /// RAM, with QEMU's suffixes.
    pub memory: Cow<'static, str>,
    /// Whether there is an EL2. A bare-metal guest that is to run without a hypervisor wants none.
    pub el2: bool,
    /// Whether there is an EL3, so that GICD_CTLR.DS is 0 and firmware keeps Group 0.
    pub secure: bool,
    /// The GIC's version.
    pub gic: u32,
    /// Whether the GIC has an ITS. Cells see none, so native Linux that is compared with a cell has none either.
    pub its: bool,
    /// Disks.
    pub disk: Disk,
    /// A virtio console on the PCI bus; it is the last of the consoles.
    pub virtio_console: bool,
    /// Whether one instruction is one nanosecond of the machine's time, the same in every run.
    pub icount: bool,
}

/// The machine's disk, on the PCI bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disk {
    /// None.
    None,
    /// An empty one of 64 MiB that ends with the machine.
    Scratch,
    /// Three of these: on the PCI bus, behind a bridge on it, and by MMIO.
    ThreeScratch,
    /// Two that answer four requests a second, by MMIO and on the PCI bus: full of bytes 0xa5.
    TwoSlow,
    /// A raw image that keeps what is written.
    File(PathBuf),
}

impl Machine {
    /// The demo's machine: 4 CPUs, 1 GiB.
    pub const DEMO: Self = Self {
        board: Emulated::Virt,
        tree: None,
        cpu: Cow::Borrowed("cortex-a57"),
        smp: 4,
        memory: Cow::Borrowed("1G"),
        el2: true,
        secure: false,
        gic: 3,
        its: true,
        disk: Disk::Scratch,
        virtio_console: false,
        icount: false,
    };

    /// QEMU's arguments, the consoles' and what is booted left out.
    pub fn arguments(&self) -> Vec<String> {
        let on = |yes| if yes { "on" } else { "off" };
        if let Some(board) = self.board.machine() {
            let mut args: Vec<String> =
                ["-display", "none", "-nic", "none", "-M", board].map(String::from).into();
            args.extend(["-m".into(), self.memory.to_string()]);
            // Versal and Zynq count the cores beside the cluster, too, and have as many as they have.
            if !matches!(self.board, Emulated::Versal | Emulated::Zcu102) {
                args.extend(["-smp".into(), self.smp.to_string()]);
            }
            args.extend(self.tree.iter().flat_map(|tree| ["-dtb".into(), tree.display().to_string()]));
            args.extend((0..self.board.lines_before()).flat_map(|_| ["-serial", "null"].map(String::from)));
            return args;
        }
        let mut machine =
            format!("virt,virtualization={},gic-version={},its={}", on(self.el2), self.gic, on(self.its));
        if self.secure {
            machine += ",secure=on";
        }
        // Without -nodefaults there would be a network card, whose option ROM Debian packages apart.
        let mut args: Vec<String> = ["-nodefaults", "-display", "none", "-M"].map(String::from).into();
        let (cpu, smp) = match self.icount {
            // A counter of 1 GHz counts icount's nanoseconds, which are instructions.
            true => (format!("{},cntfrq=1000000000", self.cpu), self.smp),
            false => (self.cpu.to_string(), self.smp),
        };
        args.push(machine);
        args.extend([
            "-cpu".into(),
            cpu,
            "-smp".into(),
            smp.to_string(),
            "-m".into(),
            self.memory.to_string(),
        ]);
        args.extend(self.tree.iter().flat_map(|tree| ["-dtb".into(), tree.display().to_string()]));
        if self.icount {
            args.extend(["-icount".into(), "shift=0,sleep=off".into()]);
            args.extend(["-rtc".into(), "base=2026-01-01T00:00:00,clock=vm".into()]);
        }
        args
    }
}
