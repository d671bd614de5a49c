//! The calling convention's own functions, SMCCC 1.2 (DEN0028E), and those of a hypervisor's vendor.

use crate::exits::Exits;
use crate::ports::Firmware;
use crate::psci::{self, PsciError};
use crate::vcpu::Frame;

/// SMCCC_VERSION.
pub const SMCCC_VERSION: u32 = 0x8000_0000;
/// SMCCC_ARCH_FEATURES.
pub const ARCH_FEATURES: u32 = 0x8000_0001;
/// SMCCC_ARCH_WORKAROUND_1 (Spectre variant 2).
pub const WORKAROUND_1: u32 = 0x8000_8000;
/// SMCCC_ARCH_WORKAROUND_2 (Spectre variant 4).
pub const WORKAROUND_2: u32 = 0x8000_7fff;
/// SMCCC_ARCH_WORKAROUND_3 (Spectre-BHB).
pub const WORKAROUND_3: u32 = 0x8000_3fff;
/// The UID query of the vendor-specific hypervisor service (DEN0028E 6.2).
pub const VENDOR_HYP_UID: u32 = 0x8600_ff01;

/// Bulkhead's own: how often the vCPU that asks has left its guest for the reason of number x1 ([`crate::exits::Reason`]). 0 and
/// the count in x1, or INVALID_PARAMETER.
pub const EXITS: u32 = 0xc600_0000;

/// INVALID_PARAMETER (DEN0028E 7.1).
const INVALID_PARAMETER: u64 = -3i64 as u64;

/// Whether a function ID is one of a board's own services, SiP or OEM, and a fast call (DEN0028E 2.5 and 6.1): bit 31, the owner in
/// 29:24, and nothing in 23:16. Arm's own, PSCI and SDEI among them, are Bulkhead's to answer; those of trusted applications and
/// OSes, and yielding calls, speak to something that knows one caller only, and runs for as long as it likes.
pub fn is_service_of_board(id: u32) -> bool {
    const SIP: u32 = 2;
    const OEM: u32 = 3;
    id >> 31 == 1 && id & 0x00ff_0000 == 0 && matches!(id >> 24 & 0x3f, SIP | OEM)
}

/// What SMCCC_VERSION answers: 1.2.
const VERSION: u64 = 0x1_0002;
/// SMCCC 1.1, the first with SMCCC_ARCH_FEATURES.
const FIRST_WITH_FEATURES: u64 = 0x1_0001;
/// PSCI 1.0, the first with PSCI_FEATURES.
const PSCI_1_0: u64 = 0x1_0000;

/// The UUID 9f4b1d7a-52c6-4e0b-8a3d-6e17c0b25f84: Bulkhead. DEN0028E 6.2: its bytes in order, little-endian in w0 to w3.
const UID: [u64; 4] = [0x7a1d_4b9f, 0x0b4e_c652, 0x176e_3d8a, 0x845f_b2c0];

/// What firmware says of the workarounds on one CPU. CPUs of one machine may differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Workarounds {
    /// The answer of SMCCC_ARCH_FEATURES to each, where it is not negative: 0 has effect here, 1 has none.
    first: Option<u8>,
    second: Option<u8>,
    third: Option<u8>,
}

impl Workarounds {
    /// Asks firmware, if the machine has any that takes SMCs (`smc`: the board's PSCI says so); one that has none would
    /// take an SMC for an undefined instruction, or hang.
    pub fn probe(firmware: &mut impl Firmware, smc: bool) -> Self {
        if !smc {
            return Self::default();
        }
        let mut ask = |id: u32, x1: u32| {
            let [x0, ..] = firmware.smc([id.into(), x1.into(), 0, 0]);
            // Answers are 32-bit and signed; negative ones are refusals.
            i32::try_from(x0 as u32).ok().map(|answer| answer as u64)
        };
        let at_least = |answer: Option<u64>, least: u64| answer.is_some_and(|a| a >= least);
        if !at_least(ask(psci::function::VERSION, 0), PSCI_1_0)
            || ask(psci::function::FEATURES, SMCCC_VERSION).is_none()
            || !at_least(ask(SMCCC_VERSION, 0), FIRST_WITH_FEATURES)
        {
            return Self::default();
        }
        let mut workaround = |id| ask(ARCH_FEATURES, id).and_then(|answer| u8::try_from(answer).ok());
        Self {
            first: workaround(WORKAROUND_1),
            second: workaround(WORKAROUND_2),
            third: workaround(WORKAROUND_3),
        }
    }

    fn of(&self, id: u32) -> Option<u8> {
        match id {
            WORKAROUND_1 => self.first,
            WORKAROUND_2 => self.second,
            WORKAROUND_3 => self.third,
            _ => None,
        }
    }

    /// Switches the mitigation of variant 4 back on, as a CPU starts with: the former guest may have switched it off.
    pub fn reset(&self, firmware: &mut impl Firmware) {
        if self.second == Some(0) {
            firmware.smc([WORKAROUND_2.into(), 1, 0, 0]);
        }
    }
}

/// An Arm Architecture Call (0x8000_0000 and on): x0, or -1.
pub fn architecture(frame: &Frame, workarounds: &Workarounds, firmware: &mut impl Firmware) -> u64 {
    let unknown = PsciError::NotSupported.code();
    match frame.get(0) as u32 {
        SMCCC_VERSION => VERSION,
        ARCH_FEATURES => match frame.get(1) as u32 {
            SMCCC_VERSION | ARCH_FEATURES => 0,
            id => workarounds.of(id).map_or(unknown, u64::from),
        },
        id if workarounds.of(id).is_some() => {
            // None of the three returns anything (DEN0028E 7.5 to 7.7).
            firmware.smc([id.into(), u64::from(frame.get(1) as u32), 0, 0]);
            0
        }
        _ => unknown,
    }
}

/// A vendor-specific hypervisor call (0x8600_0000 and on): x0, or -1; x1 to x3 are written where the function has them.
pub fn vendor_hypervisor(frame: &mut Frame) -> u64 {
    if frame.get(0) as u32 != VENDOR_HYP_UID {
        return PsciError::NotSupported.code();
    }
    let [x0, x1, x2, x3] = UID;
    frame.set(1, x1);
    frame.set(2, x2);
    frame.set(3, x3);
    x0
}

/// [`EXITS`]: x0.
pub fn exits(frame: &mut Frame, exits: &Exits) -> u64 {
    let Some(count) = exits.visible(frame.get(1)) else { return INVALID_PARAMETER };
    frame.set(1, count);
    0
}

/// One of the calls that the cell may make of firmware: x0, with x1 to x3 as firmware leaves them. An SMC32 call has 32 bits of each
/// (DEN0028E 3.1).
pub fn forward(frame: &mut Frame, firmware: &mut impl Firmware) -> u64 {
    let wide = frame.get(0) as u32 & psci::function::SMC64 != 0;
    let mut args = [0; 8];
    for (n, arg) in (0..).zip(&mut args) {
        let value = frame.get(n);
        *arg = if wide { value } else { u64::from(value as u32) };
    }
    // x0 has a function ID in its lower half, whatever the guest left above.
    args[0] = u64::from(frame.get(0) as u32);
    let [x0, x1, x2, x3] = firmware.forward(args);
    frame.set(1, x1);
    frame.set(2, x2);
    frame.set(3, x3);
    x0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_of_the_board_and_nothing_else() {
        for id in [0x8200_0000, 0xc200_0001, 0x8300_ffff, 0xc300_0000] {
            assert!(is_service_of_board(id), "{id:#x}");
        }
        // Arm, CPU, PSCI, hypervisor, a yielding call, a trusted application and OS, SVE's bit, reserved bits.
        for id in [
            0x8000_8000,
            0x8100_0000,
            0x8400_0008,
            0xc400_0003,
            0x8600_ff01,
            0xc600_0000,
            0x4200_0001,
            0xb000_0000,
            0xb200_0000,
            0xc201_0000,
            0xc280_0000,
            0,
        ] {
            assert!(!is_service_of_board(id), "{id:#x}");
        }
    }

    #[test]
    fn a_forwarded_call_has_what_its_convention_has() {
        let mut fw = Fw::default();
        let mut frame = Frame::default();
        for n in 0..8 {
            frame.set(n, 0xaaaa_0000_0000_0000 + u64::from(n));
        }
        frame.set(0, 0x5555_5555_8200_0004);
        assert_eq!(forward(&mut frame, &mut fw), u64::from(u32::MAX));
        frame.set(0, 0x5555_5555_c200_0004);
        frame.set(2, 0xaaaa_0000_0000_0002);
        forward(&mut frame, &mut fw);
        assert_eq!(fw.seen[0], [0x8200_0004, 1, 2, 3]);
        assert_eq!(fw.seen[1], [0xc200_0004, 0, 0xaaaa_0000_0000_0002, 0], "x1 and x3 as firmware left them");
    }

    /// Firmware that knows PSCI 1.1, SMCCC 1.1 and the first workaround; the third has no effect on this CPU.
    #[derive(Default)]
    struct Fw {
        old: bool,
        seen: Vec<[u64; 4]>,
    }

    impl Firmware for Fw {
        fn smc(&mut self, args: [u64; 4]) -> [u64; 4] {
            self.seen.push(args);
            let x0 = match (args[0] as u32, args[1] as u32) {
                (0x8400_0000, _) => 0x1_0001,
                (0x8400_000a, 0x8000_0000) if !self.old => 0,
                (0x8000_0000, _) => 0x1_0001,
                (0x8000_0001, WORKAROUND_1 | WORKAROUND_2) => 0,
                (0x8000_0001, WORKAROUND_3) => 1,
                (WORKAROUND_1 | WORKAROUND_2 | WORKAROUND_3, _) => 0,
                _ => u64::from(u32::MAX),
            };
            [x0, 0, 0, 0]
        }
        fn power_off(&mut self) {}
    }

    fn ask(w: &Workarounds, fw: &mut Fw, x0: u32, x1: u32) -> i64 {
        let mut frame = Frame::default();
        frame.set(0, x0.into());
        frame.set(1, x1.into());
        architecture(&frame, w, fw) as i64
    }

    #[test]
    fn workarounds_are_forwarded_where_firmware_has_them() {
        let mut fw = Fw::default();
        let w = Workarounds::probe(&mut fw, true);
        assert_eq!((w.first, w.second, w.third), (Some(0), Some(0), Some(1)));
        fw.seen.clear();
        assert_eq!(ask(&w, &mut fw, ARCH_FEATURES, WORKAROUND_1), 0);
        assert_eq!(ask(&w, &mut fw, ARCH_FEATURES, WORKAROUND_3), 1);
        assert!(fw.seen.is_empty(), "discovery is answered from what was probed");
        assert_eq!(ask(&w, &mut fw, WORKAROUND_2, 0), 0);
        w.reset(&mut fw);
        assert_eq!(fw.seen, [[WORKAROUND_2.into(), 0, 0, 0], [WORKAROUND_2.into(), 1, 0, 0]]);
    }

    #[test]
    fn nothing_reaches_firmware_that_has_no_workarounds_or_takes_no_smc() {
        for (old, smc) in [(true, true), (false, false)] {
            let mut fw = Fw { old, seen: Vec::new() };
            let w = Workarounds::probe(&mut fw, smc);
            assert_eq!(w, Workarounds::default());
            assert!(smc || fw.seen.is_empty());
            fw.seen.clear();
            for id in [WORKAROUND_1, WORKAROUND_2, WORKAROUND_3] {
                assert_eq!(ask(&w, &mut fw, id, 0), -1);
                assert_eq!(ask(&w, &mut fw, ARCH_FEATURES, id), -1);
            }
            w.reset(&mut fw);
            assert!(fw.seen.is_empty());
        }
    }

    #[test]
    fn discovery() {
        let (w, mut fw) = (Workarounds::default(), Fw::default());
        assert_eq!(ask(&w, &mut fw, SMCCC_VERSION, 0), 0x1_0002);
        assert_eq!(ask(&w, &mut fw, ARCH_FEATURES, SMCCC_VERSION), 0);
        assert_eq!(ask(&w, &mut fw, ARCH_FEATURES, ARCH_FEATURES), 0);
        // SMCCC_ARCH_SOC_ID, PSCI_VERSION, nothing.
        for id in [0x8000_0002, 0x8400_0000, 0] {
            assert_eq!(ask(&w, &mut fw, ARCH_FEATURES, id), -1);
        }
        assert_eq!(ask(&w, &mut fw, 0x8000_0002, 0), -1);
        assert!(fw.seen.is_empty());
    }

    #[test]
    fn the_hypervisor_says_who_it_is() {
        let mut frame = Frame::default();
        frame.set(0, VENDOR_HYP_UID.into());
        let x0 = vendor_hypervisor(&mut frame);
        let words = [x0, frame.get(1), frame.get(2), frame.get(3)];
        let bytes: Vec<u8> = words.into_iter().flat_map(|w| (w as u32).to_le_bytes()).collect();
        let text: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(text, "9f4b1d7a52c64e0b8a3d6e17c0b25f84");
        frame.set(0, 0x8600_ff03);
        assert_eq!(vendor_hypervisor(&mut frame), u64::MAX);
    }
}
