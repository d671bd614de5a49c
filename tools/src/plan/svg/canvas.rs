//! Shapes and text of known extent. No text is ever wider than its room, whichever of the named fonts a viewer has.

use std::fmt::Write as _;

/// Node names and addresses: all these fonts advance at most [`MONO_ADVANCE`] of the size.
pub const MONO: &str = "'DejaVu Sans Mono', 'Liberation Mono', Menlo, Consolas, monospace";
/// Everything else.
pub const SANS: &str = "'Segoe UI', 'Helvetica Neue', Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";
const MONO_ADVANCE: f64 = 0.603;
/// A line's ascent and descent, at most, as parts of its size.
const ASCENT: f64 = 0.95;
const DESCENT: f64 = 0.25;

/// A place on the canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
}

/// How a line of text looks.
#[derive(Clone, Copy, Debug)]
pub struct Font {
    pub size: f64,
    pub mono: bool,
    pub bold: bool,
    pub colour: &'static str,
}

/// Where in its room a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Middle,
    Right,
}

/// What has been drawn.
#[derive(Debug, Default)]
pub struct Canvas {
    body: String,
}

impl Canvas {
    /// A rectangle; `more` are attributes.
    pub fn rect(&mut self, area: Area, radius: f64, fill: &str, more: &str) {
        let Area { x, y, w, h } = area;
        let _ = writeln!(
            self.body,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}" rx="{radius}" fill="{fill}" {more}/>"#
        );
    }

    /// Lines from point to point, or anything else that a path can say.
    pub fn path(&mut self, path: &str, stroke: &str, width: f64, fill: &str) {
        let _ = writeln!(
            self.body,
            r#"<path d="{path}" stroke="{stroke}" stroke-width="{width}" fill="{fill}" stroke-linejoin="round"/>"#
        );
    }

    /// One line of text in the middle of its room's height, shortened where it does not fit.
    pub fn text(&mut self, room: Area, align: Align, font: Font, text: &str) {
        let text = font.fitted(text, room.w);
        let (anchor, x) = match align {
            Align::Left => ("start", room.x),
            Align::Middle => ("middle", room.x + room.w / 2.0),
            Align::Right => ("end", room.x + room.w),
        };
        let baseline = room.y + room.h / 2.0 + font.size * (ASCENT - DESCENT) / 2.0;
        let family = if font.mono { "m" } else { "s" };
        let weight = if font.bold { r#" font-weight="bold""# } else { "" };
        let Area { x: left, y: top, w, h } = room;
        let _ = writeln!(
            self.body,
            r#"<text class="{family}" x="{x:.1}" y="{baseline:.1}" font-size="{}" fill="{}" text-anchor="{anchor}"{weight} data-room="{left:.1} {top:.1} {w:.1} {h:.1}">{}</text>"#,
            font.size,
            font.colour,
            escaped(&text)
        );
    }

    /// Opens a group that is about one thing: a tooltip in browsers, a name for readers of the screen.
    pub fn begin(&mut self, class: &str, title: &str) {
        let _ = writeln!(self.body, r#"<g class="{class}"><title>{}</title>"#, escaped(title));
    }

    /// Closes it.
    pub fn end(&mut self) {
        self.body.push_str("</g>\n");
    }

    /// The picture.
    pub fn finish(self, width: f64, height: f64, title: &str, defs: &str) -> String {
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" role="img">
<title>{}</title>
<defs>
<style>.m {{ font-family: {MONO} }} .s {{ font-family: {SANS} }}</style>
{defs}</defs>
<rect width="100%" height="100%" fill="white"/>
{}</svg>
"#,
            escaped(title),
            self.body
        )
    }
}

impl Font {
    /// How wide a text is at most.
    pub fn width(&self, text: &str) -> f64 {
        let advance =
            |c: char| if self.mono { MONO_ADVANCE } else { widest(c) * if self.bold { 1.12 } else { 1.0 } };
        text.chars().map(advance).sum::<f64>() * self.size
    }

    /// The text, or its beginning and end with an ellipsis between: names of nodes differ at both.
    pub fn fitted(&self, text: &str, room: f64) -> String {
        if self.width(text) <= room {
            return text.to_string();
        }
        let chars: Vec<char> = text.chars().collect();
        for kept in (1..chars.len()).rev() {
            let head = kept.div_ceil(2);
            let tail = chars.len() - (kept - head);
            let short: String = chars[..head].iter().chain(&['\u{2026}']).chain(&chars[tail..]).collect();
            if self.width(&short) <= room {
                return short;
            }
        }
        String::new()
    }
}

/// The advance of a letter in the widest of the fonts (DejaVu Sans), rounded up.
fn widest(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | ' ' | '.' | ',' | '\'' | '|' | ':' | ';' | '\u{b7}' => 0.35,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '-' | '/' | 'I' | '!' => 0.42,
        'm' | '@' | '%' | 'W' | '\u{2026}' => 1.01,
        'w' | 'M' | 'O' | 'Q' | '+' | '=' | '\u{d7}' => 0.87,
        'A'..='Z' => 0.78,
        _ if c.is_ascii() => 0.65,
        _ => 1.01,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONO_10: Font = Font { size: 10.0, mono: true, bold: false, colour: "black" };

    #[test]
    fn what_does_not_fit_loses_its_middle() {
        assert_eq!(MONO_10.fitted("serial@30890000", 200.0), "serial@30890000");
        assert_eq!(MONO_10.fitted("serial@30890000", 70.0), "seria\u{2026}00000".replace("00000", "90000"));
        assert_eq!(MONO_10.fitted("serial", 5.0), "");
    }

    #[test]
    fn text_is_escaped() {
        let mut canvas = Canvas::default();
        canvas.text(Area { x: 0.0, y: 0.0, w: 100.0, h: 10.0 }, Align::Left, MONO_10, "<a&b>");
        assert!(canvas.finish(1.0, 1.0, "", "").contains(">&lt;a&amp;b&gt;</text>"));
    }
}
