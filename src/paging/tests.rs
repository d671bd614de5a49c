//! Against a model of spans, and against a walker and TLB of the tests' own that know nothing of the code under test.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::addr::{BLOCK_1G, BLOCK_2M, Ipa, PAGE};
use crate::fake::take_tables as take;
use Stage2Attributes::{Device, Ram};

/// Pages with the same attributes, as a span: from, to, attributes.
type Piece = (Span<Ipa>, Pa, Stage2Attributes);

fn span(start: u64, size: u64) -> Span<Ipa> {
    Span::new(Ipa(start), size).unwrap()
}

fn geometry() -> Geometry {
    Geometry::for_stage2(4, (1 << 40) - 1).unwrap()
}

fn heap_space() -> Stage2Space {
    let geometry = geometry();
    AddressSpace::new(geometry, HeapStore::new(&geometry, take).unwrap()).unwrap()
}

/// Tables that live as long as the test program and start aligned to 16 tables.
fn static_tables(count: usize) -> &'static [Table] {
    &take(count.next_multiple_of(16)).unwrap().keep()[..count]
}

fn input(span: Span<Ipa>) -> Span<Input> {
    span.map(|at| Input(at.0))
}

/// Joins neighbours that continue each other.
fn joined(mut pieces: Vec<Piece>) -> Vec<Piece> {
    pieces.sort_by_key(|p| p.0.start());
    let mut out: Vec<Piece> = Vec::new();
    for (from, to, attributes) in pieces {
        if let Some(last) = out.last_mut()
            && last.0.end() == from.start()
            && last.1.0 + last.0.size() == to.0
            && last.2 == attributes
        {
            last.0 = Span::between(last.0.start(), from.end()).unwrap();
            continue;
        }
        out.push((from, to, attributes));
    }
    out
}

fn pieces_of<S: Store>(space: &Stage2Space<S>) -> Vec<Piece> {
    joined(space.mappings().map(|m| (m.from, m.to, m.attributes)).collect())
}

/// What hardware finds: (first address, level) -> raw entry, table entries included. Written from the Arm ARM, not from
/// the code under test.
fn hardware_walk(tables: &[&Table], start: u32, root: &[Table]) -> BTreeMap<(u64, u32), u64> {
    fn visit(tables: &[&Table], level: u32, base: u64, table: &Table, found: &mut BTreeMap<(u64, u32), u64>) {
        let size = 1u64 << (39 - 9 * level);
        for index in 0..512 {
            let raw = table.entry(index);
            let base = base + index as u64 * size;
            match (raw & 3, level) {
                (0, _) => continue,
                (3, 0..=2) => {
                    let next = tables.iter().find(|t| t.pa().0 == raw & 0xffff_ffff_f000);
                    visit(tables, level + 1, base, next.expect("a walk leaves the tables"), found);
                }
                (3, 3) | (1, 1..=2) => {
                    assert_eq!(raw & 0xffff_ffff_f000 & (size - 1), 0, "a misaligned block");
                }
                _ => panic!("reserved entry {raw:#x} at level {level}"),
            }
            found.insert((base, level), raw);
        }
    }
    let mut found = BTreeMap::new();
    for (n, table) in root.iter().enumerate() {
        visit(tables, start, n as u64 * (512u64 << (39 - 9 * start)), table, &mut found);
    }
    found
}

/// A TLB that holds on to everything it has seen until it is told otherwise.
struct Tlb {
    tables: Vec<&'static Table>,
    root: &'static [Table],
    cached: BTreeMap<(u64, u32), u64>,
}

impl Tlb {
    /// Looks at all of the tables; a valid entry that replaces another one without an invalidation is a bug.
    fn observe(&mut self) {
        for (key, raw) in hardware_walk(&self.tables, 1, self.root) {
            let old = self.cached.insert(key, raw);
            assert!(old.is_none_or(|old| old == raw), "break-before-make broken at {:#x}", key.0);
        }
    }

    fn forget(&mut self, stale: Stale) {
        self.observe();
        self.cached.retain(|(base, level), _| match stale {
            Stale::At(at) => !(*base..*base + (1u64 << (39 - 9 * level))).contains(&at.0),
            Stale::All => false,
        });
    }
}

#[derive(Clone, Debug)]
enum Op {
    Map(u64, u64, u64, Stage2Attributes),
    Unmap(u64, u64),
}

fn address() -> impl Strategy<Value = u64> {
    let near = prop_oneof![3 => 0..3u64, 1 => 509..512u64];
    (prop_oneof![4 => 0..3u64, 1 => 511..513u64], near.clone(), prop_oneof![2 => Just(0), 1 => near])
        .prop_map(|(g, b, p)| g * BLOCK_1G + b * BLOCK_2M + p * PAGE)
}

fn size() -> impl Strategy<Value = u64> {
    prop_oneof![
        (1..4u64).prop_map(|n| n * PAGE),
        (1..3u64, 0..3u64).prop_map(|(b, p)| b * BLOCK_2M + p * PAGE),
        (0..3u64, 0..2u64).prop_map(|(g, b)| (g * BLOCK_1G + b * BLOCK_2M).max(PAGE)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let map =
        (address(), size(), 0..4u64, 0..3u64, any::<bool>()).prop_map(|(at, size, off, kind, device)| {
            let off = match kind {
                1 if size <= 4 * BLOCK_2M => off * PAGE,
                2 => off * BLOCK_2M,
                _ => off * BLOCK_1G,
            };
            Op::Map(at, at + off, size, if device { Device } else { Ram })
        });
    prop_oneof![3 => map, 2 => (address(), size()).prop_map(|(at, size)| Op::Unmap(at, size))]
}

fn apply<S: Store>(space: &mut Stage2Space<S>, model: &mut Vec<Piece>, op: Op, stale: &mut dyn FnMut(Stale)) {
    match op {
        Op::Map(at, to, size, attributes) => {
            let from = span(at, size);
            let taken = model.iter().any(|p| p.0.overlaps(&from));
            match space.map(from, Pa(to), attributes) {
                Ok(()) => assert!(!taken, "{from} was taken"),
                Err(MapError::Overlap { span, taken: other }) => {
                    assert!(taken && span == input(from) && other.overlaps(&span), "{from} was free");
                    return;
                }
                Err(other) => panic!("{other}"),
            }
            model.push((from, Pa(to), attributes));
        }
        Op::Unmap(at, size) => {
            let hole = span(at, size);
            space.unmap(hole, stale).unwrap();
            let cut = |(from, to, attributes): Piece| {
                from.without(&hole)
                    .into_iter()
                    .flatten()
                    .map(move |left| (left, Pa(to.0 + (left.start().0 - from.start().0)), attributes))
            };
            *model = model.drain(..).flat_map(cut).collect();
        }
    }
}

proptest! {
    #![proptest_config(crate::fake::cases(16))]

    #[test]
    fn a_space_maps_exactly_what_it_was_told(ops in prop::collection::vec(op(), 1..14)) {
        let mut space = heap_space();
        let mut model = Vec::new();
        for op in ops {
            apply(&mut space, &mut model, op, &mut |_| ());
            prop_assert_eq!(pieces_of(&space), joined(model.clone()));
        }
        for (from, to, attributes) in &model {
            for at in [from.start().0, from.start().0 + from.size() / 2, from.last().0] {
                let expected = Some((Pa(to.0 + (at - from.start().0)), *attributes));
                prop_assert_eq!(space.translate(Ipa(at)), expected);
            }
        }
        // Nothing is left behind: no table that is empty, none that cannot be reached.
        let all = space.geometry().input_bits();
        space.unmap(span(0, 1 << all), &mut |_| ()).unwrap();
        prop_assert_eq!(space.mappings().count(), 0);
        prop_assert_eq!(space.tables(), space.geometry().root_tables());
    }

    #[test]
    fn a_tlb_never_sees_two_answers(ops in prop::collection::vec(op(), 1..10)) {
        let tables = static_tables(160);
        let geometry = geometry();
        let root = &tables[..geometry.root_tables()];
        let mut space = AddressSpace::new(geometry, SliceStore::new(&geometry, tables).unwrap()).unwrap();
        let mut tlb = Tlb { tables: tables.iter().collect(), root, cached: BTreeMap::new() };
        let mut model = Vec::new();
        for op in ops {
            apply(&mut space, &mut model, op, &mut |stale| tlb.forget(stale));
            tlb.observe();
            let now = hardware_walk(&tlb.tables, 1, root);
            prop_assert_eq!(&tlb.cached, &now, "a stale entry is left");
            // The raw entries lead where the model says, and nowhere else.
            let leaves = now.iter().filter(|((_, level), raw)| *level == 3 || *raw & 2 == 0);
            let walked = leaves.map(|((base, level), raw)| {
                let attributes = if raw >> 54 & 1 == 1 { Device } else { Ram };
                (span(*base, 1 << (39 - 9 * level)), Pa(raw & 0xffff_ffff_f000), attributes)
            });
            prop_assert_eq!(joined(walked.collect()), joined(model.clone()));
        }
    }
}

#[test]
fn entries_are_what_the_manual_says() {
    let mut space = heap_space();
    space.map(span(0, PAGE), Pa(0x8000_1000), Ram).unwrap();
    space.map(span(PAGE, PAGE), Pa(0x900_0000), Device).unwrap();
    space.map(span(BLOCK_2M, BLOCK_2M), Pa(BLOCK_2M), Ram).unwrap();
    let entry = |at: u64| space.walker.load(space.walker.find(at).0);
    assert_eq!(entry(0), 0x8000_17ff);
    assert_eq!(entry(PAGE), 0x0040_0000_0900_04c7);
    assert_eq!(entry(BLOCK_2M), 0x0020_07fd);
}

#[test]
fn el2_entries_are_never_writable_and_executable() {
    let encoded = |regime| {
        let windows = [Window::Code, Window::ReadOnly, Window::Data, Window::Device];
        windows.map(|window| El2Stage1::encode((regime, window)))
    };
    let one = encoded(Regime::El2);
    assert_eq!(one, [0x7c0, 0x40_0000_0000_07c0, 0x40_0000_0000_0740, 0x40_0000_0000_0444]);
    let two = encoded(Regime::El2And0);
    assert_eq!(two, [0x780, 0x60_0000_0000_0780, 0x60_0000_0000_0700, 0x60_0000_0000_0404]);
    assert!(
        two.iter().all(|bits| bits >> 6 & 1 == 0),
        "AP[1]: nothing is EL0's, so PAN keeps nothing from EL2"
    );
    for (bits, never) in one.into_iter().zip([54; 4]).chain(two.into_iter().zip([53; 4])) {
        let (read_only, never) = (bits >> 7 & 1 == 1, bits >> never & 1 == 1);
        assert!(read_only || never);
        assert_eq!(El2Stage1::decode(bits).map(El2Stage1::encode), Some(bits));
    }
    assert_eq!(El2Stage1::decode(0x740), None, "writable and executable");
}

#[test]
fn the_largest_blocks_are_taken() {
    let mut space = heap_space();
    let (start, end) = (BLOCK_1G - BLOCK_2M - PAGE, 3 * BLOCK_1G + BLOCK_2M + PAGE);
    space.map(span(start, end - start), Pa(start), Ram).unwrap();
    let sizes: Vec<u64> = space.mappings().map(|m| m.from.size()).collect();
    assert_eq!(sizes, [PAGE, BLOCK_2M, BLOCK_1G, BLOCK_1G, BLOCK_2M, PAGE]);
    // Root of 2, level 2 below and above, level 3 below and above.
    assert_eq!(space.tables(), 6);
}

#[test]
fn refusals_name_what_is_in_the_way() {
    let mut space = heap_space();
    space.map(span(BLOCK_2M, BLOCK_2M), Pa(0), Ram).unwrap();
    let wanted = span(0, BLOCK_1G);
    assert_eq!(
        space.map(wanted, Pa(0), Ram),
        Err(MapError::Overlap { span: input(wanted), taken: input(span(BLOCK_2M, BLOCK_2M)) })
    );
    assert!(matches!(space.map(span(0, 5), Pa(0), Ram), Err(MapError::Unaligned { .. })));
    assert!(matches!(space.map(span(0, PAGE), Pa(8), Ram), Err(MapError::Unaligned { .. })));
    let beyond = span((1 << 40) - PAGE, 2 * PAGE);
    assert!(matches!(space.map(beyond, Pa(0), Ram), Err(MapError::InputTooLarge { bits: 40, .. })));
    let high = Pa((1 << 44) - PAGE);
    assert!(matches!(
        space.map(span(0, 2 * PAGE), high, Ram),
        Err(MapError::OutputTooLarge { bits: 44, .. })
    ));
    space.map(span(0, PAGE), high, Ram).unwrap();
    assert_eq!(space.mappings().count(), 2);
    assert_eq!(space.translate(Ipa(1 << 40)), None);
    assert_eq!(space.translate(Ipa(5)), Some((Pa(high.0 + 5), Ram)));
}

#[test]
fn a_store_that_runs_out_says_so_and_keeps_what_is_mapped() {
    let geometry = Geometry::for_stage2(0, 0).unwrap();
    let tables = static_tables(2);
    let mut space = AddressSpace::new(geometry, SliceStore::new(&geometry, &tables[..2]).unwrap()).unwrap();
    assert_eq!(space.map(span(0, PAGE), Pa(0), Ram), Err(MapError::NoTable { at: Input(0) }));
    space.unmap(span(0, 1 << 32), &mut |_| ()).unwrap();
    space.map(span(BLOCK_1G, BLOCK_1G), Pa(0), Ram).unwrap();
    let hole = span(BLOCK_1G + PAGE, PAGE);
    assert!(matches!(space.unmap(hole, &mut |_| ()), Err(MapError::NoTable { .. })));
    assert_eq!(pieces_of(&space), [(span(BLOCK_1G, BLOCK_1G), Pa(0), Ram)]);
    assert_eq!(space.tables(), 2);
}

#[test]
fn roots_of_all_sizes_are_aligned_to_themselves() {
    for bits in 38..44 {
        let geometry = Geometry::for_stage2(4, (1 << bits) - 1).unwrap();
        let mut store = HeapStore::new(&geometry, take).unwrap();
        let roots = geometry.root_tables() as u64;
        assert!(store.root()[0].pa().0.is_multiple_of(roots * PAGE));
        assert_eq!(store.tables() as u64, roots);
        // Tables that come and go, those beside the root included.
        let grown: Vec<Pa> = (0..20).map(|_| store.grow().unwrap().pa()).collect();
        assert!(grown.iter().all(|pa| store.table(*pa).is_some_and(|t| t.pa() == *pa)));
        assert!(grown.iter().all(|pa| store.root().iter().all(|t| t.pa() != *pa)));
        grown.iter().for_each(|pa| store.release(*pa));
        assert_eq!(store.tables() as u64, roots);
    }
    let geometry = Geometry::for_stage2(4, (1 << 43) - 1).unwrap();
    assert!(
        HeapStore::over(&geometry, Tables::forever(&static_tables(17)[1..]), take).is_none(),
        "not aligned"
    );
    assert!(
        HeapStore::over(&geometry, Tables::forever(&static_tables(17)[..15]), take).is_none(),
        "too short"
    );
}

#[test]
fn a_space_of_el2_moves_to_the_other_regime_as_it_is() {
    let geometry = Geometry::for_el2(2, (1 << 40) - 1, Regime::El2).unwrap();
    let mut space: El2Space = AddressSpace::new(geometry, HeapStore::new(&geometry, take).unwrap()).unwrap();
    let spans = [
        (0x4020_0000, 0x1_0000, Window::Code),
        (0x4021_0000, 0x1000, Window::ReadOnly),
        (0x4040_0000, 3 << 21, Window::Data),
        (0x80_0000_0000, BLOCK_1G, Window::Data),
        (0x0900_0000, 0x1000, Window::Device),
    ];
    for (at, size, window) in spans {
        space.map_identity(Span::new(Pa(at), size).unwrap(), window).unwrap();
    }
    let all = |space: &El2Space| -> Vec<_> {
        space.mappings().map(|m| (m.from, m.to, m.attributes.0, m.attributes.1)).collect()
    };
    let before = all(&space);
    space.move_to(Regime::El2And0);
    let after = all(&space);
    assert!(before.len() >= spans.len() && before.len() == after.len());
    for (old, new) in before.into_iter().zip(after) {
        assert_eq!((old.0, old.1, old.3), (new.0, new.1, new.3));
        assert_eq!((old.2, new.2), (Regime::El2, Regime::El2And0));
    }
    // What comes later is of the new regime, too.
    space.map_identity(Span::new(Pa(0x5000_0000), PAGE).unwrap(), Window::Data).unwrap();
    let later = space.translate(Va(0x5000_0000)).unwrap();
    assert_eq!((later.1.0, space.geometry().tcr_el2() >> 32), (Regime::El2And0, 2));
}

#[test]
fn el2_maps_one_to_one() {
    let geometry = Geometry::for_el2(2, (1 << 40) - 1, Regime::El2).unwrap();
    let mut space: El2Space = AddressSpace::new(geometry, HeapStore::new(&geometry, take).unwrap()).unwrap();
    let code = Span::new(Pa(0x4020_0000), 0x1_0000).unwrap();
    space.map_identity(code, Window::Code).unwrap();
    assert_eq!(space.translate(Va(0x4020_1234)), Some((Pa(0x4020_1234), (Regime::El2, Window::Code))));
    assert_eq!(space.translate(Va(0x4021_0000)), None);
    let cell_root = HeapStore::new(&Geometry::for_stage2(4, 1 << 42).unwrap(), take).unwrap();
    assert!(AddressSpace::<El2Stage1, _>::new(geometry, cell_root).is_none(), "a root of another shape");
}

fn index_in(tables: &[Table], at: Pa) -> Option<usize> {
    let index = (at.0.checked_sub(tables.first()?.pa().0)? / PAGE) as usize;
    tables.get(index).filter(|t| t.pa() == at).map(|_| index)
}

/// Tables from an array, for the time before there is a heap. What is released is not used again.
#[derive(Debug)]
pub struct SliceStore<'a> {
    tables: &'a [Table],
    roots: usize,
    used: usize,
}

impl<'a> SliceStore<'a> {
    /// The first tables become the root; nobody else uses the array. `None` if it is too short or not aligned to the
    /// size of the root.
    pub fn new(geometry: &Geometry, tables: &'a [Table]) -> Option<Self> {
        let roots = geometry.root_tables();
        let root = tables.get(..roots)?;
        if root.first()?.pa().0 & geometry.root_size().wrapping_sub(1) != 0 {
            return None;
        }
        root.iter().for_each(Table::clear);
        Some(Self { tables, roots, used: roots })
    }
}

impl Store for SliceStore<'_> {
    fn root(&self) -> &[Table] {
        self.tables.get(..self.roots).unwrap_or(&[])
    }

    fn table(&self, at: Pa) -> Option<&Table> {
        self.tables.get(index_in(self.tables, at)?)
    }

    fn grow(&mut self) -> Option<&Table> {
        let table = self.tables.get(self.used)?;
        self.used = self.used.saturating_add(1);
        table.clear();
        Some(table)
    }

    fn release(&mut self, _at: Pa) {}

    fn tables(&self) -> usize {
        self.used
    }
}
