//! Power: PSCI 1.1 for cells (DEN0022F).
