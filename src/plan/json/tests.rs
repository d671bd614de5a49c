use super::*;
use crate::plan::tests::Setup;

/// The demo's plan as it is written.
fn demo() -> String {
    let mut text = String::new();
    Setup::new([]).plan(|plan, tree, _| write(plan, tree, &mut text).unwrap());
    text
}

#[test]
fn a_cell_reads_like_this() {
    let text = demo();
    let (_, control) = text.split_once("  \"name\": \"control\"").unwrap();
    let expected = r#",
   "root": false,
   "cpus": [3],
   "ram": [
    {"at": "0x7f000000", "size": "0x1000000", "seen": "0x40000000"}
   ],
   "mmio": [
    {"at": "0x9040000", "size": "0x1000", "seen": "0x9040000"}
   ],
   "gicd": {"at": "0x8000000", "size": "0x10000"},
   "gicr": {"at": "0x80a0000", "size": "0x20000"},
   "spis": [8],
   "devices": [
    "/pl011@9040000"
   ],
"#;
    assert!(control.starts_with(expected), "{control}");
    assert!(control.ends_with("\n   \"warnings\": []\n  }\n ]\n}\n"), "{control}");
}

#[test]
fn brackets_pair_and_nothing_is_left_open() {
    let text = demo();
    let mut open = Vec::new();
    for c in text.chars() {
        match c {
            '{' | '[' => open.push(c),
            '}' => assert_eq!(open.pop(), Some('{')),
            ']' => assert_eq!(open.pop(), Some('[')),
            _ => {}
        }
    }
    assert!(open.is_empty());
    assert!(!text.contains(",\n}") && !text.contains("[,") && !text.contains("\n\n"), "{text}");
}

#[test]
fn text_is_escaped() {
    let mut text = String::new();
    Json { out: &mut text, depth: 0, first: true, flat: false }.quoted("a\"b\\c\n\u{e9}").unwrap();
    assert_eq!(text, r#""a\"b\\c\u000aé""#);
}
