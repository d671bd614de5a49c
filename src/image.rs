//! Formats of guest images: arm64 Image, ELF64, raw.
