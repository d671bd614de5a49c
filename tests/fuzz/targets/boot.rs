//! Boot's own entry points, with any bytes as what the loader brought: the first byte says which of the three inputs
//! the rest is. `scripts/fuzz` makes the seeds, which are the inputs beside it too.
#![no_main]

#[path = "../../entry/mod.rs"]
mod entry;

use std::sync::OnceLock;

use entry::Loaded;

/// The board's tree and the archive that boot.
fn seeds() -> &'static [Vec<u8>; 2] {
    static SEEDS: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    SEEDS.get_or_init(|| {
        ["board", "archive"].map(|name| {
            let file = format!("{}/seeds/{name}", env!("CARGO_MANIFEST_DIR"));
            std::fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}: scripts/fuzz makes it"))
        })
    })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((which, bytes)) = bytes.split_first() else { return };
    let [board, archive] = seeds();
    let loaded = Loaded::above(0x4000_0000);
    match which % 3 {
        0 => loaded.boot(bytes, archive),
        1 => loaded.boot(board, bytes),
        _ => loaded.boot(board, &entry::with_description(archive, bytes)),
    };
});
