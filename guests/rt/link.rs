//! The build script of every guest: links it with the runtime's script.

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../rt/guest.ld");
    for arg in ["-T", script, "-pie", "--no-dynamic-linker", "-znotext", "-zmax-page-size=4096"] {
        println!("cargo:rustc-link-arg-bins={arg}");
    }
    println!("cargo:rustc-link-arg-bins=--orphan-handling=error");
    println!("cargo:rerun-if-changed={script}");
}
