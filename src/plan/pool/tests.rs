//! Where EL2's memory goes on boards of several shapes.

use super::*;
use crate::hardware::sample::Board;
use crate::tree::early;

const MIB: u64 = 1 << 20;

fn span(start: u64, size: u64) -> Span<Pa> {
    Span::new(Pa(start), size).unwrap()
}

/// A board, and what the loader put there.
struct Loaded {
    board: Board,
    image: Span<Pa>,
    tree: Span<Pa>,
    memreserve: Vec<(u64, u64)>,
}

impl Default for Loaded {
    fn default() -> Self {
        Self {
            board: Board { initrd: Some((0x4800_0000, 0x4a00_0000)), ..Board::default() },
            image: span(0x4020_0000, 0x2_3000),
            tree: span(0x4400_0000, MIB),
            memreserve: Vec::new(),
        }
    }
}

impl Loaded {
    fn with(board: Board) -> Self {
        Self { board: Board { initrd: Some((0x4800_0000, 0x4a00_0000)), ..board }, ..Self::default() }
    }

    fn place(self, cells: usize) -> Result<Placed, PoolError> {
        let blob = self.board.tree().blob_reserving(&self.memreserve);
        place(&early::read(&blob).unwrap(), self.image, self.tree, cells)
    }
}

#[test]
fn the_pool_lies_in_the_block_of_the_image() {
    let placed = Loaded::default().place(2).unwrap();
    assert_eq!(placed.archive, span(0x4800_0000, 32 * MIB));
    assert_eq!(placed.pool.start(), Pa(0x4023_0000));
    let demo = placed.pool.size();
    assert!((9 << 14..=11 << 14).contains(&demo), "{demo:#x}");
    assert!(Loaded::default().place(4).unwrap().pool.size() > demo);
}

#[test]
fn what_is_reserved_there_is_passed_over() {
    // Once by firmware's node, once by the memory reservation block.
    let reserved = Loaded::with(Board { reserved: vec![(0x4023_8000, 0x1000)], ..Board::default() });
    assert_eq!(reserved.place(2).unwrap().pool.start(), Pa(0x4024_0000));
    let memreserve = Loaded { memreserve: vec![(0x4023_0000, 0x1_0001)], ..Loaded::default() };
    assert_eq!(memreserve.place(2).unwrap().pool.start(), Pa(0x4025_0000));
}

#[test]
fn a_full_block_sends_it_to_the_top() {
    let full = Loaded { image: span(0x4020_0000, 0x1f_0000), ..Loaded::default() };
    assert!(is_right_below(0x8000_0000, full.place(2).unwrap().pool));
    let high = [(0x4000_0000, 1 << 30), (0x8_8000_0000, 64 * MIB)];
    let board = Board { banks: high.to_vec(), reserved: vec![(0x8_83ff_f000, 0x1000)], ..Board::default() };
    let full = Loaded { image: span(0x4020_0000, 0x1f_0000), ..Loaded::with(board) };
    assert!(is_right_below(0x8_83ff_f000, full.place(2).unwrap().pool));
}

/// Nothing more of this size fits between.
fn is_right_below(top: u64, pool: Span<Pa>) -> bool {
    pool.end().0 <= top && top - pool.end().0 < ALIGN && pool.start().0.is_multiple_of(ALIGN)
}

#[test]
fn no_archive_or_a_wrong_one_is_refused() {
    let with = |initrd| Loaded { board: Board { initrd, ..Board::default() }, ..Loaded::default() }.place(1);
    assert_eq!(with(None), Err(PoolError::NoArchive));
    let (start, end) = (0x4800_0000, 0x4800_0000);
    assert_eq!(with(Some((start, end))), Err(PoolError::EmptyArchive { start, end }));
    let outside = with(Some((0x7fff_f000, 0x8000_1000))).unwrap_err();
    assert!(outside.to_string().contains("archive at 0x7ffff000..0x80001000"), "{outside}");
    let overlap = with(Some((0x4020_0000, 0x4800_1000))).unwrap_err();
    assert!(matches!(overlap, PoolError::Overlap { what: "archive", .. }), "{overlap}");
}

#[test]
fn what_lies_wrongly_is_found_before_the_archive_is_read() {
    let find = |loaded: Loaded| {
        let blob = loaded.board.tree().blob_reserving(&loaded.memreserve);
        find_archive(&early::read(&blob).unwrap(), loaded.image, loaded.tree).map_err(|e| e.to_string())
    };
    // A page that archive and tree share is no mistake.
    let beside = Loaded { tree: span(0x4a00_0000 + 8, 0x1_0000), ..Loaded::default() };
    assert_eq!(find(beside), Ok(span(0x4800_0000, 32 * MIB)));
    let inside = Loaded { tree: span(0x49ff_fff8, 0x1_0000), ..Loaded::default() };
    assert!(find(inside).unwrap_err().starts_with("the board's tree at 0x49fffff8"));
    let over = Loaded { image: span(0x49e0_0000, 0x20_0008), ..Loaded::default() };
    assert!(find(over).unwrap_err().starts_with("the archive at"));
}

#[test]
fn the_image_does_not_lie_in_what_firmware_keeps() {
    let over =
        "the hypervisor's image at 0x40200000..0x40223000 overlaps the memory that firmware reserves at";
    let reserved = Loaded::with(Board { reserved: vec![(0x4022_2000, 0x2000)], ..Board::default() });
    let refused = reserved.place(1).unwrap_err();
    assert!(refused.to_string().starts_with(over), "{refused}");
    let memreserve = Loaded { memreserve: vec![(0x4000_0000, 16 * MIB)], ..Loaded::default() };
    assert!(memreserve.place(1).unwrap_err().to_string().starts_with(over));
    // Loaders do that themselves.
    let archive = Loaded::with(Board { reserved: vec![(0x4800_0000, 0x1000)], ..Board::default() });
    assert!(archive.place(1).is_ok());
}

#[test]
fn an_archive_may_cross_from_one_bank_to_the_next() {
    let banks = vec![(0x4000_0000, 0x900_0000), (0x4900_0000, 0x700_0000)];
    assert!(Loaded::with(Board { banks, ..Board::default() }).place(1).is_ok());
}

#[test]
fn no_room_is_refused() {
    // Everything but the image and 32 KiB.
    let reserved = vec![(0x4000_0000, 2 * MIB), (0x4022_3000, 0x3fdc_d000 - 0x8000)];
    let tight = Loaded::with(Board { reserved, ..Board::default() });
    assert!(matches!(tight.place(1), Err(PoolError::NoRoom { .. })));
}

#[test]
fn more_than_fits_is_refused() {
    let banks = |n: u64| (0..n).map(|n| (0x4000_0000 + n * MIB * 32, MIB * 32)).collect::<Vec<_>>();
    let many = Loaded::with(Board { banks: banks(33), ..Board::default() }).place(1);
    assert_eq!(many, Err(PoolError::Early(EarlyError::Banks)));
    let reserved = (0..65).map(|n| (0x5000_0000 + n * MIB, 0x1000)).collect();
    let many = Loaded::with(Board { reserved, ..Board::default() }).place(1);
    assert_eq!(many, Err(PoolError::Early(EarlyError::Reserved)));
}
