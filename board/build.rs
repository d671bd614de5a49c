//! The image's link: position independent, W^X, nothing left to chance.

fn main() {
    let dir = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo:rerun-if-changed=link.ld");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    for arg in [
        format!("-T{dir}/link.ld"),
        "-pie".into(),
        "--no-dynamic-linker".into(),
        "-zmax-page-size=4096".into(),
        "-ztext".into(),
        "-zrelro".into(),
        "--pack-dyn-relocs=relr".into(),
        "--orphan-handling=error".into(),
        "--fix-cortex-a53-843419".into(),
        "--gc-sections".into(),
        "--icf=all".into(),
    ] {
        println!("cargo:rustc-link-arg-bins={arg}");
    }
}
