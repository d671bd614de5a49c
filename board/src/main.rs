//! image
fn main() {}
