//! Lives against a model: what PSCI and the console's orders mean, written down a second time and as simply as can be.

use super::*;

/// A vCPU's switch.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Switch {
    Off,
    Pending(u64, u64),
    On,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Starting,
    Running,
    /// Whether another life follows, and the CPUs that have not given up.
    Stopping(bool, Vec<usize>),
    Off,
}

/// A cell: its CPUs by vCPU, those that are there, its RAM.
struct ModelCell {
    cpus: &'static [usize],
    there: Vec<usize>,
    ram: core::ops::Range<u64>,
    phase: Phase,
    switches: Vec<Switch>,
    lives: u32,
}

/// The machine: five CPUs, two cells.
struct Model {
    cells: [ModelCell; 2],
    /// In its guest.
    guest: [bool; 5],
    /// Has been told to look whether something is to start.
    told: [bool; 5],
    /// Firmware was asked for power off.
    off: bool,
}

impl Model {
    fn new(absent: &[usize]) -> Self {
        let cell = |cpus: &'static [usize], ram| ModelCell {
            cpus,
            there: cpus.iter().copied().filter(|cpu| !absent.contains(cpu)).collect(),
            ram,
            phase: if absent.contains(&cpus[0]) { Phase::Off } else { Phase::Starting },
            switches: vec![Switch::Off; cpus.len()],
            lives: 0,
        };
        let cells = [cell(&[2, 0, 1], 0x1_0000..0x3_0000), cell(&[3, 4], 0x4000_0000..0x4001_0000)];
        let mut model = Self { cells, guest: [false; 5], told: [false; 5], off: false };
        (model.told[2], model.told[3]) = (true, true);
        model.look_for_the_end();
        model
    }

    fn look_for_the_end(&mut self) {
        self.off |= self.cells.iter().all(|cell| cell.phase == Phase::Off);
    }

    /// The cell of a CPU, and its vCPU there.
    fn seat(&self, cpu: usize) -> (usize, usize) {
        let cell = usize::from(cpu > 2);
        (cell, self.cells[cell].cpus.iter().position(|own| *own == cpu).unwrap())
    }

    fn is_awaited(&self, cpu: usize) -> bool {
        matches!(&self.cells[self.seat(cpu).0].phase, Phase::Stopping(_, left) if left.contains(&cpu))
    }

    /// The first word stands.
    fn stop(&mut self, cell: usize, again: bool) {
        let cell = &mut self.cells[cell];
        if matches!(cell.phase, Phase::Starting | Phase::Running) {
            cell.phase = Phase::Stopping(again, cell.there.clone());
        }
    }

    /// A CPU leaves its guest for good, and says so.
    fn give_up(&mut self, cpu: usize) {
        self.guest[cpu] = false;
        let at = self.seat(cpu).0;
        let cell = &mut self.cells[at];
        let Phase::Stopping(again, left) = &mut cell.phase else { return };
        left.retain(|one| *one != cpu);
        if left.is_empty() {
            let again = *again;
            cell.phase = if again { Phase::Starting } else { Phase::Off };
            self.told[cell.cpus[0]] |= again;
            self.look_for_the_end();
        }
    }

    /// A turn in which the guest, if it runs, does nothing.
    fn turn(&mut self, cpu: usize) {
        let (awaited, told) = (self.is_awaited(cpu), self.told[cpu]);
        if !awaited && !told {
            return;
        }
        let was = core::mem::take(&mut self.guest[cpu]);
        self.told[cpu] = false;
        if awaited {
            self.give_up(cpu);
        }
        if was {
            self.guest[cpu] = !awaited;
            return;
        }
        let (at, vcpu) = self.seat(cpu);
        let cell = &mut self.cells[at];
        match cell.phase {
            Phase::Starting if vcpu == 0 && told => {
                cell.phase = Phase::Running;
                cell.lives += 1;
                cell.switches.fill(Switch::Off);
            }
            Phase::Running if told && matches!(cell.switches[vcpu], Switch::Pending(..)) => {}
            _ => return,
        }
        cell.switches[vcpu] = Switch::On;
        self.guest[cpu] = true;
    }

    /// CPU_ON (DEN0022F 5.6).
    fn cpu_on(&mut self, cpu: usize, target: usize, entry: u64, context: u64) -> i64 {
        let at = self.seat(cpu).0;
        let cell = &mut self.cells[at];
        let Some(own) = cell.cpus.get(target) else { return -2 };
        if !cell.there.contains(own) {
            return -6;
        }
        if !cell.ram.contains(&entry) {
            return -9;
        }
        match cell.switches[target] {
            Switch::On => -4,
            Switch::Pending(..) => -5,
            Switch::Off => {
                cell.switches[target] = Switch::Pending(entry, context);
                self.told[*own] = true;
                0
            }
        }
    }

    /// CPU_OFF: whoever is the last takes the cell along.
    fn cpu_off(&mut self, cpu: usize) {
        let (at, vcpu) = self.seat(cpu);
        self.cells[at].switches[vcpu] = Switch::Off;
        if self.cells[at].switches.iter().all(|switch| *switch == Switch::Off) {
            self.stop(at, false);
        }
        self.give_up(cpu);
    }

    /// An order from the console.
    fn restart(&mut self, at: usize) {
        let cell = &mut self.cells[at];
        let first = cell.cpus[0];
        if !cell.there.contains(&first) {
            return;
        }
        if cell.phase == Phase::Off {
            cell.phase = Phase::Starting;
            self.told[first] = true;
        } else {
            self.stop(at, true);
        }
    }
}

/// What a CPU does in its turn; the numbers are for CPU_ON.
#[derive(Clone, Copy, Debug)]
enum Move {
    Turn,
    On(usize, u64),
    Off,
    Info(usize),
    End(u32),
    Crash,
    Restart(usize),
}

fn turns() -> impl Strategy<Value = Vec<(usize, Move)>> {
    let end =
        prop::sample::select(vec![function::SYSTEM_RESET, function::SYSTEM_RESET2, function::SYSTEM_OFF]);
    let what = prop_oneof![
        8 => Just(Move::Turn),
        5 => (0usize..4, 0u64..5).prop_map(|(target, entry)| Move::On(target, entry)),
        2 => Just(Move::Off),
        2 => (0usize..4).prop_map(Move::Info),
        1 => end.prop_map(Move::End),
        1 => Just(Move::Crash),
        1 => (0usize..2).prop_map(Move::Restart),
    ];
    prop::collection::vec((0usize..5, what), 1..250)
}

/// The two agree.
fn compare(system: &System, board: &Board, cpus: &[Option<Cpu<'_>>], model: &Model) {
    for (n, cpu) in cpus.iter().enumerate() {
        assert_eq!(cpu.as_ref().is_some_and(Cpu::is_in_guest), model.guest[n], "CPU {n} in its guest");
    }
    for (cell, expected) in system.cells.iter().zip(&model.cells) {
        let phase = match cell.life() {
            Life::Off => Phase::Off,
            Life::Starting { .. } => Phase::Starting,
            Life::Running => Phase::Running,
            Life::Stopping { then, left } => Phase::Stopping(
                then != Then::Off,
                expected.cpus.iter().copied().filter(|cpu| left.contains(*cpu)).collect(),
            ),
        };
        assert_eq!((&phase, cell.lives()), (&expected.phase, expected.lives), "{}", cell.name);
        if phase == Phase::Running {
            for (vcpu, switch) in (0..).map(VcpuId).zip(&expected.switches) {
                let state = match switch {
                    Switch::On => Affinity::On,
                    Switch::Off => Affinity::Off,
                    Switch::Pending(..) => Affinity::OnPending,
                };
                assert_eq!(cell.affinity_info(vcpu), state, "{} vCPU {}", cell.name, vcpu.0);
            }
        }
    }
    assert_eq!(board.off.load(Ordering::SeqCst), model.off, "power off");
}

proptest! {
    #![proptest_config(cases(256))]

    /// CPUs take turns in any order, some never came; guests call PSCI or die, a person orders restarts.
    #[test]
    fn lives_are_what_the_model_says(absent in prop::collection::btree_set(1usize..8, 0..3), turns in turns()) {
        let absent: Vec<usize> = absent.into_iter().filter(|cpu| *cpu < 5).collect();
        let (system, board) = system();
        let mut boot = Fake::new(&board, 0);
        for cpu in &absent {
            system.never_came(PcpuId(*cpu as u8), &mut boot);
        }
        let mut model = Model::new(&absent);
        let there = |n: usize| !absent.contains(&n);
        let mut cpus: Vec<_> = (0..5).map(|n| there(n).then(|| Cpu::new(&system, &board, n as u8))).collect();
        for (n, what) in turns {
            let Some(cpu) = &mut cpus[n] else { continue };
            let was = model.guest[n];
            let at = model.seat(n).0;
            if let Move::Restart(cell) = what {
                system.restart(&system.cells[cell], &mut cpu.machine);
                model.restart(cell);
            } else if !was || model.is_awaited(n) || model.told[n] || board.is_pending(PcpuId(n as u8)) {
                // A guest that is interrupted does nothing.
                let (_, vcpu) = model.seat(n);
                let (switch, lives) = (model.cells[at].switches[vcpu], model.cells[at].lives);
                cpu.step();
                model.turn(n);
                if !was && model.guest[n] {
                    let ram = model.cells[at].ram.start;
                    let start = match switch {
                        Switch::Pending(entry, context) if model.cells[at].lives == lives => (entry, context),
                        _ => (ram + 0x1000, ram + 0x4000),
                    };
                    prop_assert_eq!((cpu.machine.pc, cpu.vcpu.frame.get(0)), start);
                }
            } else {
                match what {
                    Move::Turn | Move::Restart(_) => {
                        cpu.step();
                        model.turn(n);
                    }
                    Move::On(target, entry) => {
                        let entry = model.cells[at].ram.start - 0x1000 + (entry << 15);
                        let answer = cpu.call(function::CPU_ON_64, [target as u64, entry, n as u64]);
                        prop_assert_eq!(answer, model.cpu_on(n, target, entry, n as u64));
                    }
                    Move::Info(target) => {
                        let expected = match model.cells[at].switches.get(target) {
                            Some(Switch::On) => 0,
                            Some(Switch::Off) => 1,
                            Some(Switch::Pending(..)) => 2,
                            None => -2,
                        };
                        prop_assert_eq!(cpu.call(function::AFFINITY_INFO_64, [target as u64, 0, 0]), expected);
                    }
                    Move::Off => {
                        cpu.call(function::CPU_OFF, [0; 3]);
                        model.cpu_off(n);
                    }
                    Move::End(function) => {
                        cpu.call(function, [0; 3]);
                        model.stop(at, function != function::SYSTEM_OFF);
                        model.give_up(n);
                    }
                    Move::Crash => {
                        // Uncontainable (FEAT_RAS).
                        (cpu.machine.exit, cpu.machine.esr) = (crate::ports::Exit::SError, 0xbe00_0011);
                        cpu.step();
                        cpu.machine.exit = crate::ports::Exit::Irq;
                        model.stop(at, false);
                        model.give_up(n);
                    }
                }
            }
            compare(&system, &board, &cpus, &model);
        }
    }
}
