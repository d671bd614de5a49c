//! Archives for tests. It uses nothing of the crate, so that tests of other crates can take it by its path.

/// A file's mode.
pub const FILE: u32 = 0o100_644;

/// Inode, mode, links, name, data.
pub type Member<'m> = (u32, u32, u32, &'m str, &'m [u8]);

/// One member, with its header.
pub fn add(to: &mut Vec<u8>, (ino, mode, nlink, name, data): Member<'_>) {
    let header = [ino, mode, 0, 0, nlink, 0, data.len() as u32, 8, 1, 0, 0, name.len() as u32 + 1, 0];
    to.extend_from_slice(b"070701");
    to.extend(header.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
    to.extend(name.bytes().chain([0]));
    to.resize(to.len().next_multiple_of(4), 0);
    to.extend_from_slice(data);
    to.resize(to.len().next_multiple_of(4), 0);
}

/// A whole archive.
pub fn members(members: &[Member<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    members.iter().for_each(|member| add(&mut bytes, *member));
    add(&mut bytes, (0, 0, 1, "TRAILER!!!", &[]));
    bytes
}

/// A whole archive of files with these names.
pub fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let members: Vec<Member<'_>> = files.iter().map(|(name, data)| (0, FILE, 1, *name, &data[..])).collect();
    self::members(&members)
}
