//! The virtual GIC over the fake one.

mod bench;
mod delivery;
mod line;
mod model;
mod neighbours;
mod random;
mod registers;
mod start;
mod v2;
