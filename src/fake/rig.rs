//! Two cells on a [`Board`], and CPUs that take turns as somebody says.

use std::sync::Arc;

use super::{Board, Fake};
use crate::addr::{Ipa, Pa, Span};
use crate::cell::{Cell, Space, System, Vcpu};
use crate::console::Console;
use crate::cpu::{Affinity, CellId, PcpuId, VcpuId};
use crate::crash::OnCrash;
use crate::guest_tree::GuestTree;
use crate::intid::{IntidSet, Ppi, Sgi, Spi};
use crate::paging::{Root, Table};
use crate::plan::{
    CELL_WATCHDOG, CellPlan, CpuPlan, Load, Piece, Region, TreeSource, VirtualWatchdog, WATCHDOG_SIZE,
};
use crate::run::{Turn, guest_step, park_step};
use crate::vcpu::InterruptMode;
use crate::vgic::{CellGic, GicShared, OwnPpis, SgiPlan, Wire};
use crate::watchdog::Watchdog;

/// ESR_EL2 of an HVC.
pub const HVC: u64 = 0x5a00_0000;
/// ESR_EL2 of an SMC.
pub const SMC: u64 = 0x5e00_0000;

/// The image of both cells.
pub const KERNEL: &[u8] = b"the first instructions";
const ARCHIVE: u64 = 0x1000;

/// Each has a watchdog, whose interrupt is 40. Cell 0, root: CPUs 0 to 2 (vCPU 0 on CPU 2), RAM 1:1. Cell 1: CPUs 3 and 4, RAM remapped.
pub fn system() -> (System, Arc<Board>) {
    system_with(|_| None)
}

/// The same with a console, made of the cells' names and lines; the UART's interrupt is 33.
pub fn system_with(console: impl FnOnce(&[(&str, Arc<Wire>)]) -> Option<Console>) -> (System, Arc<Board>) {
    system_of([InterruptMode::Virtual; 2], console)
}

/// The same with interrupts that reach the two cells in these ways.
pub fn system_of(
    modes: [InterruptMode; 2],
    console: impl FnOnce(&[(&str, Arc<Wire>)]) -> Option<Console>,
) -> (System, Arc<Board>) {
    let wires = [("cell0", Arc::<Wire>::default()), ("cell1", Arc::default())];
    let board = Board::new(5, 0x8_0000);
    board.ram.lock().unwrap()[ARCHIVE as usize..][..KERNEL.len()].copy_from_slice(KERNEL);
    let machine = Fake::new(&board, 0);
    let sgi = SgiPlan { kick: Sgi::new(15).unwrap(), physical: 0x7fff };
    let ppis = OwnPpis { maintenance: Ppi::new(25).unwrap(), alarm: Ppi::new(26).unwrap() };
    let mut shared = GicShared::new(&machine, sgi, ppis, board.affinities().to_vec());
    let owners: [(u8, &[u8], Region); 2] = [
        (0, &[2, 0, 1], Region { ipa: Ipa(0x1_0000), pa: Pa(0x1_0000), size: 0x2_0000 }),
        (1, &[3, 4], Region { ipa: Ipa(0x4000_0000), pa: Pa(0x4_0000), size: 0x1_0000 }),
    ];
    let affinity = |cpu: u8| board.affinities()[usize::from(cpu)];
    let mut cpus = Vec::new();
    let mut cells = Vec::new();
    let watchdog = Spi::new(40).unwrap();
    for ((id, own, region), mode) in owners.into_iter().zip(modes) {
        let ipa = region.ipa.0;
        let plan = CellPlan {
            id: CellId(id),
            name: format!("cell{id}"),
            root: id == 0,
            cpus: own.iter().map(|cpu| PcpuId(*cpu)).collect(),
            ram: vec![region],
            mmio: Vec::new(),
            gicd: Span::new(Ipa(0x0800_0000), 0x1_0000).unwrap(),
            gicr: Span::new(Ipa(0x080a_0000), 0x2_0000 * own.len() as u64).unwrap(),
            spis: IntidSet::new(),
            devices: Vec::new(),
            uart: None,
            watchdog: Some(VirtualWatchdog {
                at: Span::new(CELL_WATCHDOG, WATCHDOG_SIZE).unwrap(),
                spi: watchdog,
            }),
            stdout: None,
            load: Load {
                source: TreeSource::Derived,
                zeroed: Vec::new(),
                pieces: vec![Piece { offset: 0, size: KERNEL.len() as u64, to: Ipa(ipa + 0x1000) }],
                tree: Span::new(Ipa(ipa + 0x4000), 0x1000).unwrap(),
                entry: Ipa(ipa + 0x1000),
                initrd: None,
                bootargs: None,
            },
            on_crash: OnCrash::Stop,
            interrupts: mode,
            smc_allow: Vec::new(),
            warnings: Vec::new(),
        };
        let pairs: Vec<(PcpuId, Affinity)> = own.iter().map(|c| (PcpuId(*c), affinity(*c))).collect();
        let spi = Spi::new(33).unwrap();
        shared.console = Some(spi);
        let gic = CellGic::new(IntidSet::new(), 0xf9ff_0000, pairs, &shared);
        let gic = if mode == InterruptMode::Virtual { gic } else { gic.with_direct(&shared) };
        let gic = gic.with_spi(spi, wires[usize::from(id)].1.clone());
        let wire = Arc::<Wire>::default();
        let gic = gic.with_spi(watchdog, wire.clone());
        let space = Space { vtcr: 0x8002_3558, vttbr: u64::from(id) << 48 | 0x1000 };
        let mut cell = Cell::new(&plan, &[], space, gic, GuestTree::of(b"a tree".to_vec())).unwrap();
        cell.watchdog = Some(Watchdog::new(watchdog, wire));
        cell.uart = Some(spi);
        if mode != InterruptMode::Virtual {
            cell.root_table = Some(Root::new(root_table()));
        }
        cells.push(cell);
        cpus.extend(own.iter().zip(0..).map(|(cpu, vcpu)| CpuPlan {
            id: PcpuId(*cpu),
            affinity: affinity(*cpu),
            cell: CellId(id),
            vcpu: VcpuId(vcpu),
        }));
    }
    cpus.sort_by_key(|cpu| cpu.id);
    let archive = Span::new(Pa(ARCHIVE), 0x1000).unwrap();
    let mut system = System::new(cells, &cpus, shared, archive, true);
    system.console = console(&wires);
    (system, board)
}

/// A root with an entry.
fn root_table() -> &'static [Table] {
    let tables: &'static [Table] = Box::leak(Box::new([Table::new()]));
    tables[0].set(3, MAPPED);
    tables
}

/// The entry at index 3 of the root of a direct cell.
pub const MAPPED: u64 = 0x4000_0403;

/// A CPU between two turns.
pub struct Cpu<'a> {
    pub vcpu: Vcpu<'a>,
    pub machine: Fake,
    pub turn: Turn,
}

impl<'a> Cpu<'a> {
    /// Parked, as it comes out of boot.
    pub fn new(system: &'a System, board: &Arc<Board>, me: u8) -> Self {
        let mut machine = Fake::new(board, me);
        let mut vcpu = Vcpu::new(system, PcpuId(me), &mut machine).unwrap();
        vcpu.settle(&mut machine);
        Self { vcpu, machine, turn: Turn::Park }
    }

    /// Takes a turn.
    pub fn step(&mut self) {
        self.turn = match self.turn {
            Turn::Guest => guest_step(&mut self.vcpu, &mut self.machine),
            Turn::Park => park_step(&mut self.vcpu, &mut self.machine),
        };
    }

    /// The guest calls; what x0 holds afterwards.
    pub fn call(&mut self, function: u32, args: [u64; 3]) -> i64 {
        assert_eq!(self.turn, Turn::Guest);
        for (n, value) in (1..).zip(args) {
            self.vcpu.frame.set(n, value);
        }
        self.vcpu.frame.set(0, function.into());
        self.machine.sync(HVC);
        self.step();
        self.machine.exit = crate::ports::Exit::Irq;
        self.vcpu.frame.get(0) as i64
    }

    /// Whether its guest runs.
    pub fn is_in_guest(&self) -> bool {
        self.turn == Turn::Guest
    }
}
