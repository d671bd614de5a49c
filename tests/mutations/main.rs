//! The three inputs that a loader brings, each changed many times over: boot refuses or goes on, and neither panics nor
//! hangs nor takes more memory than it has.
//!
//! `BULKHEAD_MUTATIONS` says how many for each input (100,000); `BULKHEAD_CASE` runs a single one again.

#[path = "../entry/mod.rs"]
mod entry;
#[path = "../../src/archive/sample.rs"]
mod files;
#[path = "../../src/image/sample.rs"]
mod images;

mod bytes;
mod heap;
mod model;
mod random;
mod seeds;
mod worst;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use entry::Reached;
use model::Model;
use random::Random;
use seeds::Seed;

/// No input, of at most 2 MiB, may take this long; most take a ten-thousandth.
const LONGEST: Duration = Duration::from_secs(5);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|n| n.parse().unwrap_or_else(|_| panic!("{name} is no number: {n}")))
}

/// Runs the cases of one input. `change` makes bytes from a seed; `boot` has them read.
fn run(
    input: &str,
    change: impl Fn(&[Seed], &[Model], &mut Random) -> (usize, Vec<u8>),
    boot: impl Fn(&Seed, &[u8]) -> Reached,
    of: impl Fn(&Seed) -> Option<Model>,
) {
    let seeds = seeds::all();
    let models: Vec<Model> = seeds.iter().filter_map(of).collect();
    let only = number("BULKHEAD_CASE");
    let cases = only.map_or(0..number("BULKHEAD_MUTATIONS").unwrap_or(100_000), |case| case..case + 1);
    let at = AtomicU64::new(u64::MAX);
    let all = Instant::now();
    let (mut reached, mut slowest, mut failed) = ([0; 4], (Duration::ZERO, 0), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| watch(input, &at));
        for case in cases {
            let mut random = Random::new(case);
            let (seed, bytes) = change(&seeds, &models, &mut random);
            at.store(case, Ordering::Relaxed);
            let begun = Instant::now();
            match catch_unwind(AssertUnwindSafe(|| boot(&seeds[seed], &bytes))) {
                Ok(way) => reached[way as usize] += 1,
                Err(_) => failed.push(case),
            }
            slowest = slowest.max((begun.elapsed(), case));
        }
        at.store(DONE, Ordering::Relaxed);
    });
    let [none, early, refused, planned] = reached;
    eprintln!(
        "{input}: {none} no tree, {early} refused before there is a heap, {refused} refused, {planned} planned, in {:?}; \
         the slowest, {}, took {:?}",
        all.elapsed(),
        slowest.1,
        slowest.0
    );
    assert!(failed.is_empty(), "{input}: BULKHEAD_CASE of what panicked: {failed:?}");
    assert!(slowest.0 < LONGEST, "{input}: BULKHEAD_CASE={} took {:?}", slowest.1, slowest.0);
    // Otherwise nothing has been tested.
    assert!(only.is_some() || refused > 100 && planned > 100, "{input}: the mutations go nowhere");
}

const DONE: u64 = u64::MAX - 1;

/// Ends the process when one case goes on for ever, and names it.
fn watch(input: &str, at: &AtomicU64) {
    let (mut last, mut since) = (u64::MAX, Instant::now());
    loop {
        match at.load(Ordering::Relaxed) {
            DONE => return,
            case if case != last => (last, since) = (case, Instant::now()),
            u64::MAX => {}
            case if since.elapsed() > 4 * LONGEST => {
                eprintln!("{input}: BULKHEAD_CASE={case} hangs");
                std::process::exit(1);
            }
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A changed tree: by what it means, or by its bytes.
fn tree(blob: &[u8], model: &Model, other: &Model, random: &mut Random) -> Vec<u8> {
    let times = 1 + random.below(4);
    if random.below(2) == 0 {
        let mut model = model.clone();
        (0..times).for_each(|_| model.change(other, random));
        return model.blob();
    }
    let mut bytes = blob.to_vec();
    (0..times).for_each(|_| bytes::change(&mut bytes, blob, random));
    if random.below(2) == 0 {
        let grown = bytes.len() as isize - blob.len() as isize;
        bytes::mend_header(&mut bytes, grown);
    }
    bytes
}

/// For the fuzzer: writes what boots on virt, and each input with the byte before it by which the target knows it.
#[test]
#[ignore = "scripts/fuzz runs it"]
fn write_seeds() {
    let folder = std::path::PathBuf::from(std::env::var_os("BULKHEAD_SEEDS").expect("where to"));
    let corpus = folder.with_file_name("corpus").join("boot");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::create_dir_all(&corpus).unwrap();
    for (n, seed) in seeds::all().iter().enumerate() {
        let inputs = [
            ("board", seed.board.as_slice()),
            ("archive", &seed.archive),
            ("description", seed.description()),
        ];
        for (which, (name, bytes)) in inputs.into_iter().enumerate() {
            if n == 0 {
                std::fs::write(folder.join(name), bytes).unwrap();
            }
            std::fs::write(corpus.join(format!("{name}{n}")), [&[which as u8], bytes].concat()).unwrap();
        }
    }
}

#[test]
fn what_is_not_changed_boots() {
    for seed in seeds::all() {
        let (reached, peak) = heap::peak(|| seed.loaded.boot(&seed.board, &seed.archive));
        println!("{peak} bytes of heap");
        assert_eq!(reached, Reached::Planned);
    }
}

#[test]
fn description() {
    let change = |seeds: &[Seed], models: &[Model], random: &mut Random| {
        // One board is enough: the others cost time.
        let blob = tree(seeds[0].description(), &models[0], &models[random.below(models.len())], random);
        (0, blob)
    };
    let boot = |seed: &Seed, blob: &[u8]| seed.loaded.boot(&seed.board, &seed.with_description(blob));
    run("description", change, boot, |seed| Some(Model::of(seed.description())));
}

#[test]
fn board() {
    let change = |seeds: &[Seed], models: &[Model], random: &mut Random| {
        // Real boards are ten times as large.
        let at = if random.below(24) == 0 { random.below(seeds.len()) } else { 0 };
        let blob = tree(&seeds[at].board, &models[at], &models[random.below(models.len())], random);
        (at, blob)
    };
    let boot = |seed: &Seed, blob: &[u8]| seed.loaded.boot(blob, &seed.archive);
    run("board", change, boot, |seed| Some(Model::of(&seed.board)));
}

#[test]
fn archive() {
    let change = |seeds: &[Seed], _: &[Model], random: &mut Random| {
        let archive = &seeds[0].archive;
        let mut bytes = archive.clone();
        (0..1 + random.below(4)).for_each(|_| bytes::change(&mut bytes, archive, random));
        (0, bytes)
    };
    run("archive", change, |seed, bytes| seed.loaded.boot(&seed.board, bytes), |_| None);
}
