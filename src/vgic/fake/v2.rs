//! The same hardware as a GICv2: a CPU's own interrupts banked in the distributor, SGIs kept apart by who sent them. As in a GIC-400
//! SGIs are always enabled.

use super::{FakeCpu, FakeGic, FakePorts};
use crate::cpu::{PcpuId, SgiTarget};
use crate::intid::Sgi;
use crate::ports::*;

/// One CPU's ports.
#[derive(Clone, Debug)]
pub(crate) struct FakeV2(pub(crate) FakeCpu);

impl FakeGic {
    /// As a GICv2.
    pub(crate) fn into_v2(mut self) -> Self {
        self.v2 = true;
        let private = self.cpus.iter_mut().flat_map(|cpu| cpu.private.iter_mut());
        private.chain(self.spis.iter_mut()).for_each(|irq| irq.group1 = true);
        self
    }

    /// CPENDSGIR, SPENDSGIR: a byte of an SGI.
    fn pend(&mut self, cpu: usize, sgi: usize, senders: u8, set: bool) {
        let part = &mut self.cpus[cpu];
        if set {
            part.senders[sgi] |= senders;
        } else {
            part.senders[sgi] &= !senders;
        }
        part.private[sgi].latch = part.senders[sgi] != 0;
    }
}

impl FakePorts for FakeV2 {
    const VERSION: GicVersion = GicVersion::V2;

    fn split(gic: FakeGic) -> Vec<Self> {
        gic.into_v2().split().into_iter().map(Self).collect()
    }

    fn cpu(&self) -> &FakeCpu {
        &self.0
    }
}

impl Gic for FakeV2 {
    type Plain = Self;
    fn version(&self) -> GicVersion {
        GicVersion::V2
    }
    fn plain(&mut self) -> &mut Self {
        self
    }
}

impl GicRegisters for FakeV2 {
    fn gicd_read(&self, offset: u32, width: Width) -> u64 {
        let (mut hw, me) = (self.0.hw(), self.0.me);
        let bytes = 0..width.bytes() as usize;
        match offset {
            0x000 => u64::from(hw.ctlr >> 1 & 1),
            0x004 => u64::from((hw.spis.len() as u32 / 32 - 1) | (hw.cpus.len() as u32 - 1) << 5),
            0x080..0x100 => 0,
            0x800..0xc00 => bytes.fold(0, |value, n| {
                let own = u64::from(hw.interface(me));
                let id = offset as usize - 0x800 + n;
                let target = if id < 32 { own } else { hw.spis.get(id).map_or(0, |irq| irq.route) };
                value | target << (8 * n)
            }),
            0xf10..0xf30 => bytes.fold(0, |value, n| {
                value | u64::from(hw.cpus[me].senders[(offset as usize & 0xf) + n]) << (8 * n)
            }),
            _ => hw.read(Some(me), offset, width),
        }
    }

    fn gicd_write(&mut self, offset: u32, width: Width, value: u64) {
        let (mut hw, me) = (self.0.hw(), self.0.me);
        let bytes = 0..width.bytes() as usize;
        let byte = |n: usize| (value >> (8 * n)) as u8;
        match offset {
            0x000 => hw.ctlr = (value as u32 & 1) << 1,
            0x080..0x100 => {}
            0x200 | 0x280 => hw.write(Some(me), offset, width, value & !0xffff),
            0x800..0x820 => {}
            0x820..0xc00 => bytes.for_each(|n| {
                if let Some(irq) = hw.spis.get_mut(offset as usize - 0x800 + n) {
                    irq.route = u64::from(byte(n));
                }
            }),
            0xf00 => {
                let (list, own, sgi) = (byte(2), hw.interface(me), value as usize & 0xf);
                for cpu in 0..hw.cpus.len() {
                    if list & hw.interface(cpu) != 0 {
                        hw.pend(cpu, sgi, own, true);
                    }
                }
            }
            0xf10..0xf30 => {
                bytes.for_each(|n| hw.pend(me, (offset as usize & 0xf) + n, byte(n), offset >= 0xf20));
            }
            _ => hw.write(Some(me), offset, width, value),
        }
        hw.cpus[me].private[..16].iter_mut().for_each(|sgi| sgi.enabled = true);
    }

    fn gicr_read(&self, cpu: PcpuId, offset: u32, width: Width) -> u64 {
        assert_eq!(cpu, self.0.id(), "the banked registers of another CPU are read");
        offset.checked_sub(0x1_0000).map_or(0, |offset| self.gicd_read(offset, width))
    }

    fn gicr_write(&mut self, cpu: PcpuId, offset: u32, width: Width, value: u64) {
        assert_eq!(cpu, self.0.id(), "the banked registers of another CPU are written");
        self.gicd_write(offset.checked_sub(0x1_0000).expect("no RD_base in a GICv2"), width, value);
    }
}

impl CpuInterface for FakeV2 {
    fn acknowledge(&mut self) -> u32 {
        let intid = self.0.acknowledge();
        if intid >= 16 {
            return intid;
        }
        let (mut hw, me) = (self.0.hw(), self.0.me);
        let sender = hw.cpus[me].senders[intid as usize].trailing_zeros();
        assert!(sender < 8, "an SGI that nobody sent");
        hw.pend(me, intid as usize, 1 << sender, false);
        1 << 31 | sender << 10 | intid
    }
    fn running_priority(&self) -> u8 {
        self.0.running_priority()
    }
    fn drop_priority(&mut self, intid: u32) {
        assert_eq!(intid >> 13, 0, "GICC_EOIR");
        self.0.drop_priority(intid & 0x3ff);
    }
    fn deactivate(&mut self, intid: u32) {
        assert_eq!(intid >> 13, 0, "GICC_DIR");
        self.0.deactivate(intid & 0x3ff);
    }
    fn send_sgi(&mut self, sgi: Sgi, to: SgiTarget) {
        self.gicd_write(0xf00, Width::Word, to.get() | u64::from(sgi.intid()));
    }
    fn send_event(&self) {}
    fn admit_guests(&mut self, admit: bool) {
        let me = self.0.me;
        self.0.hw().cpus[me].closed = !admit;
    }
}

impl LentInterface for FakeV2 {
    fn lend(&mut self) {
        self.0.lend();
    }
    fn take_back(&mut self) {
        self.0.take_back();
    }
    fn common(&self, _: CommonReg) -> u64 {
        panic!("no register of a GICv2 traps")
    }
    fn set_common(&mut self, _: CommonReg, _: u64) {
        panic!("no register of a GICv2 traps")
    }
    fn wait_for_guest(&mut self) {}
}

impl VirtualInterface for FakeV2 {
    fn lr_count(&self) -> usize {
        self.0.lr_count()
    }
    fn forgets_lines(&self) -> bool {
        // Every second CPU is QEMU's, or all are.
        self.0.me % 2 == 1 || self.0.hw().forgetful
    }
    fn empty_lrs(&self) -> u32 {
        self.0.empty_lrs()
    }
    fn lr(&self, n: usize) -> u64 {
        self.0.lr(n)
    }
    fn set_lr(&mut self, n: usize, value: u64) {
        self.0.set_lr(n, value);
    }
    fn ich_hcr(&self) -> u32 {
        self.0.ich_hcr()
    }
    fn set_ich_hcr(&mut self, value: u32) {
        self.0.set_ich_hcr(value);
    }
    fn ich_vmcr(&self) -> u32 {
        self.0.ich_vmcr()
    }
    fn set_ich_vmcr(&mut self, value: u32) {
        self.0.set_ich_vmcr(value);
    }
    fn reset_virtual_interface(&mut self) {
        self.0.reset_virtual_interface();
    }
}
