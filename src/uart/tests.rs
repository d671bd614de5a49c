use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use super::models::MODELS;
use super::*;

/// How many bytes its queue holds.
const ROOM: usize = 4;

/// What a UART holds; what is neither data nor a flag is plain memory.
#[derive(Default)]
struct State {
    memory: HashMap<u16, u32>,
    sent: Vec<u8>,
    waiting: usize,
    received: VecDeque<u8>,
    written: Vec<(u16, u32)>,
    /// It never sends.
    stuck: bool,
}

#[derive(Clone)]
struct Fake(Arc<Mutex<State>>, &'static Model);

impl Fake {
    fn new(model: &'static Model) -> Self {
        Self(Arc::default(), model)
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }

    fn uart(&self) -> Uart<Self> {
        Uart::new(self.clone(), self.1)
    }

    fn reg(&self, at: u16) -> u32 {
        self.with(|state| state.memory.get(&at).copied().unwrap_or(0))
    }
}

impl Registers for Fake {
    fn read(&self, offset: u64, width: Width) -> u64 {
        assert_eq!(width, Width::Word);
        let (at, model) = (offset as u16, self.1);
        self.with(|state| {
            if at == model.input {
                return u64::from(state.received.pop_front().expect("something is there"));
            }
            let mut value = state.memory.get(&at).copied().unwrap_or(0);
            let empty = state.received.is_empty();
            for (flag, says) in
                [(model.full, state.waiting >= ROOM), (model.busy, state.stuck), (model.empty, empty)]
            {
                if flag.at == at {
                    let bits = if says { flag.when } else { !flag.when & flag.bits };
                    value = value & !flag.bits | bits;
                }
            }
            u64::from(value)
        })
    }

    fn write(&self, offset: u64, width: Width, value: u64) {
        assert_eq!(width, Width::Word);
        let (at, value) = (offset as u16, value as u32);
        self.with(|state| {
            state.written.push((at, value));
            if at != self.1.output {
                state.memory.insert(at, value);
            } else if state.waiting < ROOM {
                state.sent.push(value as u8);
                state.waiting += usize::from(state.stuck);
            }
        });
    }
}

fn of(compatible: &str) -> Fake {
    Fake::new(model([compatible].into_iter()).expect("a known UART"))
}

#[test]
fn the_most_specific_name_that_is_known_counts() {
    let found = |names: &[&str]| model(names.iter().copied());
    assert_eq!(found(&["fsl,imx8mp-uart", "fsl,imx6q-uart"]), found(&["fsl,imx6q-uart"]));
    assert_eq!(found(&["arm,pl011", "arm,sbsa-uart"]).unwrap().start.len(), 7);
    assert_eq!(found(&["arm,sbsa-uart"]).unwrap().start.len(), 2);
    assert_eq!((found(&["acme,uart"]), found(&[])), (None, None));
}

#[test]
fn every_model_prints_queues_and_takes() {
    for model in &MODELS {
        let fake = Fake::new(model);
        let mut uart = fake.uart();
        uart.wake();
        write!(uart, "a\nb").unwrap();
        assert_eq!(fake.with(|state| std::mem::take(&mut state.sent)), b"a\r\nb", "{model:?}");
        uart.start();
        fake.with(|state| state.stuck = true);
        assert_eq!(uart.put(b"123456"), ROOM, "{model:?}");
        assert_eq!(uart.put(b"5"), 0);
        fake.with(|state| state.received.extend(b"typed"));
        let mut four = [0; 4];
        assert_eq!((uart.take(&mut four), &four), (4, b"type"));
        assert_eq!((uart.take(&mut four), four[0]), (1, b'd'));
        assert_eq!(uart.take(&mut four), 0);
        // Nothing hangs that never sends.
        write!(uart, "x").unwrap();
    }
}

#[test]
fn interrupts_are_changed_only_when_they_change() {
    for model in &MODELS {
        let fake = Fake::new(model);
        let mut uart = fake.uart();
        uart.start();
        let mut said = |on| {
            fake.with(|state| state.written.clear());
            uart.call_for_more(on);
            fake.with(|state| state.written.len())
        };
        assert_eq!((said(false), said(true), said(true)), (0, model.call.len(), 0));
        assert_eq!((said(false), said(false)), (model.hear.len(), 0));
    }
}

#[test]
fn pl011_has_its_fifos_and_interrupts() {
    let fake = of("arm,pl011");
    fake.uart().start();
    assert_eq!((fake.reg(0x2c), fake.reg(0x30), fake.reg(0x38)), (0x70, 0x301, 0x50));
    let sbsa = of("arm,sbsa-uart");
    sbsa.uart().start();
    assert!(
        sbsa.with(|state| state.written.iter().all(|(at, _)| [0x38, 0x44].contains(at))),
        "it has no others"
    );
}

#[test]
fn imx_keeps_what_the_loader_set_and_drops_other_interrupts() {
    let fake = of("fsl,imx6q-uart");
    // As U-Boot leaves them, with DMA and DTR interrupts on top: UCR2.WS, UFCR.RFDIV.
    fake.with(|state| {
        state.memory.extend([(0x80, 0x000d), (0x84, 0x6027), (0x88, 0x2704), (0x8c, 0x8001), (0x90, 0x0a81)])
    });
    let mut uart = fake.uart();
    uart.start();
    assert_eq!((fake.reg(0x80), fake.reg(0x84), fake.reg(0x88)), (0x201, 0x6027, 0x0704));
    assert_eq!((fake.reg(0x8c), fake.reg(0x90)), (0x8000, 0x0a81 & !0xfc3f | 0x801));
    uart.call_for_more(true);
    assert_eq!(fake.reg(0x80), 0x2201);
    uart.call_for_more(false);
    assert_eq!(fake.reg(0x80), 0x201);
}

#[test]
fn mini_uart_and_cadence_let_their_interrupts_through() {
    let mini = of("brcm,bcm2835-aux-uart");
    mini.uart().start();
    assert_eq!(mini.reg(4), 5);
    let cadence = of("xlnx,xuartps");
    cadence.with(|state| state.memory.insert(0, 1 << 3 | 1 << 5));
    cadence.uart().start();
    assert_eq!((cadence.reg(0), cadence.reg(8), cadence.reg(0xc)), (0x14, 1, 8));
}
