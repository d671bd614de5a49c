//! Cells for which EL2's memory does not suffice.

use super::*;

/// A UART that takes everything.
struct Sink;

impl Serial for Sink {
    fn put(&mut self, bytes: &[u8]) -> usize {
        bytes.len()
    }
    fn take(&mut self, _: &mut [u8]) -> usize {
        0
    }
    fn call_for_more(&mut self, _: bool) {}
}

/// Each cell's name and CPUs.
type Cells = Vec<(String, Vec<u8>)>;

/// What was built.
struct Built {
    cells: Result<Cells, BootError>,
    /// Who prints on the console, and how much may wait.
    rings: Vec<(String, usize)>,
    /// Tables in use.
    tables: usize,
}

/// The demo's cells with one more between them, with as much memory as `limit` leaves.
fn build(limit: impl FnOnce()) -> Built {
    let before = fake::tables_taken();
    let second = linux("second").text("cpus", ["cpu@1", "cpu@2"]).text("memory", ["32M"]);
    let second = second.text("console", ["virtual"]);
    let loaded = Loaded::new(description([root(), second, control("control", "cpu@3")]));
    let survey = loaded.survey().unwrap();
    let board = loaded.machine(&survey);
    let serial = Some(Box::new(Sink) as Box<dyn Serial>);
    let gic = survey.gic(&Fake::new(&board, 0), sgi());
    limit();
    let system = survey.build(gic, translation(BITS_44), serial);
    fake::allow_takes(usize::MAX);
    fake::refuse_take(usize::MAX);
    let own = |system: &System, id: usize| {
        let cpus = system.cpus().filter(move |(_, seat)| seat.cell.index() == id);
        cpus.map(|(cpu, _)| cpu.0).collect::<Vec<_>>()
    };
    let named = |system: &System| {
        let cells = system.cells.iter().enumerate();
        cells
            .inspect(|(at, cell)| assert_eq!(cell.id.index(), *at))
            .map(|(at, cell)| (cell.name.clone(), own(system, at)))
            .collect()
    };
    let console = system.as_ref().ok().and_then(|system| system.console.as_ref());
    let rings = console.map(Console::rings).unwrap_or_default();
    Built { rings, cells: system.map(|system| named(&system)), tables: fake::tables_taken() - before }
}

/// All of them.
fn all() -> Cells {
    [("linux", &[0][..]), ("second", &[1, 2]), ("control", &[3])].map(|(n, c)| (n.into(), c.into())).into()
}

/// What the console of these cells is.
fn rings(cells: &Cells) -> Vec<(String, usize)> {
    let ring = |name: &str| (name.to_string(), if name == "control" { 0 } else { RING });
    std::iter::once("bulkhead").chain(cells.iter().map(|(name, _)| name.as_str())).map(ring).collect()
}

#[test]
fn a_cell_that_cannot_be_made_is_left_out_and_gives_back_what_it_took() {
    let Built { cells, tables, .. } = build(|| {});
    assert_eq!(cells.unwrap(), all());
    let Err(none) = build(|| fake::allow_takes(0)).cells else { panic!("built of nothing") };
    assert!(none.to_string().starts_with("BH0506: cell `control`: "), "{none}");
    // With one piece of memory more each time: first there is none, then more and more, but never half a cell.
    let (mut takes, mut last, mut steps) = (0, Vec::new(), Vec::new());
    while last != all() {
        takes += 1;
        let built = build(|| fake::allow_takes(takes));
        last = built.cells.unwrap_or_default();
        let taken = built.tables;
        assert!(last.iter().all(|cell| all().contains(cell)), "{last:?}");
        assert!(last.is_empty() || built.rings == rings(&last), "{:?} for {last:?}", built.rings);
        assert!(taken <= tables && (taken == 0) == last.is_empty(), "{taken} tables for {last:?}");
        if steps.last() != Some(&(last.len(), taken)) {
            steps.push((last.len(), taken));
        }
    }
    assert!(steps.len() > 3 && steps.last() == Some(&(3, tables)), "{steps:?}");
}

#[test]
fn one_piece_of_memory_that_is_not_there_costs_one_cell() {
    let (mut without, mut after) = (Vec::new(), 0);
    loop {
        let built = build(|| fake::refuse_take(after));
        let cells = built.cells.unwrap();
        if built.rings == rings(&all()) {
            break;
        }
        after += 1;
        let left_out: Vec<_> = all().into_iter().filter(|cell| !cells.contains(cell)).collect();
        match &left_out[..] {
            // The console's own.
            [] => assert!(without.is_empty() && built.rings.is_empty(), "{:?}", built.rings),
            [(name, _)] => {
                assert_eq!(built.rings, rings(&cells));
                without.push(name.clone());
            }
            _ => panic!("{left_out:?} are left out"),
        }
    }
    let count = |name: &str| without.iter().filter(|left_out| *left_out == name).count();
    // Who has a ring wants one piece more than who has none.
    assert!(count("second") == count("control") + 1, "{without:?}");
}
