//! Registers of cells' devices, through windows in EL2's map.

use aarch64_cpu::asm::barrier::{SY, dsb};
use bulkhead::addr::{Pa, Span};
use bulkhead::paging::Window;
use bulkhead::ports::{Devices, NoWindow, Registers, Width};

use crate::cpu::Cpu;
use crate::{gic, mmu};

/// Registers that are mapped. Only [`Cpu::open`] makes one.
struct Open(Span<Pa>);

impl Open {
    /// Where an access goes, if it lies inside and is aligned.
    fn at(&self, offset: u64, width: Width) -> Option<Pa> {
        let end = offset.checked_add(width.bytes())?;
        let aligned = offset.is_multiple_of(width.bytes());
        self.0.start().checked_add(offset).filter(|_| aligned && end <= self.0.size())
    }
}

impl Registers for Open {
    fn read(&self, offset: u64, width: Width) -> u64 {
        // SAFETY: inside the window, which is device memory. Policy reads what reading does not break.
        self.at(offset, width).map_or(width.mask(), |at| unsafe { gic::load(at, width) })
    }

    fn write(&self, offset: u64, width: Width, value: u64) {
        if let Some(at) = self.at(offset, width) {
            // SAFETY: inside the window, which is device memory. The device is one whose cell does not run, and policy only makes
            // it stop: no memory changes behind anybody's back that did not before.
            unsafe { gic::store(at, width, value) };
        }
    }
}

impl<K> Devices for Cpu<K> {
    fn open(&self, span: Span<Pa>, work: &mut dyn FnMut(&dyn Registers)) -> Result<(), NoWindow> {
        mmu::window(self.space, span, Window::Device, &mut || {
            work(&Open(span));
            // Device-nGnRE keeps the order among accesses to one device (Arm ARM B2.7.2.2), but not towards Normal memory: what
            // comes next scrubs that, and must not begin before the last read has its answer (B2.3.10, DSB).
            dsb(SY);
        })
    }
}
