//! From what a loader leaves to running guests, on the fake machine.

mod left_out;
mod stage2;

use std::sync::Arc;

use super::*;
use crate::addr::{Ipa, Pa};
use crate::cell::{Life, Vcpu};
use crate::config::SCHEMA;
use crate::cpu::{PcpuId, VcpuId};
use crate::fake::{self, Fake};
use crate::hardware::sample;
use crate::intid::Sgi;
use crate::plan::pool;
use crate::plan::tests::{archive, elf, kernel, span};
use crate::ports::Exit;
use crate::psci::function::CPU_ON;
use crate::run::{Turn, guest_step, park_step};
use crate::tree::early;
use crate::tree::sample::{Sample, node};

const MIB: u64 = 1 << 20;
/// ID_AA64MMFR0_EL1.PARange of a CPU with 44 bits.
const BITS_44: u8 = 4;

/// What a loader leaves behind.
struct Loaded {
    board: Vec<u8>,
    archive: Vec<u8>,
    boot: Boot,
}

fn linux(name: &str) -> Sample {
    node(name).text("kernel", ["Image"]).text("initrd", ["initrd"]).text("bootargs", ["quiet"])
}

fn root() -> Sample {
    linux("linux").flag("root").text("unprotected-dma", ["accept"])
}

fn control(name: &str, cpu: &str) -> Sample {
    node(name).text("cpus", [cpu]).text("memory", ["2M"]).text("image", ["control.elf"])
}

fn description(cells: impl IntoIterator<Item = Sample>) -> Vec<u8> {
    cells.into_iter().fold(node("").text("compatible", [SCHEMA]), Sample::child).blob()
}

fn overlay() -> Vec<u8> {
    let fragment = |name: &str, target: &str| node(name).text("target-path", [target]);
    let chosen = node("__overlay__").text("bootargs", ["from the overlay"]);
    let sensor = node("__overlay__").child(node("sensor").flag("there"));
    node("")
        .child(fragment("fragment@0", "/chosen").child(chosen))
        .child(fragment("fragment@1", "/").child(sensor))
        .blob()
}

impl Loaded {
    /// 256 MiB and four CPUs.
    fn new(description: Vec<u8>) -> Self {
        let mut files = vec![
            ("cells.dtb", description),
            ("Image", kernel(0, 8 * MIB)),
            ("initrd", vec![1; 5000]),
            ("control.elf", elf(&[(0x4000_0000, 0x200, 0x3000)])),
            ("more.dtbo", overlay()),
            ("own.dtb", node("").text("model", ["mine"]).blob()),
        ];
        // Something to know the kernel by.
        files[1].1.extend(b"the kernel");
        let archive = archive(&files);
        let place = span(0x4800_0000, archive.len() as u64);
        let board = sample::Board {
            banks: vec![(0x4000_0000, 256 * MIB)],
            initrd: Some((place.start().0, place.end().0)),
            ..sample::Board::default()
        };
        let board = board.tree().blob();
        let (image, tree) = (span(0x4020_0000, 0x2_3000), span(0x4400_0000, 0x1_0000));
        let placed = pool::place(&early::read(&board).unwrap(), image, tree, 4).unwrap();
        Self { board, archive, boot: Boot { image, tree, pool: placed.pool, archive: placed.archive } }
    }

    fn survey(&self) -> Result<Survey<'_>, Vec<BootError>> {
        Survey::new(&self.board, &self.archive, self.boot.clone())
    }

    fn refused(&self) -> Vec<String> {
        self.survey().unwrap_err().iter().map(BootError::to_string).collect()
    }

    /// A machine that the loader has just left.
    fn machine(&self, survey: &Survey<'_>) -> Arc<fake::Board> {
        let affinities = survey.hardware.cpus.iter().map(|cpu| cpu.affinity).collect();
        let machine = fake::Board::of(affinities, 0x5000_0000);
        machine.ram.lock().unwrap()[0x4800_0000..][..self.archive.len()].copy_from_slice(&self.archive);
        machine
    }
}

fn sgi() -> SgiPlan {
    SgiPlan { kick: Sgi::new(15).unwrap(), physical: 0x7fff }
}

fn translation(pa_range: u8) -> Translation {
    Translation { pa_range, vmid16: false, take: fake::take_tables }
}

/// One CPU in its loop.
struct Cpu<'a> {
    vcpu: Vcpu<'a>,
    machine: Fake,
}

impl<'a> Cpu<'a> {
    fn new(system: &'a System, id: PcpuId, mut machine: Fake) -> Self {
        let mut vcpu = Vcpu::new(system, id, &mut machine).unwrap();
        vcpu.settle(&mut machine);
        Self { vcpu, machine }
    }

    fn park(&mut self) -> Turn {
        park_step(&mut self.vcpu, &mut self.machine)
    }

    fn guest(&mut self) -> Turn {
        guest_step(&mut self.vcpu, &mut self.machine)
    }

    /// What its guest has at an address of its RAM.
    fn guest_bytes(&self, at: Ipa, size: usize) -> Vec<u8> {
        let region = self.vcpu.cell.ram.iter().find(|region| region.seen().unwrap().contains(at)).unwrap();
        let at = (region.pa.0 + (at.0 - region.ipa.0)) as usize;
        self.machine.board.ram.lock().unwrap()[at..at + size].to_vec()
    }
}

/// The tree in x0 has the cell's own CPUs and memory and no more.
fn has_its_own_tree(cpu: &Cpu<'_>, at: Ipa) {
    let bytes = cpu.guest_bytes(at, 0x1_0000);
    let tree = Tree::parse(&bytes).unwrap();
    let own = Hardware::read(&tree).unwrap();
    assert_eq!(own.cpus.len(), cpu.vcpu.cell.vcpus());
    let ram = cpu.vcpu.cell.ram.iter().map(|region| region.size).sum::<u64>();
    assert_eq!(own.memory.iter().map(|bank| bank.size()).sum::<u64>(), ram);
    assert!(own.memory.iter().all(|bank| {
        let inside = |at| cpu.vcpu.cell.ram.iter().any(|region| region.seen().unwrap().contains(Ipa(at)));
        inside(bank.start().0) && inside(bank.last().0)
    }));
}

/// Boots; every vCPU 0 runs its first step and brings its cell's other vCPUs up, each of which runs its first step too.
fn boots(description: Vec<u8>, vcpus: &[usize]) {
    let loaded = Loaded::new(description);
    let survey = loaded.survey().unwrap();
    assert_eq!(survey.plan.cells.iter().map(|cell| cell.cpus.len()).collect::<Vec<_>>(), vcpus);
    let loads: Vec<_> = survey.plan.cells.iter().map(|cell| cell.load.clone()).collect();
    let cells: Vec<_> = survey.plan.cells.iter().map(|cell| cell.cpus.clone()).collect();
    let board = loaded.machine(&survey);
    let gic = survey.gic(&Fake::new(&board, 0), sgi());
    let system = survey.build(gic, translation(BITS_44), None).unwrap();
    let mut cpus: Vec<_> = system
        .cpus()
        .map(|(id, _)| {
            let mut machine = Fake::new(&board, id.0);
            // A guest that does nothing but take an interrupt that is gone before anybody looks.
            machine.exit = Exit::Irq;
            Cpu::new(&system, id, machine)
        })
        .collect();
    for (load, own) in loads.iter().zip(&cells) {
        let cpu = &mut cpus[own[0].index()];
        assert_eq!(cpu.park(), Turn::Guest);
        assert_eq!((cpu.machine.pc, cpu.vcpu.frame.get(0)), (load.entry.0, load.tree.start().0));
        assert_eq!(cpu.guest(), Turn::Guest);
        assert_eq!((cpu.machine.entered, cpu.vcpu.cell.life()), (1, Life::Running));
        assert_eq!(cpu.machine.resets.last().unwrap().vttbr, cpu.vcpu.cell.vttbr());
        let piece = load.pieces[0];
        let file = &loaded.archive[piece.offset as usize..][..piece.size as usize];
        assert_eq!(cpu.guest_bytes(piece.to, file.len()), file);
        has_its_own_tree(cpu, load.tree.start());
        for (vcpu, at) in own.iter().enumerate().skip(1) {
            let target = VcpuId(vcpu as u8).affinity().get();
            let cpu = &mut cpus[own[0].index()];
            for (n, value) in (0..).zip([u64::from(CPU_ON), target, load.entry.0, 7]) {
                cpu.vcpu.frame.set(n, value);
            }
            cpu.machine.sync(0x5a00_0000);
            assert_eq!((cpu.guest(), cpu.vcpu.frame.get(0)), (Turn::Guest, 0));
            let other = &mut cpus[at.index()];
            assert_eq!(other.park(), Turn::Guest);
            assert_eq!((other.machine.pc, other.vcpu.frame.get(0)), (load.entry.0, 7));
            assert_eq!((other.guest(), other.machine.entered), (Turn::Guest, 1));
        }
    }
    let mut roots: Vec<_> = system.cells.iter().map(Cell::vttbr).collect();
    roots.sort_unstable();
    roots.dedup();
    assert_eq!(roots.len(), cells.len(), "each cell has a stage 2 of its own");
    assert!(roots.iter().all(|vttbr| vttbr >> 48 != 0), "VMID 0 is nobody's");
}

#[test]
fn a_board_that_is_only_planned_for_does_not_boot() {
    let mut loaded = Loaded::new(description([root()]));
    loaded.board = sample::Board { v2: true, ..sample::Board::default() }.tree().blob();
    let refused = loaded.refused();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].contains("/cpus/cpu@0 is not started by PSCI"), "{refused:?}");
}

#[test]
fn the_demo() {
    boots(description([root(), control("control", "cpu@3").text("devices", ["serial1"])]), &[3, 1]);
}

#[test]
fn two_linux_and_a_control_cell() {
    let second = linux("second").text("cpus", ["cpu@1", "cpu@2"]).text("memory", ["32M"]);
    boots(description([root(), second, control("control", "cpu@3")]), &[1, 2, 1]);
}

#[test]
fn four_cells() {
    let cells = [root(), control("a", "cpu@1"), control("b", "cpu@2"), control("c", "cpu@3")];
    boots(description(cells), &[1, 1, 1, 1]);
}

#[test]
fn no_cell_is_root() {
    boots(description([control("a", "cpu@0"), control("b", "cpu@1")]), &[1, 1]);
}

#[test]
fn what_is_damaged_is_named() {
    let says = |loaded: &Loaded, expected: &[&str]| {
        let refused = loaded.refused();
        let begin = refused.iter().zip(expected).all(|(refusal, begin)| refusal.starts_with(begin));
        assert!(begin && refused.len() == expected.len(), "{refused:?}");
    };
    let demo = || Loaded::new(description([root()]));
    let mut damaged = demo();
    damaged.board[0] = 0;
    says(&damaged, &["BH0401: the board's device tree: "]);
    damaged.archive[0] = b'x';
    says(&damaged, &["BH0401: the board's device tree: ", "BH0302: the archive is no cpio file"]);
    let mut damaged = demo();
    damaged.archive = archive(&[("Image", vec![0; 64])]);
    says(&damaged, &["BH0305: the archive's first entry"]);
    says(&Loaded::new(vec![0; 64]), &["BH0401: cells.dtb: "]);
}

#[test]
fn a_cells_tree_may_be_given_or_overlaid() {
    let overlaid = || control("overlaid", "cpu@2").text("dtb-overlay", ["more.dtbo"]);
    let given = control("given", "cpu@3").text("dtb", ["own.dtb"]);
    let loaded = Loaded::new(description([root(), overlaid(), given]));
    let survey = loaded.survey().unwrap();
    let tree_of = |cell: usize| {
        let cell = &survey.plan.cells[cell];
        guest_tree::planned(&survey.tree, &survey.hardware, &survey.plan, cell, survey.archive).unwrap()
    };
    let bytes = tree_of(1).bytes;
    let tree = Tree::parse(&bytes).unwrap();
    assert_eq!(tree.at("/chosen").unwrap().prop("bootargs").unwrap().str(), Some("from the overlay"));
    assert!(tree.at("/sensor").unwrap().prop("there").is_some());
    assert_eq!(Hardware::read(&tree).unwrap().cpus.len(), 1);
    assert!(tree_of(2).bytes.is_empty());
    boots(description([root(), overlaid()]), &[3, 1]);

    let board = loaded.machine(&survey);
    let gic = survey.gic(&Fake::new(&board, 0), sgi());
    let system = survey.build(gic, translation(BITS_44), None).unwrap();
    let mut machine = Fake::new(&board, 3);
    machine.exit = Exit::Irq;
    let mut cpu = Cpu::new(&system, PcpuId(3), machine);
    assert_eq!(cpu.park(), Turn::Guest);
    let at = Ipa(cpu.vcpu.frame.get(0));
    let bytes = cpu.guest_bytes(at, 0x1000);
    assert_eq!(Tree::parse(&bytes).unwrap().root().prop("model").unwrap().str(), Some("mine"));
}

#[test]
fn mistakes_on_both_sides_are_told_at_once() {
    let mut wrong = Loaded::new(description([root(), control("control", "cpu@3").flag("memori")]));
    wrong.board = node("").cells("#address-cells", [2]).cells("#size-cells", [2]).blob();
    let refused = wrong.refused();
    assert!(
        refused.iter().any(|r| r.starts_with("BH0007: cells.dtb: ") && r.contains("memori")),
        "{refused:?}"
    );
    assert!(refused.iter().any(|r| r.starts_with("BH0407: the board's device tree: ")), "{refused:?}");
    let refused = Loaded::new(description([root(), control("control", "cpu@9")])).refused();
    assert!(refused.len() == 1 && refused[0].starts_with("BH0101: cell `control`: `cpus`: "), "{refused:?}");
}

#[test]
fn a_cell_beyond_the_cpus_reach_is_refused_by_name() {
    let loaded = Loaded::new(description([root()]));
    let survey = loaded.survey().unwrap();
    let board = loaded.machine(&survey);
    // 32 bits of physical address, and the board has PCI windows behind them.
    let gic = survey.gic(&Fake::new(&board, 0), sgi());
    let Err(refused) = survey.build(gic, translation(0), None) else { panic!("built") };
    assert!(
        matches!(&refused, BootError::Cell { cell, error: CellError::Geometry(_) } if cell == "linux"),
        "{refused}"
    );
    assert!(refused.to_string().starts_with("BH0507: cell `linux`: "));
}

#[test]
fn every_bit_of_the_loaders_randomness_counts() {
    let loaded = Loaded::new(description([control("a", "cpu@0")]));
    let seed = |chosen: Sample| {
        let blob = node("").child(chosen).blob();
        Survey { tree: Tree::parse(&blob).unwrap(), ..loaded.survey().unwrap() }.seed()
    };
    let with = |name, words: [u32; 2]| seed(node("chosen").cells(name, words));
    assert_eq!(loaded.survey().unwrap().seed(), 0, "this board has none");
    let seeds = [
        with("rng-seed", [1, 2]),
        with("rng-seed", [2, 1]),
        with("kaslr-seed", [1, 3]),
        seed(node("chosen").cells("rng-seed", [1, 2]).cells("kaslr-seed", [1, 3])),
    ];
    for (n, one) in seeds.iter().enumerate() {
        assert!(*one != 0 && !seeds[..n].contains(one));
    }
}
