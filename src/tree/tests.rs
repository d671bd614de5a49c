use super::sample::{board, node};
use super::*;

/// Version, structure and strings offsets and sizes in the header.
const STRUCTURE: usize = 8;
const STRINGS: usize = 12;
const RESERVATIONS: usize = 16;
const VERSION: usize = 20;
const COMPATIBLE: usize = 24;
const STRINGS_SIZE: usize = 32;
const STRUCTURE_SIZE: usize = 36;

fn get(blob: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(blob[at..at + 4].try_into().unwrap())
}

fn set(blob: &mut [u8], at: usize, value: u32) {
    blob[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// A blob of version 17 with this structure block, "a\0b\0" for strings and no reservations.
fn raw(tokens: &[u32]) -> Vec<u8> {
    let size = tokens.len() as u32 * 4;
    let header = [0xd00d_feed, 60 + size, 56, 56 + size, 40, 17, 16, 0, 4, size, 0, 0, 0, 0];
    let words = header.iter().chain(tokens).flat_map(|w| w.to_be_bytes());
    words.chain(*b"a\0b\0").collect()
}

const A: u32 = u32::from_be_bytes(*b"a\0\0\0");
const B: u32 = u32::from_be_bytes(*b"b\0\0\0");

#[test]
fn a_board_is_laid_out_in_tree_order() {
    let blob = board().blob_reserving(&[(0x4000_0000, 0x1000), (0x5000_0000, 0x10)]);
    let tree = Tree::parse(&blob).unwrap();
    assert_eq!(tree.root().children().count(), 11);
    let cpus = tree.at("/cpus").unwrap();
    assert_eq!(cpus.children().map(|cpu| cpu.path()).collect::<Vec<_>>(), ["/cpus/cpu@0", "/cpus/cpu@1"]);
    assert_eq!(cpus.descendants().count(), 2);
    assert_eq!(tree.phandle(2).unwrap().path(), "/intc@8000000/its@8080000");
    assert_eq!(tree.phandle(2).unwrap().ancestors().count(), 2);
    assert!(tree.phandle(0).is_none() && tree.phandle(99).is_none());
    assert_eq!(
        tree.at("/pl011@9000000").unwrap().compatibles().collect::<Vec<_>>(),
        ["arm,pl011", "arm,primecell"]
    );
    let spans: Vec<_> = tree.reservations().iter().map(|span| (span.start().0, span.size())).collect();
    assert_eq!(spans, [(0x4000_0000, 0x1000), (0x5000_0000, 0x10)]);
}

#[test]
fn size_in_use_leaves_out_the_room() {
    let blob = board().blob();
    let used = used_size(&blob).unwrap();
    let mut roomy = blob.clone();
    roomy.resize(1 << 20, 0);
    set(&mut roomy, 4, 1 << 20);
    assert_eq!(used_size(&roomy), Ok(used));
    assert!(used <= blob.len() && blob.len() - used <= 48, "{used} of {}", blob.len());
    assert_eq!(total_size(&roomy), Ok(1 << 20));
}

#[test]
fn version_16_ends_at_its_end_token() {
    let mut blob = board().blob();
    set(&mut blob, VERSION, 16);
    set(&mut blob, STRUCTURE_SIZE, u32::MAX);
    assert_eq!(check(&blob), Ok(()));
    assert_eq!(used_size(&blob), used_size(&board().blob()));
}

#[test]
fn nops_may_stand_between_any_two_tokens() {
    let blob = raw(&[4, 1, 0, 4, 3, 0, 0, 4, 4, 3, 4, 2, 7, 4, 1, A, 4, 2, 4, 1, B, 2, 4, 2, 4, 9]);
    let tree = Tree::parse(&blob).unwrap();
    assert_eq!(tree.root().props().iter().map(|p| p.name()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(tree.root().prop("b").unwrap().u32(), Some(7));
    assert_eq!(tree.root().children().map(|c| c.name()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_damaged_header_is_refused() {
    let good = board().blob();
    let size = good.len() as u32;
    let with = |at, value| {
        let mut blob = good.clone();
        set(&mut blob, at, value);
        check(&blob)
    };
    assert_eq!(with(0, 0), Err(TreeError::Header));
    assert_eq!(with(4, size + 1), Err(TreeError::Truncated));
    assert_eq!(with(4, 39), Err(TreeError::Header));
    assert_eq!(with(VERSION, 15), Err(TreeError::Version { version: 15 }));
    assert_eq!(with(COMPATIBLE, 18), Err(TreeError::Version { version: 17 }));
    assert_eq!(with(VERSION, 18), Ok(()));
    for at in [STRUCTURE, STRINGS, RESERVATIONS] {
        for value in [0, 39, size + 8, u32::MAX] {
            assert!(with(at, value).is_err(), "{at} {value}");
        }
    }
    assert_eq!(with(STRUCTURE, get(&good, STRUCTURE) + 1), Err(TreeError::Header));
    assert_eq!(with(RESERVATIONS, get(&good, RESERVATIONS) + 4), Err(TreeError::Header));
    assert_eq!(with(STRINGS_SIZE, size), Err(TreeError::Header));
    assert_eq!(with(STRUCTURE_SIZE, u32::MAX), Err(TreeError::Header));
    assert_eq!(with(STRUCTURE_SIZE, get(&good, STRUCTURE_SIZE) - 4), Err(TreeError::Truncated));
    for cut in 0..64 {
        assert!(check(&good[..cut]).is_err());
    }
    let mut big = good;
    big.resize(MAX_SIZE + 1, 0);
    set(&mut big, 4, MAX_SIZE as u32 + 1);
    assert_eq!(check(&big), Err(TreeError::TooBig));
}

#[test]
fn a_damaged_structure_is_refused() {
    let cases: &[(&[u32], TreeError)] = &[
        (&[9], TreeError::NoRoot),
        (&[], TreeError::Truncated),
        (&[1, 0, 2], TreeError::Truncated),
        (&[2, 9], TreeError::Unbalanced { at: 0 }),
        (&[1, 0, 9], TreeError::Unbalanced { at: 8 }),
        (&[1, 0, 2, 1, 0, 2, 9], TreeError::TwoRoots { at: 12 }),
        (&[1, A, 2, 9], TreeError::Name { at: 0 }),
        (&[1, 0, 1, 0, 2, 2, 9], TreeError::Name { at: 8 }),
        (&[1, 0, 1, u32::from_be_bytes(*b"a/b\0"), 2, 2, 9], TreeError::Name { at: 8 }),
        (&[1, 0, 1, u32::from_be_bytes(*b"a\xff\0\0"), 2, 2, 9], TreeError::Name { at: 8 }),
        (&[1, 0, 1, u32::from_be_bytes(*b"aaaa")], TreeError::Name { at: 8 }),
        (&[3, 0, 0, 1, 0, 2, 9], TreeError::Misplaced { at: 0 }),
        (&[1, 0, 1, A, 2, 3, 0, 0, 2, 9], TreeError::Misplaced { at: 20 }),
        (&[1, 0, 2, 3, 0, 0, 9], TreeError::Misplaced { at: 12 }),
        (&[1, 0, 3, 0, 1, 2, 9], TreeError::Name { at: 8 }),
        (&[1, 0, 3, 0, 4, 2, 9], TreeError::Name { at: 8 }),
        (&[1, 0, 3, 0, u32::MAX, 2, 9], TreeError::Name { at: 8 }),
        (&[1, 0, 3, 99, 0, 2, 9], TreeError::Truncated),
        (&[1, 0, 3, u32::MAX, 0, 2, 9], TreeError::Truncated),
        (&[1, 0, 5, 2, 9], TreeError::Token { at: 8, token: 5 }),
    ];
    for (tokens, error) in cases {
        assert_eq!(check(&raw(tokens)), Err(error.clone()), "{tokens:x?}");
        assert_eq!(Tree::parse(&raw(tokens)).err(), Some(error.clone()));
    }
}

#[test]
fn damaged_reservations_are_refused() {
    let mut blob = board().blob_reserving(&[(0x1000, 0x1000)]);
    let at = get(&blob, RESERVATIONS) as usize;
    set(&mut blob, at, u32::MAX);
    set(&mut blob, at + 4, u32::MAX);
    assert_eq!(check(&blob), Err(TreeError::Reservations));
    assert_eq!(Tree::parse(&blob).err(), Some(TreeError::Reservations));
    // Where no entry of zeros ends the block, it runs to the end of the blob.
    let size = blob.len() as u32;
    set(&mut blob, RESERVATIONS, size & !7);
    assert_eq!(check(&blob), Err(TreeError::Reservations));
}

#[test]
fn depth_has_a_limit() {
    let deep =
        |depth: usize| raw(&[&[1, 0][..], &[1, A].repeat(depth - 1), &[2].repeat(depth), &[9]].concat());
    assert_eq!(check(&deep(MAX_DEPTH)), Ok(()));
    let tree = deep(MAX_DEPTH);
    assert_eq!(Tree::parse(&tree).unwrap().nodes().last().unwrap().ancestors().count(), MAX_DEPTH - 1);
    assert_eq!(check(&deep(MAX_DEPTH + 1)), Err(TreeError::TooDeep { at: 8 * MAX_DEPTH }));
}

#[test]
fn numbers_of_nodes_and_properties_have_limits() {
    let nodes = |n: usize| raw(&[&[1, 0][..], &[1, A, 2].repeat(n - 1), &[2, 9]].concat());
    assert_eq!(check(&nodes(MAX_NODES)), Ok(()));
    assert_eq!(check(&nodes(MAX_NODES + 1)), Err(TreeError::TooBig));
    let props = |n: usize| raw(&[&[1, 0][..], &[3, 0, 0].repeat(n), &[2, 9]].concat());
    assert_eq!(check(&props(MAX_PROPS)), Ok(()));
    assert_eq!(check(&props(MAX_PROPS + 1)), Err(TreeError::TooBig));
}

#[test]
fn nothing_may_be_there_twice() {
    let twice = raw(&[1, 0, 1, A, 3, 0, 0, 3, 0, 2, 3, 0, 0, 2, 2, 9]);
    assert_eq!(Tree::parse(&twice).err(), Some(TreeError::Twice { path: "/a/a".into() }));
    let twice = raw(&[1, 0, 1, A, 2, 1, B, 2, 1, A, 2, 2, 9]);
    assert_eq!(Tree::parse(&twice).err(), Some(TreeError::Twice { path: "/a".into() }));
    let phandles = node("")
        .child(node("a").cells("phandle", [7]).cells("linux,phandle", [7]))
        .child(node("b").cells("phandle", [u32::MAX]))
        .child(node("c").cells("phandle", [u32::MAX]));
    assert!(Tree::parse(&phandles.blob()).is_ok());
    let phandles = phandles.child(node("d").cells("linux,phandle", [7])).blob();
    let error = Tree::parse(&phandles).unwrap_err();
    assert_eq!(error, TreeError::PhandleTwice { phandle: 7, nodes: Box::new(("/a".into(), "/d".into())) });
}

#[test]
fn a_name_is_an_alias_a_label_a_path_or_a_node_name() {
    let blob = board().blob();
    let tree = Tree::parse(&blob).unwrap();
    for (name, path) in [
        ("/pl011@9040000", "/pl011@9040000"),
        ("serial0", "/pl011@9000000"),
        ("uart1", "/pl011@9040000"),
        ("rtc", "/pl031@9010000"),
        ("cpu@1", "/cpus/cpu@1"),
        ("pl031", "/pl031@9010000"),
        // The other one is disabled.
        ("pl011", "/pl011@9000000"),
        ("its", "/intc@8000000/its@8080000"),
    ] {
        assert_eq!(tree.resolve(name).unwrap().path(), path, "{name}");
    }
}

#[test]
fn an_unclear_name_is_refused_with_its_candidates() {
    let blob = board().child(node("rtc").child(node("pl031@9010000"))).blob();
    let tree = Tree::parse(&blob).unwrap();
    assert_eq!(tree.resolve("rtc").unwrap().path(), "/pl031@9010000");
    assert_eq!(
        tree.resolve("pl031@9010000").unwrap_err().to_string(),
        "`pl031@9010000` could be any of /pl031@9010000, /rtc/pl031@9010000; give the full path"
    );
    assert!(matches!(tree.resolve("virtio_mmio"), Err(ResolveError::Ambiguous { candidates, .. })
        if candidates == ["/virtio_mmio@a000000", "/virtio_mmio@a000200"]));
    let other = node("")
        .child(node("a"))
        .child(node("b"))
        .child(node("aliases").text("x", ["/a"]))
        .child(node("__symbols__").text("x", ["/b"]));
    let blob = other.blob();
    assert!(matches!(Tree::parse(&blob).unwrap().resolve("x"), Err(ResolveError::Ambiguous { .. })));
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest() {
    let blob = board().blob();
    let tree = Tree::parse(&blob).unwrap();
    for (name, hint) in [
        ("seral0", "the board has no `seral0`; did you mean `serial0`?"),
        ("pl032", "the board has no `pl032`; did you mean `pl031`?"),
        ("/cpus/cpu@7", "the board has no `/cpus/cpu@7`; did you mean `/cpus/cpu@0`?"),
        ("ethernet", "the board has no `ethernet`"),
        ("", "the board has no ``"),
    ] {
        assert_eq!(tree.resolve(name).unwrap_err().to_string(), hint);
    }
}

/// The tree without the room that QEMU leaves, so that damage hits something.
fn trimmed(tree: &[u8]) -> Vec<u8> {
    let end = |at, size| get(tree, at) as usize + get(tree, size) as usize;
    let end = end(STRUCTURE, STRUCTURE_SIZE).max(end(STRINGS, STRINGS_SIZE));
    let mut blob = tree[..end].to_vec();
    set(&mut blob, 4, end as u32);
    blob
}

/// Damages a tree in one to four places and reads it in every way there is, again and again. How many of these
/// trees were accepted comes back.
fn mutate(tree: &[u8], count: u64) -> u64 {
    let tree = trimmed(tree);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    let mut accepted = 0;
    for _ in 0..count {
        let mut blob = tree.clone();
        for _ in 0..=random(4) {
            // A third of the damage hits the header, which is small and matters most.
            let at = if random(3) == 0 { random(40) } else { random(blob.len()) };
            let (word, size) = (at.min(blob.len() - 4) & !3, random(64).min(blob.len() - at));
            match random(5) {
                0 => blob[at] ^= 1 << random(8),
                1 => blob[at] = random(256) as u8,
                2 => set(&mut blob, word, [0, 1, 2, 3, 4, 5, 9, u32::MAX][random(8)]),
                3 => blob.copy_within(at..at + size, random(tree.len() - size)),
                _ => set(&mut blob, word, get(&tree, word).wrapping_add(random(64) as u32).wrapping_sub(32)),
            }
        }
        blob.truncate(blob.len() - random(20).saturating_sub(16));
        accepted += u64::from(check(&blob).is_ok());
        read_all(&blob);
    }
    accepted
}

/// Everything that reads trees; none of it may panic or run on.
fn read_all(blob: &[u8]) {
    let checked = check(blob);
    assert!(used_size(blob).is_ok() || checked.is_err());
    let Ok(tree) = Tree::parse(blob) else { return };
    assert_eq!(checked, Ok(()));
    for node in tree.nodes().step_by(tree.nodes().count() / 64 + 1) {
        assert_eq!(tree.at(&node.path()).map(|n| n.id()), Some(node.id()));
        let children = node.children().inspect(|c| assert_eq!(c.parent().map(|p| p.id()), Some(node.id())));
        assert!(children.count() <= node.descendants().count());
        for prop in node.props() {
            let _ = (prop.u64(), prop.str(), prop.strings().count(), prop.cells().count());
        }
        let _ = (tree.resolve(node.base_name()).is_ok(), node.is_available(), node.address_cells());
    }
}

#[test]
fn no_damage_makes_a_reader_panic() {
    let accepted = mutate(&board().blob(), 2_000);
    assert!((200..1_900).contains(&accepted), "{accepted} accepted: the damage is too coarse, or too fine");
}

/// `BULKHEAD_TREE=board.dtb cargo test --release damage_to_a_given_tree -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes: a million mutations of a tree in a file"]
fn damage_to_a_given_tree() {
    let tree = std::fs::read(std::env::var_os("BULKHEAD_TREE").unwrap()).unwrap();
    println!("{} of 1000000 mutations accepted, no panic", mutate(&tree, 1_000_000));
}
