//! Any bytes as a device tree, read in every way.
#![no_main]

use bulkhead::tree::{Tree, check, used_size};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let checked = check(bytes);
    let _ = used_size(bytes);
    match Tree::parse(bytes) {
        Err(_) => {}
        Ok(tree) => {
            assert_eq!(checked, Ok(()), "a tree is read that the check refuses");
            for node in tree.nodes() {
                assert_eq!(tree.at(&node.path()).map(|found| found.id()), Some(node.id()));
                assert!(node.ancestors().count() < bulkhead::tree::MAX_DEPTH);
                for prop in node.props() {
                    let _ = (prop.u64(), prop.str(), prop.strings().count(), prop.cells().count());
                }
                let _ = tree.resolve(node.base_name()).is_ok();
            }
        }
    }
});
