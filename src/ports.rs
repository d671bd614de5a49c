//! What policy asks of hardware. `arch/aarch64` answers on a machine, `fake` in the host tests.
//!
//! Each port is narrow; a function asks for the one it needs. [`Machine`] is what one CPU has of all of them.

use crate::addr::{Ipa, Pa, Span};
use crate::cpu::{PcpuId, SgiTarget};
use crate::intid::Sgi;
use crate::vcpu::{Frame, VcpuReset};

/// Why a guest left its CPU: the vector it arrived by (Arm ARM D1.3.1.2, lower EL).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// A synchronous exception; ESR_EL2 says which.
    Sync,
    /// A physical IRQ.
    Irq,
    /// A physical FIQ.
    Fiq,
    /// A physical SError.
    SError,
}

/// The way into the guest and back.
pub trait World {
    /// Runs the guest until it leaves; the frame holds its state on both sides.
    fn enter(&mut self, frame: &mut Frame) -> Exit;
    /// Where the guest was at its last exit, and goes on (ELR_EL2). It is kept in its register while the guest is out: nothing that
    /// EL2 does then takes an exception to EL2, but [`El1::reset_vcpu`], behind which it is 0, and [`El1::start_vcpu`], behind
    /// which it is anything.
    fn pc(&self) -> u64;
    /// Sets where the guest goes on.
    fn set_pc(&mut self, pc: u64);
    /// The guest's PSTATE (SPSR_EL2), kept as [`World::pc`] is.
    fn pstate(&self) -> u64;
    /// Sets the guest's PSTATE.
    fn set_pstate(&mut self, pstate: u64);
    /// ESR_EL2 of the last exit.
    fn esr(&self) -> u64;
    /// FAR_EL2 of the last exit.
    fn far(&self) -> u64;
    /// HPFAR_EL2 of the last exit.
    fn hpfar(&self) -> u64;
    /// Does not come back once EL2 has stopped everything: for CPUs that take no interrupt of EL2's, which fault then instead.
    fn halt_if_stopped(&self);
    /// Whether the stage 2 fault of the last exit is no such thing: this CPU has
    /// [`crate::errata::Errata::false_stage2_fault`], and stage 1 alone faults at FAR_EL2.
    fn is_false_report(&self) -> bool;
}

/// EL1 registers that exceptions are made of (Arm ARM D1.3), and those that say where the guest's stage 1 begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum El1Reg {
    /// ELR_EL1.
    Elr,
    /// ESR_EL1.
    Esr,
    /// FAR_EL1.
    Far,
    /// SCTLR_EL1.
    Sctlr,
    /// SPSR_EL1.
    Spsr,
    /// TCR_EL1.
    Tcr,
    /// TTBR0_EL1.
    Ttbr0,
    /// TTBR1_EL1.
    Ttbr1,
    /// VBAR_EL1.
    Vbar,
}

/// The guest's EL1 state on this CPU.
pub trait El1 {
    /// Reads a register.
    fn el1(&self, reg: El1Reg) -> u64;
    /// Writes a register.
    fn set_el1(&mut self, reg: El1Reg, value: u64);
    /// Makes a virtual SError pending (HCR_EL2.VSE): the guest takes it once it unmasks SErrors, and no syndrome with it.
    fn raise_virtual_serror(&mut self);
    /// Brings the CPU into the state in which a vCPU starts: every EL1 and EL0 register at its architectural
    /// reset value or 0, EL2's controls for this cell, timers off, TLB and instruction cache clean.
    fn reset_vcpu(&mut self, reset: &VcpuReset);
    /// What is left to do where the CPU is in that state, and only EL2 has run since: CNTVOFF_EL2; TLB and instruction cache, which
    /// may have been filled, and SErrors that may have come.
    fn start_vcpu(&mut self, cntvoff: u64);
    /// The value that the CPU itself gives an ID register (`S3_0_C0_CRm_op2`), unfiltered.
    fn id_register(&self, crm: u8, op2: u8) -> u64;
}

/// This CPU's physical GIC CPU interface (IHI 0069H 12.2; IHI 0048B 4.4), Group 1, EOImode 1.
pub trait CpuInterface: Gic {
    /// Acknowledges (ICC_IAR1_EL1): an INTID; 1020 to 1023 when there is none. An SGI of a GICv2 comes with its sender, and bit 31
    /// set: GICC_IAR's bits 0 to 12, which [`CpuInterface::drop_priority`] and [`CpuInterface::deactivate`] want back.
    fn acknowledge(&mut self) -> u32;
    /// The priority that is running (ICC_RPR_EL1): after an acknowledge, that interrupt's own.
    fn running_priority(&self) -> u8;
    /// Drops the running priority (ICC_EOIR1_EL1).
    fn drop_priority(&mut self, intid: u32);
    /// Deactivates (ICC_DIR_EL1).
    fn deactivate(&mut self, intid: u32);
    /// Both at once.
    fn end(&mut self, intid: u32) {
        self.drop_priority(intid);
        self.deactivate(intid);
    }
    /// Sends a Group 1 SGI to one CPU. What was stored before is visible to that CPU when it takes it. A GICv2 has it when this
    /// returns.
    fn send_sgi(&mut self, sgi: Sgi, to: SgiTarget);
    /// Sends an event to every CPU, which ends WFE (SEV).
    fn send_event(&self);
    /// Whether guests' interrupts are signalled to this CPU of a GICv2, or EL2's own alone: one that goes to several CPUs must not
    /// be taken where no vCPU is on.
    #[inline(always)]
    fn admit_guests(&mut self, _admit: bool) {}
}

/// A register of the CPU interface that is common to both groups, which a guest that has the physical interface reaches by way
/// of EL2 (ICH_HCR_EL2.TC).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommonReg {
    /// ICC_CTLR_EL1.
    Ctlr,
    /// ICC_PMR_EL1.
    Pmr,
    /// ICC_RPR_EL1, on the scale of the distributor's priorities.
    Rpr,
}

/// This CPU's physical CPU interface while a guest has it: HCR_EL2.IMO is 0, Group 1 is the guest's.
pub trait LentInterface {
    /// Brings it to its architectural reset state, for a guest: nothing enabled, nothing active, all masked, EOImode 0.
    fn lend(&mut self);
    /// Brings it back to what [`CpuInterface`] expects, whatever the guest has made of it.
    fn take_back(&mut self);
    /// Reads one of its common registers.
    fn common(&self, reg: CommonReg) -> u64;
    /// Writes one; ICC_RPR_EL1 is read only.
    fn set_common(&mut self, reg: CommonReg, value: u64);
    /// Waits in the guest's place (WFI) until an interrupt is pending that the guest could have, or EL2's kick: what the guest
    /// holds against interrupts is set aside meanwhile, and there again when this returns. It may return early.
    fn wait_for_guest(&mut self);
}

/// This CPU's list registers and their controls (IHI 0069H 12.4, the ICH registers).
pub trait VirtualInterface {
    /// How many list registers there are, 1 to 16 (ICH_VTR_EL2.ListRegs + 1).
    fn lr_count(&self) -> usize;
    /// Whether an interrupt that is pending again when the guest deactivates it in a list register with HW=1 may stay unnoticed.
    fn forgets_lines(&self) -> bool {
        false
    }
    /// A bit for each list register that is empty (ICH_ELRSR_EL2).
    fn empty_lrs(&self) -> u32;
    /// ICH_LR`n`_EL2, in the GICv3 layout. With HW=0 the lowest bits of pINTID are a GICv2's CPUID.
    fn lr(&self, n: usize) -> u64;
    /// Writes ICH_LR`n`_EL2.
    fn set_lr(&mut self, n: usize, value: u64);
    /// ICH_HCR_EL2.
    fn ich_hcr(&self) -> u32;
    /// Writes ICH_HCR_EL2.
    fn set_ich_hcr(&mut self, value: u32);
    /// ICH_VMCR_EL2.
    fn ich_vmcr(&self) -> u32;
    /// Writes ICH_VMCR_EL2.
    fn set_ich_vmcr(&mut self, value: u32);
    /// Zeroes the active priorities (ICH_AP0R and ICH_AP1R) and all list registers.
    fn reset_virtual_interface(&mut self);
}

/// How wide an access is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// 1 byte.
    Byte,
    /// 2 bytes.
    Half,
    /// 4 bytes.
    Word,
    /// 8 bytes.
    Double,
}

impl Width {
    /// In bytes.
    pub fn bytes(self) -> u64 {
        1 << self as u32
    }

    /// The bits that an access of this width carries.
    pub fn mask(self) -> u64 {
        // 56, 48, 32 or 0; a table of masks would cost a load on the way of every trapped access.
        u64::MAX.wrapping_shr(64u32.wrapping_sub(8 << self as u32))
    }
}

/// The architecture of a machine's GIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GicVersion {
    /// GICv2 (IHI 0048B): a CPU's own registers are banked in the distributor, its interface is memory.
    V2,
    /// GICv3 and GICv4 (IHI 0069H): redistributors, and an interface of System registers.
    V3,
}

/// Which GIC a machine has.
pub trait Gic {
    /// The CPU where nothing is known of its GIC beforehand.
    type Plain: CpuInterface + LentInterface + VirtualInterface + GicRegisters;
    /// Its architecture. Where it is known beforehand, what follows from another one is not compiled.
    fn version(&self) -> GicVersion;
    /// The same CPU. What is done seldom is done by way of this, so that it is compiled once for all GICs; it asks at each access
    /// which one there is.
    fn plain(&mut self) -> &mut Self::Plain;
}

/// The physical distributor and redistributors. Offsets are the caller's to keep inside the frames
/// (GICD 64 KiB; a redistributor's RD_base and SGI_base frames, 128 KiB); others read 0 and write nothing.
///
/// A GICv2 has no redistributors: what would be in the SGI_base frame of this CPU's is the banked part of the distributor, at the
/// same offsets, and that of any other CPU is out of reach.
pub trait GicRegisters: Gic {
    /// Reads the distributor.
    fn gicd_read(&self, offset: u32, width: Width) -> u64;
    /// Writes the distributor.
    fn gicd_write(&mut self, offset: u32, width: Width, value: u64);
    /// Reads the redistributor of a CPU.
    fn gicr_read(&self, cpu: PcpuId, offset: u32, width: Width) -> u64;
    /// Writes the redistributor of a CPU.
    fn gicr_write(&mut self, cpu: PcpuId, offset: u32, width: Width, value: u64);
}

/// EL2 has no memory left for the tables of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoWindow;

/// Physical memory outside EL2's own map: windows are opened for the time of a call and closed again. Nothing was done where one
/// cannot be opened.
pub trait Memory {
    /// Copies `size` bytes; the spans are RAM and do not overlap.
    ///
    /// # Errors
    /// [`NoWindow`].
    fn copy(&mut self, to: Pa, from: Pa, size: u64) -> Result<(), NoWindow>;
    /// Writes bytes.
    ///
    /// # Errors
    /// [`NoWindow`].
    fn write(&mut self, to: Pa, bytes: &[u8]) -> Result<(), NoWindow>;
    /// Reads 8 bytes, aligned, of memory that a guest may write meanwhile.
    ///
    /// # Errors
    /// [`NoWindow`].
    fn read(&mut self, from: Pa) -> Result<u64, NoWindow>;
    /// Zeroes.
    ///
    /// # Errors
    /// [`NoWindow`].
    fn zero(&mut self, span: Span<Pa>) -> Result<(), NoWindow>;
    /// Cleans and invalidates to the point of coherency, so that a guest with caches off sees what was written;
    /// with `instructions`, instruction caches of all CPUs are invalidated too.
    ///
    /// # Errors
    /// [`NoWindow`].
    fn clean_invalidate(&mut self, span: Span<Pa>, instructions: bool) -> Result<(), NoWindow>;
}

/// The registers of a device, while they are open. Offsets beyond them read all ones and write nothing.
pub trait Registers {
    /// Reads.
    fn read(&self, offset: u64, width: Width) -> u64;
    /// Writes. Accesses to one device arrive in the order in which they are made.
    fn write(&self, offset: u64, width: Width, value: u64);
}

/// Devices of cells, which EL2 reaches only while no guest does.
pub trait Devices {
    /// Opens registers for the time of `work`, whose accesses are complete when this returns.
    ///
    /// # Errors
    /// [`NoWindow`]: `work` did not run.
    fn open(&self, span: Span<Pa>, work: &mut dyn FnMut(&dyn Registers)) -> Result<(), NoWindow>;
}

/// TLB upkeep for one cell's stage 2 (Arm ARM D8.17). All calls reach every CPU of the inner shareable domain
/// and are complete when they return. `vttbr` says whose entries are meant; it is loaded for the time of the call.
pub trait TlbMaint {
    /// Forgets what was cached for one page of IPA, stage 1 results included.
    fn invalidate_ipa(&self, vttbr: u64, ipa: Ipa);
    /// Forgets all that was cached for the VMID in this VTTBR_EL2 value.
    fn invalidate_vmid(&self, vttbr: u64);
}

/// Firmware, by PSCI and SMCCC.
pub trait Firmware {
    /// An SMC with these arguments; x0 to x3 come back (SMCCC 1.2, DEN0028E). Only calls that `smccc` allows.
    fn smc(&mut self, args: [u64; 4]) -> [u64; 4];
    /// The same with more arguments: a call that the description lets a cell make.
    fn forward(&mut self, args: [u64; 8]) -> [u64; 4] {
        let [x0, x1, x2, x3, ..] = args;
        self.smc([x0, x1, x2, x3])
    }
    /// Switches the machine off; comes back only if firmware refuses.
    fn power_off(&mut self);
}

/// The UART that the hypervisor's console is on. Whatever it does, it does at once.
pub trait Serial: Send {
    /// Sends bytes, as many as there is room for; how many.
    fn put(&mut self, bytes: &[u8]) -> usize;
    /// Takes received bytes, and clears the interrupt that they raised; how many.
    fn take(&mut self, into: &mut [u8]) -> usize;
    /// Whether to interrupt once there is room behind bytes that were put.
    fn call_for_more(&mut self, on: bool);
}

/// Time and waiting.
pub trait Timer {
    /// The physical counter (CNTPCT_EL0).
    fn counter(&self) -> u64;
    /// Ticks a second (CNTFRQ_EL0).
    fn frequency(&self) -> u64;
    /// Sets EL2's own timer of this CPU to this count, or stops it (CNTHP_CVAL_EL2).
    fn set_alarm(&mut self, at: Option<u64>);
    /// Sleeps until an interrupt is pending at this CPU.
    fn wait_for_interrupt(&mut self);
    /// A hint that this CPU polls.
    fn relax(&self);
}

/// Random bits for a guest's `rng-seed` and `kaslr-seed`: stretched from the board tree's own seed and the counter, with
/// FEAT_RNG mixed in where the CPU has it.
pub trait Entropy {
    /// 64 fresh bits.
    fn random(&mut self) -> u64;
}

/// What it takes to stop another CPU: its inbox's kick, and where it does not take EL2's interrupts, its cell's stage 2.
pub trait Recall: CpuInterface + GicRegisters + TlbMaint {}
impl<T: CpuInterface + GicRegisters + TlbMaint> Recall for T {}

/// Everything that one CPU has.
pub trait Machine:
    World
    + El1
    + CpuInterface
    + LentInterface
    + VirtualInterface
    + GicRegisters
    + Memory
    + Devices
    + TlbMaint
    + Firmware
    + Timer
    + Entropy
{
}

impl<T> Machine for T where
    T: World
        + El1
        + CpuInterface
        + LentInterface
        + VirtualInterface
        + GicRegisters
        + Memory
        + Devices
        + TlbMaint
        + Firmware
        + Timer
        + Entropy
{
}

/// The same for the ways that each exit takes, which are compiled for a GIC that is known beforehand. What is off these ways wants a
/// [`Machine`], and is given [`Gic::plain`].
pub trait Hot: Machine<Plain: Machine> {}
impl<T: Machine<Plain: Machine>> Hot for T {}
