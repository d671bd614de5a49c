//! Which cell has which RAM.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::draft::Draw;
use super::load::CELL_RAM;
use super::spans::SpanSet;
use super::{Boot, PlanError, Region};
use crate::addr::{BLOCK_1G, BLOCK_2M, PAGE, Pa, Span};
use crate::config::CellConfig;
use crate::hardware::Hardware;
use crate::sort;

/// Whole pages that a cell can have: memory without what the hypervisor and firmware keep.
pub(super) fn usable(hardware: &Hardware, boot: &Boot) -> SpanSet<Pa> {
    let mut usable: SpanSet<Pa> = hardware.memory.iter().filter_map(|bank| bank.narrowed_to(PAGE)).collect();
    let kept = [boot.image, boot.pool, boot.archive].into_iter().chain(hardware.firmware.iter().copied());
    kept.filter_map(|span| span.widened_to(PAGE)).for_each(|span| usable.remove(span));
    usable
}

/// The static regions of /reserved-memory as whole pages.
pub(super) fn reserved(hardware: &Hardware) -> SpanSet<Pa> {
    hardware.reserved.iter().filter_map(|region| region.span.widened_to(PAGE)).collect()
}

/// Each cell's RAM, by rising IPA.
pub(super) fn divide(draw: &Draw<'_, '_>, errors: &mut Vec<PlanError>) -> Vec<Vec<Region>> {
    let mut shares = vec![Vec::new(); draw.config.cells.len()];
    let usable = usable(draw.hardware, &draw.boot);
    let reserved = reserved(draw.hardware);
    let mut root = usable.clone();
    let mut free = usable;
    free.remove_all(&reserved);
    // The board's tree is still being read while cells are loaded.
    draw.boot.tree.widened_to(PAGE).into_iter().for_each(|tree| free.remove(tree));

    // The largest first, so that it finds a place for large blocks.
    let mut order: Vec<_> =
        draw.config.cells.iter().zip(&mut shares).filter(|(cell, _)| !cell.root).collect();
    sort::by_key(&mut order, |(cell, _)| core::cmp::Reverse(cell.memory));
    for (cell, share) in order {
        match wanted(cell).and_then(|size| take(cell, size, &mut free)) {
            Ok(spans) => {
                spans.iter().for_each(|span| root.remove(*span));
                *share = from_cell_ram(&spans);
            }
            Err(error) => errors.push(error),
        }
    }

    // Reserved regions are root's even where the tree does not count them as memory.
    let mut beside = reserved;
    let boot = [draw.boot.image, draw.boot.pool, draw.boot.archive];
    let counted = draw.hardware.memory.iter().chain(&draw.hardware.firmware).chain(&boot);
    counted.filter_map(|span| span.widened_to(PAGE)).for_each(|span| beside.remove(span));
    beside.iter().for_each(|span| root.insert(span));
    for (cell, share) in draw.config.cells.iter().zip(&mut shares).filter(|(cell, _)| cell.root) {
        if cell.memory.is_some() {
            errors.push(PlanError::RootMemory { cell: cell.name.to_string() });
        }
        *share = root.iter().map(Region::from).collect();
    }
    shares
}

fn wanted(cell: &CellConfig) -> Result<u64, PlanError> {
    let size = cell.memory.filter(|size| *size != 0);
    let size = size.ok_or_else(|| PlanError::NoMemory { cell: cell.name.to_string() })?;
    if size.is_multiple_of(PAGE) {
        Ok(size)
    } else {
        Err(PlanError::OddMemory { cell: cell.name.to_string(), size })
    }
}

/// Takes a cell's memory from the top: one span where there is one, at a multiple of what stage 2 maps in one entry.
fn take(cell: &CellConfig, size: u64, free: &mut SpanSet<Pa>) -> Result<Vec<Span<Pa>>, PlanError> {
    let large = (size >= BLOCK_1G).then(|| free.highest(size, BLOCK_1G)).flatten();
    if let Some(span) = large.or_else(|| free.highest(size, BLOCK_2M)) {
        free.remove(span);
        return Ok(vec![span]);
    }
    let (mut spans, mut left) = (Vec::new(), size);
    let blocks: SpanSet<Pa> = free.iter().filter_map(|span| span.narrowed_to(BLOCK_2M)).collect();
    for room in blocks.iter().rev() {
        // Only the last span can be no multiple of 2 MiB, so none behind it is out of step.
        let most = left.min(room.size()).next_multiple_of(BLOCK_2M);
        let Some(start) = room.end().0.checked_sub(most) else { break };
        spans.extend(Span::new(Pa(start), left.min(most)));
        left = left.saturating_sub(most);
        if left == 0 {
            spans.iter().for_each(|span| free.remove(*span));
            return Ok(spans);
        }
    }
    Err(PlanError::TooLittleMemory { cell: cell.name.to_string(), wanted: size, free: blocks.size() })
}

/// One span behind the other from the ABI's address on.
fn from_cell_ram(spans: &[Span<Pa>]) -> Vec<Region> {
    let mut ipa = CELL_RAM;
    let mut regions: Vec<Region> = Vec::with_capacity(spans.len());
    for span in spans {
        regions.push(Region { ipa, pa: span.start(), size: span.size() });
        ipa.0 = ipa.0.saturating_add(span.size());
    }
    regions
}
