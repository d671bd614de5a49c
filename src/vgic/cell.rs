//! What the vCPUs of a cell share of its GIC.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::bank::{Bank, bits, config_mask, of_guest};
use super::direct;
use super::direct::Direct;
use super::errand::{Errand, Errands};
use super::offsets::{
    CTLR_ENABLE_GRP1, GICD_IROUTER, ICACTIVER, ICENABLER, ICPENDR, ITARGETSR, WAKER_CHILDREN_ASLEEP,
    WAKER_PROCESSOR_SLEEP,
};
use super::shared::GicShared;
use super::spi::{VirtualSpi, Wire};
use super::spis::VirtualSpis;
use crate::cpu::{Affinity, PcpuId, SgiTarget, VcpuId};
use crate::intid::{IntidSet, Spi};
use crate::ports::{GicRegisters, GicVersion, Width};

/// All 16 SGIs.
pub(super) const SGIS: u32 = 0xffff;

/// One for each cell.
#[derive(Debug)]
pub struct CellGic {
    /// Physical interrupts that are this cell's when they arrive at one of its CPUs.
    pub(super) owned: IntidSet,
    /// Its SPIs.
    pub(super) spis: IntidSet,
    version: GicVersion,
    /// GICD_TYPER as the cell sees it.
    pub(super) typer: u32,
    /// GICD_CTLR.EnableGrp0 and EnableGrp1.
    pub(super) enables: AtomicU32,
    /// SPIs that were made active by a register write: active, but in no list register.
    forced: [AtomicU32; 32],
    /// Those of its virtual devices.
    pub(super) virtual_spis: VirtualSpis,
    /// Counts the cell's lives.
    pub(super) life: AtomicU32,
    /// A bit for each vCPU.
    pub(super) everyone: u64,
    /// What is different where the vCPUs have the physical CPU interface.
    pub(super) direct: Option<Direct>,
    /// Its SGIs that travel as bits.
    soft_sgis: u32,
    /// How SGIs name each vCPU's CPU: [`SgiTarget::get`].
    pub(super) targets: Vec<AtomicU64>,
    vcpus: Vec<VcpuShared>,
}

/// What other vCPUs reach of a vCPU: its redistributor, as far as it is not physical.
#[derive(Debug)]
pub(super) struct VcpuShared {
    pub(super) cpu: PcpuId,
    pub(super) affinity: Affinity,
    /// Enable, pending and priority of the SGIs that travel as bits.
    pub(super) soft_enabled: AtomicU32,
    pub(super) soft_pending: AtomicU32,
    pub(super) soft_priority: [AtomicU8; 16],
    /// Which vCPUs sent those that are pending, in a GICv2.
    pub(super) soft_senders: [AtomicU8; 16],
    /// Those that are enabled from the start: a GICv2 may have SGIs so, and common ones do.
    soft_at_first: u32,
    /// GICR_WAKER.
    pub(super) waker: AtomicU32,
    /// As [`CellGic::forced`], for SGIs and PPIs.
    forced: AtomicU32,
    pub(super) errands: Errands,
    /// Another vCPU changed something of this since [`VcpuShared::reset`].
    touched: AtomicBool,
}

impl VcpuShared {
    fn new(cpu: PcpuId, affinity: Affinity, soft_at_first: u32) -> Self {
        Self {
            cpu,
            affinity,
            soft_senders: Default::default(),
            soft_at_first,
            soft_enabled: AtomicU32::new(0),
            soft_pending: AtomicU32::new(0),
            soft_priority: Default::default(),
            waker: AtomicU32::new(0),
            forced: AtomicU32::new(0),
            errands: Errands::default(),
            touched: AtomicBool::new(false),
        }
    }

    /// As a redistributor comes out of reset.
    pub(super) fn reset(&self) {
        // First, so that who comes in between is noticed.
        self.touched.store(false, Ordering::SeqCst);
        self.soft_enabled.store(self.soft_at_first, Ordering::Relaxed);
        self.soft_senders.iter().for_each(|senders| senders.store(0, Ordering::Relaxed));
        self.soft_pending.store(0, Ordering::Relaxed);
        self.soft_priority.iter().for_each(|priority| priority.store(of_guest(0), Ordering::Relaxed));
        self.waker.store(WAKER_PROCESSOR_SLEEP | WAKER_CHILDREN_ASLEEP, Ordering::Relaxed);
        self.forced.store(0, Ordering::Relaxed);
        self.errands.clear();
    }

    /// Another vCPU changed something of this, or of the physical redistributor behind it, and has done so already.
    pub(super) fn touch(&self) {
        self.touched.store(true, Ordering::SeqCst);
    }

    /// Whether one did.
    pub(super) fn is_touched(&self) -> bool {
        self.touched.load(Ordering::SeqCst)
    }

    /// Another vCPU asks for an errand.
    pub(super) fn ask(&self, errand: Errand, word: u32, bits: u32) {
        self.errands.ask(errand, word, bits);
        self.touch();
    }
}

impl CellGic {
    /// `spis` and `ppis` (a bit for each INTID 16 to 31) are the cell's; `cpus` are its CPUs in the order of their vCPUs.
    pub fn new(spis: IntidSet, ppis: u32, cpus: Vec<(PcpuId, Affinity)>, shared: &GicShared) -> Self {
        let mut of_cell = IntidSet::new();
        spis.iter().filter(|id| *id >= 32).for_each(|id| of_cell.insert(id));
        let mut owned = of_cell.clone();
        let own = 1 << shared.ppis.maintenance.intid() | 1 << shared.ppis.alarm.intid();
        let private = ppis & !SGIS & !own | u32::from(shared.sgi.physical);
        bits(private).for_each(|id| owned.insert(id));
        let soft_sgis = SGIS & !u32::from(shared.sgi.physical);
        let (typer, soft_at_first) = match shared.version {
            GicVersion::V2 => (super::identity::typer_v2(shared.typer, cpus.len()), soft_sgis),
            GicVersion::V3 => (super::identity::typer(shared.typer), 0),
        };
        let target = |cpu| AtomicU64::new(shared.target(cpu).map_or(0, SgiTarget::get));
        Self {
            owned,
            spis: of_cell,
            version: shared.version,
            typer,
            enables: AtomicU32::new(0),
            forced: Default::default(),
            virtual_spis: VirtualSpis::default(),
            life: AtomicU32::new(0),
            direct: None,
            soft_sgis,
            everyone: u64::MAX >> 64usize.saturating_sub(cpus.len()).min(63),
            targets: cpus.iter().map(|(cpu, _)| target(*cpu)).collect(),
            vcpus: cpus
                .into_iter()
                .map(|(cpu, affinity)| VcpuShared::new(cpu, affinity, soft_at_first))
                .collect(),
        }
    }

    /// The same with one more SPI, which a virtual device raises by this line; it is no physical one of the cell's.
    #[must_use]
    pub fn with_spi(mut self, spi: Spi, wire: Arc<Wire>) -> Self {
        if let Some(direct) = &mut self.direct {
            direct.add(spi, wire);
            self.owned.insert(spi.intid());
            self.spis.insert(spi.intid());
            return self;
        }
        self.owned.remove(spi.intid());
        self.spis.remove(spi.intid());
        self.virtual_spis.add(spi, wire);
        self
    }

    /// The same for vCPUs that have the physical CPU interface. Said before [`CellGic::with_spi`].
    #[must_use]
    pub fn with_direct(mut self, shared: &GicShared) -> Self {
        self.direct = Some(Direct::new(shared));
        // Bits go nowhere without list registers: these SGIs are not there.
        self.soft_sgis = 0;
        self
    }

    /// The CPU of a vCPU learnt how SGIs name it ([`GicShared::learn`]).
    pub fn learn(&self, vcpu: VcpuId, target: SgiTarget) {
        if let Some(place) = self.targets.get(vcpu.index()) {
            place.store(target.get(), Ordering::Relaxed);
        }
    }

    /// How SGIs name a vCPU's CPU.
    #[inline(always)]
    pub(super) fn target(&self, vcpu: usize) -> Option<SgiTarget> {
        let target = self.targets.get(vcpu)?;
        Some(SgiTarget::from_raw(target.load(Ordering::Relaxed)))
    }

    /// Which GIC it is, the physical one and the cell's.
    pub fn version(&self) -> GicVersion {
        self.version
    }

    /// Whether its vCPUs have the physical CPU interface.
    pub fn is_direct(&self) -> bool {
        self.direct.is_some()
    }

    /// A guest's priority as the physical GIC has it, and as the guest reads it back.
    pub(super) fn priority(&self, written: u8) -> u8 {
        if self.is_direct() { direct::of_guest(written) } else { of_guest(written) }
    }

    /// The SPI of a virtual device that has this INTID.
    pub(super) fn virtual_spi(&self, intid: u32) -> Option<&VirtualSpi> {
        self.virtual_spis.find(intid)
    }

    /// Its own part of a vCPU that it has.
    pub(super) fn vcpu(&self, id: VcpuId) -> Option<&VcpuShared> {
        self.vcpus.get(id.index())
    }

    /// All vCPUs with their numbers.
    pub(super) fn vcpus(&self) -> impl Iterator<Item = (VcpuId, &VcpuShared)> {
        (0..u8::MAX).map(VcpuId).zip(&self.vcpus)
    }

    /// How many there are.
    pub(super) fn vcpu_count(&self) -> usize {
        self.vcpus.len()
    }

    /// Its SPIs of a word, the virtual ones too.
    #[inline(always)]
    pub(super) fn spis_of(&self, word: u32) -> u32 {
        self.spis.word(word as usize) | self.virtual_spis.word(word)
    }

    /// Its physical SGIs and PPIs, a bit each.
    pub(super) fn private(&self) -> u32 {
        self.owned.word(0)
    }

    /// Its SGIs that travel as bits.
    pub(super) fn soft_sgis(&self) -> u32 {
        self.soft_sgis
    }

    /// Whether the distributor hands out interrupts (GICD_CTLR.EnableGrp1).
    pub(super) fn is_enabled(&self) -> bool {
        self.enables.load(Ordering::Relaxed) & CTLR_ENABLE_GRP1 != 0
    }

    /// The interrupts made active by register writes: of a word of SPIs, or private ones of a vCPU.
    pub(super) fn forced(&self, word: u32, vcpu: Option<VcpuId>) -> Option<&AtomicU32> {
        match vcpu {
            None => self.forced.get(word as usize),
            Some(id) => self.vcpu(id).map(|vcpu| &vcpu.forced),
        }
    }

    /// Before each life of the cell, and best also after, while none of its vCPUs runs: its interrupts disabled, not pending,
    /// inactive, at the highest priority and level-triggered, routed to vCPU 0; the distributor disabled. Private interrupts too: those of
    /// a vCPU that was off all the time were in the hands of the others. (Not in a GICv2, where none but their own CPU reaches them:
    /// [`VcpuGic::park`] has left them so.)
    ///
    /// [`VcpuGic::park`]: super::VcpuGic::park
    pub fn scrub<M: GicRegisters>(&self, m: &mut M, shared: &GicShared) {
        self.enables.store(0, Ordering::Relaxed);
        self.life.fetch_add(1, Ordering::Relaxed);
        self.virtual_spis.iter().for_each(VirtualSpi::reset);
        for vcpu in &self.vcpus {
            vcpu.reset();
            if m.version() == GicVersion::V3 {
                Bank::Private(vcpu.cpu).reset_private(m, self.private(), self.priority(0));
            }
        }
        let first = self.target(0).map_or(0, SgiTarget::interfaces);
        let route = self.vcpus.first().map_or(0, |vcpu| vcpu.affinity.get());
        for (word, forced) in (0..32).zip(&self.forced) {
            forced.store(0, Ordering::Relaxed);
            let owned = self.spis.word(word as usize);
            if owned == 0 {
                continue;
            }
            let bank = Bank::Spis(word);
            bank.write(m, ICENABLER, owned);
            bank.settle(m);
            for half in [0, 1] {
                let at = word.wrapping_mul(2).wrapping_add(half);
                let _lock = shared.gicd.lock();
                let others = bank.config(m, at) & !config_mask(owned, half);
                bank.set_config(m, at, others);
            }
            bank.reset_priorities(m, owned, self.priority(0));
            for bit in bits(owned) {
                let intid = word.wrapping_mul(32).wrapping_add(bit);
                if m.version() == GicVersion::V2 {
                    m.gicd_write(ITARGETSR.wrapping_add(intid), Width::Byte, u64::from(first));
                } else {
                    m.gicd_write(GICD_IROUTER.wrapping_add(intid.wrapping_mul(8)), Width::Double, route);
                }
            }
            bank.write(m, ICPENDR, owned);
            bank.write(m, ICACTIVER, owned);
        }
    }
}
