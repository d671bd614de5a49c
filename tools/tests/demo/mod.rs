//! What tests of the boards' demos share.

use std::path::{Path, PathBuf};

#[path = "../../../src/image/sample.rs"]
#[expect(dead_code, reason = "the host tests of the policy use the rest")]
mod sample;

/// The repository.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A folder below `target/` with the images that the demos name, small ones.
pub fn images(folder: &str) -> PathBuf {
    let folder = top().join("target").join(folder);
    std::fs::create_dir_all(folder.join("linux")).unwrap();
    for (file, bytes) in [
        ("linux/Image", sample::kernel(0, 1 << 20, 0b1010)),
        ("linux/initrd.cpio", vec![1; 500]),
        ("control.elf", vec![2; 500]),
    ] {
        std::fs::write(folder.join(file), bytes).unwrap();
    }
    folder
}
