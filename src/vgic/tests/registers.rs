//! Register by register.

use super::bench::{Bench, PPIS, SGI};
use crate::ports::Width;
use crate::vgic::fake::FakeGic;

/// Two cells: CPUs 0 and 1, CPUs 2 and 3. Cell 0 has SPIs 32 to 47 and 64 to 79.
fn bench() -> Bench {
    Bench::new(FakeGic::new(4, 4), &[2, 2])
}

fn wide(bench: &mut Bench, at: u64, write: Option<u64>) -> u64 {
    bench.access(0, false, at, Width::Double, write)
}

#[test]
fn control_is_the_cells_own() {
    let mut bench = bench();
    assert_eq!(bench.dist(0, 0, None), 0x50);
    bench.dist(0, 0, Some(0xffff_ffff));
    assert_eq!(bench.dist(0, 0, None), 0x53);
    assert_eq!(bench.dist(2, 0, None), 0x50);
    assert_eq!(bench.cpus[0].hw().ctlr, 0x12);
    bench.settle();
    let enabled =
        |bench: &Bench| bench.cpus.iter().map(|cpu| cpu.hw().cpus[cpu.me].hcr & 1).collect::<Vec<_>>();
    assert_eq!(enabled(&bench), [1, 1, 0, 0]);
    bench.dist(1, 0, Some(1));
    bench.settle();
    assert_eq!(enabled(&bench), [0, 0, 0, 0]);
    bench.cpus[0].hw().stuck = true;
    assert_eq!(bench.dist(0, 0, None), 0x8000_0051);
}

#[test]
fn identity_is_a_plain_gicv3() {
    let mut bench = bench();
    assert_eq!(bench.dist(0, 4, None), 7 | 9 << 19 | 1 << 25);
    assert_eq!(bench.dist(0, 8, None), 0x4200_0000);
    assert_eq!(bench.dist(0, 0xffe8, None) >> 4 & 0xf, 3);
    assert_eq!(bench.redist(0, 4, None), 0x4200_0000);
    assert_eq!(bench.redist(0, 0xffe8, None) >> 4 & 0xf, 3);
    assert_eq!(bench.redist(0, 0, Some(1)) | bench.redist(0, 0, None), 0);
    // The second cell's frames begin anew.
    let typer = |bench: &mut Bench, at| bench.access(2, true, at, Width::Double, None);
    assert_eq!(typer(&mut bench, 0x0_0008), 0);
    assert_eq!(typer(&mut bench, 0x2_0008), 1 << 32 | 1 << 8 | 1 << 4);
    assert_eq!(bench.redist(2, 0x2_000c, None), 1);
    assert_eq!(typer(&mut bench, 0x4_0008), 0);
}

#[test]
fn a_redistributor_wakes_when_told() {
    let mut bench = bench();
    assert_eq!(bench.redist(0, 0x2_0014, None), 6);
    bench.redist(0, 0x2_0014, Some(0));
    assert_eq!((bench.redist(0, 0x2_0014, None), bench.redist(0, 0x14, None)), (0, 6));
    bench.redist(0, 0x2_0014, Some(2));
    assert_eq!(bench.redist(0, 0x2_0014, None), 6);
    assert_eq!(bench.cpus[0].hw().cpus[1].waker, 0);
}

#[test]
fn bits_are_masked_by_ownership() {
    let mut bench = bench();
    for register in [0x100, 0x200, 0x300] {
        bench.dist(0, register + 4, Some(0xffff_ffff));
        assert_eq!(bench.dist(0, register + 4, None), 0xffff, "{register:#x}");
        assert_eq!(bench.dist(0, register + 0x84, None), 0xffff, "{register:#x}");
        assert_eq!(bench.dist(2, register + 4, None), 0, "{register:#x}");
        bench.dist(2, register + 0x84, Some(0xffff_ffff));
        assert_eq!(bench.dist(0, register + 4, None), 0xffff, "{register:#x}");
        bench.dist(0, register + 0x84, Some(0x00ff));
        assert_eq!(bench.dist(0, register + 4, None), 0xff00, "{register:#x}");
        bench.dist(0, register, Some(0xffff_ffff));
        assert_eq!(bench.dist(0, register, None), 0, "word 0 is the redistributors'");
    }
    assert_eq!(bench.dist(0, 0x84, None), 0xffff);
    assert_eq!(bench.dist(0, 0x80, None), 0);
    bench.no_faults();
}

#[test]
fn private_bits_are_masked_by_ownership() {
    let mut bench = bench();
    let all = u64::from(PPIS) | 0xffff;
    assert_eq!(bench.redist(0, SGI + 0x80, None), all);
    bench.redist(0, SGI + 0x100, Some(0xffff_ffff));
    assert_eq!(bench.redist(0, SGI + 0x100, None), all);
    assert_eq!(bench.redist(0, SGI + 0x180, None), all);
    bench.redist(0, SGI + 0x180, Some(0xffff_ffff));
    assert_eq!(bench.redist(0, SGI + 0x100, None), 0);
    for register in [0x200, 0x300] {
        bench.redist(0, (1 << 17) + SGI + register, Some(0xffff_ffff));
    }
    // SGI 15 is the kick: what the guest takes for it is software, and cannot be made active from outside.
    assert_eq!(bench.redist(0, (1 << 17) + SGI + 0x200, None), all);
    assert_eq!(bench.redist(0, (1 << 17) + SGI + 0x300, None), all & !(1 << 15));
    let hw = bench.cpus[0].hw();
    for cpu in 0..2 {
        let private = &hw.cpus[cpu].private;
        // The kick, maintenance and EL2's timer.
        for own in [15, 25, 26] {
            let irq = &private[own];
            assert!(irq.enabled && !irq.active && irq.priority == 0 && (own == 15 || !irq.latch), "{own}");
        }
        assert!(!private[28].enabled);
    }
}

#[test]
fn priorities_keep_below_those_of_el2() {
    let mut bench = bench();
    bench.dist(0, 0x420, Some(0xf0a0_5000));
    assert_eq!(bench.dist(0, 0x420, None), 0xf0a0_5010);
    // 0xf0 is signalled where there are 5 bits: it must not become 0xf8, the lowest of all, which never is.
    for (intid, physical) in [(32, 0x10), (33, 0x50), (34, 0xa0), (35, 0xf0)] {
        assert_eq!(bench.cpus[0].hw().irq(0, intid).unwrap().priority, physical);
    }
    bench.access(0, false, 0x421, Width::Byte, Some(0xff));
    assert_eq!(bench.dist(0, 0x420, None), 0xf0a0_f810);
    // 46 to 49: two of them are the neighbour's.
    bench.dist(2, 0x430, Some(0x1010_1010));
    bench.dist(0, 0x430, Some(0xffff_ffff));
    bench.dist(0, 0x410, Some(0xffff_ffff));
    assert_eq!((bench.dist(0, 0x430, None), bench.dist(2, 0x430, None)), (0, 0x1010_1010));
    bench.redist(0, SGI + 0x40c, Some(0x3020_1000));
    assert_eq!(bench.redist(0, SGI + 0x40c, None), 0x3020_1010);
    bench.redist(0, SGI + 0x418, Some(0xffff_ffff));
    assert_eq!(bench.redist(0, SGI + 0x418, None), 0xf800_0000, "of INTIDs 24 to 27 only 27 is the guest's");
    assert_eq!(bench.cpus[0].hw().cpus[0].private[15].priority, 0);
}

#[test]
fn configuration_is_read_modify_write() {
    let mut bench = bench();
    bench.dist(2, 0xc0c, Some(0xffff_ffff));
    bench.dist(0, 0xc08, Some(0xffff_ffff));
    bench.dist(0, 0xc0c, Some(0));
    assert_eq!((bench.dist(0, 0xc08, None), bench.dist(0, 0xc0c, None)), (0xaaaa_aaaa, 0));
    assert_eq!(bench.dist(2, 0xc0c, None), 0xaaaa_aaaa);
    assert_eq!((bench.dist(0, 0xc00, Some(0)), bench.dist(0, 0xc00, None)), (0, 0));
    bench.redist(0, SGI + 0xc00, Some(0));
    bench.redist(0, SGI + 0xc04, Some(0xffff_ffff));
    assert_eq!(bench.redist(0, SGI + 0xc00, None), 0xaaaa_aaaa);
    assert_eq!(bench.redist(0, SGI + 0xc04, None), 2 << 14 | 2 << 22 | 2 << 28);
}

#[test]
fn routes_are_translated_and_stay_inside_the_cell() {
    let mut bench = Bench::new(FakeGic::new(7, 4), &[5, 2]);
    // CPU 4 has affinity 0x100 and is vCPU 4; CPU 5 is the neighbour's vCPU 0.
    let at = 0x6000 + 8 * 33;
    assert_eq!(wide(&mut bench, at, None), 0);
    wide(&mut bench, at, Some(4));
    assert_eq!(wide(&mut bench, at, None), 4);
    assert_eq!(bench.cpus[0].hw().spis[33].route, 0x100);
    for nowhere in [5, 0x100, 0x101, 1 << 32, 1 << 16, 1 << 40, 0x4000_0000] {
        wide(&mut bench, at, Some(nowhere));
        assert_eq!(wide(&mut bench, at, None), 4, "{nowhere:#x}");
    }
    bench.dist(0, at, Some(2));
    assert_eq!((bench.dist(0, at, None), bench.dist(0, at + 4, None)), (2, 0));
    bench.dist(0, at + 4, Some(7));
    bench.dist(0, at + 4, Some(0));
    assert_eq!(wide(&mut bench, at, None), 2);
    wide(&mut bench, at, Some(1 << 31 | 3));
    assert_eq!(wide(&mut bench, at, None), 0);
    // A foreign SPI has no route here.
    let before = bench.cpus[0].hw().spis[50].route;
    wide(&mut bench, 0x6000 + 8 * 50, Some(1));
    assert_eq!((wide(&mut bench, 0x6000 + 8 * 50, None), bench.cpus[0].hw().spis[50].route), (0, before));
    assert_eq!(before, bench.cpus[5].hw().cpus[5].affinity.get());
}

#[test]
fn message_registers_reach_own_spis_only() {
    let mut bench = bench();
    for intid in [33, 49, 3, 27, 0x1fff] {
        bench.dist(0, 0x40, Some(intid));
    }
    assert_eq!((bench.dist(0, 0x204, None), bench.dist(2, 0x204, None)), (2, 0));
    bench.access(0, false, 0x48, Width::Half, Some(33));
    assert_eq!(bench.dist(0, 0x204, None), 0);
}

#[test]
fn what_is_not_there_reads_zero_and_what_is_crooked_is_refused() {
    let mut bench = bench();
    for at in
        [0xc, 0x10, 0x50, 0x7c, 0x800, 0x8fc, 0xd04, 0xe00, 0xf00, 0xf10, 0x1000, 0x5ffc, 0x7fe0, 0xfffc]
    {
        bench.dist(0, at, Some(0xffff_ffff));
        assert_eq!(bench.dist(0, at, None), 0, "{at:#x}");
    }
    for at in [
        0x10,
        0x70,
        0x78,
        0x80,
        0x100,
        0x1_0000,
        0x1_0104,
        0x1_0420,
        0x1_0c08,
        0x1_0d00,
        0x4_0100,
        0xffff_ff00,
    ] {
        bench.redist(0, at, Some(0xffff_ffff));
        assert_eq!(bench.redist(0, at, None), 0, "{at:#x}");
    }
    // Widths that a register does not have.
    bench.dist(0, 0x104, Some(0xff));
    for (at, width) in
        [(0x104, Width::Byte), (0x100, Width::Double), (0x104, Width::Half), (0x420, Width::Half)]
    {
        assert_eq!(bench.access(0, false, at, width, None), 0);
        assert_eq!(bench.access(0, false, at, width, Some(!0)), 0);
    }
    assert_eq!(bench.dist(0, 0x104, None), 0xff);
}
