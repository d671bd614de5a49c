//! Interrupts on their way to a guest.

use super::bench::{Bench, SGI};
use crate::ports::Width;
use crate::vgic::fake::FakeGic;

fn one(lrs: usize) -> Bench {
    let mut bench = Bench::new(FakeGic::new(1, lrs), &[1]);
    bench.enable_all(0);
    bench
}

#[test]
fn a_timer_interrupt_goes_in_and_comes_back() {
    let mut bench = one(4);
    bench.cpus[0].raise(27);
    assert_eq!(bench.acknowledge(0), Some(27));
    assert!(bench.cpus[0].hw().cpus[0].private[27].active);
    assert_eq!(bench.acknowledge(0), None, "the line is still up, but the interrupt is active");
    bench.end(0, 27);
    assert_eq!(bench.acknowledge(0), Some(27), "a level that was not lowered comes again");
    bench.cpus[0].lower(27);
    bench.end(0, 27);
    assert_eq!(bench.acknowledge(0), None);
    bench.no_faults();
}

#[test]
fn more_interrupts_than_list_registers_all_arrive_in_order() {
    for lrs in [1, 2, 4] {
        let mut bench = one(lrs);
        for id in 0..16 {
            bench.access(0, false, 0x420 + id, Width::Byte, Some(0xf0 - 0x10 * (id % 8)));
        }
        let rising: Vec<u32> = (32..48).collect();
        rising.iter().for_each(|id| {
            bench.cpus[0].raise(*id);
            bench.run(0);
        });
        let taken = bench.drain(0);
        let mut expected = rising.clone();
        expected.sort_by_key(|id| 7 - (id - 32) % 8);
        let level = |ids: &[u32]| ids.iter().map(|id| 7 - (id - 32) % 8).collect::<Vec<_>>();
        assert_eq!(level(&taken), level(&expected), "{lrs}");
        assert_eq!(bench.cpus[0].hw().cpus[0].hcr, 1, "no maintenance is left armed");
        bench.no_faults();
    }
}

#[test]
fn a_guest_that_nests_deeper_than_its_list_registers_is_served() {
    for lrs in [1, 2, 4] {
        let mut bench = one(lrs);
        let mut stack = vec![];
        for n in 0..8 {
            bench.access(0, false, 0x420 + n, Width::Byte, Some(0xe0 - 0x10 * n));
            bench.cpus[0].raise(32 + n as u32);
            if let Some(id) = bench.acknowledge(0) {
                stack.push(id);
            }
        }
        assert_eq!(stack.len(), lrs);
        let mut seen = stack.clone();
        while let Some(id) = stack.pop() {
            bench.cpus[0].lower(id);
            bench.end(0, id);
            // One list register is free: the highest that waits is there at once.
            while let Some(next) = bench.acknowledge(0) {
                seen.push(next);
                stack.push(next);
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (32..40).collect::<Vec<_>>());
        assert!((32..40).all(|id| !bench.cpus[0].hw().spis[id].active));
        bench.no_faults();
    }
}

#[test]
fn sgis_of_both_kinds_merge_and_become_active_and_pending() {
    // 15 is the kick, so it travels as a bit; 3 is physical.
    for sgi in [3, 15] {
        let mut bench = one(4);
        let to_self = |bench: &mut Bench| bench.send(0, sgi << 24 | 1);
        to_self(&mut bench);
        bench.run(0);
        to_self(&mut bench);
        assert_eq!(bench.acknowledge(0), Some(sgi as u32));
        assert_eq!(bench.redist(0, SGI + 0x300, None), 1 << sgi);
        to_self(&mut bench);
        bench.run(0);
        to_self(&mut bench);
        bench.run(0);
        assert_eq!(bench.redist(0, SGI + 0x200, None), 1 << sgi);
        assert_eq!(bench.redist(0, SGI + 0x300, None), 1 << sgi);
        assert_eq!(bench.acknowledge(0), None);
        bench.end(0, sgi as u32);
        assert_eq!(bench.drain(0), [sgi as u32]);
        bench.no_faults();
    }
}

#[test]
fn an_sgi_sent_while_disabled_waits() {
    for sgi in [3, 15] {
        let mut bench = one(4);
        bench.redist(0, SGI + 0x180, Some(1 << sgi));
        bench.send(0, sgi << 24 | 1);
        assert_eq!(bench.acknowledge(0), None);
        assert_eq!(bench.redist(0, SGI + 0x200, None), 1 << sgi);
        bench.redist(0, SGI + 0x100, Some(1 << sgi));
        assert_eq!(bench.drain(0), [sgi as u32]);
        // In a list register, then disabled: still pending, but not delivered.
        bench.send(0, sgi << 24 | 1);
        bench.run(0);
        bench.redist(0, SGI + 0x180, Some(1 << sgi));
        assert_eq!(bench.acknowledge(0), None);
        assert_eq!(bench.redist(0, SGI + 0x200, None), 1 << sgi);
        bench.redist(0, SGI + 0x280, Some(1 << sgi));
        bench.redist(0, SGI + 0x100, Some(1 << sgi));
        assert_eq!(bench.drain(0), []);
    }
}

#[test]
fn list_registers_read_as_what_they_are() {
    let mut bench = one(4);
    bench.edge(0, 34);
    bench.cpus[0].raise(34);
    bench.run(0);
    assert_eq!((bench.dist(0, 0x204, None), bench.dist(0, 0x304, None)), (4, 0), "pending, not active");
    bench.dist(0, 0x204, Some(4));
    bench.dist(0, 0x384, Some(4));
    assert_eq!((bench.dist(0, 0x204, None), bench.dist(0, 0x304, None)), (4, 0));
    assert_eq!(bench.drain(0), [34], "set pending while pending, and ended while not active: once");
    bench.cpus[0].raise(34);
    bench.run(0);
    bench.dist(0, 0x284, Some(4));
    assert_eq!(bench.drain(0), [], "cleared");
    bench.cpus[0].raise(34);
    bench.run(0);
    bench.dist(0, 0x184, Some(4));
    assert_eq!(bench.drain(0), [], "disabled");
    assert_eq!(bench.dist(0, 0x204, None), 4);
    bench.dist(0, 0x104, Some(4));
    assert_eq!(bench.acknowledge(0), Some(34), "an edge outlives the disabling");
    assert_eq!((bench.dist(0, 0x204, None), bench.dist(0, 0x304, None)), (0, 4));
    bench.cpus[0].raise(34);
    assert_eq!((bench.dist(0, 0x204, None), bench.dist(0, 0x304, None)), (4, 4), "active and pending");
    bench.dist(0, 0x384, Some(4));
    assert_eq!((bench.dist(0, 0x204, None), bench.dist(0, 0x304, None)), (4, 0));
    bench.end(0, 34);
    assert_eq!(bench.drain(0), [34]);
    bench.no_faults();
}

#[test]
fn isactiver_blocks_until_icactiver() {
    let mut bench = one(4);
    bench.edge(0, 35);
    bench.dist(0, 0x304, Some(8));
    bench.cpus[0].raise(35);
    assert_eq!((bench.acknowledge(0), bench.dist(0, 0x304, None)), (None, 8));
    bench.dist(0, 0x384, Some(8));
    bench.run(0);
    // Now from a list register.
    bench.dist(0, 0x304, Some(8));
    assert_eq!((bench.acknowledge(0), bench.dist(0, 0x204, None), bench.dist(0, 0x304, None)), (None, 8, 8));
    bench.dist(0, 0x384, Some(8));
    assert_eq!((bench.drain(0), bench.dist(0, 0x304, None)), (vec![35], 0));
    bench.no_faults();
}

#[test]
fn a_disabled_distributor_hands_out_nothing_and_loses_nothing() {
    let mut bench = one(4);
    bench.dist(0, 0, Some(0));
    (32..42).for_each(|id| bench.cpus[0].raise(id));
    bench.send(0, 5 << 24 | 1);
    assert_eq!(bench.acknowledge(0), None);
    assert_eq!((bench.dist(0, 0x204, None), bench.redist(0, SGI + 0x200, None)), (0x3ff, 1 << 5));
    bench.dist(0, 0, Some(2));
    assert_eq!(bench.drain(0).len(), 11);
    bench.no_faults();
}

#[test]
fn a_foreign_interrupt_is_masked_and_told() {
    let mut bench = one(4);
    for id in [28, 100] {
        bench.cpus[0].hw().irq(0, id).unwrap().enabled = true;
        bench.cpus[0].raise(id);
    }
    assert_eq!(bench.drain(0), []);
    bench.foreign.sort_unstable();
    assert_eq!(bench.foreign, [28, 100]);
    let mut hw = bench.cpus[0].hw();
    assert!([28, 100].iter().all(|id| !hw.irq(0, *id).unwrap().enabled && !hw.irq(0, *id).unwrap().active));
}

#[test]
fn ds_0_works_with_the_sgis_that_are_left() {
    let mut bench = Bench::new(FakeGic::new(2, 4).with_secure_side(), &[2]);
    bench.enable_all(0);
    bench.enable_private(1);
    for sgi in 0..16 {
        bench.send(0, sgi << 24 | 2);
        assert_eq!(bench.drain(1), [sgi as u32]);
    }
    bench.cpus[0].raise(40);
    assert_eq!(bench.drain(0), [40]);
    assert_eq!(bench.dist(0, 0x420, None), 0xa0a0_a0a0);
    bench.no_faults();
}
