//! Random boards and descriptions, down to the tables: what each cell can reach, read back from its stage 2 as boot makes
//! it, against the board's own lists.

use proptest::prelude::*;

use super::*;
use crate::addr::PAGE;
use crate::paging::{Mapping, Stage2};
use crate::plan::Region;
use crate::plan::tests::random::{Random, random};

type Leaf = Mapping<Stage2>;

/// ID_AA64MMFR0_EL1.PARange of a CPU with 48 bits.
const BITS_48: u8 = 5;

/// The tables say what the plan says: every leaf lies in one region and leads where the region leads, and none is missing.
fn maps_what_the_plan_says(cell: &CellPlan, leaves: &[Leaf]) {
    let ram = cell.ram.iter().map(|region| (region, Stage2Attributes::Ram));
    let regions: Vec<_> = ram.chain(cell.mmio.iter().map(|r| (r, Stage2Attributes::Device))).collect();
    let mut mapped = 0;
    for leaf in leaves {
        let covers = |(region, _): &&(&Region, _)| region.seen().unwrap().covers(&leaf.from);
        let (region, attributes) = regions.iter().find(covers).expect("a leaf outside of all regions");
        assert_eq!(
            (leaf.to.0, leaf.attributes),
            (region.pa.0 + (leaf.from.start().0 - region.ipa.0), *attributes)
        );
        // Its distributor and redistributors trap.
        assert!(!leaf.from.overlaps(&cell.gicd) && !leaf.from.overlaps(&cell.gicr));
        mapped += leaf.from.size();
    }
    assert_eq!(mapped, regions.iter().map(|(region, _)| region.size).sum::<u64>());
}

/// What stands behind the leaves of one kind, by rising address.
fn behind(leaves: &[Leaf], attributes: Stage2Attributes) -> Vec<Span<Pa>> {
    let of_kind = leaves.iter().filter(|leaf| leaf.attributes == attributes);
    let mut spans: Vec<_> = of_kind.map(|leaf| Span::new(leaf.to, leaf.from.size()).unwrap()).collect();
    spans.sort_unstable_by_key(|span| span.start());
    spans
}

fn are_disjoint(rising: &[Span<Pa>]) -> bool {
    rising.windows(2).all(|pair| pair[0].last() < pair[1].start())
}

/// How many bytes of these, whatever overlaps.
fn total(spans: impl IntoIterator<Item = Span<Pa>>) -> u64 {
    spans.into_iter().collect::<crate::plan::spans::SpanSet<Pa>>().iter().map(|span| span.size()).sum()
}

/// No two cells reach the same page; nobody reaches what is the hypervisor's or firmware's; with a root cell, nothing else
/// is left over.
fn memory_is_divided(random: &Random, plan: &Plan<Checked>, hardware: &Hardware, ram: &[Span<Pa>]) {
    assert!(are_disjoint(ram));
    let boot = [plan.boot.image, plan.boot.pool, plan.boot.archive];
    let kept: Vec<_> = boot.iter().chain(&hardware.firmware).map(|s| s.widened_to(PAGE).unwrap()).collect();
    let banks: Vec<_> = hardware.memory.iter().filter_map(|bank| bank.narrowed_to(PAGE)).collect();
    for span in ram {
        assert!(!kept.iter().any(|kept| kept.overlaps(span)), "{span} is kept");
        assert!(!hardware.gic.frames.iter().any(|frame| frame.overlaps(span)));
    }
    let of_banks = |spans: &[Span<Pa>]| {
        let parts = spans.iter().flat_map(|span| banks.iter().filter_map(|bank| bank.intersection(span)));
        parts.collect::<Vec<_>>()
    };
    // What is not in a bank is memory that the tree reserves besides.
    let (inside, all) = (total(of_banks(ram)), total(ram.iter().copied()));
    let outside = |span: &Span<Pa>| plan.reserved.iter().any(|reserved| reserved.overlaps(span));
    assert!(inside == all || ram.iter().any(outside));
    if random.root {
        assert_eq!(inside + total(of_banks(&kept)), total(banks.iter().copied()), "all memory has an owner");
    }
}

fn devices_are_divided(plan: &Plan<Checked>, hardware: &Hardware, devices: &[Span<Pa>]) {
    assert!(are_disjoint(devices));
    let boot = [plan.boot.image, plan.boot.pool, plan.boot.archive];
    let never = || hardware.gic.frames.iter().chain(&hardware.memory).chain(&hardware.firmware).chain(&boot);
    for span in devices {
        assert!(!never().any(|never| never.overlaps(span)), "{span}");
    }
}

fn the_rest_is_divided(random: &Random, plan: &Plan<Checked>, hardware: &Hardware) {
    let cpus: Vec<_> = plan.cells.iter().flat_map(|cell| &cell.cpus).collect();
    let mut once = cpus.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(cpus.len(), once.len());
    assert!(!random.root || once.len() == hardware.cpus.len());
    let spis: Vec<_> = plan.cells.iter().flat_map(|cell| cell.spis.iter()).collect();
    let mut once = spis.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(spis.len(), once.len());
    assert!(
        !random.root
            || hardware.devices.iter().flat_map(|d| &d.spis).all(|(s, _)| {
                once.contains(&s.intid()) || plan.console.is_some_and(|console| console.spi == *s)
            })
    );
}

proptest! {
    #![proptest_config(crate::fake::cases(100))]

    #[test]
    fn a_cell_reaches_its_own_and_no_more(random in random()) {
        let Some((hardware, Ok(plan))) = random.plan() else { return Ok(()) };
        let (mut ram, mut devices) = (Vec::new(), Vec::new());
        for cell in &plan.cells {
            let space = stage2(cell, None, plan.boot.pool.last(), super::translation(BITS_48)).unwrap();
            let leaves: Vec<_> = space.mappings().collect();
            maps_what_the_plan_says(cell, &leaves);
            ram.extend(behind(&leaves, Stage2Attributes::Ram));
            devices.extend(behind(&leaves, Stage2Attributes::Device));
        }
        ram.sort_unstable_by_key(|span| span.start());
        devices.sort_unstable_by_key(|span| span.start());
        memory_is_divided(&random, &plan, &hardware, &ram);
        devices_are_divided(&plan, &hardware, &devices);
        the_rest_is_divided(&random, &plan, &hardware);
    }
}
