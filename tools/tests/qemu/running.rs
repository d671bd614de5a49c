//! QEMU with a cell's console and its own log on pipes: for tests that count what QEMU logs, or reach into the machine.

use std::io::{BufRead, BufReader, Lines};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, ChildStderr, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use bulkhead_cli::qemu::{Boot, Machine, Scratch, command};

/// Real time until QEMU has connected a socket: it does so before the machine runs.
const LIMIT: Duration = Duration::from_secs(60);

/// A running machine, which ends with this. Its first serial line goes nowhere.
pub struct Running {
    child: Child,
    /// What QEMU connects to, in the order in which it was asked for.
    listeners: Vec<UnixListener>,
    _folder: Scratch,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts it with these arguments more. `sockets` are options of QEMU's that take a socket, `-monitor` for one.
    pub fn start(machine: &Machine, boot: &Boot, more: &[&str], sockets: &[&str]) -> Result<Self, String> {
        let folder = Scratch::new().map_err(|error| error.to_string())?;
        let mut args = machine.arguments();
        args.extend(["-serial", "null", "-serial", "stdio"].iter().chain(more).map(ToString::to_string));
        if !sockets.contains(&"-monitor") {
            args.extend(["-monitor", "none"].map(String::from));
        }
        let mut listeners = Vec::new();
        for option in sockets {
            let path = folder.path().join(option);
            listeners.push(UnixListener::bind(&path).map_err(|error| error.to_string())?);
            args.extend([option.to_string(), format!("unix:{}", path.display())]);
        }
        args.extend(["-kernel".into(), boot.kernel.display().to_string()]);
        args.extend(["-initrd".into(), boot.initrd.display().to_string()]);
        let child = command(&args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("qemu-system-aarch64 does not start: {error}"))?;
        Ok(Self { child, listeners, _folder: folder })
    }

    /// The lines of its second serial line, once.
    pub fn console(&mut self) -> Result<Lines<BufReader<ChildStdout>>, String> {
        Ok(BufReader::new(self.child.stdout.take().ok_or("QEMU has no console")?).lines())
    }

    /// The lines of its log, once.
    pub fn log(&mut self) -> Result<Lines<BufReader<ChildStderr>>, String> {
        Ok(BufReader::new(self.child.stderr.take().ok_or("QEMU has no log")?).lines())
    }

    /// The socket of the option that was named in this place.
    pub fn socket(&mut self, number: usize) -> Result<UnixStream, String> {
        let listener = self.listeners.get(number).ok_or("nobody asked for that socket")?;
        let odd = |error: std::io::Error| error.to_string();
        listener.set_nonblocking(true).map_err(odd)?;
        let begin = Instant::now();
        loop {
            match listener.accept() {
                Ok((stream, _)) => return stream.set_nonblocking(false).map(|()| stream).map_err(odd),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(odd(error)),
            }
            if begin.elapsed() > LIMIT || self.child.try_wait().map_err(odd)?.is_some() {
                return Err("QEMU has not connected its socket".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
