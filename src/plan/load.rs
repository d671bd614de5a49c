//! Where in a cell's RAM its image, its initrd and its tree go.

use alloc::string::String;
use alloc::vec::Vec;

use super::draft::Draw;
use super::error;
use super::spans::SpanSet;
use super::{Load, Piece, Region, TreeSource, memory};
use crate::addr::{BLOCK_2M, Ipa, PAGE, Span};
use crate::archive::File;
use crate::config::{Bootargs, CellConfig, CellTree, Payload};
use crate::guest_tree::overlay;
use crate::image::{Image, Segment};
use crate::refusal::{Refused, Sentence, refuse};
use crate::tree::Tree;

/// Where the RAM of a cell other than root begins, unless the description says otherwise.
pub const CELL_RAM: Ipa = Ipa(0x4000_0000);
/// Room for a guest's tree: what Linux allows (arm64 booting.rst, section 2).
pub const TREE_ROOM: u64 = 2 << 20;
/// From this much RAM on, a cell has room for a tree of full size.
const FULL_TREE_FROM: u64 = 16 << 20;

/// The work on one cell.
struct Loader<'d, 'a, 'e> {
    draw: &'d Draw<'d, 'a>,
    cell: &'d CellConfig,
    errors: &'e mut Vec<Refused>,
    /// What nothing lies in yet.
    free: SpanSet<Ipa>,
    /// The first address of its RAM.
    ram: Ipa,
    /// All of its RAM, in bytes.
    size: u64,
    pieces: Vec<Piece>,
    zeroed: Vec<Span<Ipa>>,
}

/// The refusal of a file that is not there.
pub fn no_file(cell: &str, property: &'static str, file: &str) -> Refused {
    let mut refused = Refused::new(&error::NO_FILE);
    refused.cell(cell, property).word(property).file(file);
    refused
}

/// What is put into a cell's RAM; `None` if something of it is refused.
#[inline(never)]
pub(super) fn place(
    draw: &Draw<'_, '_>,
    cell: &CellConfig,
    ram: &[Region],
    errors: &mut Vec<Refused>,
) -> Option<Load> {
    let before = errors.len();
    let mut free: SpanSet<Ipa> = ram.iter().filter_map(Region::seen).collect();
    let (ram, size) = (free.iter().next().map_or(Ipa(0), |span| span.start()), free.size());
    if cell.root {
        let reserved = memory::reserved(draw.hardware);
        reserved.iter().for_each(|span| free.remove(span.identity()));
        draw.boot.tree.widened_to(PAGE).into_iter().for_each(|span| free.remove(span.identity()));
    }
    let (pieces, zeroed) = (Vec::new(), Vec::new());
    let mut loader = Loader { draw, cell, errors, free, ram, size, pieces, zeroed };
    let (property, name) = match &cell.payload {
        Payload::Linux { kernel, .. } => ("kernel", kernel),
        Payload::Image { file, .. } => ("image", file),
    };
    let image = loader.image(property, name);
    let initrd = match &cell.payload {
        Payload::Linux { initrd: Some(name), .. } => {
            loader.file("initrd", name).map(|file| (name.as_str(), file))
        }
        _ => None,
    };
    // An empty initrd is none.
    let initrd = initrd.filter(|(_, file)| !file.data.is_empty());
    let (entry, low) = image?;
    let tree = loader.tree(low);
    let initrd = match initrd {
        Some((name, file)) => {
            Some(loader.lowest(file.data.len() as u64, PAGE, "the initrd ", name).inspect(|at| {
                loader.pieces.push(piece(&file, at.start()));
            })?)
        }
        None => None,
    };
    let source = loader.tree_source(tree)?;
    let (pieces, zeroed) = (loader.pieces, loader.zeroed);
    (errors.len() == before).then_some(Load {
        pieces,
        zeroed,
        tree: tree?,
        source,
        entry,
        initrd,
        bootargs: bootargs(draw, cell),
    })
}

fn bootargs(draw: &Draw<'_, '_>, cell: &CellConfig) -> Option<String> {
    match &cell.bootargs {
        Bootargs::None => None,
        Bootargs::Own(own) => Some(own.clone()),
        Bootargs::BoardsAnd(more) => {
            let mut all = String::new();
            if let Some(prop) = draw.board.at("/chosen").and_then(|chosen| chosen.prop("bootargs")) {
                all.push_str(prop.str().unwrap_or_default());
                all.push(' ');
            }
            all.push_str(more);
            Some(all)
        }
    }
}

impl<'a> Loader<'_, 'a, '_> {
    /// A refusal that begins with the cell.
    fn refuse(&mut self, sentence: &'static Sentence, property: &'static str) -> &mut Refused {
        refuse(self.errors, sentence).cell(&self.cell.name, property)
    }

    #[inline(never)]
    fn file(&mut self, property: &'static str, name: &str) -> Option<File<'a>> {
        let file = self.draw.archive.file(name);
        if file.is_none() {
            self.errors.push(no_file(&self.cell.name, property, name));
        }
        file
    }

    /// Puts the image into its place. Its first instruction, and whether the rest goes behind it rather than to the end.
    fn image(&mut self, property: &'static str, name: &str) -> Option<(Ipa, bool)> {
        let file = self.file(property, name)?;
        let image = match Image::inspect(file.data) {
            Ok(image) => image,
            Err(error) => {
                self.refuse(&error::BAD_IMAGE, property).file(name).text(&error).numbered(error.code());
                return None;
            }
        };
        let (load_address, entry) = match self.cell.payload {
            Payload::Image { load_address, entry, .. } => (load_address, entry),
            Payload::Linux { .. } => (None, None),
        };
        let by_itself = match &image {
            Image::Linux { .. } => "an arm64 Linux Image",
            Image::Elf { .. } => "an ELF file",
            Image::Raw => "",
        };
        let placed = match (load_address, entry) {
            (Some(_), _) => Some("load-address"),
            (None, Some(_)) => Some("entry"),
            (None, None) => None,
        };
        match image {
            Image::Elf { .. } | Image::Raw if property == "kernel" => {
                self.refuse(&error::NOT_LINUX, property).file(name);
                None
            }
            Image::Raw => Some((self.raw(name, &file, load_address, entry)?, false)),
            _ if let Some(placed) = placed => {
                self.refuse(&error::PLACED_BY_ITSELF, placed).file(name).word(by_itself).word(placed);
                None
            }
            Image::Linux { text_offset, image_size } => {
                Some((self.linux(name, &file, text_offset, image_size)?, true))
            }
            Image::Elf { entry, segments } => Some((self.elf(name, &file, Ipa(entry), &segments)?, false)),
        }
    }

    /// A kernel: from the lowest free RAM up (arm64 booting.rst, sections 2 to 4).
    fn linux(&mut self, name: &str, kernel: &File<'_>, text_offset: u64, image_size: u64) -> Option<Ipa> {
        let size = image_size.max(kernel.data.len() as u64);
        // text_offset bytes below the kernel are not its own, but must be there.
        let place = self.lowest(text_offset.saturating_add(size), BLOCK_2M, "the kernel ", name)?;
        let entry = Ipa(place.start().0.saturating_add(text_offset));
        self.pieces.push(piece(kernel, entry));
        Some(entry)
    }

    /// Segments where they are linked for.
    fn elf(&mut self, name: &str, file: &File<'_>, entry: Ipa, segments: &[Segment]) -> Option<Ipa> {
        let mut entered = false;
        for segment in segments {
            let Some(span) = Span::new(Ipa(segment.to), segment.mem_size) else { continue };
            if !self.free.covers(&span) {
                let ram = self.ram.0;
                let refused = self.refuse(&error::LINKED_ELSEWHERE, "image").file(name);
                refused.span(span.start().0, span.end().0).address(ram);
                return None;
            }
            self.free.remove(span);
            entered |= span.contains(entry);
            if segment.file_size != 0 {
                let offset = file.offset.saturating_add(segment.offset);
                self.pieces.push(Piece { offset, size: segment.file_size, to: Ipa(segment.to) });
            }
            let in_file = Ipa(segment.to.saturating_add(segment.file_size));
            self.zeroed.extend(Span::new(in_file, segment.mem_size.saturating_sub(segment.file_size)));
        }
        if !entered {
            self.refuse(&error::ELF_ENTRY, "image").file(name).address(entry.0);
            return None;
        }
        Some(entry)
    }

    /// All of it where the description says, or else at the start of RAM.
    fn raw(&mut self, name: &str, file: &File<'_>, at: Option<u64>, entry: Option<u64>) -> Option<Ipa> {
        let size = file.data.len() as u64;
        let place = match at {
            None => self.lowest(size, PAGE, "", name)?,
            Some(at) => {
                let Some(place) = Span::new(Ipa(at), size).filter(|place| self.free.covers(place)) else {
                    let (ram, end) = (self.ram.0, at.saturating_add(size));
                    let refused = self.refuse(&error::LOAD_ADDRESS, "load-address").file(name);
                    refused.span(at, end).address(ram);
                    return None;
                };
                self.free.remove(place.widened_to(PAGE).unwrap_or(place));
                place
            }
        };
        self.pieces.push(piece(file, place.start()));
        let entry = entry.map_or(place.start(), Ipa);
        if !place.contains(entry) {
            let refused = self.refuse(&error::RAW_ENTRY, "entry").file(name);
            refused.address(entry.0).span(place.start().0, place.end().0);
            return None;
        }
        Some(entry)
    }

    /// The tree's slot, which no 2 MiB boundary crosses: for Linux behind the kernel, else at the end of RAM, out of
    /// the way of an image that just uses what is behind it.
    fn tree(&mut self, low: bool) -> Option<Span<Ipa>> {
        let small =
            self.size.checked_div(8).and_then(|eighth| eighth.checked_ilog2()).map_or(0, |bits| 1 << bits);
        let size = if self.size >= FULL_TREE_FROM { TREE_ROOM } else { small.clamp(PAGE, TREE_ROOM) };
        // Linux takes a tree at address 0 for none.
        let first = Span::new(Ipa(0), PAGE).filter(|first| self.free.covers(first));
        first.into_iter().for_each(|first| self.free.remove(first));
        let place = if low { self.free.lowest(size, size) } else { self.free.highest(size, size) };
        first.into_iter().for_each(|first| self.free.insert(first));
        self.taken(place, size, "its device tree", "")
    }

    /// What the tree is made of. One that is given is copied like an image.
    fn tree_source(&mut self, room: Option<Span<Ipa>>) -> Option<TreeSource> {
        match &self.cell.tree {
            CellTree::Derived => Some(TreeSource::Derived),
            CellTree::Given(name) => {
                let file = self.file("dtb", name)?;
                let (size, room) = (file.data.len() as u64, room?);
                if let Err(error) = Tree::parse(file.data) {
                    self.refuse(&error::BAD_DTB, "dtb").file(name).text(&error);
                    return None;
                }
                if size > room.size() {
                    self.refuse(&error::DTB_TOO_LARGE, "dtb").file(name).bytes(size).bytes(room.size());
                    return None;
                }
                self.pieces.push(piece(&file, room.start()));
                Some(TreeSource::Given)
            }
            CellTree::Overlaid(name) => {
                let file = self.file("dtb-overlay", name)?;
                let checked = Tree::parse(file.data).map(|tree| overlay::objection(&tree));
                let refused = match &checked {
                    Ok(None) => return Some(TreeSource::Overlaid(file.place())),
                    Ok(Some(_)) | Err(_) => self.refuse(&error::BAD_OVERLAY, "dtb-overlay").file(name),
                };
                match checked {
                    Ok(why) => refused.word(why.unwrap_or_default()),
                    Err(error) => refused.text(&error),
                };
                None
            }
        }
    }

    fn lowest(&mut self, size: u64, align: u64, what: &'static str, name: &str) -> Option<Span<Ipa>> {
        let place = self.free.lowest(size, align);
        self.taken(place, size, what, name)
    }

    /// Takes a place, or says that there is none.
    #[inline(never)]
    fn taken(
        &mut self,
        place: Option<Span<Ipa>>,
        size: u64,
        what: &'static str,
        name: &str,
    ) -> Option<Span<Ipa>> {
        let Some(place) = place else {
            let largest = self.free.largest();
            let refused = self.refuse(&error::NO_ROOM, "memory").word(what);
            let refused = if name.is_empty() { refused.word("") } else { refused.file(name) };
            refused.bytes(size).bytes(largest);
            return None;
        };
        // What shares a page with it stays its own.
        self.free.remove(place.widened_to(PAGE).unwrap_or(place));
        Some(place)
    }
}

fn piece(file: &File<'_>, to: Ipa) -> Piece {
    Piece { offset: file.offset, size: file.data.len() as u64, to }
}
