//! A cell at run time: what its CPUs share, and its life.
