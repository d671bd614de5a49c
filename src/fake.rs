//! A machine for the host tests: every port, answered from plain memory. Its CPUs share a [`Board`].

mod interface;
pub mod rig;
pub mod streams;
mod tables;

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::addr::{Ipa, Pa, Span};
use crate::cpu::{Affinity, PcpuId};
use crate::ports::*;
use crate::vcpu::{Frame, VcpuReset};
pub use tables::{allow_takes, refuse_take, tables_taken, take, take_tables};

/// So many random cases, or as many as PROPTEST_CASES says. Miri, which is slow, runs two.
#[cfg(test)]
pub fn cases(cases: u32) -> proptest::prelude::ProptestConfig {
    let default = proptest::prelude::ProptestConfig::default();
    let set = std::env::var_os("PROPTEST_CASES").is_some();
    let cases = if cfg!(miri) {
        2
    } else if set {
        default.cases
    } else {
        cases
    };
    proptest::prelude::ProptestConfig { cases, failure_persistence: None, ..default }
}

/// What the CPUs have in common.
#[derive(Default)]
pub struct Board {
    /// RAM from physical address 0.
    pub ram: Mutex<Vec<u8>>,
    /// Interrupts that wait at each CPU.
    pending: Vec<Mutex<VecDeque<u32>>>,
    affinities: Vec<Affinity>,
    gicd: Mutex<BTreeMap<u32, u64>>,
    gicr: Mutex<BTreeMap<(PcpuId, u32), u64>>,
    /// Firmware was asked for power off.
    pub off: AtomicBool,
    count: AtomicU64,
    /// Ticks a second.
    pub hertz: AtomicU64,
    /// Devices by where their registers are.
    pub devices: Mutex<Vec<Placed>>,
}

/// A device and where its registers are.
pub type Placed = (Span<Pa>, Box<dyn Device>);

/// A device's registers.
pub trait Device: Send {
    fn read(&mut self, offset: u64, width: Width) -> u64;
    fn write(&mut self, offset: u64, width: Width, value: u64);
}

impl Board {
    /// A board of so many CPUs, whose affinities are not their numbers, and so much RAM.
    pub fn new(cpus: u8, ram: usize) -> Arc<Self> {
        Self::of((0..cpus).map(|n| Affinity::new(u64::from(n) << 8 | 0x1_0000).unwrap()).collect(), ram)
    }

    /// A board of CPUs with these affinities.
    pub fn of(affinities: Vec<Affinity>, ram: usize) -> Arc<Self> {
        let pending = affinities.iter().map(|_| Mutex::default()).collect();
        Arc::new(Self {
            affinities,
            pending,
            ram: Mutex::new(vec![0; ram]),
            hertz: AtomicU64::new(62_500_000),
            ..Self::default()
        })
    }

    /// By CPU.
    pub fn affinities(&self) -> &[Affinity] {
        &self.affinities
    }

    /// Asserts an interrupt at a CPU.
    pub fn raise(&self, cpu: PcpuId, intid: u32) {
        let mut pending = self.pending[cpu.index()].lock().unwrap();
        if !pending.contains(&intid) {
            pending.push_back(intid);
        }
    }

    /// The counter stands here now.
    pub fn set_count(&self, count: u64) {
        self.count.store(count, Ordering::Relaxed);
    }

    /// Whether an interrupt waits there.
    pub fn is_pending(&self, cpu: PcpuId) -> bool {
        !self.pending[cpu.index()].lock().unwrap().is_empty()
    }
}

/// One CPU of it.
pub struct Fake {
    pub board: Arc<Board>,
    pub me: PcpuId,
    /// The next exit and its syndrome registers.
    pub exit: Exit,
    pub esr: u64,
    pub far: u64,
    pub hpfar: u64,
    pub pc: u64,
    pub pstate: u64,
    pub false_report: bool,
    pub entered: usize,
    el1: [u64; El1Reg::Vbar as usize + 1],
    pub virtual_serrors: usize,
    /// What S3_0_C0_CRm_op2 reads; others 0.
    pub ids: BTreeMap<(u8, u8), u64>,
    pub resets: Vec<VcpuReset>,
    /// CNTVOFF_EL2 at each start.
    pub starts: Vec<u64>,
    lrs: [u64; 4],
    ich_hcr: u32,
    ich_vmcr: u32,
    pub active: Vec<u32>,
    pub cleaned: Vec<Span<Pa>>,
    pub invalidated: Cell<usize>,
    /// It may take CPUs of other cells back.
    pub may_recall: bool,
    pub waits: usize,
    /// A guest has the CPU interface, and what it wrote to the common registers.
    pub lent: bool,
    pub common: [u64; 3],
    pub alarm: Option<u64>,
    pub smcs: Vec<[u64; 4]>,
    /// How often it may still open a window.
    pub windows: Cell<usize>,
}

impl Fake {
    pub fn new(board: &Arc<Board>, me: u8) -> Self {
        Self {
            board: board.clone(),
            me: PcpuId(me),
            exit: Exit::Irq,
            esr: 0,
            far: 0,
            hpfar: 0,
            pc: 0,
            pstate: 0,
            false_report: false,
            entered: 0,
            el1: Default::default(),
            virtual_serrors: 0,
            ids: BTreeMap::new(),
            resets: Vec::new(),
            starts: Vec::new(),
            lrs: [0; 4],
            ich_hcr: 0,
            ich_vmcr: 0,
            active: Vec::new(),
            cleaned: Vec::new(),
            invalidated: Default::default(),
            may_recall: false,
            waits: 0,
            lent: false,
            common: [0; 3],
            alarm: None,
            smcs: Vec::new(),
            windows: Cell::new(usize::MAX),
        }
    }

    /// The next time the guest is entered, it does this.
    pub fn sync(&mut self, esr: u64) {
        (self.exit, self.esr) = (Exit::Sync, esr);
    }
}

impl World for Fake {
    /// A pending interrupt comes first, as in hardware.
    fn enter(&mut self, _: &mut Frame) -> Exit {
        self.entered += 1;
        if !self.lent && self.board.is_pending(self.me) { Exit::Irq } else { self.exit }
    }
    fn pc(&self) -> u64 {
        self.pc
    }
    fn set_pc(&mut self, pc: u64) {
        self.pc = pc;
    }
    fn pstate(&self) -> u64 {
        self.pstate
    }
    fn set_pstate(&mut self, pstate: u64) {
        self.pstate = pstate;
    }
    fn esr(&self) -> u64 {
        self.esr
    }
    fn far(&self) -> u64 {
        self.far
    }
    fn hpfar(&self) -> u64 {
        self.hpfar
    }
    fn halt_if_stopped(&self) {}
    fn is_false_report(&self) -> bool {
        self.false_report
    }
}

impl El1 for Fake {
    fn el1(&self, reg: El1Reg) -> u64 {
        self.el1[reg as usize]
    }
    fn set_el1(&mut self, reg: El1Reg, value: u64) {
        self.el1[reg as usize] = value;
    }
    fn reset_vcpu(&mut self, reset: &VcpuReset) {
        (self.pc, self.pstate) = (0, 0);
        self.el1 = Default::default();
        self.resets.push(reset.clone());
    }
    fn start_vcpu(&mut self, cntvoff: u64) {
        assert!(!self.resets.is_empty(), "never reset");
        // As when an SError is drained.
        (self.pc, self.pstate) = (0xbad, 0xbad);
        self.starts.push(cntvoff);
    }
    fn raise_virtual_serror(&mut self) {
        self.virtual_serrors += 1;
    }
    fn id_register(&self, crm: u8, op2: u8) -> u64 {
        self.ids.get(&(crm, op2)).copied().unwrap_or(0)
    }
}

/// Registers without behaviour: they read what was written. The vGIC's own tests have a better GIC.
impl GicRegisters for Fake {
    fn gicd_read(&self, offset: u32, width: Width) -> u64 {
        self.board.gicd.lock().unwrap().get(&offset).copied().unwrap_or(0) & width.mask()
    }
    fn gicd_write(&mut self, offset: u32, _: Width, value: u64) {
        self.board.gicd.lock().unwrap().insert(offset, value);
    }
    fn gicr_read(&self, cpu: PcpuId, offset: u32, width: Width) -> u64 {
        self.board.gicr.lock().unwrap().get(&(cpu, offset)).copied().unwrap_or(0) & width.mask()
    }
    fn gicr_write(&mut self, cpu: PcpuId, offset: u32, _: Width, value: u64) {
        self.board.gicr.lock().unwrap().insert((cpu, offset), value);
    }
}

impl Fake {
    /// Opens a window, if there is memory for its tables.
    fn window(&self) -> Result<(), NoWindow> {
        let left = self.windows.get().checked_sub(1).ok_or(NoWindow)?;
        self.windows.set(left);
        Ok(())
    }
}

impl Memory for Fake {
    fn copy(&mut self, to: Pa, from: Pa, size: u64) -> Result<(), NoWindow> {
        self.window()?;
        let from = from.0 as usize;
        self.board.ram.lock().unwrap().copy_within(from..from + size as usize, to.0 as usize);
        Ok(())
    }
    fn write(&mut self, to: Pa, bytes: &[u8]) -> Result<(), NoWindow> {
        self.window()?;
        self.board.ram.lock().unwrap()[to.0 as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
    fn read(&mut self, from: Pa) -> Result<u64, NoWindow> {
        self.window()?;
        let ram = self.board.ram.lock().unwrap();
        Ok(u64::from_le_bytes(ram[from.0 as usize..][..8].try_into().unwrap()))
    }
    fn zero(&mut self, span: Span<Pa>) -> Result<(), NoWindow> {
        self.window()?;
        self.board.ram.lock().unwrap()[span.start().0 as usize..span.end().0 as usize].fill(0);
        Ok(())
    }
    fn clean_invalidate(&mut self, span: Span<Pa>, _: bool) -> Result<(), NoWindow> {
        self.window()?;
        self.cleaned.push(span);
        Ok(())
    }
}

impl Devices for Fake {
    fn open(&self, span: Span<Pa>, work: &mut dyn FnMut(&dyn Registers)) -> Result<(), NoWindow> {
        self.window()?;
        work(&Open { board: &self.board, span });
        Ok(())
    }
}

struct Open<'b> {
    board: &'b Board,
    span: Span<Pa>,
}

impl Open<'_> {
    fn with<R>(&self, offset: u64, width: Width, none: R, work: impl FnOnce(&mut dyn Device, u64) -> R) -> R {
        let mut devices = self.board.devices.lock().unwrap();
        assert_eq!(offset % width.bytes(), 0, "misaligned");
        let at = Pa(self.span.start().0 + offset);
        let device = devices.iter_mut().find(|(span, _)| span.contains(at) && self.span.contains(at));
        device.map_or(none, |(span, device)| work(&mut **device, at.0 - span.start().0))
    }
}

impl Registers for Open<'_> {
    fn read(&self, offset: u64, width: Width) -> u64 {
        self.with(offset, width, width.mask(), |device, at| device.read(at, width) & width.mask())
    }
    fn write(&self, offset: u64, width: Width, value: u64) {
        self.with(offset, width, (), |device, at| device.write(at, width, value & width.mask()));
    }
}

impl TlbMaint for Fake {
    fn invalidate_ipa(&self, _: u64, _: Ipa) {}
    fn invalidate_vmid(&self, vttbr: u64) {
        let own = self.resets.last().is_some_and(|reset| reset.vttbr == vttbr);
        assert!(own || self.may_recall, "another VMID is loaded");
        self.invalidated.set(self.invalidated.get() + 1);
    }
}

impl Firmware for Fake {
    fn smc(&mut self, args: [u64; 4]) -> [u64; 4] {
        self.smcs.push(args);
        [u64::MAX, 0, 0, 0]
    }
    fn power_off(&mut self) {
        self.board.off.store(true, Ordering::SeqCst);
    }
}

impl Timer for Fake {
    fn counter(&self) -> u64 {
        self.board.count.fetch_add(1, Ordering::Relaxed)
    }
    fn frequency(&self) -> u64 {
        self.board.hertz.load(Ordering::Relaxed)
    }
    fn set_alarm(&mut self, at: Option<u64>) {
        self.alarm = at;
    }
    fn wait_for_interrupt(&mut self) {
        self.waits += 1;
    }
    fn relax(&self) {}
}

impl Entropy for Fake {
    fn random(&mut self) -> u64 {
        self.counter().wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}
