//! The archive: a cpio newc file that holds the description and the guests' images.
