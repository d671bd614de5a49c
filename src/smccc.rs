//! SMCCC discovery and the calls that are forwarded (DEN0028E).
