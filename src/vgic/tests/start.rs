//! The physical GIC's start, and which SGIs are ours.

use crate::cpu::PcpuId;
use crate::intid::{Ppi, Sgi};
use crate::vgic::fake::{ALARM, FakeGic, MAINTENANCE};
use crate::vgic::physical::{GicError, init_distributor, init_redistributor};
use crate::vgic::*;

fn own() -> OwnPpis {
    OwnPpis { maintenance: Ppi::new(MAINTENANCE).unwrap(), alarm: Ppi::new(ALARM).unwrap() }
}

#[test]
fn firmware_decides_which_sgis_are_ours() {
    let plan = |gic: FakeGic| SgiPlan::probe(&mut gic.split()[0], PcpuId(0));
    assert_eq!(plan(FakeGic::new(1, 4)), Some(SgiPlan { kick: Sgi::new(15).unwrap(), physical: 0x7fff }));
    let secure = FakeGic::new(1, 4).with_secure_side();
    assert_eq!(plan(secure), Some(SgiPlan { kick: Sgi::new(7).unwrap(), physical: 0x7f }));
    let mut hoarder = FakeGic::new(1, 4).with_secure_side();
    hoarder.secure = 0xffff;
    assert_eq!(plan(hoarder), None);
}

#[test]
fn all_is_group_1_and_quiet_after_the_start() {
    for gic in [FakeGic::new(2, 4), FakeGic::new(2, 4).with_secure_side()] {
        let mut before = gic;
        for id in 0..256 {
            let secure = id < 32 && before.secure >> id & 1 != 0;
            let irq = before.irq(0, id).unwrap();
            (irq.enabled, irq.latch, irq.active) = (!secure, !secure, !secure);
        }
        before.ctlr = 1;
        let secure = before.secure;
        let mut cpus = before.split();
        init_distributor(&mut cpus[0]).unwrap();
        let plan = SgiPlan::probe(&mut cpus[0], PcpuId(0)).unwrap();
        init_redistributor(&mut cpus[0], PcpuId(0), &plan, own()).unwrap();
        let mut hw = cpus[0].hw();
        assert_eq!((hw.ctlr, hw.cpus[0].waker, hw.cpus[1].waker), (0x12, 0, 6));
        for id in (0..256).filter(|id| *id >= 32 || secure >> id & 1 == 0) {
            let own = id == plan.kick.intid() || id == MAINTENANCE || id == ALARM;
            let irq = hw.irq(0, id).unwrap();
            assert_eq!((irq.group1, irq.enabled, irq.latch, irq.active), (true, own, false, false), "{id}");
            assert_eq!(irq.priority, if own { 0 } else { 0x10 }, "{id}");
        }
    }
}

#[test]
fn stuck_hardware_is_named() {
    let mut gic = FakeGic::new(1, 4);
    gic.stuck = true;
    let mut cpu = gic.split().remove(0);
    assert_eq!(init_distributor(&mut cpu), Err(GicError::DistributorBusy));
    let plan = SgiPlan { kick: Sgi::new(15).unwrap(), physical: 0 };
    assert_eq!(init_redistributor(&mut cpu, PcpuId(0), &plan, own()), Err(GicError::Asleep(PcpuId(0))));
}

#[test]
fn a_cpu_whose_kick_firmware_keeps_is_named() {
    let mut cpu = FakeGic::new(1, 4).with_secure_side().split().remove(0);
    let plan = SgiPlan { kick: Sgi::new(15).unwrap(), physical: 0 };
    let kept = init_redistributor(&mut cpu, PcpuId(0), &plan, own());
    assert_eq!(kept, Err(GicError::Kept(PcpuId(0), 15)));
}
