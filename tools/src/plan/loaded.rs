//! Where a loader puts things.

use bulkhead::addr::{Pa, Span};
use bulkhead::hardware::Hardware;
use bulkhead::plan::Boot;

/// Bytes of the hypervisor's image and bss, at most.
const IMAGE: u64 = 512 << 10;
/// A loader's alignment.
const BLOCK: u64 = 2 << 20;

/// Where things lie after loading, as QEMU's loader does it: the image 2 MiB into the first bank, the archive 128 MiB
/// into it (half way in a smaller bank), the board's tree behind that; the hypervisor's pool stands beside its image.
pub fn guess(hardware: &Hardware, archive: u64, pool: u64) -> Option<Boot> {
    let bank = hardware.memory.first()?;
    let start = bank.start().0;
    let image = Span::new(Pa(start + BLOCK), IMAGE)?;
    let archive = Span::new(Pa(start + (bank.size() / 2).min(128 << 20)), archive)?;
    let boot = Boot {
        image,
        pool: Span::new(image.end(), pool)?,
        archive,
        tree: Span::new(Pa(archive.end().0.next_multiple_of(BLOCK)), BLOCK)?,
    };
    bank.covers(&boot.tree).then_some(boot)
}
