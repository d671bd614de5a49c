use super::function::*;
use super::{Call, PsciError, decode};
use crate::addr::Ipa;
use crate::cpu::VcpuId;
use crate::smccc;
use crate::vcpu::Frame;
use proptest::prelude::*;

const CPUS: usize = 3;

fn call(x: [u64; 4]) -> Result<Call, PsciError> {
    let mut frame = Frame::default();
    for (n, value) in x.into_iter().enumerate() {
        frame.set(n as u8, value);
    }
    decode(&frame, || CPUS)
}

const DIRT: u64 = 0xdead_beef_0000_0000;

#[test]
fn every_function_and_its_answer() {
    use PsciError::*;
    let on = |target, entry, context| Call::On { target: VcpuId(target), entry: Ipa(entry), context };
    for (x, expected) in [
        ([VERSION as u64, 0, 0, 0], Ok(Call::Version)),
        ([DIRT | VERSION as u64, 0, 0, 0], Ok(Call::Version)),
        ([(VERSION | SMC64) as u64, 0, 0, 0], Err(NotSupported)),
        ([CPU_SUSPEND as u64, 0, 0, 0], Ok(Call::Standby)),
        ([CPU_SUSPEND_64 as u64, DIRT | 0x0300_1234, 0, 0], Ok(Call::Standby)),
        ([CPU_SUSPEND as u64, 1 << 16, 0, 0], Err(InvalidParameters)),
        ([CPU_SUSPEND as u64, 1 << 26, 0, 0], Err(InvalidParameters)),
        ([CPU_OFF as u64, 0, 0, 0], Ok(Call::Off)),
        ([(CPU_OFF | SMC64) as u64, 0, 0, 0], Err(NotSupported)),
        ([CPU_ON_64 as u64, 2, 0x4000_0000, u64::MAX], Ok(on(2, 0x4000_0000, u64::MAX))),
        ([CPU_ON as u64, DIRT | 1, DIRT | 0x4000_0000, DIRT | 7], Ok(on(1, 0x4000_0000, 7))),
        ([CPU_ON_64 as u64, 3, 0x4000_0000, 0], Err(InvalidParameters)),
        ([CPU_ON_64 as u64, 0x8000_0001, 0x4000_0000, 0], Err(InvalidParameters)),
        ([CPU_ON_64 as u64, 0x100, 0x4000_0000, 0], Err(InvalidParameters)),
        ([CPU_ON_64 as u64, u64::MAX, 0x4000_0000, 0], Err(InvalidParameters)),
        ([CPU_ON_64 as u64, 1, 0x4000_0002, 0], Err(InvalidAddress)),
        ([AFFINITY_INFO_64 as u64, 2, DIRT, 0], Ok(Call::AffinityInfo(VcpuId(2)))),
        ([AFFINITY_INFO as u64, DIRT | 2, 0, 0], Ok(Call::AffinityInfo(VcpuId(2)))),
        ([AFFINITY_INFO_64 as u64, DIRT | 2, 0, 0], Err(InvalidParameters)),
        ([AFFINITY_INFO as u64, 2, 1, 0], Err(InvalidParameters)),
        ([AFFINITY_INFO as u64, 3, 0, 0], Err(InvalidParameters)),
        ([0x8400_0005, 0, 0, 0], Err(NotSupported)),
        ([MIGRATE_INFO_TYPE as u64, 0, 0, 0], Ok(Call::MigrateInfoType)),
        ([SYSTEM_OFF as u64, 0, 0, 0], Ok(Call::SystemOff)),
        ([SYSTEM_RESET as u64, 0, 0, 0], Ok(Call::SystemReset)),
        ([SYSTEM_RESET2 as u64, 0, 9, 0], Ok(Call::SystemReset)),
        ([SYSTEM_RESET2_64 as u64, DIRT, 0, 0], Ok(Call::SystemReset)),
        ([SYSTEM_RESET2_64 as u64, 1, 0, 0], Err(InvalidParameters)),
        ([SYSTEM_RESET2_64 as u64, 1 << 31, 0, 0], Err(InvalidParameters)),
        ([FEATURES as u64, DIRT | VERSION as u64, 0, 0], Ok(Call::Features(0))),
        ([FEATURES as u64, 0x8400_000e, 0, 0], Err(NotSupported)),
        ([0x8400_000e, 0, 0, 0], Err(NotSupported)),
    ] {
        assert_eq!(call(x), expected, "{x:x?}");
    }
}

#[test]
fn features_knows_exactly_what_decode_knows() {
    let there = |id: u32| call([id.into(), 0, 0, 0]) != Err(PsciError::NotSupported);
    for low in 0..0x100 {
        for id in [0x8400_0000 | low, 0xc400_0000 | low] {
            let told = call([FEATURES.into(), id.into(), 0, 0]);
            // PSCI_FEATURES of nothing is itself "not supported", but a function all the same.
            assert_eq!(told == Ok(Call::Features(0)), there(id) || id == FEATURES, "{id:#x}");
        }
    }
    assert_eq!(call([FEATURES.into(), smccc::SMCCC_VERSION.into(), 0, 0]), Ok(Call::Features(0)));
}

#[test]
fn codes_are_sign_extended() {
    assert_eq!(PsciError::NotSupported.code(), u64::MAX);
    assert_eq!(PsciError::InvalidAddress.code() as i64, -9);
}

proptest! {
    #[test]
    fn whatever_is_asked_is_answered(id in any::<u32>(), psci in any::<bool>(), x in any::<[u64; 3]>()) {
        let id = if psci { id & 0x4000_001f | 0x8400_0000 } else { id };
        if let Ok(Call::On { target, .. } | Call::AffinityInfo(target)) = call([id.into(), x[0], x[1], x[2]]) {
            prop_assert!(target.index() < CPUS);
        }
    }
}

#[test]
fn firmware_is_asked_what_the_description_allows_and_nothing_else() {
    use crate::cell::tests::{rig, settle, system};

    let (mut system, board) = system();
    system.cells[0].smc_allow = [0xc200_0001].into();
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    let calls =
        [(0, 0xc200_0001, true), (0, 0xc200_0002, false), (0, 0x8200_0001, false), (1, 0xc200_0001, false)];
    for (cell, id, reaches) in calls {
        // The CPU of its vCPU 0, which runs.
        let cpu = cpus.iter_mut().find(|cpu| cpu.vcpu.cell.id.0 == cell && cpu.vcpu.id.0 == 0).unwrap();
        cpu.machine.smcs.clear();
        assert_eq!(cpu.call(id, [1, 2, 3]), -1);
        let wanted: &[[u64; 4]] = if reaches { &[[0xc200_0001, 1, 2, 3]] } else { &[] };
        assert_eq!(cpu.machine.smcs, wanted, "{id:#x}");
    }
}
