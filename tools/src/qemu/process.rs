//! QEMU as a child process: started with its consoles on sockets, ended by its own process number.

use std::fs;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::{Console, Disk, Emulated, Lost, Machine};

/// What the machine boots.
#[derive(Clone, Debug)]
pub struct Boot {
    /// A raw arm64 `Image`: the hypervisor, or Linux itself.
    pub kernel: PathBuf,
    /// The archive, or Linux's initramfs.
    pub initrd: PathBuf,
    /// Linux's command line, when it runs without the hypervisor.
    pub append: Option<String>,
    /// Who brings it into memory.
    pub loader: Loader,
}

impl Boot {
    /// The hypervisor and an archive, by QEMU's own loader.
    pub fn new(kernel: impl Into<PathBuf>, archive: impl Into<PathBuf>) -> Self {
        Self { kernel: kernel.into(), initrd: archive.into(), append: None, loader: Loader::Qemu }
    }
}

/// What brings the kernel into memory and enters it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Loader {
    /// QEMU.
    #[default]
    Qemu,
    /// Firmware in `virt`'s flash, which gets kernel and archive from QEMU by fw_cfg.
    FwCfg(PathBuf),
    /// U-Boot, with a FAT partition that holds a folder's files; kernel and archive are among them. On `virt` U-Boot is in flash and
    /// the partition on a virtio disk; on another board U-Boot is in the kernel's place and the partition on an SD card.
    Card {
        /// U-Boot.
        firmware: PathBuf,
        /// The files.
        folder: PathBuf,
    },
}

/// Why a run went wrong.
#[derive(Debug, thiserror::Error)]
pub enum QemuError {
    /// QEMU or its files.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// QEMU stopped before it connected its consoles.
    #[error("QEMU did not start ({status}):\n{said}")]
    Start {
        /// Its exit status.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
    /// It still ran at the deadline.
    #[error("QEMU did not end before the deadline")]
    StillRunning,
    /// A console did not show what it should.
    #[error(transparent)]
    Lost(#[from] Lost),
}

pub(super) fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> QemuError {
    let what = what.into();
    |source| QemuError::Io { what, source }
}

/// A running machine. Dropping it ends it.
#[derive(Debug)]
pub struct Qemu {
    child: Child,
    /// The cells' consoles: those of the PL011s in QEMU's order, then the virtio console.
    pub consoles: Vec<Console>,
    _folder: Scratch,
    deadline: Instant,
}

impl Qemu {
    /// Starts a machine with one serial line for each of `consoles`: the name of a cell, or `NAME=NUMBER|NAME=NUMBER` of those
    /// that share the hypervisor's console. It has `limit` of real time for all that it shall do.
    ///
    /// # Errors
    /// QEMU does not start.
    pub fn start(
        machine: &Machine,
        boot: &Boot,
        consoles: &[&str],
        limit: Duration,
    ) -> Result<Self, QemuError> {
        Self::start_with(machine, boot, consoles, limit, |_, _| {})
    }

    /// Like [`Qemu::start`]; `echo` sees the console's name and each line as it comes.
    ///
    /// # Errors
    /// QEMU does not start.
    pub fn start_with(
        machine: &Machine,
        boot: &Boot,
        consoles: &[&str],
        limit: Duration,
        echo: impl Fn(&str, &str) + Clone + Send + 'static,
    ) -> Result<Self, QemuError> {
        let deadline = Instant::now() + limit;
        let folder = Scratch::new()?;
        let mut listeners = Vec::new();
        let mut args = machine.arguments();
        for (number, name) in consoles.iter().enumerate() {
            let path = folder.path().join(number.to_string());
            let listener = UnixListener::bind(&path).map_err(io_error("no socket for a console"))?;
            listener.set_nonblocking(true).map_err(io_error("no socket for a console"))?;
            // QEMU is the client: it connects before the machine runs, so that no output is lost.
            args.extend(["-chardev".into(), format!("socket,id=c{number},path={}", path.display())]);
            if machine.virtio_console && number + 1 == consoles.len() {
                args.extend(["-device".into(), "virtio-serial-pci,romfile=".into()]);
                args.extend(["-device".into(), format!("virtconsole,chardev=c{number}")]);
            } else {
                args.extend(["-serial".into(), format!("chardev:c{number}")]);
            }
            listeners.push((listener, *name));
        }
        args.extend(disk_arguments(&machine.disk, folder.path())?);
        args.extend(boot_arguments(machine.board, boot));

        let log = folder.path().join("qemu.log");
        let errors = fs::File::create(&log).map_err(io_error("no log file"))?;
        let mut child =
            command(&args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn().map_err(
                io_error("qemu-system-aarch64 does not start: scripts/setup installs what is needed"),
            )?;
        let mut open = Vec::new();
        for (listener, name) in listeners {
            let stream = loop {
                match listener.accept() {
                    Ok((stream, _)) => break stream,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(io_error("a console was not connected")(error)),
                }
                if let Some(status) = child.try_wait().map_err(io_error("QEMU is lost"))? {
                    let said = fs::read_to_string(&log).unwrap_or_default();
                    return Err(QemuError::Start { status, said });
                }
                std::thread::sleep(Duration::from_millis(5));
            };
            stream.set_nonblocking(false).map_err(io_error("a console was not connected"))?;
            let consoles = Console::open(name, stream, deadline, echo.clone());
            open.extend(consoles.map_err(io_error("a console was not connected"))?);
        }
        Ok(Self { child, consoles: open, _folder: folder, deadline })
    }

    /// Waits until the machine has powered itself off.
    ///
    /// # Errors
    /// It still runs at the deadline.
    pub fn wait(&mut self) -> Result<ExitStatus, QemuError> {
        loop {
            if let Some(status) = self.child.try_wait().map_err(io_error("QEMU is lost"))? {
                return Ok(status);
            }
            if Instant::now() > self.deadline {
                return Err(QemuError::StillRunning);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether the machine still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // Both fail only where it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The device tree that QEMU gives a machine with two serial lines, or the one that it is given.
///
/// # Errors
/// QEMU does not start.
pub fn board_tree(machine: &Machine) -> Result<Vec<u8>, QemuError> {
    if let Some(tree) = &machine.tree {
        return fs::read(tree).map_err(io_error(format!("no {}", tree.display())));
    }
    let folder = Scratch::new()?;
    let path = folder.path().join("dtb");
    let mut args = machine.arguments();
    args.extend(["-serial", "null", "-serial", "null", "-M"].map(String::from));
    let fixed = if machine.board == Emulated::Virt { ",dtb-randomness=off" } else { "" };
    args.push(format!("dumpdtb={}{fixed}", path.display()));
    args.extend(disk_arguments(&machine.disk, folder.path())?);
    let out = command(&args)
        .stdin(Stdio::null())
        .output()
        .map_err(io_error("qemu-system-aarch64 does not start: scripts/setup installs what is needed"))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        return Err(QemuError::Start { status: out.status, said });
    }
    fs::read(&path).map_err(io_error("QEMU wrote no device tree"))
}

/// QEMU with these arguments. It ends with the thread that started it, also where that is killed.
pub fn command(args: &[String]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "qemu-system-aarch64"]).args(args);
    command
}

/// The arguments that name what is booted.
pub(super) fn boot_arguments(board: Emulated, boot: &Boot) -> Vec<String> {
    let kernel = |kernel: &Path| ["-kernel".into(), kernel.display().to_string()];
    let flash = |firmware: &Path| ["-bios".into(), firmware.display().to_string()];
    let mut args: Vec<String> = Vec::new();
    match &boot.loader {
        Loader::Qemu => args.extend(kernel(&boot.kernel)),
        Loader::FwCfg(firmware) => args.extend(flash(firmware).into_iter().chain(kernel(&boot.kernel))),
        Loader::Card { firmware, folder } => {
            // An SD card's size is a power of two, and that of QEMU's partition is not: of its 504 MiB, these hold the files.
            let card = format!(
                "driver=raw,size={},file.driver=vvfat,file.rw=on,file.dir={}",
                256 << 20,
                folder.display()
            );
            if board == Emulated::Virt {
                args.extend(flash(firmware));
                // Else there are no GPIOs where there is firmware, and the card's tree was made without.
                args.extend(["-M".into(), "acpi=off".into()]);
                args.extend(["-drive".into(), format!("if=none,id=card,{card}")]);
                args.extend(["-device".into(), "virtio-blk-pci,drive=card,romfile=".into()]);
            } else {
                args.extend(kernel(firmware));
                args.extend(["-drive".into(), format!("if=sd,{card}")]);
            }
            return args;
        }
    }
    args.extend(["-initrd".into(), boot.initrd.display().to_string()]);
    if let Some(append) = &boot.append {
        args.extend(["-append".into(), append.clone()]);
    }
    args
}

/// The arguments for the disks; scratch ones are made in `folder`.
pub(super) fn disk_arguments(disk: &Disk, folder: &Path) -> Result<Vec<String>, QemuError> {
    const ON_PCI: &str = "virtio-blk-pci,drive=disk0,romfile=";
    let scratch = |name: &str| {
        let path = folder.join(name);
        let file = fs::File::create(&path).map_err(io_error("no file for the disk"))?;
        file.set_len(64 << 20).map_err(io_error("no file for the disk"))?;
        Ok::<_, QemuError>(path)
    };
    let slow = |name: &str| {
        let path = folder.join(name);
        fs::write(&path, vec![0xa5; 1 << 20]).map_err(io_error("no file for the disk"))?;
        Ok::<_, QemuError>(path)
    };
    let options = if *disk == Disk::TwoSlow { ",throttling.iops-total=4" } else { "" };
    let (files, devices): (Vec<PathBuf>, &[&str]) = match disk {
        Disk::None => (Vec::new(), &[]),
        Disk::File(file) => (vec![file.clone()], &[ON_PCI]),
        Disk::Scratch => (vec![scratch("disk")?], &[ON_PCI]),
        // With an ioeventfd QEMU waits for what is under way as soon as bus master is off.
        Disk::TwoSlow => (
            vec![slow("disk0")?, slow("disk1")?],
            &["virtio-blk-pci,drive=disk0,ioeventfd=off,romfile=", "virtio-blk-device,drive=disk1"],
        ),
        Disk::ThreeScratch => (
            vec![scratch("disk0")?, scratch("disk1")?, scratch("disk2")?],
            &[
                ON_PCI,
                "pcie-root-port,id=behind",
                "virtio-blk-pci,drive=disk1,bus=behind,romfile=",
                "virtio-blk-device,drive=disk2",
            ],
        ),
    };
    let mut args = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let file = file.display();
        args.extend(["-drive".into(), format!("if=none,id=disk{number},format=raw,file={file}{options}")]);
    }
    if *disk == Disk::TwoSlow {
        // Our own driver knows the standard alone.
        args.extend(["-global".into(), "virtio-mmio.force-legacy=false".into()]);
    }
    for device in devices {
        args.extend(["-device".into(), device.to_string()]);
    }
    Ok(args)
}

/// A folder of our own, with a short name: a socket's path has 108 bytes. It goes when this goes.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one.
    ///
    /// # Errors
    /// There is no temporary folder, or it cannot be written.
    pub fn new() -> Result<Self, QemuError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let folder = std::env::temp_dir().join(format!("bulkhead-{}-{number}", std::process::id()));
            match fs::create_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => return result.map(|()| Self(folder)).map_err(io_error("no temporary folder")),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is the temporary folder's owner's business.
        let _ = fs::remove_dir_all(&self.0);
    }
}
