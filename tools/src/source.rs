//! Where the nodes and properties of a tree stand in its source: dtc's own notes (`dtc -T -T`), read.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// Lines and columns from 1, as people and dtc count them.
pub type Position = (usize, usize);

/// A stretch of a source file; the end is the first column behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The file, as dtc was given it or found it.
    pub file: String,
    /// Its first character.
    pub start: Position,
    /// Behind its last one.
    pub end: Position,
}

/// The places of a tree's nodes and properties; the last one is where it got the value that counts.
#[derive(Clone, Debug, Default)]
pub struct Source {
    places: HashMap<(String, Option<String>), Vec<Spot>>,
}

impl Source {
    /// The places in a source file; there are none for a blob, or where dtc has nothing to say.
    pub fn read(path: &Path) -> Self {
        if path.extension().is_some_and(|ext| ext == "dtb") {
            return Self::default();
        }
        let said = Command::new("dtc").args(["-q", "-T", "-T", "-I", "dts", "-O", "dts"]).arg(path).output();
        said.map_or_else(|_| Self::default(), |out| Self::parse(&String::from_utf8_lossy(&out.stdout)))
    }

    /// Reads what dtc wrote.
    pub fn parse(annotated: &str) -> Self {
        let mut source = Self::default();
        let mut path: Vec<String> = Vec::new();
        for line in annotated.lines() {
            let (code, spots) = split(line.trim());
            if let Some(head) = code.strip_suffix('{') {
                let name = last_word(head);
                path.push(if name == "/" { String::new() } else { name.to_string() });
                source.add(&path, None, spots);
            } else if code.starts_with('}') {
                path.pop();
            } else {
                let head = code.split(['=', ';']).next().unwrap_or(code);
                source.add(&path, Some(last_word(head)), spots);
            }
        }
        source
    }

    fn add(&mut self, path: &[String], property: Option<&str>, spots: Vec<Spot>) {
        let path = if path.len() == 1 { "/".to_string() } else { path.join("/") };
        self.places.insert((path, property.map(String::from)), spots);
    }

    /// Where a node, or a property of it, got its last word.
    pub fn find(&self, node: &str, property: Option<&str>) -> Option<&Spot> {
        self.places.get(&(node.to_string(), property.map(String::from)))?.last()
    }
}

/// A line's code and the places in the remark at its end. What dtc made up has none.
fn split(line: &str) -> (&str, Vec<Spot>) {
    // The last one: what looks like a remark may stand in a string.
    let Some((code, remark)) = line.strip_suffix("*/").and_then(|line| line.rsplit_once("/*")) else {
        return (line, Vec::new());
    };
    (code.trim_end(), remark.trim().split(", ").filter_map(spot).collect())
}

/// `cells.dts:4:7-4:18`.
fn spot(text: &str) -> Option<Spot> {
    let (start, end) = text.rsplit_once('-')?;
    let (rest, column) = start.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    let (end_line, end_column) = end.split_once(':')?;
    Some(Spot {
        file: file.to_string(),
        start: (line.parse().ok()?, column.parse().ok()?),
        end: (end_line.parse().ok()?, end_column.parse().ok()?),
    })
}

/// A name behind its labels.
fn last_word(head: &str) -> &str {
    head.split_whitespace().last().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNOTATED: &str = r#"/dts-v1/;

/ { /* x.dts:2:3-8:15 */
	compatible = "x /* no:1:1-1:1 */ {"; /* x.dts:3:3-3:20 */

	a { /* x.dts:4:5-6:9 */
		cpus = <0x01>; /* x.dts:4:7-4:18 */
	}; /* x.dts:4:5-6:9 */

	b: b { /* x.dts:7:8-8:12, sub-1/y.dtsi:9:4-9:19 */
		l: root; /* x.dts:8:4-8:9 */
		deeper {
			foo = <0x03>; /* x.dts:9:6-9:16 */
		}; /* x.dts:9:6-9:16 */
	}; /* x.dts:7:8-8:12, x.dts:9:4-9:19 */
}; /* x.dts:2:3-8:15 */
"#;

    fn at(source: &Source, node: &str, property: Option<&str>) -> Option<(Position, Position)> {
        source.find(node, property).map(|spot| (spot.start, spot.end))
    }

    #[test]
    fn nodes_and_properties_are_found() {
        let source = Source::parse(ANNOTATED);
        assert_eq!(at(&source, "/", None), Some(((2, 3), (8, 15))));
        assert_eq!(at(&source, "/", Some("compatible")), Some(((3, 3), (3, 20))));
        assert_eq!(at(&source, "/a", Some("cpus")), Some(((4, 7), (4, 18))));
        assert_eq!(at(&source, "/b", Some("root")), Some(((8, 4), (8, 9))));
        assert_eq!(at(&source, "/a", Some("memory")), None);
        let spot = source.find("/b", None).map(|spot| (spot.file.as_str(), spot.start));
        assert_eq!(spot, Some(("sub-1/y.dtsi", (9, 4))));
    }

    #[test]
    fn dtc_says_what_this_reads() {
        let folder = std::env::temp_dir().join(format!("bulkhead-source-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("cells.dts");
        std::fs::write(&path, "/dts-v1/;\n/ {\n  a: a {\n\tx = <1>,\n  <2>; };\n};\n&a { y; };\n").unwrap();
        let source = Source::read(&path);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(at(&source, "/a", Some("x")), Some(((4, 2), (5, 7))));
        assert_eq!(at(&source, "/a", Some("y")), Some(((7, 6), (7, 8))));
        assert_eq!(at(&source, "/a", None), Some(((7, 4), (7, 11))));
        assert!(Source::read(Path::new("x.dtb")).find("/", None).is_none());
    }
}
