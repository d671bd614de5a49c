//! The files of a boot partition: what a board's own firmware or U-Boot loads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A board whose loader is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BootBoard {
    /// Raspberry Pi 4: the firmware's config.txt, and a script for U-Boot.
    Rpi4,
    /// i.MX 8M Plus EVK: a script for U-Boot.
    Imx8mp,
}

/// What goes onto the partition.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The hypervisor.
    pub image: &'a Path,
    /// The board's tree.
    pub tree: &'a Path,
    /// The archive.
    pub archive: &'a [u8],
}

/// Why it was not written.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{} cannot be {what}", path.display())]
pub struct BootFileError {
    path: PathBuf,
    what: &'static str,
    #[source]
    source: io::Error,
}

/// Fixed places: `followkernel` would put the archive right behind the file, over memory that the image uses beyond it.
const CONFIG: &str = "\
# Written by `bulkhead pack --board rpi4`.
arm_64bit=1
kernel=bulkhead.bin
kernel_address=0x200000
initramfs cells.img 0x08000000
device_tree=bcm2711-rpi-4-b.dtb
# Serial line on pins 8 and 10 of the header, 115200 8N1: the mini-UART, at a fixed clock.
enable_uart=1
";

const BLOBS: &str = "\
Beside these files the partition (FAT32) needs two of the firmware's, which are not shipped with Bulkhead:
  start4.elf
  fixup4.dat
They are in the folder boot of https://github.com/raspberrypi/firmware, and on every card with Raspberry Pi OS.
";

/// The firmware's tree is the one to boot with: it has the memory in it, and what config.txt changes. Where it lies, the archive may be
/// loaded over it.
const RPI4_SCRIPT: &str = "\
# Written by `bulkhead pack --board rpi4`, for U-Boot in the kernel's place. The addresses are those of config.txt.
fdt addr ${fdt_addr}
fdt move ${fdt_addr} 0x04000000 0x40000
setenv fdt_high 0xffffffffffffffff
setenv initrd_high 0xffffffffffffffff
load ${devtype} ${devnum}:${distro_bootpart} 0x200000 ${prefix}bulkhead.bin
load ${devtype} ${devnum}:${distro_bootpart} 0x08000000 ${prefix}cells.img
booti 0x200000 0x08000000:${filesize} 0x04000000
";

const IMX8MP_SCRIPT: &str = "\
# Written by `bulkhead pack --board imx8mp`. U-Boot's distro boot runs boot.scr; by hand, type these lines.
# The tree and the archive stay where they are loaded.
setenv fdt_high 0xffffffffffffffff
setenv initrd_high 0xffffffffffffffff
load ${devtype} ${devnum}:${distro_bootpart} 0x40600000 ${prefix}bulkhead.bin
load ${devtype} ${devnum}:${distro_bootpart} 0x43000000 ${prefix}imx8mp-evk.dtb
load ${devtype} ${devnum}:${distro_bootpart} 0x48000000 ${prefix}cells.img
booti 0x40600000 0x48000000:${filesize} 0x43000000
";

/// Writes the files into a folder, which is made where it is missing.
///
/// # Errors
/// A file cannot be read or written.
pub fn write(board: BootBoard, folder: &Path, parts: Parts<'_>) -> Result<(), BootFileError> {
    let read = |path: &Path| {
        fs::read(path).map_err(|source| BootFileError { path: path.into(), what: "read", source })
    };
    let (image, tree) = (read(parts.image)?, read(parts.tree)?);
    let mut files: Vec<(&str, &[u8])> = vec![("bulkhead.bin", &image), ("cells.img", parts.archive)];
    let source = match board {
        BootBoard::Rpi4 => RPI4_SCRIPT,
        BootBoard::Imx8mp => IMX8MP_SCRIPT,
    };
    let script = script(source);
    files.extend([("boot.cmd", source.as_bytes()), ("boot.scr", &script)]);
    match board {
        BootBoard::Rpi4 => files.extend([
            ("bcm2711-rpi-4-b.dtb", &tree[..]),
            ("config.txt", CONFIG.as_bytes()),
            ("FIRMWARE.txt", BLOBS.as_bytes()),
        ]),
        BootBoard::Imx8mp => files.push(("imx8mp-evk.dtb", &tree)),
    }
    fs::create_dir_all(folder).map_err(|source| BootFileError {
        path: folder.into(),
        what: "made",
        source,
    })?;
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(|source| BootFileError { path, what: "written", source })?;
    }
    Ok(())
}

/// A script as U-Boot's `source` takes it: the legacy image's header (U-Boot, include/image.h), the length of the one script, text.
fn script(text: &str) -> Vec<u8> {
    const MAGIC: u32 = 0x2705_1956;
    /// Linux, arm64, script, not compressed.
    const KIND: [u8; 4] = [5, 22, 6, 0];
    let mut data = (text.len() as u32).to_be_bytes().to_vec();
    data.extend([0; 4]);
    data.extend(text.as_bytes());
    // Magic, checksum of the header, time, size, two addresses, checksum of the data; what it is; its name.
    let words = [MAGIC, 0, 0, data.len() as u32, 0, 0, crc32(&data)];
    let mut header: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    header.extend(KIND);
    header.extend(b"bulkhead");
    header.resize(64, 0);
    let checksum = crc32(&header).to_be_bytes();
    header[4..8].copy_from_slice(&checksum);
    header.extend(data);
    header
}

/// CRC-32 as zlib has it.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_zlib_s() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_script_has_its_header() {
        let made = script("booti\n");
        assert_eq!(made.len(), 64 + 8 + 6);
        assert_eq!((&made[..4], &made[28..32]), (&[0x27, 5, 0x19, 0x56][..], &[5, 22, 6, 0][..]));
        assert_eq!(&made[64..], b"\0\0\0\x06\0\0\0\0booti\n");
        let mut header = made[..64].to_vec();
        header[4..8].fill(0);
        assert_eq!(crc32(&header).to_be_bytes(), made[4..8]);
    }

    #[test]
    fn each_board_has_its_files() {
        let folder = std::env::temp_dir().join(format!("bulkhead-boot-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (image, tree) = (folder.join("image"), folder.join("tree"));
        fs::write(&image, "an image").unwrap();
        fs::write(&tree, "a tree").unwrap();
        for (board, name) in [(BootBoard::Rpi4, "config.txt"), (BootBoard::Imx8mp, "boot.scr")] {
            let out = folder.join(name);
            write(board, &out, Parts { image: &image, tree: &tree, archive: b"cells" }).unwrap();
            assert!(out.join(name).exists() && out.join("bulkhead.bin").exists());
            assert_eq!(fs::read(out.join("cells.img")).unwrap(), b"cells");
        }
        let missing = Parts { image: &folder.join("none"), tree: &tree, archive: b"" };
        assert!(
            write(BootBoard::Rpi4, &folder, missing).unwrap_err().to_string().ends_with("cannot be read")
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
