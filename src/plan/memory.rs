//! Which cell has which RAM.

use alloc::vec;
use alloc::vec::Vec;

use super::draft::Draw;
use super::load::CELL_RAM;
use super::spans::SpanSet;
use super::{Region, error};
use crate::addr::{BLOCK_1G, BLOCK_2M, PAGE, Pa, Span};
use crate::config::CellConfig;
use crate::hardware::Hardware;
use crate::refusal::{Refused, refuse};
use crate::sort;

/// The static regions of /reserved-memory as whole pages.
#[inline(never)]
pub(super) fn reserved(hardware: &Hardware) -> SpanSet<Pa> {
    hardware.reserved.iter().filter_map(|region| region.span.widened_to(PAGE)).collect()
}

/// The whole pages of memory.
#[inline(never)]
pub(super) fn banks(hardware: &Hardware) -> SpanSet<Pa> {
    hardware.memory.iter().filter_map(|bank| bank.narrowed_to(PAGE)).collect()
}

/// What the hypervisor and firmware keep, as whole pages.
#[inline(never)]
pub(super) fn kept(hardware: &Hardware, boot: &super::Boot) -> SpanSet<Pa> {
    let mut kept = SpanSet::default();
    kept.insert_pages(&[boot.image, boot.pool, boot.archive]);
    kept.insert_pages(&hardware.firmware);
    kept
}

/// Each cell's RAM, by rising IPA.
#[inline(never)]
pub(super) fn divide(draw: &Draw<'_, '_>, errors: &mut Vec<Refused>) -> Vec<Vec<Region>> {
    let mut shares = vec![Vec::new(); draw.config.cells.len()];
    let kept = kept(draw.hardware, &draw.boot);
    let reserved = reserved(draw.hardware);
    let mut root = banks(draw.hardware);
    root.remove_all(&kept);
    let mut free = root.clone();
    free.remove_all(&reserved);
    // The board's tree is still being read while cells are loaded.
    if let Some(tree) = draw.boot.tree.widened_to(PAGE) {
        free.remove(tree);
    }

    // The largest first, so that it finds a place for large blocks.
    let mut order: Vec<_> =
        draw.config.cells.iter().zip(&mut shares).filter(|(cell, _)| !cell.root).collect();
    sort::by_key(&mut order, |(cell, _)| core::cmp::Reverse(cell.memory));
    for (cell, share) in order {
        for span in take(cell, &mut free, errors) {
            root.remove(span);
            let base = cell.ram_base.unwrap_or(CELL_RAM.0);
            let ipa = share.last().map_or(base, |last: &Region| last.ipa.0.saturating_add(last.size));
            share.push(Region { ipa: crate::addr::Ipa(ipa), pa: span.start(), size: span.size() });
        }
    }

    // Reserved regions are root's even where the tree does not count them as memory.
    let mut beside = reserved;
    beside.remove_all(&kept);
    for bank in &draw.hardware.memory {
        // A page that is memory in part is nobody's.
        bank.widened_to(PAGE).into_iter().for_each(|bank| beside.remove(bank));
    }
    beside.iter().for_each(|span| root.insert(span));
    for (cell, share) in draw.config.cells.iter().zip(&mut shares).filter(|(cell, _)| cell.root) {
        if cell.memory.is_some() {
            refuse(errors, &error::ROOT_MEMORY).cell(&cell.name, "memory");
        }
        for span in root.iter() {
            share.push(Region::from(span));
        }
    }
    shares
}

/// Takes a cell's memory from the top: one span where there is one, at a multiple of what stage 2 maps in one entry. Empty
/// if that is refused.
fn take(cell: &CellConfig, free: &mut SpanSet<Pa>, errors: &mut Vec<Refused>) -> Vec<Span<Pa>> {
    let size = cell.memory.unwrap_or(0);
    if size == 0 || !size.is_multiple_of(PAGE) {
        let sentence = if size == 0 { &error::NO_MEMORY } else { &error::ODD_MEMORY };
        refuse(errors, sentence).cell(&cell.name, "memory").address(size);
        return Vec::new();
    }
    let large = if size >= BLOCK_1G { free.highest(size, BLOCK_1G) } else { None };
    if let Some(span) = large.or_else(|| free.highest(size, BLOCK_2M)) {
        free.remove(span);
        return vec![span];
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
            return spans;
        }
    }
    refuse(errors, &error::TOO_LITTLE_MEMORY).cell(&cell.name, "memory").bytes(size).bytes(blocks.size());
    Vec::new()
}
