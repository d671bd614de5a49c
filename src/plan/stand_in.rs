//! temporary
#![allow(missing_docs, reason = "temporary")]
use alloc::string::String;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
pub struct Config { pub cells: Vec<CellConfig> }
pub struct CellConfig { pub name: String, pub root: bool, pub cpus: CpuChoice, pub memory: Option<u64>, pub payload: Payload, pub devices: Vec<String>, pub unprotected_dma: bool }
pub enum CpuChoice { All, Names(Vec<String>), Count(u32) }
pub enum Payload { Linux { kernel: String, initrd: Option<String>, bootargs: Option<String> }, Image { file: String, bootargs: Option<String> } }
pub struct File<'a> { pub offset: u64, pub data: &'a [u8] }
pub struct Archive<'a>(pub Vec<(&'a str, u64, &'a [u8])>);
impl<'a> Archive<'a> { pub fn file(&self, name: &str) -> Option<File<'a>> { self.0.iter().find(|f| f.0 == name).map(|f| File { offset: f.1, data: f.2 }) } }
pub struct Segment { pub offset: u64, pub file_size: u64, pub to: u64, pub mem_size: u64 }
pub enum Image { Linux { text_offset: u64, image_size: u64 }, Elf { entry: u64, segments: ArrayVec<Segment, 16> }, Raw }
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("x")]
pub struct ImageError;
impl Image { pub fn inspect(b: &[u8]) -> Result<Image, ImageError> { if b.starts_with(b"LINUX") { Ok(Image::Linux { text_offset: 0, image_size: b.len() as u64 + 0x10000 }) } else { Ok(Image::Raw) } } }
