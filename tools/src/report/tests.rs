use super::*;

fn plain(report: &Report) -> String {
    anstream::adapter::strip_str(&report.render()).to_string()
}

fn origin(name: &str) -> Origin {
    Origin { name: name.into(), source: Source::default() }
}

fn report(mistakes: Vec<Mistake>) -> Report {
    Report { cells: origin("cells.dtb"), board: origin("virt"), subject: "cells.dtb".into(), mistakes }
}

fn node(node: &str) -> Place {
    Place::Description { node: node.into(), property: None }
}

#[test]
fn without_a_source_the_nodes_are_named() {
    let places = vec![node("/a"), node("/b"), Place::Board { node: "/uart".into() }];
    let mistake = Mistake { code: Some(Code(104)), places, ..Mistake::in_words("twice".into()) };
    let expected = "error[BH0104]: twice\n --> cells.dtb: /a\n ::: cells.dtb: /b\n ::: virt: /uart\n\n\
                    1 mistake in cells.dtb; `bulkhead explain BH0104` says more\n";
    assert_eq!(plain(&report(vec![mistake])), expected);
}

#[test]
fn one_place_is_shown_once() {
    let mistake =
        Mistake { places: vec![node("/a"), node("/a")], ..Mistake::in_words("twice in one".into()) };
    let text = plain(&report(vec![mistake.clone(), mistake]));
    assert_eq!(text.matches("/a").count(), 2);
    assert!(text.ends_with("2 mistakes in cells.dtb\n"));
}

#[test]
fn lines_are_shown_with_what_is_meant() {
    let folder = std::env::temp_dir().join(format!("bulkhead-report-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("cells.dts");
    std::fs::write(&path, "/dts-v1/;\n/ {\n\ta_b {\n\t\tcpus = \"x\",\n\t\t\t\"y\"; };\n};\n").unwrap();
    let cells = Origin::of(&path);
    let property = Place::Description { node: "/a_b".into(), property: Some("cpus".into()) };
    let missing = Place::Description { node: "/a_b".into(), property: Some("memory".into()) };
    let mistake = Mistake { places: vec![property, missing], ..Mistake::in_words("wrong".into()) };
    let text = plain(&Report { cells, ..report(vec![mistake]) });
    std::fs::remove_dir_all(&folder).unwrap();
    let expected = "
  |
4 |   cpus = \"x\",
  |   ^^^^^^^^^^^
 ::: FILE:3:2 (/a_b, `memory`)
  |
3 |  a_b {
  |  ^^^
";
    let text = text.replace(&path.display().to_string(), "FILE");
    assert!(text.contains(expected), "{text}");
}

#[test]
fn the_compiler_s_words_find_their_place() {
    let said = "Error: a b.dts:5.3-9 syntax error\nFATAL ERROR: Unable to parse input tree\n";
    let found =
        Mistake::of_compiler("Error: x.dts:5.3-9 syntax error\nFATAL ERROR: Unable to parse input tree\n");
    let spot = Spot { file: "x.dts".into(), start: (5, 3), end: (5, 9) };
    assert_eq!(
        (found.len(), found[0].message.as_str(), found[0].spot.clone()),
        (1, "syntax error", Some(spot))
    );
    let found =
        Mistake::of_compiler("x.dts:5.3-6.1: ERROR (duplicate_node_names): /a: Duplicate node name\n");
    assert_eq!(found[0].spot.as_ref().map(|spot| spot.end), Some((6, 1)));
    assert_eq!(found[0].message, "(duplicate_node_names): /a: Duplicate node name");
    assert_eq!(Mistake::of_compiler(said).len(), 1);
}
