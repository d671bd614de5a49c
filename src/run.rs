//! A CPU's loop: enter the guest, answer what it asked, again.
