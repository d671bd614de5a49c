//! Writing cpio archives in the newc format (Linux `Documentation/driver-api/early-userspace/buffer-format.rst`).
//! Nothing of the machine gets in: no time, no owner, no inode number, so equal content gives equal bytes.

/// What an entry is; the values are the mode's type bits and permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file that may be read.
    File,
    /// A file that may be run.
    Program,
    /// A folder.
    Folder,
    /// A symbolic link; the data is its target.
    Link,
    /// A character device.
    CharDevice {
        /// Which driver.
        major: u32,
        /// Which of its devices.
        minor: u32,
    },
}

impl Kind {
    fn mode(self) -> u32 {
        match self {
            Self::File => 0o100_644,
            Self::Program => 0o100_755,
            Self::Folder => 0o040_755,
            Self::Link => 0o120_777,
            Self::CharDevice { .. } => 0o020_600,
        }
    }
}

/// An archive under construction.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    inodes: u32,
}

const HEADER: usize = 110;

impl Archive {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one entry, its data behind its name as usual.
    pub fn add(&mut self, name: &str, kind: Kind, data: &[u8]) {
        let inode = self.next_inode();
        self.entry(name, kind, inode, 1, data, 4);
    }

    /// Adds one file under several names: hard links, the data with the last. The data starts at a multiple of
    /// `align` bytes (a power of two, at least 4), which NULs behind the last name see to.
    pub fn add_linked(&mut self, names: &[&str], data: &[u8], align: usize) {
        let inode = self.next_inode();
        let links = names.len() as u32;
        if let Some((last, others)) = names.split_last() {
            for name in others {
                self.entry(name, Kind::File, inode, links, &[], 4);
            }
            self.entry(last, Kind::File, inode, links, data, align);
        }
    }

    /// The finished archive, padded to a multiple of 512 bytes as cpio does.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", Kind::File, 0, 1, &[], 4);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self.bytes
    }

    fn next_inode(&mut self) -> u32 {
        self.inodes += 1;
        self.inodes
    }

    fn entry(&mut self, name: &str, kind: Kind, inode: u32, links: u32, data: &[u8], align: usize) {
        let name_end = self.bytes.len() + HEADER + name.len() + 1;
        let data_start = name_end.next_multiple_of(align);
        // With the usual alignment of 4 the padding is no part of the name, so the name's size counts one NUL.
        let name_size = if align == 4 { name.len() + 1 } else { data_start - self.bytes.len() - HEADER };
        let mode = if name == "TRAILER!!!" { 0 } else { kind.mode() };
        let (major, minor) = match kind {
            Kind::CharDevice { major, minor } => (major, minor),
            _ => (0, 0),
        };
        self.bytes.extend_from_slice(b"070701");
        // inode, mode, uid, gid, links, mtime, size, device major and minor, rdev major and minor, name size, check
        for field in [inode, mode, 0, 0, links, 0, data.len() as u32, 0, 0, major, minor, name_size as u32, 0]
        {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.resize(data_start, 0);
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_starts_where_it_is_asked_to() {
        let mut archive = Archive::new();
        archive.add_linked(&["a"], b"first", 4096);
        archive.add_linked(&["b", "c"], b"second", 4096);
        let bytes = archive.finish();
        assert_eq!(&bytes[4096..4101], b"first");
        assert_eq!(&bytes[8192..8198], b"second");
        assert_eq!(bytes.len() % 512, 0);
    }

    #[test]
    fn an_entry_is_laid_out_as_newc_says() {
        let mut archive = Archive::new();
        archive.add("ab", Kind::Program, b"xyz");
        let bytes = archive.finish();
        assert_eq!(&bytes[..14], b"07070100000001");
        assert_eq!(&bytes[14..22], b"000081ed");
        assert_eq!(&bytes[94..102], b"00000003");
        assert_eq!(&bytes[110..113], b"ab\0");
        assert_eq!(&bytes[116..120], b"xyz\0");
    }
}
