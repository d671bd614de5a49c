use super::*;
use crate::plan::{Piece, TreeSource};
use crate::ports::NoWindow;

/// RAM as bytes from 0; what was cleaned, in order.
struct Ram {
    bytes: Vec<u8>,
    cleaned: Vec<(Span<Pa>, bool)>,
}

impl Ram {
    fn new() -> Self {
        Self { bytes: vec![0xaa; 0x1_0000], cleaned: Vec::new() }
    }
    fn at(&self, at: usize, size: usize) -> &[u8] {
        &self.bytes[at..at + size]
    }
}

impl Memory for Ram {
    fn copy(&mut self, to: Pa, from: Pa, size: u64) -> Result<(), NoWindow> {
        let from = from.0 as usize;
        self.bytes.copy_within(from..from + size as usize, to.0 as usize);
        Ok(())
    }
    fn write(&mut self, to: Pa, bytes: &[u8]) -> Result<(), NoWindow> {
        self.bytes[to.0 as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
    fn read(&mut self, from: Pa) -> Result<u64, NoWindow> {
        Ok(u64::from_le_bytes(self.at(from.0 as usize, 8).try_into().unwrap()))
    }
    fn zero(&mut self, span: Span<Pa>) -> Result<(), NoWindow> {
        self.bytes[span.start().0 as usize..span.end().0 as usize].fill(0);
        Ok(())
    }
    fn clean_invalidate(&mut self, span: Span<Pa>, instructions: bool) -> Result<(), NoWindow> {
        self.cleaned.push((span, instructions));
        Ok(())
    }
}

fn pa(start: u64, size: u64) -> Span<Pa> {
    Span::new(Pa(start), size).unwrap()
}

/// Two regions that meet in the guest's view and lie apart in the machine.
const SPLIT: [Region; 2] = [
    Region { ipa: Ipa(0x4000_0000), pa: Pa(0x8000), size: 0x2000 },
    Region { ipa: Ipa(0x4000_2000), pa: Pa(0x3000), size: 0x1000 },
];

fn plan(pieces: Vec<Piece>) -> Load {
    let tree = Span::new(Ipa(0x4000_2800), 0x800).unwrap();
    Load {
        pieces,
        zeroed: Vec::new(),
        tree,
        source: TreeSource::Derived,
        entry: Ipa(0x4000_0000),
        initrd: None,
        bootargs: None,
    }
}

const ARCHIVE: u64 = 0xc000;

fn archive_filled(ram: &mut Ram) {
    for n in 0..0x1000 {
        ram.bytes[ARCHIVE as usize + n] = n as u8 | 1;
    }
}

#[test]
fn a_piece_is_split_where_regions_meet() {
    let mut ram = Ram::new();
    archive_filled(&mut ram);
    let pieces = vec![
        Piece { offset: 0x10, size: 0x40, to: Ipa(0x4000_1fe0) },
        Piece { offset: 0, size: 0, to: Ipa(0x4000_0100) },
    ];
    load(&SPLIT, &plan(pieces), b"tree", pa(ARCHIVE, 0x1000), Some(&scrubbed(&SPLIT, &[])), &mut ram)
        .unwrap();
    let archive = ram.at(ARCHIVE as usize + 0x10, 0x40).to_vec();
    assert_eq!(ram.at(0x9fe0, 0x20), &archive[..0x20]);
    assert_eq!(ram.at(0x3000, 0x20), &archive[0x20..]);
    assert_eq!(ram.at(0x3800, 5), b"tree\0");
    assert!(ram.at(0x8000, 0x1fe0).iter().all(|b| *b == 0), "the rest is zeroed");
    assert!(
        ram.at(0x2000, 0x1000).iter().chain(ram.at(0x4000, 0x1000)).all(|b| *b == 0xaa),
        "and nothing else is"
    );
    assert_eq!(ram.cleaned, [(pa(0x3000, 0x1000), true), (pa(0x8000, 0x2000), true)]);
}

#[test]
fn what_is_not_scrubbed_is_cleaned_where_it_was_written() {
    let mut ram = Ram::new();
    archive_filled(&mut ram);
    let pieces = vec![Piece { offset: 0, size: 0x20, to: Ipa(0x4000_0000) }];
    load(&SPLIT, &plan(pieces), b"tree", pa(ARCHIVE, 0x1000), None, &mut ram).unwrap();
    assert_eq!(ram.at(0x8020, 4), [0xaa; 4]);
    assert_eq!(ram.cleaned, [(pa(0x8000, 0x20), true), (pa(0x3800, 4), false)]);
}

#[test]
fn what_an_image_has_beyond_its_file_is_zeroed_where_nothing_else_is() {
    let mut ram = Ram::new();
    archive_filled(&mut ram);
    let mut plan = plan(vec![Piece { offset: 0, size: 0x20, to: Ipa(0x4000_1f00) }]);
    plan.zeroed.extend(Span::new(Ipa(0x4000_1f20), 0x100));
    load(&SPLIT, &plan, b"", pa(ARCHIVE, 0x1000), None, &mut ram).unwrap();
    assert_ne!(ram.at(0x9f1f, 1), [0]);
    assert!(ram.at(0x9f20, 0xe0).iter().chain(ram.at(0x3000, 0x20)).all(|byte| *byte == 0));
    assert_eq!(ram.at(0x3020, 1), [0xaa]);
    assert_eq!(ram.cleaned, [(pa(0x9f20, 0xe0), true), (pa(0x3000, 0x20), true), (pa(0x9f00, 0x20), true)]);
}

#[test]
fn a_piece_outside_the_archive_or_the_ram_is_left_out() {
    let mut ram = Ram::new();
    let pieces = vec![
        Piece { offset: 0xff0, size: 0x20, to: Ipa(0x4000_0000) },
        Piece { offset: u64::MAX, size: 0x20, to: Ipa(0x4000_0000) },
        Piece { offset: 0, size: 0x20, to: Ipa(0x5000_0000) },
        Piece { offset: 0, size: u64::MAX, to: Ipa(0x4000_0000) },
    ];
    load(&SPLIT, &plan(pieces), b"", pa(ARCHIVE, 0x1000), None, &mut ram).unwrap();
    assert!(ram.bytes.iter().all(|b| *b == 0xaa));
}

#[test]
fn reserved_memory_is_left_alone() {
    let mut ram = Ram::new();
    let kept = [pa(0x8800, 0x100), pa(0xf000, 0x1000)];
    load(&SPLIT, &plan(vec![]), b"", pa(ARCHIVE, 0x1000), Some(&scrubbed(&SPLIT, &kept)), &mut ram).unwrap();
    assert_eq!((ram.at(0x87ff, 2), ram.at(0x88ff, 2)), (&[0, 0xaa][..], &[0xaa, 0][..]));
    assert_eq!(ram.cleaned.len(), 3);
}

#[test]
fn ram_is_what_regions_cover() {
    for (at, inside) in [(0x3fff_ffff, false), (0x4000_0000, true), (0x4000_2fff, true), (0x4000_3000, false)]
    {
        assert_eq!(is_ram(&SPLIT, Ipa(at)), inside);
    }
    assert!(!is_ram(&SPLIT, Ipa(u64::MAX)));
}

#[test]
fn cleaning_in_steps_covers_all_ram_once() {
    for step in [1 << 6, 0x123, 0x1000, 0x1fff, 0x2000, 0x3000, 1 << 20] {
        let mut ram = Ram::new();
        let mut progress = Some(Progress::default());
        while let Some(now) = progress {
            progress = now.clean(&SPLIT, step, &mut ram);
        }
        assert!(ram.cleaned.iter().all(|(span, _)| span.size() <= step));
        // Each step begins where the last one ended.
        let mut at = [0x8000, 0x3000];
        for (span, _) in &ram.cleaned {
            let next = at.iter_mut().find(|at| span.start().0 == **at).expect("a gap");
            *next = span.end().0;
        }
        assert_eq!(at, [0xa000, 0x4000], "{step:#x}");
    }
}
