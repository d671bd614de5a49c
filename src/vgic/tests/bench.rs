//! A machine with cells on it, and guests that do as they are told.

use std::sync::Arc;

use proptest::prelude::ProptestConfig;

use crate::cpu::{CpuSet, PcpuId, VcpuId};
use crate::inbox::Inbox;
use crate::intid::{IntidSet, Ppi, Spi};
use crate::ports::{GicVersion, Width};
use crate::vgic::fake::{ALARM, FakeCpu, FakeGic, FakePorts, MAINTENANCE};
use crate::vgic::*;

/// The PPIs of every cell: both EL1 timers and the PMU's.
pub(super) const PPIS: u32 = 1 << 27 | 1 << 30 | 1 << 23;
/// ISENABLER and so on of a redistributor's SGI_base frame.
pub(super) const SGI: u64 = 0x1_0000;

/// The virtual SPIs of the first cell; the next cell has the next.
pub(super) const LINES: [u32; 3] = [200, 210, 230];
/// The first of them.
pub(super) const LINE: u32 = LINES[0];

/// So many cases, or PROPTEST_CASES.
pub(super) fn cases(cases: u32) -> ProptestConfig {
    let set = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    ProptestConfig { cases: if set { default.cases } else { cases }, failure_persistence: None, ..default }
}

/// Tells the compiler what kind of function makes a context.
fn once<'c, G: 'c, F: FnOnce(&'c mut G) -> GicCtx<'c, G>>(f: F) -> F {
    f
}

/// Cells are stretches of CPUs, side by side; cell `c` has SPIs 32 + 16c to 47 + 16c, and 64 + 16c to 79 + 16c.
pub(super) struct Bench<G = FakeCpu> {
    pub(super) cpus: Vec<G>,
    pub(super) shared: GicShared,
    pub(super) cells: Vec<CellGic>,
    pub(super) vgics: Vec<VcpuGic>,
    pub(super) inboxes: Vec<Inbox>,
    /// Of each CPU: its cell and its vCPU.
    pub(super) places: Vec<(usize, VcpuId)>,
    pub(super) foreign: Vec<u32>,
    pub(super) wires: Vec<Arc<Wire>>,
}

impl Bench {
    /// Over a GICv3.
    pub(super) fn new(gic: FakeGic, cells: &[usize]) -> Self {
        Self::over(gic, cells)
    }
}

impl<G: FakePorts> Bench<G> {
    pub(super) fn over(gic: FakeGic, cells: &[usize]) -> Self {
        let affinities: Vec<_> = gic.cpus.iter().map(|cpu| cpu.affinity).collect();
        let mut cpus = G::split(gic);
        let ppis = OwnPpis { maintenance: Ppi::new(MAINTENANCE).unwrap(), alarm: Ppi::new(ALARM).unwrap() };
        physical::init_distributor(&mut cpus[0]).unwrap();
        let sgi = SgiPlan::probe(&mut cpus[0], PcpuId(0)).unwrap();
        for cpu in &mut cpus {
            let id = cpu.cpu().id();
            physical::init_redistributor(cpu, id, &sgi, ppis).unwrap();
        }
        let shared = GicShared::new(&cpus[0], sgi, ppis, affinities.clone());
        let mut bench = Self {
            inboxes: cpus.iter().map(|_| Inbox::default()).collect(),
            vgics: cpus.iter().map(|_| VcpuGic::new()).collect(),
            cpus,
            shared,
            cells: vec![],
            places: vec![],
            foreign: vec![],
            wires: vec![],
        };
        for (c, count) in cells.iter().enumerate() {
            let first = bench.places.len();
            let mut spis = IntidSet::new();
            (0..16).for_each(|n| [32, 64].iter().for_each(|base| spis.insert(base + 16 * c as u32 + n)));
            let own = (first..first + count).map(|n| (PcpuId(n as u8), affinities[n])).collect();
            let mut gic = CellGic::new(spis, PPIS | 1 << MAINTENANCE, own, &bench.shared);
            for line in LINES {
                let wire = Arc::<Wire>::default();
                bench.wires.push(wire.clone());
                gic = gic.with_spi(Spi::new(line + c as u32).unwrap(), wire);
            }
            bench.cells.push(gic);
            for v in 0..*count {
                let (cpu, me) = (first + v, VcpuId(v as u8));
                bench.places.push((c, me));
                if G::VERSION == GicVersion::V2 {
                    // As a CPU does that came up.
                    let target = bench.shared.learn(&bench.cpus[cpu], PcpuId(cpu as u8));
                    bench.cells[c].learn(me, target);
                }
                bench.vgics[cpu].settle(&mut bench.cpus[cpu], &bench.cells[c], me);
            }
            bench.cells[c].scrub(&mut bench.cpus[first], &bench.shared);
        }
        (0..bench.places.len()).for_each(|cpu| bench.start(cpu));
        bench
    }

    /// The vCPU on this CPU starts, and its guest opens its CPU interface.
    pub(super) fn start(&mut self, cpu: usize) {
        let (cell, _) = self.places[cpu];
        self.inboxes[cpu].clear();
        self.vgics[cpu].start(&mut self.cpus[cpu], &self.cells[cell]);
        self.cpus[cpu].cpu().guest_enable();
    }

    pub(super) fn park(&mut self, cpu: usize) {
        let (cell, _) = self.places[cpu];
        self.vgics[cpu].park(&mut self.cpus[cpu], &self.cells[cell]);
    }

    /// An access to the distributor, or to the cell's redistributors. A GICv2 has its own vCPU's banked in the distributor.
    pub(super) fn access(
        &mut self,
        cpu: usize,
        redist: bool,
        at: u64,
        width: Width,
        write: Option<u64>,
    ) -> u64 {
        let (cell, me) = self.places[cpu];
        let (cell, shared, inboxes, vcpu) =
            (&self.cells[cell], &self.shared, &self.inboxes, &mut self.vgics[cpu]);
        let machine = &mut self.cpus[cpu];
        let rest = once(|machine| GicCtx { machine, vcpu, cell, shared, inboxes, me });
        if redist && G::VERSION == GicVersion::V2 {
            let banked =
                at.checked_sub(u64::from(me.0) << 17 | SGI).expect("a GICv2 has no other CPU's registers");
            gicd_access(machine, cell, rest, banked, width, write)
        } else if redist {
            gicr_access(machine, cell, rest, at, width, write)
        } else {
            gicd_access(machine, cell, rest, at, width, write)
        }
    }

    pub(super) fn dist(&mut self, cpu: usize, at: u64, write: Option<u64>) -> u64 {
        self.access(cpu, false, at, Width::Word, write)
    }

    pub(super) fn redist(&mut self, cpu: usize, at: u64, write: Option<u64>) -> u64 {
        self.access(cpu, true, at, Width::Word, write)
    }

    /// ICC_SGI1R_EL1, to vCPUs of the lowest affinity; on a GICv2 what it means in GICD_SGIR.
    pub(super) fn send(&mut self, cpu: usize, value: u64) {
        if G::VERSION == GicVersion::V2 {
            self.dist(cpu, 0xf00, Some((value & 0xff) << 16 | value >> 24 & 0xf));
            return;
        }
        let (cell, _) = self.places[cpu];
        let (cell, machine, vcpu) = (&self.cells[cell], &mut self.cpus[cpu], &mut self.vgics[cpu]);
        sgi1r(machine, vcpu, cell, &self.shared, &self.inboxes, value);
    }

    /// The CPU loop around the guest, until nothing is to be done.
    pub(super) fn run(&mut self, cpu: usize) {
        let (cell, _) = self.places[cpu];
        for _ in 0..1000 {
            if !self.cpus[cpu].cpu().irq_pending() {
                let other = self.vgics[cpu].flush(&mut self.cpus[cpu], &self.cells[cell]);
                self.tell(cpu, other);
                if !self.cpus[cpu].cpu().irq_pending() {
                    return;
                }
            }
            match self.vgics[cpu].on_irq(&mut self.cpus[cpu], &self.cells[cell], &self.shared) {
                Irq::Kick => {
                    let requests = self.inboxes[cpu].take();
                    self.vgics[cpu].on_requests(&mut self.cpus[cpu], &self.cells[cell], requests);
                }
                Irq::Foreign(intid) => self.foreign.push(intid),
                Irq::Own(_) => panic!("EL2 has no such interrupt here"),
                Irq::Guest | Irq::None => {}
            }
        }
        panic!("CPU {cpu} never comes to rest");
    }

    /// What the shell does for [`VcpuGic::flush`].
    fn tell(&mut self, cpu: usize, others: CpuSet) {
        for at in others.iter() {
            let asked = self.inboxes[at].post(PcpuId(at as u8), crate::inbox::Request::Line);
            kick(&mut self.cpus[cpu], asked, &self.shared);
        }
    }

    /// A cell's first virtual device raises or lowers its line.
    pub(super) fn line(&mut self, cell: usize, level: bool) {
        self.line_of(cell, 0, level);
    }

    /// The same for any of them.
    pub(super) fn line_of(&mut self, cell: usize, device: usize, level: bool) {
        if self.wires[LINES.len() * cell + device].set(level) {
            let spi = Spi::new(LINES[device] + cell as u32).unwrap();
            let concerned = self.cells[cell].line_concerns(spi).unwrap();
            let by = self.places.iter().position(|(c, _)| *c == cell).unwrap();
            let at = self.places.iter().position(|place| *place == (cell, concerned)).unwrap();
            self.tell(by, CpuSet::of([at]));
        }
    }

    /// All CPUs' loops.
    pub(super) fn settle(&mut self) {
        (0..self.places.len()).for_each(|cpu| self.run(cpu));
    }

    /// The guest acknowledges, if anything is to be. Who sent an SGI is left out.
    pub(super) fn acknowledge(&mut self, cpu: usize) -> Option<u32> {
        self.run(cpu);
        Some(self.cpus[cpu].cpu().guest_acknowledge() & 0x3ff).filter(|id| *id < 1020)
    }

    /// GICD_CTLR: the cell's interrupts on or off.
    pub(super) fn switch(&mut self, cpu: usize, on: bool) {
        let place = if G::VERSION == GicVersion::V2 { 0 } else { 1 };
        self.dist(cpu, 0, Some(u64::from(on) << place));
    }

    pub(super) fn end(&mut self, cpu: usize, intid: u32) {
        self.cpus[cpu].cpu().guest_end(intid);
        self.run(cpu);
    }

    /// Takes and ends one interrupt after the other.
    pub(super) fn drain(&mut self, cpu: usize) -> Vec<u32> {
        let mut taken = vec![];
        while let Some(intid) = self.acknowledge(cpu) {
            taken.push(intid);
            assert!(taken.len() < 2000, "interrupts without end: {taken:?}");
            self.cpus[cpu].cpu().lower(intid);
            self.end(cpu, intid);
        }
        taken
    }

    /// What a driver does at boot: all that the cell has enabled, at priority 0xa0.
    pub(super) fn enable_all(&mut self, cpu: usize) {
        self.switch(cpu, true);
        for word in 1..8 {
            self.dist(cpu, 0x100 + 4 * word, Some(0xffff_ffff));
        }
        for id in (32..256).step_by(4) {
            self.dist(cpu, 0x400 + id, Some(0xa0a0_a0a0));
        }
        self.enable_private(cpu);
        self.settle();
    }

    pub(super) fn enable_private(&mut self, cpu: usize) {
        let frame = u64::from(self.places[cpu].1.0) << 17 | SGI;
        self.redist(cpu, frame + 0x100, Some(0xffff_ffff));
        (0..32).step_by(4).for_each(|id| {
            self.redist(cpu, frame + 0x400 + id, Some(0xa0a0_a0a0));
        });
    }

    pub(super) fn edge(&mut self, cpu: usize, intid: u32) {
        self.cpus[cpu].cpu().hw().irq(cpu, intid).unwrap().edge = true;
    }

    pub(super) fn no_faults(&self) {
        assert_eq!(self.cpus[0].cpu().hw().faults, [] as [String; 0]);
    }
}
