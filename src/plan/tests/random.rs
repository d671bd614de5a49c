//! Random boards and descriptions. Whatever can be drafted passes the check, and an oracle that knows nothing of
//! either counts the owners of everything.

use proptest::prelude::*;

use super::*;
use crate::addr::PAGE;
use crate::crash::OnCrash;
use crate::hardware::sample::soc_device;
use crate::plan::pool;
use crate::tree::early;
use crate::vcpu::InterruptMode;

/// A device under /soc: its slot of 2 KiB, its interrupt, its owner.
type Uart = (u32, u32, usize);

/// A checked plan, or why there is none.
type Planned = Result<Plan<Checked>, Vec<PlanError>>;

#[derive(Debug, Clone)]
pub(crate) struct Random {
    cpus: u32,
    /// Gap before it and size, in pages.
    banks: Vec<(u64, u64)>,
    /// Distance from the start of memory and size, in bytes.
    reserved: Vec<(u64, u64)>,
    uarts: Vec<Uart>,
    /// Each with its memory in pages, and what it runs.
    cells: Vec<(u64, usize)>,
    pub(crate) root: bool,
    /// The owner of each CPU.
    cpu_owners: Vec<usize>,
    dma: bool,
    firmware: (u64, u64),
}

const START: u64 = 0x4000_0000;

pub(crate) fn random() -> impl Strategy<Value = Random> {
    let bank = (
        prop_oneof![Just(0), 1_u64..0x2_0000],
        prop_oneof![1 => 0x2000_u64..0x8000, 4 => 0x4_0000_u64..0x20_0000],
    );
    let spot = (0_u64..0x2000_0000, 1_u64..0x20_0000);
    // Mostly one in a page.
    let slot = prop_oneof![9 => (16_u32..64).prop_map(|page| page * 2), 1 => 16_u32..128];
    let uarts = prop::collection::vec((slot, 50_u32..400, 0_usize..6), 0..8);
    let memory = prop_oneof![4 => 1_u64..0x2000, 1 => 0x2000_u64..0x8_0000];
    (
        (
            prop_oneof![1_u32..4, 6_u32..17],
            prop::collection::vec(bank, 1..4),
            prop::collection::vec(spot.clone(), 0..4),
            uarts,
        ),
        prop::collection::vec((memory, 0_usize..3), 0..5),
        prop::bool::weighted(0.8),
        prop::collection::vec(prop_oneof![2 => Just(0), 1 => 0_usize..6], 16),
        prop::bool::weighted(0.9),
        spot,
    )
        .prop_map(|((cpus, banks, reserved, uarts), cells, root, cpu_owners, dma, firmware)| Random {
            cpus,
            banks,
            reserved,
            uarts,
            cells,
            root,
            cpu_owners,
            dma,
            firmware,
        })
}

impl Random {
    fn owner(&self, wish: usize) -> Option<usize> {
        let cells = self.cells.len() + 1;
        (wish % cells).checked_sub(1)
    }

    fn cell_configs(&self) -> Vec<CellConfig> {
        let payload = |kind: usize| match kind {
            0 => root().payload,
            1 => image("raw.bin"),
            _ => image("control.elf"),
        };
        let cell = |(at, (memory, kind)): (usize, &(u64, usize))| {
            let cpus = (0..self.cpus).filter(|n| self.owner(self.cpu_owners[*n as usize]) == Some(at));
            let cpus: Vec<_> = cpus.map(|n| format!("cpu@{:x}", (n & 3) | (n >> 2) << 8)).collect();
            let uarts = self.uarts.iter().filter(|(.., wish)| self.owner(*wish) == Some(at));
            CellConfig {
                name: format!("cell{at}"),
                root: false,
                cpus: if cpus.is_empty() { CpuChoice::Count(1) } else { CpuChoice::Names(cpus) },
                // Linux does not fit into little.
                memory: Some(if *kind == 0 { memory * PAGE + 64 * MIB } else { memory * PAGE }),
                ram_base: None,
                payload: payload(*kind),
                bootargs: Bootargs::None,
                tree: CellTree::Derived,
                devices: uarts.map(|(slot, ..)| format!("uart@{:x}", slot * 0x800)).collect(),
                console: CellConsole::None,
                unprotected_dma: false,
                // Half of them, each with a clock of root's.
                foreign_dependencies: at % 2 == 0,
                watchdog: at % 3 != 0,
                on_crash: OnCrash::Stop,
                interrupts: InterruptMode::Virtual,
                smc_allow: Vec::new(),
            }
        };
        let root = self.root.then(|| CellConfig { unprotected_dma: self.dma, ..root() });
        self.cells.iter().enumerate().map(cell).chain(root).collect()
    }

    fn setup(&self) -> Option<Setup> {
        let mut setup = Setup::new([]);
        setup.cells = self.cell_configs();
        if setup.cells.is_empty() {
            return None;
        }
        let mut at = START;
        setup.board.banks = Vec::new();
        for (gap, size) in &self.banks {
            setup.board.banks.push((at + gap * PAGE, size * PAGE));
            at += (gap + size) * PAGE;
        }
        setup.board.cpus = self.cpus;
        setup.board.reserved = self.reserved.iter().map(|(at, size)| (START + at, *size)).collect();
        setup.board.reserved.sort_unstable();
        setup.board.reserved.dedup_by_key(|(at, _)| *at);
        let mut uarts = self.uarts.clone();
        uarts.sort_unstable();
        uarts.dedup_by_key(|(slot, ..)| *slot);
        let uart = |(slot, spi, _): &Uart| {
            soc_device(&format!("uart@{:x}", slot * 0x800), "arm,pl011", slot * 0x800, *spi)
                .cells("clocks", [3, *slot])
        };
        setup.board.more = uarts.iter().map(uart).collect();
        let first = START + self.banks[0].0 * PAGE;
        setup.boot.image = span(first + 0x20_0000, 0x2_3000);
        setup.boot.tree = span(first + 0x40_0000, 0x1_0000);
        setup.boot.archive = span(first + 0x60_0123, 0x1_2345);
        setup.board.initrd = Some((setup.boot.archive.start().0, setup.boot.archive.end().0));
        Some(setup)
    }

    /// The board, and the checked plan or why there is none; nothing if the two make no sense at all.
    pub(crate) fn plan(&self) -> Option<(Hardware, Planned)> {
        let mut setup = self.setup()?;
        let board = std::mem::take(&mut setup.board).tree();
        let blob = board.blob_reserving(&[(START + self.firmware.0, self.firmware.1)]);
        let cells = setup.cells.len();
        let placed = pool::place(&early::read(&blob).ok()?, setup.boot.image, setup.boot.tree, cells).ok()?;
        let boot = Boot { pool: placed.pool, archive: placed.archive, ..setup.boot };
        let tree = Tree::parse(&blob).unwrap();
        let hardware = Hardware::read(&tree).unwrap();
        let bytes = archive(&setup.files);
        let archive = Archive::parse(&bytes).unwrap();
        let config = Config { hypervisor: HypervisorConfig::default(), cells: setup.cells };
        // Whatever can be drafted passes the check.
        let plan = Plan::draft(&config, &tree, &hardware, &archive, boot)
            .map(|draft| draft.check(&hardware).unwrap());
        Some((hardware, plan))
    }
}

/// How many of these have the address.
fn count<'r>(regions: impl IntoIterator<Item = &'r Region>, at: Pa) -> usize {
    regions.into_iter().filter(|r| r.backing().unwrap().contains(at)).count()
}

/// Both ends of each page-wide span, from within: where ownership can change.
fn edges(spans: impl IntoIterator<Item = Span<Pa>>) -> Vec<Pa> {
    spans
        .into_iter()
        .flat_map(|s| [s.start(), s.last(), Pa(s.end().0), Pa(s.start().0.wrapping_sub(1))])
        .collect()
}

fn memory_has_one_owner(plan: &Plan<Checked>, hardware: &Hardware, root: bool) {
    let all = || plan.cells.iter().flat_map(|cell| &cell.ram);
    let boot = [plan.boot.image, plan.boot.pool, plan.boot.archive];
    let kept: Vec<_> = boot.iter().chain(&hardware.firmware).map(|s| s.widened_to(PAGE).unwrap()).collect();
    let banks: Vec<_> = hardware.memory.iter().filter_map(|bank| bank.narrowed_to(PAGE)).collect();
    let spots = edges(all().filter_map(Region::backing).chain(kept.clone()).chain(banks.clone()));
    for at in spots {
        let in_banks = banks.iter().any(|bank| bank.contains(at));
        let reserved = plan.reserved.iter().any(|span| span.contains(at));
        let owners = count(all(), at);
        if kept.iter().any(|span| span.contains(at)) {
            assert_eq!(owners, 0, "{at} is kept");
        } else if in_banks && root {
            assert_eq!(owners, 1, "{at} is memory");
        } else {
            assert!(owners <= usize::from(in_banks || reserved), "{at} has {owners}");
        }
        if reserved {
            assert_eq!(count(plan.cells.iter().filter(|cell| !cell.root).flat_map(|cell| &cell.ram), at), 0);
        }
    }
}

fn devices_have_one_owner(plan: &Plan<Checked>, hardware: &Hardware, root: bool) {
    let all = || plan.cells.iter().flat_map(|cell| &cell.mmio);
    for device in &hardware.devices {
        let owner = plan.device_owner(device.node);
        let ours = plan.console.is_some_and(|console| console.node == device.node);
        assert!(if ours { owner.is_none() } else { owner.is_some() || !root });
        if ours {
            let page = plan.console.unwrap().page().unwrap();
            assert_eq!(count(all(), page.start()), 0);
            assert!(plan.spi_owner(plan.console.unwrap().spi).is_none());
        }
        for page in device.spans.iter().chain(&device.windows).map(|s| s.widened_to(PAGE).unwrap()) {
            for at in [page.start(), page.last()] {
                // In the page of a device that nobody has there may be one that somebody has.
                assert!(count(all(), at) <= 1, "{at}");
                assert!(owner.is_none_or(|id| count(&plan.cell(id).unwrap().mmio, at) == 1), "{at}");
            }
        }
        for (spi, _) in &device.spis {
            // A device that nobody has may share its line with one that somebody has.
            assert!(owner.is_none() || plan.spi_owner(*spi) == owner, "{spi:?}");
            assert!(plan.cells.iter().filter(|cell| cell.spis.contains(spi.intid())).count() <= 1);
        }
    }
    for region in all() {
        let backing = region.backing().unwrap();
        assert!(!hardware.memory.iter().chain(&hardware.gic.frames).any(|never| never.overlaps(&backing)));
    }
}

fn cpus_have_one_owner(plan: &Plan<Checked>, hardware: &Hardware, root: bool) {
    for cpu in &hardware.cpus {
        let owners = plan.cells.iter().filter(|cell| cell.cpus.contains(&cpu.id)).count();
        assert!(owners == 1 || owners == 0 && !root);
        assert_eq!(plan.cpu(cpu.id).is_some(), owners == 1);
    }
}

fn what_is_loaded_fits(cell: &CellPlan) {
    let places = cell.load.pieces.iter().filter_map(|p| Span::new(p.to, p.size)).chain([cell.load.tree]);
    let places: Vec<_> = places.collect();
    for (n, place) in places.iter().enumerate() {
        assert!(!places.iter().skip(n + 1).any(|other| other.overlaps(place)));
        let inside = |at: Ipa| cell.ram.iter().filter(|r| r.seen().unwrap().contains(at)).count() == 1;
        assert!(inside(place.start()) && inside(place.last()));
    }
}

proptest! {
    #![proptest_config(crate::fake::cases(200))]

    #[test]
    fn everything_has_one_owner(random in random()) {
        match random.plan() {
            None => {}
            Some((hardware, Ok(plan))) => {
                memory_has_one_owner(&plan, &hardware, random.root);
                devices_have_one_owner(&plan, &hardware, random.root);
                cpus_have_one_owner(&plan, &hardware, random.root);
                plan.cells.iter().for_each(what_is_loaded_fits);
            }
            Some((_, Err(refusals))) => {
                prop_assert!(!refusals.is_empty());
                prop_assert!(refusals.iter().all(|refusal| !refusal.to_string().contains("a bug in Bulkhead")));
            }
        }
    }
}
