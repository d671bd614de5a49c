//! Translation tables as data: one walker, the formats of stage 2 and of EL2's own stage 1.
