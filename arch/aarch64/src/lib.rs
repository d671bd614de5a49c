//! mechanism
#![no_std]
