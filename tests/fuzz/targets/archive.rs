//! Any bytes as an archive.
#![no_main]

use bulkhead::archive::{Archive, MAX_ENTRIES};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(archive) = Archive::parse(bytes) else { return };
    let _ = archive.description();
    assert!(archive.names().count() <= MAX_ENTRIES);
    for file in archive.names().filter_map(|name| archive.file(name)) {
        let at = file.offset as usize;
        assert!(file.data.is_empty() || bytes.get(at..at + file.data.len()) == Some(file.data));
    }
});
