use crate::board::Board;
use crate::qemu::Scratch;

/// The picture of two cells on the board of dts/bad; one has a name that no picture may take as it is.
fn picture() -> String {
    let folder = Scratch::new().unwrap();
    let cells = folder.path().join("a<b.dts");
    let text = r#"/dts-v1/;
/ {
    compatible = "bulkhead,cells-v1";
    linux { root; image = "a.bin"; unprotected-dma = "accept"; };
    control { cpus = "cpu@3"; memory = "16M"; image = "a.bin"; devices = "serial1"; };
};
"#;
    std::fs::write(&cells, text).unwrap();
    std::fs::write(folder.path().join("a.bin"), [0; 64]).unwrap();
    let board = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../dts/bad/board.dts");
    let fit = crate::plan::check(&cells, &Board::File(board), folder.path());
    fit.unwrap_or_else(|error| panic!("{error}")).svg().unwrap()
}

#[test]
fn all_that_is_owned_is_drawn() {
    let svg = picture();
    let count = |what: &str| svg.matches(what).count();
    assert_eq!(count("<g class=\"cpu\">"), 4);
    assert_eq!(count("<g class=\"card\">"), 3);
    assert_eq!(count("<g class=\"legend\">"), 3);
    assert!(svg.contains("<title>SPI 2: control</title>"), "{svg}");
    assert!(svg.contains("<title>/cpus/cpu@3: control</title>"), "{svg}");
    assert!(svg.contains(">serial@9010000</text>") && svg.contains(">16 MiB control</text>"), "{svg}");
}

#[test]
fn it_is_well_formed() {
    let svg = picture();
    assert!(svg.contains("a&lt;b.dts"), "{svg}");
    let mut open: Vec<&str> = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a tag ends");
        let name = tag.split([' ', '\n', '/']).find(|part| !part.is_empty()).unwrap_or("");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn the_same_plan_is_the_same_picture() {
    assert_eq!(picture(), picture());
}
