//! Why a description cannot be had on a board.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::addr::{BLOCK_2M, Ipa, Pa, Span};
use crate::cpu::PcpuId;
use crate::image::ImageError;
use crate::intid::Spi;
use crate::refusal::{Code, Place, Refusal, code};
use crate::tree::ResolveError;

/// A refusal. Cells are named as in the description, nodes by their path in the board's tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A name in `cpus` or `devices` stands for nothing.
    #[error("cell `{cell}`: `{property}`: {error}")]
    Name {
        /// The cell.
        cell: String,
        /// The property.
        property: &'static str,
        /// What is wrong with the name.
        error: ResolveError,
    },
    /// A name in `cpus` stands for something else.
    #[error("cell `{cell}`: `cpus` has `{name}`, but {node} is no CPU that can be used")]
    NotACpu {
        /// The cell.
        cell: String,
        /// The name.
        name: String,
        /// Its node.
        node: String,
    },
    /// A CPU in two cells, or twice in one.
    #[error("{cpu} ({node}) is claimed twice, by cells `{}` and `{}`: take it out of one", cells[0], cells[1])]
    CpuTwice {
        /// The CPU.
        cpu: PcpuId,
        /// Its node.
        node: String,
        /// Both claims.
        cells: [String; 2],
    },
    /// `cpus` as a count, but there are not so many.
    #[error("cell `{cell}` wants {wanted} CPUs, but only {free} are left of the board's {all}")]
    TooFewCpus {
        /// The cell.
        cell: String,
        /// How many it wants.
        wanted: u32,
        /// How many are left.
        free: usize,
        /// How many the board has.
        all: usize,
    },
    /// Nothing is left for a cell to run on.
    #[error("cell `{cell}` has no CPU: the other cells have them all, leave it at least one")]
    NoCpu {
        /// The cell.
        cell: String,
    },
    /// The root cell's memory is what the others leave.
    #[error("cell `{cell}` is the root cell and has all memory that the others leave: take out its `memory`")]
    RootMemory {
        /// The cell.
        cell: String,
    },
    /// A cell other than root needs a size.
    #[error("cell `{cell}` does not say how much `memory` it needs")]
    NoMemory {
        /// The cell.
        cell: String,
    },
    /// A size that cannot be mapped.
    #[error("cell `{cell}`: `memory` of {size:#x} bytes is no multiple of 4 KiB")]
    OddMemory {
        /// The cell.
        cell: String,
        /// The size.
        size: u64,
    },
    /// Not enough is free.
    #[error("cell `{cell}` wants {}, but only {} are free: make it or another cell smaller", Bytes(*wanted), Bytes(*free))]
    TooLittleMemory {
        /// The cell.
        cell: String,
        /// Bytes it wants.
        wanted: u64,
        /// Bytes that are free in blocks of 2 MiB.
        free: u64,
    },
    /// A name in `devices` stands for nothing that can have an owner.
    #[error("cell `{cell}`: `{property}` has `{name}`, but {node} {why}")]
    NotADevice {
        /// The cell.
        cell: String,
        /// The property.
        property: &'static str,
        /// The name.
        name: String,
        /// Its node.
        node: String,
        /// Why not, and what to do.
        why: &'static str,
    },
    /// A device in two cells.
    #[error("{node} is claimed by cells `{}` and `{}`: take it out of one", cells[0], cells[1])]
    DeviceTwice {
        /// The device.
        node: String,
        /// The cells.
        cells: [String; 2],
    },
    /// Two devices in one page.
    #[error("{} (cell `{}`) and {} (cell `{}`) share the page at {page}: give both to one cell", nodes[0], cells[0], nodes[1], cells[1])]
    PageTwice {
        /// The devices.
        nodes: [String; 2],
        /// Their cells.
        cells: [String; 2],
        /// The first page that both have.
        page: Pa,
    },
    /// Two devices on one interrupt.
    #[error("{} (cell `{}`) and {} (cell `{}`) share interrupt {spi}: give both to one cell", nodes[0], cells[0], nodes[1], cells[1])]
    SpiTwice {
        /// The interrupt.
        spi: Spi,
        /// The devices.
        nodes: [String; 2],
        /// Their cells.
        cells: [String; 2],
    },
    /// A device on a bus that another cell operates.
    #[error("cell `{cell}`: {device} sits on {bus}, which {owner} operates: claim that instead")]
    BusElsewhere {
        /// The cell.
        cell: String,
        /// The device.
        device: String,
        /// The bus that it sits on.
        bus: String,
        /// Who operates it.
        owner: String,
    },
    /// A device's registers where something else is.
    #[error(
        "cell `{cell}`: the registers of {device} at {span} lie in {what}, which no cell can be given as a device"
    )]
    DeviceOver {
        /// The cell.
        cell: String,
        /// The device.
        device: String,
        /// Its registers.
        span: Span<Pa>,
        /// What is there.
        what: &'static str,
    },
    /// DMA masters that nothing holds back.
    #[error("cell `{cell}`: {} can read and write all memory, the hypervisor's too; if the cell is trusted with that, it must say `unprotected-dma = \"accept\"`", .devices.join(", "))]
    UnprotectedDma {
        /// The cell.
        cell: String,
        /// The devices.
        devices: Vec<String>,
    },
    /// A cell claims the hypervisor's console.
    #[error(
        "cell `{cell}`: `{property}` has `{name}`, but {node} is the hypervisor's console: write `console = \"virtual\"` instead, or give the hypervisor another one with `hypervisor {{ console = NAME; }}`, or none with \"none\""
    )]
    ConsoleClaimed {
        /// The cell.
        cell: String,
        /// The property.
        property: &'static str,
        /// The name.
        name: String,
        /// Its node.
        node: String,
    },
    /// A cell's device on the page or the interrupt of the hypervisor's console.
    #[error("{} (cell `{cell}`) shares {what} with {}, the hypervisor's console: disable it in the board's tree, or name another console with `hypervisor {{ console = NAME; }}`", nodes[0], nodes[1])]
    ConsoleShared {
        /// The cell.
        cell: String,
        /// The device and the console.
        nodes: [String; 2],
        /// What they share.
        what: &'static str,
    },
    /// A console that Bulkhead cannot drive.
    #[error(
        "`hypervisor`: `console`: {node} cannot be the console: it must be an enabled arm,pl011 or arm,sbsa-uart with an SPI"
    )]
    ConsoleUnfit {
        /// Its node.
        node: String,
    },
    /// A virtual console where the hypervisor has none.
    #[error("cell `{cell}`: `console`: the hypervisor has no console here{}: name one with `hypervisor {{ console = NAME; }}`, or give the cell a UART of its own", Why(stdout.as_deref()))]
    NoConsole {
        /// The cell.
        cell: String,
        /// The board's console, which Bulkhead cannot drive.
        stdout: Option<String>,
    },
    /// Two things at one address of a cell.
    #[error("cell `{cell}`: {} and {} would both be at {at}: give the device to another cell", what[0], what[1])]
    IpaTwice {
        /// The cell.
        cell: String,
        /// The things.
        what: [String; 2],
        /// Where both are.
        at: Ipa,
    },
    /// A file that the archive has not.
    #[error("cell `{cell}`: `{property}`: the archive has no file `{file}`")]
    NoFile {
        /// The cell.
        cell: String,
        /// The property.
        property: &'static str,
        /// The file.
        file: String,
    },
    /// A file that cannot be started.
    #[error("cell `{cell}`: `{file}`: {error}")]
    Image {
        /// The cell.
        cell: String,
        /// The file.
        file: String,
        /// What is wrong.
        error: ImageError,
    },
    /// `kernel` that is none.
    #[error(
        "cell `{cell}`: `{file}` is no arm64 Linux Image: name it with `image` if it is an ELF file or a raw binary"
    )]
    NotLinux {
        /// The cell.
        cell: String,
        /// The file.
        file: String,
    },
    /// Something finds no place in the cell's memory.
    #[error("cell `{cell}`: no room for {what}, {}: give it more `memory` ({} is the largest free stretch)", Bytes(*size), Bytes(*largest))]
    NoRoom {
        /// The cell.
        cell: String,
        /// What.
        what: String,
        /// Bytes that it takes.
        size: u64,
        /// Bytes of the largest free stretch.
        largest: u64,
    },
    /// An image that says where it wants to lie, and cannot.
    #[error(
        "cell `{cell}`: `{file}` is linked for {span}, which is not free in the cell's memory: link it for {ram} on"
    )]
    Linked {
        /// The cell.
        cell: String,
        /// The file.
        file: String,
        /// Where it wants to lie.
        span: Span<Ipa>,
        /// Where the cell's memory begins.
        ram: Ipa,
    },
    /// An image that begins outside of itself.
    #[error(
        "cell `{cell}`: `{file}` begins at {entry}, where it has no code: its entry point is no physical address"
    )]
    Entry {
        /// The cell.
        cell: String,
        /// The file.
        file: String,
        /// Its entry point.
        entry: Ipa,
    },
    /// [`super::Plan::check`]: something belongs to two, or to the wrong one.
    #[error("{what} at {span} is both {}'s and {}'s: a bug in Bulkhead, please report it", owners[0], owners[1])]
    Twice {
        /// What.
        what: &'static str,
        /// Where.
        span: Span<Pa>,
        /// Who has it.
        owners: [String; 2],
    },
    /// [`super::Plan::check`]: something belongs to nobody.
    #[error("{what} belongs to nobody: a bug in Bulkhead, please report it")]
    Lost {
        /// What.
        what: String,
    },
    /// [`super::Plan::check`]: a cell has what is not there, or not where it may be.
    #[error("cell `{cell}`: {what} is out of place: a bug in Bulkhead, please report it")]
    Misplaced {
        /// The cell.
        cell: String,
        /// What.
        what: String,
    },
}

impl Refusal for PlanError {
    fn code(&self) -> Code {
        match self {
            Self::Name { error, .. } => error.code(),
            Self::NotACpu { .. } => code::NOT_A_CPU,
            Self::CpuTwice { .. } => code::CPU_TWICE,
            Self::TooFewCpus { .. } => code::TOO_FEW_CPUS,
            Self::NoCpu { .. } => code::NO_CPU,
            Self::RootMemory { .. } | Self::NoMemory { .. } | Self::OddMemory { .. } => code::BAD_MEMORY,
            Self::TooLittleMemory { .. } => code::TOO_LITTLE_MEMORY,
            Self::NotADevice { .. } => code::NOT_A_DEVICE,
            Self::DeviceTwice { .. } => code::DEVICE_TWICE,
            Self::PageTwice { .. } => code::PAGE_TWICE,
            Self::SpiTwice { .. } => code::INTERRUPT_TWICE,
            Self::BusElsewhere { .. } => code::BUS_ELSEWHERE,
            Self::DeviceOver { .. } => code::DEVICE_OVER,
            Self::UnprotectedDma { .. } => code::UNPROTECTED_DMA,
            Self::IpaTwice { .. } => code::ADDRESS_TWICE,
            Self::ConsoleClaimed { .. } => code::CONSOLE_CLAIMED,
            Self::ConsoleShared { .. } => code::CONSOLE_SHARED,
            Self::ConsoleUnfit { .. } => code::CONSOLE_UNFIT,
            Self::NoConsole { .. } => code::CONSOLE_MISSING,
            Self::NoFile { .. } => code::NO_FILE,
            Self::Image { error, .. } => error.code(),
            Self::NotLinux { .. } => code::NOT_LINUX,
            Self::NoRoom { .. } => code::NO_ROOM,
            Self::Linked { .. } => code::LINKED_ELSEWHERE,
            Self::Entry { .. } => code::ENTRY,
            Self::Twice { .. } | Self::Lost { .. } | Self::Misplaced { .. } => code::PLAN_BUG,
        }
    }

    fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        let mut cell = |name: &str, property| places.push(Place::cell(name, property));
        match self {
            Self::Name { cell: name, property, .. }
            | Self::NotADevice { cell: name, property, .. }
            | Self::ConsoleClaimed { cell: name, property, .. } => {
                cell(name, Some(property));
            }
            Self::NotACpu { cell: name, .. }
            | Self::TooFewCpus { cell: name, .. }
            | Self::NoCpu { cell: name } => cell(name, Some("cpus")),
            Self::CpuTwice { cells, .. } => cells.iter().for_each(|name| cell(name, Some("cpus"))),
            Self::RootMemory { cell: name }
            | Self::NoMemory { cell: name }
            | Self::OddMemory { cell: name, .. }
            | Self::TooLittleMemory { cell: name, .. }
            | Self::NoRoom { cell: name, .. } => cell(name, Some("memory")),
            Self::DeviceTwice { cells, .. }
            | Self::PageTwice { cells, .. }
            | Self::SpiTwice { cells, .. } => {
                cells.iter().for_each(|name| cell(name, Some("devices")));
            }
            Self::BusElsewhere { cell: name, .. }
            | Self::DeviceOver { cell: name, .. }
            | Self::IpaTwice { cell: name, .. } => cell(name, Some("devices")),
            Self::UnprotectedDma { cell: name, .. } => cell(name, Some("unprotected-dma")),
            Self::ConsoleUnfit { .. } => cell("hypervisor", Some("console")),
            Self::NoConsole { cell: name, .. } => cell(name, Some("console")),
            Self::ConsoleShared { cell: name, .. } => cell(name, Some("devices")),
            Self::NoFile { cell: name, property, .. } => cell(name, Some(property)),
            Self::NotLinux { cell: name, .. } => cell(name, Some("kernel")),
            Self::Image { cell: name, .. }
            | Self::Linked { cell: name, .. }
            | Self::Entry { cell: name, .. }
            | Self::Misplaced { cell: name, .. } => cell(name, None),
            Self::Twice { .. } | Self::Lost { .. } => {}
        }
        let (nodes, file) = self.on_the_other_side();
        places.extend(nodes.into_iter().map(|node| Place::board(node)));
        places.extend(file.map(Place::file));
        places
    }
}

impl PlanError {
    /// The board's nodes and the archive's file that it is about.
    fn on_the_other_side(&self) -> (Vec<&String>, Option<&str>) {
        match self {
            Self::Name { error, .. } => (error.candidates().iter().collect(), None),
            Self::NotACpu { node, .. }
            | Self::CpuTwice { node, .. }
            | Self::NotADevice { node, .. }
            | Self::DeviceTwice { node, .. }
            | Self::ConsoleClaimed { node, .. }
            | Self::ConsoleUnfit { node } => (Vec::from([node]), None),
            Self::PageTwice { nodes, .. }
            | Self::SpiTwice { nodes, .. }
            | Self::ConsoleShared { nodes, .. } => (nodes.iter().collect(), None),
            Self::NoConsole { stdout, .. } => (stdout.iter().collect(), None),
            Self::BusElsewhere { device, bus, .. } => (Vec::from([device, bus]), None),
            Self::DeviceOver { device, .. } => (Vec::from([device]), None),
            Self::UnprotectedDma { devices, .. } => (devices.iter().collect(), None),
            Self::IpaTwice { what, .. } => (what.iter().filter(|w| w.starts_with('/')).collect(), None),
            Self::NoFile { file, .. }
            | Self::Image { file, .. }
            | Self::NotLinux { file, .. }
            | Self::Linked { file, .. }
            | Self::Entry { file, .. } => (Vec::new(), Some(file)),
            _ => (Vec::new(), None),
        }
    }
}

/// Why there is no console.
struct Why<'e>(Option<&'e str>);

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |node| write!(f, " ({node} is no PL011)"))
    }
}

/// A size as people write it.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n >= BLOCK_2M => write!(f, "{} MiB", n.div_ceil(1 << 20)),
            n => write!(f, "{} KiB", n.div_ceil(1 << 10)),
        }
    }
}
