//! x
#![no_std]
#![no_main]
#![forbid(unsafe_code)]
use rt::println;
rt::entry!(main, irq);
fn main() -> ! {
    println!("hello {:x}", rt::read_reg!("midr_el1"));
    rt::exception::stop("end")
}
fn irq() {}
