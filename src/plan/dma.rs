//! Whether what a cell's devices read and write by themselves is the cell's memory.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Region;
use super::devices::Claims;
use super::draft::Draw;
use super::spans::SpanSet;
use crate::addr::Pa;
use crate::cpu::CellId;
use crate::hardware::{Device, Dma, is_no_master};
use crate::refusal::code::DMA_ELSEWHERE;

/// What Linux takes of the memory that all its masters reach, for copies of what they do not (`swiotlb`'s default).
const BOUNCE: u64 = 64 << 20;

impl Claims {
    /// Warns where DMA misses the cell's memory: it goes to physical addresses, and some buses pass on a part of them only.
    #[inline(never)]
    pub(super) fn tell_elsewhere(
        &self,
        draw: &Draw<'_, '_>,
        cell: CellId,
        ram: &[Region],
        warnings: &mut Vec<String>,
    ) {
        let mut tell = |masters: &[&Device], what: &dyn core::fmt::Display| {
            let Some(first) = masters.first() else { return };
            let path = draw.board.node(first.node).path();
            let others = match masters.len().saturating_sub(1) {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            warnings.push(format!("{DMA_ELSEWHERE}: the DMA of {path}{others} {what}"));
        };
        let masters = self.of(draw, cell).filter(|device| {
            // What has registers that are harmless leaves its transfers to a DMA controller, which is a master by itself.
            device.master != Dma::None
                && !device.spans.is_empty()
                && !is_no_master(&draw.board.node(device.node))
        });
        if let Some(moved) = ram.iter().find(|region| region.ipa.0 != region.pa.0) {
            let what = format_args!(
                "goes to physical addresses, but this cell's memory at {:#x} is at {:#x}: a driver would have it read and write what is not the cell's",
                moved.ipa.0, moved.pa.0
            );
            return tell(&masters.collect::<Vec<_>>(), &what);
        }
        let all: SpanSet<Pa> = ram.iter().filter_map(Region::backing).collect();
        // The least that any of them reaches, and who does.
        let (mut least, mut confined) = (all.size().min(BOUNCE), Vec::new());
        for device in masters {
            let Some(reach) = draw.board.node(device.node).dma_reach() else { continue };
            let reach: SpanSet<Pa> = reach.into_iter().collect();
            let inside =
                reach.iter().flat_map(|window| all.iter().filter_map(move |bank| bank.intersection(&window)));
            let inside = inside.fold(0_u64, |sum, part| sum.saturating_add(part.size()));
            if inside < least {
                (least, confined) = (inside, Vec::new());
            }
            if inside == least && inside < all.size().min(BOUNCE) {
                confined.push(device);
            }
        }
        let what = format_args!(
            "reaches {} MiB of the cell's memory (`dma-ranges`); less than {} MiB are too few for Linux",
            least >> 20,
            BOUNCE >> 20
        );
        tell(&confined, &what);
    }
}
