//! From the entry point to every CPU in its loop.
