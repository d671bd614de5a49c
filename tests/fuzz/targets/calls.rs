//! Any bytes as what three vCPUs of a hostile cell do: calls: PSCI and SMCCC. `src/fake/streams.rs` says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bulkhead::streams::calls(bytes));
