//! A GICv3 for the host tests: simple, but honest about what state an interrupt is in and who may change it.
//!
//! [`FakeGic`] is the hardware; [`FakeCpu`] one CPU's ports to it, and what the guest on that CPU does with its virtual
//! interface. What IHI 0069H calls UNPREDICTABLE is recorded in [`FakeGic::faults`].

mod irq;
mod ports;
mod v2;

use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) use irq::FakeIrq;
pub(crate) use v2::FakeV2;

use super::GicPorts;
use super::lr::{Lr, State};
use crate::cpu::{Affinity, PcpuId};
use crate::ports::GicVersion;

/// The maintenance interrupt.
pub(crate) const MAINTENANCE: u32 = 25;
/// EL2's timer.
pub(crate) const ALARM: u32 = 26;

/// One CPU's part of the hardware.
#[derive(Clone, Debug)]
pub(crate) struct FakePart {
    pub(crate) affinity: Affinity,
    pub(crate) waker: u32,
    pub(crate) private: Vec<FakeIrq>,
    /// GICC_PMR lets EL2's own alone through.
    pub(crate) closed: bool,
    /// Of a GICv2's SGIs, the CPU interfaces by which each is pending.
    pub(crate) senders: [u8; 16],
    /// Active priorities of the physical interface, the running one last.
    pub(crate) running: Vec<u8>,
    pub(crate) lrs: Vec<u64>,
    /// A guest has the physical interface; its common registers.
    pub(crate) lent: Option<[u64; 3]>,
    pub(crate) hcr: u32,
    pub(crate) vmcr: u32,
    /// Active priorities of the virtual interface.
    pub(crate) vrunning: Vec<u8>,
}

/// The hardware.
#[derive(Clone, Debug)]
pub(crate) struct FakeGic {
    pub(crate) ctlr: u32,
    /// GICD_CTLR.DS.
    pub(crate) ds: bool,
    /// SGIs and PPIs that firmware keeps when DS=0.
    pub(crate) secure: u32,
    /// A GICv2: routes are sets of CPU interfaces.
    pub(crate) v2: bool,
    /// Of a GICv2: every CPU's virtual interface forgets the lines of its list registers, as QEMU's does; else every second one's.
    pub(crate) forgetful: bool,
    /// GICD_CTLR.RWP and ChildrenAsleep never clear.
    pub(crate) stuck: bool,
    pub(crate) spis: Vec<FakeIrq>,
    pub(crate) cpus: Vec<FakePart>,
    pub(crate) faults: Vec<String>,
}

impl FakeGic {
    /// A distributor with 256 INTIDs and this many CPUs with `lrs` list registers each, as firmware with DS=1 leaves it.
    pub(crate) fn new(cpus: usize, lrs: usize) -> Self {
        let part = |n: usize| FakePart {
            affinity: Affinity::new((n as u64 & 3) | (n as u64 >> 2) << 8).unwrap(),
            waker: 6,
            private: (0..32).map(|id| FakeIrq { edge: id < 16, ..FakeIrq::default() }).collect(),
            closed: false,
            senders: [0; 16],
            running: vec![],
            lrs: vec![0; lrs],
            lent: None,
            hcr: 0,
            vmcr: 0,
            vrunning: vec![],
        };
        Self {
            ctlr: 0,
            ds: true,
            secure: 0,
            v2: false,
            forgetful: false,
            stuck: false,
            spis: vec![FakeIrq::default(); 256],
            cpus: (0..cpus).map(part).collect(),
            faults: vec![],
        }
    }

    /// With a Secure side that keeps SGIs 8 to 15, as TF-A does.
    pub(crate) fn with_secure_side(mut self) -> Self {
        (self.ds, self.secure) = (false, 0xff00);
        let private = self.cpus.iter_mut().flat_map(|cpu| cpu.private.iter_mut().enumerate());
        for (id, irq) in private.chain(self.spis.iter_mut().enumerate().skip(32)) {
            irq.group1 = self.secure >> id.min(31) & 1 == 0 || id >= 32;
        }
        self
    }

    /// Its ports, one for each CPU.
    pub(crate) fn split(self) -> Vec<FakeCpu> {
        let cpus = self.cpus.len();
        let gic = Arc::new(Mutex::new(self));
        (0..cpus).map(|me| FakeCpu { gic: gic.clone(), me }).collect()
    }

    /// An interrupt as a CPU sees it.
    pub(crate) fn irq(&mut self, cpu: usize, intid: u32) -> Option<&mut FakeIrq> {
        if intid < 32 {
            self.cpus.get_mut(cpu)?.private.get_mut(intid as usize)
        } else {
            self.spis.get_mut(intid as usize)
        }
    }

    /// The interrupt that is signalled to a CPU.
    fn highest(&mut self, cpu: usize) -> Option<u32> {
        self.drive_maintenance(cpu);
        let part = &self.cpus[cpu];
        let (affinity, interface) = (part.affinity.get(), self.interface(cpu));
        let private = part.private.iter().enumerate();
        let here = |irq: &FakeIrq| {
            if self.v2 { irq.route & u64::from(interface) != 0 } else { irq.route == affinity }
        };
        let shared = self.spis.iter().enumerate().skip(32).filter(|(_, irq)| here(irq));
        private
            .chain(shared)
            .filter(|(_, irq)| self.ctlr & 2 != 0 && irq.signalled())
            .filter(|(_, irq)| !part.closed || irq.priority < 0x10)
            .filter(|(_, irq)| part.running.last().is_none_or(|running| irq.priority < *running))
            .min_by_key(|(_, irq)| irq.priority)
            .map(|(id, _)| id as u32)
    }

    /// The bit of a CPU's interface, which is not its number.
    pub(crate) fn interface(&self, cpu: usize) -> u8 {
        1u8.checked_shl((self.cpus.len() - 1 - cpu) as u32).unwrap_or(0)
    }

    /// The maintenance interrupt is a level: on while its condition holds (ICH_MISR_EL2).
    fn drive_maintenance(&mut self, cpu: usize) {
        let part = &mut self.cpus[cpu];
        let lrs: Vec<Lr> = part.lrs.iter().map(|lr| Lr::from(*lr)).collect();
        let ended = lrs.iter().any(|lr| lr.state() == State::Invalid && lr.reports());
        let none_pending = lrs.iter().all(|lr| lr.state() != State::Pending);
        part.private[MAINTENANCE as usize].line =
            part.hcr & 1 != 0 && (ended || part.hcr & 8 != 0 && none_pending);
    }

    fn check_lrs(&mut self, cpu: usize) {
        let valid: Vec<Lr> = self.cpus[cpu]
            .lrs
            .iter()
            .map(|lr| Lr::from(*lr))
            .filter(|lr| lr.state() != State::Invalid)
            .collect();
        for (n, lr) in valid.iter().enumerate() {
            let id = lr.vintid();
            if valid[..n].iter().any(|other| other.vintid() == id) {
                self.faults.push(format!("INTID {id} is in two list registers of CPU {cpu}"));
            }
            if lr.hw() && lr.state() == State::PendingActive {
                self.faults.push(format!("INTID {id} is active and pending with HW=1"));
            }
            if lr.hw() && !self.irq(cpu, u32::from(lr.pintid())).is_some_and(|irq| irq.active) {
                self.faults.push(format!("INTID {id} is in a list register, but not physically active"));
            }
        }
    }
}

/// One CPU's ports, as those of either architecture.
pub(crate) trait FakePorts: GicPorts + Sized {
    /// Which it is.
    const VERSION: GicVersion;

    /// The hardware, in this architecture, as a port for each CPU.
    fn split(gic: FakeGic) -> Vec<Self>;

    /// What both have.
    fn cpu(&self) -> &FakeCpu;
}

impl FakePorts for FakeCpu {
    const VERSION: GicVersion = GicVersion::V3;

    fn split(gic: FakeGic) -> Vec<Self> {
        gic.split()
    }

    fn cpu(&self) -> &FakeCpu {
        self
    }
}

/// One CPU's ports.
#[derive(Clone, Debug)]
pub(crate) struct FakeCpu {
    pub(crate) gic: Arc<Mutex<FakeGic>>,
    pub(crate) me: usize,
}

impl FakeCpu {
    /// The hardware.
    pub(crate) fn hw(&self) -> MutexGuard<'_, FakeGic> {
        self.gic.lock().unwrap()
    }

    /// This CPU.
    pub(crate) fn id(&self) -> PcpuId {
        PcpuId(self.me as u8)
    }

    /// Whether a physical IRQ would end the guest's turn.
    pub(crate) fn irq_pending(&self) -> bool {
        self.hw().highest(self.me).is_some()
    }

    /// A line, or for an edge-triggered interrupt an edge on it.
    pub(crate) fn raise(&self, intid: u32) {
        let mut hw = self.hw();
        let irq = hw.irq(self.me, intid).unwrap();
        if irq.edge { irq.latch = true } else { irq.line = true }
    }

    /// The line of a level-triggered interrupt goes down.
    pub(crate) fn lower(&self, intid: u32) {
        self.hw().irq(self.me, intid).unwrap().line = false;
    }

    /// The guest: ICC_PMR_EL1 open, ICC_IGRPEN1_EL1 on.
    pub(crate) fn guest_enable(&self) {
        self.hw().cpus[self.me].vmcr = 0xff00_0002;
    }

    /// The guest reads ICC_IAR1_EL1.
    pub(crate) fn guest_acknowledge(&self) -> u32 {
        let mut hw = self.hw();
        let part = &mut hw.cpus[self.me];
        let limit = part.vrunning.last().copied().unwrap_or(0xff).min((part.vmcr >> 24) as u8);
        let open = part.hcr & 1 != 0 && part.vmcr & 2 != 0;
        let best = part
            .lrs
            .iter_mut()
            .filter(|lr| {
                open && Lr::from(**lr).state() == State::Pending && Lr::from(**lr).priority() < limit
            })
            .min_by_key(|lr| Lr::from(**lr).priority());
        let Some(place) = best else { return 1023 };
        let lr = Lr::from(*place);
        *place = lr.with_state(State::Active).into();
        part.vrunning.push(lr.priority());
        // GICV_IAR has the sender of an SGI above its number.
        if lr.hw() { lr.vintid() } else { lr.vintid() | u32::from(lr.pintid() & 7) << 10 }
    }

    /// The guest writes ICC_EOIR1_EL1 with EOImode 0: priority drop and deactivation.
    pub(crate) fn guest_end(&self, intid: u32) {
        let mut hw = self.hw();
        let part = &mut hw.cpus[self.me];
        part.vrunning.pop();
        let place = part.lrs.iter_mut().find(|lr| {
            let lr = Lr::from(**lr);
            lr.vintid() == intid && lr.state().active()
        });
        let Some(place) = place else { return };
        let lr = Lr::from(*place);
        let after = if lr.state().pending() { State::Pending } else { State::Invalid };
        *place = lr.with_state(after).into();
        if lr.hw() {
            let me = self.me;
            let irq = hw.irq(me, u32::from(lr.pintid())).unwrap();
            let was_active = core::mem::replace(&mut irq.active, false);
            if !was_active {
                hw.faults.push(format!("INTID {intid} was deactivated twice"));
            }
        }
    }
}
