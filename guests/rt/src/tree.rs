//! What the device tree tells a guest, read once at entry.

use arrayvec::ArrayVec;
use fdt::Fdt;
use fdt::node::FdtNode;
use spin::Once;

use crate::{MAX_CPUS, exception};

mod bus;

use bus::{Bus, be32};

/// Addresses `base` to `base + size - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
}

impl Span {
    /// Whether the address lies inside.
    pub fn contains(self, address: u64) -> bool {
        address.wrapping_sub(self.base) < self.size
    }

    /// Whether the two share an address.
    pub fn overlaps(self, other: Self) -> bool {
        self.base < other.base.saturating_add(other.size) && other.base < self.base.saturating_add(self.size)
    }
}

/// How the guest calls PSCI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduit {
    /// By HVC.
    Hvc,
    /// By SMC.
    Smc,
}

/// The console's node.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    /// Where its registers are.
    pub base: u64,
    /// Its interrupt, an INTID, where the node has one.
    pub intid: Option<u32>,
    /// An SBSA UART: the data and flag registers of a PL011, ready for use.
    pub is_ready: bool,
}

/// A watchdog's node.
#[derive(Clone, Copy, Debug)]
pub struct Watchdog {
    /// Where its control frame is.
    pub control: u64,
    /// Where its refresh frame is.
    pub refresh: u64,
    /// Its interrupt, an INTID.
    pub intid: u32,
}

/// A shared interrupt that a device of the tree uses.
#[derive(Clone, Copy, Debug)]
pub struct SpiUse {
    /// Its INTID, 32 to 1019.
    pub intid: u32,
    /// Whether the tree has it level triggered.
    pub level: bool,
}

/// The machine as the tree describes it.
#[derive(Debug)]
pub struct Board {
    /// The affinity of each CPU, in tree order: a CPU's number is its place here.
    pub cpus: ArrayVec<u64, MAX_CPUS>,
    /// RAM.
    pub memory: ArrayVec<Span, 16>,
    /// The distributor.
    pub gicd: Option<Span>,
    /// A GICv2's CPU interface.
    pub gicc: Option<Span>,
    /// The redistributor regions.
    pub gicr: ArrayVec<Span, 8>,
    /// Bytes from one CPU's redistributor to the next, where the tree says.
    pub gicr_stride: Option<u64>,
    /// The timer's INTIDs: secure physical, physical, virtual, EL2 physical.
    pub timers: ArrayVec<u32, 4>,
    /// PSCI's conduit.
    pub psci: Option<Conduit>,
    /// The console.
    pub console: Option<Console>,
    /// Every PL011.
    pub uarts: ArrayVec<Console, 8>,
    /// The watchdog.
    pub watchdog: Option<Watchdog>,
    /// Every SPI that the tree's nodes name, each once.
    pub spis: ArrayVec<SpiUse, 256>,
    /// Everything that answers at an address: RAM, devices, bus windows.
    pub spans: ArrayVec<Span, 256>,
    /// The command line.
    pub bootargs: &'static str,
}

static BLOB: Once<Fdt<'static>> = Once::new();
static BOARD: Once<Board> = Once::new();

/// What the tree told.
pub fn board() -> &'static Board {
    match BOARD.get() {
        Some(board) => board,
        None => exception::stop("the device tree is not read yet"),
    }
}

/// Whether [`board`] has something to give.
pub(crate) fn is_read() -> bool {
    BOARD.is_completed()
}

/// Whether an address lies in RAM that the tree gives.
pub fn is_ram(address: u64) -> bool {
    BOARD.get().is_some_and(|b| b.memory.iter().any(|m| m.contains(address)))
}

/// The value of `name=value` on the command line; for a bare `name`, an empty value.
pub fn argument(name: &str) -> Option<&'static str> {
    board().bootargs.split_ascii_whitespace().find_map(|word| {
        let rest = word.strip_prefix(name)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('=') }
    })
}

/// The first registers of each enabled device below the root that says it is compatible with this.
pub fn registers(compatible: &'static str) -> impl Iterator<Item = Span> {
    let root = BLOB.get().and_then(|fdt| fdt.find_node("/"));
    let children = root.into_iter().flat_map(|root| root.children().map(move |node| (root, node)));
    let enabled = |node| property(node, "status").is_none_or(|s| matches!(text(s), "okay" | "ok"));
    children.filter(move |(_, node)| is_compatible(*node, compatible) && enabled(*node)).filter_map(
        |(root, node)| {
            let mut first = None;
            Bus::root(root).spans(node, |span| first = first.or(Some(span)));
            first
        },
    )
}

pub(crate) fn read(blob: u64) {
    if blob == 0 || !blob.is_multiple_of(8) {
        exception::stop("x0 holds no device tree");
    }
    // SAFETY: x0 is the tree by the cell ABI; it lies in the guest's RAM, which entry.s mapped, and nobody writes it.
    let Ok(fdt) = (unsafe { Fdt::from_ptr(core::ptr::with_exposed_provenance(blob as usize)) }) else {
        exception::stop("x0 holds no device tree");
    };
    let fdt = BLOB.call_once(|| fdt);
    BOARD.call_once(|| Reader::new(fdt).read(fdt));
}

/// Where the tree has seeds, which no two lives share.
pub fn seeds() -> ArrayVec<Span, 2> {
    let chosen = BLOB.get().and_then(|fdt| fdt.find_node("/chosen"));
    let values = ["rng-seed", "kaslr-seed"].iter().filter_map(|name| property(chosen?, name));
    values.map(|value| Span { base: value.as_ptr().addr() as u64, size: value.len() as u64 }).collect()
}

struct Reader {
    board: Board,
    gic: Option<u32>,
    gic_address_cells: usize,
    stdout: &'static str,
    pl011: Option<Console>,
}

type Node = FdtNode<'static, 'static>;

fn text(value: &'static [u8]) -> &'static str {
    core::str::from_utf8(value).unwrap_or("").split('\0').next().unwrap_or("")
}

fn property(node: Node, name: &str) -> Option<&'static [u8]> {
    node.property(name).map(|p| p.value)
}

fn number(node: Node, name: &str) -> Option<u32> {
    be32(property(node, name)?, 0)
}

fn is_compatible(node: Node, with: &str) -> bool {
    property(node, "compatible").is_some_and(|list| list.split(|b| *b == 0).any(|c| c == with.as_bytes()))
}

fn is_gicv2(node: Node) -> bool {
    is_compatible(node, "arm,gic-400") || is_compatible(node, "arm,cortex-a15-gic")
}

impl Reader {
    fn new(fdt: &'static Fdt<'static>) -> Self {
        let mut stdout = "";
        if let Some(path) = fdt.find_node("/chosen").and_then(|n| property(n, "stdout-path")) {
            stdout = text(path).split(':').next().unwrap_or("");
            if !stdout.starts_with('/') {
                stdout = fdt.find_node("/aliases").and_then(|n| property(n, stdout)).map_or("", text);
            }
        }
        let gic = fdt.all_nodes().find(|n| is_compatible(*n, "arm,gic-v3") || is_gicv2(*n));
        Self {
            board: Board {
                cpus: ArrayVec::new(),
                memory: ArrayVec::new(),
                gicd: None,
                gicc: None,
                gicr: ArrayVec::new(),
                gicr_stride: None,
                timers: ArrayVec::new(),
                psci: None,
                console: None,
                uarts: ArrayVec::new(),
                watchdog: None,
                spis: ArrayVec::new(),
                spans: ArrayVec::new(),
                bootargs: "",
            },
            gic: gic.and_then(|n| number(n, "phandle")),
            gic_address_cells: gic.and_then(|n| number(n, "#address-cells")).unwrap_or(0) as usize,
            stdout,
            pl011: None,
        }
    }

    fn read(mut self, fdt: &'static Fdt<'static>) -> Board {
        if let Some(root) = fdt.find_node("/") {
            let bus = Bus::root(root);
            let path = self.stdout.strip_prefix('/');
            let irq_parent = number(root, "interrupt-parent");
            for child in root.children() {
                self.node(child, &bus, path, irq_parent);
            }
        }
        // A tree without a stdout-path still names its UARTs: the first one it is.
        self.board.console = self.board.console.or(self.pl011);
        self.board
    }

    /// Reads a node and all below. `path` is what is left of stdout's path if the parents match so far.
    fn node(&mut self, node: Node, bus: &Bus<'_>, path: Option<&'static str>, irq_parent: Option<u32>) {
        if property(node, "status").is_some_and(|s| !matches!(text(s), "okay" | "ok")) {
            return;
        }
        let rest = path.and_then(|p| p.strip_prefix(node.name));
        let here = rest == Some("");
        let below = rest.and_then(|p| p.strip_prefix('/'));
        let irq_parent = number(node, "interrupt-parent").or(irq_parent);
        self.interrupts(node, irq_parent);
        self.known(node, bus, here);
        let inner = bus.below(node);
        for child in node.children() {
            self.node(child, &inner, below, irq_parent);
        }
    }

    fn known(&mut self, node: Node, bus: &Bus<'_>, stdout: bool) {
        let board = &mut self.board;
        let kind = property(node, "device_type").map_or("", text);
        match kind {
            "cpu" => {
                if let Some(affinity) = property(node, "reg").and_then(bus::number_of) {
                    let _ = board.cpus.try_push(affinity);
                }
                return;
            }
            "memory" => bus.spans(node, |span| {
                let _ = board.memory.try_push(span);
            }),
            _ => {}
        }
        bus.spans(node, |span| {
            let _ = board.spans.try_push(span);
        });
        bus.windows(node, |span| {
            let _ = board.spans.try_push(span);
        });
        if is_gicv2(node) {
            let mut frames = ArrayVec::<Span, 2>::new();
            bus.spans(node, |span| _ = frames.try_push(span));
            (board.gicd, board.gicc) = (frames.first().copied(), frames.get(1).copied());
        } else if is_compatible(node, "arm,gic-v3") {
            let regions = number(node, "#redistributor-regions").unwrap_or(1);
            let mut n = 0;
            bus.spans(node, |span| {
                if n == 0 {
                    board.gicd = Some(span);
                } else if n <= regions {
                    let _ = board.gicr.try_push(span);
                }
                n += 1;
            });
            board.gicr_stride = property(node, "redistributor-stride").and_then(bus::number_of);
        } else if is_compatible(node, "arm,armv8-timer") {
            for n in 0..4 {
                if let Some(intid) = property(node, "interrupts").and_then(|v| intid(v, n)) {
                    let _ = board.timers.try_push(intid);
                }
            }
        } else if node.name == "psci" {
            board.psci = match property(node, "method").map_or("", text) {
                "hvc" => Some(Conduit::Hvc),
                "smc" => Some(Conduit::Smc),
                _ => None,
            };
        } else if node.name == "chosen" {
            board.bootargs = property(node, "bootargs").map_or("", text);
        } else if is_compatible(node, "arm,sbsa-gwdt") {
            let mut frames = ArrayVec::<u64, 2>::new();
            bus.spans(node, |span| _ = frames.try_push(span.base));
            let irq = property(node, "interrupts").and_then(|v| intid(v, 0));
            if let (&[control, refresh], Some(intid)) = (&frames[..], irq) {
                board.watchdog = Some(Watchdog { control, refresh, intid });
            }
        } else if is_compatible(node, "arm,pl011") || is_compatible(node, "arm,sbsa-uart") {
            let is_ready = !is_compatible(node, "arm,pl011");
            let irq = property(node, "interrupts").and_then(|v| intid(v, 0));
            bus.spans(node, |span| {
                let console = Console { base: span.base, intid: irq, is_ready };
                let _ = board.uarts.try_push(console);
                self.pl011.get_or_insert(console);
                if stdout {
                    board.console = Some(console);
                }
            });
        }
    }

    fn interrupts(&mut self, node: Node, parent: Option<u32>) {
        if parent.is_some()
            && parent == self.gic
            && let Some(value) = property(node, "interrupts")
        {
            for cells in value.chunks_exact(12) {
                self.spi(cells);
            }
        }
        if let Some(value) = property(node, "interrupts-extended") {
            for cells in value.chunks_exact(16) {
                if be32(cells, 0) == self.gic {
                    self.spi(cells.get(4..).unwrap_or(&[]));
                }
            }
        }
        if let Some(value) = property(node, "interrupt-map") {
            // Child address and interrupt, the GIC's phandle, its unit address, three cells.
            let child = (number(node, "#address-cells").unwrap_or(0)
                + number(node, "#interrupt-cells").unwrap_or(0)) as usize;
            for cells in value.chunks_exact((child + 1 + self.gic_address_cells + 3) * 4) {
                if be32(cells, child) == self.gic {
                    self.spi(cells.get((child + 1 + self.gic_address_cells) * 4..).unwrap_or(&[]));
                }
            }
        }
    }

    /// Notes an SPI from its three cells: kind 0, number, flags.
    fn spi(&mut self, cells: &[u8]) {
        if let (Some(0), Some(n), Some(flags)) = (be32(cells, 0), be32(cells, 1), be32(cells, 2))
            && !self.board.spis.iter().any(|s| s.intid == n + 32)
        {
            let _ = self.board.spis.try_push(SpiUse { intid: n + 32, level: flags & 0xc != 0 });
        }
    }
}

/// The INTID of the `n`th interrupt of an `interrupts` property (three cells each).
fn intid(value: &[u8], n: usize) -> Option<u32> {
    let cells = value.chunks_exact(12).nth(n)?;
    match (be32(cells, 0)?, be32(cells, 1)?) {
        (0, n) => Some(n + 32),
        (1, n) => Some(n + 16),
        _ => None,
    }
}
