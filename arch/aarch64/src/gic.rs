//! The physical GICv3: memory-mapped frames and the list registers.

use alloc::vec::Vec;
use core::arch::asm;

use aarch64_cpu::asm::barrier::{SY, isb};
use aarch64_cpu::registers::{ICH_HCR_EL2, ICH_VMCR_EL2, ICH_VTR_EL2, Readable, Writeable};
use bulkhead::addr::{Pa, Span};
use bulkhead::cpu::PcpuId;
use bulkhead::hardware::Hardware;
use bulkhead::paging::Window;
use bulkhead::ports::{self, GicRegisters, GicVersion, VirtualInterface, Width};

use crate::cpu::{AnyGic, Cpu, Facts, Gicv3};
use crate::interface;
use crate::mmu::{self, Space};
use crate::sysreg::*;

/// Bytes of a distributor's registers.
pub const GICD_SIZE: u64 = 0x1_0000;
/// Bytes of a redistributor's RD_base and SGI_base frames.
pub const GICR_SIZE: u64 = 0x2_0000;

/// Where the distributor and the redistributor of each CPU are. Only [`Gic::new`] makes one that is asked.
#[derive(Clone, Copy, Debug)]
pub struct Gic {
    gicd: Pa,
    gicr: &'static [Pa],
}

impl Gic {
    /// That of a board that has another GIC: no [`Cpu<Gicv3>`] is made there, so nobody asks it.
    pub const NONE: Self = Self { gicd: Pa(0), gicr: &[] };

    /// # Safety
    /// The distributor's 64 KiB at `gicd` and 128 KiB at each of `gicr` (by [`PcpuId`]) are GIC registers, and mapped
    /// as device memory from now on.
    pub unsafe fn new(gicd: Span<Pa>, gicr: &'static [Pa]) -> Self {
        Self { gicd: gicd.start(), gicr }
    }

    /// Where a register of a CPU's redistributor is. The frames were spans, so that no address in them wraps.
    #[inline(always)]
    fn frame(&self, cpu: PcpuId, offset: u32, width: Width) -> Option<Pa> {
        let inside = u64::from(offset) + width.bytes() <= GICR_SIZE;
        self.gicr.get(cpu.index()).filter(|_| inside).map(|base| Pa(base.0.wrapping_add(u64::from(offset))))
    }

    /// The same of the distributor.
    #[inline(always)]
    fn distributor(&self, offset: u32, width: Width) -> Option<Pa> {
        let inside = u64::from(offset) + width.bytes() <= GICD_SIZE;
        inside.then(|| Pa(self.gicd.0.wrapping_add(u64::from(offset))))
    }
}

/// Maps the distributor and the redistributor of each CPU, which is found by its affinity (IHI 0069H 12.11.38, GICR_TYPER).
///
/// # Errors
/// What cannot be mapped, or a CPU without a redistributor.
pub fn map(space: &mut Space, hardware: &Hardware) -> Result<Gic, &'static str> {
    const LAST: u64 = 1 << 4;
    const VLPIS: u64 = 1 << 1;
    let no_map = "the GIC's registers could not be mapped";
    let gic = &hardware.gic;
    mmu::map(space, gic.gicd, Window::Device).map_err(|_| no_map)?;
    let mut frames: Vec<Option<Pa>> = hardware.cpus.iter().map(|_| None).collect();
    for region in &gic.gicr {
        mmu::map(space, *region, Window::Device).map_err(|_| no_map)?;
        let mut at = region.start();
        while Span::new(at, GICR_SIZE).is_some_and(|frame| region.covers(&frame)) {
            // SAFETY: the region was mapped just now, and the frame lies inside.
            let kind = unsafe { redistributor_type(at) };
            if let Some(cpu) = hardware.cpus.iter().position(|c| u64::from(c.affinity.packed()) == kind >> 32)
                && let Some(frame) = frames.get_mut(cpu)
            {
                *frame = Some(at);
            }
            let stride = gic.stride.unwrap_or(if kind & VLPIS != 0 { 2 * GICR_SIZE } else { GICR_SIZE });
            match at.checked_add(stride) {
                Some(next) if kind & LAST == 0 && stride != 0 => at = next,
                _ => break,
            }
        }
    }
    let frames: Option<Vec<Pa>> = frames.into_iter().collect();
    let frames = frames.ok_or("a CPU of the board's tree has no redistributor")?;
    // SAFETY: the tree says that these are the GIC's, and they were mapped above and stay so.
    Ok(unsafe { Gic::new(gic.gicd, frames.leak()) })
}

/// GICR_TYPER, for the search of a CPU's redistributor.
///
/// # Safety
/// `frame` is a mapped redistributor.
unsafe fn redistributor_type(frame: Pa) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { load(Pa(frame.0 + 8), Width::Double) }
}

/// A device read by one load of this width. It acquires, because a plain load from a device beside the exclusives of a lock can
/// stop a Cortex-A57 (erratum 832075); that costs no instruction.
///
/// # Safety
/// `at` is mapped device memory that may be read with this width.
#[inline(always)]
pub unsafe fn load(at: Pa, width: Width) -> u64 {
    let value: u64;
    match width {
        // SAFETY: the caller's promise.
        Width::Byte => unsafe {
            asm!("ldarb {:w}, [{}]", out(reg) value, in(reg) at.0, options(nostack, preserves_flags))
        },
        // SAFETY: the caller's promise.
        Width::Half => unsafe {
            asm!("ldarh {:w}, [{}]", out(reg) value, in(reg) at.0, options(nostack, preserves_flags))
        },
        // SAFETY: the caller's promise.
        Width::Word => unsafe {
            asm!("ldar {:w}, [{}]", out(reg) value, in(reg) at.0, options(nostack, preserves_flags))
        },
        // SAFETY: the caller's promise.
        Width::Double => unsafe {
            asm!("ldar {}, [{}]", out(reg) value, in(reg) at.0, options(nostack, preserves_flags))
        },
    }
    value
}

/// A device write by one plain store.
///
/// # Safety
/// `at` is mapped device memory that may be written with this width.
#[inline(always)]
pub unsafe fn store(at: Pa, width: Width, value: u64) {
    match width {
        // SAFETY: the caller's promise.
        Width::Byte => unsafe {
            asm!("strb {:w}, [{}]", in(reg) value, in(reg) at.0, options(nostack, preserves_flags))
        },
        // SAFETY: the caller's promise.
        Width::Half => unsafe {
            asm!("strh {:w}, [{}]", in(reg) value, in(reg) at.0, options(nostack, preserves_flags))
        },
        // SAFETY: the caller's promise.
        Width::Word => unsafe {
            asm!("str {:w}, [{}]", in(reg) value, in(reg) at.0, options(nostack, preserves_flags))
        },
        // SAFETY: the caller's promise.
        Width::Double => unsafe {
            asm!("str {}, [{}]", in(reg) value, in(reg) at.0, options(nostack, preserves_flags))
        },
    }
}

impl Gic {
    /// What this CPU has of it; its interface is up.
    pub fn facts(&self) -> Facts {
        Facts {
            lr_count: count_list_registers(),
            priority_bits: interface::priority_bits(),
            rpr_shift: rpr_shift(self),
        }
    }
}

impl ports::Gic for Cpu<Gicv3> {
    type Plain = Cpu<AnyGic>;

    #[inline(always)]
    fn version(&self) -> GicVersion {
        GicVersion::V3
    }

    #[inline(always)]
    fn plain(&mut self) -> &mut Cpu<AnyGic> {
        Cpu::plain(self)
    }
}

impl GicRegisters for Cpu<Gicv3> {
    #[inline(always)]
    fn gicd_read(&self, offset: u32, width: Width) -> u64 {
        // SAFETY: inside the distributor that `Gic::new` was promised.
        self.gic.distributor(offset, width).map_or(0, |at| unsafe { load(at, width) })
    }

    #[inline(always)]
    fn gicd_write(&mut self, offset: u32, width: Width, value: u64) {
        if let Some(at) = self.gic.distributor(offset, width) {
            // SAFETY: as for the read. The GIC is no DMA master here: ITS and LPIs stay off, so no write changes memory.
            unsafe { store(at, width, value) }
        }
    }

    #[inline(always)]
    fn gicr_read(&self, cpu: PcpuId, offset: u32, width: Width) -> u64 {
        // SAFETY: inside a redistributor that `Gic::new` was promised.
        self.gic.frame(cpu, offset, width).map_or(0, |at| unsafe { load(at, width) })
    }

    #[inline(always)]
    fn gicr_write(&mut self, cpu: PcpuId, offset: u32, width: Width, value: u64) {
        if let Some(at) = self.gic.frame(cpu, offset, width) {
            // SAFETY: as for the read; policy never sets GICR_CTLR.EnableLPIs, so no write changes memory.
            unsafe { store(at, width, value) }
        }
    }
}

/// How far ICC_RPR_EL1 stands from the priorities that the distributor shows: with two security states (GICD_CTLR.DS is 0) the
/// distributor shows the Non-secure view, shifted left by one (IHI 0069H 4.8.6). So does ICC_RPR_EL1, but not where firmware
/// left SCR_EL3.FIQ at 0. That shows in ICC_PMR_EL1: the Non-secure view of its lowest bit that is not 0 reads as 0.
fn rpr_shift(gic: &Gic) -> u8 {
    const GICD_CTLR: u32 = 0;
    const DS: u64 = 1 << 6;
    // SAFETY: inside the distributor that `Gic::new` was promised.
    let ctlr = gic.distributor(GICD_CTLR, Width::Word).map_or(0, |at| unsafe { load(at, Width::Word) });
    if ctlr & DS != 0 {
        return 0;
    }
    // The probe lasts two instructions, with interrupts masked.
    let lowest = 0x80 >> (interface::priority_bits() - 1);
    let before = ICC_PMR_EL1::get();
    ICC_PMR_EL1::set(lowest);
    let raw = ICC_PMR_EL1::get() & 0xff == lowest;
    ICC_PMR_EL1::set(before);
    u8::from(raw)
}

/// An access to ICH_LR`n`_EL2. The number is part of the instruction, so there is one for each, and a jump to it.
macro_rules! list_register {
    ($access:literal, $n:expr, $($operand:tt)*) => {
        asm!(
            "adr {at}, 2f",
            "add {at}, {at}, {n}, lsl #3",
            "br {at}",
            "2:",
            ".irp half, 12, 13",
            ".irp op2, 0, 1, 2, 3, 4, 5, 6, 7",
            $access,
            "b 3f",
            ".endr",
            ".endr",
            "3:",
            at = out(reg) _,
            n = in(reg) $n & 15,
            value = $($operand)*,
            options(nomem, nostack, preserves_flags),
        )
    };
}

/// Most of the time only the first is in use.
#[inline(always)]
fn read_lr(n: usize) -> u64 {
    if n != 0 {
        return read_other_lr(n);
    }
    let value: u64;
    // SAFETY: the caller asks only for list registers that ICH_VTR_EL2 counts.
    unsafe { asm!("mrs {}, S3_4_C12_C12_0", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

#[inline(always)]
fn write_lr(n: usize, value: u64) {
    if n != 0 {
        return write_other_lr(n, value);
    }
    // SAFETY: as above; it changes what interrupts the guest sees, nothing of EL2's.
    unsafe { asm!("msr S3_4_C12_C12_0, {}", in(reg) value, options(nomem, nostack, preserves_flags)) };
}

#[inline(never)]
fn read_other_lr(n: usize) -> u64 {
    let value: u64;
    // SAFETY: as above; the jump goes to one of the sixteen.
    unsafe { list_register!("mrs {value}, S3_4_C12_C\\half\\()_\\op2", n, out(reg) value) };
    value
}

#[inline(never)]
fn write_other_lr(n: usize, value: u64) {
    // SAFETY: as above.
    unsafe { list_register!("msr S3_4_C12_C\\half\\()_\\op2, {value}", n, in(reg) value) };
}

impl VirtualInterface for Cpu<Gicv3> {
    #[inline(always)]
    fn lr_count(&self) -> usize {
        self.lr_count
    }

    #[inline(always)]
    fn empty_lrs(&self) -> u32 {
        ICH_ELRSR_EL2::get() as u32
    }

    #[inline(always)]
    fn lr(&self, n: usize) -> u64 {
        if n == 0 || n < self.lr_count { read_lr(n) } else { 0 }
    }

    #[inline(always)]
    fn set_lr(&mut self, n: usize, value: u64) {
        // There is always a first one.
        if n == 0 || n < self.lr_count {
            write_lr(n, value);
        }
    }

    fn ich_hcr(&self) -> u32 {
        ICH_HCR_EL2.get() as u32
    }

    fn set_ich_hcr(&mut self, value: u32) {
        ICH_HCR_EL2.set(u64::from(value));
    }

    fn ich_vmcr(&self) -> u32 {
        ICH_VMCR_EL2.get() as u32
    }

    fn set_ich_vmcr(&mut self, value: u32) {
        ICH_VMCR_EL2.set(u64::from(value));
    }

    fn reset_virtual_interface(&mut self) {
        for n in 0..self.lr_count {
            write_lr(n, 0);
        }
        reset_active_priorities();
        isb(SY);
    }
}

/// How many list registers this CPU has.
fn count_list_registers() -> usize {
    (ICH_VTR_EL2.get() & 0x1f) as usize + 1
}

/// ICH_AP0R`n`_EL2 and ICH_AP1R`n`_EL2; n above 0 exists with 6 and 7 bits of preemption (ICH_VTR_EL2.PREbits).
fn reset_active_priorities() {
    use aarch64_cpu::registers::{
        ICH_AP0R0_EL2, ICH_AP0R1_EL2, ICH_AP0R2_EL2, ICH_AP0R3_EL2, ICH_AP1R0_EL2, ICH_AP1R1_EL2,
        ICH_AP1R2_EL2, ICH_AP1R3_EL2,
    };
    let preemption_bits = (ICH_VTR_EL2.get() >> 26 & 7) + 1;
    ICH_AP0R0_EL2.set(0);
    ICH_AP1R0_EL2.set(0);
    if preemption_bits >= 6 {
        ICH_AP0R1_EL2.set(0);
        ICH_AP1R1_EL2.set(0);
    }
    if preemption_bits >= 7 {
        ICH_AP0R2_EL2.set(0);
        ICH_AP0R3_EL2.set(0);
        ICH_AP1R2_EL2.set(0);
        ICH_AP1R3_EL2.set(0);
    }
}
