//! The Bulkhead image: policy and mechanism linked into one file that serves every board.
//!
//! There is no code here: the entry point is `bulkhead-aarch64`'s, and what a board's tree does not tell would be a row in a
//! table of this crate. So far there is none.
#![no_std]
#![no_main]

use bulkhead_aarch64 as _;
