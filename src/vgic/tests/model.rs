//! One vCPU against a GIC without list registers: whatever the guest reads, sets and takes, it is the same on both, of either
//! architecture.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::bench::{Bench, SGI};
use crate::ports::{GicVersion, Width};
use crate::vgic::fake::{FakeCpu, FakeGic, FakePorts, FakeV2};
use crate::vgic::lr::Lr;

/// SGIs of both kinds, PPIs, level- and edge-triggered SPIs.
const IDS: [u32; 16] = [0, 3, 7, 15, 27, 30, 32, 33, 34, 35, 36, 37, 38, 47, 64, 79];
/// The SGI that EL2 sends to its CPUs; a guest's is a bit in memory.
const KICK: u32 = 15;
/// Those that are edge-triggered.
const EDGES: [u32; 8] = [0, 3, 7, 15, 34, 35, 36, 79];

#[derive(Clone, Debug, Default)]
struct Irq {
    enabled: bool,
    edge: bool,
    line: bool,
    latch: bool,
    active: bool,
    priority: u8,
}

impl Irq {
    fn pending(&self) -> bool {
        self.latch || self.line
    }
}

/// The GIC as the architecture has it.
#[derive(Default)]
struct Ideal {
    on: bool,
    irqs: BTreeMap<u32, Irq>,
    running: Vec<(u32, u8)>,
}

impl Ideal {
    fn highest(&self) -> Option<u8> {
        let limit = self.running.last().map_or(0xff, |(_, priority)| *priority);
        let ready = self.irqs.values().filter(|irq| irq.enabled && irq.pending() && !irq.active);
        ready.map(|irq| irq.priority).filter(|priority| self.on && *priority < limit).min()
    }
}

#[derive(Clone, Debug)]
enum Op {
    Raise(u32),
    Lower(u32),
    Send(u32),
    Acknowledge,
    End,
    Run,
    Distributor(bool),
    Priority(u32, u8),
    /// A write to one of the registers with a bit for each INTID.
    Bits(u32, Vec<u32>),
}

fn id() -> impl Strategy<Value = u32> {
    (0..IDS.len()).prop_map(|n| IDS[n])
}

fn op() -> impl Strategy<Value = Op> {
    let register = prop_oneof![
        6 => Just(0x100u32), 2 => Just(0x180), 1 => Just(0x200), 1 => Just(0x280), 1 => Just(0x300), 2 => Just(0x380)
    ];
    prop_oneof![
        8 => id().prop_map(Op::Raise),
        2 => id().prop_map(Op::Lower),
        3 => (0..4usize).prop_map(|n| Op::Send(IDS[n])),
        8 => Just(Op::Acknowledge),
        6 => Just(Op::End),
        4 => Just(Op::Run),
        1 => any::<bool>().prop_map(Op::Distributor),
        1 => Just(Op::Distributor(true)),
        3 => (id(), 1..16u8).prop_map(|(id, level)| Op::Priority(id, level << 4)),
        5 => (register, prop::collection::vec(id(), 1..6)).prop_map(|(at, ids)| Op::Bits(at, ids)),
    ]
}

/// The same word of both registers' kinds: `None` is the redistributor's.
fn word_at(id: u32, register: u32) -> u64 {
    u64::from(register) + if id < 32 { SGI } else { u64::from(id / 32 * 4) }
}

struct Pair<G> {
    bench: Bench<G>,
    ideal: Ideal,
}

/// Whether a GICv2 has this bit as it is: its SGIs are always enabled (IHI 0048B 4.3.5 leaves that to each), and pending by who
/// sent them. The one in whose number EL2 calls its CPUs can be disabled, for it is Bulkhead's.
fn is_fixed<G: FakePorts>(id: u32, register: u32) -> bool {
    let enable = register < 0x200;
    G::VERSION == GicVersion::V2 && id < 16 && register < 0x300 && !(enable && id == KICK)
}

impl<G: FakePorts> Pair<G> {
    fn new(gic: FakeGic) -> Self {
        let bench = Bench::<G>::over(gic, &[1]);
        let mut ideal = Ideal::default();
        for id in IDS {
            let edge = EDGES.contains(&id);
            bench.cpus[0].cpu().hw().irq(0, id).unwrap().edge = edge;
            let enabled = G::VERSION == GicVersion::V2 && id < 16;
            ideal.irqs.insert(id, Irq { edge, enabled, priority: 0x10, ..Irq::default() });
        }
        Self { bench, ideal }
    }

    fn access(&mut self, id: u32, register: u32, write: Option<u64>) -> u64 {
        let at = word_at(id, register);
        if id < 32 { self.bench.redist(0, at, write) } else { self.bench.dist(0, at, write) }
    }

    fn act(&mut self, op: &Op) {
        match op {
            // An edge that follows one which waits in a list register comes to the guest as well, where hardware would
            // have made one of the two.
            Op::Raise(id) if *id >= 16 => {
                let irq = self.ideal.irqs.get_mut(id).unwrap();
                // A level and ISPENDR at once become one.
                if !(irq.latch || irq.edge && irq.pending()) {
                    self.bench.cpus[0].cpu().raise(*id);
                    if irq.edge { irq.latch = true } else { irq.line = true }
                }
            }
            // Once it is on its way into a list register, a level that falls is no more seen.
            Op::Lower(id) => {
                let irq = self.ideal.irqs.get_mut(id).unwrap();
                if irq.active || !irq.enabled {
                    self.bench.cpus[0].cpu().lower(*id);
                    irq.line = false;
                }
            }
            Op::Raise(id) | Op::Send(id) => {
                self.bench.send(0, u64::from(*id) << 24 | 1);
                self.ideal.irqs.get_mut(id).unwrap().latch = true;
            }
            Op::Acknowledge => {
                let wanted = self.ideal.highest();
                let taken = self.bench.acknowledge(0);
                let priority = taken.map(|id| {
                    let irq = self.ideal.irqs.get_mut(&id).unwrap();
                    assert!(irq.enabled && irq.pending() && !irq.active, "{id} was not to be taken");
                    (irq.active, irq.latch) = (true, false);
                    self.ideal.running.push((id, irq.priority));
                    irq.priority
                });
                // A guest that nests as deep as there are list registers waits for the next until it ends one.
                let full =
                    self.bench.cpus[0].cpu().hw().cpus[0].lrs.iter().all(|lr| Lr::from(*lr).state().active());
                assert!(
                    priority == wanted || priority.is_none() && full,
                    "took {taken:?}, not one of {wanted:?}"
                );
            }
            Op::End => {
                if let Some((id, _)) = self.ideal.running.pop() {
                    self.bench.cpus[0].cpu().guest_end(id);
                    self.ideal.irqs.get_mut(&id).unwrap().active = false;
                }
            }
            Op::Run => self.bench.run(0),
            Op::Distributor(on) => {
                self.bench.switch(0, *on);
                self.ideal.on = *on;
            }
            Op::Priority(id, priority) => {
                let irq = self.ideal.irqs.get_mut(id).unwrap();
                if irq.pending() || irq.active {
                    return;
                }
                irq.priority = *priority;
                let at = u64::from(0x400 + id) + if *id < 32 { SGI } else { 0 };
                let write = Some(u64::from(*priority));
                self.bench.access(0, *id < 32, at, Width::Byte, write);
            }
            Op::Bits(register, ids) => self.bits(*register, ids),
        }
    }

    fn bits(&mut self, register: u32, ids: &[u32]) {
        // Words are written whole, so ids that share one go together.
        let mut words = BTreeMap::<u32, u32>::new();
        for id in ids {
            if register == 0x200 && self.ideal.irqs[id].line {
                continue;
            }
            // Its handler would end what it did not begin; and the kick's number is never made active from outside.
            let out =
                register == 0x300 && (*id == KICK || self.ideal.running.iter().any(|(other, _)| other == id));
            if !out {
                *words.entry(id / 32).or_default() |= 1 << (id % 32);
            }
        }
        for (word, bits) in words {
            self.access(word * 32, register, Some(u64::from(bits)));
            for (id, irq) in
                self.ideal.irqs.iter_mut().filter(|(id, _)| *id / 32 == word && bits >> (*id % 32) & 1 != 0)
            {
                if is_fixed::<G>(*id, register) {
                    continue;
                }
                match register {
                    0x100 => irq.enabled = true,
                    0x180 => irq.enabled = false,
                    0x200 => irq.latch = true,
                    0x280 => irq.latch = false,
                    0x300 => irq.active = true,
                    _ => irq.active = false,
                }
            }
        }
    }

    fn compare(&mut self) {
        for register in [0x100, 0x180, 0x200, 0x280, 0x300, 0x380] {
            for word in 0..3 {
                let bit = |irq: &Irq| match register {
                    0x100 | 0x180 => irq.enabled,
                    0x200 | 0x280 => irq.pending(),
                    _ => irq.active,
                };
                let ids = self.ideal.irqs.iter().filter(|(id, irq)| *id / 32 == word && bit(irq));
                // Those that are not of this test, too.
                let sgis = word == 0 && register < 0x200 && is_fixed::<G>(0, register);
                let wanted = ids.fold(u64::from(sgis) * 0x7fff, |set, (id, _)| set | 1 << (id % 32));
                assert_eq!(
                    self.access(word * 32, register, None),
                    wanted,
                    "register {register:#x}, word {word}"
                );
            }
        }
        self.bench.no_faults();
    }

    /// Ends all and takes what is left: every interrupt that is due arrives.
    fn drain(&mut self) {
        self.act(&Op::Distributor(true));
        for register in [0x100, 0x380] {
            self.act(&Op::Bits(register, IDS.to_vec()));
        }
        for _ in 0..100 {
            self.act(&Op::Acknowledge);
            if self.ideal.running.is_empty() {
                break;
            }
            IDS.iter().filter(|id| **id >= 16).for_each(|id| self.act(&Op::Lower(*id)));
            self.act(&Op::End);
        }
        assert!(self.ideal.irqs.values().all(|irq| !irq.pending() && !irq.active));
        self.compare();
    }
}

/// On a GICv3, and on a GICv2 of either kind.
fn follow(lrs: usize, ops: &[Op]) {
    follow_on::<FakeCpu>(FakeGic::new(1, lrs), ops);
    follow_on::<FakeV2>(FakeGic::new(1, lrs), ops);
    follow_on::<FakeV2>(FakeGic { forgetful: true, ..FakeGic::new(1, lrs) }, ops);
}

fn follow_on<G: FakePorts>(gic: FakeGic, ops: &[Op]) {
    let mut pair = Pair::<G>::new(gic);
    for op in ops {
        pair.act(op);
        pair.compare();
    }
    pair.drain();
}

proptest! {
    #![proptest_config(super::bench::cases(40))]

    #[test]
    fn a_vcpu_cannot_tell_it_from_hardware(lrs in 1usize..5, ops in prop::collection::vec(op(), 1..150)) {
        follow(lrs, &ops);
    }
}

/// The guest handles SGI 15 when SPI 79, which is higher, finds no list register, and then 15 comes again.
fn an_sgi_comes_again_while_a_higher_waits() -> Vec<Op> {
    let mut ops = vec![Op::Distributor(true), Op::Priority(15, 0x20)];
    ops.extend([Op::Bits(0x100, vec![15]), Op::Bits(0x100, vec![79])]);
    ops.extend([Op::Send(15), Op::Acknowledge, Op::Raise(79), Op::Run, Op::Send(15)]);
    ops
}

#[test]
fn an_sgi_that_came_again_lets_a_higher_go_first_once_ended() {
    let mut ops = an_sgi_comes_again_while_a_higher_waits();
    ops.extend([Op::End, Op::Acknowledge]);
    follow(1, &ops);
}

#[test]
fn an_sgi_that_came_again_lets_a_higher_go_first_once_made_inactive() {
    let mut ops = an_sgi_comes_again_while_a_higher_waits();
    ops.extend([Op::Bits(0x380, vec![15]), Op::Acknowledge]);
    follow(1, &ops);
}

#[test]
fn a_higher_that_comes_after_an_sgi_came_again_goes_first() {
    let mut ops = an_sgi_comes_again_while_a_higher_waits();
    let again = ops.pop().unwrap();
    ops.insert(ops.len() - 2, again);
    ops.extend([Op::End, Op::Acknowledge]);
    follow(1, &ops);
}

/// An INTID must not be in two list registers (IHI 0069H 12.4.6): the fake GIC would tell.
#[test]
fn an_sgi_that_came_again_joins_its_own_list_register() {
    let mut ops = vec![Op::Distributor(true)];
    for (id, priority) in [(15, 0x40), (34, 0x30), (79, 0x20), (35, 0x20)] {
        ops.extend([Op::Priority(id, priority), Op::Bits(0x100, vec![id])]);
    }
    ops.extend([Op::Send(15), Op::Acknowledge, Op::Raise(34), Op::Acknowledge]);
    // Both list registers are active.
    ops.extend([Op::Raise(79), Op::Run, Op::Send(15), Op::Run]);
    // The second becomes empty, and both of those that wait find room.
    ops.extend([
        Op::End,
        Op::Run,
        Op::Acknowledge,
        Op::Raise(35),
        Op::Run,
        Op::End,
        Op::Acknowledge,
        Op::End,
    ]);
    ops.extend([Op::End, Op::Acknowledge]);
    follow(2, &ops);
}
