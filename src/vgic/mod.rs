//! The GIC that a cell sees. The distributor and redistributors are filters over the physical ones (design, decision 3):
//! state lives in hardware, masked by what the cell owns. Software keeps only what hardware does not have:
//! list registers and the queue behind them ([`Queue`]), group enables, and identity registers.
