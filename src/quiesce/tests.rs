//! Masters on the fake machine: a PCI bus that routes as the specification has it, whatever its bridges were told, and devices that
//! take their time.

mod host;

use std::sync::{Arc, Mutex};

use super::*;
use crate::fake::{self, Board, Fake};
use crate::hardware::sample;
use crate::ports::Width;
use crate::tree::sample::{Sample, node};
use host::{BARS, Bars, COMMON, Function, Host};
use proptest::prelude::*;

/// A device of 32-bit registers. Those in `lags` follow another one when they have been read so often.
struct Words {
    words: Arc<Mutex<Vec<u32>>>,
    lags: Vec<(usize, usize, u64)>,
}

impl fake::Device for Words {
    fn read(&mut self, offset: u64, width: Width) -> u64 {
        assert_eq!(width, Width::Word);
        let (at, mut words) = (offset as usize / 4, self.words.lock().unwrap());
        if let Some((of, _, reads)) = self.lags.iter_mut().find(|(_, follows, _)| *follows == at) {
            *reads = reads.saturating_sub(1);
            if *reads == 0 {
                words[at] = words[*of];
            }
        }
        words[at].into()
    }
    fn write(&mut self, offset: u64, width: Width, value: u64) {
        assert_eq!(width, Width::Word);
        self.words.lock().unwrap()[offset as usize / 4] = value as u32;
    }
}

const ECAM: u64 = 0x40_1000_0000;

/// On this board; two seconds of its time are over soon.
fn board(devices: Vec<fake::Placed>) -> Fake {
    let board = Board::new(1, 0);
    board.hertz.store(10, std::sync::atomic::Ordering::Relaxed);
    *board.devices.lock().unwrap() = devices;
    Fake::new(&board, 0)
}

/// Stops what has these registers; whether it stopped.
fn stop(registers: Span<Pa>, device: impl fake::Device + 'static, stop: Stop) -> bool {
    let machine = board(vec![(registers, Box::new(device))]);
    let master = Master { registers, stop, windows: Box::new([]) };
    masters(master).stop(&machine, || true).is_ok()
}

fn masters(one: Master) -> Masters {
    Masters { stopped: spin::Mutex::new(Box::new([one])), unstoppable: None }
}

fn ecam() -> Span<Pa> {
    Span::new(Pa(ECAM), pci::WINDOW).unwrap()
}

/// QEMU's host bridge.
fn qemu() -> Function {
    let mut host = Function::new(0);
    host.config[..4].copy_from_slice(&[0x36, 0x1b, 8, 0]);
    host.config[0x0b] = 6;
    host
}

/// Stops everything behind a host: the functions afterwards, and whether all stopped.
fn stop_behind(first: u8, functions: Vec<Function>) -> (Vec<Function>, bool) {
    let host = Host(Arc::new(Mutex::new((first.into(), functions))));
    let bars = Span::new(Pa(BARS), 0x100_0000).unwrap();
    let machine = board(vec![(ecam(), Box::new(host.clone())), (bars, Box::new(Bars(host.clone())))]);
    let master = Master { registers: ecam(), stop: Stop::Ecam(first), windows: Box::new([bars]) };
    let stopped = masters(master).stop(&machine, || true);
    let functions = host.0.lock().unwrap().1.clone();
    (functions, stopped.is_ok())
}

fn is_quiet(functions: &[Function]) -> bool {
    let quiet = |f: &Function| !f.is_master() && (f.behind.is_none() || f.word(0x18) & 0xff_ffff == 0);
    Function::all(functions, 0).iter().all(|(_, f)| quiet(f))
}

#[test]
fn functions_and_bridges_lose_the_bus() {
    let leaf = Function::bridge(0, [0; 3], vec![Function::new(0), Function::virtio(9, 3)]);
    let upper = Function::bridge(0x10, [0x20, 0x21, 0x22], vec![leaf, Function::new(8)]);
    // The bridge beside it was told the same numbers, and answers first.
    let twin = Function::bridge(0x18, [0x20, 0x21, 0x22], vec![Function::new(0)]);
    let (functions, stopped) =
        stop_behind(0x20, vec![qemu(), Function::virtio(8, 1), twin, upper, Function::new(0xff)]);
    assert!(stopped && is_quiet(&functions));
    let all = Function::all(&functions, 0);
    assert!(all.iter().all(|(_, f)| f.config[4] & 3 == 3), "the rest of the command register stays");
    let statuses: Vec<_> = all.iter().filter_map(|(_, f)| f.virtio).map(|s| (s.value, s.resets)).collect();
    assert_eq!(statuses, [(0, 1); 2]);
}

#[test]
fn what_does_not_stop_is_told() {
    let stuck = Function { stuck: true, ..Function::new(0x30) };
    let (functions, stopped) = stop_behind(0, vec![stuck, Function::new(0x38)]);
    assert!(!stopped && !functions[1].is_master(), "the others are stopped all the same");
    assert!(!stop_behind(0, vec![qemu(), Function::virtio(8, 50)]).1, "its reset does not end");
    // A host bridge is no master, whatever it says.
    let mut host = Function { stuck: true, ..Function::new(0) };
    host.config[0x0b] = 6;
    assert!(stop_behind(0, vec![host]).1);
}

#[test]
fn virtio_functions_are_reset_where_reading_does_no_harm() {
    let resets = |functions| {
        let (functions, stopped) = stop_behind(0, functions);
        assert!(stopped && functions.iter().all(|f| !f.is_master() || f.number == 0));
        functions.last().unwrap().virtio.unwrap().resets
    };
    assert_eq!(resets(vec![qemu(), Function::virtio(8, 1)]), 1);
    assert_eq!(resets(vec![Function::new(0), Function::virtio(8, 1)]), 0, "another host");
    assert_eq!(resets(vec![qemu(), Function::virtio(8, 1).at(BARS - 0x1_0000)]), 0, "outside of the windows");
    assert_eq!(resets(vec![qemu(), Function::virtio(8, 1).at(u64::MAX << 4)]), 0, "nowhere");
    let mut off = Function::virtio(8, 1);
    off.config[4] = 4;
    assert_eq!(resets(vec![qemu(), off]), 0, "it answers nowhere");
    let mut io = Function::virtio(8, 1);
    io.config[0x18] = 1;
    assert_eq!(resets(vec![qemu(), io]), 0, "no memory");
    let mut bar = Function::virtio(8, 1);
    bar.config[COMMON + 4] = 6;
    assert_eq!(resets(vec![qemu(), bar]), 0, "there are six");
}

#[test]
fn virtual_functions_go_with_theirs() {
    let mut physical = Function::new(0);
    // Another capability first, then SR-IOV with its functions and their memory on.
    physical.config[0x100..0x104].copy_from_slice(&0x1401_0001u32.to_le_bytes());
    physical.config[0x140..0x144].copy_from_slice(&0x0001_0010u32.to_le_bytes());
    physical.config[0x148] = 9;
    let (functions, stopped) = stop_behind(0, vec![physical]);
    assert!(stopped && functions[0].config[0x148] == 8);
}

#[test]
fn lists_without_an_end_are_left() {
    let mut ring = Function::virtio(0, 1);
    ring.config[COMMON] = 5;
    ring.config[COMMON + 1] = COMMON as u8;
    ring.config[0x100..0x104].copy_from_slice(&0x1000_0001u32.to_le_bytes());
    let (functions, stopped) = stop_behind(0, vec![ring]);
    assert!(stopped && !functions[0].is_master());
}

#[test]
fn virtio_by_mmio_is_reset_where_there_is_one() {
    let status = |magic, id, reads| {
        let mut words = vec![0; 0x80];
        (words[0], words[2], words[0x1c]) = (magic, id, 7);
        // What it reads lags behind what was written.
        let words = Arc::new(Mutex::new(words));
        let span = Span::new(Pa(0xa00_0200), 0x200).unwrap();
        let device = Words { words: words.clone(), lags: vec![(0x1c, 0x1c, reads)] };
        (stop(span, device, Stop::VirtioMmio), words.lock().unwrap()[0x1c])
    };
    assert_eq!(status(0x7472_6976, 2, 1), (true, 0));
    assert_eq!(status(0x7472_6976, 0, 1), (true, 7), "a place without a device");
    assert_eq!(status(0, 2, 1), (true, 7), "something else");
}

#[test]
fn an_smmu_says_when_it_has_stopped() {
    let smmu = |reads| {
        let mut words = vec![0; 0x20];
        (words[8], words[9], words[0x14], words[0x15]) = (0xd, 0xd, 5, 5);
        let words = Arc::new(Mutex::new(words));
        let lags = vec![(8, 9, reads), (0x14, 0x15, 2)];
        let device = Words { words: words.clone(), lags };
        let stopped = stop(Span::new(Pa(0x905_0000), 0x2_0000).unwrap(), device, Stop::SmmuV3);
        (stopped, words.lock().unwrap()[8..10].to_vec())
    };
    assert_eq!(smmu(10), (true, vec![0, 0]));
    assert_eq!(smmu(50), (false, vec![0, 0xd]));
}

/// What becomes of each device of a board that has more.
fn found(more: Sample) -> Vec<(String, Found)> {
    let blob = sample::Board { over: Some(more), ..sample::Board::default() }.tree().blob();
    let tree = Tree::parse(&blob).unwrap();
    let hardware = Hardware::read(&tree).unwrap();
    hardware.devices.iter().map(|device| (tree.node(device.node).path(), find(&tree, device))).collect()
}

#[test]
fn a_boards_masters_are_found() {
    let smmu = sample::device("smmuv3@9050000", "arm,smmu-v3", 0x905_0000, 74);
    let all = found(smmu);
    let of = |path: &str| all.iter().find(|(p, _)| p == path).map(|(_, found)| found).unwrap();
    assert_eq!(of("/pl011@9040000"), &Found::Idle);
    assert_eq!(of("/pcie@10000000"), &Found::Stopped(ecam(), Stop::Ecam(0)));
    let virtio = Span::new(Pa(0xa00_0200), 0x200).unwrap();
    assert_eq!(of("/virtio_mmio@a000200"), &Found::Stopped(virtio, Stop::VirtioMmio));
    assert_eq!(of("/soc/dma@7000"), &Found::Unknown);
    assert!(matches!(of("/smmuv3@9050000"), Found::Stopped(_, Stop::SmmuV3)));
    // A UART whose bytes a DMA controller moves: that one is the master.
    let uart = sample::device("serial@9060000", "arm,pl011", 0x906_0000, 12).cells("dmas", [9, 1]);
    let all = found(uart.child(node("dma").cells("phandle", [9])));
    assert_eq!(all.iter().find(|(p, _)| p == "/serial@9060000").unwrap().1, Found::Idle);
}

#[test]
fn masters_are_stopped_in_order_and_told_if_not() {
    let smmu = sample::device("smmuv3@9050000", "arm,smmu-v3", 0x905_0000, 74);
    let blob = sample::Board { over: Some(smmu), ..sample::Board::default() }.tree().blob();
    let tree = Tree::parse(&blob).unwrap();
    let hardware = Hardware::read(&tree).unwrap();
    let nodes: Vec<_> = hardware.devices.iter().map(|device| device.node).collect();
    let masters = Masters::of(&tree, &hardware, &nodes);
    assert_eq!(masters.unstoppable(), Some("/soc/dma@7000"));
    assert_eq!(masters.stopped.lock().last().unwrap().stop, Stop::SmmuV3);
    let without: Vec<_> =
        nodes.into_iter().filter(|node| tree.node(*node).path() != "/soc/dma@7000").collect();
    let masters = Masters::of(&tree, &hardware, &without);
    assert_eq!((masters.unstoppable(), masters.stopped.lock().len()), (None, 4));

    let host = Host(Arc::new(Mutex::new((0, vec![Function::new(0)]))));
    let machine = board(vec![(ecam(), Box::new(host.clone()))]);
    assert_eq!(masters.stop(&machine, || false), Ok(()));
    assert!(!is_quiet(&host.0.lock().unwrap().1), "somebody else's");
    assert_eq!(masters.stop(&machine, || true), Err(Pa(0x905_0000)), "no SMMU answers here");
    assert!(is_quiet(&host.0.lock().unwrap().1), "but it is the last");
}

/// A bus with whatever numbers its bridges were told.
fn buses() -> impl Strategy<Value = Vec<Function>> {
    let leaf = (any::<u8>(), 1u64..9).prop_map(|(number, reads)| match reads % 2 {
        0 => Function::new(number),
        _ => Function::virtio(number, reads),
    });
    let function = leaf.prop_recursive(9, 24, 4, |inner| {
        (any::<u8>(), any::<[u8; 3]>(), prop::collection::vec(inner, 0..4))
            .prop_map(|(number, numbers, behind)| Function::bridge(number, numbers, apart(behind)))
    });
    prop::collection::vec(function, 0..5).prop_map(apart)
}

/// No two of them in one place.
fn apart(mut functions: Vec<Function>) -> Vec<Function> {
    functions.sort_by_key(|f| f.number);
    functions.dedup_by_key(|f| f.number);
    functions
}

proptest! {
    #![proptest_config(crate::fake::cases(12))]

    /// Whatever stands behind a host and whatever its bridges were told: nothing keeps the bus, or it is told.
    #[test]
    fn nothing_keeps_the_bus(first in 0u8..0xf8, functions in buses()) {
        let depth = Function::all(&functions, 0).iter().map(|(depth, _)| *depth).max().unwrap_or(0);
        let bridges = Function::all(&functions, 0).iter().filter(|(_, f)| f.behind.is_some()).map(|(d, _)| *d + 1).max();
        let (functions, stopped) = stop_behind(first, functions);
        prop_assert_eq!(stopped, bridges.unwrap_or(0) <= 7, "{} deep", depth);
        let reached: Vec<_> = Function::all(&functions, 0).into_iter().filter(|(depth, _)| *depth <= 7).collect();
        prop_assert!(reached.iter().all(|(_, f)| !f.is_master()));
        prop_assert!(!stopped || is_quiet(&functions));
    }
}
