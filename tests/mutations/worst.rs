//! Trees as bad as 2 MiB can be.
