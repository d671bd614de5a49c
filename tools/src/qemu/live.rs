//! The machine with a person in front of it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::process::ExitStatus;

use super::process::{Scratch, boot_arguments, command, disk_arguments, io_error};
use super::{Boot, Machine, QemuError};

/// Runs a machine on this terminal: its first serial line is the terminal, lines of the others are printed with their
/// names before them. Ctrl-a x ends it.
///
/// # Errors
/// QEMU does not start.
pub fn live(machine: &Machine, boot: &Boot, others: &[&str]) -> Result<ExitStatus, QemuError> {
    let folder = Scratch::new()?;
    let mut args = machine.arguments();
    args.extend(["-serial".into(), "mon:stdio".into()]);
    for (number, name) in others.iter().enumerate() {
        let path = folder.path().join(number.to_string());
        let listener = UnixListener::bind(&path).map_err(io_error("no socket for a console"))?;
        args.extend(["-chardev".into(), format!("socket,id=c{number},path={}", path.display())]);
        args.extend(["-serial".into(), format!("chardev:c{number}")]);
        let name = (*name).to_string();
        std::thread::spawn(move || {
            let Ok((stream, _)) = listener.accept() else { return };
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                // QEMU has the terminal in raw mode.
                let mut out = std::io::stdout().lock();
                let _ = write!(out, "\r[{name}] {}\r\n", line.trim_end_matches('\r'));
                let _ = out.flush();
            }
        });
    }
    args.extend(disk_arguments(&machine.disk, folder.path())?);
    args.extend(boot_arguments(machine.board, boot));
    command(&args)
        .status()
        .map_err(io_error("qemu-system-aarch64 does not start: scripts/setup installs what is needed"))
}
