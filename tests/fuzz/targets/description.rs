//! Any bytes as a compiled description.
#![no_main]

use bulkhead::config::{Config, MAX_CELLS};
use bulkhead::tree::Tree;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(tree) = Tree::parse(bytes) else { return };
    match Config::parse(&tree) {
        Err(errors) => {
            assert!(errors.iter().all(|error| !error.to_string().is_empty()) && !errors.is_empty())
        }
        Ok(config) => {
            assert!((1..=MAX_CELLS).contains(&config.cells.len()));
            assert!(config.cells.iter().filter(|cell| cell.root).count() <= 1);
            assert!(config.cells.iter().all(|cell| cell.root == cell.memory.is_none()));
        }
    }
});
