//! Plans on the sample board: the demo, what each refusal says, and random boards and descriptions.

mod demo;
pub(crate) mod random;
mod refusals;
mod watchdog;

use super::*;
use crate::addr::BLOCK_2M;
use crate::archive::Archive;
pub(crate) use crate::archive::sample::archive;
use crate::config::{
    Bootargs, CellConfig, CellConsole, CellTree, Config, CpuChoice, HypervisorConfig, Payload,
};
use crate::crash::OnCrash;
use crate::hardware::Hardware;
use crate::hardware::sample::Board;
use crate::image::sample;
use crate::tree::Tree;
use crate::vcpu::InterruptMode;

const MIB: u64 = 1 << 20;

pub(crate) fn span(start: u64, size: u64) -> Span<Pa> {
    Span::new(Pa(start), size).unwrap()
}

/// An arm64 Image that takes this much memory.
pub(crate) fn kernel(text_offset: u64, image_size: u64) -> Vec<u8> {
    sample::kernel(text_offset, image_size, 0b1010)
}

/// An ELF file that begins where the first of its segments does.
pub(crate) fn elf(segments: &[(u64, u64, u64)]) -> Vec<u8> {
    sample::elf(segments[0].0, &segments.iter().copied().map(sample::segment).collect::<Vec<_>>())
}

/// A board, a description and what the loader did.
pub(super) struct Setup {
    board: Board,
    cells: Vec<CellConfig>,
    files: Vec<(&'static str, Vec<u8>)>,
    boot: Boot,
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

/// A program that says nothing of where it lies.
fn image(file: &str) -> Payload {
    Payload::Image { file: file.into(), load_address: None, entry: None }
}

fn root() -> CellConfig {
    CellConfig {
        name: "linux".into(),
        root: true,
        cpus: CpuChoice::Rest,
        memory: None,
        ram_base: None,
        payload: Payload::Linux { kernel: "Image".into(), initrd: Some("initrd".into()) },
        bootargs: Bootargs::Own("quiet".into()),
        tree: CellTree::Derived,
        devices: Vec::new(),
        console: CellConsole::Virtual,
        unprotected_dma: true,
        foreign_dependencies: false,
        watchdog: false,
        on_crash: OnCrash::Stop,
        interrupts: InterruptMode::Virtual,
        smc_allow: Vec::new(),
    }
}

fn cell(name: &str, cpu: &str, devices: &[&str]) -> CellConfig {
    CellConfig {
        name: name.into(),
        root: false,
        cpus: CpuChoice::Names(names(&[cpu])),
        memory: Some(16 * MIB),
        ram_base: None,
        payload: image("control.elf"),
        bootargs: Bootargs::None,
        tree: CellTree::Derived,
        devices: names(devices),
        console: CellConsole::None,
        unprotected_dma: false,
        foreign_dependencies: false,
        watchdog: false,
        on_crash: OnCrash::Stop,
        interrupts: InterruptMode::Virtual,
        smc_allow: Vec::new(),
    }
}

impl Setup {
    /// The demo, and other cells beside it.
    pub(super) fn new(more: impl IntoIterator<Item = CellConfig>) -> Self {
        Self {
            board: Board::default(),
            cells: [root(), cell("control", "cpu@3", &["serial1"])].into_iter().chain(more).collect(),
            files: vec![
                ("Image", kernel(0, 40 * MIB)),
                ("initrd", vec![1; 5000]),
                (
                    "control.elf",
                    elf(&[
                        (0x4000_0000, 0x200, 0x200),
                        (0x4000_1000, 0x100, 0x2000),
                        (0x4000_4000, 0, 0x100),
                    ]),
                ),
                ("raw.bin", vec![2; 0x1234]),
            ],
            boot: Boot {
                image: span(0x4020_0000, 0x2_3000),
                pool: span(0x4023_0000, 0x5_0000),
                archive: span(0x4800_0000, 2 * MIB),
                tree: span(0x4400_0000, MIB),
            },
        }
    }

    /// Drafts, and asks about the result.
    pub(super) fn draft<R>(
        self,
        ask: impl FnOnce(Result<Plan<Draft>, Vec<PlanError>>, &Tree<'_>, &Hardware) -> R,
    ) -> R {
        let blob = self.board.tree().blob();
        let tree = Tree::parse(&blob).unwrap();
        let hardware = Hardware::read(&tree).unwrap();
        let bytes = archive(&self.files);
        let archive = Archive::parse(&bytes).unwrap();
        let config = Config { hypervisor: HypervisorConfig::default(), cells: self.cells };
        ask(Plan::draft(&config, &tree, &hardware, &archive, self.boot), &tree, &hardware)
    }

    /// Drafts and checks what must be right.
    pub(super) fn plan<R>(self, ask: impl FnOnce(&Plan<Checked>, &Tree<'_>, &Hardware) -> R) -> R {
        self.draft(|draft, tree, hardware| ask(&draft.unwrap().check(hardware).unwrap(), tree, hardware))
    }

    /// The refusals as people read them.
    fn refused(self) -> Vec<String> {
        self.draft(|draft, _, _| draft.unwrap_err().iter().map(PlanError::to_string).collect())
    }
}
