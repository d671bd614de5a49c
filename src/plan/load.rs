//! Where in a cell's RAM its image, its initrd and its tree go.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::draft::Draw;
use super::spans::SpanSet;
use super::{Load, Piece, PlanError, Region, memory};
use crate::addr::{BLOCK_2M, Ipa, PAGE, Span};
use crate::archive::File;
use crate::config::{CellConfig, Payload};
use crate::image::{Image, Segment};

/// Where the RAM of a cell other than root begins.
pub const CELL_RAM: Ipa = Ipa(0x4000_0000);
/// Room for a guest's tree: what Linux allows (arm64 booting.rst, section 2).
pub const TREE_ROOM: u64 = 2 << 20;
/// From this much RAM on, a cell has room for a tree of full size.
const FULL_TREE_FROM: u64 = 16 << 20;

/// The work on one cell.
struct Loader<'d> {
    cell: &'d CellConfig,
    /// What nothing lies in yet.
    free: SpanSet<Ipa>,
    /// The first address of its RAM.
    ram: Ipa,
    /// All of its RAM, in bytes.
    size: u64,
}

pub(super) fn place(draw: &Draw<'_, '_>, cell: &CellConfig, ram: &[Region]) -> Result<Load, PlanError> {
    let mut free: SpanSet<Ipa> = ram.iter().filter_map(Region::seen).collect();
    let (ram, size) = (free.iter().next().map_or(Ipa(0), |span| span.start()), free.size());
    if cell.root {
        let reserved = memory::reserved(draw.hardware);
        let kept = reserved.iter().chain(draw.boot.tree.widened_to(PAGE));
        kept.for_each(|span| free.remove(span.identity()));
    }
    let mut loader = Loader { cell, free, ram, size };
    match &cell.payload {
        Payload::Linux { kernel, initrd, bootargs } => {
            let file = loader.file(draw, "kernel", kernel)?;
            match loader.inspect(kernel, &file)? {
                Image::Linux { text_offset, image_size } => {
                    let initrd = initrd.as_ref().map(|name| Ok((name, loader.file(draw, "initrd", name)?)));
                    let initrd = initrd.transpose()?;
                    loader.linux((kernel, file), (text_offset, image_size), initrd, bootargs.clone())
                }
                _ => Err(PlanError::NotLinux { cell: cell.name.to_string(), file: kernel.to_string() }),
            }
        }
        Payload::Image { file: name, bootargs } => {
            let file = loader.file(draw, "image", name)?;
            match loader.inspect(name, &file)? {
                Image::Linux { text_offset, image_size } => {
                    loader.linux((name, file), (text_offset, image_size), None, bootargs.clone())
                }
                Image::Elf { entry, segments } => loader.elf(name, &file, entry, &segments, bootargs.clone()),
                Image::Raw => loader.raw(name, &file, bootargs.clone()),
            }
        }
    }
}

impl Loader<'_> {
    fn file<'a>(
        &self,
        draw: &Draw<'_, 'a>,
        property: &'static str,
        name: &str,
    ) -> Result<File<'a>, PlanError> {
        draw.archive.file(name).ok_or_else(|| PlanError::NoFile {
            cell: self.cell.name.to_string(),
            property,
            file: name.to_string(),
        })
    }

    fn inspect(&self, name: &str, file: &File<'_>) -> Result<Image, PlanError> {
        Image::inspect(file.data).map_err(|error| PlanError::Image {
            cell: self.cell.name.to_string(),
            file: name.to_string(),
            error,
        })
    }

    /// Kernel, tree and initrd, from the lowest free RAM up (arm64 booting.rst, sections 2 to 4).
    fn linux(
        &mut self,
        (name, kernel): (&str, File<'_>),
        (text_offset, image_size): (u64, u64),
        initrd: Option<(&String, File<'_>)>,
        bootargs: Option<String>,
    ) -> Result<Load, PlanError> {
        let size = image_size.max(kernel.data.len() as u64);
        // text_offset bytes below the kernel are not its own, but must be there.
        let place =
            self.lowest(text_offset.saturating_add(size), BLOCK_2M, || format!("the kernel `{name}`"))?;
        let entry = Ipa(place.start().0.saturating_add(text_offset));
        let mut pieces = vec![piece(&kernel, entry)];
        let tree = self.tree(true)?;
        let initrd = match initrd {
            Some((name, file)) if !file.data.is_empty() => {
                let at = self.lowest(file.data.len() as u64, PAGE, || format!("the initrd `{name}`"))?;
                pieces.push(piece(&file, at.start()));
                Some(at)
            }
            _ => None,
        };
        Ok(Load { pieces, zeroed: Vec::new(), tree, entry, initrd, bootargs })
    }

    /// Segments where they are linked for.
    fn elf(
        &mut self,
        name: &str,
        file: &File<'_>,
        entry: u64,
        segments: &[Segment],
        bootargs: Option<String>,
    ) -> Result<Load, PlanError> {
        let (mut pieces, mut zeroed) = (Vec::new(), Vec::new());
        let entry = Ipa(entry);
        let mut entered = false;
        for segment in segments {
            let Some(span) = Span::new(Ipa(segment.to), segment.mem_size) else { continue };
            self.exactly(name, span)?;
            entered |= span.contains(entry);
            if segment.file_size != 0 {
                let offset = file.offset.saturating_add(segment.offset);
                pieces.push(Piece { offset, size: segment.file_size, to: Ipa(segment.to) });
            }
            let in_file = Ipa(segment.to.saturating_add(segment.file_size));
            zeroed.extend(Span::new(in_file, segment.mem_size.saturating_sub(segment.file_size)));
        }
        if !entered {
            return Err(PlanError::Entry { cell: self.cell.name.to_string(), file: name.to_string(), entry });
        }
        Ok(Load { pieces, zeroed, tree: self.tree(false)?, entry, initrd: None, bootargs })
    }

    /// All of it at the start of RAM.
    fn raw(&mut self, name: &str, file: &File<'_>, bootargs: Option<String>) -> Result<Load, PlanError> {
        let size = file.data.len() as u64;
        let entry = self.lowest(size, PAGE, || format!("`{name}`"))?.start();
        let (pieces, tree) = (vec![piece(file, entry)], self.tree(false)?);
        Ok(Load { pieces, zeroed: Vec::new(), tree, entry, initrd: None, bootargs })
    }

    /// The tree's slot, which no 2 MiB boundary crosses: for Linux behind the kernel, else at the end of RAM, out of
    /// the way of an image that just uses what is behind it.
    fn tree(&mut self, low: bool) -> Result<Span<Ipa>, PlanError> {
        let small =
            self.size.checked_div(8).and_then(|eighth| eighth.checked_ilog2()).map_or(0, |bits| 1 << bits);
        let size = if self.size >= FULL_TREE_FROM { TREE_ROOM } else { small.clamp(PAGE, TREE_ROOM) };
        if low {
            return self.lowest(size, size, || "its device tree".to_string());
        }
        let place = self.free.highest(size, size);
        let place = place.ok_or_else(|| self.no_room("its device tree".to_string(), size))?;
        self.free.remove(place);
        Ok(place)
    }

    fn lowest(&mut self, size: u64, align: u64, what: impl Fn() -> String) -> Result<Span<Ipa>, PlanError> {
        let place = self.free.lowest(size, align).ok_or_else(|| self.no_room(what(), size))?;
        // What shares a page with it stays its own.
        self.free.remove(place.widened_to(PAGE).unwrap_or(place));
        Ok(place)
    }

    fn exactly(&mut self, name: &str, span: Span<Ipa>) -> Result<(), PlanError> {
        if !self.free.covers(&span) {
            let (cell, file) = (self.cell.name.to_string(), name.to_string());
            return Err(PlanError::Linked { cell, file, span, ram: self.ram });
        }
        self.free.remove(span);
        Ok(())
    }

    fn no_room(&self, what: String, size: u64) -> PlanError {
        let largest = self.free.iter().map(|span| span.size()).max().unwrap_or(0);
        PlanError::NoRoom { cell: self.cell.name.to_string(), what, size, largest }
    }
}

fn piece(file: &File<'_>, to: Ipa) -> Piece {
    Piece { offset: file.offset, size: file.data.len() as u64, to }
}
