//! What remains, each with its reason. Both lists may only shrink: the test fails at what is not listed, and at what is listed
//! and no longer there.

/// Functions that nobody calls by their address once guests run, and why.
pub const BOOTS: &[(&str, &str)] = &[
    ("bulkhead_head", "the image's first address, as a number; boot's first instruction lies there"),
    ("bulkhead_secondary_entry", "where firmware starts a CPU, before a guest runs on it"),
    ("bulkhead_spin_entry", "where a CPU of a spin table starts, before a guest runs on it"),
    ("<alloc::string::String as core::fmt::Write>::write_str", "formats refusals, which are boot's"),
    ("<alloc::string::String as core::fmt::Write>::write_char", "formats refusals, which are boot's"),
    ("<bulkhead::plan::json::Lines as core::fmt::Write>::write_str", "prints the plan, which boot does"),
    ("<bulkhead::plan::json::Lines as core::fmt::Write>::write_char", "prints the plan, which boot does"),
    ("bulkhead::refusal::refused::Refused::address", "makes a refusal, which boot does"),
    ("bulkhead::refusal::refused::Refused::number", "makes a refusal, which boot does"),
];

/// The heap.
macro_rules! pool {
    ($name:literal) => {
        concat!("<bulkhead_aarch64::heap::Pool as core::alloc::global::GlobalAlloc>::", $name)
    };
}

const WINDOW: &str = "a window lies where the plan says, over nothing else, and whoever opens it takes it away: without memory for its \
                      tables the life does not begin, anything else is a bug";
const BUDDY: &str = "the allocator's own arithmetic and lists, over the pool that boot gave it. After boot only tables of windows \
                     are taken, whose number the plan bounds";

/// Who calls, what it calls, and why that may stay.
pub const ALLOWED: &[(&str, &str, &str)] = &[
    ("own_fault", "bulkhead_own_fault", "an exception that EL2 itself took: the last words"),
    ("bulkhead_aarch64::mmu::window", "bulkhead_aarch64::stop::fatal", WINDOW),
    (pool!("alloc"), "core::panicking::panic_bounds_check", BUDDY),
    (pool!("alloc"), "core::option::expect_failed", BUDDY),
    (pool!("alloc"), "core::panicking::panic_const::panic_const_add_overflow", BUDDY),
    (pool!("dealloc"), "core::panicking::panic_bounds_check", BUDDY),
    (pool!("dealloc"), "core::panicking::panic_const::panic_const_add_overflow", BUDDY),
    (pool!("dealloc"), "core::panicking::panic_const::panic_const_sub_overflow", BUDDY),
];
