//! A CPU's interface to the GIC, of EL2 or lent, and its list registers, which only keep what is written.

use super::Fake;
use crate::cpu::{PcpuId, SgiTarget};
use crate::intid::Sgi;
use crate::ports::{CommonReg, CpuInterface, Gic, GicVersion, LentInterface, VirtualInterface};

impl Gic for Fake {
    type Plain = Self;
    fn version(&self) -> GicVersion {
        GicVersion::V3
    }
    fn plain(&mut self) -> &mut Self {
        self
    }
}

impl CpuInterface for Fake {
    fn acknowledge(&mut self) -> u32 {
        let intid = self.board.pending[self.me.index()].lock().unwrap().pop_front();
        self.active.extend(intid);
        intid.unwrap_or(1023)
    }
    fn running_priority(&self) -> u8 {
        if self.active.is_empty() { 0xff } else { 0xa0 }
    }
    fn drop_priority(&mut self, intid: u32) {
        assert!(self.active.contains(&intid));
    }
    fn deactivate(&mut self, intid: u32) {
        self.active.retain(|id| *id != intid);
    }
    fn send_sgi(&mut self, sgi: Sgi, to: SgiTarget) {
        let cpu =
            self.board.affinities.iter().position(|a| SgiTarget::new(*a) == to).expect("an SGI to nobody");
        self.board.raise(PcpuId(cpu as u8), sgi.intid());
    }
    fn send_event(&self) {}
}

impl LentInterface for Fake {
    fn lend(&mut self) {
        assert!(!self.lent, "lent twice");
        (self.lent, self.common) = (true, [0; 3]);
    }
    fn take_back(&mut self) {
        assert!(self.lent, "not lent");
        self.lent = false;
    }
    fn common(&self, reg: CommonReg) -> u64 {
        self.common[reg as usize]
    }
    fn set_common(&mut self, reg: CommonReg, value: u64) {
        self.common[reg as usize] = value;
    }
    fn wait_for_guest(&mut self) {
        assert!(self.lent, "not lent");
        self.waits += 1;
    }
}

impl VirtualInterface for Fake {
    fn lr_count(&self) -> usize {
        self.lrs.len()
    }
    fn empty_lrs(&self) -> u32 {
        // State, bits 63:62, and an EOI report (HW 0, bit 41) keep a list register from being empty.
        (0..).zip(&self.lrs).filter(|(_, lr)| **lr >> 62 == 0).fold(0, |set, (n, _)| set | 1 << n)
    }
    fn lr(&self, n: usize) -> u64 {
        self.lrs[n]
    }
    fn set_lr(&mut self, n: usize, value: u64) {
        self.lrs[n] = value;
    }
    fn ich_hcr(&self) -> u32 {
        self.ich_hcr
    }
    fn set_ich_hcr(&mut self, value: u32) {
        self.ich_hcr = value;
    }
    fn ich_vmcr(&self) -> u32 {
        self.ich_vmcr
    }
    fn set_ich_vmcr(&mut self, value: u32) {
        self.ich_vmcr = value;
    }
    fn reset_virtual_interface(&mut self) {
        self.lrs = [0; 4];
    }
}
