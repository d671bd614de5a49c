//! The physical GICv3: memory-mapped frames, the CPU interface and the list registers.

use core::arch::asm;

use aarch64_cpu::asm;
use aarch64_cpu::asm::barrier::{ISHST, SY, dsb, isb};
use aarch64_cpu::registers::{ICH_HCR_EL2, ICH_VMCR_EL2, ICH_VTR_EL2, Readable, Writeable};
use bulkhead::addr::{Pa, Span};
use bulkhead::cpu::{PcpuId, SgiTarget};
use bulkhead::intid::Sgi;
use bulkhead::ports::{CommonReg, CpuInterface, GicRegisters, LentInterface, VirtualInterface, Width};

use crate::cpu::Cpu;
use crate::stop;
use crate::sysreg::*;

/// Bytes of a distributor's registers.
pub const GICD_SIZE: u64 = 0x1_0000;
/// Bytes of a redistributor's RD_base and SGI_base frames.
pub const GICR_SIZE: u64 = 0x2_0000;

/// Where the distributor and the redistributor of each CPU are. Only [`Gic::new`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct Gic {
    gicd: Pa,
    gicr: &'static [Pa],
}

impl Gic {
    /// # Safety
    /// The distributor's 64 KiB at `gicd` and 128 KiB at each of `gicr` (by [`PcpuId`]) are GIC registers, and mapped
    /// as device memory from now on.
    pub unsafe fn new(gicd: Span<Pa>, gicr: &'static [Pa]) -> Self {
        Self { gicd: gicd.start(), gicr }
    }

    // The frames were spans, so that no address in them wraps.
    #[inline(always)]
    fn frame(&self, cpu: PcpuId, offset: u32, width: Width) -> Option<Pa> {
        let inside = u64::from(offset) + width.bytes() <= GICR_SIZE;
        self.gicr.get(cpu.index()).filter(|_| inside).map(|base| Pa(base.0.wrapping_add(u64::from(offset))))
    }

    #[inline(always)]
    fn distributor(&self, offset: u32, width: Width) -> Option<Pa> {
        let inside = u64::from(offset) + width.bytes() <= GICD_SIZE;
        inside.then(|| Pa(self.gicd.0.wrapping_add(u64::from(offset))))
    }
}

/// GICR_TYPER, for the search of a CPU's redistributor.
///
/// # Safety
/// `frame` is a mapped redistributor.
pub unsafe fn redistributor_type(frame: Pa) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { load(Pa(frame.0 + 8), Width::Double) }
}

/// A device read by one plain load, so that its syndrome and width are what the GIC expects.
///
/// # Safety
/// `at` is mapped device memory that may be read with this width.
#[inline(always)]
pub unsafe fn load(at: Pa, width: Width) -> u64 {
    let value: u64;
    match width {
        // SAFETY: the caller's promise.
        Width::Byte => unsafe {
            asm!("ldrb {:w}, [{}]", out(reg) value, in(reg) at.0, options(nostack, preserves_flags))
        },
        // SAFETY: the caller's promise.
        Width::Half => unsafe {
            asm!("ldrh {:w}, [{}]", out(reg) value, in(reg) at.0, options(nostack, preserves_flags))
        },
        // SAFETY: the caller's promise.
        Width::Word => unsafe {
            asm!("ldr {:w}, [{}]", out(reg) value, in(reg) at.0, options(nostack, preserves_flags))
        },
        // SAFETY: the caller's promise.
        Width::Double => unsafe {
            asm!("ldr {}, [{}]", out(reg) value, in(reg) at.0, options(nostack, preserves_flags))
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

impl GicRegisters for Cpu {
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

/// Brings this CPU's interface up: system registers, Group 1 on, nothing masked, priority drop apart from
/// deactivation. EL1's own access goes to the virtual interface (HCR_EL2.IMO and FMO).
pub fn init_cpu_interface() {
    own_interface(priority_bits());
}

/// The interface as EL2 has it.
fn own_interface(priority_bits: u8) {
    /// ICC_CTLR_EL1.EOImode; CBPR and PMHE stay clear (IHI 0069H 12.2.6).
    const EOI_MODE: u64 = 1 << 1;
    reset_interface(priority_bits, 0xff, EOI_MODE, 1);
}

/// No priority active, preemption by every bit, and these.
fn reset_interface(priority_bits: u8, mask: u64, control: u64, enable: u64) {
    ICC_IGRPEN1_EL1::set(0);
    set_active_priorities(priority_bits, [0; 4]);
    ICC_PMR_EL1::set(mask);
    ICC_BPR1_EL1::set(0);
    ICC_CTLR_EL1::set(control);
    ICC_IGRPEN1_EL1::set(enable);
    isb(SY);
}

/// Bits of priority: there are ICC_AP1R1_EL1 from 6 on, ICC_AP1R2_EL1 and ICC_AP1R3_EL1 with 7 (IHI 0069H 12.2.3).
pub fn priority_bits() -> u8 {
    // ICC_CTLR_EL1.PRIbits is one less than there are.
    (ICC_CTLR_EL1::get() >> 8 & 7) as u8 + 1
}

/// ICC_AP1R`n`_EL1.
#[inline(always)]
fn active_priorities(bits: u8) -> [u64; 4] {
    let second = if bits >= 6 { ICC_AP1R1_EL1::get() } else { 0 };
    let (third, fourth) = if bits >= 7 { (ICC_AP1R2_EL1::get(), ICC_AP1R3_EL1::get()) } else { (0, 0) };
    [ICC_AP1R0_EL1::get(), second, third, fourth]
}

/// Writes them.
#[inline(always)]
fn set_active_priorities(bits: u8, [first, second, third, fourth]: [u64; 4]) {
    ICC_AP1R0_EL1::set(first);
    if bits >= 6 {
        ICC_AP1R1_EL1::set(second);
    }
    if bits >= 7 {
        ICC_AP1R2_EL1::set(third);
        ICC_AP1R3_EL1::set(fourth);
    }
}

/// How far ICC_RPR_EL1 stands from the priorities that the distributor shows: with two security states (GICD_CTLR.DS is 0) the
/// distributor shows the Non-secure view, shifted left by one (IHI 0069H 4.8.6). So does ICC_RPR_EL1, but not where firmware
/// left SCR_EL3.FIQ at 0. That shows in ICC_PMR_EL1: the Non-secure view of its lowest bit that is not 0 reads as 0.
pub fn rpr_shift(gic: &Gic) -> u8 {
    const GICD_CTLR: u32 = 0;
    const DS: u64 = 1 << 6;
    // SAFETY: inside the distributor that `Gic::new` was promised.
    let ctlr = gic.distributor(GICD_CTLR, Width::Word).map_or(0, |at| unsafe { load(at, Width::Word) });
    if ctlr & DS != 0 {
        return 0;
    }
    // ICC_CTLR_EL1.PRIbits is one less than there are. The probe lasts two instructions, with interrupts masked.
    let lowest = 0x80 >> (ICC_CTLR_EL1::get() >> 8 & 7);
    let before = ICC_PMR_EL1::get();
    ICC_PMR_EL1::set(lowest);
    let raw = ICC_PMR_EL1::get() & 0xff == lowest;
    ICC_PMR_EL1::set(before);
    u8::from(raw)
}

/// Interrupts every other CPU by all SGIs that may be enabled there.
pub fn call_all() {
    /// ICC_SGI1R_EL1.IRM: all but this one.
    const ALL_OTHERS: u64 = 1 << 40;
    dsb(ISHST);
    for sgi in 0..16 {
        ICC_SGI1R_EL1::set(ALL_OTHERS | sgi << 24);
    }
    isb(SY);
}

impl CpuInterface for Cpu {
    #[inline(always)]
    fn acknowledge(&mut self) -> u32 {
        let intid = ICC_IAR1_EL1::get() as u32;
        // The read's effects are seen by what follows only behind a DSB (IHI 0069H 4.4.3).
        dsb(SY);
        intid
    }

    #[inline(always)]
    fn running_priority(&self) -> u8 {
        ICC_RPR_EL1::get().wrapping_shl(u32::from(self.rpr_shift)) as u8
    }

    #[inline(always)]
    fn drop_priority(&mut self, intid: u32) {
        ICC_EOIR1_EL1::set(u64::from(intid));
        // Each EOI is ordered before the next acknowledge (IHI 0069H 4.1.1).
        isb(SY);
    }

    #[inline(always)]
    fn deactivate(&mut self, intid: u32) {
        // Whoever stops the machine sends SGIs, and every one that is taken comes here.
        if intid < 16 {
            stop::halt_if_stopped();
        }
        ICC_DIR_EL1::set(u64::from(intid));
        isb(SY);
    }

    #[inline(always)]
    fn end(&mut self, intid: u32) {
        if intid < 16 {
            stop::halt_if_stopped();
        }
        ICC_EOIR1_EL1::set(u64::from(intid));
        ICC_DIR_EL1::set(u64::from(intid));
        isb(SY);
    }

    #[inline(always)]
    fn send_sgi(&mut self, sgi: Sgi, to: SgiTarget) {
        // What was stored for the target must be visible before the interrupt is (Arm ARM B2.3.10).
        dsb(ISHST);
        ICC_SGI1R_EL1::set(to.get() | u64::from(sgi.intid()) << 24);
        isb(SY);
    }

    fn send_event(&self) {
        dsb(ISHST);
        asm::sev();
    }
}

/// ICC_PMR_EL1 that lets EL2's kick through, which has priority 0, and no interrupt of a guest that has the interface, the highest of
/// which has 0x20 (`bulkhead::vgic`).
const MASK_ALL_BUT_KICK: u64 = 0x20;

impl LentInterface for Cpu {
    fn lend(&mut self) {
        reset_interface(self.priority_bits, 0, 0, 0);
    }

    fn take_back(&mut self) {
        own_interface(self.priority_bits);
    }

    fn common(&self, reg: CommonReg) -> u64 {
        match reg {
            CommonReg::Ctlr => ICC_CTLR_EL1::get(),
            CommonReg::Pmr => ICC_PMR_EL1::get(),
            CommonReg::Rpr => u64::from(self.running_priority()),
        }
    }

    fn set_common(&mut self, reg: CommonReg, value: u64) {
        match reg {
            CommonReg::Ctlr => ICC_CTLR_EL1::set(value),
            CommonReg::Pmr => ICC_PMR_EL1::set(value),
            CommonReg::Rpr => {}
        }
        isb(SY);
    }

    fn wait_for_guest(&mut self) {
        let (mask, enable) = (ICC_PMR_EL1::get(), ICC_IGRPEN1_EL1::get());
        let active = active_priorities(self.priority_bits);
        // Where the priorities are not shifted for us, those of Non-secure interrupts are the upper half.
        let open = if self.rpr_shift == 0 { MASK_ALL_BUT_KICK } else { 0x80 | MASK_ALL_BUT_KICK >> 1 };
        set_active_priorities(self.priority_bits, [0; 4]);
        ICC_PMR_EL1::set(mask.max(open));
        ICC_IGRPEN1_EL1::set(1);
        isb(SY);
        dsb(SY);
        asm::wfi();
        stop::halt_if_stopped();
        ICC_IGRPEN1_EL1::set(enable);
        ICC_PMR_EL1::set(mask);
        set_active_priorities(self.priority_bits, active);
        isb(SY);
    }
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

impl VirtualInterface for Cpu {
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
pub fn count_list_registers() -> usize {
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
