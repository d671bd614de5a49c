//! The structure of a flattened tree, proved before anything reads it.

/// What is wrong with a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The magic, version or a header offset is wrong.
    #[error("this is no flattened device tree: its header is damaged")]
    Header,
    /// There is no root node.
    #[error("the device tree has no root node")]
    NoRoot,
}

/// `totalsize` of the blob that begins with these bytes (8 or more).
///
/// # Errors
/// [`TreeError::Header`] if the magic is wrong.
pub fn total_size(header: &[u8]) -> Result<usize, TreeError> {
    let word = |at: usize| {
        header.get(at..at.saturating_add(4)).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes)
    };
    match (word(0), word(4)) {
        (Some(0xd00d_feed), Some(size)) => Ok(size as usize),
        _ => Err(TreeError::Header),
    }
}

/// Checks all of a blob.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(blob: &[u8]) -> Result<(), TreeError> {
    let size = total_size(blob)?;
    if blob.len() < size { Err(TreeError::Header) } else { Ok(()) }
}
