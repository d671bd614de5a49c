//! Devices that reach memory by themselves, at the end of a life.

use super::*;
use crate::addr::Span;
use crate::fake::Device;
use crate::hardware::{Hardware, sample};
use crate::ports::Width;
use crate::quiesce::Masters;
use crate::tree::Tree;

/// A virtio device by MMIO. When it is reset it says what it saw of its cell's memory then; a stuck one goes on for ever.
struct Virtio {
    board: Arc<Board>,
    status: u64,
    stuck: bool,
    seen: Arc<std::sync::Mutex<Vec<u8>>>,
}

const VIRTIO: u64 = 0xa00_0000;
/// A byte of cell 1's RAM that each of its lives begins with zeroed.
const OWN: usize = 0x4_8000;

impl Device for Virtio {
    fn read(&mut self, offset: u64, _: Width) -> u64 {
        match offset {
            0 => 0x7472_6976,
            8 => 2,
            0x70 => self.status,
            _ => 0,
        }
    }
    fn write(&mut self, offset: u64, _: Width, value: u64) {
        assert_eq!((offset, value), (0x70, 0));
        self.seen.lock().unwrap().push(peek(&self.board, OWN));
        if !self.stuck {
            self.status = 0;
        }
    }
}

/// [`system`], in which cell 1 has these devices of the sample board; what its virtio device saw whenever it was reset.
fn with(paths: &[&str], stuck: bool) -> (System, Arc<Board>, Arc<std::sync::Mutex<Vec<u8>>>) {
    let (mut system, board) = system();
    let blob = sample::Board::default().tree().blob();
    let tree = Tree::parse(&blob).unwrap();
    let hardware = Hardware::read(&tree).unwrap();
    let nodes: Vec<_> = paths.iter().map(|path| tree.at(path).unwrap().id()).collect();
    system.cells[1].masters = Masters::of(&tree, &hardware, &nodes);
    let seen = Arc::default();
    let device = Virtio { board: board.clone(), status: 7, stuck, seen: Arc::clone(&seen) };
    board.devices.lock().unwrap().push((Span::new(Pa(VIRTIO), 0x200).unwrap(), Box::new(device)));
    (system, board, seen)
}

const VIRTIO_PATH: &str = "/virtio_mmio@a000000";
const UNSTOPPABLE: &str = "/soc/dma@7000";

#[test]
fn masters_stop_before_memory_is_scrubbed() {
    let (system, board, seen) = with(&[VIRTIO_PATH], false);
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    assert!(seen.lock().unwrap().is_empty(), "the first life finds devices as the loader left them");
    poke(&board, OWN, 0x5e);
    cpus[3].call(function::SYSTEM_RESET, [0; 3]);
    settle(&mut cpus);
    assert_eq!((&**seen.lock().unwrap(), peek(&board, OWN)), (&[0x5e][..], 0));
    assert!(cpus[3].is_in_guest());
    // A cell that is off leaves nothing running either.
    cpus[3].call(function::SYSTEM_OFF, [0; 3]);
    settle(&mut cpus);
    assert_eq!((seen.lock().unwrap().len(), system.cells[1].life()), (2, Life::Off));
}

#[test]
fn a_cell_whose_master_cannot_be_stopped_goes_off_instead() {
    let (system, board, seen) = with(&[VIRTIO_PATH, UNSTOPPABLE], false);
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    system.restart(&system.cells[1], &mut cpus[2].machine);
    settle(&mut cpus);
    assert_eq!((system.cells[1].life(), system.cells[1].lives()), (Life::Running, 1), "an order is refused");
    cpus[3].call(function::SYSTEM_RESET, [0; 3]);
    settle(&mut cpus);
    assert_eq!((system.cells[1].life(), system.cells[1].lives()), (Life::Off, 1));
    assert_eq!(seen.lock().unwrap().len(), 1, "what can be stopped is stopped");
    system.restart(&system.cells[1], &mut cpus[2].machine);
    settle(&mut cpus);
    assert_eq!((system.cells[1].life(), system.cells[0].life()), (Life::Off, Life::Running));
}

#[test]
fn a_cell_whose_master_does_not_stop_stays_off() {
    let (system, board, seen) = with(&[VIRTIO_PATH], true);
    // Two seconds of the fake machine's time come sooner.
    board.hertz.store(100, Ordering::SeqCst);
    let mut cpus = rig(&system, &board);
    settle(&mut cpus);
    poke(&board, OWN, 0x5e);
    cpus[3].call(function::SYSTEM_RESET, [0; 3]);
    settle(&mut cpus);
    assert_eq!((system.cells[1].life(), system.cells[1].lives()), (Life::Off, 1));
    assert_eq!((peek(&board, OWN), running(&cpus)), (0x5e, vec![false, false, true, false, false]));
    assert!(!seen.lock().unwrap().is_empty());
    assert!(!board.off.load(Ordering::SeqCst), "the other cell lives");
}

#[test]
fn a_life_that_cannot_be_loaded_does_not_begin() {
    // With one window more each time, until there are enough.
    let mut windows = 0;
    loop {
        let (system, board, _) = with(&[VIRTIO_PATH], false);
        let mut cpus = rig(&system, &board);
        cpus[3].machine.windows.set(windows);
        settle(&mut cpus);
        assert!(cpus[2].is_in_guest(), "the other cell");
        if cpus[3].is_in_guest() {
            break;
        }
        assert_eq!(system.cells[1].life(), Life::Off);
        // Later there is memory again.
        cpus[3].machine.windows.set(usize::MAX);
        system.restart(&system.cells[1], &mut cpus[2].machine);
        settle(&mut cpus);
        assert!(cpus[3].is_in_guest() && peek(&board, 0x4_1000) == KERNEL[0]);
        windows += 1;
    }
    assert!(windows >= 4, "zeroes, image, tree, caches: {windows}");
}
