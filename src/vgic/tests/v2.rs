//! The same policy over a GICv2.

use std::sync::Arc;

use crate::cpu::{Affinity, PcpuId, VcpuId};
use crate::inbox::Inbox;
use crate::intid::{IntidSet, Ppi, Spi};
use crate::ports::Width;
use crate::vgic::fake::{ALARM, FakeGic, FakeV2, MAINTENANCE};
use crate::vgic::*;

/// Two cells side by side, of three and one vCPUs; cell `c` has SPIs 32 + 16c to 47 + 16c, and the first the virtual one 200.
struct Bench {
    cpus: Vec<FakeV2>,
    shared: GicShared,
    cells: Vec<CellGic>,
    vgics: Vec<VcpuGic>,
    inboxes: Vec<Inbox>,
    places: Vec<(usize, VcpuId)>,
    wire: Arc<Wire>,
}

const CELLS: [usize; 2] = [3, 1];

/// Tells the compiler what kind of function makes a context.
fn once<'c, F: FnOnce(&'c mut FakeV2) -> GicCtx<'c, FakeV2>>(f: F) -> F {
    f
}

impl Bench {
    fn new(direct: bool) -> Self {
        let gic = FakeGic::new(4, 4).into_v2();
        let affinities: Vec<Affinity> = gic.cpus.iter().map(|cpu| cpu.affinity).collect();
        let mut cpus: Vec<_> = gic.split().into_iter().map(FakeV2).collect();
        let ppis = OwnPpis { maintenance: Ppi::new(MAINTENANCE).unwrap(), alarm: Ppi::new(ALARM).unwrap() };
        physical::init_distributor(&mut cpus[0]).unwrap();
        let sgi = SgiPlan::probe(&mut cpus[0], PcpuId(0)).unwrap();
        let shared = GicShared::new(&cpus[0], sgi, ppis, affinities.clone());
        let wire = Arc::<Wire>::default();
        let mut bench = Self {
            inboxes: cpus.iter().map(|_| Inbox::default()).collect(),
            vgics: cpus.iter().map(|_| VcpuGic::new()).collect(),
            cpus,
            shared,
            cells: vec![],
            places: vec![],
            wire: wire.clone(),
        };
        for (c, count) in CELLS.into_iter().enumerate() {
            let first = bench.places.len();
            let mut spis = IntidSet::new();
            (0..16).for_each(|n| spis.insert(32 + 16 * c as u32 + n));
            let own = (first..first + count).map(|n| (PcpuId(n as u8), affinities[n])).collect();
            let mut gic = CellGic::new(spis, 1 << 27 | 1 << 30, own, &bench.shared);
            if direct && c == 0 {
                gic = gic.with_direct(&bench.shared);
            }
            if c == 0 {
                gic = gic.with_spi(Spi::new(200).unwrap(), wire.clone());
            }
            bench.cells.push(gic);
            (0..count).for_each(|v| bench.places.push((c, VcpuId(v as u8))));
        }
        for cpu in 0..4 {
            let (id, (c, me)) = (PcpuId(cpu as u8), bench.places[cpu]);
            physical::init_redistributor(&mut bench.cpus[cpu], id, &sgi, ppis).unwrap();
            // As a CPU does that came up.
            let target = bench.shared.learn(&bench.cpus[cpu], id);
            bench.cells[c].learn(me, target);
            bench.vgics[cpu].settle(&mut bench.cpus[cpu], &bench.cells[c], me);
        }
        for (c, first) in [(0, 0), (1, 3)] {
            bench.cells[c].scrub(&mut bench.cpus[first], &bench.shared);
        }
        for cpu in 0..4 {
            bench.vgics[cpu].start(&mut bench.cpus[cpu], &bench.cells[bench.places[cpu].0]);
            bench.cpus[cpu].0.guest_enable();
            bench.write(cpu, 0x000, 1);
            bench.write(cpu, 0x100, 0xffff_ffff);
            bench.write(cpu, 0x104, 0xffff_ffff);
        }
        bench
    }

    fn access(&mut self, cpu: usize, at: u64, width: Width, write: Option<u64>) -> u64 {
        let (c, me) = self.places[cpu];
        let (cell, shared, inboxes, vcpu) =
            (&self.cells[c], &self.shared, &self.inboxes, &mut self.vgics[cpu]);
        let rest = once(|machine| GicCtx { machine, vcpu, cell, shared, inboxes, me });
        let value = gicd_access(&mut self.cpus[cpu], cell, rest, at, width, write);
        (0..4).for_each(|cpu| self.run(cpu));
        value
    }

    fn read(&mut self, cpu: usize, at: u64) -> u64 {
        self.access(cpu, at, Width::Word, None)
    }

    fn write(&mut self, cpu: usize, at: u64, value: u64) {
        self.access(cpu, at, Width::Word, Some(value));
    }

    fn run(&mut self, cpu: usize) {
        let cell = &self.cells[self.places[cpu].0];
        for _ in 0..100 {
            if !self.cpus[cpu].0.irq_pending() || cell.is_direct() {
                self.vgics[cpu].flush(&mut self.cpus[cpu], cell);
                if !self.cpus[cpu].0.irq_pending() || cell.is_direct() {
                    return;
                }
            }
            if self.vgics[cpu].on_irq(&mut self.cpus[cpu], cell, &self.shared) == Irq::Kick {
                let requests = self.inboxes[cpu].take();
                self.vgics[cpu].on_requests(&mut self.cpus[cpu], cell, requests);
            }
        }
        panic!("CPU {cpu} never comes to rest");
    }

    /// GICV_IAR: INTID and sender.
    fn acknowledge(&mut self, cpu: usize) -> Option<(u32, u32)> {
        self.run(cpu);
        let iar = self.cpus[cpu].0.guest_acknowledge();
        (iar & 0x3ff < 1020).then_some((iar & 0x3ff, iar >> 10 & 7))
    }

    fn end(&mut self, cpu: usize, intid: u32) {
        self.cpus[cpu].0.guest_end(intid);
        self.run(cpu);
    }

    fn drain(&mut self, cpu: usize) -> Vec<(u32, u32)> {
        let mut taken = vec![];
        while let Some((intid, sender)) = self.acknowledge(cpu) {
            taken.push((intid, sender));
            assert!(taken.len() < 100, "interrupts without end: {taken:?}");
            self.cpus[cpu].0.lower(intid);
            self.end(cpu, intid);
        }
        taken
    }
}

#[test]
fn ppis_stay_levels() {
    let mut bench = Bench::new(false);
    bench.write(0, 0xc04, 0xffff_ffff);
    assert_eq!(bench.access(0, 0xc04, Width::Word, None), 0);
    let hw = bench.cpus[0].0.hw();
    assert!(hw.cpus.iter().all(|cpu| cpu.private[16..].iter().all(|irq| !irq.edge)));
    drop(hw);
    bench.write(0, 0xc08, 0xffff_ffff);
    assert_eq!(bench.access(0, 0xc08, Width::Word, None), 0xaaaa_aaaa);
}

#[test]
fn each_sender_of_an_sgi_is_heard() {
    // 15 is the kick, so it travels as a bit; 3 is physical.
    for sgi in [3, 15] {
        let mut bench = Bench::new(false);
        for from in [0, 1, 2] {
            bench.write(from, 0xf00, 1 << 16 | sgi);
            bench.write(from, 0xf00, 1 << 16 | sgi);
        }
        assert_eq!(bench.read(0, 0xf20 + (sgi & !3)) >> (8 * (sgi & 3)) & 0xff, 0b111, "pending by all");
        let mut taken = bench.drain(0);
        taken.sort_unstable();
        let sgi = sgi as u32;
        assert_eq!(taken, [(sgi, 0), (sgi, 1), (sgi, 2)], "twice by one merges, by three does not");
        assert_eq!(bench.cpus[0].0.hw().faults, [] as [String; 0]);
    }
}

#[test]
fn one_that_comes_again_while_it_is_handled_comes_after_its_end() {
    let mut bench = Bench::new(false);
    bench.write(1, 0xf00, 1 << 16 | 3);
    assert_eq!(bench.acknowledge(0), Some((3, 1)));
    bench.write(1, 0xf00, 1 << 16 | 3);
    bench.write(2, 0xf00, 1 << 16 | 3);
    assert_eq!(bench.acknowledge(0), None, "one of a number is active at a time");
    bench.end(0, 3);
    assert_eq!(bench.drain(0), [(3, 1), (3, 2)]);
}

#[test]
fn sgis_go_to_the_own_cell_alone() {
    let mut bench = Bench::new(false);
    // All, all others, oneself; the list names more CPUs than the cell has.
    for (value, who) in [
        (0xff_0003, [1, 1, 1, 0]),
        (0x100_0003, [1, 0, 1, 0]),
        (0x200_0003, [0, 1, 0, 0]),
        (0x300_0003, [0; 4]),
    ] {
        bench.write(1, 0xf00, value);
        for (cpu, count) in who.into_iter().enumerate() {
            assert_eq!(bench.drain(cpu), vec![(3, 1); count], "{value:#x} at {cpu}");
        }
    }
    bench.write(3, 0xf00, 0xff_0003);
    assert_eq!([0, 1, 2, 3].map(|cpu| bench.drain(cpu).len()), [0, 0, 0, 1]);
}

#[test]
fn pending_sgis_are_set_and_cleared_by_sender() {
    let mut bench = Bench::new(false);
    bench.cpus[0].0.hw().cpus[0].vmcr = 0;
    bench.access(0, 0xf25, Width::Byte, Some(0xff));
    assert_eq!(bench.read(0, 0xf24), 0b111 << 8, "only vCPUs of the cell");
    assert_eq!(bench.read(0, 0x200), 1 << 5);
    bench.access(0, 0xf15, Width::Byte, Some(0b010));
    assert_eq!(bench.read(0, 0xf14), 0b101 << 8);
    // ISPENDR and ICPENDR leave SGIs alone.
    bench.write(0, 0x280, 0xffff);
    bench.write(0, 0x200, 1 << 7);
    assert_eq!(bench.read(0, 0x200), 1 << 5);
    bench.cpus[0].0.guest_enable();
    let mut taken = bench.drain(0);
    taken.sort_unstable();
    assert_eq!(taken, [(5, 0), (5, 2)]);
}

#[test]
fn targets_are_vcpus_of_the_cell() {
    let mut bench = Bench::new(false);
    assert_eq!(bench.read(2, 0x800), 0x0404_0404, "who reads learns its own interface");
    assert_eq!(bench.read(0, 0x820), 0x0101_0101, "to vCPU 0 at first");
    bench.access(0, 0x821, Width::Byte, Some(0xfe));
    assert_eq!(bench.read(1, 0x820), 0x0101_0601, "limited to the cell");
    let mask = bench.cpus[0].0.hw().spis[33].route;
    assert_eq!(mask, 0b0110, "interfaces of CPUs 1 and 2, which are numbered the other way round");
    bench.access(0, 0x821, Width::Byte, Some(0b100));
    bench.cpus[0].0.raise(33);
    assert_eq!((bench.drain(0), bench.drain(1)), (vec![], vec![]));
    assert_eq!(bench.drain(2), [(33, 0)]);
    // A neighbour's, and where there is one CPU.
    bench.access(0, 0x830, Width::Byte, Some(1));
    assert_eq!((bench.read(0, 0x830), bench.read(3, 0x800), bench.read(3, 0x830)), (0, 0, 0));
    assert_eq!(bench.cpus[0].0.hw().spis[48].route, 0b0001, "it still goes to CPU 3");
}

#[test]
fn a_guest_finds_a_gicv2() {
    let mut bench = Bench::new(false);
    assert_eq!(bench.read(0, 0x004), 7 | 2 << 5);
    assert_eq!(bench.read(3, 0x004), 7);
    assert_eq!((bench.read(0, 0xfe8), bench.read(0, 0x000), bench.read(0, 0x080)), (0x20, 1, 0));
    bench.write(0, 0x000, 0);
    bench.cpus[0].0.raise(34);
    assert_eq!((bench.read(1, 0x000), bench.drain(0)), (0, vec![]));
    bench.write(1, 0x000, 3);
    assert_eq!((bench.read(1, 0x000), bench.drain(0)), (1, vec![(34, 0)]));
    assert_eq!((bench.read(0, 0x6100), bench.read(0, 0xffe8)), (0, 0), "nothing of a GICv3's");
}

#[test]
fn timers_are_banked_and_come_again_while_their_line_is_up() {
    let mut bench = Bench::new(false);
    for cpu in [0, 1] {
        bench.write(cpu, 0x180, 1 << 27);
        assert_eq!(bench.read(cpu, 0x100) & 1 << 27, 0);
        bench.write(cpu, 0x100, 1 << 27);
        bench.access(cpu, 0x41b, Width::Byte, Some(0xa0));
        bench.cpus[cpu].0.raise(27);
        for _ in 0..3 {
            assert_eq!(bench.acknowledge(cpu), Some((27, 0)));
            bench.end(cpu, 27);
        }
        assert_eq!(bench.drain(cpu), [(27, 0)]);
        assert_eq!(bench.acknowledge(2), None);
    }
    assert_eq!(bench.cpus[0].0.hw().faults, [] as [String; 0]);
}

#[test]
fn a_virtual_line_reaches_the_first_target() {
    let mut bench = Bench::new(false);
    bench.write(0, 0x100 + 200 / 32 * 4, 1 << (200 % 32));
    bench.access(0, 0x800 + 200, Width::Byte, Some(0b110));
    assert_eq!(bench.access(0, 0x800 + 200, Width::Byte, None), 0b010);
    assert!(bench.wire.set(true));
    bench.vgics[1].look_at_line();
    assert_eq!(bench.acknowledge(1), Some((200, 0)));
    let _ = bench.wire.set(false);
    bench.end(1, 200);
    assert_eq!(bench.drain(1), []);
}

#[test]
fn what_came_for_a_vcpu_that_was_off_is_gone() {
    let mut bench = Bench::new(false);
    bench.vgics[0].park(&mut bench.cpus[0], &bench.cells[0]);
    bench.write(1, 0xf00, 1 << 16 | 3);
    bench.write(1, 0xf00, 1 << 16 | 15);
    bench.inboxes[0].clear();
    bench.vgics[0].start(&mut bench.cpus[0], &bench.cells[0]);
    bench.cpus[0].0.guest_enable();
    bench.write(0, 0x100, 0xffff_ffff);
    assert_eq!(bench.drain(0), []);
}

#[test]
fn one_that_goes_to_several_is_not_taken_where_a_vcpu_is_off() {
    let mut bench = Bench::new(false);
    bench.access(0, 0x821, Width::Byte, Some(0b111));
    for off in [0, 1] {
        bench.vgics[off].park(&mut bench.cpus[off], &bench.cells[0]);
        bench.run(off);
    }
    bench.cpus[2].0.raise(33);
    // Those that are off come first, as any CPU may.
    (0..2).for_each(|cpu| bench.run(cpu));
    assert_eq!(bench.drain(2), [(33, 0)]);
    // One that goes to none that is on waits for it.
    bench.access(2, 0x821, Width::Byte, Some(0b010));
    bench.cpus[2].0.raise(33);
    assert_eq!((bench.drain(0), bench.drain(2)), (vec![], vec![]));
    bench.vgics[1].start(&mut bench.cpus[1], &bench.cells[0]);
    bench.cpus[1].0.guest_enable();
    assert_eq!(bench.drain(1), [(33, 0)]);
    assert_eq!(bench.cpus[0].0.hw().faults, [] as [String; 0]);
}

#[test]
fn a_direct_cpu_is_not_called_while_its_guest_runs() {
    let mut bench = Bench::new(true);
    let kick_pending = |bench: &Bench| bench.cpus[0].0.hw().cpus[0].private[15].latch;
    let call = |bench: &mut Bench| {
        let asked = bench.inboxes[0].post(PcpuId(0), crate::inbox::Request::Counts);
        kick(&mut bench.cpus[3], asked, &bench.shared);
    };
    call(&mut bench);
    assert!(!kick_pending(&bench), "its guest would take it for its own");
    let (mut waiter, caller, inbox) = (bench.cpus[0].clone(), bench.cpus[3].clone(), &bench.inboxes[0]);
    inbox.clear();
    bench.cells[0].wait(&mut waiter, PcpuId(0), || {
        let asked = inbox.post(PcpuId(0), crate::inbox::Request::Counts);
        kick(&mut caller.clone(), asked, &bench.shared);
        assert!(kick_pending(&bench), "it ends the wait");
        !inbox.is_empty()
    });
    assert!(!kick_pending(&bench), "and is gone before the guest goes on");
    // Whoever stops the cell calls all the same.
    bench.cells[0].listen(&mut bench.cpus[3], &bench.shared, PcpuId(0));
    call(&mut bench);
    assert!(kick_pending(&bench));
}
