//! The device tree that each cell is given, derived from the board's and the plan.
