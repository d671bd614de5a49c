//! No function that can panic is reached once guests run: the call graph of the linked image shows it.
//!
//! [`image`] reads functions, code and pointers, [`decode`] the instructions, [`graph`] follows them. [`allowed`] is what remains, each
//! with its reason; it may only shrink. Wants what `scripts/build` makes.

mod allowed;
mod decode;
mod graph;
mod image;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use allowed::{ALLOWED, BOOTS};
use graph::Graph;
use image::Image;

/// What runs from the first guest on: each CPU's loop, and the vectors that exceptions come to.
const ROOTS: &[&str] = &["bulkhead_aarch64::world::run", "bulkhead_vectors"];

/// Where a panic begins, by the start of the name.
const PANICS: &[&str] = &[
    "core::panicking::",
    "core::option::expect_failed",
    "core::option::unwrap_failed",
    "core::result::unwrap_failed",
    "core::slice::index::slice_index_fail",
    "core::str::slice_error_fail",
    "alloc::alloc::handle_alloc_error",
    "alloc::raw_vec::capacity_overflow",
    "alloc::raw_vec::handle_error",
    "__rustc::__rust_alloc_error_handler",
    "__rustc::rust_begin_unwind",
    "bulkhead_aarch64::stop::fatal",
    "bulkhead_own_fault",
];

fn is_panic(name: &str) -> bool {
    PANICS.iter().any(|panic| name.starts_with(panic)) || name.ends_with("::assert_failed")
}

fn path() -> PathBuf {
    let built = "../target/aarch64-unknown-none-softfloat/release/bulkhead-image";
    std::env::var_os("BULKHEAD_ELF")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(built), PathBuf::from)
}

#[test]
fn nothing_that_can_panic_is_reached_once_guests_run() {
    let graph = Graph::new(&Image::read(&path()).unwrap());
    let boots: Vec<&str> = BOOTS.iter().map(|(name, _)| *name).collect();
    let reach = graph.reach(ROOTS, &boots, is_panic).unwrap();
    let sites = &reach.sites;
    let mut wrong = Vec::new();
    for site in sites {
        if !ALLOWED.iter().any(|(from, panic, _)| site.from == *from && site.panic == *panic) {
            let by = site.path.join(" -> ");
            wrong.push(format!("{} -> {} at {:x?}\n    by {by}", site.from, site.panic, site.at));
        }
    }
    for (from, panic, _) in ALLOWED {
        if !sites.iter().any(|site| site.from == *from && site.panic == *panic) {
            wrong.push(format!("{from} -> {panic} is allowed and no longer there: take it off allowed.rs"));
        }
    }
    for (name, _) in BOOTS {
        let others: Vec<&str> = boots.iter().copied().filter(|other| other != name).collect();
        if graph.reach(ROOTS, &others, is_panic).unwrap().sites.len() == sites.len() {
            wrong.push(format!("{name} leads to no panic any more, or is gone: take it off allowed.rs"));
        }
    }
    assert!(wrong.is_empty(), "{} things are wrong\n{}", wrong.len(), wrong.join("\n"));
    let (functions, taken) = graph.size();
    println!(
        "{functions} functions, {taken} with their address taken, {} reached; {} ways to a panic, each listed",
        reach.functions,
        sites.len()
    );
}

/// The check sees what there is: boot may panic, and does not count.
#[test]
fn boot_is_seen_to_panic() {
    let image = Image::read(&path()).unwrap();
    let sites = Graph::new(&image).reach(&["bulkhead_primary"], &[], is_panic).unwrap().sites;
    let panics: BTreeSet<&str> = sites.iter().map(|site| site.panic.as_str()).collect();
    assert!(panics.contains("alloc::raw_vec::handle_error"), "{panics:?}");
}
