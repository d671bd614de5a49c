//! Guests that do what bytes say: calls, accesses to the GIC's registers and to system registers. The fuzzer's targets come in
//! here (`tests/fuzz`), and so do random bytes in the tests.
//!
//! Whatever the root cell's three vCPUs do, each of their exits is answered, and the other cell does not notice: not its life, its
//! memory, its CPUs or their part of the GIC; nothing is asked of firmware, and no distributor register changes, for the attacker
//! owns no SPI.

use std::sync::Arc;

use super::rig::{Cpu, HVC, SMC, system};
use super::{Board, Fake};
use crate::addr::{Pa, Span};
use crate::cell::{Life, System};
use crate::psci::function;
use crate::run::Turn;

/// The attacker's CPUs: those of the first cell.
const ATTACKERS: [usize; 3] = [2, 0, 1];
/// The first CPU of the other cell.
const VICTIM: usize = 3;
/// Their memory, as the board has it.
const OWN: core::ops::Range<usize> = 0x1_0000..0x3_0000;
const FOREIGN: core::ops::Range<usize> = 0x4_0000..0x5_0000;
/// What one attacker may be told to do: more takes no fuzzer further.
const STEPS: usize = 4096;

/// Bytes that are used up.
struct Bytes<'b>(&'b [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn word(&mut self) -> u64 {
        (0..8).fold(0, |word, _| word << 8 | u64::from(self.next().unwrap_or(0)))
    }

    /// A number as guests like them: small, in the cell's memory, or anything.
    fn value(&mut self) -> u64 {
        match self.next().unwrap_or(0) {
            kind @ 0..0x40 => u64::from(kind & 7),
            kind @ 0x40..0x80 => 0x1_0000 + u64::from(kind & 0x3f) * 0x900,
            kind @ 0x80..0xa0 => u64::MAX << (2 * (kind & 0x1f)),
            kind @ 0xa0..0xc0 => 1 << (2 * (kind & 0x1f)),
            _ => self.word(),
        }
    }
}

/// What must not change, whatever the attacker does.
#[derive(Debug, PartialEq)]
struct Untouched {
    memory: Vec<u8>,
    distributor: Vec<(u32, u64)>,
    redistributors: Vec<((u8, u32), u64)>,
    life: (Life, u32),
    resets: usize,
    smcs: usize,
    off: bool,
}

fn untouched(system: &System, board: &Board, cpus: &[Cpu<'_>]) -> Untouched {
    let redistributors = board.gicr.lock().unwrap();
    let foreign = redistributors.iter().filter(|((cpu, _), _)| cpu.index() >= VICTIM);
    Untouched {
        memory: board.ram.lock().unwrap()[FOREIGN].to_vec(),
        distributor: board.gicd.lock().unwrap().iter().map(|(at, value)| (*at, *value)).collect(),
        redistributors: foreign.map(|((cpu, at), value)| ((cpu.0, *at), *value)).collect(),
        life: (system.cells[1].life(), system.cells[1].lives()),
        resets: cpus[VICTIM..].iter().map(|cpu| cpu.machine.resets.len()).sum(),
        smcs: cpus.iter().map(|cpu| cpu.machine.smcs.len()).sum(),
        off: board.off.load(std::sync::atomic::Ordering::SeqCst),
    }
}

/// Runs the bytes: each step begins with one that says who takes it, and `act` does the rest, if that guest runs.
fn attack(bytes: &[u8], act: impl Fn(&mut Cpu<'_>, &mut Bytes<'_>)) {
    let (system, board): (System, Arc<Board>) = system();
    let mut cpus: Vec<_> = (0..5).map(|n| Cpu::new(&system, &board, n)).collect();
    for _ in 0..4 {
        cpus.iter_mut().for_each(Cpu::step);
    }
    let before = untouched(&system, &board, &cpus);
    let mut bytes = Bytes(bytes);
    for _ in 0..STEPS {
        let Some(who) = bytes.next() else { break };
        let cpu = &mut cpus[ATTACKERS[usize::from(who) % 3]];
        // A guest that is interrupted does nothing.
        if cpu.turn == Turn::Park || board.is_pending(cpu.machine.me) || !cpu.vcpu.inbox.is_empty() {
            cpu.step();
        } else {
            act(cpu, &mut bytes);
        }
        // Somebody may have to be heard before a cell that ended can start again.
        if who & 0x80 != 0 {
            cpus.iter_mut().for_each(Cpu::step);
        }
    }
    for _ in 0..8 {
        cpus.iter_mut().for_each(Cpu::step);
    }
    assert_eq!(untouched(&system, &board, &cpus), before);
    assert!(cpus[VICTIM].is_in_guest());
    assert!(matches!(system.cells[0].life(), Life::Running | Life::Off));
    let own = Span::new(Pa(OWN.start as u64), OWN.len() as u64).unwrap();
    for span in ATTACKERS.iter().flat_map(|cpu| &cpus[*cpu].machine.cleaned) {
        assert!(own.covers(span), "{span} is not the attacker's");
    }
}

/// An exit of the guest's, and the answer.
fn exit(cpu: &mut Cpu<'_>, syndrome: u64) {
    cpu.machine.sync(syndrome);
    cpu.step();
    let machine: &mut Fake = &mut cpu.machine;
    machine.exit = crate::ports::Exit::Irq;
    // The guest ends what it was given.
    machine.active.clear();
}

/// PSCI and SMCCC: calls by HVC and SMC.
pub fn calls(bytes: &[u8]) {
    const KNOWN: [u32; 12] = [
        function::VERSION,
        function::CPU_ON,
        function::CPU_ON_64,
        function::CPU_OFF,
        function::CPU_SUSPEND_64,
        function::AFFINITY_INFO,
        function::AFFINITY_INFO_64,
        function::SYSTEM_RESET,
        function::SYSTEM_RESET2,
        function::FEATURES,
        0x8000_0001,
        0x8600_ff01,
    ];
    attack(bytes, |cpu, bytes| {
        let kind = bytes.next().unwrap_or(0);
        let known = KNOWN.get(usize::from(kind & 0xf)).map(|id| u64::from(*id));
        // Else one of the architecture's, of PSCI's, or of anybody's.
        let id = match kind & 0xf {
            0xc => 0x8000_0000 | bytes.value() & 0xffff,
            0xd => 0x8400_0000 | bytes.value() & 0x3f,
            0xe => 0xc400_0000 | bytes.value() & 0x3f,
            _ => known.unwrap_or_else(|| bytes.value()),
        };
        cpu.vcpu.frame.set(0, id);
        for n in 1..5 {
            let value = bytes.value();
            cpu.vcpu.frame.set(n, value);
        }
        let immediate = if kind & 0x20 != 0 { bytes.value() & 0xffff } else { 0 };
        exit(cpu, if kind & 0x10 != 0 { SMC } else { HVC } | immediate);
    });
}

/// The GIC: accesses to the distributor's and the redistributors' frames in every width and form, and its system registers.
pub fn gic(bytes: &[u8]) {
    attack(bytes, |cpu, bytes| {
        let kind = bytes.next().unwrap_or(0);
        let value = bytes.value();
        let register = bytes.next().unwrap_or(0) & 31;
        cpu.vcpu.frame.set(register, value);
        let write = u64::from(kind & 1);
        if kind & 0b1110 == 0 {
            // ICC_SGI1R_EL1, ICC_ASGI1R_EL1, ICC_SGI0R_EL1 and their neighbours: op0 3, op1 0, CRn 12, CRm 11.
            let op2 = u64::from(kind >> 4 & 7);
            let syndrome = 3 << 20 | op2 << 17 | 12 << 10 | u64::from(register) << 5 | 11 << 1 | (write ^ 1);
            return exit(cpu, 0x18 << 26 | 1 << 25 | syndrome);
        }
        let frame =
            if kind & 2 == 0 { 0x0800_0000 } else { 0x080a_0000 + u64::from(kind >> 2 & 7) * 0x1_0000 };
        let offset = u64::from(bytes.next().unwrap_or(0)) << 8 | u64::from(bytes.next().unwrap_or(0));
        let form = u64::from(bytes.next().unwrap_or(0));
        // SAS, SSE and SF as the byte says; nearly always with a valid syndrome.
        let valid = u64::from(form & 0xf0 != 0xf0);
        let syndrome = valid << 24 | (form & 3) << 22 | (form >> 2 & 1) << 21 | u64::from(register) << 16;
        let address = frame + if form & 8 != 0 { offset & !7 } else { offset };
        (cpu.machine.far, cpu.machine.hpfar) = (address & 0xfff, address >> 8 & !0xf);
        exit(cpu, 0x24 << 26 | 1 << 25 | syndrome | (form >> 3 & 1) << 15 | write << 6 | 0x7);
    });
}

/// System registers: every encoding that can trap, read and written, and aborts of every kind.
pub fn registers(bytes: &[u8]) {
    attack(bytes, |cpu, bytes| {
        let kind = bytes.next().unwrap_or(0);
        let value = bytes.value();
        let syndrome = bytes.word();
        cpu.vcpu.frame.set((syndrome >> 5 & 31) as u8, value);
        let class = match kind & 7 {
            0..4 => 0x18,
            4 => 0x24,
            5 => 0x20,
            6 => syndrome >> 26 & 0x3f,
            _ => 0x18,
        };
        // The identification registers and cache maintenance, which are more than others.
        let syndrome = match kind & 7 {
            1 => syndrome & !(0x3 << 20 | 0xf << 10 | 7 << 14) | 3 << 20,
            2 => syndrome & !(0x3 << 20 | 0xf << 10 | 7 << 14) | 1 << 20 | 7 << 10,
            _ => syndrome,
        };
        cpu.machine.far = value;
        cpu.machine.hpfar = if kind & 8 != 0 { value >> 8 & !0xf } else { bytes.value() };
        cpu.machine.pstate = [0x3c5, 0x3c4, 0, 0x10][usize::from(kind >> 4 & 3)];
        exit(cpu, class << 26 | 1 << 25 | syndrome & 0x1ff_ffff);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::cases;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..3000)
    }

    proptest! {
        #![proptest_config(cases(100))]

        #[test]
        fn random_calls_hurt_nobody(bytes in bytes()) {
            calls(&bytes);
        }

        #[test]
        fn random_gic_accesses_hurt_nobody(bytes in bytes()) {
            gic(&bytes);
        }

        #[test]
        fn random_registers_hurt_nobody(bytes in bytes()) {
            registers(&bytes);
        }
    }
}
