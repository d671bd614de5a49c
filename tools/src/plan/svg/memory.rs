//! The memory map: one bar from bottom to top, to scale but for what would be thinner than a line, and with holes cut short.

use super::super::regions::{self, Owner, Stretch};
use super::canvas::{Align, Area, Canvas};
use super::{ADDRESS, CARDS, HEADING, MARGIN, NOTE, Subject, TEXT, swatch};

/// The bar.
const BAR: f64 = 96.0;
/// The thinnest stretch that can be seen.
const THIN: f64 = 3.0;
/// A hole, however large.
const HOLE: f64 = 30.0;
/// A label's two lines.
const LABEL: f64 = 38.0;
/// From the bar to the labels.
const LEADER: f64 = 44.0;

/// A stretch of the bar, from top to bottom of the picture: addresses fall.
enum Part {
    Owned(Stretch),
    Hole { start: u64, end: u64 },
}

/// Draws the map between two heights, or further down where it needs the room; gives where it ends.
pub fn draw(canvas: &mut Canvas, subject: &Subject<'_>, ram: &[Stretch], top: f64, bottom: f64) -> f64 {
    canvas.text(Area { x: MARGIN, y: top, w: 200.0, h: 22.0 }, Align::Left, HEADING, "Memory");
    let scale = Area { x: MARGIN + 200.0, y: top, w: CARDS - MARGIN - 240.0, h: 22.0 };
    canvas.text(scale, Align::Right, NOTE, "to scale, high addresses above");
    let top = top + 34.0;

    let parts = parts(ram);
    let high = (bottom - top).max(parts.len() as f64 * LABEL);
    let heights = heights(&parts, high);

    let mut y = top;
    let mut centres = Vec::with_capacity(parts.len());
    for (part, high) in parts.iter().zip(&heights) {
        let area = Area { x: MARGIN, y, w: BAR, h: *high };
        match part {
            Part::Owned(stretch) => {
                canvas.begin("memory", &format!("{}: {}", subject.name(stretch.owner), stretch.span));
                swatch(canvas, area, stretch.owner, 0.0);
                canvas.end();
            }
            Part::Hole { .. } => torn(canvas, area),
        }
        centres.push(y + high / 2.0);
        y += high;
    }
    for ((part, centre), at) in parts.iter().zip(&centres).zip(spread(&centres, top, y)) {
        label(canvas, subject, part, *centre, at);
    }
    y
}

/// The bar's parts from the highest address to the lowest.
fn parts(ram: &[Stretch]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut above: Option<u64> = None;
    for stretch in ram.iter().rev() {
        let end = stretch.span.end().0;
        parts.extend(above.filter(|above| *above > end).map(|above| Part::Hole { start: end, end: above }));
        parts.push(Part::Owned(*stretch));
        above = Some(stretch.span.start().0);
    }
    parts.extend(above.filter(|above| *above > 0).map(|above| Part::Hole { start: 0, end: above }));
    parts
}

/// The height of each part, so that all together are `high`.
fn heights(parts: &[Part], high: f64) -> Vec<f64> {
    let size = |part: &Part| match part {
        Part::Owned(stretch) => Some(stretch.span.size() as f64),
        Part::Hole { .. } => None,
    };
    let holes = parts.iter().filter(|part| size(part).is_none()).count();
    let room = high - HOLE * holes as f64;
    // What is thinner than a line takes room from the others, which may make more of them too thin.
    let mut thin = vec![false; parts.len()];
    loop {
        let thick = parts.iter().zip(&thin).filter(|(_, thin)| !**thin);
        let sum: f64 = thick.filter_map(|(part, _)| size(part)).sum();
        let left = room - THIN * thin.iter().filter(|thin| **thin).count() as f64;
        let unit = if sum > 0.0 { left / sum } else { 0.0 };
        let mut same = true;
        for (part, thin) in parts.iter().zip(&mut thin) {
            if !*thin && size(part).is_some_and(|size| size * unit < THIN) {
                (*thin, same) = (true, false);
            }
        }
        if same {
            let of = |(part, thin): (&Part, &bool)| match size(part) {
                Some(_) if *thin => THIN,
                Some(size) => size * unit,
                None => HOLE,
            };
            return parts.iter().zip(&thin).map(of).collect();
        }
    }
}

/// The torn edges of what is cut short.
fn torn(canvas: &mut Canvas, area: Area) {
    let Area { x, y, w, h } = area;
    for edge in [y + 9.0, y + h - 5.0] {
        let teeth = (1..=8).map(|tooth| {
            let up = if tooth % 2 == 1 { -4.0 } else { 0.0 };
            format!("L{:.1} {:.1}", x + w * f64::from(tooth) / 8.0, edge + up)
        });
        canvas.path(
            &format!("M{x:.1} {edge:.1} {}", teeth.collect::<Vec<_>>().join(" ")),
            "#9a9a9a",
            1.2,
            "none",
        );
    }
}

/// Where each label's middle goes: as near to its stretch as the others let it.
fn spread(centres: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut places: Vec<f64> = Vec::with_capacity(centres.len());
    let mut least = top + LABEL / 2.0;
    for centre in centres {
        let place = centre.max(least);
        places.push(place);
        least = place + LABEL;
    }
    let mut most = bottom - LABEL / 2.0;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - LABEL;
    }
    places
}

fn label(canvas: &mut Canvas, subject: &Subject<'_>, part: &Part, centre: f64, at: f64) {
    let edge = MARGIN + BAR;
    let x = edge + LEADER;
    let leader = [(edge + 2.0, centre), (edge + 12.0, centre), (x - 14.0, at), (x - 6.0, at)];
    let points = leader.map(|(x, y)| format!("{x:.1} {y:.1}")).join(" L");
    canvas.path(&format!("M{points}"), "#9a9a9a", 1.0, "none");
    let (font, words, start, last) = match part {
        Part::Owned(Stretch { owner, span }) => {
            let size = regions::size(span.size());
            let whose = if *owner == Owner::Nobody { "in no cell" } else { subject.name(*owner) };
            (TEXT, format!("{size} {whose}"), span.start().0, span.last().0)
        }
        Part::Hole { start, end } => {
            (NOTE, format!("{} without memory, not to scale", regions::size(end - start)), *start, end - 1)
        }
    };
    let wide = CARDS - 40.0 - x;
    canvas.text(Area { x, y: at - 18.0, w: wide, h: 18.0 }, Align::Left, font, &words);
    let place = format!("{start:#x} to {last:#x}");
    canvas.text(Area { x, y: at, w: wide, h: 17.0 }, Align::Left, ADDRESS, &place);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_their_distance_and_stay_inside() {
        let places = spread(&[10.0, 11.0, 12.0, 390.0, 399.0], 0.0, 400.0);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= LABEL - 0.001), "{places:?}");
        assert!(places[0] >= LABEL / 2.0 && places[4] <= 400.0 - LABEL / 2.0, "{places:?}");
    }
}
