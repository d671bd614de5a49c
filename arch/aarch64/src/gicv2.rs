//! The physical GICv2 (IHI 0048B): all of it is memory. A CPU's own part of it, its interface (GICC) and its list registers (GICH),
//! lies at the same address for every CPU.

use core::sync::atomic::{AtomicU64, Ordering};

use aarch64_cpu::asm;
use aarch64_cpu::asm::barrier::{ISHST, SY, dsb};
use bulkhead::addr::{Pa, Span};
use bulkhead::cpu::{PcpuId, SgiTarget};
use bulkhead::hardware;
use bulkhead::intid::Sgi;
use bulkhead::paging::{MapError, Window};
use bulkhead::ports::{
    CommonReg, CpuInterface, Gic, GicRegisters, GicVersion, LentInterface, VirtualInterface, Width,
};

use crate::gic::{load, store};
use crate::mmu::{self, Space};
use crate::stop;

/// Bytes of the distributor that hold registers.
const GICD_SIZE: u32 = 0x1000;
/// What a redistributor has before the registers that a GICv2 has banked in its distributor.
const SGI_BASE: u32 = 0x1_0000;
const GICD_CTLR: u32 = 0x000;
const GICD_IIDR: u32 = 0x008;
/// GICD_IIDR of QEMU's GICv2 (10.0.2), which looks at virtual interrupts alone when a guest deactivates one that is physical too: it
/// does not come again if its line is still up. Only the Cortex-A15, which is no AArch64 CPU, has the same number (a GIC-400 is
/// `0x200143b`), and whoever is taken for it has an exit more for each interrupt.
const IIDR_QEMU: u64 = 0x43b;
const GICD_SGIR: u32 = 0xf00;

/// Registers of the CPU interface (4.1.3).
#[derive(Clone, Copy)]
enum Gicc {
    Ctlr = 0x00,
    Pmr = 0x04,
    Bpr = 0x08,
    Iar = 0x0c,
    Eoir = 0x10,
    Rpr = 0x14,
    Apr = 0xd0,
    Nsapr = 0xe0,
    Dir = 0x1000,
}

/// Registers of the virtual interface control (5.3).
#[derive(Clone, Copy)]
enum Gich {
    Hcr = 0x00,
    Vtr = 0x04,
    Vmcr = 0x08,
    Elrsr = 0x30,
    Apr = 0xf0,
    Lr = 0x100,
}

/// GICC_CTLR: the group that bit 0 enables (`bulkhead::vgic::physical`).
const ENABLE: u32 = 1 << 0;
/// GICC_CTLR.EOImode, EOImodeNS as the Non-secure side sees it.
const EOI_MODE: u32 = 1 << 9;
/// GICC_CTLR: whether signals bypass an interface that is off. Firmware knows.
const BYPASS: u32 = 0xf << 5;
/// GICC_PMR that lets EL2's kick through, which has priority 0, and no interrupt of a guest that has the interface
/// (`bulkhead::vgic`). Priorities in GICC and GICD are on one scale, whichever Security state looks.
const MASK_ALL_BUT_KICK: u32 = 0x20;
/// GICC_PMR behind which no interrupt of any guest passes, while no vCPU is on: theirs begin at 0x10.
const MASK_ALL_GUESTS: u32 = 0x10;
/// GICC_PMR that lets all through.
const MASK_NOTHING: u32 = 0xff;
/// Marks an SGI that comes with its sender.
const SENT: u32 = 1 << 31;
/// GICC_IAR: INTID and CPUID.
const IAR: u32 = 0x1fff;
/// The most list registers that policy uses.
const MAX_LRS: usize = 16;

/// The distributor, for the last words of a CPU that knows nothing else; 0 where there is none.
static GICD: AtomicU64 = AtomicU64::new(0);

/// Where the frames are, and whose CPU's this is. Only [`map`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct Gicv2 {
    gicd: Pa,
    gicc: Pa,
    gich: Option<Pa>,
    me: PcpuId,
    lr_count: usize,
    /// [`VirtualInterface::forgets_lines`].
    forgets_lines: bool,
}

/// Maps the frames; `None` if the board has another GIC.
///
/// # Errors
/// One cannot be mapped.
pub fn map(space: &mut Space, gic: &hardware::Gic) -> Result<Option<Gicv2>, MapError> {
    let Some((gicc, gich)) = gic.own_interface() else { return Ok(None) };
    for span in [Some(gic.gicd), Some(gicc), gich].into_iter().flatten() {
        let pages = Span::new(span.start(), span.size().min(2 * u64::from(GICD_SIZE)));
        if let Some(pages) = pages {
            mmu::map(space, pages, Window::Device)?;
        }
    }
    let gicd = Pa(gic.gicd.start().0 + u64::from(GICD_IIDR));
    // SAFETY: inside the distributor, which was mapped above; reading changes nothing.
    let implementer = unsafe { load(gicd, Width::Word) };
    GICD.store(gic.gicd.start().0, Ordering::Relaxed);
    let gich = gich.map(|gich| gich.start());
    Ok(Some(Gicv2 {
        gicd: gic.gicd.start(),
        gicc: gicc.start(),
        gich,
        me: PcpuId(0),
        lr_count: 0,
        forgets_lines: implementer == IIDR_QEMU,
    }))
}

/// Interrupts every other CPU by all SGIs that may be enabled there; whether there is a GICv2.
pub fn call_all() -> bool {
    /// GICD_SGIR.TargetListFilter: all but this one.
    const ALL_OTHERS: u64 = 1 << 24;
    let gicd = GICD.load(Ordering::Relaxed);
    if gicd == 0 {
        return false;
    }
    dsb(ISHST);
    for sgi in 0..16 {
        // SAFETY: `map` has mapped it, and it stays so. An SGI changes no memory.
        unsafe { store(Pa(gicd + u64::from(GICD_SGIR)), Width::Word, ALL_OTHERS | sgi) }
    }
    true
}

/// The `n`th word from an offset. Nothing wraps: the registers lie in pages that [`map`] has mapped.
#[inline(always)]
fn word(base: Pa, offset: u64, n: u64) -> Pa {
    Pa(base.0.wrapping_add(offset).wrapping_add(n.wrapping_mul(4)))
}

impl Gicv2 {
    fn gicc(&self, register: Gicc, n: u32) -> u32 {
        let at = word(self.gicc, register as u64, u64::from(n));
        // SAFETY: inside the interface's two pages, which `map` mapped. What reading changes (GICC_IAR) is the caller's intent.
        unsafe { load(at, Width::Word) as u32 }
    }

    fn set_gicc(&self, register: Gicc, n: u32, value: u32) {
        let at = word(self.gicc, register as u64, u64::from(n));
        // SAFETY: as for the read; it changes which interrupts this CPU takes, and no memory.
        unsafe { store(at, Width::Word, u64::from(value)) }
    }

    fn gich(&self, register: Gich, n: usize) -> u32 {
        let Some(gich) = self.gich else { return 0 };
        let at = word(gich, register as u64, n as u64 & 63);
        // SAFETY: inside the page that `map` mapped; reading changes nothing there.
        unsafe { load(at, Width::Word) as u32 }
    }

    fn set_gich(&self, register: Gich, n: usize, value: u32) {
        let Some(gich) = self.gich else { return };
        let at = word(gich, register as u64, n as u64 & 63);
        // SAFETY: as for the read; it changes what interrupts the guest sees, and no memory.
        unsafe { store(at, Width::Word, u64::from(value)) }
    }

    /// Where a register of the distributor is.
    fn distributor(&self, offset: u32, width: Width) -> Option<Pa> {
        let inside = u64::from(offset).wrapping_add(width.bytes()) <= u64::from(GICD_SIZE);
        inside.then(|| word(self.gicd, u64::from(offset), 0))
    }

    /// Where one is that would be a redistributor's: this CPU's are banked, those of others cannot be reached.
    fn banked(&self, cpu: PcpuId, offset: u32, width: Width) -> Option<Pa> {
        let offset = offset.checked_sub(SGI_BASE).filter(|_| cpu == self.me)?;
        self.distributor(offset, width)
    }

    /// No priority active, preemption by every bit, and these.
    fn reset(&self, mask: u32, control: u32) {
        let bypass = self.gicc(Gicc::Ctlr, 0) & BYPASS;
        self.set_gicc(Gicc::Ctlr, 0, bypass);
        self.set_active_priorities([[0; 4]; 2]);
        self.set_gicc(Gicc::Pmr, 0, mask);
        self.set_gicc(Gicc::Bpr, 0, 0);
        self.set_gicc(Gicc::Ctlr, 0, bypass | control);
        dsb(SY);
    }

    /// GICC_APR`n` and GICC_NSAPR`n`; those that an interface has not read as zero and ignore writes.
    fn active_priorities(&self) -> [[u32; 4]; 2] {
        [Gicc::Apr, Gicc::Nsapr].map(|register| [0, 1, 2, 3].map(|n| self.gicc(register, n)))
    }

    fn set_active_priorities(&self, values: [[u32; 4]; 2]) {
        for (register, values) in [Gicc::Apr, Gicc::Nsapr].into_iter().zip(values) {
            (0..).zip(values).for_each(|(n, value)| self.set_gicc(register, n, value));
        }
    }

    /// As this CPU has it, which is the one that runs.
    pub fn of(self, me: PcpuId) -> Self {
        let lr_count = if self.gich.is_some() { (self.gich(Gich::Vtr, 0) & 0x3f) as usize + 1 } else { 0 };
        Self { me, lr_count: lr_count.min(MAX_LRS), ..self }
    }

    /// Brings this CPU's interface up: nothing masked, priority drop apart from deactivation.
    pub fn init(&self) {
        self.reset(MASK_NOTHING, ENABLE | EOI_MODE);
    }
}

impl Gic for Gicv2 {
    type Plain = Self;
    fn version(&self) -> GicVersion {
        GicVersion::V2
    }
    fn plain(&mut self) -> &mut Self {
        self
    }
}

impl GicRegisters for Gicv2 {
    fn gicd_read(&self, offset: u32, width: Width) -> u64 {
        // SAFETY: inside the distributor, which `map` mapped.
        self.distributor(offset, width).map_or(0, |at| unsafe { load(at, width) })
    }

    fn gicd_write(&mut self, offset: u32, width: Width, value: u64) {
        if let Some(at) = self.distributor(offset, width) {
            // SAFETY: as for the read. A GICv2 is no DMA master: no write changes memory.
            unsafe { store(at, width, value) }
        }
    }

    fn gicr_read(&self, cpu: PcpuId, offset: u32, width: Width) -> u64 {
        // SAFETY: inside the distributor, which `map` mapped.
        self.banked(cpu, offset, width).map_or(0, |at| unsafe { load(at, width) })
    }

    fn gicr_write(&mut self, cpu: PcpuId, offset: u32, width: Width, value: u64) {
        if let Some(at) = self.banked(cpu, offset, width) {
            // SAFETY: as for the read; no write changes memory.
            unsafe { store(at, width, value) }
        }
    }
}

impl CpuInterface for Gicv2 {
    fn acknowledge(&mut self) -> u32 {
        let iar = self.gicc(Gicc::Iar, 0) & IAR;
        // What an SGI's sender stored before it is read after the acknowledge (Arm ARM B2.3.10; Device and Normal accesses are
        // otherwise not ordered).
        dsb(SY);
        let intid = iar & 0x3ff;
        if intid < 16 { iar | SENT } else { intid }
    }

    fn running_priority(&self) -> u8 {
        self.gicc(Gicc::Rpr, 0) as u8
    }

    fn drop_priority(&mut self, intid: u32) {
        self.set_gicc(Gicc::Eoir, 0, intid & IAR);
    }

    fn deactivate(&mut self, intid: u32) {
        // Whoever stops the machine sends SGIs, and every one that is taken comes here.
        if intid & 0x3ff < 16 {
            stop::halt_if_stopped();
        }
        // What silenced the device has reached it, or a level would come again at once: two devices' registers are not ordered.
        dsb(SY);
        self.set_gicc(Gicc::Dir, 0, intid & IAR);
    }

    fn send_sgi(&mut self, sgi: Sgi, to: SgiTarget) {
        // What was stored for the target must be visible before the interrupt is (Arm ARM B2.3.10).
        dsb(ISHST);
        self.gicd_write(GICD_SGIR, Width::Word, to.get() | u64::from(sgi.intid()));
        // A read comes after the write before it has arrived: the accesses are to one device (Arm ARM B2.7.2.2, nR).
        self.gicd_read(GICD_CTLR, Width::Word);
        dsb(SY);
    }

    fn send_event(&self) {
        dsb(ISHST);
        asm::sev();
    }

    fn admit_guests(&mut self, admit: bool) {
        self.set_gicc(Gicc::Pmr, 0, if admit { MASK_NOTHING } else { MASK_ALL_GUESTS });
        dsb(SY);
    }
}

impl LentInterface for Gicv2 {
    fn lend(&mut self) {
        self.reset(0, 0);
    }

    fn take_back(&mut self) {
        Gicv2::init(self);
    }

    /// No access to a GICv2's interface comes this way: a guest that has it has all of it.
    fn common(&self, _: CommonReg) -> u64 {
        0
    }

    /// As [`LentInterface::common`].
    fn set_common(&mut self, _: CommonReg, _: u64) {}

    fn wait_for_guest(&mut self) {
        let gic = *self;
        let (mask, control) = (gic.gicc(Gicc::Pmr, 0), gic.gicc(Gicc::Ctlr, 0));
        let active = gic.active_priorities();
        gic.set_active_priorities([[0; 4]; 2]);
        gic.set_gicc(Gicc::Pmr, 0, mask.max(MASK_ALL_BUT_KICK));
        gic.set_gicc(Gicc::Ctlr, 0, control | ENABLE);
        dsb(SY);
        asm::wfi();
        stop::halt_if_stopped();
        gic.set_gicc(Gicc::Ctlr, 0, control);
        gic.set_gicc(Gicc::Pmr, 0, mask);
        gic.set_active_priorities(active);
        dsb(SY);
    }
}

/// A list register in the layout of this GIC (5.3.8), and in policy's: state, HW and INTID are as they are; the physical INTID, whose
/// place EOI and CPUID share, moves by 22 bits, the priority by 25 (it has 5 of its 8). All a guest has is Group 0, the only one
/// where there is one Security state.
fn narrow(lr: u64) -> u32 {
    let (vintid, pintid) = (lr as u32 & 0x3ff, (lr >> 32) as u32 & 0x3ff);
    let (priority, hw, state) = ((lr >> 51) as u32 & 0x1f, (lr >> 61) as u32 & 1, (lr >> 62) as u32);
    vintid | pintid << 10 | priority << 23 | state << 28 | hw << 31
}

/// The way back.
fn wide(lr: u32) -> u64 {
    const GROUP_1: u64 = 1 << 60;
    let lr = u64::from(lr);
    let (vintid, pintid, priority) = (lr & 0x3ff, lr >> 10 & 0x3ff, lr >> 23 & 0x1f);
    let (state, hw) = (lr >> 28 & 3, lr >> 31);
    vintid | pintid << 32 | priority << 51 | GROUP_1 | hw << 61 | state << 62
}

impl VirtualInterface for Gicv2 {
    fn lr_count(&self) -> usize {
        self.lr_count
    }

    fn forgets_lines(&self) -> bool {
        self.forgets_lines
    }

    fn empty_lrs(&self) -> u32 {
        self.gich(Gich::Elrsr, 0)
    }

    fn lr(&self, n: usize) -> u64 {
        if n < self.lr_count { wide(self.gich(Gich::Lr, n)) } else { 0 }
    }

    fn set_lr(&mut self, n: usize, value: u64) {
        if n < self.lr_count {
            self.set_gich(Gich::Lr, n, narrow(value));
        }
    }

    fn ich_hcr(&self) -> u32 {
        self.gich(Gich::Hcr, 0)
    }

    fn set_ich_hcr(&mut self, value: u32) {
        // En, UIE, LRENPIE, NPIE: what both architectures have at one place, and this one traps nothing.
        self.set_gich(Gich::Hcr, 0, value & 0xf);
        // The guest is not entered before it holds.
        dsb(SY);
    }

    fn ich_vmcr(&self) -> u32 {
        self.gich(Gich::Vmcr, 0)
    }

    fn set_ich_vmcr(&mut self, value: u32) {
        self.set_gich(Gich::Vmcr, 0, value);
    }

    fn reset_virtual_interface(&mut self) {
        for n in 0..self.lr_count {
            self.set_gich(Gich::Lr, n, 0);
        }
        self.set_gich(Gich::Apr, 0, 0);
        dsb(SY);
    }
}
