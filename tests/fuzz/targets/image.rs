//! Any bytes as a guest's image.
#![no_main]

use bulkhead::image::Image;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(Image::Elf { entry, segments }) = Image::inspect(bytes) else { return };
    assert!(segments.iter().any(|s| s.to <= entry && entry - s.to < s.mem_size));
    for segment in &segments {
        assert!(segment.offset + segment.file_size <= bytes.len() as u64);
        assert!(segment.file_size <= segment.mem_size && segment.to.checked_add(segment.mem_size).is_some());
    }
});
