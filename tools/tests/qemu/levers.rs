//! What no guest can bring about: EL2 fails, or a physical SError comes. QEMU has no such fault to inject, so words of EL2's vectors
//! are written over while the machine runs, by QEMU's own test interface (`-qtest`).

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_cli::qemu::{Disk, Machine};

use crate::list::cells;
use crate::running::Running;
use crate::scenario::Boots::Cells;

/// Real time for what is waited for.
const LIMIT: Duration = Duration::from_secs(240);
/// Where `virt` loads a kernel: the image's first byte.
const IMAGE: u64 = 0x4020_0000;
/// In the vectors: exceptions from a guest in AArch64 (Arm ARM D1.3.1.2).
const LOWER_IRQ: u64 = 0x480;
/// UDF #0, which is no instruction.
const UDF: u32 = 0;
/// `b` to the vector of an SError from such a guest, from that of its IRQ.
const TO_SERROR: u32 = 0x1400_0000 + 0x100 / 4;

/// A machine whose memory can be written, and whose CPUs can be looked at.
struct Levers {
    /// What the cell on the second serial line says.
    console: Receiver<String>,
    test: BufReader<UnixStream>,
    monitor: UnixStream,
    /// The vectors' physical address.
    vectors: u64,
    _running: Running,
}

/// Where a CPU is: its line of the monitor's `info registers -a`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    pc: u64,
    at_el2: bool,
}

impl Levers {
    fn start(name: &str, described: &[String]) -> Result<Self, String> {
        let machine = Machine { smp: 3, its: false, disk: Disk::None, ..Machine::DEMO };
        let boot = Cells(cells(described)).boot(name)?;
        let mut running = Running::start(&machine, &boot, &["-accel", "tcg"], &["-qtest", "-monitor"])?;
        let (test, monitor) = (running.socket(0)?, running.socket(1)?);
        for socket in [&test, &monitor] {
            socket.set_read_timeout(Some(LIMIT)).map_err(|error| error.to_string())?;
        }
        let lines = running.console()?.map_while(Result::ok);
        let (send, console) = mpsc::channel();
        thread::spawn(move || lines.map(|line| send.send(line)).take_while(Result::is_ok).count());
        let image = std::fs::read(&boot.kernel).map_err(|error| error.to_string())?;
        let vectors = IMAGE + vectors(&image)?;
        Ok(Self { console, test: BufReader::new(test), monitor, vectors, _running: running })
    }

    /// Waits for a line that holds this.
    fn see(&self, text: &str) -> Result<String, String> {
        let begin = Instant::now();
        let mut said = String::new();
        while let Ok(line) = self.console.recv_timeout(LIMIT.saturating_sub(begin.elapsed())) {
            if line.contains(text) {
                return Ok(line);
            }
            said = format!("{said}\n| {line}");
        }
        Err(format!("\"{text}\" did not come:{said}"))
    }

    /// Whether nothing comes for so long.
    fn is_silent(&self, time: Duration) -> bool {
        self.console.try_iter().for_each(drop);
        self.console.recv_timeout(time).is_err()
    }

    /// One command of the test interface: the word behind OK.
    fn ask(&mut self, command: &str) -> Result<String, String> {
        let odd = |error: std::io::Error| format!("{command}: {error}");
        self.test.get_mut().write_all(format!("{command}\n").as_bytes()).map_err(odd)?;
        let mut line = String::new();
        self.test.read_line(&mut line).map_err(odd)?;
        line.trim().strip_prefix("OK").map(|rest| rest.trim().into()).ok_or(format!("{command}: {line}"))
    }

    /// Writes a word of the vectors: what stood there.
    fn write(&mut self, offset: u64, word: u32) -> Result<u32, String> {
        let at = self.vectors + offset;
        let before = self.ask(&format!("readl {at:#x}"))?;
        let before = before.trim_start_matches("0x").trim_start_matches('0');
        let before = u32::from_str_radix(before, 16).map_err(|error| format!("{before}: {error}"))?;
        self.ask(&format!("writel {at:#x} {word:#x}")).map(|_| before)
    }

    /// Where each CPU is.
    fn places(&mut self) -> Result<Vec<Place>, String> {
        let odd = |error: std::io::Error| error.to_string();
        // The second command is none: what the monitor says of it ends the answer to the first.
        self.monitor.write_all(b"info registers -a\nthat-is-all\n").map_err(odd)?;
        let (mut text, mut part) = (String::new(), [0; 4096]);
        while !text.contains("unknown command: 'that-is-all'") {
            let count = self.monitor.read(&mut part).map_err(odd)?;
            if count == 0 {
                return Err("QEMU ended".into());
            }
            text += &String::from_utf8_lossy(&part[..count]);
        }
        let mut places = Vec::new();
        for cpu in text.split("CPU#").skip(1) {
            let word = cpu.split_once("PC=").and_then(|(_, rest)| rest.split_whitespace().next());
            let pc = word.and_then(|word| u64::from_str_radix(word, 16).ok()).ok_or("no PC")?;
            places.push(Place { pc, at_el2: cpu.contains(" EL2h") });
        }
        Ok(places)
    }
}

/// Where the vectors are in an image: 2 KiB, in whose second half, from guests, each begins alike, and in the first, but for EL2's
/// own SError, as well.
fn vectors(image: &[u8]) -> Result<u64, String> {
    let alike = |vectors: &[&[u8]]| vectors.iter().all(|vector| vector.get(..4) == vectors[0].get(..4));
    let mut found = image.chunks_exact(0x800).enumerate().filter(|(_, table)| {
        let all: Vec<_> = table.chunks_exact(0x80).collect();
        alike(&all[..7]) && alike(&all[8..]) && all[0][..4] != all[8][..4]
    });
    match (found.next(), found.next()) {
        (Some((at, _)), None) => Ok(at as u64 * 0x800),
        _ => Err("the image has no vectors, or what looks like them".into()),
    }
}

fn control(name: &str, cpu: u32, more: &str) -> String {
    format!("    {name} {{ cpus = \"cpu@{cpu}\"; memory = \"16M\"; image = \"control.elf\"; {more} }};\n")
}

/// The test: EL2 fails on the CPU of one cell. No other cell's CPU goes on, be it that it takes its interrupts by itself and never
/// comes to EL2, or sleeps there in its guest's place.
pub fn all_stops() -> Result<(), String> {
    let mut levers = Levers::start(
        "a_failure_of_el2_stops_all",
        &[
            "    hypervisor { console = \"none\"; };\n".into(),
            control("virtual", 0, ""),
            control("asleep", 1, "interrupt-mode = \"direct\";"),
            control("own", 2, "interrupt-mode = \"direct\"; wfi = \"own\"; devices = \"serial1\";"),
        ],
    )?;
    levers.see(": second 2 ")?;
    let running = levers.places()?;
    // The direct cells have no IRQ that comes to EL2.
    levers.write(LOWER_IRQ, UDF)?;
    let begin = Instant::now();
    let stopped = loop {
        let (one, then) = (levers.places()?, {
            thread::sleep(Duration::from_secs(1));
            levers.places()?
        });
        if one == then && one.iter().all(|place| place.at_el2) {
            break one;
        }
        if begin.elapsed() > LIMIT {
            return Err(format!("CPUs go on: {one:x?}, {then:x?}; they were {running:x?}"));
        }
    };
    if stopped.len() != 3 || !levers.is_silent(Duration::from_secs(5)) || levers.places()? != stopped {
        return Err(format!("CPUs go on: {:x?}; they stood at {stopped:x?}", levers.places()?));
    }
    println!("CPUs were {running:x?}, and stand at {stopped:x?}");
    Ok(())
}

/// The test: an SError that EL2 takes from a guest comes to that guest as a virtual one, and to nobody else.
pub fn virtual_serror() -> Result<(), String> {
    let mut levers = Levers::start(
        "an_serror_is_the_guests",
        &[
            "    hypervisor { console = \"none\"; };\n".into(),
            control("hit", 0, "devices = \"serial1\";"),
            control("other", 1, "interrupt-mode = \"direct\";"),
        ],
    )?;
    levers.see(": second 2 ")?;
    // Its next timer interrupt is taken for an SError, as long as the branch stands there.
    let before = levers.write(LOWER_IRQ, TO_SERROR)?;
    thread::sleep(Duration::from_millis(500));
    levers.write(LOWER_IRQ, before)?;
    let line = levers.see("guest: unexpected ")?;
    println!("{line}");
    if line.contains("unexpected SError") { Ok(()) } else { Err(line) }
}
